"""Inputs with targets, views side by side, and the SAEs that read them: transcoders and crosscoders."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import workbench as W
from synthetic import InViews, SparseMixture, find_source, pairs, side_by_side, stream
from workbench.interop import load

X = torch.randn(200, 6, generator=stream(0, "x"), dtype=torch.float32)
Y = X @ torch.randn(6, 4, generator=stream(0, "map"), dtype=torch.float32)


def test_targets_and_views_come_with_their_own_rows():
    both, views = pairs(X, Y), side_by_side(X, Y.numpy(), X)
    assert (both.d, both.d_out, views.d) == (6, 4, 16)
    at = {tuple(row.tolist()): i for i, row in enumerate(X)}
    x, y = both.batch(32, 3, 8)
    assert_close(y, Y[[at[tuple(row.tolist())] for row in x]], rtol=0, atol=0)
    drawn = both.sample(32, stream(1, "draw"))
    assert_close(drawn.y, Y[[at[tuple(row.tolist())] for row in drawn.x]], rtol=0, atol=0)
    rows = views.batch(32, 3, 8)
    assert_close(rows, torch.cat((x, y, x), 1), rtol=0, atol=0)
    rows = views.sample(32, stream(1, "draw")).x
    assert_close(rows, torch.cat((drawn.x, drawn.y, drawn.x), 1), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X, Y[1:]), r"pairs must be of the same samples in one order; got \[200, 199\] rows"),
        ((X, iter([Y])), r"pairs must be of arrays, or of activations that a store holds; got ArrayRows, IteratorRows"),
        ((X, "toy"), r"pairs must be of arrays"),
    ],
)
def test_what_is_not_of_the_same_samples_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        pairs(*given)


def test_a_transcoder_reads_x_and_writes_y():
    sae = W.create("transcoder", pairs(X, Y), 12, k=3, seed=[0, 1], skip=True)
    W.train(sae, pairs(X, Y), W.TrainConfig(steps=20, batch=32))
    assert_close(sae.scale, (6 / X.square().sum(1).mean()).sqrt(), rtol=0.1, atol=0)
    assert_close(sae.out_scale, (4 / Y.square().sum(1).mean()).sqrt(), rtol=0.2, atol=0)
    f, scale = sae.encode(X), sae.out_scale
    by_hand = (X * sae.scale) @ sae.W_enc + sae.b_enc[:, None]
    kept = by_hand.relu() * (by_hand >= by_hand.topk(3).values[..., -1:])
    assert_close(f, kept / scale, rtol=1e-4, atol=1e-5)
    y_hat = (kept @ sae.W_dec + sae.b_dec[:, None] + X * sae.scale @ sae.decoder.W_skip) / scale
    assert_close(sae(X), y_hat, rtol=1e-4, atol=1e-5)
    assert_close(sae.decode(f) + sae.beside(X), y_hat, rtol=1e-4, atol=1e-5)
    assert sae(X[0]).shape == (2, 4)
    scores = W.evaluate(sae, pairs(X, Y), 400)
    drawn = pairs(X, Y).sample(400, stream(1, "evaluate"))
    left = (drawn.y - sae(drawn.x)).square().sum((1, 2)) / (drawn.y - drawn.y.mean(0)).square().sum()
    assert scores["fvu"] == pytest.approx(left.tolist(), rel=1e-4)


def test_a_skip_takes_over_what_is_linear():
    fvu = {}
    for skip in (False, True):
        sae = W.create("transcoder", pairs(X, Y), 12, k=1, skip=skip)
        W.train(sae, pairs(X, Y), W.TrainConfig(steps=400, batch=64, lr=1e-2))
        fvu[skip] = W.evaluate(sae, pairs(X, Y), 500)["fvu"]
    assert fvu[True] < 1e-3
    assert fvu[False] > 0.2


def test_the_oracle_of_a_transcoder_reads_x_along_its_features():
    world, few = find_source("sparse_map"), torch.tensor([3, 5, 8, 13])
    columns, some = (W.oracle("transcoder", world, of=of).W_enc.mT.detach() for of in (None, few))
    assert float((columns * world.mixture.truth.features).sum(1).min()) > 0.9
    assert_close(some, columns[few])
    config = W.TrainConfig(steps=20, batch=128, lr=1e-2, normalise=False)
    assert W.ceiling("transcoder", world, config, n=2000)["f1"] > 0.65  # .62 of one that learned for 1,500 steps


def test_a_transcoder_goes_on_from_a_checkpoint_and_a_folder(tmp_path):
    world, config = find_source("sparse_map"), W.TrainConfig(steps=8, batch=16, checkpoint_every=4)
    whole, parts = (W.create("transcoder", world, 16, seed=[0, 1], skip=True) for _ in range(2))
    W.train(whole, world, config)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        W.train(parts, world, config, checkpoint=file, on_step=lambda progress: stop(progress.step == 5))
    again = W.create("transcoder", world, 16, seed=[0, 1], skip=True)
    W.train(again, world, config, checkpoint=file, resume=True)
    saved = load(again.save(tmp_path / "sae"))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.equal(value, saved.state_dict()[name]), name
    x = world.sample(5, stream(0, "x")).x
    assert torch.equal(saved(x), whole(x))


def stop(now):
    if now:
        raise KeyboardInterrupt


def test_dead_latents_are_pointed_at_an_input_and_its_target():
    world = find_source("sparse_map")
    sae = W.create("transcoder", world, 400, k=1)
    W.train(sae, world, W.TrainConfig(steps=6, batch=64, resample_every=3, dead_after=3, lr=1e-6))
    x, y = (rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-9) for rows in _batch(world, sae))
    toward = (x @ sae.W_enc / sae.W_enc.norm(dim=0)).detach()
    best, at = toward.max(0)
    renewed = best > 0.9999  # the others wait for another batch, or fired
    assert int(renewed.sum()) > 10
    assert_close((y[at] * sae.W_dec).sum(1)[renewed], torch.ones(int(renewed.sum())), rtol=0, atol=1e-3)


def _batch(world, sae):
    drawn = world.sample(64, stream(0, "train", 2))
    return drawn.x * sae.scale, drawn.y * sae.out_scale - sae.b_dec.detach()


@pytest.mark.parametrize(
    ("name", "settings", "source", "message"),
    [
        ("topk", {}, (X, Y), "train.source must be activations alone for topk; got pairs with targets"),
        ("transcoder", {}, (X, Y), "train.source must be one whose targets have the width 6 of transcoder's; got 4"),
        ("transcoder", {"d_y": 4}, X, "train.source must be one whose targets have the width 4 of transcoder's; got 6"),
    ],
)
def test_sources_that_do_not_fit_are_refused(name, settings, source, message):
    sae = W.create(name, 6, 8, **settings)
    source = pairs(*source) if isinstance(source, tuple) else source
    with pytest.raises(ValueError, match=message):
        W.train(sae, source, W.TrainConfig(steps=1, batch=8))
    with pytest.raises(ValueError, match=message.replace("train", "evaluate")):
        W.evaluate(sae, source, 10)


def test_targets_that_are_not_finite_are_named():
    bad = Y.clone()
    bad[7] = torch.nan
    sae = W.create("transcoder", pairs(X, bad), 8)
    with pytest.raises(ValueError, match=r"world\.y must be finite"):
        W.train(sae, pairs(X, bad), W.TrainConfig(steps=1, batch=8))


# crosscoders ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_what_contributes_most():
    sae = W.create("batch_topk_crosscoder", 8, 5, k=2.0)
    with torch.no_grad():
        sae.W_dec.mul_(torch.tensor([9.0, 1.0, 1.0, 1.0, 0.1])[:, None])
    x = torch.randn(30, 8, generator=stream(2, "x"), dtype=torch.float32)
    z = (x @ sae.W_enc).detach()
    price = sae.W_dec.detach().view(5, 2, 4).norm(dim=-1).sum(-1)
    size = z * price
    least = size.flatten().topk(60).values[-1]
    out = sae.train().trace(x)
    assert_close(out.dense(), z * (size >= least))
    sae.finish_step(out)
    assert_close(sae.tensor("threshold"), least)
    assert_close(sae.eval().encode(x), z * (size > least))


def test_the_price_of_a_latent_is_the_norm_of_its_parts():
    sae = W.create("crosscoder", 8, 5, l1=0.5, views=4)
    with torch.no_grad():
        sae.W_dec.mul_(3.0)
    x = torch.randn(30, 8, generator=stream(2, "x"), dtype=torch.float32)
    f = sae.encode(x)
    price = sae.W_dec.view(5, 4, 2).norm(dim=-1).sum(-1)
    assert_close(sae.loss(sae.trace(x))["l1"], 0.5 * (f * price).sum(1).mean())


def test_views_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"crosscoder\.views must be a divisor of d=8; got 3"):
        W.create("crosscoder", 8, 5, views=3)
    world = SparseMixture(n_true=4, d=48, directions=InViews(5))
    with pytest.raises(ValueError, match=r"InViews\.views must be a divisor of d=48; got 5"):
        _ = world.truth


def test_features_of_one_view_have_no_part_in_the_other():
    truth = find_source("two_views").truth
    parts = truth.features.double().view(48, 2, 24).norm(dim=-1)
    shared = torch.full((24, 2), 0.5**0.5, dtype=torch.float64)
    assert_close(parts[:24], shared, rtol=1e-6, atol=1e-6)
    assert_close(parts[24:], torch.eye(2, dtype=torch.float64).repeat(12, 1), rtol=1e-6, atol=1e-6)


def test_a_crosscoder_tells_shared_from_exclusive():
    world = find_source("two_views")
    sae = W.create("crosscoder", world, 48, l1=1.0)
    W.train(sae, world, W.TrainConfig(steps=600, batch=128, lr=5e-3))
    near = (sae.W_dec / sae.W_dec.norm(dim=1, keepdim=True)) @ world.truth.features.mT
    latent = near.argmax(0)
    parts = sae.W_dec[latent].view(48, 2, 24).norm(dim=-1).detach()
    balance = (parts[:, 0] / parts.sum(1)).numpy()
    assert np.mean(np.abs(balance[:24] - 0.5) < 0.15) > 0.8
    assert np.mean(np.abs(balance[24:] - np.tile([1, 0], 12)) < 0.15) > 0.8
