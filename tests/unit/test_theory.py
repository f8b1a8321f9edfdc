"""Closed forms against numbers worked by hand and published shapes."""

import math
from fractions import Fraction

import pytest
import torch

from synthetic.laws.directions import welch_bound
from workbench.tensors import TENSOR
from workbench.theory import afa, average_case, coherence, top_afa

ROWS = [[1.0, 0.0], [0.6, 0.8]]
"""two unit rows with cosine .6"""


def test_interference_by_hand():
    g = coherence.gram(ROWS)
    assert g[0][1] == pytest.approx(0.6)
    assert g[1][1] == pytest.approx(1.0)
    assert coherence.interference([1.0, 2.0], g) == pytest.approx(2 * 2 * 0.6)
    assert coherence.energy([1.0, 2.0], ROWS) == pytest.approx(2.2**2 + 1.6**2)
    assert coherence.square_norm([1.0, 2.0]) == 5
    assert coherence.l1_norm([1.0, -2.0]) == 3
    assert coherence.energy([1.0, 2.0], ROWS) - 5 == pytest.approx(coherence.interference([1.0, 2.0], g))


def test_bounds_by_hand():
    assert coherence.l1_gap(3.0, 5.0, 0.6) == pytest.approx(0.6 * 4)
    assert coherence.norm_gap(5.0, 0.6, 2) == pytest.approx(3.0)
    assert coherence.norm_gap(Fraction(5), Fraction(3, 5), 1) == 0
    assert coherence.babel([[1.0, 0.5, -0.25], [0.5, 1.0, 0.0], [-0.25, 0.0, 1.0]]) == pytest.approx(0.75)
    assert coherence.signed_gap(3.0, 5.0, -0.1, 0.6) == pytest.approx((-0.4, 2.4))
    assert coherence.energy_range(0.25, 3) == pytest.approx((0.5, 1.5))
    assert coherence.dense_energy(6, 4) == 1.5
    assert coherence.energy_range(0.9, 3) == pytest.approx((0.0, 2.8))


def test_welch_is_that_of_the_worlds():
    for n, d in ((5, 2), (64, 32), (24576, 768)):
        assert math.sqrt(coherence.welch_square(n, d)) == pytest.approx(welch_bound(n, d))


@pytest.mark.parametrize(("n", "d", "floor", "constant"), [(24576, 768, 0.03552, 872.8), (16384, 2304, 0.01931, 316.4)])
def test_published_shapes(n, d, floor, constant):
    """GPT-2 res-jb and Gemma Scope 16k: the least coherence there can be, and the paper's constant at it."""
    welch = math.sqrt(coherence.welch_square(n, d))
    assert welch == pytest.approx(floor, abs=5e-6)
    assert coherence.norm_gap(1.0, welch, n) == pytest.approx(constant, abs=0.05)


def test_gpt2_average_case():
    assert coherence.random_coherence(24576, 768) == pytest.approx(0.2295, abs=5e-5)
    typical = math.sqrt(average_case.random_directions_variance(1.0, 0.0, 768))
    assert typical == pytest.approx(math.sqrt(2 / 768)) == pytest.approx(0.051, abs=5e-4)


def test_average_case_by_hand():
    h, g = [1.0, 2.0], coherence.gram(ROWS)
    values = [coherence.interference([s * h[0], t * h[1]], g) / 5 for s in (1, -1) for t in (1, -1)]
    variance = sum(v * v for v in values) / 4
    assert average_case.random_signs_variance(h, g) == pytest.approx(variance)
    assert average_case.random_signs_bound(5.0, 17.0, 0.6) == pytest.approx(variance)  # one pair: attained
    centred = average_case.independent_code_ratio(0.5, 1.0, 1.0, 0.0, 4)
    assert centred == pytest.approx(0.5)  # |sum v|² = 0
    assert average_case.independent_code_ratio(0.5, 1.0, 1.0, 4.0, 4) == pytest.approx(1.0)  # orthonormal


