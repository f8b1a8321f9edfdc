"""SN-9: least squares on the entries that a mask keeps is the best that mask allows."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import (
    BESIDE,
    LOOPS,
    Claim,
    Control,
    Hypothesis,
    Mutant,
    Part,
    Verdict,
    Void,
    at_most,
    digits,
    edited,
    equal,
)
from proofs_check.claims.factors.alternation_cases import LEAST_SQUARES
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers, rows_of, usually
from proofs_check.instances.loops import evaluated
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Masked:
    """X (N, d), codes (N, m), a mask and rows (m, d); `fitted` are the rows refitted on a mask."""

    x: Tensor
    codes: Tensor
    rows: Tensor
    mask: Tensor
    fitted: Tensor

    def __str__(self) -> str:
        return f"X {digits(self.x)}, f {digits(self.codes)}, W {digits(self.rows)}, mask {self.mask.int().tolist()}"

    def error(self, rows: Tensor) -> float:
        """J."""
        return theory.square_error(self.x.tolist(), self.codes.tolist(), rows.tolist())

    @property
    def unit(self) -> Tensor:
        """Of J."""
        return self.x.square().sum() + self.codes.square().sum() * (self.rows.square() + self.fitted.square()).sum()


def _conclusion(case: Masked) -> dict[str, Part]:
    own, cut = case.rows * case.mask, semi_nmf.decoder_step(case.x, case.codes) * case.mask
    unit = case.unit + case.codes.square().sum() * cut.square().sum()
    shipped = semi_nmf.refitted(case.x, case.codes, case.mask)
    excess = theory.square_error(
        [[0.0] * own.shape[1]] * len(case.x), case.codes.tolist(), (own - case.fitted).tolist()
    )
    return {
        "any rows on the mask": at_most(case.error(case.fitted), case.error(own), unit=unit),
        "least squares, then masked": at_most(case.error(case.fitted), case.error(cut), unit=unit),
        "the excess": equal(case.error(own) - case.error(case.fitted), excess, unit=unit),
        "the shipped refit": equal(case.error(shipped), case.error(case.fitted), unit=unit),
        "on its mask": equal(shipped[~case.mask], 0.0) if bool((~case.mask).any()) else Void("all entries are kept"),
    }


def _residual(case: Masked) -> Tensor:
    """What normal equations of kept entries leave, and entries off the mask."""
    left = case.codes.T @ (case.x - case.codes @ case.fitted)
    return (left * case.mask).abs().max() / case.unit + (case.fitted * ~case.mask).abs().max()


SAME = Hypothesis("the refit solves the normal equations of the kept entries", _residual)


@st.composite
def _cases(draw):
    n, d, m = draw(st.integers(2, 5)), draw(st.integers(1, 4)), draw(mostly(st.integers(2, 3), st.integers(1, 3)))
    value = st.integers(-3, 3).map(float) | numbers(-3, 3)
    x, rows, codes = draw(rows_of(value, n, d)), draw(rows_of(value, m, d)), draw(rows_of(numbers(0, 3), n, m))
    bits = draw(st.lists(st.booleans(), min_size=m * d, max_size=m * d))
    mask = torch.tensor(bits).view(m, d)
    if draw(usually()):
        mask[0, 0], mask[-1, -1] = True, False
    return Masked(x, codes, rows, mask, _fitted(x, codes, mask))


def _other(t):
    """Samples (t, 0) and (0, 1), each a code's own."""
    eye, mask = torch.eye(2, dtype=torch.float64), torch.tensor([[True, False], [False, True]])
    x = eye * eye.new_tensor([t, 1.0])
    return Masked(x, eye, eye, mask, _fitted(x, eye, ~mask))


def _column(unknowns, ops):
    """One more column of W, of which the theorem speaks; its excess is a square."""
    error, least, excess, mine, best, more = unknowns("error least excess mine best more")
    after = {"error": error + mine, "least": least + best, "excess": excess + more}
    says = [error == least + excess, excess >= 0, least <= error]
    return smt.Invariant(says, after, given=[mine == best + more, more >= 0])


def _long(draw):
    """A column's |y - w F|², as in the theorem."""
    n, d = draw.n, 3
    x, codes, rows = draw.rows(n, d), draw.rows(n, draw.d), draw.rows(draw.d, d)
    fitted = [[sum(rows[j][c] * codes[i][j] for j in range(draw.d)) for i in range(n)] for c in range(d)]
    columns = [sum((x[i][c] - fitted[c][i]) ** 2 for i in range(n)) for c in range(d)]
    yield theory.square_error(x, codes, rows), sum(columns)


_fitted = semi_nmf.refitted
SHOWN = ("any rows on the mask", "least squares, then masked", "the excess")

CLAIM = Claim(
    id="SN-9",
    statement=(
        "For fixed codes and a fixed mask, rows refitted by least squares on the kept entries have the least J of all "
        "rows with that mask: |f(W − W*)|² less than any other W. So after winner-take-all a refit never raises J."
    ),
    tex=r"J(W)=J(W^*)+\|f(W-W^*)\|^2\quad(\mathrm{supp}\,W\subseteq\text{mask})",
    source="ours; the normal equations of each column",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SAME,),
    instances=_cases(),
    nontrivial=lambda case: len(case.rows) > 1 and case.mask.any() and not case.mask.all(),
    conclusion=_conclusion,
    controls=(
        Control(
            SAME.name, numbers(0.5, 3).map(_other), "refitted on another mask, as when the mask changes between rounds"
        ),
    ),
    proofs={
        SHOWN: smt.induction("J, the least and the excess summed", "all d: over columns", _column),
        LOOPS: evaluated("square_error, column by column", _long),
        BESIDE: LEAST_SQUARES,
    },
    kernel=dict.fromkeys(SHOWN, "factors.least_squares"),
    mutants=(
        Mutant("least squares, then masked", semi_nmf.refitted, lambda x, f, mask: semi_nmf.decoder_step(x, f) * mask),
        edited("half of it", semi_nmf.refitted, lambda true: lambda x, f, mask: true(x, f, mask) / 2),
        edited("half of J", theory.square_error, lambda true: lambda x, f, rows: true(x, f, rows) / 2),
        Mutant("|X| for |X − fW|", theory.square_error, lambda x, codes, rows: sum(v * v for row in x for v in row)),
    ),
    note=(
        "The theorem is of one column of W, and J is their sum. That the shipped refit is such a W is sampled. It "
        "makes J nearly monotone and recovery worse: the mask settles early. What a mask alone does to J: SN-1."
    ),
    shown_by="experiments/factors/study.py",
)
