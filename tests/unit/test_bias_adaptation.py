"""Bias adaptation, worked by hand: the controller, the groups, the spherical step, and the metrics read off them."""

import pytest
import torch
from torch.testing import assert_close

import workbench
from synthetic import stream
from synthetic.worlds.bias import uniform
from workbench import TrainConfig, create, train
from workbench.metrics import collect
from workbench.metrics.resonance import tuning
from workbench.metrics.survival import max_cosines, survivors
from workbench.parts.bias_control import adapted, group_mean


def test_a_bias_falls_above_its_ceiling_rises_when_dead_and_else_stays():
    b = torch.tensor([-0.5, -0.5, -0.5, -0.9, -0.05])
    rate = torch.tensor([0.3, 0.1, 0.0, 0.3, 0.0])
    ceiling, floor, fallen, raised, lowest = torch.tensor([0.2, 1e-6, 0.2, 0.1, -1.0])
    got = adapted(b, rate, ceiling, floor, fallen, raised, lowest)
    assert_close(got, torch.tensor([-0.7, -0.5, -0.4, -1.0, 0.0]))


def test_a_group_mean_leaves_out_latents_that_never_rose():
    peak = torch.tensor([[2.0, 0.0, 4.0, 0.0, 0.0, 5.0]])
    group = torch.tensor([[0, 0, 0, 1, 1, 2]])
    assert_close(group_mean(peak, group, 3), torch.tensor([[3.0, 3.0, 3.0, 0.0, 0.0, 5.0]]))


def test_targets_fall_geometrically_over_groups_of_each_member():
    sae = create("group_bias_adaptation", 4, 6, groups=[1, 2, 3], high=0.4, low=[0.1, 0.1, 0.1])
    assert_close(sae.targets[0], torch.full((6,), 0.1))
    assert_close(sae.targets[1], torch.tensor([0.4] * 3 + [0.1] * 3))
    assert_close(sae.targets[2], torch.tensor([0.4, 0.4, 0.2, 0.2, 0.1, 0.1]))


def test_jump_passes_on_the_product_without_its_bias_and_relu_shrinks():
    x = torch.tensor([[2.0, 0.0]])
    for output, value in (("jump", 2.0), ("relu", 1.5)):
        sae = create("group_bias_adaptation", 2, 2, groups=1, output=output)
        with torch.no_grad():
            sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.2, 0.9]]))
            sae.b_enc.fill_(-0.5)
            sae.tensor("a").copy_(torch.tensor([1.0, 3.0]))
        assert_close(sae.encode(x), torch.tensor([[value, 0.0]]))
        assert_close(sae.W_enc, sae.W_dec.mT)


def test_the_buffer_counts_firings_before_each_step_and_is_cleared():
    world = uniform(8, 6, 2)
    sae = create("group_bias_adaptation", 6, 8, groups=1, low=0.05, period=3, buffer=128, down=0.1)
    x = world.sample(32, stream(0, "t")).x
    sae.train()
    for step in range(3):  # period reached, rows not
        out = sae.trace(x)
        sae.finish_step(out)
        assert_close(sae.tensor("fires"), (step + 1) * (out.evidence > 0).sum(0).float())
    assert float(sae.b_enc.detach().abs().max()) == 0
    peak = sae.trace(x).evidence.amax(0).clamp_min(0)
    sae.finish_step(sae.trace(x))
    assert float(sae.tensor("fires").sum()) == 0 == float(sae.tensor("seen").sum())
    assert_close(sae.b_enc, -0.1 * peak.detach())


def test_set_points_raise_what_a_ceiling_leaves_alone():
    x = uniform(8, 6, 2).sample(64, stream(0, "t")).x
    moved = {}
    for control in ("ceiling", "set-point"):
        sae = create("group_bias_adaptation", 6, 8, groups=1, low=0.99, period=1, control=control)
        sae.b_enc.fill_(-0.2)
        sae.finish_step(sae.train().trace(x))
        moved[control] = sae.b_enc + 0.2
    assert float(moved["ceiling"].abs().max()) == 0
    assert float(moved["set-point"].min()) > 0


def test_the_spherical_step_is_the_direction_of_the_small_output_gradient():
    x = uniform(8, 6, 2).sample(64, stream(0, "t")).x * 6**0.5
    for output in ("relu", "jump"):
        sae = create("bias_adaptation", 6, 5, rate=0.3, output=output, step=[0.0, 0.5], a=1e-4).double().train()
        before = sae.W_dec.detach().clone()
        out = sae.trace(x.double())
        (0.5 * sae.loss(out)["mse"]).sum().backward()
        descent = -sae.W_dec.grad / sae.tensor("a")[:, None, None]
        sae.finish_step(out)
        for got, want in zip(sae.W_dec.detach(), (descent[0], before[1] + 0.5 * descent[1]), strict=True):
            assert_close(got, want / want.norm(dim=1, keepdim=True), atol=2e-3, rtol=0)