def test_afa_by_hand():
    assert afa.afa_floor(3.0, 0.5) == pytest.approx(2.0)
    assert afa.afa_ceiling(3.0, 0.5) == pytest.approx(6.0)
    for c, low, high in ((0.25, 0.8944, 1.1547), (0.5, 0.8165, 1.4142)):  # slopes of the published plot
        assert afa.zf_slopes(c) == pytest.approx((low, high), abs=5e-5)
        assert afa.norm_error(c) == pytest.approx(high - 1, abs=5e-5)
    assert afa.mismatch(0.2, 0.3, -0.1) == pytest.approx(0.4)
    assert afa.residual_gap(3.0, 5.0, 0.6, 7.0, 6.5) == pytest.approx(2.4 + 0.5)


@pytest.mark.parametrize(("ratio", "r"), [(0.1, 99), (0.5, 3), (0.9, 0.235), (1.1, 0.174), (2.0, 0.75), (10.0, 0.99)])
def test_over_activation_saturates_and_under_activation_diverges(ratio, r):
    assert afa.norm_mismatch(1.0, ratio**2) == pytest.approx(r, abs=6e-4)
    assert afa.log_mismatch(1.0, ratio**2) == pytest.approx(abs(math.log(ratio)))


def test_lower_bounds_of_coherence_by_hand():
    x2, f2, l1 = 7.4, 5.0, 3.0  # h = (1, 2) on the two rows
    assert afa.lbo_1(x2, f2, l1) == pytest.approx(0.6)
    assert afa.lbo_k(x2, f2, 2) == pytest.approx(0.48)
    assert afa.lbo_dense(x2, f2, 5) == pytest.approx(0.12)


def test_silence_is_infinitely_under_activated():
    assert afa.norm_mismatch(2.0, 0.0) == math.inf
    assert afa.lbo_dense(2.0, 0.0, 9) == math.inf
    tensors = afa.lbo_k(torch.tensor([2.0, 4.0]), torch.tensor([0.0, 2.0]), 3, ops=TENSOR)
    assert tensors.tolist() == [math.inf, 0.5]


def test_selection_by_hand():
    norms = top_afa.prefix_norms([3.0, 2.0, 1.0, 0.5])
    assert norms == pytest.approx([3, math.sqrt(13), math.sqrt(14), math.sqrt(14.25)])
    assert top_afa.nearest_prefix(norms, math.sqrt(11)) == 2  # nearest in squares would tie: 9 and 13
    assert top_afa.nearest_prefix([4.0, 5.0], 4.5) == 1  # the first of equally near ones
    assert top_afa.nearest_prefix(norms, 0.0) == 1
    assert top_afa.nearest_prefix(norms, 99.0) == 4
    assert top_afa.half_gap(3.0, 5.0) == 1.0
    assert top_afa.half_gap_bound(4.0, 3.0) == pytest.approx(9 / 18)
    assert top_afa.exact_count_above(4.0, 5.0) == 4.5
    assert top_afa.missed_at_most(14.0, 9.0, 1.0) == pytest.approx(6.0)
    assert top_afa.missed_at_most(14.0, 20.0, 1.0) == pytest.approx(1.0)
    assert top_afa.norm_loss_bound(3.0, 5.0, 0.5) == 1.5
    assert top_afa.norm_loss_gradient([3.0, 4.0], 4.0) == pytest.approx([2 * 0.6, 2 * 0.8])
    assert top_afa.tied_energy_range(0.25, 4.0) == (0.5, 2.0)
    assert top_afa.initial_energy(5.0, 24, 0.5) == pytest.approx(5.0)  # limit sqrt(6/24)
    assert top_afa.sign_split(-2.0) == (0.0, 2.0)
    assert top_afa.standardised_norm(768, 1.0, 1e-5) == pytest.approx(27.69, abs=5e-3)
