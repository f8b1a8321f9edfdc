"""Activations on disk: what was captured comes back; no stop, damage or other model can spoil it unnoticed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from itertools import chain, product, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file
from torch.testing import assert_close

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from lm import KINDS, language_model, random_model, texts, tokenizer  # noqa: E402
from test_faults import EVERY, Faults, Killed  # noqa: E402

from workbench.lm import store as store_module  # noqa: E402
from workbench.lm.hooks import HookPoint, capture  # noqa: E402
from workbench.lm.models import LanguageModel  # noqa: E402
from workbench.lm.packing import PAD, packed  # noqa: E402
from workbench.lm.store import StoreConfig, open_store, store_size, write_store  # noqa: E402
from workbench.lm.text import Document  # noqa: E402

CONFIG = StoreConfig(hooks=("resid_post.1", "hook_z.0"), tokens=97, context=6, shard=4, batch=3)
"""5 shards of 4 sequences of 6 tokens, in 2 passes each"""
LENGTHS = [14, 9] * 6


def write(folder, config=CONFIG, lm=None, **more):
    return write_store(folder, lm or language_model(), texts(*LENGTHS), config, **more)


def everything(store):
    return [dict(store.shard(i)) for i in range(store.shards)]


def same_bits(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].dtype == b[name].dtype
            assert torch.equal(a[name], b[name])


def files(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path(folder).iterdir()}


def edited(**config):
    """The usual model with one number of an embedding changed in memory, past autograd's eyes, or its settings."""
    lm = LanguageModel("tiny", random_model("gpt2"), tokenizer())
    if not config:
        lm.model.transformer.wte.weight.data[17, 5] += 1e-3
    lm.model.config.update(config)
    return lm


def with_a_word_more():
    more = tokenizer()
    more.add_tokens("w40")
    return more


@pytest.fixture
def passes(monkeypatch):
    """Shape of the tokens of each forward pass."""
    seen = []

    def counted(lm, ids, points):
        seen.append(tuple(ids.shape))
        return capture(lm, ids, points)

    monkeypatch.setattr(store_module, "capture", counted)
    return seen


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return everything(write(tmp_path_factory.mktemp("unbroken")))


def unfinished(folder):
    """The store as it is before its last shard is in place."""
    about = json.loads((folder / "store.json").read_text())
    for name in ("shards", "marks", "documents"):
        about.pop(name, None)
    (folder / "store.json").write_text(json.dumps(about))


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_was_captured(tmp_path, kind, dtype):
    lm = language_model(kind)
    store = write(tmp_path, replace(CONFIG, dtype=dtype, mix=False), lm)
    points = [HookPoint(0, "hook_z"), HookPoint(1, "resid_post")]
    assert store.shards == 5
    assert store.widths == {"hook_z.0": 24 if kind == "llama" else 16, "resid_post.1": 16}
    texts_again = packed(lm, texts(*LENGTHS), 6, mix=False, batch=4)
    for i, (own, expected) in enumerate(zip(store.sequences(), texts_again, strict=False)):
        assert torch.equal(own.ids, expected.ids)
        assert torch.equal(own.document, expected.document)
        assert own.ids.eq(PAD).any()
        one = capture(lm, own.ids.clamp_min(0), points)
        for point in points:
            kept = store.shard(i)[str(point)]
            assert kept.dtype == getattr(torch, dtype)
            assert_close(kept, one[point].to(kept.dtype), atol=1e-5 if dtype == "float32" else 1e-2, rtol=1e-2)
    same_bits(everything(open_store(tmp_path)), everything(store))


def test_one_pass_serves_every_hook_point(tmp_path, passes):
    """Points that are one place, by both kinds of name, twice over: kept once, each with its values."""
    names = ("resid_pre.1", "resid_post.0", "blocks.0.hook_resid_post", "mlp_out.2", "attn_out.0", "resid_pre.0")
    store = write(tmp_path, replace(CONFIG, hooks=names))
    assert passes == [(3, 6), (1, 6)] * 5
    assert set(store.widths) == {"resid_pre.1", "resid_post.0", "mlp_out.2", "attn_out.0", "resid_pre.0"}
    for i in range(5):
        own = store.shard(i)
        assert torch.equal(own["resid_pre.1"], own["resid_post.0"])
        assert not torch.equal(own["resid_pre.0"], own["resid_post.0"])


