"""Files come back as they were written or not at all; flipped bits, litter, links, modes, readers beside writers."""

import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import synthetic as S
import workbench as W
from synthetic.base import lock, storage
from synthetic.base.lock import in_use, locked
from synthetic.base.storage import clear_litter, replacing, settled, together, write_tensors, write_text

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
        for turn in range(16):
            place = turn * (len(whole) - 1) // 15
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


@pytest.mark.parametrize("name", ["SAE", "stack", "world"])
def test_a_folder_whose_texts_end_lines_as_windows_does_is_read(tmp_path, name):
    save, load, _ = SAVED[name]
    save(tmp_path)
    for path in tmp_path.rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    load(tmp_path)


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
    with pytest.raises(ValueError, match=r"member-000 must be a folder; got a link: move it away"):
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


def one(folder):
    return W.create("topk", 4, 8, k=2).save(folder)


@pytest.mark.parametrize(
    ("taken", "kind", "save"),
    [
        ("cfg.json", "a folder", one),
        ("stack.json", "a folder", one),
        ("member-000", "a file", SAVED["stack"][0]),
        ("member-001/workbench.json", "a folder", SAVED["stack"][0]),
        ("world.json", "a folder", SAVED["world"][0]),
    ],
)
def test_what_is_in_the_way_is_refused_before_anything_is_written(tmp_path, taken, kind, save):
    path = tmp_path / "new" / taken
    path.parent.mkdir(parents=True)
    path.mkdir() if kind == "a folder" else path.write_text("mine")
    with pytest.raises(ValueError, match=rf"{taken} must be (a file|a folder); got {kind}: move it away, or choose"):
        save(tmp_path / "new")
    assert [found for found in (tmp_path / "new").rglob("*") if found not in (path, path.parent)] == []
    path.rmdir() if kind == "a folder" else path.unlink()
    save(tmp_path / "new")


def test_what_is_in_the_way_of_a_stopped_save_is_named_until_it_is_gone(tmp_path):
    whole = one(tmp_path / "whole")
    (tmp_path / "sae").mkdir()
    whole.rename(tmp_path / "sae" / ".ready")
    (tmp_path / "sae" / "cfg.json").mkdir()
    for act in (W.load, one):
        with pytest.raises(ValueError, match=r"cfg\.json must be a file; got a folder: move it away, or choose"):
            act(tmp_path / "sae")
    (tmp_path / "sae" / "cfg.json").rmdir()
    W.load(tmp_path / "sae")


def test_a_stopped_save_of_the_parent_is_finished_only_for_a_folder_that_it_writes_or_removes(tmp_path):
    for name, seeds in (("old", [0, 1, 2]), ("new", [3, 4])):
        W.create("topk", 4, 8, k=2, seed=seeds).save(tmp_path / name)
    stack, beside = tmp_path / "old", tmp_path / "old" / "beside"
    shutil.move(tmp_path / "new", stack / ".ready")
    gone = [f"member-002/{path.name}" for path in (stack / "member-002").iterdir()]
    (stack / ".ready" / ".gone.json").write_text(json.dumps(gone))
    W.create("topk", 4, 8, k=2, seed=9).save(beside)
    assert W.load(beside).seed == 9
    assert (stack / ".ready").is_dir()  # none of a reader's business
    shutil.copytree(stack, tmp_path / "copy")
    with pytest.raises(ValueError, match="existing folder"):
        W.load(stack / "member-002")
    assert W.load(tmp_path / "copy" / "member-001").seed == 4
    assert not (tmp_path / "copy" / ".ready").exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_stopped_save_on_a_disk_that_cannot_be_written_says_what_to_do(tmp_path, monkeypatch, number):
    def refuses(folder, doing):
        raise OSError(number, os.strerror(number), str(folder))

    (tmp_path / ".ready").mkdir()
    monkeypatch.setattr(storage, "locked", refuses)
    with pytest.raises(
        ValueError, match=r"put in order after a stopped save; got .*: let somebody who may write there"
    ):
        storage.finish(tmp_path)


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


def in_a_thread(act):
    """What a thread of its own ends with: a value, or the text of its ValueError."""
    ended = []

    def body():
        try:
            ended.append(act())
        except ValueError as error:
            ended.append(str(error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return ended[0]


def enters(folder):
    with locked(folder, "testing"):
        return "in"


def test_a_dead_owners_lock_costs_no_patience_and_a_held_one_counts(tmp_path):
    folder = one(tmp_path / "sae")
    (folder / ".lock").write_text("{}")
    (folder / "cfg.json").write_text("{")
    since = time.monotonic()
    with pytest.raises(ValueError, match=r"cfg\.json must be readable JSON"):
        W.load(folder)
    assert time.monotonic() - since < 1
    assert not in_use(folder)
    with locked(folder, "testing"):
        assert not in_use(folder)
        assert in_a_thread(lambda: in_use(folder)) is True


def test_a_thread_that_has_ended_lends_its_hold_to_no_later_one(tmp_path):
    with ExitStack() as hold:
        in_a_thread(lambda: hold.enter_context(locked(tmp_path, "testing")))
        for _ in range(20):  # one of them has its number
            assert "written by one process at a time" in in_a_thread(lambda: enters(tmp_path))
    assert enters(tmp_path) == "in"


def test_a_shared_hold_lets_the_threads_of_its_process_in_one_at_a_time(tmp_path):
    with ExitStack() as hold:
        in_a_thread(lambda: hold.enter_context(locked(tmp_path, "testing", shared=True)))
        for _ in range(2):
            with locked(tmp_path, "testing"):
                assert enters(tmp_path) == "in"
                assert not in_use(tmp_path)
                assert "written by one process at a time" in in_a_thread(lambda: enters(tmp_path))
                assert in_a_thread(lambda: in_use(tmp_path)) is True
        assert in_a_thread(lambda: enters(tmp_path)) == "in"
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_system_without_locks_saves_with_no_open_file_removed_nor_one_flushed_that_is_read(tmp_path, monkeypatch):
    """As Windows has it: both are errors there."""
    unlink, fsync = os.unlink, os.fsync

    def removes(path, **more):
        handles = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
        assert more or os.path.realpath(path) not in map(os.path.realpath, handles)
        unlink(path, **more)

    def flushes(handle):
        assert stat.S_ISDIR(os.fstat(handle).st_mode) or fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_RDWR
        fsync(handle)

    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(os, "unlink", removes)
    monkeypatch.setattr(os, "fsync", flushes)
    for _ in range(2):
        W.load(one(tmp_path / "sae"))
    assert hidden(tmp_path / "sae") == []


def test_a_parent_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), together(tmp_path / "a" / "b", "testing"):
        1 / 0  # noqa: B018
    assert list(Path(tmp_path).iterdir()) == []
