"""AFA-9: for independent nonnegative codes the mean of the dictionary sets the systematic bias."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Relation, Verdict, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, unit_rows
from proofs_check.instances.inductions import UNROLL, pair
from proofs_check.instances.mixture import UNIT_ROWS
from workbench.theory import average_case, coherence


@dataclass(frozen=True)
class Firing:
    """All codes of n entries that are 0, `low` or `high`, and the chance of each code."""

    rows: Tensor
    rate: float
    low: float
    high: float
    share: float
    """chance of `high` where an entry fires"""
    together: bool = False
    """all entries fire at once"""

    def __str__(self) -> str:
        joint = ", all at once" if self.together else ""
        law = f"rate {self.rate:g}, values {self.low:.4g} or {self.high:.4g} (share {self.share:g}){joint}"
        return f"rows {digits(self.rows)}, {law}"

    @property
    def codes(self) -> tuple[Tensor, Tensor]:
        """Codes (c, n) and their chances (c,)."""
        law = ((0.0, 1 - self.rate), (self.low, self.rate * (1 - self.share)), (self.high, self.rate * self.share))
        n = len(self.rows)
        chosen = [(entry,) * n for entry in law] if self.together else list(product(law, repeat=n))
        values = torch.tensor([[value for value, _ in code] for code in chosen], dtype=torch.float64)
        weights = torch.tensor([[chance for _, chance in code] for code in chosen], dtype=torch.float64)
        return values, weights[:, 0] if self.together else weights.prod(1)

    @property
    def dependence(self) -> float:
        """Largest |E[h_i h_j] - E[h_i] E[h_j]| over pairs."""
        h, chance = self.codes
        mean = chance @ h
        return float(((h.T * chance) @ h - torch.outer(mean, mean)).fill_diagonal_(0).abs().max())


def _conclusion(case: Firing) -> Relation:
    h, chance = case.codes
    measured = chance @ (h @ case.rows).square().sum(1) / (chance @ h.square().sum(1))
    mean = case.share * case.high + (1 - case.share) * case.low
    second = case.share * case.high**2 + (1 - case.share) * case.low**2
    total = float(case.rows.sum(0).square().sum())
    return equal(measured, average_case.independent_code_ratio(case.rate, mean, second, total, len(case.rows)))


def _enumerate(symbols, ops):
    """All codes of two and three entries, magnitudes low or high, unit rows by their products."""
    rate, low, high, share = symbols("rate low high share", positive=True)
    law = ((0, 1 - rate), (low, rate * (1 - share)), (high, rate * share))
    mean, second = share * high + (1 - share) * low, share * high**2 + (1 - share) * low**2
    for n in (2, 3):
        products = [[symbols(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(n)] for i in range(n)]
        top = bottom = 0
        for code in product(law, repeat=n):
            h, chance = [value for value, _ in code], 1
            for _, factor in code:
                chance = chance * factor
            top = top + chance * (coherence.square_norm(h) + coherence.interference(h, products))
            bottom = bottom + chance * coherence.square_norm(h)
        total = n + coherence.interference([1] * n, products)
        yield top / bottom, average_case.independent_code_ratio(rate, mean, second, total, n)


def _product(unknowns, ops):
    """E<x, v> = Σ_i E[h_i] G_i = p E[m] s for s = Σ_i G_i: one more term."""
    eg, s, rate, mean, product = unknowns("eg s p mean product")
    return smt.Invariant([eg == rate * mean * s], {"eg": eg + rate * mean * product, "s": s + product})


def _row(unknowns, ops):
    """E|x|², E|h|² and |Σ v_i|² of one more row v, <Σ v_i, v> = s; its entry t is independent of x."""
    top, bottom, total, n, s, eg, rate, mean, second = unknowns("top bottom total n s eg p mean second")
    ratio = average_case.independent_code_ratio(rate, mean, second, total, n)
    says = [top == ratio * bottom, bottom == n * rate * second, n >= 1]
    after = {"top": top + pair(rate * mean, eg) + rate * second, "bottom": bottom + rate * second}
    after |= {"total": total + pair(1, s) + 1, "n": n + 1}
    start = {"top": rate * second, "bottom": rate * second, "total": 1, "n": 1}
    return smt.Invariant(says, after, start, [rate > 0, second > 0, eg == rate * mean * s])


INDEPENDENT = Hypothesis("entries independent", lambda case: case.dependence)


@st.composite
def _cases(draw, together=False, length=1.0):
    n = draw(st.integers(2, 5))
    d = draw(mostly(st.integers(1, n - 1), st.integers(1, 6)))
    values = draw(numbers(0.1, 3)), draw(numbers(0.1, 3))
    rate, share = (float(Fraction(draw(st.integers(1, 9)), 10)) for _ in range(2))
    return Firing(length * draw(unit_rows(n, d)), rate, *values, share, together)


CLAIM = Claim(
    id="AFA-9",
    statement=(
        "For unit rows and independent h_i = Bernoulli(p) m_i: E|x|²/E|h|² = 1 + p E[m]²/E[m²] (|Σv_i|²/n − 1). A "
        "centred dictionary over-activates a little; a common direction under-activates."
    ),
    tex=r"\frac{E\|x\|^2}{E\|h\|^2}=1+p\,\frac{E[m]^2}{E[m^2]}\left(\frac{\|\sum_iv_i\|^2}{n}-1\right)",
    source="ours: E[h_i h_j] = p² E[m]² for i ≠ j",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, INDEPENDENT),
    instances=_cases(),
    nontrivial=lambda case: len(case.rows) > case.rows.shape[1],
    conclusion=_conclusion,
    controls=(
        Control(INDEPENDENT.name, _cases(together=True), "all entries fire together, with one magnitude"),
        Control("unit rows", _cases(length=2.0), "rows of length 2"),
    ),
    proofs={
        LOOPS: UNROLL,
        BESIDE: symbolic.identity("expectation over all codes", "n = 2, 3; two magnitudes", _enumerate),
        "": (
            smt.induction("E⟨x, v⟩ = p E[m]⟨Σ v_i, v⟩", "all n: induction over rows", _product),
            smt.induction("E|x|² is the ratio times E|h|²", "all n: induction over rows", _row),
        ),
    },
    kernel={BESIDE: "coherence.interference_identity"},
    mutants=(
        Mutant(
            "p² for p", average_case.independent_code_ratio, lambda p, a, b, s, n: 1 + p * p * a * a / b * (s / n - 1)
        ),
        Mutant("without − 1", average_case.independent_code_ratio, lambda p, a, b, s, n: 1 + p * a * a / b * (s / n)),
        Mutant(
            "E[m] for E[m]²", average_case.independent_code_ratio, lambda p, a, b, s, n: 1 + p * a / b * (s / n - 1)
        ),
    ),
    note="Only E[m] and E[m²] of the magnitudes enter, and that means of independent entries multiply.",
)
