"""MP-4: how fast the residual of matching pursuit shrinks when the largest |correlation| is picked."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, Void, at_most
from proofs_check.claims.pursuit.cases import (
    BELOW,
    EARNEST,
    IN_SPAN,
    UNIT,
    Greedy,
    below_bound,
    beside,
    greedy,
    of,
    scaled,
)
from proofs_check.claims.pursuit.inductions import INSIDE, PICKS, SPAN
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import codes, mixtures, numbers
from proofs_check.instances.inductions import ENERGY, K_FORM, L1_FORM, PRODUCTS, STEPPED, UNROLL
from proofs_check.instances.mixture import Mixture
from workbench.theory import coherence
from workbench.theory import pursuit as theory


def _passed_over(case: Greedy) -> float:
    """By how much the largest |c| is above the increment, over the steps; a share of |x|."""
    c = (case.residuals[:, :-1] @ case.rows.T).abs().amax(2)
    return float(((c - case.picked[0].abs()) / case.size.sqrt()[:, None]).max())


ABS = Hypothesis("the rule picks the largest |c|", _passed_over)


def _conclusion(case: Greedy) -> dict[str, Part]:
    before, after = case.energies[:, :-1].flatten(), case.energies[:, 1:].flatten()
    values = torch.linalg.eigvalsh(case.rows @ case.rows.T)
    lowest = values[values > 1e-12 * len(values)].min()
    unit, inner = case.per_step(case.size), case.mixture
    found: dict[str, Part] = {"1 − λ/m": at_most(after, theory.rate(lowest, len(case.rows)) * before, unit=unit)}
    inside = "1 − λ_S/k in the support", "1 − (1 − (k − 1)μ)/k"
    if inner is None or not bool(BELOW.met(inner).all()):
        return found | dict.fromkeys(inside, Void("k is not below the coherence bound"))
    own = theory.rate(1 + inner.spectrum[0], inner.k)
    large = (case.energies[:, :-1] > EARNEST**2 * case.size[:, None]).flatten()
    return found | {
        inside[0]: at_most(torch.where(large, after, 0.0), case.per_step(own) * before, unit=unit),
        inside[1]: at_most(own, theory.coherent_rate(inner.k, inner.support_coherence)),
    }


def _mean(unknowns, ops):
    """The sum of m squares is at most m times the largest."""
    total, largest, m, c2 = unknowns("total largest m c2")
    after = {"total": total + c2, "m": m + 1, "largest": ops.larger(largest, c2)}
    return smt.Invariant([total <= m * largest, m >= 0], after, given=[c2 >= 0])


def _fall(unknowns, ops):
    """lambda |r|² <= |c|² <= m max c², and the step takes max c² from |r|²."""
    r2, total, largest, m, lowest = unknowns("r2 total largest m lowest")
    a = ops.sqrt(largest)
    given = [r2 >= 0, lowest * r2 <= total, total <= m * largest, m >= 1, largest >= 0]
    return given, [theory.energy_after(r2, a, 1) <= theory.rate(lowest, m) * r2]


def _two_rows(unknowns, ops):
    """r = p w + q v, <w, v> = g: lambda is 1 - |g|, by the shipped sums."""
    p, q, g = unknowns("p q g")
    r2 = coherence.square_norm([p, q]) + coherence.interference([p, q], [[1, g], [g, 1]])
    largest = ops.larger((p + g * q) ** 2, (q + g * p) ** 2)
    bound = theory.rate(1 - ops.abs(g), 2) * r2
    return [g > -1, g < 1], [r2 - largest <= bound]


def _gershgorin(unknowns, ops):
    """r = bW_S with |Wr|² = lambda |r|²: |r|² = <b, Wr> = N + q, |q| <= mu (k - 1) N; rates fall with lambda."""
    n2, q, mu, k, c2, lowest = unknowns("n2 q mu k c2 lowest")
    r2 = n2 + q
    given = [n2 > 0, r2 > 0, r2 * r2 <= n2 * c2, c2 == lowest * r2, k >= 1, mu >= 0]
    given += [ops.abs(q) <= coherence.norm_gap(n2, mu, k)]
    return given, [theory.rate(lowest, k) <= theory.coherent_rate(k, mu)]


def _attained(symbols, ops):
    """Orthonormal rows, m equal correlations c: one of them goes."""
    c, m = symbols("c m", positive=True)
    yield theory.energy_after(m * c**2, c, 1), theory.rate(1, m) * m * c**2
    k, mu = symbols("k mu", positive=True)  # equal codes on k rows with products -mu: c_i = 1 - (k - 1) mu
    r2, c = k * (1 - (k - 1) * mu), 1 - (k - 1) * mu
    yield theory.energy_after(r2, c, 1), theory.coherent_rate(k, mu) * r2


@st.composite
def _drawn(draw):
    return of(draw(mixtures() | below_bound()), draw(st.integers(2, 6)))


@st.composite
def _flat(draw):
    k = draw(st.integers(2, 6))
    mu = draw(st.sampled_from([0.0, 0.3, 0.9])) / (2 * k - 1)
    return of(beside(k, mu), 1)


@st.composite
def _orthonormal(draw):
    m = draw(st.integers(1, 6))
    h = codes(1, active=1).map(lambda value: value.abs().expand(m))
    return of(Mixture.exact(torch.eye(m), draw(h)), 1)


def _sixty(e: float) -> st.SearchStrategy[Greedy]:
    """Two rows at 60 degrees, x = w_1 + e w_2."""
    return greedy([[1.0, 0], [0.5, 0.75**0.5]], [1 + 0.5 * e, e * 0.75**0.5], select="relu")


def _raised(rest: float) -> st.SearchStrategy[Greedy]:
    return greedy([[1.0, 0, 0], [0, 1, 0]], [1.0, 0, rest])


ONE_STEP = (
    STEPPED,
    SPAN,
    smt.induction("Σc² ≤ m max c²", "all m: induction over rows", _mean),
    smt.implies("one step, from λ|r|² ≤ |Wr|²", "all m, d, t", _fall),
)

CLAIM = Claim(
    id="MP-4",
    statement=(
        "With unit rows, x in their span and the largest |c_j| picked, |r_{t+1}|² ≤ (1 − λ/m)|r_t|², λ the largest "
        "number with |Wr|² ≥ λ|r|² on the span, the least nonzero eigenvalue of WᵀW; so the pursuit converges. Where k "
        "is below the coherence bound, λ and m are those of the true support, and the rate is at most "
        "1 − (1 − (k − 1)μ)/k."
    ),
    tex=r"\|r_{t+1}\|^2\leq\left(1-\frac{\lambda}{m}\right)\|r_t\|^2",
    source="Mallat and Zhang (1993), theorem 1, the constant ours; inside a support Tropp (2004)",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, ABS, IN_SPAN),
    instances=_drawn(),
    conclusion=_conclusion,
    extremal={"1 − λ/m": _orthonormal(), "1 − λ_S/k in the support": _flat(), "1 − (1 − (k − 1)μ)/k": _flat()},
    controls=(
        Control("unit rows", scaled(1.45, 2), "rows of norm above √2: it rises"),
        Control(ABS.name, numbers(0.1, 1).flatmap(_sixty), "relu stalls (claim MP-16)"),
        Control(IN_SPAN.name, numbers(0.1, 2).flatmap(_raised), "x in part outside the span"),
    ),
    proofs={
        ("1 − λ/m", "1 − λ_S/k in the support"): ONE_STEP,
        "1 − λ_S/k in the support": (*PICKS, INSIDE),
        LOOPS: (smt.implies("the shipped sums", "m = 2, all rows", _two_rows), UNROLL),
        "1 − (1 − (k − 1)μ)/k": (
            *ENERGY,
            *L1_FORM,
            *K_FORM,
            PRODUCTS,
            smt.implies("λ_S ≥ 1 − (k − 1)μ", "all k: from |q| ≤ μ(k − 1)N", _gershgorin),
        ),
        BESIDE: symbolic.identity("attained", "all k, μ at products −μ: orthonormal rows", _attained),
    },
    kernel={
        "beside the conclusion": "pursuit.rate_of_convergence",
    },
    mutants=(
        Mutant("twice as fast", theory.rate, lambda lowest, count: 1 - 2 * lowest / count),
        Mutant("k − 2", theory.coherent_rate, lambda k, mu: theory.rate(1 - (k - 2) * mu, k)),
    ),
    note=(
        "That this λ is an eigenvalue is the spectral theorem, which no proof here needs. What x has outside the span "
        "stays in r, since no correlation sees it. Where the support is left out see MP-5."
    ),
)
