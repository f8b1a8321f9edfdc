"""AbsTopK SAE: the gauge of signs, oddness, what trains it, and that one latent holds an axis of both signs."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import kernels
from workbench.parts.base import squared_error
from workbench.parts.objectives import aux_k_loss

D, M = 6, 10


def sae_of(name="abs_topk", m=M, **settings):
    """In float64, with biases."""
    sae = W.create(name, D, m, **({"k": 3} | settings)).double().eval()
    with torch.no_grad():
        for p in (sae.b_enc, sae.b_dec):
            p.copy_(torch.randn(p.shape, generator=S.stream(0, "tests/abs_topk/bias"), dtype=torch.float64))
    return sae


def rows(n=20):
    return torch.randn(n, D, generator=S.stream(0, "tests/abs_topk"), dtype=torch.float64)


@pytest.mark.parametrize("m", [M, 300])
def test_codes_are_the_largest_magnitudes_with_their_signs(m):
    sae = sae_of(m=m)
    pre = (rows() - sae.b_dec) @ sae.W_enc + sae.b_enc
    f = sae.encode(rows())
    assert_close(f, torch.where(pre.abs().argsort(-1, descending=True).argsort(-1) < 3, pre, 0.0))
    assert bool((f < 0).any())
    assert (f != 0).sum(-1).tolist() == [3] * 20


def test_a_flipped_latent_changes_nothing_but_itself():
    sae, x = sae_of(), rows()
    f, x_hat = sae.encode(x), sae(x)
    sign = torch.where(torch.arange(M) % 3 == 0, -1.0, 1.0).double()
    with torch.no_grad():
        sae.W_enc.mul_(sign)
        sae.b_enc.mul_(sign)
        sae.W_dec.mul_(sign[:, None])
    assert_close(sae.encode(x), f * sign)
    assert_close(sae(x), x_hat)


@pytest.mark.parametrize("name", ["abs_topk", "topk"])
@pytest.mark.parametrize("biased", [False, True])
def test_it_is_odd_without_biases_where_topk_is_not(name, biased):
    sae, x = sae_of(name), rows()
    if not biased:
        with torch.no_grad():
            sae.b_enc.zero_()
            sae.b_dec.zero_()
    assert torch.allclose(sae(-x), -sae(x)) is (name == "abs_topk" and not biased)


def test_negative_latents_learn_and_carry_gradient_in_wide_stacks():
    sae, x = W.create("abs_topk", D, 300, seed=[0, 1], k=[2, 3]).double().train(), rows()
    found = []
    for sparse in (True, False):
        sae.zero_grad(set_to_none=True)
        with kernels.using(sparse=sparse):
            squared_error(x, sae.trace(x).x_hat).sum().backward()
        found.append([p.grad for p in sae.parameters()])
    assert_close(*found)
    f = sae.trace(x).dense()
    only_negative = ((f < 0).any(-2) & ~(f > 0).any(-2)).nonzero()
    assert len(only_negative) > 0
    assert bool((found[0][0].abs().sum(-1)[tuple(only_negative.T)] > 0).all())


@pytest.mark.parametrize("sparse", [True, False])
def test_aux_k_takes_dead_latents_of_either_sign(sparse):
    sae, x = sae_of(k=1).train(), rows()
    dead = torch.zeros(M, dtype=torch.bool)
    dead[[1, 4, 7, 8]] = True
    with kernels.using(sparse=sparse):
        out = sae.trace(x)
        loss = aux_k_loss(out, dead, 2)
    pre = torch.where(dead, (x - sae.b_dec) @ sae.W_enc + sae.b_enc, 0.0)
    f = torch.where(pre.abs().argsort(-1, descending=True).argsort(-1) < 2, pre, 0.0)
    assert bool((f < 0).any())
    assert_close(loss, (x - out.x_hat - f @ sae.W_dec).square().sum(-1).mean())


def test_one_latent_holds_an_axis_of_both_signs_where_topk_needs_two():
    """Six orthonormal axes, one at a time with either sign and a varying length: no error from m = 6."""
    world = S.SparseMixture(n_true=D, d=D, directions=S.Orthonormal(), firing=S.ExactlyK(1))

    class Signed:
        d, truth, n_true = D, world.truth, D

        def sample(self, n, rng):
            batch = world.sample(n, rng)
            sign = torch.where(torch.rand(n, 1, generator=rng) < 0.5, -1.0, 1.0)
            h = W.sae.Codes(batch.h.indices, batch.h.values * sign, batch.h.width)
            return type(batch)(batch.x * sign, h)

    left = {}
    for name in ("abs_topk", "topk"):
        sae = W.create(name, D, D, k=1)
        W.train(sae, Signed(), W.TrainConfig(steps=400, batch=128, lr=1e-2, centre=False))
        x = Signed().sample(500, S.stream(9, "x")).x
        left[name] = float((x - sae(x).detach()).square().sum() / x.square().sum())
    assert left["abs_topk"] < 0.01
    assert left["topk"] > 0.2


@pytest.mark.parametrize("k", [0, M + 1])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match=r"abs_topk\.k must be in \[1, m=10\].*lower k"):
        W.create("abs_topk", D, M, k=k)
