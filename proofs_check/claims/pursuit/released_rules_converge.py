"""MP-12: that the convergence proved for max |c_j| is that of released code, which picks max c_j or relu(c_j)."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Mutant, Part, Sentence, Verdict, at_most
from proofs_check.claims.pursuit.cases import IN_SPAN, UNIT, Greedy, greedy, of
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from proofs_check.instances.mixture import Mixture, overlapping
from workbench.theory import pursuit as theory


def _conclusion(case: Greedy) -> Part:
    values = torch.linalg.eigvalsh(case.rows @ case.rows.T)
    lowest = values[values > 1e-12 * len(values)].min()
    bound = theory.rate(lowest, len(case.rows)) ** case.steps * case.energies[:, 0]
    return at_most(case.energies[:, -1], bound, unit=case.size)


def _moves(unknowns, ops):
    """Rows (1, 0) and (3/5, 4/5): at every r other than 0 some row correlates above 0."""
    r1, r2 = unknowns("r1 r2")
    largest = ops.larger(r1, ops.num("3/5") * r1 + ops.num("4/5") * r2)
    return [r1 * r1 + r2 * r2 > 0], [largest > 0]


def _reached(unknowns, ops):
    """From x = w_1 + e w_2, in their cone, two steps lead to a residual at which no correlation is above 0."""
    e, c = unknowns("e c")
    first = theory.correlation_after(1 + e * c, 1 + e * c, 1), theory.correlation_after(e + c, 1 + e * c, c)
    second = theory.correlation_after(first[0], first[1], c), theory.correlation_after(first[1], first[1], 1)
    return [e > 0, e <= 1, c > 0, c < 1, first[1] > 0], [ops.larger(*second) > 0]


@st.composite
def cones(draw):
    """x = w_1 + e w_2 on two rows with product c."""
    c, e = draw(st.just(0.5) | numbers(0.1, 0.9)), draw(st.just(0.5) | numbers(0.1, 1.0))
    mixture = Mixture.exact([[1.0, 0], [c, (1 - c * c) ** 0.5]], [[1.0, e]])
    return of(mixture, 200, select=draw(st.sampled_from(["relu", "max"])))


def _long(size: float) -> st.SearchStrategy[Greedy]:
    return greedy([[size, 0], [0, size]], [1.0, 0.5], select="relu")


def _outside(rest: float) -> st.SearchStrategy[Greedy]:
    return greedy([[1.0, 0]], [1.0, rest], select="relu")


HOLDS = of(Mixture.exact(torch.eye(3), [[1.0, 1, 1]]), 1, select="relu")
"""orthonormal rows, equal codes"""

CLAIM = Claim(
    id="MP-12",
    statement=(
        "A reading: the encoder as released converges to the projection of x, at the rate 1 − λ/m. For max |c_j| that "
        "is true (MP-4). Released rules pick max relu(c_j) or max c_j: both stop where max c_j = 0, at r ≠ 0 even for "
        "x in the cone of the rows."
    ),
    tex=r"\|r_T\|^2\leq(1-\lambda/m)^T\|x\|^2\ \text{ for }\ j=\mathrm{arg}\,\max_jc_j",
    source="ours; the rules are those of the public code of Costa et al. (2025), arXiv 2506.03093",
    kind="refuted",
    promised=Verdict.FAILS,
    refutes=Sentence(
        words="proposition C.3, that the pursuit converges to the projection of x, holds of the encoder as released",
        version="NeurIPS 2025, read whole but for displayed formulas; the proposition itself is true for max |c_j|",
        against="reading",
    ),
    hypotheses=(UNIT, IN_SPAN),
    instances=cones(),
    nontrivial=lambda case: overlapping(case.rows),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", numbers(1.45, 1.9).flatmap(_long), "rows of norm above √2: each step overshoots"),
        Control(IN_SPAN.name, numbers(0.1, 2).flatmap(_outside), "x in part outside the span"),
    ),
    proofs=(
        smt.implies("some row correlates above 0 at every r ≠ 0", "two rows with product 3/5", _moves),
        smt.implies("the third step from x = w₁ + e w₂ moves", "two rows", _reached),
    ),
    mutants=(Mutant("twice as fast", theory.rate, lambda lowest, count: 1 - 2 * lowest / count, st.just(HOLDS)),),
    note="max c_j still moves where all c_j < 0, relu does not; neither moves from the residual of claim MP-16.",
)
