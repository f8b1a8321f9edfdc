"""Which form a folder is of, names on the hub, and folders that a stranger spoiled."""

import json
import pickle
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench.interop.forms import holds_sae

GOLDEN = Path(__file__).parents[1] / "golden"
RIVALS, SAELENS = GOLDEN / "rival_folders", GOLDEN / "saelens_folders"
CONFIG, OURS, WEIGHTS, STACK = "cfg.json", "workbench.json", "sae_weights.safetensors", "stack.json"


def ours(folder, **settings):
    return W.create("topk", 6, 12, **settings).save(folder)


# --- which form it is ------------------------------------------------------------------------------------------------


def test_a_folder_of_no_form_is_listed_beside_the_forms(tmp_path):
    for name in ("model.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    message = (
        r"which holds \['model\.safetensors', 'notes\.txt'\]: forms are dictionary_learning \(ae\.pt, config\.json\)"
    )
    with pytest.raises(ValueError, match=message):
        W.load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="which holds nothing: forms are"):
        W.load(tmp_path / "empty")


def test_a_torch_file_of_no_form_shows_its_tensors(tmp_path):
    torch.save({"fc1.weight": torch.zeros(2, 2)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"\['model\.pt'\] of \['fc1\.weight'\]: forms are .*OpenAI's TopK \(\*\.pt\)"):
        W.load(tmp_path)


def test_a_folder_of_folders_names_them(tmp_path):
    run = shutil.copytree(RIVALS / "sparsify", tmp_path / "run")
    (run / "logs").mkdir()
    with pytest.raises(ValueError, match=r"name one of its folders, \['layers\.1', 'layers\.3\.mlp'\]\."):
        W.load(run)


def test_several_torch_files_are_to_be_named(tmp_path):
    for number in range(2):
        shutil.copy(RIVALS / "mlp_post_act" / "autoencoders" / "0.pt", tmp_path / f"{number}.pt")
    with pytest.raises(ValueError, match=r"name one of its files, \['0\.pt', '1\.pt'\]\."):
        W.load(tmp_path)
    assert W.load(tmp_path / "1.pt").name == "relu"


@pytest.mark.parametrize("name", ["mlp_post_act/autoencoders/0.pt", "dictionary_learning_gated"])
def test_what_was_read_is_scored(name):
    assert 0 <= W.evaluate(W.load(RIVALS / name), S.SparseMixture(n_true=8, d=8), n=200)["mcc"] <= 1


def test_layer_norm_of_saelens_is_the_sources(tmp_path):
    folder = shutil.copytree(SAELENS / "topk", tmp_path / "sae")
    config = json.loads((folder / CONFIG).read_text()) | {"normalize_activations": "layer_norm"}
    (folder / CONFIG).write_text(json.dumps(config))
    sae = W.load(folder)
    assert sae.metadata["normalize_activations"] == "layer_norm"
    assert_close(sae.W_dec, W.load(SAELENS / "topk").W_dec)


# --- row norms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "jumprelu", "gated", "topk", "batch_topk"])
@pytest.mark.parametrize("shrunk", ["alike", "each"])
def test_a_stack_of_short_rows_is_folded_where_that_changes_nothing(tmp_path, name, shrunk):
    own = {"threshold_rate": 0.0} if name == "batch_topk" else {}  # else its threshold follows the batch
    sae = W.create(name, 6, 12, seed=[0, 1], **own).eval()
    sae.fresh = False
    with torch.no_grad():
        if name == "batch_topk":
            sae.tensor("threshold").fill_(0.3)
        sae.W_dec.mul_(0.2 if shrunk == "alike" else torch.linspace(0.2, 0.9, 12)[:, None])
    x = torch.randn(30, 6, generator=S.stream(0, "tests/rows"))
    back = W.load(sae.save(tmp_path / "sae"))
    assert back.decoder.unit == (shrunk == "alike" or name not in ("topk", "batch_topk"))
    with torch.no_grad():
        before = sae(x)
        assert_close(back(x), before, atol=1e-6, rtol=1e-5)
        assert before.std() > 0.1
        assert_close(back.W_dec.norm(dim=-1) if back.decoder.unit else torch.ones(2, 12), torch.ones(2, 12))
        W.train(back, S.SparseMixture(n_true=8, d=6), W.TrainConfig(steps=1, lr=1e-12, batch=8, evaluations=0))
        assert_close(back(x), before, atol=1e-5, rtol=1e-5)


# --- the hub ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A client whose repository `owner/saes` is the golden folders; it counts what it copies."""
    client = SimpleNamespace(asked=[], fetched=[], offline=False, level="warning", bars=True)

    def listed(repository, revision=None):
        client.asked.append((repository, revision))
        assert (client.level, client.bars) == ("error", False)
        return [path.relative_to(RIVALS).as_posix() for path in RIVALS.rglob("*") if path.is_file()] + ["README.md"]

    def snapshot(repository, revision=None, allow_patterns=None, local_files_only=False):
        if repository != "owner/saes" or (client.offline and not (local_files_only and client.fetched)):
            raise RuntimeError("no network")
        for name in allow_patterns or ():
            (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(RIVALS / name, tmp_path / "cache" / name)
            client.fetched.append(name)
        return str(tmp_path / "cache")

    def known(repository, revision=None, timeout=None):
        assert (client.level, client.bars, timeout) == ("error", False, 10)
        if client.offline or repository != "owner/saes":
            raise RuntimeError("no such repository,\nor no network")

    client.model_info, client.list_repo_files, client.snapshot_download = known, listed, snapshot
    utils = SimpleNamespace(
        logging=SimpleNamespace(
            get_verbosity=lambda: client.level,
            set_verbosity=lambda level: setattr(client, "level", level),
            set_verbosity_error=lambda: setattr(client, "level", "error"),
        ),
        are_progress_bars_disabled=lambda: not client.bars,
        disable_progress_bars=lambda: setattr(client, "bars", False),
        enable_progress_bars=lambda: setattr(client, "bars", True),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.setitem(sys.modules, "huggingface_hub.utils", utils)
    return client


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("dictionary_learning_gated", ["ae.pt", "config.json"]),
        ("sparsify/layers.1", ["cfg.json", "sae.safetensors"]),
        ("llama_scope_topk", ["checkpoints/final.safetensors", "hyperparams.json"]),
        ("hook_z", ["gpt2-small_L5_Hcat_z.pt", "gpt2-small_L5_Hcat_z_cfg.json"]),
        ("goodfire/Llama-3.1-8B-Instruct-SAE-l19.pth", [""]),
        ("hook_z/gpt2-small_L5_Hcat_z.pt", ["", "../gpt2-small_L5_Hcat_z_cfg.json"]),
    ],
)
def test_no_more_than_is_read_comes_from_the_hub(hub, name, files):
    sae = W.load(f"hub:owner/saes/{name}@v1.0")
    assert hub.asked == [("owner/saes", "v1.0")]
    assert sorted(hub.fetched) == sorted(
        (RIVALS / name / file).resolve().relative_to(RIVALS).as_posix() for file in files
    )
    assert_close(sae.W_dec, W.load(RIVALS / name).W_dec)


def test_what_was_fetched_is_read_without_a_network(hub):
    W.load("hub:owner/saes/goodfire")
    hub.offline = True
    assert W.load("hub:owner/saes/goodfire").d == 8
    with pytest.raises(OSError, match="must be reachable; got RuntimeError, no such"):
        W.load("hub:owner/saes/hook_z")


def test_names_that_the_hub_cannot_serve_are_explained(hub, monkeypatch):
    with pytest.raises(ValueError, match=r"must hold an SAE at sparsify; got none: name one of its folders, \['layers"):
        W.load("hub:owner/saes/sparsify")
    with pytest.raises(
        ValueError, match=r"must be a repository with the folder or file named; got 'none': name one of"
    ):
        W.load("hub:owner/saes/none")
    with pytest.raises(ValueError, match=r"must be hub:owner/repository\[/folder\]\[@revision\]; got 'hub:owner'"):
        W.load("hub:owner")
    message = (
        r"^hub:owner/other must be reachable; got RuntimeError, no such repository,: check the name and the network"
    )
    with pytest.raises(OSError, match=message):
        W.load("hub:owner/other")
    assert ("owner/other", None) not in hub.asked  # which asks again and again
    assert (hub.level, hub.bars) == ("warning", True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ValueError, match="huggingface_hub is not installed; got a hub: name: pip install huggingface_hub"
    ):
        W.load("hub:owner/saes")


@pytest.mark.parametrize("name", ["l.json", "README.md", "config.json", "cfg.json"])
def test_a_file_that_is_named_is_one_of_the_form(tmp_path, name):
    W.create("topk", 4, 8, k=1).save(tmp_path)
    path = tmp_path / name
    path.touch()
    if name == "cfg.json":
        assert holds_sae(path)
        assert W.load(path).m == 8
        return
    assert not holds_sae(path)
    with pytest.raises(ValueError, match=rf"load\.folder must be an SAE .*; got .*{name}, in a folder that holds \['"):
        W.load(path)


def test_a_torch_file_lends_its_form_to_no_other(tmp_path):
    shutil.copytree(RIVALS / "goodfire", tmp_path / "goodfire")
    (tmp_path / "goodfire" / "l.json").touch()
    assert holds_sae(tmp_path / "goodfire")
    assert not holds_sae(tmp_path / "goodfire" / "l.json")
    with pytest.raises(ValueError, match="must be an SAE in a form that is read"):
        W.load(tmp_path / "goodfire" / "l.json")


def test_no_name_is_no_folder(tmp_path, monkeypatch):
    W.create("topk", 4, 8, k=1).save(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert W.load(".").m == 8
    with pytest.raises(ValueError, match="must be the name of a folder; got an empty one"):
        W.load("")


def test_a_bare_repository_says_how_to_name_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="check the path, or write hub:jbloom/GPT2-Small-SAEs for the repository"):
        W.load("jbloom/GPT2-Small-SAEs")


# --- spoiled folders -------------------------------------------------------------------------------------------------

WRONG = (None, True, -1, 10**400, [[1, [2]]])
JSON = {  # file -> what makes a folder that holds it
    CONFIG: lambda folder: (ours(folder), (folder / OURS).unlink()),
    OURS: ours,
    STACK: lambda folder: ours(folder, seed=[0, 1]),
    "config.json": lambda folder: shutil.copytree(RIVALS / "dictionary_learning_matryoshka", folder),
    "hyperparams.json": lambda folder: shutil.copytree(RIVALS / "llama_scope_jumprelu", folder),
    "gpt2-small_L5_Hcat_z_cfg.json": lambda folder: shutil.copytree(RIVALS / "hook_z", folder),
    "activation_scaler.json": lambda folder: shutil.copytree(SAELENS / "topk_training_scaled", folder),
}


def refused(folder):
    """The error of a folder that must not be read: one line."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        W.load(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    assert re.search(r"must (be|hold)", said)
    return said


@pytest.mark.parametrize("file", JSON)
def test_json_of_another_kind_is_refused_in_one_line(tmp_path, file):
    JSON[file](tmp_path / "sae")
    path = tmp_path / "sae" / file
    for text in (b"[]", b"null", b"5", b'"x"', b"[" * 100_000, b"\xff\xfe{}", b"{", b'{"d": ' + b"9" * 5000 + b"}"):
        path.write_bytes(text)
        refused(tmp_path / "sae")


def ends_in_a_line(folder):
    """Whether a folder is refused, which has to be in one line; else it is read."""
    try:
        W.load(folder)
    except (ValueError, FileNotFoundError) as error:
        return "\n" not in str(error)
    return False


@pytest.mark.parametrize("file", JSON)
def test_every_field_of_another_kind_is_refused_or_means_nothing(tmp_path, file):
    """Whatever a value is replaced by, loading ends in an SAE or in one line."""
    JSON[file](tmp_path / "sae")
    path, count = tmp_path / "sae" / file, 0
    whole = json.loads(path.read_text())
    tables = [whole, *(value for value in whole.values() if isinstance(value, dict))]
    for table in tables:
        for name in list(table):
            before = table[name]
            for value in WRONG:
                table[name] = value
                path.write_text(json.dumps(whole))
                count += ends_in_a_line(tmp_path / "sae")
            table[name] = before
    assert count > 3


@pytest.mark.parametrize(
    ("file", "change"),
    [
        (CONFIG, {"d_sae": 10**9}),
        (CONFIG, {"d_in": 10**12}),
        (CONFIG, {"d_sae": None}),
        (CONFIG, {"k": 10**30}),
        (CONFIG, {"k": 2.5}),
        (OURS, {"m": 10**12}),
        (OURS, {"d": 10**7}),
        (OURS, {"scale": 1e-300}),
        (OURS, {"scale": 1e300}),
        (OURS, {"settings": {"k": [4, 4]}}),
        (OURS, {"settings": {"k": "4"}}),
        (STACK, {"members": 10**9}),
        (STACK, {"shape": [10**9]}),
        (STACK, {"shape": [2, 1]}),
        (STACK, {"seed": [0, 1, 2]}),
        (STACK, {"settings": {"k": [3, 4]}}),
        ("config.json", {"trainer": {"dict_class": "CrossCoder"}}),
        ("config.json", {"trainer": {"dict_class": "MatryoshkaBatchTopKSAE", "dict_size": 10**9}}),
        ("config.json", {"trainer": {"dict_class": "MatryoshkaBatchTopKSAE", "k": 4}}),
        ("hyperparams.json", {"act_fn": "batchtopk"}),
        ("hyperparams.json", {"norm_activation": "token-wise"}),
        ("hyperparams.json", {"hook_point_out": "blocks.8.hook_mlp_out"}),
        ("hyperparams.json", {"dataset_average_activation_norm": {"in": 0.0}}),
    ],
)
def test_values_that_do_not_go_together_are_refused(tmp_path, file, change):
    JSON[file](tmp_path / "sae")
    path = tmp_path / "sae" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(tmp_path / "sae")


def test_a_setting_makes_nothing_that_the_weights_do_not_hold(tmp_path):
    folder = W.create("structured", 6, 12, rank=2).save(tmp_path / "sae")
    about = json.loads((folder / OURS).read_text())
    about["settings"]["rank"] = 10**13
    (folder / OURS).write_text(json.dumps(about))
    assert "of at most 1024 numbers a tensor; got (6, 10000000000000)" in refused(folder)


SPOILED = {
    "missing": lambda t: t.pop("b_dec"),
    "beyond": lambda t: t.update(b_extra=torch.zeros(12)),
    "other shape": lambda t: t.update(b_enc=torch.zeros(13)),
    "no axes": lambda t: t.update(W_dec=torch.zeros(())),
    "whole numbers": lambda t: t.update(b_enc=torch.zeros(12, dtype=torch.int64)),
    "NaN": lambda t: t["W_enc"].__setitem__((0, 0), float("nan")),
    "infinite": lambda t: t["W_dec"].__setitem__((0, 0), float("inf")),
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("spoil", SPOILED)
def test_spoiled_tensors_are_refused_in_one_line(tmp_path, spoil, known):
    folder = ours(tmp_path / "sae")
    tensors = load_file(folder / WEIGHTS)
    SPOILED[spoil](tensors)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / WEIGHTS)
    if not known:
        (folder / OURS).unlink()
    assert WEIGHTS in refused(folder)


@pytest.mark.parametrize("name", ["sparsify/layers.1", "dictionary_learning_gated", "hook_z", "goodfire"])
def test_truncated_files_of_others_are_refused_in_one_line(tmp_path, name):
    folder = shutil.copytree(RIVALS / name, tmp_path / "sae")
    for file in [path for path in folder.iterdir() if path.name != "expected.safetensors"]:
        content = file.read_bytes()
        for kept in (0, 7, len(content) // 2, len(content) - 3):
            file.write_bytes(content[:kept])
            refused(folder)
        file.write_bytes(content)
    assert W.load(folder).d == 8


class Runs:
    def __reduce__(self):
        return (print, ("a stranger's code ran",))


def test_a_torch_file_that_would_run_code_is_refused(tmp_path, capsys):
    folder = shutil.copytree(RIVALS / "dictionary_learning_gated", tmp_path / "sae")
    state = torch.load(folder / "ae.pt", weights_only=True)
    for content in (state | {"bias": Runs()}, [state], state | {3: torch.zeros(1)}):
        torch.save(content, folder / "ae.pt")
        refused(folder)
    (folder / "ae.pt").write_bytes(pickle.dumps(Runs(), protocol=2))
    refused(folder)
    assert "ran" not in capsys.readouterr().out


def test_a_tensor_that_says_more_than_is_stored_is_refused(tmp_path):
    folder = shutil.copytree(RIVALS / "dictionary_learning_gated", tmp_path / "sae")
    state = torch.load(folder / "ae.pt", weights_only=True)
    torch.save(state | {"encoder.weight": torch.zeros(1).expand(10**6, 10**6)}, folder / "ae.pt")
    assert "a dense tensor, stored whole" in refused(folder)


def test_arrays_that_unpack_to_far_more_than_they_take_are_refused(tmp_path):
    kept = dict(np.load(RIVALS / "gemma-scope-2b-pt-res" / "layer_12" / "params.npz"))
    np.savez_compressed(tmp_path / "params.npz", **kept, zeros=np.zeros(10**7, np.float32))
    assert "at most 64 times its size unpacked" in refused(tmp_path)
    (tmp_path / "params.npz").write_bytes(b"PK\x03\x04 no archive")
    refused(tmp_path)
    np.savez(tmp_path / "params.npz", W_enc=np.array([{}], dtype=object))
    refused(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transcode": True}, "transcode must be false; got True: SAEs are read"),
        ({"skip_connection": True}, "skip_connection must be false; got True: SAEs are read"),
        ({"activation": "groupmax"}, "activation must be topk; got groupmax: no variant of ours"),
        ({"expansion_factor": 10**9}, "num_latents must be 16, that of the weights"),
        ({"k": 17}, r"topk\.k must be in \[1, m=16\]"),
    ],
)
def test_what_sparsify_has_beyond_topk_saes_is_refused(tmp_path, change, message):
    folder = shutil.copytree(RIVALS / "sparsify" / "layers.1", tmp_path / "sae")
    (folder / CONFIG).write_text(json.dumps(json.loads((folder / CONFIG).read_text()) | change))
    with pytest.raises(ValueError, match=message):
        W.load(folder)


def test_activations_of_openais_that_no_variant_has_are_refused(tmp_path):
    state = torch.load(RIVALS / "resid_post_mlp_v5_32k" / "autoencoders" / "6.pt", weights_only=True)
    torch.save(state | {"activation": "Identity"}, tmp_path / "6.pt")
    with pytest.raises(ValueError, match="activation must be one of"):
        W.load(tmp_path)
    torch.save(state | {"activation_state_dict": {"k": 3, "postact_fn": "Identity"}}, tmp_path / "6.pt")
    with pytest.raises(ValueError, match="postact_fn must be ReLU; got Identity"):
        W.load(tmp_path)


def test_members_of_a_stack_belong_together(tmp_path):
    folder = ours(tmp_path / "stack", seed=[0, 1])
    shutil.rmtree(folder / "member-001")
    W.create("relu", 6, 12).save(folder / "member-001")
    assert "member-001 must be of the variant, widths and scale of member-000; got relu" in refused(folder)


def test_a_save_that_was_stopped_is_finished_by_reading(tmp_path):
    folder = ours(tmp_path / "sae")
    files = [path for path in folder.iterdir() if path.is_file()]
    (folder / ".ready").mkdir()
    for path in files:
        path.rename(folder / ".ready" / path.name)
    assert W.load(folder).name == "topk"
