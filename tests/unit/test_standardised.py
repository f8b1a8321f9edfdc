"""Standardised worlds: each sample's own mean and spread; directions, coefficients and rates that are theirs."""

import torch
from torch.testing import assert_close

import synthetic as S

INNER = S.SparseMixture(n_true=12, d=8)


def test_samples_are_standardised_one_by_one():
    world = S.Standardised(INNER)
    assert isinstance(world, S.World)
    assert world.d == 8
    x, raw = world.sample(50, S.stream(0, "t")).x, INNER.sample(50, S.stream(0, "t"))
    live = raw.x.norm(dim=1) > 0
    assert_close(x.mean(1), torch.zeros(50), atol=1e-6, rtol=0)
    assert_close(x.norm(dim=1)[live], torch.full((int(live.sum()),), 7**0.5), atol=1e-3, rtol=0)
    assert_close(x * (raw.x.std(1, keepdim=True) + 1e-5) + raw.x.mean(1, keepdim=True), raw.x, atol=1e-5, rtol=0)


def test_truth_is_that_of_the_standardised_samples():
    world = S.Standardised(INNER)
    batch, truth = world.sample(200, S.stream(1, "t")), world.truth
    assert_close(batch.h.dense() @ truth.features, batch.x, atol=1e-4, rtol=1e-4)
    assert_close(truth.features.norm(dim=1), torch.ones(12))
    assert_close(truth.rates, INNER.truth.rates)
    assert float((truth.features - INNER.truth.features).abs().max()) > 0.1
    assert truth.covariance is None
    assert bool(truth.mean.isnan().all())
    assert {"mean", "covariance"} <= set(truth.open)


def test_eps_shortens_quiet_samples():
    quiet = S.SparseMixture(n_true=12, d=8, magnitudes=S.ConstantMagnitude(1e-3))
    x = S.Standardised(quiet, eps=1.0).sample(50, S.stream(0, "t")).x
    assert float(x.norm(dim=1).max()) < 0.01


def test_a_saved_one_comes_back_with_the_same_bits(tmp_path):
    world = S.Standardised(INNER, eps=1e-3)
    back = S.load_world(S.save_world(world, tmp_path / "world"))
    assert back == world
    back.tensors["features"] += 0.0  # what is loaded is what is used
    assert torch.equal(back.sample(9, S.stream(2, "t")).x, world.sample(9, S.stream(2, "t")).x)
    assert all(back.inner.tensors[name] is value for name, value in back.tensors.items())
