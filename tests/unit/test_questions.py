"""Questions to a table: paired intervals by hand, what they say and are over, where they change sign."""

import math

import numpy as np
import polars as pl
import pytest

from workbench.study.questions import (
    Crossing,
    Interval,
    Question,
    interval,
    lead,
    most,
    over,
    score,
    sign_change,
    verdict,
)
from workbench.study.selection import best, nearest_l0
from workbench.study.table import Medians, tidy


def test_interval_by_hand():
    found = interval([0.0, 1.0, 2.0])
    assert str(found) == "+1.000 ± 2.484"  # 4.303 / sqrt(3)
    assert (found.low, found.high) == pytest.approx((-1.484, 3.484), abs=1e-3)
    assert interval(np.array([0.25, 0.25])) == Interval(0.25, 0.0)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="at least 2; got 1: a paired interval needs two seeds"):
        interval([0.5])


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0.2, 0.1)], "CONFIRMED"),
        ([(0.2, 0.1), (0.1, 0.2)], "UNDECIDED"),
        ([(0.2, 0.1), (-0.3, 0.1)], "REFUTED"),
        ([(0.0, 0.0)], "REFUTED"),  # never ahead
        ([(0.1, 0.1)], "UNDECIDED"),
    ],
)
def test_verdict_of_intervals(intervals, expected):
    assert verdict(Interval(*pair) for pair in intervals) == expected


def test_no_interval_no_verdict():
    with pytest.raises(ValueError, match="at least one"):
        verdict([])


def test_sign_change_by_hand():
    means = [Interval(v, 0.5) for v in (-2.0, 0.0, 2.0)]
    assert sign_change([0.0, 1.0, 2.0], means) == pytest.approx((1.0, 0.75, 1.25))
    dips = [Interval(v, 0.5) for v in (0.25, -1.0, 1.0)]
    assert sign_change([0.0, 1.0, 2.0], dips) == pytest.approx((1.5, 1.25, 1.75))
    above = [Interval(1.0, 0.5), Interval(2.0, 0.5)]
    assert sign_change([0.0, 1.0], above) == (0.0, 0.0, 0.0)
    below = [Interval(-1.0, 0.5), Interval(0.25, 0.5)]
    at, first, last = sign_change([0.0, 1.0], below)
    assert (at, first) == pytest.approx((0.8, 0.4))
    assert math.isnan(last)


def study(rows):
    """A table of place, x, arm, setting, world_seed, seed, metric, value."""
    names = ("place", "x", "arm", "setting", "world_seed", "seed", "metric", "value")
    return tidy([dict(zip(names, row, strict=True)) for row in rows], "mine")


def weights(arm, metric, values, place="here", x=0.0, setting=None, world=None):
    return [(place, x, arm, setting, world, seed, metric, value) for seed, value in enumerate(values)]


TABLE = study(
    weights("A", "mcc", [0.5, 0.75, 1.0])
    + weights("B", "mcc", [0.5, 0.5, 0.5])
    + weights("A", "mcc", [0.5, 0.5, 0.25], x=1.0)
    + weights("B", "mcc", [0.75, 0.75, 0.75], x=1.0)
)


def test_a_lead_is_paired_by_seed_whatever_the_order_of_rows():
    (answer,) = Question("A ahead", lead("A", "B", "mcc", x=0.0)).answers(TABLE.reverse())
    assert str(answer.intervals[""]) == "+0.250 ± 0.621"  # 4.303 * .25 / sqrt(3)
    assert (answer.verdict, answer.basis, answer.level) == ("UNDECIDED", "weights, n = 3", "> 0")
    (below,) = Question("A below .9", score("A", "mcc", x=0.0), below=2.0).answers(TABLE)
    assert (below.verdict, below.level) == ("CONFIRMED", "< 2")


def test_each_value_of_a_column_is_answered_and_what_was_not_run_is_left_out():
    asked = Question("at {x:g}", lead("A", "B", "mcc"), each="x", above=-1.0)
    assert [(a.question, a.verdict) for a in asked.answers(TABLE)] == [("at 0", "CONFIRMED"), ("at 1", "CONFIRMED")]
    assert not list(Question("C", lead("C", "B", "mcc")).answers(TABLE))
    assert not list(Question("elsewhere", score("A", "mcc", place="there")).answers(TABLE))


