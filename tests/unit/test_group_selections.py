"""GroupMax, blocks of latents and budgets of latents: by hand, against definitions, in stacks, dense and sparse."""

import math

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.selections import BlockTopK, FeatureChoice, GroupMax
from workbench.sae import Stack


def dense(latents):
    """As a dense array."""
    return latents.dense() if isinstance(latents, Codes) else latents


def pre(*shape):
    return torch.randn(*shape, generator=S.stream(0, "tests/group_selections"))


@pytest.mark.parametrize("sparse", [False, True])
def test_group_max_by_hand(sparse):
    rows = torch.tensor([[1.0, 3.0, 3.0, 2.0, -1.0, -2.0], [0.0, -1.0, 5.0, 6.0, 1.0, 2.0]])
    with kernels.using(sparse=sparse):
        f = dense(GroupMax(Stack("x", 2, 6), k=3)(rows))
    assert_close(f, torch.tensor([[0.0, 3.0, 3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 6.0, 0.0, 2.0]]))
    f = dense(GroupMax(Stack("x", 2, 6), k=4)(rows))  # groups of 2, 1, 2, 1: floor(i 4 / 6) = 0 0 1 2 2 3
    assert_close(f[0], torch.tensor([0.0, 3.0, 3.0, 2.0, 0.0, 0.0]))
    f = dense(GroupMax(Stack("x", 2, 6), k=1)(torch.ones(1, 6)))  # the first of equals, and no other
    assert_close(f, torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]))


def test_group_max_shows_nan_and_takes_a_k_for_each_member():
    rows = pre(2, 5, 12)
    both = GroupMax(Stack("x", 2, 12, (2,), [0, 0]), k=torch.tensor([2, 3]))
    for member, k in enumerate((2, 3)):
        assert_close(dense(both(rows))[member], dense(GroupMax(Stack("x", 2, 12), k=k)(rows[member])))
    rows[0, 0, 3] = torch.nan
    assert bool(dense(both(rows)).isnan().any())


def test_group_max_keeps_a_known_share_of_features_in_random_groups():
    k, each, n = 4, 8, 20_000
    rng = S.stream(0, "tests/group_selections/share")
    active = torch.rand(n, k * each, generator=rng).topk(k, dim=-1).indices
    f = dense(GroupMax(Stack("x", 2, k * each), k=k)(torch.zeros(n, k * each).scatter(-1, active, 1.0)))
    m = k * each  # k distinct features of m: a group is missed with probability C(m - each, k) / C(m, k)
    share = 1 - math.comb(m - each, k) / math.comb(m, k)
    kept = float((f > 0).double().sum(-1).mean() / k)
    assert abs(kept - share) < 0.005
    assert share > 1 - (1 - 1 / k) ** k  # the value with replacement, which large groups come down to


@pytest.mark.parametrize("sparse", [False, True])
def test_blocks_of_largest_norm_are_kept_whole_with_their_signs(sparse):
    rows = torch.tensor([[3.0, -4.0, 4.5, 0.0, -1.0, 1.0], [0.0, 1.0, 0.5, 0.5, -9.0, 0.0]])
    with kernels.using(sparse=sparse):
        f = dense(BlockTopK(Stack("x", 2, 6), blocks=1, size=2)(rows))
        assert_close(f, torch.tensor([[3.0, -4.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, -9.0, 0.0]]))
        both = BlockTopK(Stack("x", 2, 6, (2,), [0, 0]), blocks=torch.tensor([1, 2]), size=2)
        f = dense(both(rows.expand(2, 2, 6)))
    assert (f != 0).sum(-1).tolist() == [[2, 1], [3, 2]]


def test_blocks_may_turn_and_their_nuclear_norm_stays():
    sae = W.create("subspace", 6, 12, size=3, blocks=2, gamma=2.0).double()
    x = pre(20, 6).double()
    before, term = sae(x).detach(), sae.loss(sae.trace(x))["nuclear"].detach()
    maps = [sae.W_enc[:, i : i + 3] @ sae.W_dec[i : i + 3] for i in range(0, 12, 3)]
    by_hand = torch.stack([torch.linalg.svdvals(a).sum() for a in maps]).mean() * 2
    assert_close(term, by_hand.detach())
    turn = torch.linalg.qr(pre(3, 3).double()).Q
    with torch.no_grad():
        for i in range(0, 12, 3):
            sae.W_enc[:, i : i + 3] = sae.W_enc[:, i : i + 3] @ turn
            sae.W_dec[i : i + 3] = turn.T @ sae.W_dec[i : i + 3]
            sae.b_enc[i : i + 3] = turn.T @ sae.b_enc[i : i + 3]
    assert_close(sae(x).detach(), before)
    assert_close(sae.loss(sae.trace(x))["nuclear"].detach(), term)


def test_blocks_must_divide_latents():
    with pytest.raises(ValueError, match="change m or it"):
        W.create("subspace", 6, 12, size=5)
    with pytest.raises(ValueError, match="lower it"):
        W.create("subspace", 6, 12, blocks=7)


@pytest.mark.parametrize("sparse", [False, True])
def test_each_latent_chooses_its_rows(sparse):
    rows = torch.tensor([[1.0, -1.0], [3.0, -2.0], [2.0, 5.0], [0.5, -3.0]])
    choice = FeatureChoice(Stack("x", 2, 2), k=1.0).train()  # 4 rows, 2 latents: 2 rows a latent
    with kernels.using(sparse=sparse):
        f = choice(rows)
    assert_close(dense(f), torch.tensor([[0.0, 0.0], [3.0, 0.0], [2.0, 5.0], [0.0, 0.0]]))
    choice.follow(f)
    assert_close(choice.threshold, torch.tensor([2.0, 5.0]))  # the first batch sets them
    choice.follow(torch.tensor([[4.0, 0.0]]))
    assert_close(choice.threshold, torch.tensor([2.1, 5.0]))  # later ones move those that fired by 5 %
    assert_close(dense(choice.eval()(rows)), torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))


def test_latents_fire_as_often_as_their_budget_says():
    world = W.find_source("toy")
    sae = W.create("feature_choice", world.d, 32, k=2.0)
    W.train(sae, world, W.TrainConfig(steps=200, batch=128))
    f = sae.train().trace(world.sample(128, S.stream(0, "tests/feature_choice")).x * sae.scale).dense()
    assert int((f != 0).sum(0).max()) == 8  # 128 rows x 2 / 32
    rates = (sae.eval().encode(world.sample(4096, S.stream(1, "tests/feature_choice")).x) != 0).float().mean(0)
    assert bool((rates > 0.03).all())
    assert bool((rates < 0.1).all())  # 2 / 32 = .0625, in evaluation by the thresholds alone
