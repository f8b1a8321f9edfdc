"""AT-11: the step of size 1 that turns sparse coding into an encoder is no descent step."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Part, Verdict, at_most, edited
from proofs_check.claims.signed.descent_cases import SPARSE, Descent, descents
from proofs_check.instances.mixture import UNIT_ROWS
from workbench.theory import signed as theory


def _conclusion(case: Descent) -> dict[str, Part]:
    losses = case.losses
    return {"no rise in any step": at_most(losses[1:], losses[:-1], unit=case.unit)}


@st.composite
def _orthonormal(draw):
    """Where L = 1: there the unit step is one of descent."""
    x = torch.tensor(draw(st.lists(st.integers(1, 3).map(float), min_size=3, max_size=3)), dtype=torch.float64)
    return Descent(torch.eye(3, dtype=torch.float64), x, torch.zeros(3, dtype=torch.float64), 2, 1.0)


def _long(draw_from):
    """The same with one row of length 2."""

    def stretched(case):
        return Descent(2 * case.rows, case.x, case.z, case.k, 1.0)

    return draw_from.map(stretched)


def _started(draw_from):
    """One nonzero allowed, three there."""

    def filled(case):
        return Descent(case.rows, case.x, case.x, 1, 1.0)

    return draw_from.map(filled)


CLAIM = Claim(
    id="AT-11",
    statement=(
        "Published reading: the encoder is one proximal gradient step at size 1, so unrolling more such steps goes on "
        "improving the code: F(z') ≤ F(z) at s = 1 for all unit rows. It holds for L ≤ 1 alone; L ≥ m/d."
    ),
    tex=r"F(\mathrm{AbsTopK}_k(z-\nabla F(z)))\leq F(z)",
    source="reading of Zhu, Khalili, Zhu (2025), arXiv 2510.00404, unrolling at step 1; corrected in AT-6",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(UNIT_ROWS, SPARSE),
    instances=descents(unit=True),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", _long(_orthonormal()), "lengths of 2: L = 4 even for orthogonal rows"),
        Control(SPARSE.name, _started(_orthonormal()), "a start with more nonzeros than are allowed"),
    ),
    mutants=(
        edited(
            "twice the gradient",
            theory.coding_slope,
            lambda f: lambda z, x, rows: [2.5 * v for v in f(z, x, rows)],
            _orthonormal(),
        ),
    ),
    note=(
        "At m/d = 8 with random rows L is about (1 + √8)² = 14.7, and the error grows without bound from the second "
        "step on. The first step from z = 0 is an encoder, not a solver; for more use s ≤ 1/L (AT-6)."
    ),
)
