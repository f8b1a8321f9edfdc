"""DC-18: "if L is invertible, l x l, x determines log p(c|s)": no model has such an L."""

import torch
from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.diversity_matrix import COLUMNS, DISTRIBUTIONS, LONG, Diversity, diverse
from proofs_check.engines import smt
from workbench.theory import concepts as theory


def _conclusion(case: Diversity) -> dict[str, Part]:
    """The inverse tried is Moore's and Penrose's, the nearest there is."""
    found = case.matrix
    off = torch.linalg.pinv(found) @ found - torch.eye(found.shape[1], dtype=found.dtype)
    return {"1 ≤ |row of BLᵀ − I|₁": at_most(1.0, off.abs().sum(1))}


def _token(unknowns, ops):
    """The sum over c of a row of B L^T: each token adds its entry of B times the sum of its column of L, which is 0."""
    total, b, column = unknowns("total b column")
    return smt.Invariant([total == 0], {"total": total + b * column}, given=[column == 0])


def _cell(unknowns, ops):
    size, total, x = unknowns("size total x")
    return smt.Invariant([ops.abs(total) <= size], {"total": total + x, "size": size + ops.abs(x)})


def _apart(unknowns, ops):
    """Of B L^T less a row of I, whose entries sum to 1."""
    size, total, product = unknowns("size total product")
    return [ops.abs(total) <= size, product == 0, total == product - 1], [size >= 1]


CLAIM = Claim(
    id="DC-18",
    statement=(
        "In v1 to v3 of the paper, as reported: for l + 1 tokens with L̂ and L invertible, x = A log p(c|s) + b with an "
        "invertible A. True and never binding: columns of L sum to 0, so every row of BLᵀ − I has ℓ1 norm 1 at least, "
        "whatever B, and no model meets the condition. The l − 1 contrasts log p(c|s) − log p(c_0|s) repair it: DC-2, "
        "DC-3, DC-4."
    ),
    tex=r"L\in\mathbb R^{l\times l}\ \text{invertible}\Rightarrow\dots,\qquad"
    r"\text{but }\|(BL^\top-I)_{c\cdot}\|_1\geq1",
    source="Liu et al. (2025), arXiv 2503.08980 v1 to v3, Theorem 3.1 and its condition, as reported by readers",
    kind="vacuous",
    promised=Verdict.VACUOUS,
    hypotheses=(DISTRIBUTIONS,),
    instances=diverse(),
    conclusion=_conclusion,
    extremal={"1 ≤ |row of BLᵀ − I|₁": diverse(st.just(S.JointRevealing()))},
    controls=(Control(DISTRIBUTIONS.name, diverse(st.just(S.Generic(20)), scaled=True), "rows of any length"),),
    proofs={
        "1 ≤ |row of BLᵀ − I|₁": (
            COLUMNS,
            smt.induction("rows of BLᵀ sum to 0", "all l: induction over tokens", _token),
            smt.induction("|Σ x| ≤ Σ|x|", "all l: induction over entries", _cell),
            smt.implies("those of BLᵀ − I to −1", "all l", _apart),
        ),
        LOOPS: LONG,
    },
    mutants=(
        Mutant("twice the first", theory.difference, lambda a, b: [2 * x - y for x, y in zip(a, b, strict=True)]),
    ),
    witness="tokens that reveal the configuration: no more than 1",
    note="The abstracts of v1 to v3 say an invertible linear transformation, that of v4 says a linear one.",
)
