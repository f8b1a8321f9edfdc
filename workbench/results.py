"""Run folders: config, environment, records that survive a crash, a tidy table at the end."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import polars as pl
import torch

from synthetic.errors import must
from synthetic.schema import NUMBER, SWITCH, TEXT, Kind, checked_fields, shown
from synthetic.storage import read, replacing, write_text

_VERSIONS = ("sae-workbench", "torch", "numpy", "scipy", "polars", "safetensors")


@dataclass(frozen=True)
class Run:
    """Folder `runs/<experiment>/<UTC>-<8 hex of config>/`.

    It holds config.json, env.json, records.jsonl, metrics.parquet and figures/.
    """

    folder: Path

    @classmethod
    def start(cls, root: Path, experiment: str, config: dict[str, Any]) -> "Run":
        """A new folder holding the config and the environment."""
        text = json.dumps(config, indent=1, sort_keys=True)
        code = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        folder = root / experiment / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{code}"
        folder.mkdir(parents=True)
        write_text(folder / "config.json", text + "\n")
        write_text(folder / "env.json", json.dumps(environment(), indent=1) + "\n")
        return cls(folder)

    @classmethod
    def open(cls, folder: Path, experiment: str) -> "Run":  # TEMPORARY
        must(folder.is_dir(), "--resume", "a run folder", folder, "check the path")
        return cls(folder)

    @property
    def config(self) -> dict[str, Any]:
        """What `start` was given."""
        return read(self.folder / "config.json", lambda p: json.loads(p.read_text()), "run folder")

    def append(self, record: dict[str, Any]) -> None:
        """Add one line to records.jsonl; a line is on disk whole or is ignored when read back."""
        with (self.folder / "records.jsonl").open("a") as file:
            file.write("\n" + json.dumps(record))

    def records(self) -> Iterator[dict[str, Any]]:
        """What was appended, in order; a line cut off by a crash is skipped.

        Raises:
            ValueError: a whole line that no run appends.
        """
        path = self.folder / "records.jsonl"
        lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            where, advice = f"{path}, line {number}", "take the line out, and its work is done again"
            try:
                record = json.loads(line)
            except RecursionError:
                must(False, where, "JSON of a moderate depth", "brackets nested too deep to read", advice)
            except ValueError:
                continue
            yield checked_fields(record, where, {"id": TEXT, "result": _ANYTHING}, advice)

    def once(self, id: str, make: Callable[[], Any]) -> Any:
        """A result among the records, made and recorded where it is not there yet. Results are JSON values."""
        for record in self.records():
            if record.get("id") == id:
                return record["result"]
        result = make()
        self.append({"id": id, "result": result})
        return result

    def write_table(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Write metrics.parquet, one row a number."""
        frame = pl.DataFrame(rows, infer_schema_length=None)
        with replacing(self.folder / "metrics.parquet") as temporary:
            frame.write_parquet(temporary)
        return frame


_ANYTHING = Kind("there", lambda v: True)
S = TypeVar("S")
_START_ANEW = "start a new run, or mend the file"
_PLAIN = {
    int: Kind("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    float: NUMBER,
    str: TEXT,
    Path: TEXT,
    bool: SWITCH,
    NoneType: Kind("null", lambda v: v is None),
}


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
        must(
            name in hints, where, f"settings of {type(default).__name__}", shown(name), "name the run's own experiment"
        )
    own = {
        name: _of_kind(hints[name], value, getattr(default, name), f"{where}: {name}") for name, value in stored.items()
    }
    try:
        return replace(default, **own)  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _of_kind(hint: Any, value: Any, default: Any, where: str) -> Any:
    """A value of JSON as its annotation has it: lists as tuples, paths as such, dataclasses from objects."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for each in inner:
            with suppress(ValueError):
                return _of_kind(each, value, default, where)
    elif is_dataclass(hint):
        return revived(default, value, where)
    elif origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        must(len(kinds) == len(value), where, f"a list of {len(kinds)}", shown(value), _START_ANEW)
        return tuple(_of_kind(kind, each, None, where) for kind, each in zip(kinds, value, strict=True))
    elif origin is Literal:
        must(value in inner, where, f"one of {inner}", shown(value), _START_ANEW)
        return value
    elif hint in _PLAIN:
        must(_PLAIN[hint].holds(value), where, _PLAIN[hint].rule, shown(value), _START_ANEW)
        return Path(value) if hint is Path else value
    kind = str(hint).replace("typing.", "")
    raise ValueError(f"{where} must be of the kind {kind}; got {shown(value)}: {_START_ANEW}.")


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
