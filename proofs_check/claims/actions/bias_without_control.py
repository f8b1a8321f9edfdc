"""R-5: regressing the outcome on the latents alone is off by a known amount, linear in the action."""

from dataclasses import replace
from fractions import Fraction

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Part, Verdict, edited, equal
from proofs_check.claims.actions.design_cases import AFFINE, LINEAR, NORMAL, Design, designs
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from workbench.theory import actions as theory


def _conclusion(case: Design) -> dict[str, Part]:
    naive = replace(case, controlled=False)
    half = replace(case, target=tuple(v / 2 for v in case.target))
    free = replace(case, beta=(0.0,) * len(case.beta))
    return {
        "naive − truth": equal(naive.predicted - case.truth, case.bias, unit=case.size),
        "linear in a*": equal(half.bias, case.bias / 2, unit=case.size),
        "β = 0: none": equal(replace(free, controlled=False).predicted, free.truth, unit=case.size),
    }


def _third(symbols, ops):
    """E z_i z_j z_k of independent normals, whichever coincide: what is left of nu is uncorrelated with h_i h_j."""
    moments = theory.gaussian_moments(symbols("v"), 4)
    yield from ((mean, 0) for mean in (moments[3], moments[2] * moments[1], moments[1] ** 3))


def _left(unknowns, ops):
    """An entry of Cov(nu - B h, h) = N - B S, where B S = N is what B = N S^-1 says."""
    noise, product = unknowns("noise product")
    return [product == noise], [noise - product == 0]


def _latent(unknowns, ops):
    """f = l + <b, h>, b = (N S^-1)^T beta: what its linear part adds at M a*, where at mean h = 0 it adds nothing."""
    fitted, plain, more, linear, b, m = unknowns("fitted plain more linear b m")
    zero = theory.mean_outcome([[0]], [linear + b], [0 * m], [[0]])
    step = theory.mean_outcome([[0]], [linear + b], [m], [[0]]) - zero
    after = {"fitted": fitted + step, "plain": plain + linear * m, "more": more + b * m}
    return smt.Invariant([fitted == plain + more], after)


def _naive(symbols, ops):
    """Mean f(M a* + nu) - (mean f - mean y) less mean l(M a* + nu)."""
    for n in (1, 2):
        form, noise, spread = (
            [[symbols(f"{name}{min(i, j)}{max(i, j)}") for j in range(n)] for i in range(n)] for name in "qns"
        )
        linear, b, m = symbols(f"l:{n}"), symbols(f"b:{n}"), symbols(f"m:{n}")
        more, zero = [x + y for x, y in zip(linear, b, strict=True)], [0] * n
        level = theory.mean_outcome(form, more, zero, spread) - theory.mean_outcome(form, linear, zero, spread)
        said = theory.mean_outcome(form, more, m, noise) - level
        yield said - theory.mean_outcome(form, linear, m, noise), sum(x * y for x, y in zip(b, m, strict=True))


def _long(draw):
    """M a triangle with ones, a* such that M a* = S p: then S^-1 M a* = p."""
    n, p, beta = draw.n, draw.vector(draw.n, 99), draw.vector(draw.n, 99)
    drawn = draw.rows(n, n, 99), draw.rows(n, n, 99)
    noise, actions = ([[Fraction(v[max(i, j)][min(i, j)]) for j in range(n)] for i in range(n)] for v in drawn)
    noise = [[v + (i == j) * 10_000 for j, v in enumerate(row)] for i, row in enumerate(noise)]  # no pivot is 0
    effect = [[v if j < i else int(i == j) for j, v in enumerate(row)] for i, row in enumerate(draw.rows(n, n, 9))]
    reached = [[_dot(row, column) for column in actions] for row in effect]
    spread = [[_dot(reached[i], effect[j]) + noise[i][j] for j in range(n)] for i in range(n)]
    target = []
    for i in range(n):
        target.append(_dot(spread[i], p) - _dot(effect[i][:i], target))
    yield theory.naive_bias(beta, noise, effect, actions, target), _dot(beta, [_dot(row, p) for row in noise])


