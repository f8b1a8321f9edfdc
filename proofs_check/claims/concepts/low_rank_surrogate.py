"""DC-17: the factored penalty bounds the nuclear norm from above, and equals it at balanced factors."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import SMALL
from proofs_check.engines import smt
from workbench.parts import objectives
from workbench.theory import concept_probes as theory


@dataclass(frozen=True, eq=False)
class Factors:
    """P, Q and a matrix R, their product."""

    left: Float[Tensor, "n r"]
    right: Float[Tensor, "r m"]
    product: Float[Tensor, "n m"]

    def __str__(self) -> str:
        return f"factors {tuple(self.left.shape)}, {tuple(self.right.shape)}"


def _conclusion(case: Factors) -> dict[str, Part]:
    whole = torch.linalg.svdvals(case.product).sum()
    size = torch.maximum(whole, torch.tensor(1e-12).double())
    return {
        "surrogate": at_most(whole, objectives.factored_norm(case.left, case.right), unit=size),
        "thin nuclear norm": equal(objectives.nuclear_norm(case.left, case.right), whole, unit=size),
    }


@st.composite
def _factors(draw, balanced=False, off=0.0):
    rng = S.stream(draw(SMALL), "claim/factors")
    n, r, m = draw(st.integers(2, 8)), draw(st.integers(1, 3)), draw(st.integers(2, 8))
    left, right = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((n, r), (r, m)))
    left = left * draw(st.sampled_from([0.1, 1.0, 10.0]))
    if balanced:
        left, right = objectives.balanced(left, right)
    spare = torch.randn(n, m, generator=rng, dtype=torch.float64)
    return Factors(left, right, left @ right + off * float(left.norm() * right.norm()) * spare)


def _rank_one(unknowns, ops):
    """|a b^T|_* = |a| |b|."""
    a, b, n = unknowns("a b n")
    return [a >= 0, b >= 0, n >= 0, n * n == a * b], [
        n <= theory.factored(a, b),
        (n < theory.factored(a, b)) == (a != b),
    ]


PRODUCT = Hypothesis("R = PQ", lambda case: (case.product - case.left @ case.right).abs().max())

CLAIM = Claim(
    id="DC-17",
    statement=(
        "|PQ|_* ≤ (|P|_F² + |Q|_F²)/2, equal at the balanced factors U√S, √S Vᵀ: what a structured SAE may weigh in "
        "place of the nuclear norm of its low-rank part. Whether it then finds correlated concepts better than TopK is "
        "an experiment's question, and reported there."
    ),
    tex=r"\|PQ\|_*\leq\tfrac12\left(\|P\|_F^2+\|Q\|_F^2\right)",
    source="Srebro, Rennie, Jaakkola (2004), maximum-margin matrix factorization",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(PRODUCT,),
    instances=_factors(),
    conclusion=_conclusion,
    extremal={"surrogate": _factors(balanced=True)},
    controls=(Control(PRODUCT.name, _factors(off=10.0), "another matrix"),),
    proofs={"surrogate": smt.implies("the surrogate, equal where |P| = |Q|", "rank 1", _rank_one)},
    mutants=(
        Mutant("a third", theory.factored, lambda a, b: (a + b) / 3),
        Mutant("Frobenius in place of nuclear", objectives.nuclear_norm, lambda left, right: (left @ right).norm()),
    ),
    shown_by="experiments/concepts/saes.py",
)