def test_names_and_passes_do_not_change_a_store(tmp_path, unbroken, passes):
    hooks = ("blocks.0.attn.hook_z", "blocks.1.hook_resid_post")
    store = write(tmp_path, replace(CONFIG, hooks=hooks, batch=100))
    assert passes == [(4, 6)] * 5
    for one, other in zip(everything(store), unbroken, strict=True):
        for name in other:
            assert_close(one[name], other[name])
    kept = files(tmp_path)
    write(tmp_path)
    assert files(tmp_path) == kept


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_its_size_is_known_beforehand(tmp_path, dtype):
    config = replace(CONFIG, dtype=dtype)
    write(tmp_path, config)
    sizes = [path.stat().st_size for path in tmp_path.glob("shard-*")]
    assert 0 < sum(sizes) - store_size(language_model(), config) < 600 * len(sizes)  # headers


def test_tokens_are_rounded_up_to_whole_shards():
    assert [replace(CONFIG, tokens=n).shards for n in (1, 24, 25, 96, 97)] == [1, 1, 2, 4, 5]


def test_a_store_ends_with_its_text(tmp_path, passes):
    """The last shard holds what is left."""
    seen = []
    count = sum(len(own) for own in packed(language_model(), texts(*LENGTHS), 6))
    assert count == 29
    config = replace(CONFIG, tokens=10_000)
    store = write(tmp_path, config, on_shard=lambda done, of: seen.append((done, of)))
    assert seen == [(i + 1, config.shards) for i in range(8)]
    assert [len(own) for own in store.sequences()] == [4] * 7 + [1]
    passes.clear()
    same_bits(everything(write(tmp_path, config)), everything(store))
    assert passes == []
    with pytest.raises(ValueError, match="texts must be at least one sequence of tokens; got none: give more text"):
        write_store(tmp_path / "none", language_model(), texts(3), CONFIG)
    assert not (tmp_path / "none").exists()
    for other in (texts(*LENGTHS, 1), texts(*LENGTHS[:-1])):
        with pytest.raises(ValueError, match=r"store\.text must be what it was begun with; got other documents for"):
            write_store(tmp_path, language_model(), other, config)


# --- stops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_stopped_store_goes_on_with_what_lacks(tmp_path, monkeypatch, passes, unbroken, after, error):
    from synthetic.base import storage

    whole, written = storage.save_file, []

    def failing(tensors, path, metadata):
        written.append(path)
        if len(written) > after:
            path.write_bytes(b"half a sha")
            raise error
        whole(tensors, path, metadata)

    monkeypatch.setattr(storage, "save_file", failing)
    with pytest.raises(error if isinstance(error, type) else OSError):
        write(tmp_path)
    monkeypatch.setattr(storage, "save_file", whole)
    before = files(tmp_path)
    assert sorted(before) == [*(f"shard-{i:05d}.safetensors" for i in range(after)), "store.json"]
    with pytest.raises(ValueError, match=r"store must be written to its end; got a part, in .*: run the same command"):
        open_store(tmp_path)
    passes.clear()
    seen = []
    store = write(tmp_path, on_shard=lambda done, of: seen.append((done, of)))
    assert passes == [(3, 6), (1, 6)] * (5 - after)
    assert seen == [(i + 1, 5) for i in range(5)]
    same_bits(everything(store), unbroken)
    assert {name: mark for name, mark in files(tmp_path).items() if name in before and name != "store.json"} == {
        name: mark for name, mark in before.items() if name != "store.json"
    }


KILLED = """
import sys, time
import torch
from lm import language_model, texts
from synthetic.base import storage
from workbench.lm.store import StoreConfig, write_store

torch.set_num_threads(1)
whole = storage.save_file

def slow(tensors, path, metadata):
    whole(tensors, path, metadata)
    if "shard-00002" in path.name:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        print("amid shard 2", flush=True)
        time.sleep(60)

storage.save_file = slow
write_store(sys.argv[1], language_model(), texts(*{lengths}), StoreConfig(**{config}))
"""


