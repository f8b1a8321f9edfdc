"""SN-7: a recursive factorisation is one semi-nonnegative factorisation with as few rows as its last level."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, rows_of
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Layers:
    """X (N, d), codes (N, m_1) and (m_1, m_2), rows (m_2, d)."""

    x: Tensor
    first: Tensor
    second: Tensor
    rows: Tensor

    def __str__(self) -> str:
        return f"X {digits(self.x)}, f_1 {digits(self.first)}, f_2 {digits(self.second)}, W_2 {digits(self.rows)}"

    @property
    def shipped(self) -> Tensor:
        """The codes of the tree."""
        none = self.x.new_zeros(0)
        fine = semi_nmf.Factors(self.first, self.second @ self.rows, none)
        return semi_nmf.Tree((fine, semi_nmf.Factors(self.second, self.rows, none))).codes

    @cached_property
    def squares(self) -> list[float]:
        """Squared singular values of X."""
        return torch.linalg.svdvals(self.x).square().tolist()


def _conclusion(case: Layers) -> dict[str, Part]:
    first, second, rows, x = (t.tolist() for t in (case.first, case.second, case.rows, case.x))
    codes = theory.product(first, second)
    unit = 1 + case.x.square().sum() + case.first.square().sum() * (case.second @ case.rows).square().sum()
    whole = theory.square_error(x, codes, rows)
    return {
        "f_1 f_2 ≥ 0": at_most(0.0, min(map(min, codes))),
        "the tree's codes": equal(case.shipped.flatten(), [v for row in codes for v in row], unit=unit),
        "one factorisation": equal(whole, theory.square_error(x, first, theory.product(second, rows)), unit=unit),
        "the floor of the last level": at_most(theory.rank_floor(case.squares, len(rows)), whole, unit=unit),
    }


def _associative(symbols, ops):
    for m, k in ((1, 1), (2, 1), (3, 2)):
        first, rows = [symbols(f"f:{m}")], [symbols(f"w{j}_:2") for j in range(k)]
        second = [symbols(f"g{i}_:{k}") for i in range(m)]
        (one,) = theory.product(theory.product(first, second), rows)
        (other,) = theory.product(first, theory.product(second, rows))
        yield from zip(one, other, strict=True)


def _step(unknowns, ops):
    total, f, g = unknowns("total f g")
    after = {"total": theory.product([[total, f]], [[1], [g]])[0][0]}
    start = {"total": theory.product([[f]], [[g]])[0][0]}
    return smt.Invariant([total >= 0], after, start, [f >= 0, g >= 0])


SIGNS = Hypothesis("codes of all levels at least 0", lambda c: max(0.0, -float(c.first.min()), -float(c.second.min())))


@st.composite
def _cases(draw):
    n, d, m = draw(st.integers(2, 4)), draw(st.integers(2, 4)), draw(mostly(st.just(3), st.integers(2, 3)))
    value = st.integers(-3, 3).map(float) | numbers(-3, 3)
    coarse = draw(mostly(st.integers(min(2, m - 1), m - 1), st.integers(1, m - 1)))
    code = st.just(0.0) | numbers(0.05, 3)
    first, second = draw(rows_of(code, n, m)), draw(rows_of(code, m, coarse))
    rows = draw(rows_of(value, coarse, d))
    x = first @ second @ rows + draw(st.sampled_from([0.0, 0.1, 1.0])) * draw(rows_of(value, n, d))
    return Layers(x, first, second, rows)


def _after_gradient(rate):
    """One free gradient step of f_2 on |X - f_1 f_2 W_2|² from a code of 0."""
    one = Layers(*(torch.tensor(t, dtype=torch.float64) for t in ([[-1.0]], [[1.0]], [[0.0]], [[1.0]])))
    step = one.second + rate * one.first.T @ (one.x - one.first @ one.second @ one.rows) @ one.rows.T
    return replace(one, second=step)


def _sizes(left, right):
    return [[abs(v) - 0.1 for v in row] for row in _product(left, right)]


_product, _floor = theory.product, theory.rank_floor

CLAIM = Claim(
    id="SN-7",
    statement=(
        "X ≈ f_1 f_2 W_2 with both codes at least 0 is one semi-NMF with codes f_1 f_2 ≥ 0 and m_2 rows, so its "
        "error is at least that of the best rank m_2. Depth buys a tree, and no fit."
    ),
    tex=r"\|X-f_1f_2W_2\|^2\geq\sum_{i>m_2}\sigma_i^2",
    source="ours; of the recursion of Shafran, Geiger, Geva (2025), arXiv 2506.10920",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SIGNS,),
    instances=_cases(),
    nontrivial=lambda case: case.second.shape[1] > 1,
    conclusion=_conclusion,
    controls=(
        Control(
            SIGNS.name,
            numbers(0.05, 0.5).map(_after_gradient),
            "a joint gradient step that clamps nothing, as in the published code",
        ),
    ),
    proofs={
        "one factorisation": symbolic.identity("(f_1 f_2)W = f_1(f_2 W)", "m ≤ 3", _associative),
        "f_1 f_2 ≥ 0": smt.induction("f_1 f_2 ≥ 0", "all m: induction over terms", _step),
    },
    kernel={
        "f_1 f_2 ≥ 0": "factors.layers_are_one",
        "one factorisation": "factors.layers_are_one",
    },
    mutants=(
        Mutant("one singular value more", theory.rank_floor, lambda squares, m: _floor(squares, m - 1)),
        Mutant("sizes", theory.product, _sizes),
    ),
    note=(
        "More levels are these two, taken again. The floor, sampled, is Eckart and Young's for rank m_2; that the "
        "shipped tree's tensors are this product is sampled too."
    ),
    shown_by="experiments/factors/study.py",
)
