"""Dictionaries against hand-worked geometry."""

import math

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from synthetic.laws.directions import overlaps, unit, welch_bound


def drawn(family, n, d, seed=0):
    rows = family.draw(n, d, S.stream(seed, "directions"))
    assert rows.shape == (n, d)
    assert rows.dtype == torch.float64
    assert_close(rows.norm(dim=1), torch.ones(n, dtype=torch.float64), atol=1e-12, rtol=0)
    return rows


def gram(rows):
    return rows @ rows.T


def eye(n):
    return torch.eye(n, dtype=torch.float64)


def exactly(got, expected):
    assert_close(got, torch.as_tensor(expected, dtype=torch.float64), atol=1e-12, rtol=0)


# --- measures --------------------------------------------------------------------------------------------------------


def test_overlaps_of_three_rows_worked_by_hand():
    """Angles 0, 60 and 180 degrees: nearest |cos| are 1, 1/2, 1; in chunks of one row as in one piece."""
    rows = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)], [-1.0, 0.0]], dtype=torch.float64)
    exactly(overlaps(rows), [1.0, 0.5, 1.0])
    exactly(overlaps(rows, chunk=1), [1.0, 0.5, 1.0])
    exactly(overlaps(rows, chunk=2), [1.0, 0.5, 1.0])


def test_a_single_row_overlaps_with_nothing():
    exactly(overlaps(torch.ones(1, 3, dtype=torch.float64)), [0.0])


def test_welch_bound_worked_by_hand():
    """Three vectors in the plane cannot beat 120 degrees; no bound without overcompleteness; 6 in R^3 is 1/sqrt 5."""
    assert welch_bound(3, 2) == pytest.approx(0.5)
    assert welch_bound(6, 3) == pytest.approx(1 / math.sqrt(5))
    assert welch_bound(4, 4) == 0.0
    assert welch_bound(1, 5) == 0.0


# --- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(4, 4), (3, 7), (1, 1)])
def test_orthonormal(n, d):
    exactly(gram(drawn(S.Orthonormal(), n, d)), eye(n))


def test_random_sphere_has_uniform_cosines():
    """In d = 3 the cosine of two random directions is uniform on [-1, 1]: mean of squares 1/3, sd of it .3/sqrt(pairs).

    False-alarm rate under 1e-6 (5 standard errors over 1,000 disjoint pairs; the seed is fixed).
    """
    rows = drawn(S.RandomSphere(), 2000, 3)
    cosines = (rows[::2] * rows[1::2]).sum(1)
    error = math.sqrt(4 / 45 / 1000)
    assert float(cosines.square().mean()) == pytest.approx(1 / 3, abs=5 * error)
    assert float(cosines.mean()) == pytest.approx(0, abs=5 * math.sqrt(1 / 3 / 1000))


@pytest.mark.parametrize("mu", [-1 / 3, -0.2, 0.0, 0.4, 0.95])
def test_cone_gram_is_equiangular_in_groups_and_zero_across(mu):
    group = (1 - mu) * eye(4) + mu
    exactly(gram(drawn(S.Cone(mu, k=4), 8, 9)), torch.block_diag(group, group))


def test_one_cone_of_all_features():
    exactly(gram(drawn(S.Cone(0.5), 3, 5)), [[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]])


@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 2), (5, 4), (4, 9)])
def test_simplex_inner_products(n, d):
    """-1/(n-1) for every pair, so the rows sum to 0."""
    rows = drawn(S.Simplex(), n, d)
    exactly(gram(rows), eye(n) * n / (n - 1) - 1 / (n - 1))
    exactly(rows.sum(0), torch.zeros(d))


@pytest.mark.parametrize(("n", "d"), [(4, 4), (5, 4), (7, 3), (40, 6)])
def test_tight_frame(n, d):
    """V^T V = (n/d) I: every direction of the space is covered equally."""
    rows = drawn(S.TightFrame(), n, d)
    assert_close(rows.T @ rows, n / d * eye(d), atol=1e-10, rtol=0)


def test_antipodal_pairs():
    rows = drawn(S.Antipodal(), 6, 4)
    exactly(rows[1::2], -rows[::2])
    assert float(overlaps(rows[::2]).max()) < 0.999


@pytest.mark.parametrize(("share", "copies"), [(0.0, 0), (0.29, 2), (0.3, 3), (0.5, 5)])
def test_duplicates_copy_the_first_rows_to_the_end(share, copies):
    rows = drawn(S.Duplicates(share), 10, 5)
    exactly(rows[10 - copies :], rows[:copies])
    assert float(overlaps(rows[: 10 - copies]).max()) < 0.999


def test_common_mean_in_the_plane_leaves_two_directions():
    """In d = 2 the own part is +-w, so cosines are 1 or c - (1 - c) = 2c - 1."""
    table = gram(drawn(S.CommonMean(0.3), 12, 2))
    exactly(torch.minimum((table - 1).abs(), (table + 0.4).abs()), torch.zeros(12, 12))
    assert float(table.min()) < 0


