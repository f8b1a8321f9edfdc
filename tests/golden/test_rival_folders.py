"""Other libraries' SAEs: their latents and reconstructions come back, and training goes on from them."""

import json
import shutil

import pytest
import torch
from make_rival_golden import FOLDERS, NAMES
from make_saelens_golden import ARCHITECTURES
from make_saelens_golden import FOLDERS as SAELENS
from safetensors.torch import load_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench.interop.dictionary_learning import CLASSES
from workbench.interop.forms import FORMS, Place, form_of
from workbench.lm.activations import standardised

KEEPS_ROWS = ("dictionary_learning_auto_encoder_topk_any_rows", "dictionary_learning_batch_topk_any_rows")
"""latents are compared with one another, and rows are of unequal norms"""


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


def of(name):
    """An SAE, the rows it takes, and what it should give of them, x_hat brought back as its library does."""
    sae, expected = W.load(FOLDERS / name), load_file(FOLDERS / name / "expected.safetensors")
    x, x_hat = expected["x"], expected["x_hat"]
    if sae.metadata.get("normalize_activations") == "layer_norm":
        x, mean, spread = standardised(x)
        x_hat = (x_hat - mean) / (spread - 1e-5)
    return sae, x, expected["latents"], x_hat, expected["row_norms"]


@pytest.mark.parametrize("name", NAMES)
def test_their_latents_and_reconstructions_come_back(name):
    """A latent of ours is theirs times the norm of its row, its contribution along a row of norm 1."""
    sae, x, latents, x_hat, norms = of(name)
    assert not sae.training
    assert sae.decoder.unit == (name not in KEEPS_ROWS)
    with torch.no_grad():
        got = dense(sae.encode(x))
        assert_close(got, latents * (norms if sae.decoder.unit else 1.0), atol=1e-5, rtol=1e-5)
        assert_close(sae(x), x_hat, atol=1e-5, rtol=1e-5)
        assert_close(sae.W_dec.norm(dim=1), norms if name in KEEPS_ROWS else torch.ones(16))
    assert 0.05 < (got != 0).double().mean() < 0.7


def changed_by_a_step(sae, folder):
    x = 2 * torch.randn(20, sae.d, generator=S.stream(0, "tests/step"))
    with torch.no_grad():
        before = sae(x)
        W.train(sae, S.SparseMixture(n_true=8, d=sae.d), W.TrainConfig(steps=1, lr=1e-12, batch=16, evaluations=0))
        return float((sae(x) - before).norm() / before.norm())


@pytest.mark.parametrize("folder", [*(FOLDERS / name for name in NAMES), *(SAELENS / name for name in ARCHITECTURES)])
def test_a_step_of_size_0_leaves_what_was_loaded(folder):
    assert changed_by_a_step(W.load(folder), folder) < 1e-5


def test_every_class_of_dictionary_learning_and_every_form_has_a_folder():
    read = {
        json.loads((FOLDERS / name / "config.json").read_text())["trainer"]["dict_class"]
        for name in NAMES
        if "dictionary_learning" in name
    }
    assert read == set(CLASSES)
    forms = [form_of(Place(FOLDERS / name)) for name in NAMES] + [form_of(Place(SAELENS / "topk"))]
    assert {form.name for form in forms} == {form.name for form in FORMS}


