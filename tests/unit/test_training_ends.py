"""How training starts and ends: what it takes for fresh, what a source may return, and what is left after any end."""

import inspect
import signal

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.training.config import Diverged
from workbench.training.loop import match_moments
from workbench.training.optimiser import Adam
from workbench.training.revival import resample
from workbench.variants import variant_shelf

WORLD = S.SparseMixture(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)), bias_norm=0.5)
SHORT = W.TrainConfig(steps=3, batch=16)
EACH = pytest.mark.parametrize("name", sorted(variant_shelf()))


class Given:
    """A source that returns what a function of its rows makes."""

    d = 8

    def __init__(self, change=lambda x: x, step=None):
        self.change, self.step, self.calls = change, step, 0

    def sample(self, n, rng):
        self.calls += 1
        x = WORLD.sample(n, rng).x
        x = self.change(x) if self.step is None or self.calls > self.step else x
        return type("Batch", (), {"x": x})()


def state(sae):
    return {name: value.clone() for name, value in sae.state_dict().items()}


def stop(progress):
    if progress.step == 3:
        raise KeyboardInterrupt


# --- any end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "k"), [("topk", 4), ("topk", [2, 4]), ("batch_topk", 2.5)])
def test_a_stopped_annealing_leaves_k_and_mode_as_they_are_saved(tmp_path, name, k):
    sae, seen = W.create(name, 8, 20, k=k), []

    def on_step(progress):
        if progress.step == 2:
            seen.append((sae.k.clone(), W.load(sae.save(tmp_path / "midway")).k))
        stop(progress)

    with pytest.raises(KeyboardInterrupt):
        W.train(sae, WORLD, W.TrainConfig(steps=100, batch=16, k_start=16.0), on_step=on_step)
    wanted = torch.as_tensor(k, dtype=sae.k.dtype)
    assert_close(sae.k, wanted)
    assert not sae.training
    assert (seen[0][0] > 4).all()
    assert_close(seen[0][1], wanted)  # what is saved in the middle is no stage of the annealing
    assert_close(W.load(sae.save(tmp_path / "stopped")).k, wanted)


def test_annealing_ends_at_a_k_that_was_set_by_hand():
    sae = W.create("topk", 8, 20, k=4)
    sae.k.fill_(3)
    W.train(sae, WORLD, W.TrainConfig(steps=4, batch=16, k_start=8.0))
    assert int(sae.k) == 3


@pytest.mark.parametrize("steps", [1, 2, 40])
def test_a_run_that_diverges_raises_and_keeps_no_nan(steps):
    sae = W.create("topk", 8, 20, seed=[0, 1])
    before = sae.W_dec.detach().clone()
    config = W.TrainConfig(steps=steps, batch=16, lr=(1e-3, 1e30), clip=None, warm_up=0.0, decay=0.0)
    with pytest.raises(W.Diverged, match=r"train\.loss must be finite; got .* for members \[\[1\]\]"):
        W.train(sae, WORLD, config)
    assert not sae.training
    assert all(bool(value.isfinite().all()) for value in sae.state_dict().values())
    assert_close(sae.W_dec[1], before[1], rtol=0, atol=0)  # back at the start
    assert bool((sae.W_dec[0] != before[0]).any())  # the other member keeps what it learned
    W.train(sae, WORLD, SHORT)


def test_a_broken_checkpoint_is_not_written(tmp_path):
    path = tmp_path / "run.safetensors"
    config = W.TrainConfig(steps=20, batch=16, lr=1e38, clip=None, warm_up=0.0, checkpoint_every=1)
    with pytest.raises(W.Diverged, match="lower lr"):
        W.train(W.create("topk", 8, 20), WORLD, config, checkpoint=path)
    assert not path.exists()


@pytest.mark.parametrize("where", ["step", "finish_step", "backward"])
def test_ctrl_c_inside_a_step_leaves_a_whole_sae_to_go_on_from(tmp_path, monkeypatch, where):
    """Ctrl-C amid Adam's update, before rows have norm 1 again, or amid gradients: resumed, the bits are the same."""
    owner = {"step": Adam, "finish_step": W.SAE, "backward": torch.Tensor}[where]
    plain, calls = getattr(owner, where), [0]

    def pressed(self, *values):
        calls[0] += 1
        if where == "backward":
            plain(self, *values)
        if calls[0] == 6:
            signal.raise_signal(signal.SIGINT)
        return None if where == "backward" else plain(self, *values)

    config = W.TrainConfig(steps=9, batch=16, checkpoint_every=4)
    unbroken = W.create("topk", 8, 8, k=2)
    W.train(unbroken, WORLD, config)
    sae, file = W.create("topk", 8, 8, k=2), tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr(owner, where, pressed)
    with pytest.raises(KeyboardInterrupt):
        W.train(sae, WORLD, config, checkpoint=file)
    monkeypatch.undo()
    assert_close(sae.W_dec.norm(dim=-1), torch.ones(8))
    assert all(p.grad is None for p in sae.parameters())
    copies, part = [], W.create("topk", 8, 8, k=2)
    W.train(part, WORLD, config, on_step=lambda _: copies.append(state(part)))
    assert any(all(torch.equal(v, c[name]) for name, v in state(sae).items()) for c in copies)
    W.train(sae, WORLD, config, checkpoint=file, resume=True)
    assert sae.decoder.unit
    for name, value in state(unbroken).items():
        assert torch.equal(value, state(sae)[name]), name


