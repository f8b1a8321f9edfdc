"""Files come back as they were written or not at all; flipped bits, litter, links, modes, readers beside writers."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import synthetic as S
import workbench as W
from synthetic import storage
from synthetic.storage import clear_litter, replacing, settled, together, write_tensors, write_text

WORLD = S.SparseMixture(n_true=6, d=4)
SHORT = W.TrainConfig(steps=2, batch=8)


def resumed(folder):
    sae = W.create("topk", 4, 8, k=2)
    return W.train(sae, WORLD, SHORT, checkpoint=folder / "checkpoint.safetensors", resume=True)


SAVED = {
    "SAE": (lambda folder: W.create("p_annealing", 4, 8).save(folder), W.load, 4),
    "stack": (lambda folder: W.create("topk", 4, 8, k=2, seed=[0, 1]).save(folder), W.load, 7),
    "world": (lambda folder: S.save_world(WORLD, folder), S.load_world, 2),
    "checkpoint": (resumed, resumed, 1),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_flipped_bit_is_refused_by_the_files_name(tmp_path, name):
    save, load, count = SAVED[name]
    save(tmp_path)
    load(tmp_path)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(files) == count
    for path in files:
        whole = path.read_bytes()
        for turn in range(40):
            place = turn * (len(whole) - 1) // 39
            changed = bytearray(whole)
            changed[place] ^= 1 << turn % 8
            path.write_bytes(changed)
            with pytest.raises((ValueError, OSError)) as refused:
                load(tmp_path)
            said = str(refused.value)
            assert path.name in said or path.parent.name in said, said
            assert "\n" not in said
        path.write_bytes(whole)
    load(tmp_path)


def test_an_edited_configuration_is_refused_and_says_how_to_go_on(tmp_path):
    folder = W.create("topk", 4, 8, k=2).save(tmp_path / "sae")
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | {"k": 3}))
    with pytest.raises(ValueError, match=r"cfg\.json must be as it was saved; .*without workbench\.json the rest is r"):
        W.load(folder)
    (folder / "workbench.json").unlink()
    assert W.load(folder).settings["k"] == 3


def test_a_member_of_another_stack_is_refused(tmp_path):
    for name, seed in (("one", [0, 1]), ("two", [2, 3])):
        W.create("topk", 4, 8, k=2, seed=seed).save(tmp_path / name)
    shutil.rmtree(tmp_path / "one" / "member-001")
    shutil.copytree(tmp_path / "two" / "member-001", tmp_path / "one" / "member-001")
    W.load(tmp_path / "one" / "member-001")
    with pytest.raises(ValueError, match=r"member-001.* must be as it was saved with its stack; got another member"):
        W.load(tmp_path / "one")


def test_folders_without_checksums_are_read(tmp_path):
    folder = S.save_world(WORLD, tmp_path / "world")
    tensors, about = storage.read_tensors(folder / "world.safetensors")
    save_file(tensors, folder / "world.safetensors", {"settings": about["settings"]})
    assert S.load_world(folder) == WORLD
    sae = W.create("topk", 4, 8, k=2, seed=[0, 1])
    for path in sae.save(tmp_path / "sae").rglob("*.json"):
        text = json.loads(path.read_text())
        for name in {"files", "ties", "checksum", "format"} & text.keys():
            del text[name]
        path.write_text(json.dumps(text | ({"format": 1} if path.name == "workbench.json" else {})))
    assert torch.equal(W.load(tmp_path / "sae").W_dec, sae.W_dec)


# --- litter ----------------------------------------------------------------------------------------------------------


def amid_a_write(path, body):
    """The folder a write of another process is in, while `body` runs; then that process is killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with replacing(path) as temporary:
            temporary.write_text("half")
            os.write(write, b"x")
            signal.pause()
    os.read(read, 1)
    try:
        body()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_the_next_write_clears_what_a_killed_one_left_and_not_what_a_live_one_writes(tmp_path):
    def beside():
        write_text(tmp_path / "other", "whole")
        assert len(hidden(tmp_path)) == 1

    amid_a_write(tmp_path / "file", beside)
    assert len(hidden(tmp_path)) == 1
    write_text(tmp_path / "other", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]
    amid_a_write(tmp_path / "file", lambda: None)
    clear_litter(tmp_path)
    assert hidden(tmp_path) == []


