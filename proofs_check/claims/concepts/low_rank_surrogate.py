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


def _entry(unknowns, ops):
    """Of <a, b> and |a|^2, |b|^2 so far; entries x, y come."""
    product, left, right, x, y = unknowns("product left right x y")
    after = {"product": product + x * y, "left": left + x * x, "right": right + y * y}
    return smt.Invariant([product <= theory.factored(left, right)], after)


def _vector(unknowns, ops):
    """Singular values s = <P^T u, Q v> so far, and the square norms of the P^T u and Q v; the next ones come."""
    total, left, right, s, a, b = unknowns("total left right s a b")
    after = {"total": total + s, "left": left + a, "right": right + b}
    return smt.Invariant([total <= theory.factored(left, right)], after, given=[s <= theory.factored(a, b)])


def _taken(unknowns, ops):
    """A unit u at right angles to those before takes <u, p>^2 of |p|^2; what is left over is a square."""
    whole, taken, left, along, after = unknowns("whole taken left along after")
    given = [after == left - 2 * along * along + along * along, after >= 0]
    moved = {"taken": taken + along * along, "left": after}
    return smt.Invariant([whole == taken + left], moved, {"left": whole}, given, [taken + along * along <= whole])


def _bounded(unknowns, ops):
    """The square norms of the P^T u are at most |P|_F^2, those of the Q v at most |Q|_F^2."""
    total, left, right, p, q = unknowns("total left right p q")
    return [total <= theory.factored(left, right), left <= p, right <= q], [total <= theory.factored(p, q)]


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
    nontrivial=lambda case: case.left.shape[1] > 1,
    conclusion=_conclusion,
    extremal={"surrogate": _factors(balanced=True)},
    controls=(Control(PRODUCT.name, _factors(off=10.0), "another matrix"),),
    proofs={
        "surrogate": (
            smt.induction("⟨a, b⟩ ≤ (|a|² + |b|²)/2", "all r: induction over entries", _entry),
            smt.induction("Σ σ, by σ = ⟨Pᵀu, Qv⟩", "all ranks: induction over singular vectors", _vector),
            smt.induction("Σ ⟨u, p⟩² ≤ |p|²", "all ranks: induction over orthonormal u", _taken),
            smt.implies("by Frobenius norms", "all sizes", _bounded),
        )
    },
    mutants=(
        Mutant("a third", theory.factored, lambda a, b: (a + b) / 3),
        Mutant("Frobenius in place of nuclear", objectives.nuclear_norm, lambda left, right: (left @ right).norm()),
    ),
    shown_by="experiments/concepts/saes.py",
)
