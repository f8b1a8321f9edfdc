"""What claims are about, and what their instances are drawn from."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from proofs_check.instances.draw import codes, cones, mixtures, numbers, selections, simplices, unit_rows
from proofs_check.instances.inequalities import inequality
from proofs_check.instances.mixture import EXACT, NONNEGATIVE, NONZERO, OVERCOMPLETE, UNIT_ROWS, Mixture
from proofs_check.instances.selection import BESIDE, WITHIN, Selection
from proofs_check.ledger import judge

ROWS = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]


def test_quantities_of_a_mixture_by_hand():
    case = Mixture.exact(ROWS, [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    assert_close(case.x, torch.tensor([[2.2, 1.6], [0.0, 3.0]], dtype=torch.float64))
    assert case.k.tolist() == [2, 1]
    assert_close(case.interference, torch.tensor([2.4, 0.0], dtype=torch.float64))
    assert_close(case.support_coherence, torch.tensor([0.6, 0.0], dtype=torch.float64))
    assert case.coherence == pytest.approx(0.8)  # of all rows, the silent third included
    low, high = case.spectrum
    assert_close(low, torch.tensor([-0.6, 0.0], dtype=torch.float64))
    assert_close(high, torch.tensor([0.6, 0.0], dtype=torch.float64))
    assert [side.tolist() for side in case.support_range] == [[pytest.approx(0.6), 0.0]] * 2
    assert case.take(torch.tensor([False, True])).k.tolist() == [1]
    assert str(case.take(torch.tensor([False, True]))).startswith("rows [(1, 0), (0.6, 0.8), (0, 1)], h (0, 0, 3), x (")


def test_negative_products_have_a_negative_largest_one():
    case = Mixture.exact([[1.0, 0], [-0.6, 0.8]], [[1.0, 1.0]])
    low, high = case.support_range
    assert float(low) == float(high) == pytest.approx(-0.6)


def test_hypotheses_measure_their_distance():
    case = Mixture.exact([[2.0, 0.0], [0.0, 1.0]], [[1.0, -3.0], [0.0, 0.0]])
    assert float(UNIT_ROWS.deviation(case)) == pytest.approx(1.0)
    assert NONNEGATIVE.deviation(case).tolist() == [3.0, 0.0]
    assert NONZERO.met(case).tolist() == [True, False]
    assert OVERCOMPLETE.met(case).tolist() == [False]
    moved = Mixture(case.rows, case.h, case.x + torch.tensor([[0.0, 0.3], [0.0, 0.1]], dtype=torch.float64))
    assert EXACT.met(case).all()
    assert EXACT.deviation(moved).tolist() == [pytest.approx(0.3 / math.hypot(2, 3)), 1.0]


def test_selections_know_where_the_target_falls():
    row = torch.tensor([[3.0, 0.0, 4.0]], dtype=torch.float64)
    case = Selection(row, torch.tensor([4.2], dtype=torch.float64), torch.tensor([4.2], dtype=torch.float64), 0.0)
    assert case.norms.tolist() == [[4.0, 5.0, 5.0]]
    assert [float(v) for v in case.around] == [4.0, 5.0]
    assert case.mask.tolist() == [[False, False, True]]
    assert float(case.f_norm) == 4.0
    assert WITHIN.met(case).tolist() == [True]
    assert WITHIN.met(Selection(row, torch.tensor([5.1], dtype=torch.float64), case.tau, 0.0)).tolist() == [False]


def test_a_sentinel_needs_something_to_replace():
    tau = torch.tensor([4.2], dtype=torch.float64)
    for row, sentinel, met in (([3.0, 4.0], 1e4, False), ([3.0, 4.0], None, True), ([3.0, 0.0], 1e4, True)):
        case = Selection(torch.tensor([row], dtype=torch.float64), tau, tau, 0.0, sentinel)
        assert BESIDE.met(case).tolist() == [met]


def test_a_single_latent_has_no_gap():
    row = torch.tensor([[2.0]], dtype=torch.float64)
    case = Selection(row, row[0], row[0], 0.0)
    assert [float(v) for v in case.around] == [2.0, 2.0]


# --- strategies ------------------------------------------------------------------------------------------------------


@given(st.data(), st.integers(1, 8), st.integers(1, 6))
def test_rows_are_unit(data, n, d):
    rows = data.draw(unit_rows(n, d))
    assert rows.shape == (n, d)
    assert rows.dtype == torch.float64
    assert_close(rows.norm(dim=1), torch.ones(n, dtype=torch.float64))


@given(mixtures(n=(2, 8), nonnegative=True, overcomplete=True, active=2))
def test_mixtures_meet_what_is_asked(case):
    assert bool(EXACT.met(case).all())
    assert bool(NONNEGATIVE.met(case).all())
    assert bool(OVERCOMPLETE.met(case).all())
    assert int(case.k) >= 2


@given(st.data(), st.integers(1, 8))
def test_codes_fire_as_often_as_asked(data, n):
    assert int(data.draw(codes(n, active=n)).count_nonzero()) == n


@given(cones(flat=True), cones(negative=True), simplices())
def test_extremal_families_have_equal_products(flat, negative, simplex):
    assert flat.h.unique().numel() == 1
    for case, low, high in ((flat, 0.0, 1.0), (negative, -1.0, 0.0), (simplex, -1.0, 0.0)):
        first, last = case.support_range
        assert_close(first, last, atol=1e-9, rtol=0)
        assert low <= float(first) <= high
    assert float(simplex.x2) < 1e-18


@given(selections(), selections(inside=False))
def test_targets_fall_inside_or_outside(inside, outside):
    assert bool(WITHIN.met(inside).all())
    assert not bool(WITHIN.met(outside).any())


@given(numbers(-2.0, 5.0), numbers(0.25, 0.75))
def test_numbers_stay_in_their_range(wide, narrow):
    assert -2.0 <= wide <= 5.0
    assert wide == 0 or abs(wide) > 1e-6
    assert 0.25 <= narrow <= 0.75


# --- pasted inequalities ---------------------------------------------------------------------------------------------


def verdict(**sides):
    return judge(inequality("MINE-1", "left ≤ right", **sides), examples=80, seconds=10.0)


def test_an_algebraic_inequality_is_proved_for_all_reals():
    entry = verdict(
        box={"a": ("0", None), "b": ("0", None)}, left=lambda a, b, ops: ops.sqrt(a * b), right=lambda a, b: (a + b) / 2
    )
    assert (entry.verdict, entry.ok, entry.scope) == ("PROVED", True, ["all a in [0, ∞], b in [0, ∞]"])


def test_a_transcendental_one_is_proved_on_its_box():
    entry = verdict(box={"x": ("0", "3")}, left=lambda x: 1 + x - 0.001, right=lambda x, ops: ops.exp(x))
    assert entry.verdict == "PROVED"


def test_a_false_one_gets_a_small_counterexample():
    entry = verdict(box={"x": ("0", "10"), "y": ("0", "10")}, left=lambda x, y: x * y, right=lambda x, y: x + y)
    assert entry.verdict == "REFUTED"
    point = dict(part.split(" = ") for part in entry.witness.split(":")[0].split(", "))
    assert float(point["x"]) * float(point["y"]) > float(point["x"]) + float(point["y"])
    assert all(float(v) == round(float(v)) for v in point.values())  # shrunk to whole numbers


def test_conditions_are_kept_and_told():
    entry = verdict(
        box={"x": ("0", "10"), "y": ("0", "10")},
        given=lambda x, y: [x <= 1, y <= x],
        left=lambda x, y: x * y,
        right=lambda x, y: x + y,
    )
    assert entry.verdict == "PROVED"
    assert entry.scope == ["all x in [0, 10], y in [0, 10], under the conditions given"]
    assert entry.hypotheses == ["the conditions given"]


def test_conditions_no_draw_meets_leave_it_open():
    sides = {"left": lambda x, y: x * y, "right": lambda x, y: (x + y) ** 2 / 4}
    entry = verdict(box={"x": ("0", "1"), "y": ("0", "1")}, given=lambda x, y: [x + y == 1], **sides)
    assert entry.verdict in ("PROVED", "UNKNOWN")
    assert entry.verdict == "PROVED" or "rejects nearly all" in entry.problems[0]


def test_pi_is_decided_by_balls():
    entry = verdict(box={"x": ("0", "1")}, left=lambda x: 3 * x, right=lambda x, ops: ops.pi * x + ops.num("1/1000"))
    assert entry.verdict == "PROVED"


@pytest.mark.parametrize(
    ("right", "advice"),
    [
        (lambda x, ops: ops.where(ops.sin(x) > 2, x - 2, x), "balls need both ends of each unknown"),
        (lambda x: math.exp(x), "from `ops`"),
        (lambda x: max(x, 0), "use ops.where, ops.larger"),
    ],
)
def test_what_cannot_be_decided_says_what_to_do(right, advice):
    entry = verdict(box={"x": ("0", None)}, left=lambda x: x - 1, right=right)
    assert entry.verdict == "UNKNOWN"
    assert not entry.ok
    assert advice in entry.witness


def test_a_root_of_a_negative_number_is_no_proof():
    entry = verdict(box={"x": ("-1", "1")}, left=lambda x, ops: -ops.sqrt(x), right=lambda x: 0 * x)
    assert entry.verdict == "UNKNOWN"


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({}, r"box must be of one unknown at least"),
        ({"x": ("1", "0")}, r"box\['x'\] must be from low to high; got \('1', '0'\)"),
        ({"x": ("0", "0")}, r"from low to high"),
        ({"x": ("0", "pi")}, r"must be exact numbers as text; got 'pi': write \"1/3\""),
    ],
)
def test_a_bad_box_is_refused(box, message):
    with pytest.raises(ValueError, match=message):
        inequality("MINE-1", "s", box=box, left=lambda x: x, right=lambda x: x)


def test_conditions_are_a_list():
    entry = verdict(box={"x": ("0", "1")}, given=lambda x: x <= 1, left=lambda x: x, right=lambda x: x + 1)
    assert "given must be a list of comparisons" in " ".join(entry.problems)
