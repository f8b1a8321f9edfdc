"""The training loop: members alone and stacked, the same bits again and after a resume, schedules, revival, errors."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Batch, Codes
from workbench.parts.objectives import aux_k_loss
from workbench.parts.sparsifiers import fired
from workbench.training.checkpoint import identity, load_checkpoint, started
from workbench.training.optimiser import Adam, clip_gradients
from workbench.training.revival import resample
from workbench.variants.anchored import anchor

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)), bias_norm=0.5)
SHORT = W.TrainConfig(steps=12, batch=64, lr=3e-3)
EVERYTHING = W.TrainConfig(
    steps=22,
    batch=8,
    k_start=8.0,
    k_anneal=0.6,
    aux_k=4,
    dead_after=2,
    resample_every=8,
    evaluations=2,
    evaluation_samples=64,
    checkpoint_every=7,
)


def state(sae):
    return {name: value.clone() for name, value in sae.state_dict().items()}


def same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def timeless(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


@dataclass
class Wrapped:
    """A world that changes or watches what another one draws."""

    inner: S.World
    change: object

    @property
    def truth(self):
        return self.inner.truth

    @property
    def d(self):
        return self.inner.d

    def sample(self, n, rng):
        start = rng.get_state()
        return self.change(self.inner.sample(n, rng), n, start)


# --- stacks ----------------------------------------------------------------------------------------------------------

STACKS = {
    "relu": {"l1": [0.5, 3.0, 1.0]},
    "topk": {"k": [1, 3, 4]},
    "batch_topk": {"k": [1.5, 3.0, 4.0]},
    "jumprelu": {"l0": [0.1, 1.0, 0.5]},
}


@pytest.mark.parametrize("revived", [False, True])
@pytest.mark.parametrize("name", sorted(STACKS))
def test_a_member_trains_as_if_alone(name, revived):
    """Seeds, sparsity and step sizes all differ; 12 steps, so that rounding has no time to grow."""
    config = SHORT
    if revived:
        config = replace(config, aux_k=3, dead_after=2, resample_every=5)
    rates, seeds = (1e-3, 3e-3, 1e-2), [4, 0, 9]
    stack = W.create(name, 8, 20, seed=seeds, **STACKS[name])
    records = W.train(stack, WORLD, replace(config, lr=rates))
    for i, seed in enumerate(seeds):
        alone = W.create(name, 8, 20, seed=seed, **{key: v[i] for key, v in STACKS[name].items()})
        own = W.train(alone, WORLD, replace(config, lr=rates[i]))
        for key, value in alone.state_dict().items():
            mine = stack.state_dict()[key]
            assert_close(
                mine if key == "scale" else mine[i], value, atol=2e-5, rtol=1e-4, msg=lambda m, key=key: key + m
            )
        assert records[-1]["loss/mse"][i] == pytest.approx(own[-1]["loss/mse"], rel=1e-4)


def test_a_huge_gradient_is_clipped_in_its_own_member_only():
    runs = []
    for l1 in (1.0, 1e6):
        sae = W.create("relu", 8, 12, seed=[0, 1], l1=[l1, 1.0])
        W.train(sae, WORLD, SHORT)
        runs.append(state(sae))
    assert not torch.equal(runs[0]["W_enc"][0], runs[1]["W_enc"][0])
    same_bits(
        {name: v[1] for name, v in runs[0].items() if name != "scale"},
        {name: v[1] for name, v in runs[1].items() if name != "scale"},
    )


def test_clipping_uses_the_norm_over_all_of_a_members_parameters():
    a, b = torch.zeros(2, 2, requires_grad=True), torch.zeros(2, requires_grad=True)
    a.grad, b.grad = torch.tensor([[6.0, 0.0], [0.3, 0.0]]), torch.tensor([8.0, 0.4])
    clip_gradients([a, b], 1.0, 1)
    assert_close(a.grad, torch.tensor([[0.6, 0.0], [0.3, 0.0]]))
    assert_close(b.grad, torch.tensor([0.8, 0.4]))


def test_no_clipping_where_none_is_asked_for():
    runs = []
    for clip in (None, 1e9, 1e-3):
        sae = W.create("relu", 8, 12)
        W.train(sae, WORLD, replace(SHORT, clip=clip))
        runs.append(sae.W_enc.detach())
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


# --- bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["topk", "matryoshka", "gated"])
def test_two_runs_have_the_same_bits(name):
    runs = []
    for _ in range(2):
        sae = W.create(name, 8, 40, seed=[0, 1])
        records = W.train(sae, WORLD, EVERYTHING, seed=3)
        runs.append((state(sae), timeless(records)))
    same_bits(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


def stop_after(step):
    def on_step(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return on_step


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("name", ["topk", "batch_topk", "jumprelu"])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(tmp_path, name, fresh):
    """Broken off at step 12, in the middle of annealing; resumed from step 7 in a new object, or in the old one."""

    def new():
        return W.create(name, 8, 40, seed=[0, 1], **({"start": 1.5} if name == "jumprelu" else {"k": [2, 3]}))

    unbroken = new()
    records = W.train(unbroken, WORLD, EVERYTHING, seed=3)
    file = tmp_path / "run" / "checkpoint.safetensors"
    broken = new()
    with pytest.raises(KeyboardInterrupt):
        W.train(broken, WORLD, EVERYTHING, seed=3, checkpoint=file, on_step=stop_after(12))
    resumed = new() if fresh else broken
    steps = []
    again = W.train(
        resumed, WORLD, EVERYTHING, seed=3, checkpoint=file, resume=True, on_step=lambda p: steps.append(p.step)
    )
    assert steps == list(range(8, 23))
    same_bits(state(unbroken), state(resumed))
    assert resumed.marks((0,)) == unbroken.marks((0,))
    assert not resumed.fresh
    assert timeless(again) == timeless(records)
    if name != "jumprelu":
        assert resumed.k.tolist() == [2, 3]
    finished = new()  # resuming what is finished gives the finished SAE
    assert timeless(W.train(finished, WORLD, EVERYTHING, seed=3, checkpoint=file, resume=True)) == timeless(records)
    same_bits(state(unbroken), state(finished))


def test_the_resume_tests_exercise_what_they_name():
    """In EVERYTHING's run latents die, AuxK acts, latents are resampled; without each the bits differ."""
    runs = []
    for change in ({}, {"aux_k": 0}, {"resample_every": 0}, {"k_start": None}):
        sae = W.create("topk", 8, 40, seed=[0, 1], k=[2, 3])
        W.train(sae, WORLD, replace(EVERYTHING, **change), seed=3)
        runs.append(sae.W_enc.detach())
    for other in runs[1:]:
        assert not torch.equal(runs[0], other)