def test_a_kill_amid_writing_costs_one_shard(tmp_path, passes, unbroken):
    root = Path(__file__).parents[2]
    code = KILLED.format(lengths=LENGTHS, config=asdict(CONFIG))
    paths = os.pathsep.join([str(root), str(root / "tests")])
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}
    )
    with child:
        assert child.stdout.readline() == b"amid shard 2\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    lock, litter = sorted(name for name in files(tmp_path) if name.startswith("."))
    assert lock == ".lock"
    assert "shard-00002.safetensors" in files(tmp_path / litter)
    same_bits(everything(write(tmp_path)), unbroken)
    assert passes == [(3, 6), (1, 6)] * 3
    assert sorted(files(tmp_path)) == [*(f"shard-{i:05d}.safetensors" for i in range(5)), "store.json"]


def test_litter_of_a_kill_is_removed_and_nothing_else(tmp_path):
    write(tmp_path)
    unfinished(tmp_path)
    litter = (".shard-00001.safetensors.k2j3_4aa", ".store.json.a8s7_4aa", ".tmpAbC123")  # of earlier versions
    for name in (*litter, "notes.txt", ".hidden", "shard-00099.bak"):
        (tmp_path / name).write_text("x")
    write(tmp_path)
    shards = [f"shard-{i:05d}.safetensors" for i in range(5)]
    assert sorted(files(tmp_path)) == sorted([*shards, "store.json", "notes.txt", ".hidden", "shard-00099.bak"])


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def finished(tmp_path, passes):
    write(tmp_path)
    passes.clear()
    return tmp_path


def spoiled(path, how):
    content = path.read_bytes()
    middle = len(content) // 2
    new = {
        "empty": b"",
        "one byte": content[:1],
        "less than its header's length": content[:7],
        "no header": content[:8],
        "half a header": content[:100],
        "half": content[:middle],
        "without its last byte": content[:-1],
        "one byte more": content + b"\0",
        "another byte": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    }
    path.unlink()
    path.write_bytes(new[how])


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "one byte",
        "less than its header's length",
        "no header",
        "half a header",
        "half",
        "without its last byte",
        "one byte more",
        "another byte",
    ],
)
def test_a_damaged_shard_is_told_and_written_again(finished, passes, unbroken, how):
    """Told when it is read; an unfinished store writes it again by itself, a finished one once it is deleted."""
    path = finished / "shard-00003.safetensors"
    spoiled(path, how)
    store = open_store(finished)
    same_bits([store.shard(2)], [unbroken[2]])
    message = r"activation store must hold a readable shard-00003\.safetensors; got .*: save it again"
    if how == "another byte":
        message = r"shard-00003\.safetensors must be as it was written; got another checksum: delete it and write the"
    with pytest.raises(ValueError, match=message):
        dict(store.shard(3))
    path.unlink()
    same_bits(everything(write(finished)), unbroken)
    assert passes == [(3, 6), (1, 6)]
    passes.clear()
    spoiled(path, how)
    unfinished(finished)
    same_bits(everything(write(finished)), unbroken)
    assert passes == [(3, 6), (1, 6)]


def test_a_shard_that_is_gone_is_named(finished, passes, unbroken):
    for i in (1, 4):
        (finished / f"shard-{i:05d}.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"activation store must hold shard-00001\.safetensors; got no such file"
    ):
        everything(open_store(finished))
    same_bits(everything(write(finished)), unbroken)
    assert passes == [(3, 6), (1, 6)] * 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_changed_byte_goes_unnoticed(tmp_path, dtype):
    """Header and tensors: F32 made I32, and I32 made U32, are one byte each."""
    write(tmp_path, StoreConfig(hooks=("resid_pre.0",), tokens=2, context=2, shard=1, dtype=dtype))
    path = tmp_path / "shard-00000.safetensors"
    content, store = path.read_bytes(), open_store(tmp_path)
    for at in range(len(content)):
        for change in (0x0F, 0x1C):
            path.unlink()  # else the map of the last one would change, too
            path.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
            with pytest.raises(ValueError, match=r"shard-00000\.safetensors"):
                dict(store.shard(0))


