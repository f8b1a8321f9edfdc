"""PO-12: R2 columns do not give R2 arbitrary pairs."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.interactions.pair_cases import NONZERO, PurePairs, binary
from workbench.theory import interactions as theory


def _conclusion(case: PurePairs) -> dict[str, Part]:
    """Where latents take two values the decoder's own error; else the least of all decoders with as many columns."""
    if case.seen:
        return {"left over": at_most(case.error, 1e-9)}
    gains = case.targets.sum(1).tolist()
    return {"left over": at_most(theory.least_misfit(gains, case.columns), 1e-9)}


@st.composite
def _given(draw, varied=True, columns=0, zero=False):
    case = binary(draw(st.integers(1, 2)))
    if columns:
        kept = case.columns - columns
        case = replace(case, U=case.U[:, :kept], C2=case.C2[:, :kept])
    if zero:
        case = replace(
            case, targets=case.targets * torch.tensor([0.0, *[1.0] * (len(case.pairs) - 1)])[:, None].double()
        )
    if not varied:
        return case
    values = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    return replace(case, f=torch.cartesian_prod(*[values] * case.f.shape[1]))


ENOUGH = Hypothesis("a column for each pair", lambda case: max(0, len(case.pairs) - case.columns))

CLAIM = Claim(
    id="PO-12",
    statement=(
        "Reading: R2 columns give R2 arbitrary disjoint pairs, or more, as 8,550 of them in R2 = 64 suggest. A product "
        "has rank 2: with one column a pair something is left over, but for latents that take the values 0 and c alone."
    ),
    tex=r"f_if_j\neq\gamma(\alpha f_i+\beta f_j)^2+\text{linear}",
    source="a reading of Koromilas et al. (2026), arXiv 2602.01322, as reported; corrected in PO-4",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(ENOUGH, NONZERO),
    instances=_given(),
    conclusion=_conclusion,
    controls=(
        Control(ENOUGH.name, _given(varied=False, columns=1), "one column fewer than pairs"),
        Control(NONZERO.name, _given(varied=False, zero=True), "a decoder that gives a product which is not there"),
    ),
    mutants=(
        Mutant(
            "sums of squares",
            theory.degree_part,
            lambda f, U, C, q, scale=1: _self_terms(f, U, C),
            _given(varied=False),
        ),
    ),
    note="Many pairs may share columns: their B_ij are then not free, and pairs that do not interact get some too.",
)


def _self_terms(f, U, C):
    sums = [theory.power_sum(f, column, 2) for column in zip(*U, strict=True)]
    return [sum(c * p for c, p in zip(row, sums, strict=True)) for row in C]