def test_resume_without_a_checkpoint_starts_anew(tmp_path):
    sae, plain = W.create("topk", 8, 16), W.create("topk", 8, 16)
    W.train(sae, WORLD, SHORT, checkpoint=tmp_path / "none", resume=True)
    W.train(plain, WORLD, SHORT)
    same_bits(state(sae), state(plain))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_keeps_the_previous_checkpoint(tmp_path, monkeypatch, error):
    from synthetic.base import storage

    file, written = tmp_path / "checkpoint.safetensors", []
    whole = storage.save_file

    def failing(tensors, path, metadata):
        written.append(path)
        if len(written) == 2:
            path.write_bytes(b"half a checkp")
            raise error
        whole(tensors, path, metadata)

    monkeypatch.setattr(storage, "save_file", failing)
    with pytest.raises(error if isinstance(error, type) else OSError):
        W.train(W.create("topk", 8, 16), WORLD, EVERYTHING, checkpoint=file)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    resumed, plain = W.create("topk", 8, 16), W.create("topk", 8, 16)
    steps = []
    W.train(resumed, WORLD, EVERYTHING, checkpoint=file, resume=True, on_step=lambda p: steps.append(p.step))
    assert steps[0] == 8
    W.train(plain, WORLD, EVERYTHING)
    same_bits(state(resumed), state(plain))


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("config", {"config": replace(SHORT, lr=1e-3)}),
        ("config", {"config": replace(SHORT, steps=11)}),
        ("config", {"config": replace(SHORT, steps=31, lr=1e-3)}),
        ("seed", {"seed": 1}),
        ("settings", {"k": 3}),
        ("init_seed", {"init_seed": 1}),
        ("m", {"m": 15}),
        ("variant", {"name": "batch_topk"}),
        ("world", {"world": replace(WORLD, seed=1)}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, what, changed):
    def run(resume, *, name="topk", m=16, k=2, init_seed=0, world=WORLD, config=SHORT, seed=0):
        sae = W.create(name, 8, m, seed=init_seed, k=k)
        before = state(sae)
        try:
            return W.train(sae, world, config, seed=seed, checkpoint=tmp_path / "c", resume=resume)
        except ValueError:
            same_bits(state(sae), before)
            raise

    run(False)
    assert run(True)[-1]["step"] == 12
    with pytest.raises(
        ValueError, match=rf"checkpoint\.{what} must be that of the run.*; got .*: resume with the settings"
    ):
        run(True, **changed)