def test_litter_of_earlier_versions_is_cleared_under_the_lock_and_nothing_else(tmp_path):
    for name in (".tmpAbC123", ".world.json.k2j3x_4y"):
        (tmp_path / name).write_text("half")
    for name in (".tmp", ".config.template", ".tmpfiles.d", "notes.tmpAbC123"):
        (tmp_path / name).write_text("the user's")
    S.save_world(WORLD, tmp_path)
    left = {".tmp", ".config.template", ".tmpfiles.d", "notes.tmpAbC123", "world.json", "world.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == left


# --- modes and links -------------------------------------------------------------------------------------------------


@pytest.fixture
def group_writes():
    before = os.umask(0o002)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_modes_follow_the_umask_and_a_replaced_file_keeps_its_own(tmp_path, group_writes):
    write_text(tmp_path / "text", "a")
    write_tensors(tmp_path / "tensors", {"a": torch.zeros(2)})
    folder = W.create("topk", 4, 8, k=2, seed=[0]).save(tmp_path / "sae")
    assert {mode(path) for path in tmp_path.rglob("*") if path.is_file()} == {0o664}
    assert mode(folder) == mode(folder / "member-000") == 0o775
    (tmp_path / "text").chmod(0o600)
    write_text(tmp_path / "text", "b")
    assert mode(tmp_path / "text") == 0o600


def test_a_link_is_replaced_and_never_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()
    (tmp_path / "sae").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sae" / "member-000").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"must be of files inside its folder; got member-000/cfg\.json"):
        W.create("topk", 4, 8, k=2, seed=[0]).save(tmp_path / "sae")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("gone", ['["../mine"]', '["/etc/x"]', "3", "[" * 100_000])
def test_what_a_stranger_left_to_finish_touches_nothing_outside(tmp_path, gone):
    (tmp_path / "mine").write_text("mine")
    ready = tmp_path / "world" / ".ready"
    ready.mkdir(parents=True)
    (ready / ".gone.json").write_text(gone)
    with pytest.raises(ValueError, match="delete it: the folder is a stranger's, or was changed by hand"):
        S.load_world(tmp_path / "world")
    assert (tmp_path / "mine").exists()


# --- beside a writer -------------------------------------------------------------------------------------------------


def test_a_reader_beside_a_writer_reads_one_object(tmp_path):
    """Two files that must agree, replaced again and again by another thread."""

    def write(number):
        with together(tmp_path, "testing") as place:
            for name in ("a", "b"):
                (place / name).write_text(str(number))

    def read():
        a, b = ((tmp_path / name).read_text() for name in ("a", "b"))
        if a != b:
            raise ValueError(a, b)
        return a

    write(0)
    ended = threading.Event()

    def keep_writing():
        try:
            for number in range(1, 40):
                write(number)
                time.sleep(0.002)
        finally:
            ended.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen = set()
    while not ended.is_set():
        seen.add(settled(tmp_path, read))
    writer.join()
    assert settled(tmp_path, read) == "39"
    assert len(seen) > 2


def test_the_lock_of_a_save_names_its_owner(tmp_path):
    with together(tmp_path / "sae", "saving an SAE") as place:
        (place / "a").write_text("a")
        said: list[str] = []

        def other():
            try:
                W.create("topk", 4, 8, k=2).save(tmp_path / "sae")
            except ValueError as error:
                said.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "written by one process at a time; got" in said[0]
    assert f'"doing": "saving an SAE", "process": {os.getpid()}' in said[0]
    assert (tmp_path / "sae" / "a").exists()


def test_a_parent_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), together(tmp_path / "a" / "b", "testing"):
        1 / 0  # noqa: B018
    assert list(Path(tmp_path).iterdir()) == []