def test_a_gradient_of_the_callers_own_is_no_part_of_the_first_step():
    plain, stale = (W.create("topk", 8, 20, k=2) for _ in range(2))
    stale(torch.ones(3, 8)).sum().backward()
    for sae in (plain, stale):
        W.train(sae, WORLD, SHORT)
    assert torch.equal(plain.W_dec, stale.W_dec)


def test_a_refused_resume_leaves_the_sae(tmp_path):
    sae, file = W.create("topk", 8, 20, k=2, seed=[0, 1]), tmp_path / "checkpoint.safetensors"
    W.train(sae, WORLD, W.TrainConfig(steps=3, batch=16, lr=(1e-3, 1e-2)), checkpoint=file)
    marks = sae.marks((1,))
    with pytest.raises(ValueError, match=r"checkpoint\.config must be that of the run"):
        W.train(sae, WORLD, SHORT, checkpoint=file, resume=True)
    assert sae.marks((1,)) == marks


def test_an_error_before_the_first_step_leaves_the_mode():
    sae = W.create("topk", 8, 20)
    with pytest.raises(ValueError, match=r"TrainConfig\.lr"):
        W.train(sae, WORLD, W.TrainConfig(lr=(1e-3, 3e-3)))
    assert sae.training


# --- sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x[: len(x) // 3],
            r"world\.x must be 16 rows of width 8; got shape \(5, 8\): return as many as were",
        ),
        (lambda x: x.repeat(2, 1), r"16 rows of width 8; got shape \(32, 8\)"),
        (lambda x: x.view(4, -1, 8)[:3], r"16 rows of width 8; got shape \(3, 4, 8\)"),
        (lambda x: x[:, :7], r"16 rows of width 8; got shape \(16, 7\)"),
        (lambda x: x.long(), r"world\.x must be a tensor of floating-point numbers; got one of torch\.int64"),
        (lambda x: x.tolist(), r"floating-point numbers; got list"),
        (lambda x: x * torch.nan, r"world\.x must be finite; got 16 rows with NaN or inf"),
    ],
)
def test_batches_of_another_kind_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        W.train(W.create("topk", 8, 20), Given(change, step=1), SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:100], r"8192 rows of width 8; got shape \(100, 8\)"),
        (lambda x: 0 * x, r"world\.x must be other than 0; got 8192 rows of zeros: repair the data source"),
        (lambda x: x * 1e-44, r"world\.x must be of a size that float32 can rescale; got E\|x\|\^2 = "),
    ],
)
def test_moments_of_another_kind_are_refused(change, message):
    sae = W.create("topk", 8, 20)
    with pytest.raises(ValueError, match=message):
        W.train(sae, Given(change), SHORT)
    assert sae.fresh


def test_precision_shape_and_graph_of_a_source_do_not_matter():
    weight = torch.eye(8, requires_grad=True)
    runs = {}
    for name, change in {
        "plain": lambda x: x.half().float(),
        "half": lambda x: x.half(),
        "numpy": lambda x: x.half().double().numpy(),
        "sequences": lambda x: x.half().float().view(4, -1, 8),
        "graph": lambda x: x.half().float() @ weight,
    }.items():
        sae = W.create("topk", 8, 20)
        W.train(sae, Given(change), SHORT)
        runs[name] = sae.W_dec.detach()
    assert weight.grad is None
    for name, rows in runs.items():
        assert torch.equal(rows, runs["plain"]), name


