"""Paired intervals by hand, what they say, and where they change sign."""

import math

import numpy as np
import pytest

from workbench.study.questions import Interval, interval, sign_change, verdict


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