def _dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def _term(unknowns, ops):
    """Products of a row with a vector, and with t times it: of M a*, of S^-1, of N, of beta."""
    t, plain, scaled, x, y = unknowns("t plain scaled x y")
    after = {"plain": plain + x * y, "scaled": scaled + x * (t * y)}
    return smt.Invariant([scaled == t * plain], after)


def _linear(symbols, ops):
    t = symbols("t")
    for n in (1, 2):
        beta, a = symbols(f"b:{n}"), symbols(f"t:{n}")
        noise, actions, m = ([[symbols(f"{name}{i}{j}") for j in range(n)] for i in range(n)] for name in "nam")
        scaled = theory.naive_bias(beta, noise, m, actions, [t * v for v in a])
        yield scaled, t * theory.naive_bias(beta, noise, m, actions, a)
        yield theory.naive_bias([0] * n, noise, m, actions, a), 0


def _one(symbols, ops):
    """n = q = 1: beta v M a* / (M² w + v)."""
    beta, v, m, w, a = symbols("b v M w t")
    yield theory.naive_bias([beta], [[v]], [[m]], [[w]], [a]), beta * v * m * a / (m * m * w + v)


CLAIM = Claim(
    id="R-5",
    statement=(
        "u = ⟨β, ν⟩ + noise of its own, a and ν normal with covariances A and N: y ~ f(h) without V predicts "
        "E[y | do(a*)] + βᵀN(MAMᵀ + N)⁻¹Ma*. It is linear in a* and in β."
    ),
    tex=r"\hat y_{\mathrm{naive}}(a^*)-E[y\mid do(a^*)]=\beta^\top N(MAM^\top+N)^{-1}Ma^*",
    source="ours; why Saengkyongam et al. (2024), arXiv 2310.04295, control for V",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AFFINE, LINEAR, NORMAL),
    instances=designs(law="normal"),
    conclusion=_conclusion,
    controls=(
        Control(AFFINE.name, designs(law="normal", bent=0.6), "a curved encoder: another error"),
        Control(LINEAR.name, designs(law="normal", curved=0.5), "u with ν²: E[ν² | h] is not in the formula"),
        Control(NORMAL.name, designs(law="skewed"), "skewed a: E[ν | h] is not linear"),
    ),
    proofs={
        BESIDE: (
            smt.implies("ν − Bh and h are uncorrelated, B = NS⁻¹", "all n, q: entry by entry", _left),
            symbolic.identity("ν − Bh and squares of h are, too", "all n, q: thirds of normals", _third),
            smt.induction("l + ⟨Bᵀβ, h⟩ predicts ⟨Bᵀβ, Ma*⟩ more", "all n: over latents", _latent),
            symbolic.identity("what the fit l + ⟨Bᵀβ, h⟩ predicts", "n = 1, 2, any l, N, S", _naive),
        ),
        "linear in a*": smt.induction("products with ta*", "all n, q: induction over terms", _term),
        LOOPS: (
            symbolic.identity("one latent", "n = q = 1", _one),
            symbolic.identity("linear in a*, 0 at β = 0", "n = q = 1, 2", _linear),
            evaluated("naive_bias, as defined", _long, 17),
        ),
    },
    mutants=(
        edited("without the noise's share", theory.naive_bias, lambda f: lambda b, n, m, s, a: f(b, n, m, s, a) * 0.5),
        edited("M A Mᵀ for N", theory.naive_bias, lambda f: lambda b, n, m, s, a: f(b, s, m, n, a)),
        edited("squares of a*", theory.naive_bias, lambda f: lambda b, n, m, s, a: f(b, n, m, s, [v * v for v in a])),
    ),
    note=(
        "Two latents, a ~ N(0, .33 I), β = (1.5, −.7): at (.5, .5) 1.299 for .761, at (3, 3) 16.83 for 13.61, at "
        "(−4, 2) −13.81 for −10.42. Any symmetric laws give it by least squares on quadratics. That the shipped fit is "
        "l + ⟨Bᵀβ, h⟩ is sampled."
    ),
)