@pytest.mark.parametrize("origin", ["another store", "other documents", "another place"])
def test_a_shard_of_another_store_is_refused(finished, tmp_path_factory, origin):
    source, name = finished, "shard-00000.safetensors"
    if origin != "another place":
        source, name, same = tmp_path_factory.mktemp("other"), "shard-00002.safetensors", origin == "other documents"
        write_store(source, language_model(), texts(*LENGTHS, seed=int(same)), CONFIG, text="" if same else "another")
    (finished / "shard-00002.safetensors").unlink()
    (finished / "shard-00002.safetensors").write_bytes((source / name).read_bytes())
    with pytest.raises(
        ValueError, match=r"shard-00002\.safetensors must be a shard of its store, in its place; got one"
    ):
        open_store(finished).shard(2)
    unfinished(finished)
    with pytest.raises(
        ValueError, match=r"store\.text must be what it was begun with; got .*00002\.safetensors of other"
    ):
        write(finished)


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"activation store must hold store\.json; got no such file in .*nowhere"
    ):
        open_store(tmp_path / "nowhere")
    (tmp_path / "store.json").write_text('{"settings": {"hoo')
    for call in (open_store, write):
        with pytest.raises(ValueError, match=r"store\.json must be readable JSON; got .*: write the store again"):
            call(tmp_path)


# --- other stores, too little room, values that do not fit -----------------------------------------------------------


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("hooks", {"config": replace(CONFIG, hooks=("resid_post.1",))}),
        ("tokens", {"config": replace(CONFIG, tokens=98)}),
        ("context", {"config": replace(CONFIG, context=7)}),
        ("mix", {"config": replace(CONFIG, mix=False)}),
        ("dtype", {"config": replace(CONFIG, dtype="float16")}),
        ("shard", {"config": replace(CONFIG, shard=5)}),
        ("text", {"text": "another"}),
        ("weights", {"lm": language_model("gpt2", 1)}),
        ("weights", {"lm": language_model("llama")}),
        ("weights", {"lm": edited()}),
        ("config.layer_norm_epsilon", {"lm": edited(layer_norm_epsilon=0.1)}),
        ("tokenizer", {"lm": LanguageModel("tiny", language_model().model, with_a_word_more())}),
    ],
)
def test_another_store_in_the_same_folder_is_refused(finished, passes, field, changed, done):
    if not done:
        unfinished(finished)
    before = files(finished)
    message = rf"store\.{re.escape(field)} must be what it was begun with, .*; got .*: choose another folder"
    with pytest.raises(ValueError, match=message):
        write(finished, **changed)
    assert files(finished) == before
    assert passes == []


def test_too_little_room_is_told_before_any_pass(tmp_path, monkeypatch, passes):
    need = store_size(language_model(), CONFIG)

    def room(free):
        monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    room(need - 1)
    with pytest.raises(ValueError, match=r"store\.folder must be on a disk with .* GB free; got .*; keep fewer tokens"):
        write(tmp_path)
    assert passes == []
    assert not files(tmp_path)
    room(need)
    write(tmp_path)
    for i in (1, 2):  # room for those two is enough
        (tmp_path / f"shard-{i:05d}.safetensors").unlink()
    room(need * 2 // 5 - 1)
    with pytest.raises(ValueError, match=r"store\.folder must be on a disk"):
        write(tmp_path)
    room(need * 2 // 5)
    assert write(tmp_path).shards == 5


def test_activations_that_do_not_fit_are_refused(tmp_path):
    """Some are above float16's 65,504; then one is NaN."""
    lm = LanguageModel("loud", random_model("gpt2"), tokenizer())
    lm.model.transformer.wte.weight[5] *= 1e6
    config = replace(CONFIG, hooks=("resid_pre.0",))
    message = r"activations at resid_pre\.0 must be finite in float16; got NaN or inf: keep them in bfloat16 or float32"
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "half", replace(config, dtype="float16"), lm)
    for dtype in ("bfloat16", "float32"):
        assert write(tmp_path / dtype, replace(config, dtype=dtype), lm).shard(0)["resid_pre.0"].isfinite().all()
    lm.model.transformer.wte.weight[6:, 3] = float("nan")
    with pytest.raises(ValueError, match=r"activations at resid_pre\.0 must be finite in float32; got NaN or inf"):
        write(tmp_path / "nan", config, LanguageModel("bad", lm.model, lm.tokenizer))
    assert not (tmp_path / "half").exists()
    assert not (tmp_path / "nan").exists()


def test_padding_may_hold_anything(tmp_path):
    """Places after a sequence's end are no activations: BOS stands there, whatever it gives."""
    lm = LanguageModel("x", random_model("gpt2"), tokenizer())
    lm.model.transformer.wpe.weight[5] = float("inf")
    lengths = texts(4, 3, 2, 4)
    config = StoreConfig(hooks=("resid_pre.0",), tokens=24, context=6, shard=4, mix=False)
    store = write_store(tmp_path, lm, lengths, config)
    used = store.shard(0)["ids"] != PAD
    assert used.sum() == 17
    assert store.shard(0)["resid_pre.0"][used].isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": 0}, r"StoreConfig\.tokens must be at least 1; got 0: raise it"),
        ({"shard": 0}, r"StoreConfig\.shard must be at least 1"),
        ({"batch": 0}, r"StoreConfig\.batch must be at least 1"),
        ({"shard": True}, r"StoreConfig\.shard must be a whole number; got True: round it"),
        ({"context": 1}, r"StoreConfig\.context must be at least 2; got 1: 128 is usual"),
        ({"hooks": ()}, r"StoreConfig\.hooks must be at least one hook point; got none"),
        ({"dtype": "float61"}, r"StoreConfig\.dtype must be one of .*; got 'float61': perhaps you meant 'float16'"),
    ],
)
def test_settings_check_themselves(settings, message):
    with pytest.raises(ValueError, match=message):
        StoreConfig(**settings)