def test_short_batches_are_refused_in_evaluation():
    class Short(S.SparseMixture):
        def sample(self, n, rng):
            return super().sample(n // 2, rng)

    short = Short(n_true=12, d=8, firing=S.Independent(S.Constant(0.15)))
    with pytest.raises(ValueError, match=r"world\.x must be 100 rows of width 8; got shape \(50, 8\)"):
        W.evaluate(W.create("topk", 8, 20), short, n=100)


def test_what_is_no_source_is_refused():
    class Nothing:
        d = 8

    with pytest.raises(ValueError, match=r"rows must be a tensor or array .*; got .*Nothing.*: wrap"):
        inspect.unwrap(W.train)(W.create("topk", 8, 20), Nothing(), SHORT)  # past the tests' own type checks


# --- fresh -----------------------------------------------------------------------------------------------------------


def test_fresh_is_what_creation_says_and_no_guess(tmp_path):
    """An SAE of scale 1 and b_dec 0 that is not fresh keeps them; a fresh one saved before training is still fresh."""
    sae = W.create("topk", 8, 20)
    assert W.load(sae.save(tmp_path / "fresh")).fresh
    sae.fresh = False
    match_moments(sae, WORLD, SHORT, 0)
    assert float(sae.scale) == 1
    assert not sae.b_dec.any()
    again = W.load(sae.save(tmp_path / "old"))
    assert not again.fresh
    again = W.create("topk", 8, 20)
    again.load_state_dict(sae.state_dict())  # weights that come with their scale
    assert not again.fresh
    sae.fresh = True
    sae.b_dec.data.fill_(0.1)
    match_moments(sae, WORLD, SHORT, 0)
    assert not sae.fresh
    assert float(sae.scale) != 1


# --- precision, revival ----------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("m", [20, 300])
def test_every_variant_trains_in_bfloat16(name, m):
    settings = {"iterations": 20} if name == "semi_nmf" else {}
    sae = W.create(name, 8, m, seed=[0, 1], **settings)
    aux = 4 * sae.has_evidence
    config = W.TrainConfig(steps=5, batch=16, bf16=True, dead_after=2, resample_every=3, aux_k=aux)
    W.train(sae, WORLD, config)
    assert {value.dtype for value in sae.state_dict().values()} == {torch.float32}
    assert sae(WORLD.sample(4, S.stream(0, "x")).x).dtype == torch.float32


def test_short_floats_round_rows_and_keep_them_of_norm_1():
    sae = W.create("topk", 8, 300, k=4).bfloat16()
    W.train(sae, WORLD, SHORT)
    assert sae.decoder.unit
    assert ((sae.W_dec.float().norm(dim=-1) - 1).abs() < 0.01).all()


def test_singular_values_of_what_diverged_are_told_as_a_divergence():
    sae = W.create("structured", 8, 20, seed=[0, 1])
    with pytest.raises(Diverged):
        W.train(sae, WORLD, W.TrainConfig(steps=12, batch=16, lr=(1e-3, 1e30), clip=None))
    assert all(p.isfinite().all() for p in sae.parameters())


def test_resampling_points_at_no_row_without_direction():
    """Rows that equal b_dec, but for round-off, are no targets: their latents stay; the others have norm 1."""
    x = torch.full((6, 8), 0.3)
    x[0, 0] = 1.0
    sae = W.create("topk", 8, 12)
    with torch.no_grad():
        sae.b_dec.fill_(0.3)
        sae.b_dec[1] += 1e-8
    before = sae.W_dec.detach().clone()
    count = resample(sae, sae.trace(x), torch.ones(12, dtype=torch.bool), Adam(list(sae.parameters()), lr=1e-3), 0, 0)
    assert int(count) == 1
    assert_close(sae.W_dec.norm(dim=1), torch.ones(12))
    assert int((sae.W_dec != before).any(1).sum()) == 1


# --- rates and labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "lr", "message"),
    [
        (0, (1e-3, 2e-3), r"TrainConfig\.lr must be one number for a single SAE; got \(0\.001, 0\.002\): give as many"),
        ([0, 1, 2], (1e-3, 2e-3), r"or 3 of them, one for each along the last axis of the stack \(3,\); got"),
        ([[0, 1, 2], [3, 4, 5]], (1e-3, 2e-3), r"or 3 of them, .* of the stack \(2, 3\)"),
    ],
)
def test_rates_that_do_not_fit_are_refused(seed, lr, message):
    with pytest.raises(ValueError, match=message):
        W.train(W.create("topk", 8, 20, seed=seed), WORLD, W.TrainConfig(steps=1, lr=lr))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 2.5}, r"TrainConfig\.steps must be a whole number; got 2\.5"),
        ({"steps": True}, r"TrainConfig\.steps must be a whole number"),
        ({"bf16": 1}, r"TrainConfig\.bf16 must be true or false; got 1"),
        ({"lr": "a"}, r"TrainConfig\.lr must be a finite number or a list of .*; got 'a'"),
        ({"lr": float("inf")}, r"TrainConfig\.lr must be a finite number"),
        ({"lr": ()}, r"TrainConfig\.lr must be above 0; got \(\)"),
        ({"betas": (0.9, 1.0)}, r"TrainConfig\.betas must be in \[0, 1\)"),
    ],
)
def test_training_settings_of_another_kind_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        W.TrainConfig(**settings)


def test_a_misspelt_training_setting_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=r"setting of TrainConfig must be one of .*; got 'stpes': perhaps you meant 'st"
    ):
        W.TrainConfig(stpes=3)


def test_settings_that_are_too_many_or_too_few_are_one_sentence():
    with pytest.raises(
        ValueError, match=r"Uniform must be given its settings; got too many positional arguments: help"
    ):
        S.Uniform(1, 2, 3)
    with pytest.raises(ValueError, match=r"Given must be given its settings; got missing .* 'rows': help\(Given"):
        S.Given()


def test_numpys_numbers_are_kept_as_pythons():
    config = W.TrainConfig(steps=np.int64(3), lr=[np.float64(1e-3), 2e-3], clip=np.float32(0.5))
    assert config == W.TrainConfig(steps=3, lr=(1e-3, 2e-3), clip=0.5)
    assert [type(v) for v in (config.steps, *config.lr, config.clip)] == [int, float, float, float]
