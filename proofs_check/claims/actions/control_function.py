"""R-4: with the noise in the regression, predictions of an action are right and the same for every affine encoder."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, equal
from proofs_check.claims.actions import design_cases as intervention_designs
from proofs_check.claims.actions.design_cases import AFFINE, CONTROLLED, DEFAULT, DISTINCT, INVERTIBLE, Design, designs
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from workbench.theory import actions as theory
from workbench.topics.actions import control_function as shipped


def _conclusion(case: Design) -> dict[str, Part]:
    n = len(case.effect)
    plain = replace(case, turn=tuple(tuple(float(i == j) for j in range(n)) for i in range(n)), shift=(0.0,) * n)
    return {
        "E[y | do(a*)]": equal(case.predicted, case.truth, unit=case.size),
        "as with h itself": equal(case.predicted, plain.predicted, unit=case.size),
        "by acting": equal(case.done, case.truth, unit=case.size),
    }


def _formula(symbols, ops):
    """One latent, three noises that occur with each of two actions: W = H M, V = H (nu - mean), f = l o phi^-1 + k."""
    m, turn, shift, q, b, target, k = symbols("M H c q b t k")
    noise, outcomes, actions = symbols("nu:3"), symbols("u:3"), symbols("a:2")
    mean = sum(noise) / 3
    left, w, alpha = [turn * (v - mean) for v in noise], turn * m, turn * mean + shift

    def told(h):
        return theory.mean_outcome([[q]], [b], [h], [[0]])

    def f(code):
        return told((code - shift) / turn) + k

    pairs = [(a, i) for a in actions for i in range(3)]
    yield from ((w * a + alpha + left[i], turn * (m * a + noise[i]) + shift) for a, i in pairs)
    y = sum(told(m * a + noise[i]) + outcomes[i] for a, i in pairs) / 6
    level = sum(f(w * a + alpha + left[i]) for a, i in pairs) / 6
    wanted = sum(told(m * target + v) + u for v, u in zip(noise, outcomes, strict=True)) / 3
    yield sum(f(w * target + alpha + v) for v in left) / 3 - (level - y), wanted
    moments = [sum(v**j for v in noise) / 3 for j in (1, 2)]
    centred = theory.mean_outcome([[q]], [b], [m * target + moments[0]], [[moments[1] - moments[0] ** 2]])
    yield sum(told(m * target + v) for v in noise) / 3, centred


def _open(symbols, ops):
    """n = 2, q = 1, M = (m, 0): f may gain a function of the second latent, which k gives back; it cancels."""
    m, first, second, target, a, c1, c2 = symbols("m v w t a b c")

    def gained(h):
        return theory.mean_outcome([[0, 0], [0, c2]], [0, c1], h, [[0, 0], [0, 0]])

    yield gained([m * a + first, second]), gained([first, second])  # a function of V alone
    yield gained([m * target + first, second]) - gained([m * a + first, second]), 0  # and of no weight in the formula
    free = theory.mean_outcome([[c2]], [c1], [0 * a + first], [[0]])  # n = 1, M = 0
    yield theory.mean_outcome([[c2]], [c1], [0 * target + first], [[0]]) - free, 0


def _level(unknowns, ops):
    """A function of one coordinate of a, quadratic and the same at three of its values, is the same at all."""
    p0, p1, p2, value, t = unknowns("p0 p1 p2 value t")

    def at(x):
        return p0 + p1 * x + p2 * x * x

    x, y, z = unknowns("x y z")
    given = [x != y, y != z, z != x, *(at(v) == value for v in (x, y, z))]
    return given, [at(t) == value]


def _column(unknowns, ops):
    """A coordinate of H (M a* + nu) is one of W a*, of H mean nu, and of V = H (nu - mean nu)."""
    turned, moved, mean, off = unknowns("turned moved mean off")
    h, m, nu, bar = unknowns("h m nu bar")
    after = {"turned": turned + h * (m + nu), "moved": moved + h * m, "mean": mean + h * bar}
    return smt.Invariant([turned == moved + mean + off], {**after, "off": off + h * (nu - bar)})


def _sample(unknowns, ops):
    """f is l and a constant k: at M a* + nu, and at h, where y = l + u; the truth is l at M a* + nu, and u."""
    asked, fitted, y, truth = unknowns("asked fitted y truth")
    there, here, u, k = unknowns("there here u k")
    after = {"asked": asked + there + k, "fitted": fitted + here + k, "y": y + here + u, "truth": truth + there + u}
    return smt.Invariant([asked - fitted + y == truth], after)


def _noise(unknowns, ops):
    """Sums over noises of (x + a) (y + b), of x + a, of a, of b and of a b, for two coordinates of m + nu."""
    form, line, count, a, b, both, x, y = unknowns("form line count a b both x y")
    v, w = unknowns("v w")
    says = [form == count * x * y + x * b + y * a + both, line == count * x + a]
    sums = {"count": count + 1, "a": a + v, "b": b + w, "both": both + v * w}
    return smt.Invariant(says, {"form": form + (x + v) * (y + w), "line": line + x + v, **sums})


def _centred(unknowns, ops):
    """Of one pair of coordinates with weight 1, and of a linear term: the shipped formula, noise having mean 0."""
    form, line, count, a, b, both, x, y = unknowns("form line count a b both x y")
    given = [count > 0, a == 0, b == 0, form == count * x * y + x * b + y * a + both, line == count * x + a]
    pair = theory.mean_outcome([[0, 1], [0, 0]], [0, 0], [x, y], [[0, both / count], [0, 0]])
    return given, [form / count == pair, line / count == theory.mean_outcome([[0]], [1], [x], [[0]])]


def _long(draw):
    n = draw.n
    form, b, m, spread = draw.rows(n, n), draw.vector(n), draw.vector(n), draw.rows(n, n)
    pairs = [(i, j) for i in range(n) for j in range(n)]
    told = sum(form[i][j] * m[i] * m[j] + form[i][j] * spread[j][i] for i, j in pairs)
    said = theory.mean_outcome(form, b, m, [list(row) for row in zip(*spread, strict=True)])
    yield said, told + sum(x * y for x, y in zip(b, m, strict=True))


def _unique(unknowns, ops):
    """f(W a + V) + k(V) = 0 on a grid, quadratics: no f but a constant; one latent."""
    w, f1, f2, k0, k1, k2 = unknowns("W f1 f2 k0 k1 k2")

    def total(a, v):
        code = w * a + v
        return f1 * code + f2 * code * code + k0 + k1 * v + k2 * v * v

    return [w != 0, *(total(a, v) == 0 for a in (-1, 0, 1) for v in (-1, 0, 1))], [x == 0 for x in (f1, f2, k0, k1, k2)]


_mean, _predicted = theory.mean_outcome, intervention_designs.predicted


def _without_level(codes, actions, y, target, controlled=True):
    return _predicted(codes, actions, y, target, controlled) - float(y.mean())


ALONE = numbers(1, 4).map(lambda t: replace(DEFAULT, actions=((0.0, 0.0), (0.0, 0.0)), target=(t, t)))
SINGULAR = st.tuples(numbers(0.5, 1.5), numbers(0.5, 1.5)).map(lambda row: replace(DEFAULT, turn=(row, row)))

CLAIM = Claim(
    id="R-4",
    statement=(
        "y = l(h) + u, l and E[u | ν] quadratic, h = Ma + ν, M of any rank, φ = Hh + c with H invertible, every action "
        "seen with every ν, and 1, a_i, a_i a_j independent on the actions: the additive fit y ~ f(φ) + k(V), V what "
        "is left of φ given a, predicts mean f(Wa* + α + V) − (mean f(φ) − mean y) = E[y | do(a*)] at every a*, the "
        "same for all H and c."
    ),
    tex=r"E[y\mid do(a^*)]=\frac{1}{N}\sum_i f(Wa^*+\alpha+V_i)-(\bar f-\bar y)",
    source="Saengkyongam et al. (2024), arXiv 2310.04295, theorem 4; exact form for quadratics ours",
    stated="special case",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AFFINE, INVERTIBLE, CONTROLLED, DISTINCT),
    instances=designs(),
    conclusion=_conclusion,
    controls=(
        Control(AFFINE.name, designs(bent=0.6), "h_1² added to the last latent"),
        Control(INVERTIBLE.name, SINGULAR, "H of rank 1 forgets a latent"),
        Control(CONTROLLED.name, designs(controlled=False), "y ~ f(φ) alone: R-5"),
        Control(DISTINCT.name, ALONE, "one action alone"),
    ),
    proofs={
        BESIDE: (
            smt.implies(
                "what f leaves open is free of a, and cancels", "all n, q, M: coordinates of a, three values", _level
            ),
            smt.induction("φ⁻¹(Wa* + α + V) = Ma* + ν", "all n: induction over columns of H", _column),
            smt.induction("the formula", "all N: induction over samples", _sample),
            smt.implies("f is unique up to a constant", "n = q = 1, M ≠ 0, quadratics", _unique),
            symbolic.identity(
                "the formula, from W = HM, V = H(ν − mean ν)", "n = q = 1, three noises, two actions, any u", _formula
            ),
            symbolic.identity("what is left open cancels", "n = q = 1, M = 0; n = 2, q = 1, M = (m, 0)", _open),
        ),
        "by acting": (
            smt.induction("sums of products", "all N: induction over noises", _noise),
            smt.implies("their mean, for noise of mean 0", "all n: pair by pair", _centred),
        ),
        LOOPS: evaluated("mean_outcome, as defined", _long),
    },
    mutants=(
        Mutant(
            "products left out", shipped.monomials, lambda z, degree: torch.cat([z**k for k in range(1, degree + 1)], 1)
        ),
        Mutant("without mean y", intervention_designs.predicted, _without_level),
        Mutant("without tr(QS)", theory.mean_outcome, lambda Q, q, m, S: _mean(Q, q, m, [[0.0] * len(q)] * len(q))),
    ),
    note=(
        "What f leaves open where M lacks rank cancels: the rank is needed to find φ, not to use it. Two fits without "
        "error differ by g(φ) = −k(V) on the design, and g is free of a there. That the shipped fit is such an f is "
        "sampled."
    ),
)
