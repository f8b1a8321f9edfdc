"""SAELens folders: theirs read by us give their latents; ours read by them give our reconstructions."""

import json
import shutil

import pytest
import torch
from make_saelens_golden import ARCHITECTURES, FOLDERS, SCALE
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench.interop.saelens import architecture_of
from workbench.interop.saelens_foreign import ARCHITECTURES as READ

VARIANT = {
    "abstopk": "abs_topk",
    "batchtopk": "jumprelu",
    "batchtopk_training": "batch_topk",
    "gated": "gated",
    "jumprelu": "jumprelu",
    "matching_pursuit": "matching_pursuit",
    "matryoshka_batchtopk": "jumprelu",
    "matryoshka_batchtopk_training": "matryoshka",
    "standard": "relu",
    "topk": "topk",
}


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


def row_norms(expected):
    """Norms of SAELens's rows, which its latents and reconstructions tell; 0 of a latent that never fires."""
    latents = expected["latents"].double()
    with_bias = torch.cat((latents, latents.new_ones(len(latents), 1)), 1)
    return torch.linalg.lstsq(with_bias, expected["x_hat"].double(), driver="gelsd").solution[:-1].norm(dim=1).float()


def as_read(sae, expected):
    """SAELens's latents in the units of ours: times the norms of its rows where ours are of norm 1."""
    return expected["latents"] * (row_norms(expected) if sae.decoder.unit else 1.0)


# --- theirs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_folder_of_saelens_gives_its_latents(name):
    expected = load_file(FOLDERS / name / "expected.safetensors")
    sae = W.load(FOLDERS / name)
    assert sae.name == VARIANT[max((known for known in VARIANT if name.startswith(known)), key=len)]
    assert not sae.training
    assert sae.scale == 1
    with torch.no_grad():
        latents = dense(sae.encode(expected["x"]))
        assert_close(latents, as_read(sae, expected), atol=1e-5, rtol=0)
        assert_close(sae(expected["x"]), expected["x_hat"], atol=1e-5, rtol=0)
    active = (latents != 0).double().mean().item()
    assert 0.05 < active < 0.7  # the example exercises the gate


def changed(name, tmp_path, **change):
    """A copy of a golden folder with some of its configuration changed; None takes a key out."""
    folder = shutil.copytree(FOLDERS / name, tmp_path / "sae")
    config = json.loads((folder / "cfg.json").read_text()) | change
    (folder / "cfg.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return folder


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("topk_rescaled", {"rescale_acts_by_decoder_norm": False}),
        ("abstopk_rescaled", {"rescale_acts_by_decoder_norm": False}),
        ("batchtopk_training_rescaled", {"rescale_acts_by_decoder_norm": False}),
        ("batchtopk_training", {"rescale_acts_by_decoder_norm": True}),
        ("standard_raw_input", {"apply_b_dec_to_input": True}),
        ("matching_pursuit_raw_input", {"apply_b_dec_to_input": True}),
        ("matching_pursuit", {"residual_threshold": 0.0}),
        ("matching_pursuit", {"max_iterations": 2}),
        ("matching_pursuit_once", {"stop_on_duplicate_support": False}),
        ("matching_pursuit_training_scaled", {"normalize_activations": "none"}),
        ("jumprelu_training_scaled", {"normalize_activations": "none"}),
        ("batchtopk_training_scaled", {"normalize_activations": "none"}),
        ("batchtopk_training_whitened", {"normalize_activations": "none"}),
    ],
)
def test_the_examples_need_what_their_configurations_say(tmp_path, name, change):
    """With another configuration their latents would differ, so ignoring a key shows above."""
    expected = load_file(FOLDERS / name / "expected.safetensors")
    latents = dense(W.load(changed(name, tmp_path, **change)).encode(expected["x"]))
    assert ((latents - expected["latents"]).abs() > 1e-3).any(-1).double().mean() > 0.05


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_folder_of_saelens_saved_by_us_stays_the_same(tmp_path, name):
    sae = W.load(FOLDERS / name)
    back = W.load(sae.save(tmp_path / "sae"))
    assert (type(back), back.settings, back.metadata) == (type(sae), sae.settings, sae.metadata)
    assert back.state_dict().keys() == sae.state_dict().keys()
    assert all(torch.equal(value, back.state_dict()[key]) for key, value in sae.state_dict().items())


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name.startswith(("batchtopk_", "matryoshka"))])
def test_training_goes_on_from_a_training_save(name):
    sae = W.load(FOLDERS / name)
    if "training" not in name:
        assert sae.name == "jumprelu"
        return
    assert sae.settings["k"] == 2.5
    assert sae.settings["threshold_rate"] == (0.02 if name.endswith("rescaled") else 0.01)
    if name.startswith("matryoshka"):
        assert sae.objective["mse"].widths == [3, 10]
    before = float(sae.tensor("threshold"))
    assert before == pytest.approx(0.45 / (SCALE if name.endswith("_scaled") else 1.0))
    W.train(sae, S.SparseMixture(n_true=8, d=6), W.TrainConfig(steps=2, batch=8))
    assert sae.scale == 1
    assert float(sae.tensor("threshold")) != before


