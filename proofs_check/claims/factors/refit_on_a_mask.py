"""SN-9: least squares on the entries that a mask keeps is the best that mask allows."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, edited, equal
from proofs_check.claims.factors.alternation_cases import LEAST_SQUARES
from proofs_check.instances.draw import numbers, rows_of
from workbench.parts import semi_nmf


@dataclass(frozen=True, eq=False)
class Masked:
    """X (N, d), codes (N, m), a mask and rows (m, d); `used` is the mask that the refit is given."""

    x: Tensor
    codes: Tensor
    rows: Tensor
    mask: Tensor
    used: Tensor

    def __str__(self) -> str:
        return f"X {digits(self.x)}, f {digits(self.codes)}, W {digits(self.rows)}, mask {self.mask.int().tolist()}"

    def error(self, rows: Tensor) -> Tensor:
        """J."""
        return (self.x - self.codes @ rows).square().sum()


def _conclusion(case: Masked) -> dict[str, Part]:
    fitted = semi_nmf.refitted(case.x, case.codes, case.used)
    own, cut = case.rows * case.mask, semi_nmf.decoder_step(case.x, case.codes) * case.mask
    unit = case.x.square().sum() + case.codes.square().sum() * (own.square() + cut.square() + fitted.square()).sum()
    return {
        "any rows on the mask": at_most(case.error(fitted), case.error(own), unit=unit),
        "least squares, then masked": at_most(case.error(fitted), case.error(cut), unit=unit),
        "the excess": equal(
            case.error(own) - case.error(fitted), (case.codes @ (own - fitted)).square().sum(), unit=unit
        ),
    }


SAME = Hypothesis("refitted on the same mask", lambda case: (case.mask != case.used).double().max())


@st.composite
def _cases(draw):
    n, d, m = draw(st.integers(2, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    value = st.integers(-3, 3).map(float) | numbers(-3, 3)
    x, rows, codes = draw(rows_of(value, n, d)), draw(rows_of(value, m, d)), draw(rows_of(numbers(0, 3), n, m))
    bits = draw(st.lists(st.booleans(), min_size=m * d, max_size=m * d))
    mask = torch.tensor(bits).view(m, d)
    return Masked(x, codes, rows, mask, mask)


def _other():
    eye, mask = torch.eye(2, dtype=torch.float64), torch.tensor([[True, False], [False, True]])
    return st.just(Masked(eye, eye, eye, mask, ~mask))


CLAIM = Claim(
    id="SN-9",
    statement=(
        "For fixed codes and a fixed mask, rows refitted by least squares on the kept entries have the least J of all "
        "rows with that mask: |f(W − W*)|² less than any other W. So after winner-take-all a refit never raises J."
    ),
    tex=r"J(W)=J(W^*)+\|f(W-W^*)\|^2\quad(\mathrm{supp}\,W\subseteq\text{mask})",
    source="ours; the normal equations of each column",
    kind="identity",
    promised=Verdict.SUPPORTED,
    hypotheses=(SAME,),
    instances=_cases(),
    conclusion=_conclusion,
    controls=(Control(SAME.name, _other(), "refitted on another mask, as when the mask changes between rounds"),),
    proofs={("any rows on the mask", "the excess"): LEAST_SQUARES},
    kernel={
        "any rows on the mask": "factors.least_squares",
        "least squares, then masked": "factors.least_squares",
        "the excess": "factors.least_squares",
    },
    mutants=(
        Mutant("least squares, then masked", semi_nmf.refitted, lambda x, f, mask: semi_nmf.decoder_step(x, f) * mask),
        edited("half of it", semi_nmf.refitted, lambda true: lambda x, f, mask: true(x, f, mask) / 2),
    ),
    note="It makes J nearly monotone and recovery worse: the mask settles early. What a mask alone does to J: SN-1.",
    shown_by="experiments/factors/study.py",
)