STEADY = replace(EVERYTHING, steps=7, warm_up=0, decay=0, penalty_warm_up=0, k_start=None)


@pytest.mark.parametrize(
    ("config", "unlike"),
    [
        (STEADY, []),
        (replace(STEADY, decay=0.2), ["learning rate"]),
        (replace(STEADY, penalty_warm_up=0.5), ["penalty"]),
        (replace(STEADY, k_start=8.0), ["k"]),
        (replace(STEADY, resample_every=7), ["resampling"]),
    ],
)
def test_a_longer_run_has_the_bits_of_an_unbroken_one_where_the_schedule_says_so(tmp_path, config, unlike):
    """BatchTopK has a k, and here a penalty to warm up."""

    def run(config, **how):
        sae = W.create("batch_topk", 8, 40, k=2)
        sae.objective["mse"].warmed = True
        W.train(sae, WORLD, config, **how)
        return state(sae)

    longer = replace(config, steps=22, checkpoint_every=5)
    run(config, checkpoint=tmp_path / "c")
    assert started(tmp_path / "c") == (config, 7)
    ended, unbroken = run(longer, checkpoint=tmp_path / "c", resume=True), run(longer)
    assert longer.unlike(config, 7, penalties=True) == unlike
    assert torch.equal(ended["W_enc"], unbroken["W_enc"]) == (not unlike)
    assert started(tmp_path / "c") == (longer, 22)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "c").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="checkpoint must hold a readable c; got"):
        W.train(W.create("topk", 8, 16), WORLD, SHORT, checkpoint=tmp_path / "c", resume=True)
    sae = W.create("topk", 8, 16)
    with pytest.raises(FileNotFoundError, match="checkpoint must hold gone; got no such file"):
        load_checkpoint(tmp_path / "gone", sae, Adam(list(sae.parameters()), lr=1e-3), identity(sae, SHORT, WORLD, 0))


