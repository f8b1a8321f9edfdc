"""Calibration of a setting on L0 curves that are known."""

import json
import math

import pytest

from experiments.transfer.calibration import calibrated, miss, nearest, next_value


def test_a_power_law_takes_three_trials():
    found = calibrated(lambda value: 100 / value**2, 4.0, 1.0, trials=9)  # 5 is wanted
    assert [value for value, _ in found[:4]] == [1.0, 2.0, 4.0, 8.0]
    assert found[4][0] == pytest.approx(5.0)  # a straight line in logs
    assert len(found) == 5


def test_it_goes_down_as_well_and_stops_when_close():
    assert calibrated(lambda value: 100 / value, 100.0, 4.0, trials=9)[-1][0] == 1.0
    assert calibrated(lambda value: 10.4, 10.0, 3.0, trials=9) == [(3.0, 10.4)]


def test_a_steep_curve_is_closed_in_on():
    def steep(value):
        return 40.0 if value < 4 else 40 * math.exp(-8 * (value - 4))

    found = calibrated(steep, 4.0, 4.0, trials=12)
    assert miss(nearest(found, 4.0), 4.0) <= 0.05


def test_trials_end_it_and_the_nearest_in_log_counts():
    found = calibrated(lambda value: 50.0, 5.0, 1.0, trials=3)
    assert [value for value, _ in found] == [1.0, 2.0, 4.0]
    assert nearest([(1.0, 1.0), (2.0, 7.0)], 3.0) == (2.0, 7.0)  # 7/3 is less than 3
    assert next_value([(1.0, 8.0), (2.0, 0.0)], 4.0) == pytest.approx(2**0.15)  # L0 0 is no number to draw lines to


def test_what_was_tried_is_kept(tmp_path):
    path, calls = tmp_path / "tried.json", []

    def l0_at(value):
        calls.append(value)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 100 / value**2

    with pytest.raises(KeyboardInterrupt):
        calibrated(l0_at, 4.0, 1.0, trials=9, path=path)
    assert json.loads(path.read_text()) == [[1.0, 100.0], [2.0, 25.0]]
    found = calibrated(l0_at, 4.0, 1.0, trials=9, path=path)
    assert calls[3] == 4.0
    assert found == calibrated(lambda value: 100 / value**2, 4.0, 1.0, trials=9)
