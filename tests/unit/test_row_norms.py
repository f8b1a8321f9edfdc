"""Lengths of decoder rows: folded where x_hat stays, left alone elsewhere; a step of size 0 is the identity."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.training.row_norms import fold_row_norms
from workbench.variants import variant_shelf

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)), bias_norm=0.5)
X = WORLD.sample(64, S.stream(3, "rows")).x
STILL = W.TrainConfig(steps=1, batch=32, lr=1e-12, warm_up=0.0, decay=0.0, normalise=False, centre=False)
FOLDED = {"relu", "p_annealing", "jumprelu", "gated", "lista", "structured", "top_afa", "elastic_net", "feature_choice"}
"""variants where something makes up for any norms"""
OWN = {"polysae", "group_bias_adaptation"}
"""variants whose rows have any norms"""
EQUAL = {"topk", "abs_topk", "batch_topk", "matryoshka", "ista", "omp", "aligned", "anchored", "groupmax", "low_rank"}
EQUAL |= {"hierarchical_topk", "ortsae", "osae", "soft_frozen_decoder", "subspace", "transcoder"}
"""variants that compare latents: something makes up for equal norms alone"""
LEFT = {"frozen_decoder"}
"""variants whose rows training never touches"""
EACH = pytest.mark.parametrize("name", sorted(variant_shelf()))


@torch.no_grad()
def stretched(name, seed, equal=False, **settings):
    """A variant with biases, thresholds and rows of many norms, or of one, a row of norm 0 among the many."""
    sae = W.create(name, 8, 20, seed=seed, **settings).eval()
    rng, parameters = S.stream(5, "stretch"), dict(sae.named_parameters())
    for name_of in ("b_enc", "b_gate", "b_mag", "b_dec"):
        if name_of in parameters:
            parameters[name_of].copy_(0.1 * torch.randn(parameters[name_of].shape, generator=rng))
    for threshold in ("threshold", "guess_threshold"):
        if threshold in sae.state_dict():
            sae.tensor(threshold).fill_(0.4)
    if name != "polysae":
        factor = torch.rand(*sae.shape, 20, 1, generator=rng) + 0.5
        # tied: a latent of norm 0 stays; aligned: there is no column for one
        factor[..., 3, :] = float(name in FOLDED or name == "aligned")
        sae.W_dec.mul_(0.3 if equal else factor * (torch.arange(20) != 3)[:, None] if name in FOLDED else factor)
    return sae


def held(sae):
    """The same, its rules that move by data and not by lr at rest."""
    with torch.no_grad():
        for rate in ("threshold_rate", "down", "up"):
            if rate in dict(sae.named_buffers()):
                sae.tensor(rate).zero_()
        if sae.name == "bias_adaptation":
            sae.step.fill_(1e-12)
        if sae.name == "lista":
            sae.encoder._iterate(sae.W_dec, 500)
    return sae


@EACH
@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "stack"])
@pytest.mark.parametrize("equal", [False, True])
def test_folding_leaves_every_reconstruction(name, seed, equal):
    sae = stretched(name, seed, equal)
    before = sae(X).detach()
    unit = fold_row_norms(sae)
    assert unit == (name in FOLDED | LEFT or (equal and name in EQUAL))
    assert sae.decoder.unit == unit
    assert_close(sae(X).detach(), before, rtol=1e-5, atol=1e-6)
    if unit and name not in LEFT:
        assert_close(sae.W_dec.norm(dim=-1), torch.ones(*sae.shape, 20))


def test_folding_without_a_penalty_frees_semi_nmf():
    sae = stretched("semi_nmf", 0, equal=True, l1=0.0)
    before = sae(X).detach()
    assert fold_row_norms(sae)
    assert_close(sae(X).detach(), before, rtol=1e-4, atol=1e-5)


def test_frozen_tensors_are_not_folded():
    rows, encoder = stretched("relu", 0), stretched("relu", 0)
    rows.frozen, encoder.frozen = ("W_dec",), ("W_enc",)
    assert fold_row_norms(rows)
    assert rows.decoder.unit
    assert not fold_row_norms(encoder)
    assert float(rows.W_dec[0].norm()) == float(encoder.W_dec[0].norm()) != 1


@EACH
def test_a_step_of_size_0_leaves_a_saved_sae(tmp_path, name):
    """What moves by data and not by lr is at rest: running thresholds, bias controllers, LISTA's step length."""
    sae = W.create(name, 8, 20, seed=0)
    W.train(sae, WORLD, W.TrainConfig(steps=5, batch=32))
    again = held(W.load(sae.save(tmp_path / "sae")))
    before = again(X).detach()
    W.train(again, WORLD, STILL)
    assert float((again(X).detach() - before).norm() / before.norm()) < 1e-5


@EACH
def test_a_step_of_size_0_leaves_rows_of_any_norm(tmp_path, name):
    """A fresh stack whose W_dec was overwritten, and the same saved and loaded: its rows have norm 1, or their own."""
    sae = held(stretched(name, [0, 1]))
    sae.fresh = True
    before = sae(X).detach()
    W.train(sae, WORLD, STILL)
    assert float((sae(X).detach() - before).norm() / before.norm()) < 1e-5
    assert sae.decoder.unit == (name in FOLDED | LEFT)
    again = held(W.load(sae.save(tmp_path / "sae")))
    assert again.decoder.unit == sae.decoder.unit
    W.train(again, WORLD, STILL)
    assert float((again(X).detach() - before).norm() / before.norm()) < 1e-5


def test_rows_with_norms_of_their_own_are_trained_with_them():
    sae = stretched("topk", 0)
    before = sae.W_dec.detach().norm(dim=-1)
    W.train(sae, WORLD, W.TrainConfig(steps=20, batch=32))
    after = sae.W_dec.detach().norm(dim=-1)
    assert float((after - 1).abs().max()) > 0.1
    assert float((after - before).abs().max()) < 0.2