def test_every_stream_is_its_own():
    """The generators of moments, batches, evaluations and initial weights never coincide."""
    seen = []

    def watch(batch, n, start):
        seen.append(start)
        return batch

    config = W.TrainConfig(steps=4, batch=8, evaluations=1, evaluation_samples=5000)
    W.train(W.create("topk", 8, 16), Wrapped(WORLD, watch), config, seed=3)
    names = [("moments", 0), *(("train", t) for t in range(4)), *(("evaluate", t) for t in range(5))]
    expected = [S.stream(3, name, step).get_state() for name, step in names]
    assert len(seen) == len(expected)
    for ours, theirs in zip(seen, expected, strict=True):
        assert torch.equal(ours, theirs)
    starts = [*expected, S.stream(3, "init").get_state(), S.stream(3, "resample").get_state()]
    assert len({bytes(s.tolist()) for s in starts}) == len(starts)


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["moments", "training"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_inputs_are_counted(when, bad):
    def spoil(batch, n, start):
        if (n > 64) == (when == "moments"):
            batch.x[3:5, 0] = bad
        return batch

    with pytest.raises(
        ValueError, match=r"world\.x must be finite; got 2 rows with NaN or inf: repair the data source"
    ):
        W.train(W.create("relu", 8, 16), Wrapped(WORLD, spoil), SHORT)


def test_divergence_names_step_members_and_the_last_record():
    sae = W.create("relu", 8, 16, seed=[0, 1])
    with pytest.raises(
        W.Diverged, match=r"got (inf|nan) at step 1 for members \[\[1\]\]; last finite record: \{'step': 0,"
    ):
        W.train(sae, WORLD, replace(SHORT, lr=(1e-3, 1e30)))

    def burst(batch, n, start):
        return Batch(batch.x * 1e25, batch.h) if torch.equal(start, S.stream(0, "train", 3).get_state()) else batch

    config = replace(SHORT, steps=200, evaluations=2, evaluation_samples=50)
    with pytest.raises(W.Diverged, match=r"at step 3 for members \[\[0\], \[1\]\]; last finite record: \{'step': 2,"):
        W.train(W.create("relu", 8, 16, seed=[0, 1]), Wrapped(WORLD, burst), config)


def test_world_and_sae_must_fit():
    with pytest.raises(
        ValueError, match=r"train\.source must be of dimension 5, the SAE's; got 8: create the SAE with that d"
    ):
        W.train(W.create("topk", 5, 16), WORLD, SHORT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"TrainConfig\.steps must be at least 1; got 0: raise it"),
        ({"batch": 0}, r"TrainConfig\.batch must be at least 1"),
        ({"dead_after": 0}, r"TrainConfig\.dead_after must be at least 1"),
        ({"evaluation_samples": 0}, r"TrainConfig\.evaluation_samples must be at least 1"),
        ({"aux_k": -1}, r"TrainConfig\.aux_k must be at least 0; got -1: use 0 for none"),
        ({"resample_every": -1}, r"TrainConfig\.resample_every .* use 0 for none"),
        ({"evaluations": -1}, r"TrainConfig\.evaluations .* use 0 for none"),
        ({"checkpoint_every": -1}, r"TrainConfig\.checkpoint_every .* use 0 for none"),
        ({"warm_up": 1.5}, r"TrainConfig\.warm_up must be a share in \[0, 1\]; got 1\.5: give a fraction of the steps"),
        ({"decay": -0.1}, r"TrainConfig\.decay must be a share"),
        ({"penalty_warm_up": 2.0}, r"TrainConfig\.penalty_warm_up must be a share"),
        ({"k_anneal": 2.0}, r"TrainConfig\.k_anneal must be a share"),
        ({"lr": 0.0}, r"TrainConfig\.lr must be above 0; got 0\.0: give a positive step size"),
        ({"lr": (1e-3, -1e-3)}, r"TrainConfig\.lr must be above 0; got \(0\.001, -0\.001\)"),
        ({"clip": 0.0}, r"TrainConfig\.clip must be above 0; got 0\.0: use None for no clipping"),
    ],
)
def test_config_checks_itself(settings, message):
    with pytest.raises(ValueError, match=message):
        W.TrainConfig(**settings)


# --- schedules -------------------------------------------------------------------------------------------------------


def test_learning_rate_rises_stays_and_falls():
    config = W.TrainConfig(steps=10, warm_up=0.3, decay=0.4)
    expected = [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4]
    assert [config.rate_at(t) for t in range(10)] == pytest.approx(expected)
    flat = W.TrainConfig(steps=10, warm_up=0.0, decay=0.0)
    assert [flat.rate_at(t) for t in range(10)] == [1.0] * 10


def test_the_schedule_reaches_the_optimiser():
    """With one parameter moving against a constant sign, Adam's first step is the learning rate of that step."""
    sae = W.create("relu", 8, 16, seed=[0, 1])
    before = sae.W_enc.detach().clone()
    W.train(sae, WORLD, W.TrainConfig(steps=1, batch=256, lr=(1e-3, 4e-3), warm_up=1.0, decay=0.0, clip=None))
    moved = (sae.W_enc.detach() - before).abs()
    for member, rate in enumerate((1e-3, 4e-3)):
        assert moved[member].median().item() == pytest.approx(rate, rel=0.01)


def test_penalties_warm_up():
    config = W.TrainConfig(steps=10, penalty_warm_up=0.4)
    assert [config.penalty_at(t) for t in range(6)] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 1])
    assert W.TrainConfig(penalty_warm_up=0.0).penalty_at(0) == 1.0


