"""Run folders: each run has its own, one process writes it, and nothing outside it is ever written."""

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from synthetic.base import schema
from synthetic.base.annotations import converted
from synthetic.base.lock import LOCK, locked
from workbench.study import run as results
from workbench.study.run import Run, revived


class Noon(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 12, tzinfo=tz or UTC)


def test_runs_of_one_second_have_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "datetime", Noon)
    runs = [Run.start(tmp_path, "recovery", {"seeds": 5}) for _ in range(3)]
    names = [run.folder.name for run in runs]
    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]
    assert [run.config for run in runs] == [{"seeds": 5}] * 3


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_folder_appears_with_its_config_and_environment_or_not_at_all(tmp_path, monkeypatch, number):
    whole, calls = results.write_text, []

    def write_text(path, text):
        calls.append(path)
        if len(calls) > number:
            raise KeyboardInterrupt
        whole(path, text)

    monkeypatch.setattr(results, "write_text", write_text)
    with pytest.raises(KeyboardInterrupt):
        Run.start(tmp_path, "recovery", {})
    assert not list((tmp_path / "recovery").iterdir())


def elsewhere(folder, experiment):
    """What a process of its own that goes on with a run ends with."""
    child = os.fork()
    if child == 0:
        try:
            Run.open(folder, experiment)
        except ValueError as error:
            (folder.parent / "said").write_text(str(error))
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_one_process_writes_a_run(tmp_path):
    run = Run.start(tmp_path, "recovery", {})
    assert elsewhere(run.folder, "recovery") == 2
    said = (tmp_path / "recovery" / "said").read_text()
    assert "written by one process at a time" in said
    assert f'"doing": "running recovery", "process": {os.getpid()}' in said
    again = Run.open(run.folder, "recovery")  # this process may, and holds the folder while either lives
    folder = run.folder
    del run
    assert elsewhere(folder, "recovery") == 2
    del again
    assert elsewhere(folder, "recovery") == 0
    Run(folder).append({"id": "a"})
    assert elsewhere(folder, "recovery") == 0


def test_a_run_let_go_leaves_no_lock(tmp_path):
    run = Run.start(tmp_path, "recovery", {})
    assert (run.folder / LOCK).exists()
    folder = run.folder
    del run
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "env.json"]


def test_only_a_run_of_the_experiment_is_gone_on_with(tmp_path):
    with pytest.raises(ValueError, match=r"run folder must be one with a config\.json; got .*: choose the folder"):
        Run.open(tmp_path, "recovery")
    folder = Run.start(tmp_path / "copied", "recovery", {}).folder
    with pytest.raises(ValueError, match=r"run folder must be one of gpt2; got .*, one of 'recovery': choose the fol"):
        Run.open(folder, "gpt2")
    about = json.loads((folder / "env.json").read_text())
    del about["experiment"]  # as older runs lack it: then the folder above names it
    (folder / "env.json").write_text(json.dumps(about))
    assert Run.open(folder, "recovery").experiment == "recovery"
    with pytest.raises(ValueError, match="one of 'recovery'"):
        Run.open(folder, "gpt2")


def test_links_in_a_run_folder_are_not_followed(tmp_path):
    folder, other = Run.start(tmp_path / "runs", "recovery", {}).folder, tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("mine")
    (folder / "records.jsonl").symlink_to(other / "file")
    with pytest.raises(ValueError, match=r"records\.jsonl must be a file; got a link: put what it points at"):
        Run(folder).append({"id": "x"})
    with pytest.raises(ValueError, match=r"free of links; got .*records\.jsonl: put what it points at in its place"):
        Run.open(folder, "recovery")
    (folder / "records.jsonl").unlink()
    (folder / "figures").symlink_to(other)
    with pytest.raises(ValueError, match=r"free of links; got .*figures: put"):
        Run.open(folder, "recovery")
    (folder / "metrics.parquet").symlink_to(other / "file")
    Run(folder).write_table([{"a": 1}])
    assert not (folder / "metrics.parquet").is_symlink()
    assert (other / "file").read_text() == "mine"


def test_a_run_started_in_a_thread_that_ended_is_gone_on_with_in_any(tmp_path):
    runs = []
    starter = threading.Thread(target=lambda: runs.append(Run.start(tmp_path, "recovery", {})))
    starter.start()
    starter.join()
    with locked(runs[0].folder, "saving"):
        pass
    assert elsewhere(runs[0].folder, "recovery") == 2


def test_what_is_right_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.delattr(results, "shown")
    monkeypatch.delattr(schema, "shown")
    run = Run(tmp_path)
    run.append({"id": "a", "result": 1})
    assert len(list(run.records())) == 1


def test_lines_cut_off_are_skipped(tmp_path):
    run = Run(tmp_path)
    run.append({"id": "a", "result": "ä"})
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'\n{"id": "b\xc3')  # within a letter
    run.append({"id": "c", "result": 1})
    assert [record["id"] for record in run.records()] == ["a", "c"]


@pytest.mark.parametrize("line", [b"3", b"[" * 100_000, b"null", b'{"id": 4, "result": 1}', b'{"id": "a"}'])
def test_lines_that_are_no_records_are_refused(tmp_path, line):
    (tmp_path / "records.jsonl").write_bytes(b'\n{"id": "a", "result": 1}\n' + line)
    with pytest.raises(
        ValueError, match=r"records\.jsonl, line 3.* must be .*: take the line out, and its work is done"
    ):
        list(Run(tmp_path).records())


# --- settings of a run ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    lr: float | tuple[float, ...] = 0.1


@dataclass(frozen=True)
class Outer:
    m: int | None = None
    grid: tuple[tuple[int, float], ...] = ()
    out: Path = Path("runs")
    axis: tuple[Literal["noise", "samples"], ...] = ()
    train: Inner = field(default_factory=Inner)


def test_settings_come_back_from_json():
    stored = {"m": 3, "grid": [[1, 2.5], [2, 3]], "out": "a", "axis": ["noise"], "train": {"lr": [1e-3, 1]}}
    assert revived(Outer(), stored, "c") == Outer(3, ((1, 2.5), (2, 3)), Path("a"), ("noise",), Inner((1e-3, 1)))
    assert revived(Outer(m=5), {"train": {}}, "c") == Outer(m=5)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("m", 10**30, "a whole number or none"),
        ("m", True, "a whole number or none"),
        ("m", 1.0, "a whole number or none"),
        ("grid", [[1, 2.5], [2]], "a list of any number of a list of a whole number, a finite number"),
        ("out", 3, "a path"),
        ("axis", ["nois"], "a list of any number of one of"),
        ("axis", "noise", "a list of any number of one of"),
        ("train", [1], "a JSON object"),
    ],
)
def test_what_an_annotation_does_not_allow_is_refused_alike(name, value, rule):
    with pytest.raises(ValueError, match=f"c: {name} must be {rule}.*; got .*: start a new run"):
        revived(Outer(), {name: value}, "c")
    if name != "train":
        with pytest.raises(ValueError, match=f"{name} must be {rule}.*; got .*: give one"):
            converted(name, value, Outer.__annotations__[name])
