"""Run folders: config, environment, records that survive a crash, a tidy table at the end."""

import dataclasses
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from weakref import WeakValueDictionary, finalize

import polars as pl
import torch

from synthetic.base.annotations import converted
from synthetic.base.errors import must
from synthetic.base.lock import locked
from synthetic.base.schema import OBJECT, TEXT, checked_fields, list_of, optional, read_json, shown
from synthetic.base.storage import placing, replacing, write_text

_VERSIONS = ("sae-workbench", "torch", "numpy", "scipy", "polars", "safetensors")


_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}(-\d+)?")
_ADVICE = "choose the folder of a run of this experiment"
_holds: WeakValueDictionary[tuple[int, str], "_Hold"] = WeakValueDictionary()
_holding = threading.Lock()


@dataclass(frozen=True)
class Run:
    """Folder `runs/<experiment>/<UTC>-<8 hex of config>/`.

    It holds config.json, env.json, records.jsonl, metrics.parquet and figures/, and grown.json where it has grown.
    `start` and `open` keep other processes from writing there for as long as the run they return is alive;
    `Run(folder)` reads, and keeps nobody out.
    """

    folder: Path
    _hold: "_Hold | None" = dataclasses.field(default=None, repr=False, compare=False)

    @classmethod
    def start(cls, root: Path, experiment: str, config: dict[str, Any]) -> "Run":
        """A new folder holding the config and the environment; both are there as soon as it is."""
        text = json.dumps(config, indent=1, sort_keys=True)
        code = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        about = {"experiment": experiment} | environment()
        name, number = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{code}", 1
        folder = root / experiment / name
        while True:
            try:
                with placing(folder) as place:
                    write_text(place / "config.json", text + "\n")
                    write_text(place / "env.json", json.dumps(about, indent=1) + "\n")
                return cls(folder, _hold_of(folder, f"running {experiment}"))
            except FileExistsError:  # a run of the same second
                number += 1
                folder = folder.with_name(f"{name}-{number}")

    @classmethod
    def open(cls, folder: Path, experiment: str) -> "Run":
        """A run to go on with, which nobody else is writing.

        Raises:
            ValueError: it is no run, or another experiment's; another process writes there; or a file in it is a link.
        """
        must((folder / "config.json").is_file(), "run folder", "one with a config.json", folder, _ADVICE)
        other = cls(folder).experiment
        same = other in (experiment, "")
        must(same, "run folder", f"one of {experiment}", f"{folder}, one of {shown(other)}", _ADVICE)
        hold = _hold_of(folder, f"running {experiment}")
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(place, name)  # what a run writes would land where a stranger's link points
                must(not path.is_symlink(), "run folder", "free of links", path, "put what it points at in its place")
        return cls(folder, hold)

    @property
    def experiment(self) -> str:
        """Name of the experiment it was started by; empty where an older run lies elsewhere than it was made."""
        path = self.folder / "env.json"
        about = read_json(path, "run folder", {"experiment": optional(TEXT)}, _ADVICE) if path.exists() else {}
        here = Path(os.path.realpath(self.folder))
        return about.get("experiment") or (here.parent.name if _NAME.fullmatch(here.name) else "")

    @property
    def config(self) -> dict[str, Any]:
        """What `start` was given."""
        return read_json(self.folder / "config.json", "run folder", {}, _ADVICE)

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The configs before it grew, first to last."""
        path = self.folder / "grown.json"
        fields = {"stages": list_of(OBJECT)}
        return read_json(path, "run folder", fields, _ADVICE)["stages"] if path.exists() else []

    def grow(self, config: dict[str, Any]) -> None:
        """Take a config in place of the present one, which joins the stages."""
        write_text(self.folder / "grown.json", json.dumps({"stages": [*self.stages, self.config]}, indent=1) + "\n")
        write_text(self.folder / "config.json", json.dumps(config, indent=1, sort_keys=True) + "\n")

    def append(self, record: dict[str, Any]) -> None:
        """Add one line to records.jsonl; a line is on disk whole or is ignored when read back."""
        path, only = self.folder / "records.jsonl", getattr(os, "O_NOFOLLOW", 0)
        must(not path.is_symlink(), str(path), "a file", "a link", "put what it points at in its place")
        with open(path, "ab", opener=lambda name, flags: os.open(name, flags | only, 0o666)) as file:
            file.write(f"\n{json.dumps(record)}".encode())

    def records(self) -> Iterator[dict[str, Any]]:
        """What was appended, in order; a line cut off by a crash is skipped.

        Raises:
            ValueError: a whole line that no run appends.
        """
        path = self.folder / "records.jsonl"
        for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
            try:
                record: Any = json.loads(line)
            except RecursionError:
                record = "brackets nested too deep to read"
            except ValueError:  # cut off, even within a letter
                continue
            advice = "take the line out, and its work is done again"
            checked_fields(record, where := f"{path}, line {number}", {"id": TEXT}, advice)
            if "result" not in record:
                must(False, where, "a record with its result", shown(record), advice)
            yield record

    def once(self, id: str, make: Callable[[], Any]) -> Any:
        """A result among the records, made and recorded where it is not there yet. Results are JSON values."""
        for record in self.records():
            if record.get("id") == id:
                return record["result"]
        result = make()
        self.append({"id": id, "result": result})
        return result

    @contextmanager
    def read_as_its_own(self) -> Iterator[None]:
        """Within the block the records are made a table of; those that no rows can be made of are refused.

        Raises:
            ValueError: a result among the records is not of this experiment.
        """
        try:
            yield
        except (LookupError, TypeError, AttributeError, ValueError, pl.exceptions.PolarsError) as error:
            got = f"{type(error).__name__}: {error}"
            advice = "start a new run, or take out the lines that were changed"
            raise ValueError(f"{self.folder}: records.jsonl must hold its results; got {got}: {advice}.") from error

    def write_table(self, rows: list[dict[str, Any]] | pl.DataFrame) -> pl.DataFrame:
        """Write metrics.parquet, one row a number."""
        frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, infer_schema_length=None)
        with replacing(self.folder / "metrics.parquet") as temporary:
            frame.write_parquet(temporary)
        return frame

    def table(self) -> pl.DataFrame:
        """What metrics.parquet holds.

        Raises:
            ValueError: there is none, or it is none of polars'.
        """
        path = self.folder / "metrics.parquet"
        must(path.is_file(), "run folder", "one with a metrics.parquet", self.folder, "go on with --resume first")
        try:
            return pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            got = f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} must be a table; got {got}: make it again with --resume.") from error


class _Hold:
    """Keeps a folder locked while somebody refers to it, and to the end of the process at most."""

    def __init__(self, folder: Path, doing: str) -> None:
        with ExitStack() as lock:
            lock.enter_context(locked(folder, doing, shared=True))
            self.release = finalize(self, lock.pop_all().close)


def _hold_of(folder: Path, doing: str) -> _Hold:
    """This process's hold on a folder; one serves all its runs there."""
    key = os.getpid(), os.path.realpath(folder)
    with _holding:
        hold = _holds.get(key) or _Hold(folder, doing)
        _holds[key] = hold
    return hold