def test_a_layer_that_the_model_lacks_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"hook point must be in a layer below 3; got resid_pre\.6"):
        write(tmp_path / "new", replace(CONFIG, hooks=("resid_pre.6",)))
    assert not (tmp_path / "new").exists()


def test_shards_are_mapped_and_read_once(finished):
    store = open_store(finished)
    first = store.shard(1)
    assert store.shard(1) is first
    assert_close(first, load_file(finished / "shard-00001.safetensors"))


def test_a_tensor_is_checked_when_it_is_asked_for(finished):
    """Tokens can be read, and the rest left, where activations are damaged."""
    path = finished / "shard-00001.safetensors"
    content = path.read_bytes()
    value = open_store(finished).shard(1)["resid_post.1"].contiguous().view(torch.uint8).numpy().tobytes()
    at = content.index(value)
    path.unlink()
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    store = open_store(finished)
    assert sum(len(own) for own in store.sequences()) > 0
    with pytest.raises(ValueError, match="got another checksum"):
        store.shard(1)["resid_post.1"]


def test_another_text_under_the_same_name_is_refused(finished):
    unfinished(finished)
    (finished / "shard-00004.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"store\.text must be what it was begun with; got .*shard-00000\.safetensors of"
    ):
        write_store(finished, language_model(), texts(*LENGTHS, seed=9), CONFIG)


def test_a_context_longer_than_the_models_is_refused_first(tmp_path):
    with pytest.raises(ValueError, match=r"StoreConfig\.context must be at most 64, the model's; got 65: lower it"):
        write(tmp_path / "store", replace(CONFIG, context=65))
    assert not (tmp_path / "store").exists()


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_finished_store_is_compared_with_its_documents_and_reads_no_more(finished, passes):
    own, read = texts(*LENGTHS), []

    def endless():
        for document in chain(own, repeat(own[0])):
            read.append(document)
            yield document

    before, count = files(finished), json.loads((finished / "store.json").read_text())["documents"]
    assert write_store(finished, language_model(), endless(), CONFIG) == open_store(finished)
    assert len(read) == count < len(own)
    renamed = [replace(document, name="x", label="y") for document in own]
    assert write_store(finished, language_model(), renamed, CONFIG).shards == 5
    others = [replace(own[0], text=own[0].text + " w2"), *own[1:]], [own[1], own[0], *own[2:]], own[: count - 1], []
    for other in others:
        with pytest.raises(
            ValueError, match=r"store\.text must be what it was begun with; got other documents for .*: ch"
        ):
            write_store(finished, language_model(), other, CONFIG)
    assert files(finished) == before
    assert passes == []