def test_a_last_width_that_is_left_out_is_the_whole(tmp_path):
    sae = W.load(changed("matryoshka_batchtopk_training", tmp_path, matryoshka_widths=[2, 5]))
    assert sae.objective["mse"].widths == [2, 5, 10]


def test_metadata_and_heads_are_kept():
    hook = {"hook_name": "blocks.1.attn.hook_z", "model_name": "gpt2-small", "reshape_activations": "hook_z"}
    assert W.load(FOLDERS / "standard_old").metadata == hook
    assert W.load(FOLDERS / "standard_hook_z").metadata["reshape_activations"] == "hook_z"
    about = {"hook_name": "blocks.1.hook_resid_pre", "model_name": "gpt2-small"}
    assert W.load(FOLDERS / "topk_old").metadata == about
    about = W.load(FOLDERS / "matryoshka_batchtopk").metadata
    assert about["training_architecture_details"]["matryoshka_widths"] == [3, 10]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_are_read_as_float32(tmp_path, dtype):
    saes = {}
    weights = {k: v.to(dtype) for k, v in load_file(FOLDERS / "gated" / "sae_weights.safetensors").items()}
    for kind in (dtype, torch.float32):
        folder = shutil.copytree(FOLDERS / "gated", tmp_path / str(kind))
        save_file({name: value.to(kind) for name, value in weights.items()}, folder / "sae_weights.safetensors")
        saes[kind] = W.load(folder).state_dict()
    for name, value in saes[dtype].items():
        assert value.dtype == torch.float32
        assert torch.equal(value, saes[torch.float32][name])


