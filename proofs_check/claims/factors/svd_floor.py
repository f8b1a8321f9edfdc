"""SN-4: nonnegative codes cost nothing where the data share a common direction."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

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
    equal,
)
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.loops import evaluated
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Lift:
    """X (N, d), m rows, y (m,) and t; `codes` are any others, to compare with."""

    x: Tensor
    y: Tensor
    t: float
    codes: Tensor

    def __str__(self) -> str:
        return f"X {digits(self.x)}, y {digits(self.y)}, t {self.t:.4g}"

    @cached_property
    def parts(self) -> tuple[Tensor, list[float], Tensor]:
        """U_m, squared singular values, S_m V_m."""
        m = len(self.y)
        left, values, right = torch.linalg.svd(self.x, full_matrices=False)
        return left[:, :m], values.square().tolist(), values[:m, None] * right[:m]

    @property
    def threshold(self) -> float:
        """Least t that will do."""
        return theory.lift_threshold(self.parts[0].tolist(), self.y.tolist())


def _conclusion(case: Lift) -> dict[str, Part]:
    left, squares, right = case.parts
    y, x = case.y.tolist(), case.x.tolist()
    codes = theory.product(left.tolist(), theory.lift(y, case.t))
    rows = theory.product(theory.lift_inverse(y, case.t), right.tolist())
    floor = theory.rank_floor(squares, len(y))
    found = semi_nmf.decoder_step(case.x, case.codes)
    unit = 1e-12 + sum(squares) * (1 + float(torch.tensor(codes).square().sum()))
    edge = theory.product(left.tolist(), theory.lift(y, case.threshold))
    least = equal(min(map(min, edge)), 0.0, unit=1 + case.threshold) if case.threshold else Void("U_m ≥ 0 as it is")
    return {
        "0 at the threshold": least,
        "f ≥ 0": at_most(-min(map(min, codes)), 0.0, unit=1 + case.t),
        "the floor is reached": equal(theory.square_error(x, codes, rows), floor, unit=unit),
        "and never passed": at_most(floor, (case.x - case.codes @ found).square().sum(), unit=unit),
    }


def _reached(symbols, ops):
    """All matrices 2 x 2 by their SVD, up to reflections."""
    t, r, y, a, b, lifted = symbols("t r y a b lift")
    left, right = _rotation(t), _rotation(r)
    x = theory.product([[row[0] * a, row[1] * b] for row in left], right)
    codes = theory.product([[row[0]] for row in left], theory.lift([y], lifted))
    rows = theory.product(theory.lift_inverse([y], lifted), [[a * v for v in right[0]]])
    yield theory.square_error(x, codes, rows), theory.rank_floor([a**2, b**2], 1)


def _rotation(t):
    c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return [[c, -s], [s, c]]


def _entry(unknowns, ops):
    """The entry of a column of U (I + t y 1^T): its own u, and what one more column adds."""
    found, along, mine, factor, u, y, t = unknowns("found along mine factor u y t")
    more = theory.product([[0, u]], theory.lift([0, y], t))[0][0]
    start = {"found": theory.product([[mine]], theory.lift([factor], t))[0][0], "along": mine * factor}
    return smt.Invariant([found == mine + t * along], {"found": found + more, "along": along + u * y}, start)


def _nonnegative(unknowns, ops):
    """Written out for one entry u of a row with (U y)_i = s."""
    u, s, t = unknowns("u s t")
    return [s > 0, t >= -u / s, t >= 0], [u + t * s >= 0]


def _edge(unknowns, ops):
    """The entry whose ratio is the threshold."""
    u, s, t = unknowns("u s t")
    return [s > 0, t == -u / s], [u + t * s == 0]


def _lifted(draw):
    """Each entry u of U (I + t y 1^T) is u + t (U y)_i; the threshold is the largest -u / (U y)_i, or 0."""
    n, t = draw.n, Fraction(draw.number(), 7)
    left, y = [[abs(v) for v in row] for row in draw.rows(9, n)], [Fraction(abs(v), 3) for v in draw.vector(n)]
    left[0][n - 1], left[8][0] = -left[0][n - 1], -left[8][0]
    along = [sum(a * b for a, b in zip(row, y, strict=True)) for row in left]
    shown = [[v + t * size for v in row] for row, size in zip(left, along, strict=True)]
    yield theory.product(left, theory.lift(y, t)), shown
    ratios = [-v / size for row, size in zip(left, along, strict=True) for v in row]
    yield theory.lift_threshold(left, y), max([Fraction(0), *ratios])


def _minors(symbols, ops):
    """A product of m columns and m rows has rank m: its minors of size m + 1 vanish."""
    for m in (1, 2):
        f, w = ([symbols(f"{c}{i}_:{m}") for i in range(m + 1)] for c in "fw")
        p = theory.product(f, [list(column) for column in zip(*w, strict=True)])
        if m == 1:
            yield p[0][0] * p[1][1] - p[0][1] * p[1][0], 0
        else:
            minors = [p[1][(j + 1) % 3] * p[2][(j + 2) % 3] - p[1][(j + 2) % 3] * p[2][(j + 1) % 3] for j in range(3)]
            yield sum(a * b for a, b in zip(p[0], minors, strict=True)), 0


CONE = Hypothesis("U_m y > 0", lambda case: max(0.0, 1e-6 - float((case.parts[0] @ case.y).min())))
ENOUGH = Hypothesis("t at its threshold or above", lambda case: max(0.0, case.threshold - case.t) / (1 + case.t))


@st.composite
def _cases(draw):
    """X = fW + rest with f > 0; where U_m y is not above 0, X = f 1 instead, or rank 1."""
    n, d = draw(st.integers(2, 5)), draw(st.integers(2, 4))
    most = min(n, d, 3)
    m = draw(mostly(st.integers(2, most), st.integers(1, most)))
    codes, rows = draw(rows_of(numbers(0.05, 3), n, m)), draw(rows_of(st.integers(-3, 3), m, d))
    x = codes @ rows + 0.1 * draw(rows_of(st.integers(-2, 2), n, d))
    x = x + draw(st.sampled_from([0.0, 5.0]))
    y = torch.linalg.lstsq(torch.linalg.svd(x)[0][:, :m], torch.ones(n, 1, dtype=x.dtype), driver="gelsd")[0][:, 0]
    if float((torch.linalg.svd(x)[0][:, :m] @ y).min()) <= 1e-3:
        x = codes[:, :1] * torch.arange(1.0, d + 1, dtype=x.dtype)
        left = torch.linalg.svd(x)[0][:, :m]
        y = torch.zeros(m, dtype=x.dtype)
        y[0] = left[0, 0].sign()
    case = Lift(x, y, 0.0, codes)
    t = case.threshold + draw(st.just(0.0) | numbers(0, 2))
    return Lift(x, y, t + float(abs(1 + t * float(y.sum())) < 0.05), codes)


def case_of(x: Any, y: Any, t: float) -> st.SearchStrategy[Lift]:
    """One instance."""
    x, y = (torch.tensor(v, dtype=torch.float64) for v in (x, y))
    return st.just(Lift(x, y, t, torch.ones(len(x), len(y), dtype=x.dtype)))


def _opposed(a: float) -> st.SearchStrategy[Lift]:
    return case_of([[1, a], [-1, -a]], [1], 1.0)


ENTRIES = (
    smt.induction("an entry u becomes u + t(Uy)_i", "all m: induction over columns", _entry),
    smt.implies("f ≥ 0 from the threshold on", "all N, m: entry by entry", _nonnegative),
)
_lift, _inverse_of, _threshold = theory.lift, theory.lift_inverse, theory.lift_threshold

CLAIM = Claim(
    id="SN-4",
    statement=(
        "Let U_m hold the m first left singular vectors. If U_m y > 0, then for t ≥ max(0, −U_ij/(U_m y)_i) with 1 + "
        "tΣy ≠ 0, f = U_m(I + t y1ᵀ) ≥ 0 and W = (I + t y1ᵀ)⁻¹S_mV_m reach the error of the SVD, below which no m "
        "rows come, whatever the signs. So low J says nothing of the features."
    ),
    tex=r"\min_{f\geq0,W}\|X-fW\|^2=\sum_{i>m}\sigma_i^2\quad\text{if }U_my>0",
    source="ours (cf. Gillis and Kumar 2015); the floor: Eckart and Young (1936)",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(CONE, ENOUGH),
    instances=_cases(),
    nontrivial=lambda case: len(case.y) > 1,
    conclusion=_conclusion,
    controls=(
        Control(CONE.name, numbers(0.5, 3).flatmap(_opposed), "X = [a; −a], m = 1: rank 1, and J = |a|²"),
        Control(
            ENOUGH.name,
            numbers(0, 0.999).flatmap(lambda t: case_of([[2, 1], [1, 2]], [-1, 0], t)),
            "t below 1, down to the singular vectors",
        ),
    ),
    proofs={
        LOOPS: evaluated("U(I + t y1ᵀ) and the threshold", _lifted),
        "f ≥ 0": ENTRIES,
        "0 at the threshold": (
            *ENTRIES,
            smt.implies("and 0 where the ratio is the threshold", "all N, m: entry by entry", _edge),
        ),
        "the floor is reached": symbolic.identity(
            "the lifted factors reach the floor", "m = 1, N = d = 2: all angles but π, all singular values", _reached
        ),
        BESIDE: symbolic.identity("m rows have rank m: minors vanish", "m = 1, 2", _minors),
    },
    kernel={BESIDE: ("factors.lift_inverse", "factors.layers_are_one")},
    mutants=(
        Mutant("t on the other side", theory.lift, lambda y, t: [list(c) for c in zip(*_lift(y, t), strict=True)]),
        Mutant("without the denominator", theory.lift_inverse, lambda y, t: _lift(y, -t)),
        Mutant("one more singular value", theory.rank_floor, lambda squares, m: sum(squares[m - 1 :])),
        Mutant(".999 of the threshold", theory.lift_threshold, lambda left, y: 0.999 * _threshold(left, y)),
    ),
    note=(
        "The threshold is tight. Sampled: Eckart and Young's floor itself. That U_m S_m V_m leaves the "
        "floor is proved at small sizes, (I + t y1ᵀ)⁻¹ at all. Activations with a large common mean can meet the "
        "condition, centred ones do not."
    ),
    shown_by="experiments/factors/study.py",
)