def test_a_lost_shard_is_not_replaced_by_one_of_other_documents(finished, passes):
    (finished / "shard-00000.safetensors").unlink()
    before = files(finished)
    with pytest.raises(ValueError, match=r"store\.text must be what it was begun with; got other documents"):
        write_store(finished, language_model(), texts(*LENGTHS, seed=1), CONFIG)
    assert files(finished) == before
    assert passes == []


def test_two_texts_under_one_name_have_two_identities(finished, tmp_path_factory):
    """What a checkpoint knows of the rows that it was trained on."""
    other = write_store(tmp_path_factory.mktemp("other"), language_model(), texts(*LENGTHS, seed=1), CONFIG)
    same = write(tmp_path_factory.mktemp("same"))
    assert same.mark == open_store(finished).mark != other.mark


def test_what_a_store_is_of_is_told_by_its_parts(finished):
    store = open_store(finished)
    assert store.differing(LanguageModel("elsewhere", random_model("gpt2"), tokenizer())) == []
    assert store.differing(edited()) == ["weights"]
    assert store.differing(edited(layer_norm_epsilon=0.1)) == ["config"]
    assert store.differing(LanguageModel("x", language_model().model, with_a_word_more())) == ["tokenizer"]


def as_earlier(folder):
    """The store as earlier versions wrote it: one mark for all shards, a hash of a few weights."""
    about = json.loads((folder / "store.json").read_text())
    for name in ("weights", "config", "tokenizer"):
        del about["settings"][name]
    del about["marks"], about["documents"]
    about["settings"]["model"] = "0123456789abcdef"
    for path in folder.glob("shard-*"):
        with safe_open(path, "pt") as stored:
            metadata = stored.metadata()
        content = load(path.read_bytes())
        path.unlink()
        save_file(content, path, metadata | {"mark": about["mark"]})
    (folder / "store.json").write_text(json.dumps(about))


def test_a_store_of_an_earlier_version_is_read_but_not_written(finished, unbroken):
    as_earlier(finished)
    same_bits(everything(open_store(finished)), unbroken)
    assert open_store(finished).differing(language_model()) == ["weights", "config", "tokenizer"]
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"store must be one that keeps hashes .*; got an older one in .*: open_store"
        ):
            write(finished)
        unfinished(finished)


def test_documents_are_not_shown_where_they_are_right(monkeypatch):
    monkeypatch.delattr(store_module, "shown")
    assert len(list(store_module._Documents(texts(*LENGTHS)))) == len(LENGTHS)


def test_what_is_no_text_or_folder_is_told_before_anything_is_written(tmp_path):
    for stranger in ("w2 w3", SimpleNamespace(text=None)):
        with pytest.raises(
            ValueError, match=r"texts must be Documents, each with a text; got .*: see workbench\.lm\.text"
        ):
            write_store(tmp_path / "new", language_model(), iter([stranger]), CONFIG)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"store\.folder must be a folder; got a file, .*file: choose another name"):
        write(tmp_path / "file")


def test_a_model_in_training_mode_is_refused(tmp_path):
    """Dropout would draw its activations."""
    lm = LanguageModel("x", random_model("gpt2").train(), tokenizer())
    with pytest.raises(ValueError, match=r"model must be in eval mode; got one in training mode: call its eval\(\)"):
        write(tmp_path / "store", lm=lm)
    assert not (tmp_path / "store").exists()


# --- writers ---------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_by_the_firsts_name(tmp_path, unbroken):
    said = []

    def attempt():
        try:
            write(tmp_path)
        except ValueError as error:
            said.append(str(error))

    def amid(done, of):
        second = threading.Thread(target=attempt)
        second.start()
        second.join()

    same_bits(everything(write(tmp_path, on_shard=amid)), unbroken)
    assert len(said) == 5
    assert "must be written by one process at a time; got" in said[0]
    assert f'"writes an activation store", "process": {os.getpid()}' in said[0]