def test_figures_of_frequency_and_survival_are_those_of_their_definitions():
    world = uniform(8, 8, 1)
    sae = create("group_bias_adaptation", 8, 8, groups=1, low=0.2, seed=[0, 1])
    with torch.no_grad():
        rows = world.truth.features
        sae.W_dec.copy_(torch.stack((rows, torch.cat((rows[:4], -rows[4:])))))
        sae.b_enc.fill_(-0.9)
    one, two = collect(sae, world, 4000, seed=1)
    assert_close(one.latents.peak[:4], two.latents.peak[:4])
    assert_close(one.latents.peak, torch.ones(8, dtype=torch.float64), atol=1e-5, rtol=0)
    ratio, cosine = tuning(one)
    assert float(ratio.abs().max()) < 0.5
    assert_close(cosine, torch.ones(8, dtype=torch.float64))
    assert int((max_cosines(one) >= 0.9).sum()) == 4
    assert survivors(one, 0.9) == 0.5
    scores = workbench.evaluate(sae, world, 4000)
    assert scores["above_target"].tolist() == [0.0, 0.0]
    assert abs(scores["frequency_error"][0] - 0.68) < 0.2  # log2(.2 / .125)
    assert scores["mcs@.9"][0] == 0.5


@pytest.mark.slow
def test_recovery_needs_adaptation_and_the_bias_free_output():
    """At the size of CI: 64 features in 32 dimensions, two a sample; seeds of weights."""
    world, found = uniform(64, 32, 2), {}
    config = TrainConfig(
        steps=1500, batch=128, lr=3e-3, warm_up=0.0, decay=0.0, clip=None, centre=False, normalise=False
    )
    for name, output, low in (("jump", "jump", 0.047), ("relu", "relu", 0.047), ("unsteered", "jump", 1.0)):
        own = {"groups": 1, "low": low, "down": 0.05, "up": 0.05, "output": output}
        sae = create("group_bias_adaptation", 32, 128, seed=[0, 1, 2, 3, 4], **own)
        train(sae, world, config)
        found[name] = workbench.evaluate(sae, world, 4000)
    assert found["jump"]["recall@.9"].min() >= 0.95
    assert found["relu"]["recall@.9"].max() <= 0.1
    assert found["unsteered"]["recall@.9"].max() == 0
    assert found["unsteered"]["fvu"].max() < found["jump"]["fvu"].min() / 10
    assert found["jump"]["f1"].min() > 0.9 > 0.5 > found["relu"]["f1"].max()


def test_chance_and_ceiling_of_the_spherical_variant_are_not_trained():
    world = uniform(64, 32, 2)
    sae = create("bias_adaptation", 32, 128, rate=0.01)
    sae.scale.fill_(32**0.5)  # as training would: E|x|^2 = d, so that latents fire
    chance = workbench.null(sae, world, n=500)
    assert abs(chance["mcc"][0] - workbench.evaluate(sae, world, 500)["mcc_null"]) < 0.03
    assert workbench.ceiling("bias_adaptation", world, n=500)["mcc"] > 0.999


def test_no_latent_of_a_dead_stack_survives():
    sae = create("group_bias_adaptation", 6, 8, groups=1, low=0.1, seed=[0, 1])
    with torch.no_grad():
        sae.W_dec.copy_(sae.W_dec[0].expand_as(sae.W_dec))
    sae.b_enc.fill_(-9.0)
    (one, _) = collect(sae, uniform(8, 6, 2), 100, seed=1)
    assert survivors(one, 0.9) == 0.0


@pytest.mark.parametrize(
    ("variant", "settings", "words"),
    [
        ("group_bias_adaptation", {"groups": 9}, r"groups must be in \[1, m=8\]"),
        ("group_bias_adaptation", {"low": 0.2}, "low must be at most high where there are groups"),
        ("group_bias_adaptation", {"low": 0.0}, r"low must be in \(0, 1\]"),
        ("group_bias_adaptation", {"output": "sigmoid"}, "output"),
        ("bias_adaptation", {"rate": 1.0}, r"rate must be in \(0, 1\)"),
    ],
)
def test_impossible_settings_are_refused(variant, settings, words):
    with pytest.raises(ValueError, match=words):
        create(variant, 4, 8, **settings)
