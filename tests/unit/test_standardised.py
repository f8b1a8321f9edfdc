"""Standardised worlds: each sample's own mean and spread, the inner world's truth."""

import torch
from torch.testing import assert_close

import synthetic as S


def test_samples_are_standardised_one_by_one():
    inner = S.SparseMixture(n_true=12, d=8, bias_norm=0.5)
    world = S.Standardised(inner)
    assert isinstance(world, S.World)
    assert world.d == 8
    assert world.truth is inner.truth
    x, raw = world.sample(50, S.stream(0, "t")).x, inner.sample(50, S.stream(0, "t"))
    assert torch.equal(world.sample(50, S.stream(0, "t")).h.values, raw.h.values)
    assert_close(x.mean(1), torch.zeros(50), atol=1e-6, rtol=0)
    assert_close(x.norm(dim=1), torch.full((50,), 7**0.5), atol=1e-3, rtol=0)
    assert_close(x * (raw.x.std(1, keepdim=True) + 1e-5) + raw.x.mean(1, keepdim=True), raw.x, atol=1e-5, rtol=0)


def test_eps_shortens_quiet_samples():
    inner = S.SparseMixture(n_true=12, d=8, magnitudes=S.ConstantMagnitude(1e-3))
    x = S.Standardised(inner, eps=1.0).sample(50, S.stream(0, "t")).x
    assert float(x.norm(dim=1).max()) < 0.01