def test_an_overflow_later_on_leaves_no_begun_store(tmp_path):
    """Its folder takes the same text in another dtype."""
    lm = LanguageModel("loud", random_model("gpt2"), tokenizer())
    lm.model.transformer.wte.weight[39] *= 1e6
    own = [Document("quiet", "w2 " * 40), Document("loud", "w39 " * 40)]
    config = replace(CONFIG, hooks=("resid_pre.0",), tokens=72, dtype="float16")
    for _ in range(2):
        with pytest.raises(
            ValueError, match="got NaN or inf: keep them in bfloat16 or float32; no begun store is left"
        ):
            write_store(tmp_path, lm, own, config)
        assert sorted(files(tmp_path)) == ["shard-00000.safetensors", "shard-00001.safetensors"]
    store = write_store(tmp_path, lm, own, replace(config, dtype="float32"))
    assert store.shards == 3
    assert all(value["resid_pre.0"].dtype == torch.float32 for value in everything(store))


def test_a_fault_at_any_operation_on_files_costs_nothing_but_its_shard(tmp_path):
    """By an error or a kill: the same command goes on, to the same bits, and clears what was left."""
    config = replace(CONFIG, hooks=("resid_pre.0",), tokens=25, batch=4)
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch)
        expected = everything(write(tmp_path / "whole", config))
        faults.run(lambda: write(tmp_path / "again", config))
        operations = faults.count
        for at, error in product(range(1, operations + 1), (OSError, Killed)):
            if at % 2 == (error is Killed) and not EVERY:
                continue
            folder = tmp_path / f"{at}-{error.__name__}"
            assert faults.run(lambda: write(folder, config), at, error)  # noqa: B023
            same_bits(everything(write(folder, config)), expected)
            assert sorted(files(folder)) == ["shard-00000.safetensors", "shard-00001.safetensors", "store.json"], at
    assert operations > 30


# --- strangers' files ------------------------------------------------------------------------------------------------

HOSTILE = {
    "shards": [10**18, -1, 0, 2.5, "5", True, [5], 10**30],
    "mark": [5, None, ["a"], ...],
    "name": [5, None, {}],
    "widths": [[], {}, 5, *({"resid_post.1": own, "hook_z.0": 16} for own in (1.5, -4, 2**70)), {"\x1b[31m": 16}],
    "settings": [[], None, {}, 5],
    "settings.context": [0, 1, 10**18, "6", 6.0, None, ...],
    "settings.text": [5, None],
    "settings.hooks": ["resid_post.1", [5], [], ["resid_post.01", "hook_z.0"]],
    "settings.dtype": ["float8", 5, []],
    "settings.shard": [0, 10**40],
    "marks": [[], ["a"] * 5, 5, [5] * 5, None, ...],
    "documents": [-1, "x", None, ..., 10**18],
}


def with_value(content, name, value):
    content = json.loads(content)
    *path, last = name.split(".")
    place = content["settings"] if path else content
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(content)


def test_a_strangers_store_ends_in_one_line(finished):
    path = finished / "store.json"
    before = path.read_text()
    bad = [with_value(before, name, value) for name, values in HOSTILE.items() for value in values]
    bad += ["[]", "null", "5", '"x"', "[" * 100_000, "{}", "1" * 5000, '{"settings":' * 5000, "NaN"]
    for text in bad:
        path.write_text(text)
        with pytest.raises(ValueError, match=r"must .*; got .*: .*\.$") as caught:
            open_store(finished).shard(0)
        assert "\n" not in str(caught.value), text
        assert len(str(caught.value)) < 500
    path.write_bytes(b"{}\xff")
    with pytest.raises(ValueError, match=r"store\.json must be UTF-8 text; got "):
        open_store(finished)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settings.context", 7),
        ("settings.shard", 3),
        ("settings.dtype", "float16"),
        ("widths", {"resid_post.1": 8, "hook_z.0": 16}),
        ("widths", {"resid_post.1": 2**40, "hook_z.0": 16}),
    ],
)
def test_sizes_of_shards_are_held_against_the_settings(finished, name, value):
    path = finished / "store.json"
    path.write_text(with_value(path.read_text(), name, value))
    with pytest.raises(
        ValueError, match=r"shard-00000\.safetensors must be of the sizes in store\.json; got .*: write the"
    ):
        open_store(finished).shard(0)
    with pytest.raises(ValueError, match=r"store\..* must be what it was begun with"):
        write(finished)