def test_common_mean_shares_one_direction():
    """V = sqrt(c) u + sqrt(1-c) w: |mean row|^2 tends to c as the own parts average out, and cosines centre on c."""
    rows = drawn(S.CommonMean(0.36), 4000, 20)
    centre = unit(rows.mean(0))
    assert_close(rows @ centre, torch.full((4000,), 0.6, dtype=torch.float64), atol=0.03, rtol=0)
    table = gram(rows[:200])
    off = table[~torch.eye(200, dtype=torch.bool)]
    assert float(off.mean()) == pytest.approx(0.36, abs=0.01)
    assert float(off.std()) == pytest.approx(0.64 / math.sqrt(19), rel=0.05)


def test_given_rows_are_scaled_to_unit_norm():
    exactly(drawn(S.Given(((3.0, 4.0), (0.0, -2.0))), 2, 2), [[0.6, 0.8], [0.0, -1.0]])


# --- requested overlaps ----------------------------------------------------------------------------------------------


def realised(kind, rows):
    nearest = overlaps(rows)
    return float(nearest.max() if kind == "max" else nearest.mean())


@pytest.mark.parametrize("kind", ["max", "mean_max"])
@pytest.mark.parametrize(("n", "d"), [(12, 16), (24, 16), (7, 16), (3, 64)])
@pytest.mark.parametrize("factor", [0.8, 0.99, 1.001, 1.3])
def test_low_coherence_hits_its_request_on_either_side_of_random(kind, n, d, factor):
    """Targets below what random directions have (pushed apart) and above it (turned together), each to 0.1 %."""
    start = drawn(S.RandomSphere(), n, d)
    target = factor * realised(kind, start)
    rows = drawn(S.LowCoherence(target, kind), n, d)
    assert realised(kind, rows) == pytest.approx(target, rel=1e-3)


@pytest.mark.parametrize("kind", ["max", "mean_max"])
@pytest.mark.parametrize("n", [2, 3, 7, 8])
def test_low_coherence_hits_a_request_far_above_random(kind, n):
    """With an odd number of features the last one has no partner of its own, and must follow all the same."""
    assert realised(kind, drawn(S.LowCoherence(0.97, kind), n, 64)) == pytest.approx(0.97, rel=1e-3)


def test_low_coherence_under_the_welch_bound_is_refused_with_the_bound_and_the_advice():
    message = r"LowCoherence\.overlap must be at least the Welch bound 0\.246 of 512 features in d=16; got 0\.01: "
    with pytest.raises(ValueError, match=message + r"raise d or the overlap\."):
        S.LowCoherence(0.01).draw(512, 16, S.stream(0, "directions"))


def test_low_coherence_that_the_optimiser_cannot_reach_is_refused_with_the_advice():
    """5 lines in the plane: the Welch bound is .61, the best packing cos(36 degrees) = .81."""
    assert welch_bound(5, 2) < 0.7 < math.cos(math.pi / 5)
    with pytest.raises(ValueError, match=r"one that 200 steps reach.*raise the overlap, d or steps\."):
        S.LowCoherence(0.7, steps=200).draw(5, 2, S.stream(0, "directions"))


def test_a_world_states_requested_and_realised_overlap():
    truth = S.SparseMixture(n_true=12, d=16, directions=S.LowCoherence(0.3)).truth
    assert truth.requested["coherence"] == 0.3
    assert truth.realised["coherence"] == pytest.approx(0.3, rel=1e-3)
    assert "mean-max overlap" not in truth.requested
    assert truth.realised["mean-max overlap"] <= truth.realised["coherence"]


# --- Orthogonalised --------------------------------------------------------------------------------------------------


def by_autograd(n, d, steps, lr):
    """The rows that Adam on the stated loss gives, by autograd."""
    rows = unit(torch.randn(n, d, generator=S.stream(0, "directions"))).requires_grad_()
    adam = torch.optim.Adam([rows], lr=lr)
    for _ in range(steps):
        table = rows @ rows.T
        across = table - torch.diag(table.diagonal())
        loss = across.square().sum() + n * (table.diagonal() - 1).square().sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return unit(rows.detach().double())


@pytest.mark.parametrize("steps", [1, 5, 60])
def test_orthogonalised_follows_the_gradient_of_its_stated_loss(steps):
    rows = drawn(S.Orthogonalised(steps, lr=0.01), 7, 4)
    assert_close(rows, by_autograd(7, 4, steps, 0.01), atol=2e-4, rtol=0)


def test_orthogonalised_brings_rows_nearer_to_orthogonal():
    before = drawn(S.Orthogonalised(0, lr=0.01), 8, 8)
    after = drawn(S.Orthogonalised(300, lr=0.01), 8, 8)
    assert float(overlaps(after).max()) < 0.05 < 0.3 < float(overlaps(before).max())