def test_a_negative_threshold_passes_no_negative_latents(tmp_path):
    """SAELens rectifies before its gate, so there a threshold below 0 acts as 0."""
    folder = shutil.copytree(FOLDERS / "jumprelu", tmp_path / "sae")
    weights = load_file(folder / "sae_weights.safetensors")
    weights["threshold"][:] = -0.5
    save_file(weights, folder / "sae_weights.safetensors")
    x = load_file(folder / "expected.safetensors")["x"]
    pre = (x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    assert_close(dense(W.load(folder).encode(x)).detach(), pre.relu() * weights["W_dec"].norm(dim=1))


UNITS = r"normalize_activations must be "


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("jumprelu", {"architecture": "jumpreLU"}, r"cfg\.json\.architecture must be .*: perhaps you meant 'jumprelu'"),
        ("jumprelu", {"architecture": "temporal"}, r"got 'temporal': choose one of these"),
        (
            "jumprelu",
            {"normalize_activations": "constant_norm_rescale"},
            UNITS + r"one of \['none', .*; got constant_norm_rescale: it divides",
        ),
        (
            "jumprelu",
            {"normalize_activations": "expected_average_only_in"},
            UNITS + r"folded into .* activation_scaler",
        ),
        ("standard_old", {"normalize_activations": True}, UNITS + r"folded into .* kept in activation_scaler\.json"),
        ("topk_training_scaled", {"normalize_activations": "covariance_whitening"}, "must hold activation_whitening"),
        ("matching_pursuit", {"normalize_activations": "covariance_whitening"}, UNITS + "linear in a tied SAE"),
        ("jumprelu", {"d_sae": 11}, r"cfg\.json: d_sae must be 10, that of the weights; got 11"),
        ("jumprelu", {"d_in": None}, r"cfg\.json: d_in must be a whole number of at least 1; got none: copy the"),
        ("topk", {"k": None}, r"cfg\.json\.k must be given for this architecture"),
        (
            "topk",
            {"architecture": "jumprelu"},
            r"of a jumprelu SAE must be .*'threshold'\]; got \['W_dec', 'W_enc', 'b_",
        ),
        ("jumprelu", {"architecture": "standard"}, r"of a standard SAE must be \['W_dec', 'W_enc', 'b_dec', 'b_enc'\]"),
        (
            "topk_old",
            {"activation_fn_str": "tanh-relu"},
            r"cfg\.json\.activation_fn must be one of .*; got 'tanh-relu'",
        ),
    ],
)
def test_folders_that_cannot_be_read_say_why(tmp_path, name, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        W.load(changed(name, tmp_path, **change))


def test_a_checkpoint_without_its_factor_is_refused(tmp_path):
    folder = shutil.copytree(FOLDERS / "topk_training_scaled", tmp_path / "sae")
    (folder / "activation_scaler.json").write_text('{"scaling_factor": null, "has_whitening": false}')
    with pytest.raises(ValueError, match=UNITS + "folded into"):
        W.load(folder)


def test_a_fine_tuned_factor_of_latents_is_refused_and_ones_are_not(tmp_path):
    folder = shutil.copytree(FOLDERS / "standard_old", tmp_path / "sae")
    weights = load_file(folder / "sae_weights.safetensors")
    save_file(weights | {"scaling_factor": torch.ones(10)}, folder / "sae_weights.safetensors")
    assert_close(W.load(folder).W_dec, W.load(FOLDERS / "standard_old").W_dec)
    save_file(weights | {"scaling_factor": torch.full((10,), 1.1)}, folder / "sae_weights.safetensors")
    with pytest.raises(ValueError, match=r"scaling_factor must be 1; got a fine-tuned one: multiply the rows of W_dec"):
        W.load(folder)


def test_rows_of_norm_0_are_silent(tmp_path):
    folder = shutil.copytree(FOLDERS / "topk_rescaled", tmp_path / "sae")
    weights = load_file(folder / "sae_weights.safetensors")
    weights["W_dec"][3] = 0.0
    save_file(weights, folder / "sae_weights.safetensors")
    x = load_file(folder / "expected.safetensors")["x"]
    sae = W.load(folder)
    assert dense(sae.encode(x))[:, 3].abs().max() < 1e-6
    assert sae(x).isfinite().all()


def test_log_thresholds_of_older_checkpoints_are_read(tmp_path):
    folder = shutil.copytree(FOLDERS / "jumprelu", tmp_path / "sae")
    weights = load_file(folder / "sae_weights.safetensors")
    save_file(weights | {"log_threshold": weights.pop("threshold").log()}, folder / "sae_weights.safetensors")
    assert_close(W.load(folder).tensor("threshold"), W.load(FOLDERS / "jumprelu").tensor("threshold"))


# --- ours, read by the installed SAELens -----------------------------------------------------------------------------

OURS = {
    "relu": ("relu", {}),
    "topk": ("topk", {"k": 3}),
    "abs_topk": ("abs_topk", {"k": 3}),
    "batch_topk": ("batch_topk", {"k": 3.0}),
    "matryoshka": ("matryoshka", {"k": 3.0, "prefixes": (0.25, 0.5, 1.0)}),
    "jumprelu": ("jumprelu", {"start": 0.4}),
    "gated": ("gated", {}),
    "p_annealing": ("p_annealing", {}),
    "matching_pursuit": ("matching_pursuit", {"k": 5, "select": "relu", "tol": 0.9}),
    "matching_pursuit_once": ("matching_pursuit", {"k": 9, "select": "relu", "stop_on_repeat": True}),
}


def disturbed(label, **settings):
    """An SAE in units 1.7 times those of x, with biases and thresholds everywhere."""
    name, own = OURS[label]
    sae = W.create(name, 6, 20, **own, **settings)
    rng = S.stream(0, f"tests/{name}")
    with torch.no_grad():
        for key, value in sae.state_dict().items():
            if key == "scale":
                value.fill_(1.7)
            elif key == "threshold":
                value.copy_(0.3 + 0.3 * torch.rand(value.shape, generator=rng))
            elif key != "W_dec":
                value.add_(0.2 * torch.randn(value.shape, generator=rng))
    return sae.eval()


def saelens():
    return pytest.importorskip("sae_lens", reason="compares with SAELens itself: pip install sae-lens")


def compare(sae, at, folder):
    sae_lens = saelens()
    theirs = sae_lens.SAE.load_from_disk(folder)
    assert theirs.cfg.architecture() == architecture_of(sae)
    x = torch.randn(50, 6, generator=S.stream(1, "tests/x"))
    with torch.no_grad():
        latents, expected = theirs.encode(x), dense(sae.encode(x))[at]
        assert_close(latents, expected, atol=1e-5, rtol=0)
        assert_close(theirs.decode(latents), sae(x)[at], atol=1e-5, rtol=0)
        assert 0.05 < (expected != 0).double().mean().item() < 0.8


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_folder_of_saelens_saved_by_us_works_in_saelens(tmp_path, name):
    sae = W.load(FOLDERS / name)
    theirs = saelens().SAE.load_from_disk(sae.save(tmp_path / "sae"))
    assert theirs.cfg.metadata.training_architecture == sae.metadata.get("training_architecture", sae.name)
    expected = load_file(FOLDERS / name / "expected.safetensors")
    heads = sae.metadata.get("reshape_activations") == "hook_z"
    assert (theirs.cfg.reshape_activations == "hook_z") == heads
    with torch.no_grad():
        latents = theirs.encode(expected["x"].view(40, 2, 3) if heads else expected["x"])
        assert_close(latents, as_read(sae, expected), atol=1e-5, rtol=0)
        assert_close(theirs.decode(latents).flatten(1), expected["x_hat"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["batchtopk_training", "batchtopk_training_rescaled", "matryoshka_batchtopk_training"])
def test_a_training_save_selects_as_saelens_does_in_training(name):
    theirs = saelens().TrainingSAE.load_from_disk(FOLDERS / name)
    x = load_file(FOLDERS / name / "expected.safetensors")["x"]
    with torch.no_grad():
        out = W.load(FOLDERS / name).train().trace(x)
        latents = theirs.encode(x)
        assert_close(out.dense(), latents, atol=1e-5, rtol=0)
        assert_close(out.x_hat, theirs.decode(latents), atol=1e-5, rtol=0)


def test_metadata_reaches_saelens(tmp_path):
    sae = disturbed("topk")
    sae.metadata = {"model_name": "gpt2-small", "hook_name": "blocks.1.hook_resid_pre", "l0": 3.0}
    theirs = saelens().SAE.load_from_disk(sae.save(tmp_path / "sae")).cfg.metadata
    assert {name: theirs[name] for name in sae.metadata} == sae.metadata
    assert theirs.training_architecture == "topk"


@pytest.mark.parametrize("select", ["abs", "max"])
def test_saelens_refuses_what_it_would_read_otherwise(tmp_path, select):
    """Its matching pursuit takes positive correlations alone, and so gives other latents."""
    folder = W.create("matching_pursuit", 6, 20, select=select).save(tmp_path / "sae")
    assert json.loads((folder / "cfg.json").read_text())["architecture"] not in READ
    with pytest.raises(KeyError, match="matching_pursuit_workbench"):
        saelens().SAE.load_from_disk(folder)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_folder_of_ours_works_in_saelens(tmp_path, name):
    sae = disturbed(name)
    compare(sae, (), sae.save(tmp_path / "sae"))


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_member_of_a_stack_works_in_saelens(tmp_path, name):
    sae = disturbed(name, seed=[0, 1])
    folder = sae.save(tmp_path / "stack")
    for member in range(2):
        compare(sae, (member,), folder / f"member-{member:03d}")


def test_a_round_trip_through_saelens_comes_back(tmp_path):
    """Ours, loaded and saved by SAELens, loaded by us: latents in raw units."""
    sae_lens = saelens()
    for name in OURS:
        sae = disturbed(name)
        sae_lens.SAE.load_from_disk(sae.save(tmp_path / name)).save_model(tmp_path / f"{name}-theirs")
        back = W.load(tmp_path / f"{name}-theirs")
        x = torch.randn(50, 6, generator=S.stream(1, "tests/x"))
        with torch.no_grad():
            assert_close(dense(back.encode(x)), dense(sae.encode(x)), atol=1e-5, rtol=0)
            assert_close(back(x), sae(x), atol=1e-5, rtol=0)
