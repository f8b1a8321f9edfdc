"""DC-2: the diversity matrix has rank l - 1 at most, reached where tokens reveal configurations."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits
from proofs_check.claims.concepts.cases import predicted
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from synthetic.concepts.activations import numerical_rank
from workbench.theory import concepts as theory


@dataclass(frozen=True, eq=False)
class Diversity:
    """p(c|y) of a model's tokens."""

    rows: Float[Tensor, "t l"]

    def __str__(self) -> str:
        return f"p(c|y) {digits(self.rows)}"

    @property
    def nontrivial(self) -> bool:
        """Three configurations or more that tokens tell apart."""
        return int(torch.linalg.matrix_rank(self.rows)) > 2

    @property
    def matrix(self) -> Float[Tensor, "t1 l"]:
        """L transposed: one row for each token but the first."""
        first = list(self.rows[0])
        return torch.stack([torch.stack(theory.difference(list(row), first)) for row in self.rows[1:]])


def _conclusion(case: Diversity) -> dict[str, Part]:
    found, cells = case.matrix, case.rows.shape[1]
    return {
        "1ᵀL = 0": at_most(found.sum(1).abs().max(), 1e-14, unit=1e-14),
        "rank L": at_most(numerical_rank(torch.linalg.svdvals(found)), theory.largest_rank(cells)),
    }


def _entry(unknowns, ops):
    """Sums a, b of two rows so far and `total` of their difference; entries x, y come."""
    a, b, total, x, y = unknowns("a b total x y")
    after = {"a": a + x, "b": b + y, "total": total + theory.difference([x], [y])[0]}
    return smt.Invariant([total == a - b], after, {"total": sum(theory.difference([], []))})


def _long(draw):
    one, other = draw.vector(draw.n), draw.vector(draw.n)
    yield theory.difference(one, other), [a - b for a, b in zip(one, other, strict=True)]


def _singular(symbols, ops):
    """det L = 0 for l x l, columns from l + 1 tokens."""
    import sympy

    for cells in (2, 3):
        rows = []
        for token in range(cells + 1):
            free = symbols(f"p{token}_:{cells - 1}")
            rows.append([*free, 1 - sum(free)])
        yield sympy.Matrix([theory.difference(row, rows[0]) for row in rows[1:]]).det(), 0


DISTRIBUTIONS = Hypothesis("each p(·|y) sums to 1", lambda case: (case.rows.sum(1) - 1).abs().max())
TOKENS = st.sampled_from([S.JointRevealing(), S.JointRevealing(2), S.ConceptTyped(), S.Homonyms(), S.Generic(20)])


def diverse(tokens=TOKENS, scaled=False):
    """Matrices of drawn models; `scaled`: p(c|y) times numbers of its own."""

    def of(case):
        rows = case.model.token_posterior
        factor = torch.rand(len(rows), 1, generator=S.stream(case.concepts.seed, "scale"), dtype=torch.float64) + 0.5
        return Diversity(rows * factor if scaled else rows)

    return predicted(tokens).map(of)


COLUMNS = smt.induction("a column sums to 1 − 1", "all l: induction over entries", _entry)
SINGULAR = symbolic.identity("det L = 0", "l = 2, 3 from l + 1 tokens", _singular)
LONG = evaluated("difference, as defined", _long)

CLAIM = Claim(
    id="DC-2",
    statement=(
        "Columns p(c|y_j) − p(c|y_0) of L sum to 0, so that A = (L̂ᵀ)⁻¹Lᵀ sends constants to 0: L has rank l − 1 at "
        "most. Models drawn with tokens that reveal configurations have that rank."
    ),
    tex=r"\mathbf 1^\top L=0,\quad \mathrm{rank}\,L\leq l-1,\quad A\mathbf 1=0",
    source="ours, of the diversity condition of Liu et al. (2025), arXiv 2503.08980, as reported by readers",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(DISTRIBUTIONS,),
    instances=diverse(),
    conclusion=_conclusion,
    extremal={"rank L": diverse(st.just(S.JointRevealing()))},
    controls=(Control(DISTRIBUTIONS.name, diverse(st.just(S.Generic(20)), scaled=True), "rows of any length"),),
    proofs={"1ᵀL = 0": COLUMNS, LOOPS: LONG, BESIDE: SINGULAR},
    mutants=(
        Mutant("twice the first", theory.difference, lambda a, b: [2 * x - y for x, y in zip(a, b, strict=True)]),
        Mutant("rank l − 2", theory.largest_rank, lambda cells: cells - 2),
    ),
)
