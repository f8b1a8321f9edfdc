"""Where curves cross a level, how the place scales, and where values stand among ticks."""

import math

import numpy as np
import pytest
from matplotlib import pyplot as plt

from experiments.bias.transition import crossing, exponent, tick_place
from workbench.study.panels import heat


def test_a_crossing_is_linear_in_the_logarithm():
    assert crossing([1, 4, 16], [0.0, 0.25, 0.75], 0.5) == pytest.approx(8.0)
    assert crossing([1, 4, 16], [1.0, 0.5, 0.0], 0.75) == pytest.approx(2.0)
    assert crossing([0, 0.4], [1.0, 0.0], 0.5) == pytest.approx(0.2)  # from 0 linear in x
    assert math.isnan(crossing([1, 2], [0.1, 0.2], 0.5))
    assert crossing([1, 2, 4], [1.0, 0.0, 1.0], 0.5) == pytest.approx(2**0.5)  # the first one


def test_the_exponent_is_that_of_a_power_law():
    assert exponent([64, 128, 512], [3 * n**0.5 for n in (64, 128, 512)]) == pytest.approx(0.5)
    assert exponent([64, 128], [0.3, 0.3]) == pytest.approx(0.0)
    assert exponent([1, 4, 16], [1.0, math.nan, 4.0]) == pytest.approx(0.5)
    assert math.isnan(exponent([64, 128], [0.3, math.nan]))


def test_a_place_is_found_between_ticks_and_beyond_them():
    assert tick_place([1, 2, 4], 2) == pytest.approx(1.0)
    assert tick_place([1, 2, 4], 8**0.5) == pytest.approx(1.5)
    assert tick_place([1, 2, 4], 0.5) == pytest.approx(-1.0)
    assert tick_place([1, 2, 4], 16) == pytest.approx(4.0)


def test_a_heat_map_outlines_what_reaches_the_level():
    figure, panel = plt.subplots()
    heat(panel, "12", "34", np.array([[0.95, 0.1], [0.2, 0.3]]), level=0.9)
    edges = sorted((tuple(line.get_xdata()), tuple(line.get_ydata())) for line in panel.lines)
    plt.close(figure)
    around = [
        ((-0.5, -0.5), (-0.5, 0.5)),
        ((-0.5, 0.5), (-0.5, -0.5)),
        ((-0.5, 0.5), (0.5, 0.5)),
        ((0.5, 0.5), (-0.5, 0.5)),
    ]
    assert edges == sorted(around)
    assert [t.get_text() for t in panel.texts] == [".95", ".10", ".20", ".30"]