def test_evaluations_are_log_spaced_and_end_at_the_end():
    assert W.TrainConfig(steps=1000).evaluate_at() == set()
    assert W.TrainConfig(steps=1000, evaluations=1).evaluate_at() == {1000}
    assert W.TrainConfig(steps=800, evaluations=2).evaluate_at() == {4, 800}
    times = sorted(W.TrainConfig(steps=20_000, evaluations=5).evaluate_at())
    assert times[0] == 100
    assert times[-1] == 20_000
    ratios = [b / a for a, b in pairwise(times)]
    assert ratios == pytest.approx([200 ** (1 / 4)] * 4, rel=0.01)
    assert W.TrainConfig(steps=3, evaluations=20).evaluate_at() == {1, 2, 3}


def test_records_follow_the_schedule():
    config = replace(SHORT, evaluations=3, evaluation_samples=64)
    records = W.train(W.create("topk", 8, 16, k=2), WORLD, config)
    assert [r["step"] for r in records] == sorted(config.evaluate_at())
    assert [r["samples"] for r in records] == [64 * s for s in sorted(config.evaluate_at())]
    assert all({"loss/mse", "mcc", "mcc_null", "seconds"} <= r.keys() for r in records)
    plain = W.train(W.create("topk", 8, 16, k=2), WORLD, SHORT)
    assert [r["step"] for r in plain] == [12]
    assert "mcc" not in plain[0]


def test_evaluation_does_not_touch_the_run():
    a, b = W.create("batch_topk", 8, 16, k=2), W.create("batch_topk", 8, 16, k=2)
    W.train(a, WORLD, SHORT)
    W.train(b, WORLD, replace(SHORT, evaluations=4, evaluation_samples=64))
    same_bits(state(a), state(b))


@pytest.mark.parametrize(
    ("name", "k", "share"), [("topk", 2, 0.5), ("topk", 2, 1.0), ("batch_topk", 0.5, 0.5), ("batch_topk", 2.5, 1.0)]
)
def test_k_anneals_down_to_the_variants_own(name, k, share):
    sae = W.create(name, 8, 16, seed=[0, 1], k=k)
    seen = []
    config = replace(SHORT, steps=30, batch=16, k_start=10.0, k_anneal=share)
    W.train(sae, WORLD, config, on_step=lambda p: seen.append(sae.k[0].item()))
    assert seen[0] == 10
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) > 5
    assert seen[-1] == pytest.approx(k, abs=0.5)
    if share < 1:
        assert set(seen[16:]) == {k}
    assert sae.k.tolist() == [k, k]


def test_k_is_left_alone_without_annealing():
    sae, seen = W.create("topk", 8, 16, k=[2, 4]), []
    W.train(sae, WORLD, SHORT, on_step=lambda p: seen.append(sae.k.tolist()))
    assert seen == [[2, 4]] * 12


# --- units and geometry ----------------------------------------------------------------------------------------------


def test_inputs_are_scaled_to_squared_norm_d():
    sae = W.create("topk", 8, 16, k=3)
    W.train(sae, WORLD, SHORT, seed=5)
    x = WORLD.sample(8192, S.stream(5, "moments")).x
    assert (x * sae.scale).square().sum(-1).mean().item() == pytest.approx(8.0, rel=1e-5)
    other = WORLD.sample(8192, S.stream(6, "tests")).x
    assert (other * sae.scale).square().sum(-1).mean().item() == pytest.approx(8.0, rel=0.05)
    kept = W.create("topk", 8, 16, k=3)
    W.train(kept, WORLD, replace(SHORT, normalise=False))
    assert kept.scale.item() == 1.0


def test_the_unit_of_x_does_not_matter():
    """x in eighths: the scale takes it up, every weight keeps its bits, answers come in the same unit."""
    unit, eighths = (
        S.SparseMixture(n_true=12, d=8, firing=S.ExactlyK(2), magnitudes=S.ConstantMagnitude(v)) for v in (1.0, 8.0)
    )
    saes = []
    for world in (unit, eighths):
        sae = W.create("relu", 8, 12)
        W.train(sae, world, SHORT)
        saes.append(sae)
    a, b = map(state, saes)
    assert a.pop("scale").item() == 8 * b.pop("scale").item()
    same_bits(a, b)
    x = unit.sample(20, S.stream(0, "tests")).x
    assert torch.equal(8 * saes[0](x), saes[1](8 * x))


