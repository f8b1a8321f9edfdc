"""MP-5: below the coherence bound pursuit picks nothing but the true support, and OMP finds the code."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, Void, at_most
from proofs_check.claims.pursuit.cases import (
    A_STEP_TOO_FEW,
    BELOW,
    SHORT,
    below_bound,
    beside,
    dense,
    from_gram,
    omp,
    outside,
)
from proofs_check.claims.pursuit.inductions import (
    BABEL,
    BOUND,
    COLUMNS,
    FLAT,
    GROWN,
    HOELDER,
    INSIDE,
    LEAST_SQUARES,
    NEW_PICK,
    ONE_CODE,
    PICKS,
    SHARE,
    SPAN,
    TRANSPOSED,
    UPDATED,
)
from proofs_check.claims.pursuit.loops import SIX_STEPS, SQUARES, STEPS
from proofs_check.engines import symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.inductions import STEPPED, UNROLL
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from proofs_check.instances.witnesses import orthonormal_with_rest
from proofs_check.kernel.evaluations import EXACT as EXACTLY
from proofs_check.kernel.evaluations import Draw, Pairs
from workbench.parts import pursuit
from workbench.theory import coherence
from workbench.theory import pursuit as theory
from workbench.theory.ops import FLOAT

_LISTED = 12
"""rows up to which sums of the Gram matrix are taken by the shipped loop"""


def _shares(case: Mixture) -> Tensor:
    """Max over j outside S of |G_S^-1 W_S w_j|_1, by sample; 0 where nothing is outside."""
    used = (case.active != 0)[..., None]
    own = case.rows[case.slots] * used
    inner = own @ own.mT + torch.diag_embed((~used[..., 0]).double())
    share = torch.linalg.solve(inner, own @ case.rows.T).abs().sum(1)
    return torch.where(case.h == 0, share, 0.0).amax(1)


@dataclass(frozen=True, eq=False)
class Rectified(Mixture):
    """Pursued by the rule of released code, max relu(c_j)."""


def _pursuit(case: Mixture) -> pursuit.Path:
    rule = "relu" if isinstance(case, Rectified) else "abs"
    return pursuit.matching_pursuit(case.x, case.rows, 2 * int(case.k.max()), select=rule)


def _passed_over(case: Mixture) -> float:
    """By how much the largest |c| is above that of the picked row, over the steps; a share of |x|."""
    path, left, worst = _pursuit(case), case.x, 0.0
    for index, value in zip(path.indices.T, path.values.T, strict=True):
        c = (left @ case.rows.T).abs()
        missed = c.amax(1) - c.gather(1, index[:, None])[:, 0]
        worst = max(worst, float((missed * (value != 0)).max() / case.x.norm(dim=1).max().clamp_min(1e-300)))
        left = left - value[:, None] * case.rows[index]
    return worst


def _largest(case: Mixture, c: Tensor) -> tuple[Tensor, Tensor]:
    """The largest |c| in S and outside, by sample."""
    inside, off = (torch.where(at, c.abs(), 0.0).amax(1) for at in (case.h != 0, case.h == 0))
    return inside, off


def _after_a_step(case: Mixture, c: Tensor) -> Tensor:
    """Correlations after a step along the best row of S, by the shipped update."""
    best = torch.where(case.h != 0, c.abs(), -1.0).argmax(1, keepdim=True)
    return theory.correlation_after(c, c.gather(1, best), case.rows[best[:, 0]] @ case.rows.T)


def _conclusion(case: Mixture) -> dict[str, Part]:
    c, mu, k = case.x @ case.rows.T, case.coherence, case.k
    inside, off = _largest(case, c)
    left, left_off = _largest(case, _after_a_step(case, c))
    share, flat = _shares(case), theory.outside_share((k - 1) * mu, k * mu)
    path, size = omp(case, "abs"), case.h.abs().amax(1).clamp_min(1e-300)
    found: dict[str, Part] = {
        "outside ≤ share of inside": at_most(off, share * inside, unit=inside.clamp_min(1e-300)),
        "so after a step": at_most(left_off, share * left, unit=inside.clamp_min(1e-300)),
        "share ≤ kμ/(1 − (k − 1)μ)": at_most(share, flat),
        "k ≤ (1 + 1/μ)/2": at_most(k, theory.largest_support(mu)) if mu else Void("μ = 0: no bound"),
        "MP in S": at_most(outside(case, _pursuit(case)), 0.0),
        "OMP in S": at_most(outside(case, path), 0.0),
        "OMP finds h": at_most((dense(path, case.m) - case.h).abs().amax(1), 0.0, unit=size),
        "share ≤ μ₁ form": Void(f"more than {_LISTED} rows"),
    }
    if case.m <= _LISTED:
        products = coherence.gram(case.rows.tolist())
        sums = [theory.cumulative_coherence(products, r) for r in range(int(k.max()) + 1)]
        by_sums = torch.tensor([theory.outside_share(sums[int(r) - 1], sums[int(r)]) for r in k], dtype=torch.float64)
        found["share ≤ μ₁ form"] = at_most(share, by_sums)
        found["μ₁ form ≤ μ form"] = at_most(by_sums, flat)
    return found


def _attained(symbols, ops):
    """Equal codes h on k rows with products -mu, one row with products mu to each of them: c from rows of G."""
    h, mu = symbols("h mu", positive=True)
    for k in range(1, 7):
        inside = [[1 if i == j else -mu for j in range(k)] for i in range(k)]
        *own, out = (sum(g * h for g in row) for row in (*inside, [mu] * k))
        yield from ((out, theory.outside_share((k - 1) * mu, k * mu) * c) for c in own)


def _sorted(draw: Draw) -> Pairs:
    """Babel function of many rows, against sorted sizes."""
    products = draw.rows(draw.n, draw.n)
    for count in (1, draw.n // 2, draw.n - 1):
        sizes = [sorted(abs(g) for j, g in enumerate(row) if j != i)[-count:] for i, row in enumerate(products)]
        yield theory.cumulative_coherence(products, count, ops=EXACTLY), max(map(sum, sizes))


@st.composite
def _hardest(draw):
    k = draw(st.integers(2, 6))
    return beside(k, draw(st.sampled_from([0.1, 0.5, 0.99])) / (2 * k - 1), factor=draw(st.sampled_from([1.0, 3.0])))


UNEVEN = st.just(
    Mixture.exact([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.3, 0.3, 0.82**0.5, 0], [0, 0, 0, 1]], [[1.0, 1, 0, 0]])
)
"""the last row is orthogonal to all"""
LARGEST = Hypothesis("pursuit picks the largest |c|", _passed_over)
THREE = ((1.0, 0.2, -0.2), (0.2, 1.0, 0.2), (-0.2, 0.2, 1.0))
"""products of rows: (2k - 1) mu = .6 for k = 2"""
OVERSHOT = numbers(0.1, 0.9).map(
    lambda t: Rectified.exact(from_gram(torch.tensor(THREE, dtype=torch.float64)), [[1.0, t, 0]])
)
"""the third step picks the third row"""
ABOVE = st.integers(2, 5).map(lambda k: beside(k, 0.5 * (1 / (2 * k - 1) + 1 / k)))

CLAIM = Claim(
    id="MP-5",
    statement=(
        "For unit rows and x = hV with k nonzeros, k < (1 + 1/μ)/2, no row outside the support S correlates with a "
        "residual in span S as much as the best row of S: matching pursuit by |c| stays in S, and orthogonal matching "
        "pursuit finds h in k steps. So it is wherever max_{j∉S}|W_S⁺w_j|₁ < 1; μ₁(k)/(1 − μ₁(k − 1)) bounds that."
    ),
    tex=r"k<\tfrac12\left(1+\tfrac1\mu\right)\;\Rightarrow\;\max_{j\notin S}|c_j|<\max_{i\in S}|c_i|",
    source="Tropp (2004), Greed is good, theorems 3.1, 3.5 and corollary 3.6",
    stated="equivalent",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, BELOW, LARGEST),
    instances=below_bound(),
    conclusion=_conclusion,
    extremal=dict.fromkeys(("outside ≤ share of inside", "share ≤ kμ/(1 − (k − 1)μ)", "share ≤ μ₁ form"), _hardest()),
    controls=(
        Control("unit rows", SHORT, "a row of norm below .6 beside one of norm 1"),
        Control("exact: x = hV", orthonormal_with_rest(), "V = I, x = h + ρ"),
        Control(LARGEST.name, OVERSHOT, "max relu(c_j), though h ≥ 0: an overshoot of h cannot be taken back"),
        Control(BELOW.name, ABOVE, "k rows with products −μ, one with products μ, (2k − 1)μ > 1"),
    ),
    proofs={
        ("outside ≤ share of inside", "so after a step"): (TRANSPOSED, HOELDER, UPDATED),
        "share ≤ kμ/(1 − (k − 1)μ)": SHARE,
        "share ≤ μ₁ form": COLUMNS,
        ("share ≤ μ₁ form", "μ₁ form ≤ μ form"): FLAT,
        "k ≤ (1 + 1/μ)/2": BOUND,
        "MP in S": (*PICKS, SPAN, INSIDE),
        ("OMP in S", "OMP finds h"): (*PICKS, STEPPED, LEAST_SQUARES, *NEW_PICK),
        "OMP finds h": ONE_CODE,
        LOOPS: (GROWN, UNROLL, *BABEL, evaluated("the shipped μ₁, by sorting", _sorted), STEPS, SQUARES),
        BESIDE: symbolic.identity("attained: c_j = share · c_i by rows of G", "k = 1..6, all μ", _attained),
    },
    kernel={BESIDE: ("pursuit.exact_recovery", "coherence.one_sparse_code", "coherence.isometry_codes")},
    mutants=(
        Mutant("1 + (k − 1)μ", theory.outside_share, lambda before, full: full / (1 + before)),
        Mutant("times for over", theory.outside_share, lambda before, full: full * (1 - before)),
        Mutant("(1 + 1/μ)/3", theory.largest_support, lambda mu, *, ops=FLOAT: (1 + ops.ratio(1, mu)) / 3),
        Mutant("the smallest row", theory.cumulative_coherence, lambda g, r, *, ops=None: _smallest(g, r), UNEVEN),
        Mutant("G as the identity", theory.correlation_after, lambda c, a, product: c - a),
        SIX_STEPS,
        A_STEP_TOO_FEW,
    ),
    note=(
        "Steps are by induction: a residual of OMP or MP stays in span S as long as picks do. By relu, with identity "
        "and Hadamard rows, d = 64, k = 4, h ≥ 0, wrong rows are picked in 360 to 399 of 500 samples, by |c| in none; "
        "OMP may pick by signed c where h ≥ 0 (MP-6)."
    ),
    reads=Mixture,
)


def _smallest(products, count):
    sizes = [sorted((abs(g) for j, g in enumerate(row) if j != i), reverse=True) for i, row in enumerate(products)]
    return min(sum(row[:count]) for row in sizes)
