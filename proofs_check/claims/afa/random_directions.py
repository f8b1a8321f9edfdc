"""AFA-7: for random directions |x| is |h| to within a relative sqrt(2/d), whatever the number of features."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import sympy
import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import (
    BESIDE,
    LOOPS,
    Claim,
    Control,
    Hypothesis,
    Mutant,
    Part,
    Verdict,
    at_most,
    digits,
    mean_is,
)
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import DRAWS, SEEDS, codes
from proofs_check.instances.inductions import OVER_ROWS, UNROLL, pair
from workbench.theory import average_case, coherence


@dataclass(frozen=True)
class Draws:
    """q / N of one code under many dictionaries drawn from a family."""

    h: Tensor
    d: int
    family: S.RandomSphere | S.CommonMean
    seed: int

    def __str__(self) -> str:
        return f"h {digits(self.h)}, {DRAWS} dictionaries of {self.family} in d = {self.d}, seed {self.seed}"

    @cached_property
    def rows(self) -> Tensor:
        """Those of each dictionary (draws, k, d)."""
        rng = S.stream(self.seed, "claim")
        return self.family.draw(DRAWS * len(self.h), self.d, rng).view(DRAWS, len(self.h), self.d)

    @cached_property
    def q(self) -> Tensor:
        """Relative interference of each draw."""
        h2 = self.h.square().sum()
        return (torch.einsum("k,nkd->nd", self.h, self.rows).square().sum(1) - h2) / h2

    @property
    def off_uniform(self) -> float:
        """By how much the mean direction is longer than that of uniform draws would be, but for once in 1e11."""
        rows = self.rows.flatten(0, 1)
        return max(float(rows.mean(0).norm()) - 7 / len(rows) ** 0.5, 0.0)


def _conclusion(case: Draws) -> dict[str, Part]:
    h2, h4 = case.h.square().sum(), case.h.pow(4).sum()
    predicted = average_case.random_directions_variance(h2, h4, case.d)
    return {
        "mean 0": mean_is(case.q, 0.0, sees=0.25),
        "variance": mean_is(case.q.square(), predicted, sees=1.0),
        "variance ≤ 2/d": at_most(predicted, 2 / case.d),
    }


def _moment(symbols, ops):
    """E[v_1] = 0 and E[v_1²] = 1/d on the sphere, by integration over the angle to the first axis."""
    u = sympy.symbols("u", real=True)
    for d in (2, 3, 4, 5, 6, 8):
        weight = sympy.sin(u) ** (d - 2)
        whole = sympy.integrate(weight, (u, 0, sympy.pi))
        yield sympy.integrate(weight * sympy.cos(u), (u, 0, sympy.pi)) / whole, 0
        yield sympy.integrate(weight * sympy.cos(u) ** 2, (u, 0, sympy.pi)) / whole, sympy.Rational(1, d)


def _expansion(symbols, ops):
    """E[q²] over the products G_ij: squares have mean 1/d, mixed products mean 0."""
    d = symbols("d", positive=True)
    for k in (2, 3, 4):
        h = symbols(f"h:{k}")
        pairs = {pair: sympy.Symbol(f"g{pair[0]}{pair[1]}") for pair in combinations(range(k), 2)}
        products = [[pairs.get((min(i, j), max(i, j)), 1) for j in range(k)] for i in range(k)]
        q = sympy.Poly(coherence.interference(h, products), *pairs.values())
        second = sum(c / d for power, c in (q**2).terms() if max(power) == 2)
        h2 = coherence.square_norm(h)
        yield second / h2**2, average_case.random_directions_variance(h2, sum(v**4 for v in h), d)


def _symmetry(unknowns, ops):
    """E v_a = m, E v_a v_b = c, E v_a² = s: uniform laws know no sign and no order of coordinates, and |v| = 1."""
    m, c, s, total, d = unknowns("m c s total d")
    given = [m == -m, c == -c, total == d * s, total == 1, d >= 1]
    return given, [m == 0, c == 0, s == 1 / d]


def _coordinate(unknowns, ops):
    """G = <x, v> for v independent of x, and of q: E G, E qG, E G² of one more coordinate x_a v_a.

    x1 = E x_a, qx = E q x_a, x2 = E x_a², cross the sum of E x_a x_b over those before.
    """
    eg, eqg, eg2, ex2, x1, qx, x2, cross, m, c, s = unknowns("eg eqg eg2 ex2 x1 qx x2 cross m c s")
    after = {"eg": eg + x1 * m, "eqg": eqg + qx * m, "eg2": eg2 + x2 * s + 2 * cross * c, "ex2": ex2 + x2}
    return smt.Invariant([eg == 0, eqg == 0, eg2 == s * ex2], after, given=[m == 0, c == 0])


def _row(unknowns, ops):
    """E q, E q² and E|x|² of one more row with coefficient t and product g = <x, v>."""
    q1, q2, x2, h2, h4, d, t, eg, eqg, eg2 = unknowns("q1 q2 x2 h2 h4 d t eg eqg eg2")
    says = [q1 == 0, x2 == h2 + q1, h2 > 0]
    says += [q2 == average_case.random_directions_variance(h2, h4, d) * h2 * h2]
    after = {"q1": q1 + pair(t, eg), "q2": q2 + 2 * pair(t, eqg) + pair(t, 1) ** 2 * eg2}
    after |= {"x2": x2 + pair(t, eg) + t * t, "h2": h2 + t * t, "h4": h4 + t * t * t * t}
    q = coherence.interference([t], [[1]])
    start = {"q1": q, "q2": q * q, "x2": t * t, "h2": t * t, "h4": t * t * t * t}
    return smt.Invariant(says, after, start, [t != 0, d >= 1, eg == 0, eqg == 0, eg2 == x2 / d])


def _at_most(unknowns, ops):
    h2, h4, d = unknowns("h2 h4 d")
    return [h2 > 0, h4 >= 0, d > 0], [average_case.random_directions_variance(h2, h4, d) <= 2 / d]


UNIFORM = Hypothesis("directions independent and uniform", lambda case: case.off_uniform)


def _cases(family):
    return st.builds(Draws, st.integers(2, 6).flatmap(lambda k: codes(k, active=2)), st.integers(2, 24), family, SEEDS)


CLAIM = Claim(
    id="AFA-7",
    statement=(
        "For a fixed code and independent uniform unit rows, q/|h|² has mean 0 and variance (2/d)(1 − Σh_i⁴/|h|⁴) ≤ "
        "2/d: a relative error √(2/d) that knows neither n nor k."
    ),
    tex=r"\mathrm{Var}\left(\|x\|^2/\|h\|^2\right)=\frac{2}{d}\left(1-\frac{\sum_ih_i^4}{\|h\|^4}\right)",
    source="ours: E[G_ij] = 0, E[G_ij²] = 1/d, distinct pairs uncorrelated",
    kind="rate",
    promised=Verdict.PROVED,
    hypotheses=(UNIFORM,),
    instances=_cases(st.just(S.RandomSphere())),
    nontrivial=lambda case: case.h.count_nonzero() > 1 and case.d > 1,
    conclusion=_conclusion,
    controls=(
        Control(UNIFORM.name, _cases(st.just(S.CommonMean(0.5))), "rows that share a direction: mean 1/2 per pair"),
    ),
    proofs={
        LOOPS: UNROLL,
        ("mean 0", "variance"): (
            smt.implies("E v = 0 and E vᵀv = I/d", "all d: signs, order and length of v", _symmetry),
            smt.induction(
                "E G = E qG = 0 and E G² = E|x|²/d for G = ⟨x, v⟩",
                "all d: induction over coordinates",
                _coordinate,
            ),
            smt.induction("E q, E|x|² and E q²", OVER_ROWS, _row),
        ),
        "variance ≤ 2/d": smt.implies("variance ≤ 2/d", "all k, d", _at_most),
        BESIDE: (
            symbolic.identity("E[v_1] = 0 and E[v_1²] = 1/d by integration", "d = 2..6 and 8", _moment),
            symbolic.identity("E[q²] from the moments of the products", "k = 2..4", _expansion),
        ),
    },
    kernel={BESIDE: "coherence.interference_identity"},
    mutants=(
        Mutant("1/d for 2/d", average_case.random_directions_variance, lambda h2, h4, d: (1 - h4 / (h2 * h2)) / d),
        Mutant("without the fourth moment", average_case.random_directions_variance, lambda h2, h4, d: 2 / d),
        Mutant(
            "d − 1 for d", average_case.random_directions_variance, lambda h2, h4, d: 2 * (1 - h4 / h2**2) / (d - 1)
        ),
    ),
    note=(
        "Of the uniform law the proof uses that v keeps its law under changes of sign and order of coordinates, and "
        "that |v| = 1; of independence, that the mean of a product is the product of means."
    ),
    shown_by="experiments/afa/bounds.py",
)