def test_b_dec_starts_at_the_mean():
    moments = WORLD.sample(8192, S.stream(0, "moments")).x.mean(0)
    tiny = W.TrainConfig(steps=1, batch=8, lr=1e-12)
    for centre in (True, False):
        sae = W.create("relu", 8, 16, seed=[0, 1])
        W.train(sae, WORLD, replace(tiny, centre=centre))
        expected = moments * sae.scale if centre else torch.zeros(8)
        assert_close(sae.b_dec.detach(), expected.expand(2, 8))


@pytest.mark.parametrize("name", sorted(STACKS))
def test_rows_stay_unit_and_feel_no_radial_pull(name):
    sae = W.create(name, 8, 16, seed=[0, 1])
    x = WORLD.sample(64, S.stream(0, "tests")).x
    sum(sae.loss(sae.trace(x)).values()).sum().backward()
    along = (sae.W_dec.grad * sae.W_dec).sum(-1)
    assert along.abs().max() > 1e-3
    tangent = sae.W_dec.grad - along.detach()[..., None] * sae.W_dec.detach()
    sae.decoder.before_step()
    assert_close((sae.W_dec.grad * sae.W_dec).sum(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
    assert_close(sae.W_dec.grad, tangent)
    W.train(sae, WORLD, replace(SHORT, lr=0.1))
    assert_close(sae.W_dec.norm(dim=-1), torch.ones(2, 16))


def first_gradient(folder, sae, config):
    """Adam's running gradient after one step, which is a tenth of the first gradient it saw."""
    file = folder / f"{sae.settings}-{config.penalty_warm_up}"
    with pytest.raises(KeyboardInterrupt):
        W.train(sae, WORLD, replace(config, checkpoint_every=1), checkpoint=file, on_step=stop_after(1))
    found = load_file(file)
    return {name: 10 * found[f"adam.{name}.exp_avg"] for name in ("W_enc", "W_dec")}


@pytest.mark.parametrize("name", sorted(STACKS))
def test_the_optimiser_sees_no_radial_gradient(tmp_path, name):
    sae = W.create(name, 8, 16, seed=[0, 1])
    rows = sae.W_dec.detach().clone()
    gradient = first_gradient(tmp_path, sae, replace(SHORT, clip=None))["W_dec"]
    assert gradient.norm(dim=-1).max() > 1e-2
    assert_close((gradient * rows).sum(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)


def test_the_loss_sees_penalties_warm_up(tmp_path):
    """Half of l1 = 2 in force at the first of two steps is all of l1 = 1."""
    config = W.TrainConfig(steps=2, batch=64, clip=None)
    warming = first_gradient(tmp_path, W.create("relu", 8, 16, l1=2.0), replace(config, penalty_warm_up=1.0))
    half = first_gradient(tmp_path, W.create("relu", 8, 16, l1=1.0), replace(config, penalty_warm_up=0.0))
    whole = first_gradient(tmp_path, W.create("relu", 8, 16, l1=2.0), replace(config, penalty_warm_up=0.0))
    assert_close(warming["W_enc"], half["W_enc"])
    assert not torch.allclose(warming["W_enc"], whole["W_enc"], rtol=1e-2)


def test_training_ends_in_eval_mode_and_learns():
    sae = W.create("topk", 8, 12, k=2)
    records = W.train(sae, WORLD, W.TrainConfig(steps=120, batch=128, lr=1e-2, evaluations=2, evaluation_samples=1000))
    assert not sae.training
    assert records[-1]["fvu"] < 0.6 * records[0]["fvu"]


# --- dead latents ----------------------------------------------------------------------------------------------------


def test_fired_reads_dense_and_sparse_codes():
    f = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, -2.0], [0.5, 0.0, 0.0]]])
    expected = torch.tensor([[False, True, False], [True, False, True]])
    assert torch.equal(fired(f, 3), expected)
    sparse = Codes(
        torch.tensor([[[1, 2], [0, 0]], [[2, 2], [1, 0]]]), torch.tensor([[[1.0, 0], [0, 0]], [[-2, 0], [0, 0.5]]]), 3
    )
    assert torch.equal(fired(sparse, 3), expected)


def buried(name, **settings):
    """An SAE whose latents 3 and 7 cannot fire."""
    sae = W.create(name, 8, 12, **settings)
    with torch.no_grad():
        sae.b_enc[[3, 7]] = -100.0
    return sae