S = TypeVar("S")
_START_ANEW = "start a new run, or mend the file"


def revived(default: S, stored: Any, where: str) -> S:
    """Settings from a run's config, each held against its annotation; one that is missing there is the default's.

    Args:
        default: a dataclass.
        stored: its fields as JSON has them.
        where: the file they stand in, for errors.

    Raises:
        ValueError: a setting that the dataclass does not have, of another kind, or out of range.
    """
    hints = get_type_hints(type(default))
    for name in checked_fields(stored, where, {}, _START_ANEW):
        rule, advice = f"settings of {type(default).__name__}", "resume it with the experiment that made it"
        must(name in hints, where, rule, shown(name), advice)
    own = {
        name: revived(getattr(default, name), value, f"{where}: {name}")
        if is_dataclass(hints[name])
        else converted(f"{where}: {name}", value, hints[name], _START_ANEW)
        for name, value in stored.items()
    }
    try:
        return replace(default, **own)  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def world_of_run(sae: Path) -> Path | None:
    """Folder of the world that an SAE in a run's folder `saes` was trained on; None outside of a run."""
    worlds = sae.parent.parent / "worlds"
    fitting = [w for w in worlds.glob("*") if sae.name.startswith(f"{w.name}-")] if worlds.is_dir() else []
    settings = sae.parent.parent / "config.json"
    if fitting and settings.exists():
        over = read_json(settings, "run", {}, "restore it").get("over")
        rule = "given for an SAE of a run whose seeds drew worlds of their own, of which it keeps the first"
        must(over != "worlds", "--world", rule, "none", "save that seed's world and name its folder")
    return max(fitting, key=lambda w: len(w.name)) if fitting else None


def environment() -> dict[str, Any]:
    """Versions, commit, device and threads of this process."""
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": versions,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def _git(*arguments: str) -> str:
    try:
        here = Path(__file__).parent
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
