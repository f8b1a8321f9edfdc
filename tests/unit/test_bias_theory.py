"""Closed forms of bias adaptation against numbers worked by hand."""

import math
from fractions import Fraction

import pytest
import torch

from workbench.tensors import TENSOR
from workbench.theory import bias as theory
from workbench.theory import coherence


def test_products_by_hand():
    products = [[1.0, 0.6], [0.6, 1.0]]
    assert theory.cross_interference([1.0, 2.0], [3.0, 4.0], products) == pytest.approx(0.6 * (1 * 4 + 2 * 3))
    assert theory.gram_gap(3.0, 7.0, 0.6) == pytest.approx(12.6)
    assert theory.gram_gap(3.0, 7.0, 0.6, shared=1 * 3 + 2 * 4) == pytest.approx(0.6 * 10)
    assert theory.gram_gap(3.0, 3.0, 0.6, shared=5.0) == pytest.approx(coherence.l1_gap(3.0, 5.0, 0.6))


def test_conditional_mean_by_hand():
    assert theory.leak_square(Fraction(5), Fraction(3), Fraction(1, 2)) == Fraction(5, 2) + Fraction(9, 2)
    assert theory.leak_square(0.16, 0.4, 0.3) == pytest.approx(0.16)  # one other feature: mu does not matter
    assert theory.coarse_leak_square(2, 3, Fraction(1, 4), 0) == 16 * Fraction(1, 2)
    assert theory.coarse_leak_square(1, 3, 0, 1) == 4
    assert theory.conditional_mean_cosine(5.0, 9.0) == pytest.approx(0.8)
    assert theory.conditional_mean_cosine(1.0, 4.0) == 0


def test_nested_by_hand():
    assert theory.nested_shear([1.0, 2.0, 0.0], [3.0, 4.0, 0.0]) == 2
    assert theory.nested_shear([1.0, 1.0], [3.0, 0.0]) == 3  # not nested: the sample without feature 2 is left out
    assert theory.sheared_cosine(1.0, 0.0) == pytest.approx(0.5**0.5)
    assert theory.sheared_cosine(2.0, 1.0) == pytest.approx(1.0)


def test_gradient_factors_by_hand():
    u = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    assert theory.relu_factor(u, 0.5, ops=TENSOR).tolist() == [0, 0, 3.5]
    assert theory.jump_factor(u, 0.5, ops=TENSOR).tolist() == [0, 0, 4]
    assert (theory.relu_factor(2.0, 0.5), theory.jump_factor(0.4, 0.5)) == (3.5, 0)
    assert theory.coupling_gap(0.1, 2.0, 3.0, 4.0) == pytest.approx(2.0)


def test_one_latent_on_a_line_attains_the_coupling():
    """x = 3, w = 1, t = 1: minus the gradient over a is (phi + x)(x - a phi) = 5 (3 - 2a), against g x = 5 * 3."""
    a = 0.01
    assert theory.relu_factor(3.0, 1.0) * 3.0 - 5 * (3 - 2 * a) == pytest.approx(theory.coupling_gap(a, 2.0, 3.0, 2.0))


def test_window_by_hand():
    assert theory.upper_exponents(Fraction(3)) == (Fraction(2, 3), Fraction(2, 3))
    assert theory.window(Fraction(4)) == Fraction(3, 8)
    assert theory.window(2) == 0
    assert theory.window(1, 0.1) == pytest.approx(1 - 2.42)
    assert theory.width_exponent(3) == 3
    assert theory.orthant_exponent(3) == pytest.approx(1.5)


def test_limits_by_hand():
    limits = theory.frequency_limits(10_000, 100, 4)
    assert limits == pytest.approx((1e-4, 1e-4**0.625, 1e-2, 1e-2))
    slower = theory.frequency_limits(10_000, 100, 4, eps=0.1, varsigma=0.5)
    assert slower.pairs == pytest.approx(1e-4**0.605)
    assert slower.dimension == pytest.approx(1e-3)


def test_width_of_the_published_heat_map():
    """n = 65536, s = 3, p = 1e-4, where 2.6e5 latents recover most features."""
    assert theory.width(65536, 1e-4, 3) == pytest.approx(6.55e16, rel=1e-3)
    assert theory.width(1000, 1e-2, 3) == pytest.approx(theory.frequency_limits(1000, 1000, 3).pairs ** -4.5, rel=1e-9)


def test_thresholds_by_hand():
    assert theory.gaussian_tail(0.0) == 0.5
    assert theory.gaussian_tail(1.6448536269514722) == pytest.approx(0.05)
    assert theory.threshold_advantage(4, 1.5) == 3
    assert math.isclose(float(theory.gaussian_tail(torch.tensor(2.0), ops=TENSOR)), 0.02275, rel_tol=1e-3)
