"""SpaDE: the projection by hand and by its optimality, distances, and what codes are."""

import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.parts.encoders import onto_simplex


def test_projection_by_hand():
    z = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.6, 0.2], [-5.0, -5.5]])
    assert_close(onto_simplex(z), torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.7, 0.3], [0.75, 0.25]]))
    assert_close(onto_simplex(torch.tensor([[1.0, 0.5, 0.0, -1.0]])), torch.tensor([[0.75, 0.25, 0.0, 0.0]]))


def test_projection_is_the_nearest_point_and_shifts_do_not_move_it():
    rng = S.stream(0, "tests/simplex")
    z = torch.randn(50, 7, generator=rng, dtype=torch.float64)
    f = onto_simplex(z)
    assert_close(f.sum(-1), torch.ones(50).double())
    assert bool((f >= 0).all())
    others = torch.rand(2000, 7, generator=rng, dtype=torch.float64)
    others = others / others.sum(-1, keepdim=True)  # <z - f, g - f> <= 0 for all g
    slope = ((z - f)[:, None] * (torch.cat((others, torch.eye(7).double())) - f[:, None])).sum(-1)
    assert float(slope.max()) < 1e-12
    assert_close(onto_simplex(z + 3), f)
    assert torch.autograd.gradcheck(onto_simplex, z[:5].clone().requires_grad_(True))


def test_codes_are_the_projection_of_distances_and_rows_have_lengths():
    sae = W.create("spade", 4, 9).double()
    x = 2 * torch.randn(20, 4, generator=S.stream(1, "tests/simplex"), dtype=torch.float64)
    squares = (x[:, None] - sae.W_enc.mT).square().sum(-1)
    f = onto_simplex(-squares / (2 * 4)).detach()
    assert_close(sae.encode(x).detach(), f)
    assert_close(sae.W_dec.norm(dim=-1).detach(), 2 * torch.ones(9).double())
    assert_close(sae(x).detach(), f @ sae.W_dec.detach())
    assert_close(sae.loss(sae.trace(x))["distances"].detach(), 0.1 * (f * squares.detach()).sum(-1).mean())


def test_a_latent_holds_a_cluster_that_no_hyperplane_cuts_off():
    # a small cluster at the centre of a ring of others, and a prototype for each
    rng = S.stream(2, "tests/simplex")
    angles = 2 * torch.pi * torch.arange(6) / 6
    centres = torch.cat((torch.zeros(1, 2), 4 * torch.stack((angles.cos(), angles.sin()), -1)))
    which = torch.randint(7, (2000,), generator=rng)
    x = centres[which] + 0.2 * torch.randn(2000, 2, generator=rng)
    sae = W.create("spade", 2, 7, sharpness=0.5)
    with torch.no_grad():
        sae.W_enc.copy_(centres.T)
    f = sae.encode(x).detach()
    assert_close((f[:, 0] > 0.5), which == 0)
    assert torch.equal(f.argmax(-1), which)