@pytest.mark.parametrize("name", NAMES)
def test_what_was_read_is_saved_as_a_saelens_folder(tmp_path, name):
    sae, x, *_ = of(name)
    folder = sae.save(tmp_path / "sae")
    for taken in ((), ("workbench.json", "workbench.safetensors")):  # as our folder, then as SAELens's
        for file in taken:
            (folder / file).unlink(missing_ok=True)
        back = W.load(folder)
        assert {key: back.metadata.get(key) for key in sae.metadata} == sae.metadata
        with torch.no_grad():
            added = [
                dense(one.encode(x)) * one.W_dec.norm(dim=1) for one in (back, sae)
            ]  # SAELens has no such BatchTopK
            assert_close(*added, atol=1e-5, rtol=1e-5)
            assert_close(back(x), sae(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_save_into_their_folder_is_refused_and_ours_beside_their_files_is_read(tmp_path, name):
    folder = shutil.copytree(FOLDERS / name, tmp_path / "member-000")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = W.create("topk", 6, 12)
    for where in (folder, tmp_path):  # and where it would become a member of a stack
        with pytest.raises(ValueError, match=r"save\.folder must be without another library's SAE; got .*: choose an"):
            other.save(where)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert W.load(folder).m == 16
    shutil.copytree(other.save(tmp_path.with_name(f"{tmp_path.name}-ours")), folder, dirs_exist_ok=True)
    assert W.load(folder).m == 12  # as earlier versions saved it


METADATA = {
    "dictionary_learning_gated": ("EleutherAI/pythia-70m", "blocks.2.hook_resid_post"),
    "gemma-scope-2b-pt-res/layer_12": ("gemma-2-2b", "blocks.12.hook_resid_post"),
    "goodfire": ("meta-llama/Llama-3.1-8B-Instruct", "blocks.19.hook_resid_post"),
    "hook_z": ("gpt2-small", "blocks.5.attn.hook_z"),
    "llama_scope_topk": ("meta-llama/Llama-3.1-8B", "blocks.8.hook_resid_post"),
    "resid_post_mlp_v5_32k/autoencoders": ("gpt2-small", "blocks.6.hook_resid_post"),
    "mlp_post_act/autoencoders": ("gpt2-small", "blocks.0.mlp.hook_post"),
    "sparsify/layers.3.mlp": ("EleutherAI/pythia-70m", "blocks.3.hook_mlp_out"),
}


@pytest.mark.parametrize("name", METADATA)
def test_model_and_hook_point_are_kept_under_saelenss_names(name):
    about = W.load(FOLDERS / name).metadata
    assert (about["model_name"], about["hook_name"]) == METADATA[name]
    assert about.get("reshape_activations") == ("hook_z" if name == "hook_z" else None)
    assert about.get("normalize_activations") == ("layer_norm" if "v5" in name else None)


@pytest.mark.parametrize(
    "file",
    [
        "dictionary_learning_gated/ae.pt",
        "gemma-scope-2b-pt-res/layer_12/params.npz",
        "goodfire/Llama-3.1-8B-Instruct-SAE-l19.pth",
        "hook_z/gpt2-small_L5_Hcat_z.pt",
        "llama_scope_topk/checkpoints/final.safetensors",
        "resid_post_mlp_v5_32k/autoencoders/6.pt",
        "sparsify/layers.1/sae.safetensors",
    ],
)
def test_a_file_of_weights_stands_for_its_folder(file):
    path = FOLDERS / file
    folder = path.parent.parent if "checkpoints" in file else path.parent
    by_file, by_folder = W.load(path), W.load(str(folder))
    assert by_file.metadata == by_folder.metadata
    assert all(torch.equal(value, by_folder.state_dict()[key]) for key, value in by_file.state_dict().items())


def test_embedding_saes_of_gemma_scope_take_the_embedding_times_the_root_of_d(tmp_path):
    folder = tmp_path / "embedding" / "width_4k" / "average_l0_6"
    shutil.copytree(FOLDERS / "gemma-scope-2b-pt-res" / "layer_12", folder)
    expected = load_file(folder / "expected.safetensors")
    sae = W.load(folder)
    with torch.no_grad():
        shift = W.load(FOLDERS / "gemma-scope-2b-pt-res" / "layer_12").b_dec  # outputs: f W_dec sqrt(d) + b_dec
        assert_close(sae(8**0.5 * expected["x"]) - shift, 8**0.5 * (expected["x_hat"] - shift), atol=1e-5, rtol=1e-5)


def test_gemma_scope_2_keeps_the_same_tensors_as_safetensors(tmp_path):
    from safetensors.torch import save_file

    from workbench.interop.assembly import content_of

    before = W.load(FOLDERS / "gemma-scope-2b-pt-res" / "layer_12")
    content = content_of(FOLDERS / "gemma-scope-2b-pt-res" / "layer_12" / "params.npz")
    save_file({name.lower(): value for name, value in content.items()}, tmp_path / "params.safetensors")
    assert all(torch.equal(v, before.state_dict()[k]) for k, v in W.load(tmp_path).state_dict().items())
    save_file({"affine_skip_connection": torch.ones(1), **content}, tmp_path / "params.safetensors")
    with pytest.raises(ValueError, match="must be an SAE's; got a transcoder's: SAEs are read"):
        W.load(tmp_path)
