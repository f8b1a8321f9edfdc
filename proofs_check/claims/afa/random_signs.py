"""AFA-8: for random signs the interference of a fixed dictionary has no factor k."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import codes, cones, mostly, numbers, unit_rows
from proofs_check.instances.inductions import OVER_ROWS, UNROLL, pair
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import UNIT_ROWS, overlapping
from workbench.theory import average_case, coherence


@dataclass(frozen=True)
class Signed:
    """One code of absolute values under a list of equally likely sign patterns."""

    rows: Tensor
    h: Tensor
    signs: Tensor

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, |h| {digits(self.h)}, {len(self.signs)} sign patterns"

    @property
    def q(self) -> Tensor:
        """Relative interference of each pattern."""
        h2 = self.h.square().sum()
        return ((self.signs * self.h @ self.rows).square().sum(1) - h2) / h2


def all_signs(k: int) -> Tensor:
    """Every pattern of k signs (2^k, k)."""
    return torch.tensor(list(product((1.0, -1.0), repeat=k)), dtype=torch.float64)


def _conclusion(case: Signed) -> dict[str, Part]:
    h, products = case.h.tolist(), coherence.gram(case.rows.tolist())
    h2, mu = coherence.square_norm(h), max(abs(g) for i, row in enumerate(products) for g in row[:i])
    variance = average_case.random_signs_variance(h, products)
    bound = average_case.random_signs_bound(h2, sum(v**4 for v in h), mu)
    return {
        "mean 0": equal(case.q.mean(), 0),
        "variance": equal(case.q.var(correction=0), variance),
        "no factor k": at_most(variance, bound),
    }


def _enumerate(symbols, ops):
    for k in (2, 3, 4):
        h = symbols(f"h:{k}")
        products = [[symbols(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(k)] for i in range(k)]
        patterns = list(product((1, -1), repeat=k))
        q = [coherence.interference([s * v for s, v in zip(signs, h, strict=True)], products) for signs in patterns]
        yield sum(q) / len(q), 0
        yield (
            sum(v**2 for v in q) / len(q) / coherence.square_norm(h) ** 2,
            average_case.random_signs_variance(h, products),
        )


def _half_the_variance(h, g):
    return (
        2 * sum((h[i] * h[j] * g[i][j]) ** 2 for i in range(len(h)) for j in range(i)) / coherence.square_norm(h) ** 2
    )


def _grows(symbols, ops):
    """The shipped variance times N², by one row: 4 t² w for w = Σ h_i² G_i²."""
    for k in (1, 2, 3, 4):
        h, new, t = symbols(f"h:{k}"), symbols(f"p:{k}"), symbols("t")
        old = [[symbols(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(k)] for i in range(k)]
        longer = [[*row, p] for row, p in zip(old, new, strict=True)] + [[*new, 1]]
        before, after = coherence.square_norm(h), coherence.square_norm([*h, t])
        grown = average_case.random_signs_variance([*h, t], longer) * after**2
        w = sum((v * p) ** 2 for v, p in zip(h, new, strict=True))
        yield grown - average_case.random_signs_variance(h, old) * before**2, 4 * t**2 * w


def _at_numbers(draw):
    """The variance times N² / 2, over ordered pairs."""
    h, rows = [Fraction(v) for v in draw.vector(draw.n)], draw.rows(draw.n, draw.d)
    g = coherence.gram(rows)
    apart = [(i, j) for i in range(draw.n) for j in range(draw.n) if i != j]
    yield (
        average_case.random_signs_variance(h, g) * sum(v * v for v in h) ** 2,
        2 * sum((h[i] * h[j] * g[i][j]) ** 2 for i, j in apart),
    )
    yield g, [[sum(a * b for a, b in zip(v, w, strict=True)) for w in rows] for v in rows]


def _one_sign(unknowns, ops):
    """Mean over one more fair sign of a ± b and of its square, for each pattern of the others."""
    a, b = unknowns("a b")
    return [], [((a + b) + (a - b)) / 2 == a, ((a + b) ** 2 + (a - b) ** 2) / 2 == a * a + b * b]


def _entry(unknowns, ops):
    """E g² of g = Σ s_i h_i G_i is w = Σ h_i² G_i², at most mu² n for n = Σ h_i²."""
    g2, w, n, mu, h, product = unknowns("g2 w n mu h product")
    more = (h * product) ** 2
    after = {"g2": g2 + more, "w": w + more, "n": n + h * h}
    return smt.Invariant([g2 == w, w <= mu * mu * n], after, given=[ops.abs(product) <= mu])


def _row(unknowns, ops):
    """E q, E q² and the variance times N², of one more row with coefficient t and products g, E g² = w."""
    q1, q2, total, h2, h4, mu, t, w = unknowns("q1 q2 total h2 h4 mu t w")
    bound = average_case.random_signs_bound(h2, h4, mu)
    says = [q1 == 0, q2 == total, h2 > 0, total <= bound * h2 * h2]
    after = {"q1": q1 + pair(t, 0), "q2": q2 + pair(t, 1) ** 2 * w, "total": total + 4 * t * t * w}
    after |= {"h2": h2 + t * t, "h4": h4 + t * t * t * t}
    q, variance = coherence.interference([t], [[1]]), average_case.random_signs_variance([t], [[1]])
    start = {"q1": q, "q2": q * q, "total": variance * t**4, "h2": t * t, "h4": t * t * t * t}
    return smt.Invariant(says, after, start, [t != 0, w <= mu * mu * h2])


def _dependence(case: Signed) -> float:
    """Largest |E[s_i s_j]| and |E[s_i s_j s_k s_l]| over distinct indices: all that a variance of q asks of signs."""
    groups = [group for size in (2, 4) for group in combinations(range(len(case.h)), size)]
    return max(float(case.signs[:, group].prod(1).mean().abs()) for group in groups)


FAIR = Hypothesis("signs independent and fair, four by four", _dependence)


def _pairwise_only():
    """Eight patterns with s_4 = s_1 s_2 s_3, rows in a fan: fair and independent by threes, not by four."""
    three = all_signs(3)
    signs = torch.cat((three, three.prod(1, keepdim=True)), 1)

    def fan(angle: float) -> Signed:
        angles = angle * torch.arange(4, dtype=torch.float64)
        return Signed(torch.stack((angles.cos(), angles.sin()), 1), torch.ones(4, dtype=torch.float64), signs)

    return numbers(0.2, 0.7).map(fan)


@st.composite
def _cases(draw, together=False, length=1.0):
    k = draw(st.integers(2, 6) | st.just(10))
    d = draw(mostly(st.integers(1, k - 1), st.integers(1, 8)))
    h = draw(codes(k, active=2)).abs()
    return Signed(length * draw(unit_rows(k, d)), h, all_signs(1).expand(2, k) if together else all_signs(k))


CLAIM = Claim(
    id="AFA-8",
    statement=(
        "For fixed unit rows and independent fair signs of h, q/N has mean 0 and variance 4 Σ_{i<j} "
        "h_i²h_j²G_ij²/N² ≤ 2μ²(1 − Σh_i⁴/N²): about √2 μ, where the worst case is μ(k − 1)."
    ),
    tex=r"\mathrm{Var}(q/N)=\frac{2}{N^2}\sum_{i\neq j}h_i^2h_j^2G_{ij}^2\leq 2\mu^2\left(1-\sum_ih_i^4/N^2\right)",
    source="ours: products of distinct pairs of signs are uncorrelated",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, FAIR),
    instances=_cases(),
    nontrivial=lambda case: len(case.h) > case.rows.shape[1] and overlapping(case.rows[case.h != 0]),
    conclusion=_conclusion,
    extremal={"no factor k": cones().map(lambda case: Signed(case.rows, case.h[0], all_signs(case.m)))},
    controls=(
        Control(FAIR.name, _cases(together=True), "one sign for all: q keeps its sign, the mean is q"),
        Control(FAIR.name, _pairwise_only(), "fair and independent by threes only: the variance is another"),
        Control("unit rows", _cases(length=2.0), "rows of length 2"),
    ),
    proofs={
        LOOPS: (
            UNROLL,
            symbolic.identity("the shipped variance grows by one row's share", "k = 1..4", _grows),
            evaluated("the shipped variance adds up all pairs", _at_numbers),
        ),
        BESIDE: symbolic.identity("mean and variance over all sign patterns", "k = 2..4", _enumerate),
        ("mean 0", "variance", "no factor k"): (
            smt.implies("means over one more sign", "all reals", _one_sign),
            smt.induction("E(Σ s_i h_i G_i)² = Σ h_i² G_i² ≤ μ²N", "all k: induction over entries", _entry),
            smt.induction("E q = 0, E q² is N² times the variance, at most the bound", OVER_ROWS, _row),
        ),
    },
    kernel={BESIDE: "coherence.interference_identity"},
    mutants=(
        Mutant("2 for 4 in the variance", average_case.random_signs_variance, _half_the_variance),
        Mutant("μ² for 2μ²", average_case.random_signs_bound, lambda h2, h4, mu: mu**2 * (1 - h4 / h2**2)),
        Mutant("without the fourth moment", average_case.random_signs_bound, lambda h2, h4, mu: 2 * mu * mu),
    ),
    shown_by="experiments/afa/bounds.py",
)
