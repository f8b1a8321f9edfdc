"""Penalties of OrtSAE, the elastic net and subspaces: by hand, at their floors, in chunks."""

import itertools

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.theory.auxiliary import redrawn_penalty


def with_rows(name, rows, **settings):
    """An SAE of these decoder rows."""
    sae = W.create(name, rows.shape[-1], len(rows), **settings)
    with torch.no_grad():
        sae.W_dec.copy_(rows)
    return sae


def loss(sae, term, x=None):
    """One term of the loss."""
    return sae.loss(sae.trace(torch.ones(2, sae.d) if x is None else x))[term].detach()


def test_orthogonality_by_hand():
    # cosines: (1, 2) .6, (1, 3) 0, (2, 3) .8; the lengths of rows do not matter
    rows = torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 0.5]])
    assert_close(loss(with_rows("ortsae", rows, weight=3.0, k=1.0), "orthogonal"), torch.tensor(0.36 + 0.64 + 0.64))


def test_orthogonality_has_welchs_floor():
    angle = 2 * torch.pi * torch.arange(3) / 3
    frame = torch.stack((angle.cos(), angle.sin()), -1)
    floor = torch.tensor((3 - 2) / (2 * (3 - 1)))
    assert_close(loss(with_rows("ortsae", frame, k=1.0), "orthogonal"), floor)
    turned = frame.clone()
    turned[0] = torch.tensor([0.8, 0.6])
    assert float(loss(with_rows("ortsae", turned, k=1.0), "orthogonal")) > float(floor)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_over_all_draws_of_chunks_the_penalty_is_the_theorys(size, monkeypatch):
    rows = torch.randn(5, 2, generator=S.stream(0, "tests/penalties"), dtype=torch.float64)
    unit = rows / rows.norm(dim=-1, keepdim=True)
    sae = with_rows("ortsae", rows, k=1.0, size=size).double()
    drawn = []
    for order in itertools.permutations(range(5)):
        monkeypatch.setattr(sae.loss_terms["orthogonal"], "order", lambda m, order=order: torch.tensor(order))
        drawn.append(float(loss(sae, "orthogonal", torch.ones(2, 2, dtype=torch.float64))))
    mean = sum(drawn) / len(drawn)
    two, three = (redrawn_penalty((unit @ unit.T).tolist(), chunk) for chunk in (2, 3))
    assert mean == pytest.approx((2 * two + 3 * three) / 5)  # chunks of two and three, as 5 rows allow
    assert mean >= (5 - 2) / (2 * (5 - 1))


def test_chunks_are_drawn_anew_each_step_and_by_the_members_seed():
    rows = torch.randn(12, 6, generator=S.stream(0, "tests/penalties"))
    whole, chunked = (with_rows("ortsae", rows, seed=3, size=size) for size in (12, 5))
    term = chunked.loss_terms["orthogonal"]
    first = loss(chunked, "orthogonal")
    order, unit = term.order(12), rows / rows.norm(dim=-1, keepdim=True)
    worst = []
    for chunk in unit[order].tensor_split(3):  # 12 latents, at most 5 a chunk
        cos = (chunk @ chunk.T).square() - torch.eye(len(chunk))
        worst.append(cos.amax(-1))
    assert_close(first, torch.cat(worst).mean())
    assert float(first) < float(loss(whole, "orthogonal"))
    assert_close(loss(chunked, "orthogonal"), first)  # the same within a step
    chunked.finish_step(chunked.trace(torch.ones(2, 6)))
    assert not torch.equal(term.order(12), order)
    members = W.create("ortsae", 6, 12, seed=[0, 3], size=5).loss_terms["orthogonal"]
    assert torch.equal(members.order(12)[1], order)


def test_elastic_net_by_hand():
    sae = with_rows("elastic_net", torch.eye(3), l1=2.0, l2=0.5)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(3))
    x = torch.tensor([[1.0, 3.0, -1.0], [2.0, 0.0, 0.0]])
    assert_close(loss(sae, "elastic", x), torch.tensor((2 * 4 + 0.5 * 10 + 2 * 2 + 0.5 * 4) / 2))


@pytest.mark.parametrize("objective", ["orthogonal=.5,3", "elastic=1,.5"])
def test_they_join_other_variants(objective):
    name = objective.split("=")[0]
    sae = W.create("gated", 6, 12, objective=objective, seed=[0, 1])
    assert {"mse", "l1", "gate", name} == set(sae.loss_terms)
    assert bool((loss(sae, name) > 0).all())
