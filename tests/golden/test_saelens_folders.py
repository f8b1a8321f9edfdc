"""SAELens folders: theirs read by us give their latents; ours read by them give our reconstructions."""

import json
import shutil

import pytest
import torch
from make_saelens_golden import ARCHITECTURES, FOLDERS
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.world import Codes

VARIANT = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "gated": "gated", "batchtopk": "jumprelu"}


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


# --- theirs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_folder_of_saelens_gives_its_latents(name):
    expected = load_file(FOLDERS / name / "expected.safetensors")
    sae = W.load(FOLDERS / name)
    assert sae.name == VARIANT[name.split("_")[0]]
    assert not sae.training
    with torch.no_grad():
        latents = dense(sae.encode(expected["x"]))
        assert_close(latents, expected["latents"], atol=1e-5, rtol=0)
        assert_close(sae(expected["x"]), expected["x_hat"], atol=1e-5, rtol=0)
    active = (latents != 0).double().mean().item()
    assert 0.05 < active < 0.7  # the example exercises the gate


def test_the_rescaled_example_needs_its_rescaling(tmp_path):
    """Rows are not unit, so ignoring `rescale_acts_by_decoder_norm` would select other latents."""
    folder = shutil.copytree(FOLDERS / "topk_rescaled", tmp_path / "sae")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | {"rescale_acts_by_decoder_norm": False}))
    expected = load_file(folder / "expected.safetensors")
    fires = dense(W.load(folder).encode(expected["x"])) != 0
    assert (fires != (expected["latents"] != 0)).double().mean() > 0.02


def test_a_negative_threshold_passes_no_negative_latents(tmp_path):
    """SAELens rectifies before its gate, so there a threshold below 0 acts as 0."""
    folder = shutil.copytree(FOLDERS / "jumprelu", tmp_path / "sae")
    weights = load_file(folder / "sae_weights.safetensors")
    weights["threshold"][:] = -0.5
    save_file(weights, folder / "sae_weights.safetensors")
    x = load_file(folder / "expected.safetensors")["x"]
    pre = (x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    assert_close(dense(W.load(folder).encode(x)).detach(), pre.relu())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architecture": "jumpreLU"},
            r"cfg\.json\.architecture must be one of .*; got 'jumpreLU': perhaps you meant 'jumprelu'",
        ),
        ({"architecture": "temporal"}, r"got 'temporal': choose one of these"),
        (
            {"normalize_activations": "layer_norm"},
            r"normalize_activations must be 'none'; got layer_norm: fold it into the",
        ),
        ({"d_sae": 11}, r"W_dec must be of shape \(11, 6\); got \(10, 6\): the folder's cfg\.json and weights"),
    ],
)
def test_folders_that_cannot_be_read_say_why(tmp_path, change, message):
    folder = shutil.copytree(FOLDERS / "jumprelu", tmp_path / "sae")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=message):
        W.load(folder)


# --- ours, read by the installed SAELens -----------------------------------------------------------------------------

OURS = {
    "relu": {},
    "topk": {"k": 3},
    "batch_topk": {"k": 3.0},
    "matryoshka": {"k": 3.0, "prefixes": (0.25, 0.5, 1.0)},
    "jumprelu": {"start": 0.4},
    "gated": {},
}


def disturbed(name, **settings):
    """An SAE in units 1.7 times those of x, with biases and thresholds everywhere."""
    sae = W.create(name, 6, 20, **OURS[name], **settings)
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


def compare(sae, at, folder):
    sae_lens = pytest.importorskip("sae_lens", reason="compares with SAELens itself: pip install sae-lens")
    theirs = sae_lens.SAE.load_from_disk(folder)
    assert theirs.cfg.architecture() == sae.architecture
    x = torch.randn(50, 6, generator=S.stream(1, "tests/x"))
    with torch.no_grad():
        latents, expected = theirs.encode(x), dense(sae.encode(x))[at]
        assert_close(latents, expected, atol=1e-5, rtol=0)
        assert_close(theirs.decode(latents), sae(x)[at], atol=1e-5, rtol=0)
        assert 0.05 < (expected != 0).double().mean().item() < 0.8


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
    sae_lens = pytest.importorskip("sae_lens", reason="compares with SAELens itself: pip install sae-lens")
    for name in OURS:
        sae = disturbed(name)
        sae_lens.SAE.load_from_disk(sae.save(tmp_path / name)).save_model(tmp_path / f"{name}-theirs")
        back = W.load(tmp_path / f"{name}-theirs")
        x = torch.randn(50, 6, generator=S.stream(1, "tests/x"))
        with torch.no_grad():
            assert_close(dense(back.encode(x)), dense(sae.encode(x)), atol=1e-5, rtol=0)
            assert_close(back(x), sae(x), atol=1e-5, rtol=0)
