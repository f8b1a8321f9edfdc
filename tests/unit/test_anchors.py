"""Anchored latents: pinned through training, saving and loading; the others free; what is refused."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.variants.anchored import anchor

WORLD = W.find_source("toy")


def train(sae, steps=60):
    W.train(sae, WORLD, W.TrainConfig(steps=steps, batch=64, lr=1e-2))


@pytest.mark.parametrize("columns", [True, False])
def test_pinned_rows_stay_and_others_move(columns, tmp_path):
    sae = W.create("anchored", WORLD.d, 32, k=2, columns=columns, anchors=5)
    truth = WORLD.truth.features[:3]
    anchor(sae, 7.0 * truth)
    start = {name: p.detach().clone() for name, p in sae.named_parameters()}
    train(sae)
    assert_close(sae.W_dec[:3].detach(), truth)
    assert torch.equal(sae.W_enc.T[:3], start["W_enc"].T[:3]) is columns
    assert bool((sae.W_dec[3:] != start["W_dec"][3:]).any(-1).all())
    again = W.load(sae.save(tmp_path / "sae"))
    x = WORLD.sample(20, S.stream(0, "tests/anchors")).x
    assert_close(again.encode(x), sae.encode(x))
    train(again)
    assert_close(again.W_dec[:3].detach(), truth)
    assert bool((again.W_dec[3:] != sae.W_dec[3:]).any(-1).all())


def test_without_directions_it_is_topk():
    sae, plain = (W.create(name, WORLD.d, 32, k=2) for name in ("anchored", "topk"))
    for each in (sae, plain):
        train(each, 20)
    assert torch.equal(sae.W_dec, plain.W_dec)


def test_members_may_have_directions_of_their_own():
    sae = W.create("anchored", 6, 8, seed=[0, 1], anchors=2)
    directions = torch.eye(6)[torch.tensor([[0, 1], [4, 3]])]
    anchor(sae, directions)
    assert_close(sae.W_dec[:, :2].detach(), directions)
    anchor(sae, torch.eye(6)[:1])  # directions of before are given up
    assert_close(sae.W_dec[:, 0].detach(), torch.eye(6)[:1].expand(2, 6))
    assert sae.tensor("directions").norm(dim=-1).tolist() == [[1, 0], [1, 0]]


def test_what_is_refused():
    sae = W.create("anchored", 6, 8, anchors=2)
    with pytest.raises(ValueError, match="raise the setting anchors, or give fewer"):
        anchor(sae, torch.eye(6)[:3])
    with pytest.raises(ValueError, match="raise the setting anchors, or give fewer"):
        anchor(sae, torch.ones(1, 5))
    with pytest.raises(ValueError, match="leave it out"):
        anchor(sae, torch.zeros(1, 6))
    with pytest.raises(ValueError, match='create the variant "anchored"'):
        anchor(W.create("topk", 6, 8), torch.eye(6)[:1])
