"""Agreement of orders: by hand, against scipy, and what intervals and chance say of known cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from experiments.transfer.ranks import Agreement, added, agreement, family_p, kendall, seeds_agree, standings
from synthetic.base.streams import stream

SCORES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9)


def rng():
    return stream(0, "tests/ranks")


def column(*values):
    """Things scored by one place with two seeds that agree."""
    return [np.array([[v, v] for v in values], dtype=np.float64)]


@given(SCORES)
def test_kendall_is_scipys(pairs):
    x, y = np.array(pairs, dtype=np.float64).T
    ours, theirs = float(kendall(x, y)), float(kendalltau(x, y).statistic)
    assert ours == pytest.approx(theirs, nan_ok=True)
    assert kendall(np.stack([x, -x]), y)[1] == pytest.approx(-theirs, nan_ok=True)


def test_standings_by_hand():
    one, other = np.array([[1.0, 5, 9], [4, 4, 30], [3, 6, 0]]), np.array([[2.0], [2.0], [7.0]])
    assert standings([one]).tolist() == [1, 2, 3]  # medians 5, 4, 3
    assert standings([one], best=1.0).tolist() == [3, 2, 1]
    assert standings([one, other]).tolist() == [(1 + 2.5) / 2, (2 + 2.5) / 2, (3 + 1) / 2]
    picked = [np.array([[2, 2, 2], [0, 0, 0]])]
    assert standings([one], picked).tolist() == [[2, 1, 3], [3, 1, 2]]


def test_the_same_order_and_its_reverse():
    up, down = column(*range(8)), column(*range(8, 0, -1))
    same, turned = agreement(up, up, rng(), 2000), agreement(up, down, rng(), 2000)
    assert (same.tau, same.low, same.high, same.least, same.rho) == pytest.approx((1, 1, 1, 1, 1))
    assert (same.verdict, turned.verdict) == ("CONFIRMED", "REFUTED")
    assert turned.p == 1.0
    assert same.p == pytest.approx(1 / 2001)  # of 40,320 orders one
    short = agreement(column(1, 2, 3), column(1, 2, 3), rng(), 6000)
    assert short.p == pytest.approx(1 / 6, abs=0.015)  # three things agree by chance
    assert short.verdict == "UNDECIDED"


def test_spearman_is_scipys():
    x, y = [3.0, 1, 4, 1, 5, 9], [2.0, 7, 1, 8, 2, 8]
    assert agreement(column(*x), column(*y), rng(), 10).rho == pytest.approx(spearmanr(x, y).statistic)


def test_seeds_that_disagree_widen_the_interval_and_are_resampled_for_all_things_alike():
    noise = [np.array([[0.0, 0, 3], [1, 1, 2], [2, 2, 1], [3, 3, 0]])]  # the last seed turns the order round
    found = agreement(noise, column(0, 1, 2, 3), rng(), 400)
    assert (found.tau, found.low, found.high) == (1.0, -1.0, 1.0)  # and is drawn twice or more in 7 of 27
    assert found.verdict == "UNDECIDED"
    assert seeds_agree(noise) == pytest.approx((1 - 1 - 1) / 3)
    assert math.isnan(seeds_agree(column(1, 1, 1)))  # no order


def test_seeds_of_one_place_are_drawn_once_for_all_sides():
    noise = [np.array([[0.0, 0, 3], [1, 1, 2], [2, 2, 1], [3, 3, 0]])]  # the last seed turns the order round
    apart, paired = (agreement(noise, noise, rng(), 400, places) for places in (None, [["model"], ["model"]]))
    assert (apart.low, apart.high) == (-1.0, 1.0)
    assert (paired.low, paired.high) == (1.0, 1.0)  # one score against itself agrees whatever the seeds
    more = added(noise, noise, column(0, 1, 2, 3), rng(), 400, [["world"], ["world"], ["model"]])
    assert math.isnan(more.low)  # what is known already adds nothing, whatever the seeds


def test_ties_are_no_order():
    found = agreement(column(1, 1, 1, 1), column(0, 1, 2, 3), rng(), 50)
    assert all(math.isnan(v) for v in (found.tau, found.low, found.most, found.rho, found.p))
    assert found.verdict == "UNDECIDED"


def test_verdict_needs_other_things_and_chance():
    base = {"tau": 0.5, "low": 0.4, "high": 0.6, "rho": 0.6}
    assert Agreement(**base, least=0.1, most=0.8, p=0.05).verdict == "CONFIRMED"
    assert Agreement(**base, least=0.1, most=0.8, p=0.06).verdict == "UNDECIDED"
    assert Agreement(**base, least=-0.1, most=0.8, p=0.01).verdict == "UNDECIDED"
    assert Agreement(**base, least=-0.9, most=0.0, p=0.99).verdict == "REFUTED"


def test_partial_tau_by_hand():
    x, z, y = [1.0, 2, 3, 4, 5], [2.0, 1, 3, 5, 4], [1.0, 3, 2, 4, 5]
    xy, xz, yz = (float(kendalltau(a, b).statistic) for a, b in ((x, y), (x, z), (y, z)))
    found = added(column(*x), column(*z), column(*y), rng(), 50)
    assert found.tau == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)))
    assert math.isnan(added(column(*x), column(*x), column(*y), rng(), 50).tau)  # nothing is left to add


def test_a_family_of_comparisons_makes_chance_likelier():
    names = np.arange(6.0)
    sides = [column(*names), column(*names[[1, 0, 2, 3, 4, 5]]), column(*names[[3, 1, 0, 5, 4, 2]]), column(*[1] * 6)]
    alone = family_p(sides[:1], sides[1:2], rng(), 4000)
    assert alone[0, 0] == pytest.approx(agreement(sides[0], sides[1], rng(), 4000).p, abs=0.01)
    many = family_p(sides, sides, rng(), 4000)
    assert many.shape == (4, 4)
    assert many[0, 1] > 2 * alone[0, 0]
    assert np.isnan(many[3]).all()
    assert np.isfinite(many[:3, :3]).all()


def test_sides_must_score_the_same_things():
    with pytest.raises(ValueError, match=r"of the same things; got \[3, 4\] of them"):
        agreement(column(1, 2, 3), column(1, 2, 3, 4), rng(), 10)
    with pytest.raises(ValueError, match="at least 3 things; got 2"):
        agreement(column(1, 2), column(1, 2), rng(), 10)
