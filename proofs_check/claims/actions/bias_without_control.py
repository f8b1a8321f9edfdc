"""R-5: regressing the outcome on the latents alone is off by a known amount, linear in the action."""

from dataclasses import replace

import sympy

from proofs_check.claim import Claim, Control, Part, Verdict, edited, equal
from proofs_check.claims.actions.design_cases import AFFINE, LINEAR, NORMAL, Design, designs
from proofs_check.engines import symbolic
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


def _conditional(symbols, ops):
    """E[nu | h] = N S^-1 h: h - and nu - N S^-1 h are uncorrelated, and so independent if normal; n = q = 2."""
    m, beta, a = sympy.Matrix(2, 2, symbols("m:4")), symbols("b:2"), symbols("t:2")
    noise, actions = (sympy.Matrix([[x, y], [y, z]]) for x, y, z in (symbols("x:3"), symbols("y:3")))
    spread = m * actions * m.T + noise
    slope = noise * spread.inv(method="ADJ")
    yield from ((value, 0) for value in noise - slope * spread)  # Cov(nu - slope h, h)
    wanted = (sympy.Matrix([beta]) * slope * m * sympy.Matrix(a))[0]
    yield theory.naive_bias(beta, noise.tolist(), m.tolist(), actions.tolist(), a), wanted


def _third(symbols, ops):
    """What is left of nu given h, and products of two latents, are uncorrelated: forms of independent normals z."""
    z = symbols("z:4")
    forms = [sum(c * v for c, v in zip(symbols(f"{name}:4"), z, strict=True)) for name in "efg"]
    moments = theory.gaussian_moments(1, 4)
    terms = sympy.Poly(forms[0] * forms[1] * forms[2], *z).terms()
    yield sum(value * sympy.prod([moments[p] for p in powers]) for powers, value in terms), 0


def _naive(symbols, ops):
    """f = l + <b, h> with b = (N S^-1)^T beta: mean f(M a* + nu) - (mean f - mean y) less mean l(M a* + nu)."""
    for n in (1, 2):
        form, noise, spread = (
            [[symbols(f"{name}{min(i, j)}{max(i, j)}") for j in range(n)] for i in range(n)] for name in "qns"
        )
        linear, b, m = symbols(f"l:{n}"), symbols(f"b:{n}"), symbols(f"m:{n}")
        more, zero = [x + y for x, y in zip(linear, b, strict=True)], [0] * n
        level = theory.mean_outcome(form, more, zero, spread) - theory.mean_outcome(form, linear, zero, spread)
        said = theory.mean_outcome(form, more, m, noise) - level
        yield said - theory.mean_outcome(form, linear, m, noise), sum(x * y for x, y in zip(b, m, strict=True))


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
    promised=Verdict.PROVED,
    hypotheses=(AFFINE, LINEAR, NORMAL),
    instances=designs(law="normal"),
    conclusion=_conclusion,
    controls=(
        Control(AFFINE.name, designs(law="normal", bent=0.6), "a curved encoder: another error"),
        Control(LINEAR.name, designs(law="normal", curved=0.5), "u with ν²: E[ν² | h] is not in the formula"),
        Control(NORMAL.name, designs(law="skewed"), "skewed a: E[ν | h] is not linear"),
    ),
    proofs={
        ("naive − truth", "β = 0: none"): (
            symbolic.identity("ν − NS⁻¹h and h are uncorrelated; the bias", "n = q = 2, all M, N, A, β", _conditional),
            symbolic.identity("one latent", "n = q = 1", _one),
            symbolic.identity("ν − NS⁻¹h and squares of h are uncorrelated", "n = q = 2, normal laws", _third),
            symbolic.identity("what the fit l + ⟨β, NS⁻¹h⟩ predicts", "n = 1, 2, any l, N, S", _naive),
        ),
        "linear in a*": symbolic.identity("linear in a*, 0 at β = 0", "n = q = 1, 2", _linear),
    },
    mutants=(
        edited("without the noise's share", theory.naive_bias, lambda f: lambda b, n, m, s, a: f(b, n, m, s, a) * 0.5),
        edited("M A Mᵀ for N", theory.naive_bias, lambda f: lambda b, n, m, s, a: f(b, s, m, n, a)),
    ),
    note=(
        "Two latents, a ~ N(0, .33 I), β = (1.5, −.7): at (.5, .5) 1.299 for .761, at (3, 3) 16.83 for 13.61, at "
        "(−4, 2) −13.81 for −10.42. Any symmetric laws give it by least squares on quadratics."
    ),
)