@pytest.mark.parametrize(("name", "settings"), [("relu", {"l1": 0.1}), ("topk", {"k": 4})])
def test_resampling_revives_what_cannot_fire(name, settings):
    config = W.TrainConfig(steps=30, batch=64, dead_after=5)
    x = WORLD.sample(2000, S.stream(9, "tests")).x
    for every, alive in ((0, False), (10, True)):
        sae = buried(name, **settings)
        W.train(sae, WORLD, replace(config, resample_every=every))
        firing = fired(sae.encode(x), 12)[[3, 7]].tolist()
        assert firing == [alive, alive], every


def test_resample_rewrites_dead_latents_only():
    sae = W.create("relu", 8, 12, seed=[0, 1])
    adam = Adam(list(sae.parameters()), lr=1e-3)
    x = WORLD.sample(64, S.stream(0, "tests")).x
    for _ in range(2):
        out = sae.trace(x)
        sum(sae.loss(out).values()).sum().backward()
        adam.step()
    before = state(sae)
    dead = torch.zeros(2, 12, dtype=torch.bool)
    dead[0, [2, 5]] = dead[1, 11] = True
    assert resample(sae, out, dead, adam, 0, 0).tolist() == [2, 1]
    live_norm = [before["W_enc"][i][:, ~dead[i]].norm(dim=0).mean() for i in range(2)]
    for i, j in dead.nonzero().tolist():
        row = sae.W_dec[i, j]
        centred = x - before["b_dec"][i]
        cos = torch.nn.functional.cosine_similarity(centred, row, dim=1)
        assert cos.max().item() == pytest.approx(1.0, abs=1e-5)  # it points at an input
        assert_close(sae.W_enc[i, :, j], 0.2 * live_norm[i] * row)
        assert sae.b_enc[i, j] == 0
        assert not adam.state[sae.W_enc]["exp_avg"][i, :, j].any()
        assert not adam.state[sae.W_dec]["exp_avg_sq"][i, j].any()
    for name, mask in (("W_enc", dead[:, None, :]), ("W_dec", dead[..., None]), ("b_enc", dead)):
        live = ~mask.expand_as(before[name])
        assert torch.equal(sae.state_dict()[name][live], before[name][live])
        assert bool((adam.state[sae.tensor(name)]["exp_avg"][live] != 0).any())


def test_resampled_rows_are_as_long_as_live_ones():
    decoder = W.create("spade", 4, 3).decoder
    with torch.no_grad():
        decoder.W_dec.copy_(torch.tensor([[6.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 1.0, 0]]))
    dead, rows = torch.tensor([False, False, True]), torch.eye(4)[:3]
    (mask, value), *_ = decoder.renewed(dead, rows).values()
    assert_close(torch.where(mask, value, decoder.W_dec)[2].detach(), torch.tensor([0, 0, 4.0, 0]))


@pytest.mark.parametrize("name", ["anchored", "soft_frozen_decoder", "aligned"])
def test_what_parts_hold_in_place_stays_there_where_latents_are_resampled(name):
    sae = W.create(name, 6, 12, seed=[0, 1], k=1)
    axes = torch.eye(6)[:4]
    if name == "anchored":
        anchor(sae, axes)
    start = sae.W_dec.detach().clone()
    x = torch.randn(40, 6, generator=S.stream(0, "tests/x"))
    count = resample(
        sae, sae.trace(x), torch.ones(2, 12, dtype=torch.bool), Adam(list(sae.parameters()), lr=1e-3), 0, 0
    )
    assert count.tolist() == [12, 12]
    assert not torch.equal(sae.W_dec, start)
    if name == "anchored":
        assert torch.equal(sae.W_dec[:, :4], axes.expand(2, 4, 6))
        assert torch.equal(sae.W_enc.mT[:, :4], axes.expand(2, 4, 6))
    elif name == "aligned":
        assert_close((sae.tensor("W_enc").mT * sae.W_dec).sum(-1), torch.ones(2, 12))
    else:
        assert bool(((sae.W_dec * start).sum(-1) >= 0.8 - 1e-6).all())