def test_a_misspelt_metric_is_no_part_left_out():
    with pytest.raises(ValueError, match="one in the table; got 'mc', score: it has mcc"):
        list(Question("A", score("A", "mc", x=0.0)).answers(TABLE))


def test_settings_and_places_are_never_taken_for_seeds():
    with pytest.raises(ValueError, match="6 for 3 of 'mcc', which differ in x: name one of these, or pick a setting"):
        list(Question("A", score("A", "mcc")).answers(TABLE))


def test_the_interval_says_what_it_is_over():
    per_world = [("here", 0.0, "A", None, w, 10 * w + s, "mcc", w + 0.1 * s) for w in (0, 1, 2) for s in (0, 1)]
    (answer,) = Question("A", score("A", "mcc")).answers(study(per_world))
    assert answer.basis == "worlds, each the mean of 2 weights, n = 3"  # six SAEs are not six worlds
    assert str(answer.intervals[""]) == "+1.050 ± 2.484"  # of .05, 1.05, 2.05
    (both,) = Question("A", score("A", "mcc")).answers(study([row for row in per_world if row[5] % 10 == 0]))
    assert both.basis == "worlds and weights, n = 3"
    (lone,) = Question("A", score("A", "mcc")).answers(study(weights("A", "mcc", [0.5])))
    assert (lone.verdict, lone.measured) == ("UNDECIDED", "+0.5, no interval")
    (exact,) = Question("A", score("A", "mcc")).answers(study([("here", 0.0, "A", None, None, None, "mcc", 0.5)]))
    assert (exact.verdict, exact.basis) == ("CONFIRMED", "nothing drawn")


def test_quantities_are_folded_replicate_by_replicate():
    worst = over("x", min, score("A", "mcc"))
    assert list(worst.read(TABLE).values()) == [0.5, 0.5, 0.25]
    off = most(abs(score("A", "mcc", x=0.0) - 0.75), 1 - score("B", "mcc", x=0.0))
    assert list(off.read(TABLE).values()) == [0.5, 0.5, 0.5]


def test_a_difference_needs_the_same_seeds():
    with pytest.raises(ValueError, match="of the same seeds; got A: 3, B: 2: run both with the same seeds"):
        lead("A", "B", "mcc")[0].read(study(weights("A", "mcc", [1, 2, 3]) + weights("B", "mcc", [1, 2])))


def test_a_crossing_is_said_beside_the_answer():
    falls = Crossing("B", "A", "mcc", symbol="q")
    assert falls.said(TABLE) == "ahead from q = 0.43 on, beyond 0.00"  # .25 / (.25 + .333)
    assert Crossing("A", "B", "mcc").said(TABLE) == "not ahead at the end, beyond 0.00"


def test_a_setting_is_picked_by_its_l0():
    grid = [("l1=1", 9.0, 0.1), ("l1=2", 4.5, 0.2), ("l1=3", 1.0, 0.3)]
    rows = [row for name, l0, mcc in grid for row in weights("A", "l0", [l0] * 2, setting=name)]
    rows += [row for name, l0, mcc in grid for row in weights("A", "mcc", [mcc] * 2, setting=name)]
    rows += [row for name, _, _ in grid for row in weights("A", "expected_l0", [4.0] * 2, setting=name)]
    table = study(rows + weights("B", "mcc", [0.0, 0.0]))
    (answer,) = Question("A ahead", lead("A", "B", "mcc"), pick=nearest_l0).answers(table)
    assert answer.intervals[""] == Interval(0.2, 0.0)
    assert best("mcc")(table).filter(pl.col("arm") == "A")["setting"].unique().to_list() == ["l1=3"]


def test_medians_stand_over_chance():
    own = {"place": "here", "x": 0.0, "arm": "A", "metric": "mcc", "kind": "null", "value": 0.25}
    chance = [own | {"seed": seed} for seed in (0, 1)]
    table = Medians("t", {"mcc": "MCC"}, by=("place", "x", "arm")).of(
        tidy([*TABLE.iter_rows(named=True), *chance], "t")
    )
    rows = list(zip(*(list(column.cells) for column in table.columns), strict=True))
    assert rows == [
        ("here", "0", "A", ".75"),
        ("", "", "B", ".50"),
        ("", "", "  chance", ".25"),
        ("", "1", "A", ".50"),
        ("", "", "B", ".75"),
    ]
