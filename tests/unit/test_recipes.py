"""Recipes and what they are made of: prefix losses, the L0 controller, the ISTA step, by hand and by plain code."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import kernels
from workbench.__main__ import _lengthened
from workbench.parts.objectives import PATIENT, PROMPT, levels_of, prefix_loss, split, steer, track_frequency
from workbench.parts.sparsifiers import fired

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)), bias_norm=0.5)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=S.stream(seed, "tests/recipes"))


def plain_errors(sae, x, dense, order, widths):
    """|x - b_dec - f W_dec|^2 with all but the first w latents of an order at 0, a number a width."""
    errors = []
    for width in widths:
        kept = torch.zeros_like(dense)
        chosen = order[..., None, :width].expand(*dense.shape[:-1], width)
        kept = kept.scatter(-1, chosen, dense.gather(-1, chosen))
        errors.append((x - kept @ sae.W_dec - sae.b_dec[..., None, :]).square().sum(-1).mean(-1))
    return errors


# --- prefixes --------------------------------------------------------------------------------------------------------


def test_levels_follow_the_frequency_and_then_the_order():
    frequency = torch.tensor([[0.1, 0.4, 0.0, 0.4, 0.2], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert levels_of(frequency, [1, 3, 5]).tolist() == [[2, 0, 2, 1, 1], [0, 1, 1, 2, 2]]


def test_frequencies_are_a_running_mean_of_firing_shares():
    dense = torch.tensor([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]])
    indices = torch.tensor([[[0, 1, 1], [1, 0, 1]], [[1, 0, 0], [0, 0, 0]]])
    values = torch.tensor([[[1.0, 0, 0], [0, 2, 0]], [[3, 0, 0], [0, 0, 0]]])
    codes = W.Codes(indices, values, 2)
    for latents in (dense, codes):
        frequency = torch.full((2, 2), 0.5)
        track_frequency(frequency, latents, 0.5)
        assert frequency.tolist() == [[0.75, 0.25], [0.25, 0.5]]


def test_a_split_of_codes_adds_up_and_is_packed():
    codes = W.Codes(torch.tensor([[2, 0, 1, 3], [3, 2, 2, 2]]), torch.tensor([[1.0, 2, 0, 4], [5, 0, 6, 7]]), 4)
    parts = split(codes, torch.tensor([1, 0, 0, 1]), 2)
    assert [part.indices.shape[-1] for part in parts] == [2, 2]
    assert parts[0].dense().tolist() == [[0, 0, 1, 0], [0, 0, 13, 0]]
    assert parts[1].dense().tolist() == [[2, 0, 0, 4], [0, 0, 0, 5]]


@pytest.mark.parametrize("m", [40, 700])  # dense latents, sparse latents
@pytest.mark.parametrize("by_frequency", [False, True])
def test_the_loss_is_that_of_prefixes_decoded_one_by_one(m, by_frequency):
    sae = W.create("matryoshka", 8, m, k=[3, 9], prefixes=(0.1, 0.5, 1.0), by_frequency=by_frequency, inner_weight=0.5)
    x, widths = noise(30, 8), [round(0.1 * m), m // 2, m]
    order = torch.arange(m).expand(2, m)
    if by_frequency:
        sae.tensor("frequency").copy_(noise(2, m).abs())
        order = sae.tensor("frequency").argsort(-1, descending=True)
    out = sae.trace(x)
    assert isinstance(out.codes, W.Codes) == (m > kernels.DENSE_BELOW)
    sae.loss(out)["mse"].sum().backward()
    got = {name: p.grad.clone() for name, p in sae.named_parameters()}
    sae.zero_grad()
    one, two, full = plain_errors(sae, x, sae.trace(x).dense(), order, widths)
    expected = (0.5 * one + 0.5 * two + full) / 2
    assert_close(sae.loss(out)["mse"], expected)
    expected.sum().backward()
    for name, parameter in sae.named_parameters():
        assert_close(got[name], parameter.grad, msg=name)


@pytest.mark.parametrize("m", [40, 700])
@pytest.mark.parametrize(("detach", "touched"), [("none", {0, 1, 2}), ("inner", {0, 1, 2}), ("all", {2})])
def test_what_the_full_loss_trains(m, detach, touched):
    """With weight 0 for proper prefixes the full reconstruction alone trains: all latents, or the last level's."""
    sae = W.create("matryoshka", 8, m, k=9, prefixes=(0.25, 0.5, 1.0), detach=detach, inner_weight=0)
    x = noise(30, 8)
    out = sae.trace(x)
    assert_close(sae.loss(out)["mse"], (x - out.x_hat).square().sum(-1).mean(-1))
    sae.loss(out)["mse"].backward()
    moved = [bool(part.any()) for part in sae.W_dec.grad.tensor_split([m // 4, m // 2])]
    assert {level for level, yes in enumerate(moved) if yes} == touched
    assert bool(sae.b_dec.grad.any())


def test_a_detached_inner_loss_trains_the_latents_its_level_adds():
    """The second prefix's error alone: what is left by subtracting a loss that has only the first prefix."""
    sae = W.create("matryoshka", 8, 40, k=9, prefixes=(0.25, 0.5, 1.0), detach="inner")
    x = noise(30, 8)
    out = sae.trace(x)
    weights = {"frequency": None, "detach": "inner", "inner_weight": torch.tensor(1.0)}
    both = 3 * prefix_loss(sae.W_dec, out, [10, 20, 40], **weights)
    first = 2 * prefix_loss(sae.W_dec, out, [10, 40], **weights)
    gradient = torch.autograd.grad(both - first, sae.W_dec)[0]
    assert_close(gradient[:10], torch.zeros(10, 8), atol=1e-6, rtol=0)
    assert bool((gradient[10:20].norm(dim=-1) > 1e-3).any())
    assert_close(gradient[20:], torch.zeros(20, 8), atol=1e-6, rtol=0)


@pytest.mark.parametrize("prefixes", [(), (0.5,), (0.5, 0.2, 1.0), (0.0, 1.0)])
def test_prefixes_increase_to_one(prefixes):
    with pytest.raises(ValueError, match=r"ista\.prefixes must be increasing to 1; got .*: sort them"):
        W.create("ista", 4, 8, prefixes=prefixes)


# --- the ISTA step ---------------------------------------------------------------------------------------------------


def test_the_step_by_hand():
    """d = m = 2, W_dec = [(1, 0), (.6, .8)], W_enc = W_dec^T, x = (1, .8): z0 = (1, 1.24), k = 1 keeps 1.24.

    Left over: x - 1.24 (.6, .8) = (.256, -.192); its products with the rows are (.256, 0); with eta .5, z1 = (1.128,
    1.24). At k = 2 the guess (1, 1.24) leaves (-.744, -.192), products (-.744, -.6), z1 = (.628, .94).
    """
    sae = W.create("ista", 2, 2, k=[1, 2], eta=0.5)
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    with torch.no_grad():
        sae.W_dec.copy_(rows.expand(2, 2, 2))
        sae.W_enc.copy_(rows.mT.expand(2, 2, 2))
    out = sae.trace(torch.tensor([[1.0, 0.8]]))
    assert_close(out.evidence, torch.tensor([[[1.128, 1.24]], [[0.628, 0.94]]]))
    assert_close(out.dense(), torch.tensor([[[0.0, 1.24]], [[0.628, 0.94]]]))
    sae.finish_step(out)
    assert_close(sae.tensor("guess_threshold"), torch.tensor([1.24, 1.0]))
    assert_close(sae.tensor("threshold"), torch.tensor([1.24, 0.628]))
    with torch.no_grad():
        sae.tensor("guess_threshold").fill_(1.1)
        sae.tensor("threshold").fill_(1.0)
    assert_close(sae.eval().encode(torch.tensor([[1.0, 0.8]])), torch.tensor([[[1.128, 1.24]]] * 2))


def test_without_a_step_it_is_batch_topk():
    x, values = noise(20, 8), {}
    for name, settings in (("ista", {"eta": 0.0}), ("batch_topk", {})):
        values[name] = W.create(name, 8, 16, k=3, **settings).trace(x).dense()
    assert_close(values["ista"], values["batch_topk"])


# --- the L0 controller -----------------------------------------------------------------------------------------------


def test_the_weight_follows_where_the_trend_leads():
    target, gain = torch.tensor([4.0, 4.0]), torch.full((2,), 0.1)
    state = steer(torch.zeros(2, 3), torch.tensor([8.0, 2.0]), target, gain, PATIENT)
    assert_close(state, torch.tensor([[0.0995, 8, 0], [-0.0905, 2, 0]]), atol=1e-4, rtol=0)  # tanh 3, 1.5
    falling = torch.tensor([[0.0, 5.0, -0.2]])  # within 1/gain = 10 steps at 3, below the target
    ahead = steer(falling, torch.tensor([5.0]), target[:1], gain[:1], PATIENT)
    assert_close(ahead[0], torch.tensor([-0.0537, 5.0, -0.18]), atol=1e-4, rtol=0)  # tanh(3 (5 - 1.8 - 4) / 4)
    near = steer(falling, torch.tensor([5.0]), target[:1], gain[:1], PROMPT)  # within 2 steps at 4.64
    assert_close(near[0], torch.tensor([0.0159, 5.0, -0.18]), atol=1e-4, rtol=0)  # tanh((5 - .36 - 4) / 4)
    slow = steer(torch.tensor([[0.0, 4.0, 0.0]]), torch.tensor([5.0]), target[:1], torch.tensor([1e-3]), PATIENT)
    assert_close(slow[0], torch.tensor([1e-3 * math.tanh(0.0825), 4.01, 1e-4]), atol=1e-7, rtol=1e-4)
    for _ in range(100):
        state = steer(state, state[:, 1] * torch.tensor([1.1, 0.9]), target, gain, PATIENT)
    assert_close(state[:, 0], torch.tensor([4.6, -4.6]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"), [("relu", {}), ("elastic_net", {}), ("gated", {}), ("jumprelu", {"l0": 0.1})]
)
def test_every_steered_variant_ends_within_3_percent_of_its_target(name, settings):
    """JumpReLU from a weight that leaves its thresholds time: from 1 it ends at .90 of a target of 1."""
    world = S.find_source("superposition")
    sae = W.create(name, world, 128, target_l0=[1.0, 4.0], **settings)
    W.train(sae, world, W.tuned(sae, steps=1171, batch=128))
    assert_close(
        torch.as_tensor(W.evaluate(sae, world, n=20_000)["l0"]), torch.tensor([1.0, 4.0]).double(), rtol=0.03, atol=0
    )


@pytest.mark.parametrize(("name", "weight"), [("jumprelu", {"l0": 0.1, "through": True}), ("relu", {"l1": 0.5})])
def test_training_reaches_the_target_of_each_member(name, weight):
    sae = W.create(name, 8, 24, target_l0=[1.0, 2.5], **weight)
    W.train(sae, WORLD, W.TrainConfig(steps=900, batch=64, lr=5e-3, penalty_warm_up=0.0))
    assert_close(sae.tensor("control")[:, 1], torch.tensor([1.0, 2.5]), atol=0, rtol=0.15)
    assert sae.tensor("control")[0, 0] > sae.tensor("control")[1, 0]


@pytest.mark.parametrize(("steps", "pace"), [(100, 0.01), (4000, 0.005), (10**6, 3e-4)])
def test_a_gain_of_0_lets_the_weight_go_as_far_in_any_training(steps, pace):
    made = [W.create("relu", 4, 8, target_l0=2.0, gain=gain) for gain in (0.0, 0.07)]
    for sae, gain in zip(made, (pace, 0.07), strict=True):
        term = sae.objective["l1"]
        term.begin(steps)
        term.after_step(sae.train().trace(torch.zeros(6, 4)))  # nothing fires, the slope is 1
        assert float(term.control[0]) == pytest.approx(-gain * math.tanh(1.0))


@pytest.mark.parametrize(("gain", "another"), [(0.0, True), (0.01, False), (None, False)])
def test_a_lengthened_run_says_where_its_controller_had_another_pace(gain, another):
    sae = W.create("relu", 4, 8) if gain is None else W.create("relu", 4, 8, target_l0=2.0, gain=gain)
    steady = W.TrainConfig(steps=3000, warm_up=0.0, decay=0.0, penalty_warm_up=0.0)
    said = _lengthened(replace(steady, steps=6000), steady, 3000, sae)
    assert said.endswith("other steps so far (pace of the target)") == another
    assert said.endswith("with the bits of an unbroken run") == (not another)


def test_a_controller_counts_in_float32_whatever_the_sae_is_cast_to():
    sae = W.create("relu", 4, 8, target_l0=2.0).bfloat16()
    assert sae.tensor("control").dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_l0": 9.0}, r"relu\.target_l0 must be at most m=8; got 9\.0: lower it or raise m"),
        ({"target_l0": 2.0, "l1": 0.0}, "relu: weight of l1 must be above 0 where it is steered to a target"),
    ],
)
def test_a_target_that_nothing_reaches_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        W.create("relu", 4, 8, **settings)


@pytest.mark.parametrize("targets", [[0.0, 4.0], -1.0])
def test_targets_are_checked(targets):
    with pytest.raises(
        ValueError, match=r"jumprelu\.target_l0 must be (above 0 for all members or for none|at least 0)"
    ):
        W.create("jumprelu", 4, 8, target_l0=targets)


# --- state -----------------------------------------------------------------------------------------------------------

KEPT = {
    "matryoshka": {"prefixes": (0.25, 1.0), "by_frequency": True, "detach": "inner"},
    "ista": {"prefixes": (0.25, 1.0), "by_frequency": True, "detach": "all"},
    "jumprelu": {"target_l0": 2.0, "through": True},
}


@pytest.mark.parametrize("name", KEPT)
def test_state_survives_saving_a_break_and_a_stack(name, tmp_path):
    config = W.TrainConfig(steps=12, batch=32, checkpoint_every=5, aux_k=3, dead_after=3)
    stack, alone = (W.create(name, 8, 24, seed=seed, **KEPT[name]) for seed in ([4, 0], 0))
    W.train(stack, WORLD, config)
    W.train(alone, WORLD, config)
    for key, value in alone.state_dict().items():
        assert_close(stack.state_dict()[key][1] if value.ndim or key != "scale" else value, value, msg=key)
    assert bool(alone.tensor("control" if name == "jumprelu" else "frequency").any())

    def stop(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    broken, resumed = (W.create(name, 8, 24, **KEPT[name]) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        W.train(broken, WORLD, config, checkpoint=tmp_path / "c", on_step=stop)
    W.train(resumed, WORLD, config, checkpoint=tmp_path / "c", resume=True)
    for sae in (resumed, W.load(alone.save(tmp_path / "sae"))):
        for key, value in alone.state_dict().items():
            assert torch.equal(sae.state_dict()[key], value) or key in ("threshold", "b_enc", "b_dec"), key
    again = W.load(stack.save(tmp_path / "stack"))
    for key, value in stack.state_dict().items():
        assert_close(again.state_dict()[key], value, msg=key)
    if name != "ista":  # SAELens's file holds what SAELens knows
        (tmp_path / "sae" / "workbench.json").unlink()
        assert W.load(tmp_path / "sae").name == "jumprelu"
        assert json.loads((tmp_path / "sae" / "cfg.json").read_text())["architecture"] == "jumprelu"


# --- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", W.RECIPES)
def test_every_recipe_builds_and_takes_steps(name):
    made = W.RECIPES[name]
    sae, config = W.recipe(name, 8, 24, l0=[2, 3], samples=128, batch=64, seeds=[0, 1, 2])
    assert sae.shape == (2, 3)
    assert (sae.name, config.steps) == (made.variant, 2)
    assert getattr(sae, made.l0)[:, 0].tolist() == [2, 3]
    assert made.note
    assert made.source
    before = sae.W_dec.detach().clone()
    records = W.train(sae, WORLD, config)
    assert torch.tensor(records[-1]["loss/mse"]).isfinite().all()
    assert not torch.equal(before, sae.W_dec)
    assert bool(fired(sae.train().trace(noise(64, 8)).codes, 24).any())


def test_a_recipe_knows_the_protocol():
    sae, config = W.recipe("ista_matryoshka", 768, 4096)
    assert (sae.shape, float(sae.k), sae.objective["mse"].widths) == ((), 25.0, [128, 512, 2048, 4096])
    wanted = {
        "lr": 3e-4,
        "decay": 1 / 3,
        "k_start": 60.0,
        "k_anneal": 1.0,
        "clip": 1.0,
        "aux_k": 384,
        "aux_weight": 0.25,
    }
    assert config == replace(config, **wanted, steps=195_312, batch=1024)
    sae, config = W.recipe("jumprelu_controlled", 768, 16, l0=4)
    assert (config.resample_every, config.aux_k, config.decay) == (2500, 0, 1 / 3)
    assert (float(sae.gain), sae.through) == (0.0, True)
    assert W.recipe("topk", 768, 16, l0=4)[1].decay == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ista_matryoska"}, "recipe must be one of .* perhaps you meant 'ista_matryoshka'"),
        ({"l0": [3, 99]}, r"recipe\.l0 must be in \(0, m=24\]; got \[3, 99\]: lower it or raise m"),
        ({"samples": 5}, r"recipe\.samples must be at least the batch of 64; got 5: raise it"),
    ],
)
def test_impossible_requests_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        W.recipe(**({"name": "topk", "d": 8, "m": 24, "l0": 2, "samples": 640, "batch": 64} | changes))
