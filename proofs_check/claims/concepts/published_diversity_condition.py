"""DC-18: "if L is invertible, l x l, x determines log p(c|s)": no model has such an L."""

from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import LOOPS, Claim, Control, Mutant, Part, Verdict
from proofs_check.claims.concepts.diversity_matrix import (
    COLUMNS,
    DISTRIBUTIONS,
    LONG,
    SINGULAR,
    WIDTH,
    Diversity,
    diverse,
)
from proofs_check.claims.concepts.diversity_matrix import _conclusion as _rank
from workbench.theory import concepts as theory


def _conclusion(case: Diversity) -> dict[str, Part]:
    return {"rank L, of l": _rank(case)["rank L"]}


CLAIM = Claim(
    id="DC-18",
    statement=(
        "In v1 to v3 of the paper, as reported: for l + 1 tokens with L̂ and L invertible, x = A log p(c|s) + b with an "
        "invertible A. True and never binding: L has rank l − 1 at most, so no model meets the condition. The l − 1 "
        "contrasts log p(c|s) − log p(c_0|s) repair it: DC-2, DC-3, DC-4."
    ),
    tex=r"L\in\mathbb R^{l\times l}\ \text{invertible}\Rightarrow\dots,\qquad\text{but }\mathrm{rank}\,L\leq l-1",
    source="Liu et al. (2025), arXiv 2503.08980 v1 to v3, Theorem 3.1 and its condition, as reported by readers",
    kind="vacuous",
    promised=Verdict.VACUOUS,
    hypotheses=(DISTRIBUTIONS,),
    instances=diverse(),
    conclusion=_conclusion,
    extremal={"rank L, of l": diverse(st.just(S.JointRevealing()))},
    controls=(Control(DISTRIBUTIONS.name, diverse(st.just(S.Generic(20)), scaled=True), "rows of any length"),),
    proofs={"rank L, of l": (COLUMNS, WIDTH), LOOPS: (SINGULAR, LONG)},
    mutants=(
        Mutant("rank l − 2", theory.largest_rank, lambda cells: cells - 2),
        Mutant("twice the first", theory.difference, lambda a, b: [2 * x - y for x, y in zip(a, b, strict=True)]),
    ),
    witness="tokens that reveal the configuration: rank l − 1, one short",
    note="The abstracts of v1 to v3 say an invertible linear transformation, that of v4 says a linear one.",
)