def test_resample_prefers_what_is_explained_worst_and_makes_no_twins():
    """Squared errors of 1 and 9: of one dead latent's 300 draws, 81 of 82 take the second input. Two take both."""
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])

    def rows(dead: int, step: int) -> torch.Tensor:
        sae = W.create("relu", 2, 4)
        with torch.no_grad():
            sae.W_enc.zero_()
        mask = torch.arange(4) < dead
        resample(sae, sae.trace(x), mask, Adam(list(sae.parameters()), lr=1e-3), 0, step)
        return sae.W_dec[:dead].detach()

    share = sum(float(rows(1, step)[0, 1] > 0.5) for step in range(300)) / 300
    assert 0.95 < share < 1  # below .95 with probability 1e-5, all at .025; the seed is fixed
    assert torch.equal(rows(2, 0).sum(0), torch.ones(2))  # one each
    assert torch.equal(rows(4, 0)[:2].sum(0), torch.ones(2))  # two rows serve two; the others wait


def test_aux_k_explains_the_residual_by_dead_latents():
    """k = 1: the dead latent 1 never wins; its row explains all of the residual, or half of it."""
    for strength, share in ((1.0, 0.0), (0.5, 0.25)):
        sae = W.create("topk", 2, 3, k=1)
        with torch.no_grad():
            sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
            sae.W_enc.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, strength, 0.1]]))
        x = torch.tensor([[2.0, 1.0], [4.0, 1.0]])
        out = sae.trace(x)
        dead = torch.tensor([False, True, True])
        loss = aux_k_loss(out, dead, 1)
        assert loss.item() == pytest.approx(share)
    loss.backward()
    assert sae.W_dec.grad[1].abs().sum() > 0
    assert sae.W_enc.grad[:, 1].abs().sum() > 0
    assert not sae.W_dec.grad[[0, 2]].any()
    assert not sae.W_enc.grad[:, [0, 2]].any()
    assert aux_k_loss(out, torch.zeros(3, dtype=torch.bool), 1).item() == 0.0


@pytest.mark.parametrize("name", ["omp", "spade"])
def test_aux_k_is_refused_where_there_are_no_latents_before_a_selection(name):
    """SpaDE projects scores that mostly lie below 0; its latents sum to 1."""
    sae = W.create(name, 8, 12)
    with pytest.raises(ValueError, match=rf"TrainConfig\.aux_k must be 0 for {name}, whose encoder gives no pre-"):
        W.train(sae, WORLD, replace(SHORT, aux_k=2))


def test_aux_k_acts_in_training_once_latents_are_dead():
    """Latent 0 is planted so that it never wins: only AuxK moves its encoder, and only after `dead_after` steps."""
    moved = {}
    for dead_after in (5, 500):
        sae = W.create("topk", 8, 12, k=2)
        with torch.no_grad():
            sae.W_enc[:, 0] *= 1e-3
            sae.b_enc[0] = 1e-3
        before = sae.W_enc[:, 0].detach().clone()
        records = W.train(sae, WORLD, replace(SHORT, steps=8, aux_k=2, dead_after=dead_after, lr=1e-5))
        moved[dead_after] = not torch.equal(sae.W_enc[:, 0], before)
        assert ("loss/aux_k" in records[-1]) is (dead_after == 5)
    assert moved == {5: True, 500: False}


@pytest.mark.parametrize("stack", [(), (2,), (2, 3)])
def test_adam_of_transposed_parameters_is_adam(stack):
    """Same steps as stock Adam on a copy laid out by rows; moments keep the parameter's shape."""
    rng = S.stream(0, "tests/adam")
    turned = torch.nn.Parameter(torch.randn(*stack, 4, 3, generator=rng).mT)
    plain = torch.nn.Parameter(turned.detach().clone(memory_format=torch.contiguous_format))
    ours, stock = Adam([turned], lr=0.1), torch.optim.Adam([plain], lr=0.1)
    for _ in range(4):
        gradient = torch.randn(*stack, 3, 4, generator=rng)
        turned.grad, plain.grad = torch.empty_like(turned).copy_(gradient), gradient
        ours.step()
        stock.step()
        assert_close(turned, plain)
    assert_close(ours.state[turned]["exp_avg"], stock.state[plain]["exp_avg"])
    assert ours.state[turned]["exp_avg"].stride() == turned.stride()
    assert turned.stride()[-2:] == (1, 3)
