"""Run folders: config, environment, records that survive a crash, a tidy table at the end."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import torch

from synthetic.errors import must
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

    @property
    def config(self) -> dict[str, Any]:
        """What `start` was given."""
        return read(self.folder / "config.json", lambda p: json.loads(p.read_text()), "run folder")

    def append(self, record: dict[str, Any]) -> None:
        """Add one line to records.jsonl; a line is on disk whole or is ignored when read back."""
        with (self.folder / "records.jsonl").open("a") as file:
            file.write("\n" + json.dumps(record))

    def records(self) -> Iterator[dict[str, Any]]:
        """What was appended, in order; a last line cut off by a crash is skipped."""
        path = self.folder / "records.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

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


S = TypeVar("S")


def revived(now: S, stored: dict[str, Any], convert: Mapping[str, Callable[[Any], Any]] | None = None) -> S:
    """Settings a run was started with, from its config; only how to run it is taken from the command line, `now`.

    Args:
        now: a settings dataclass with all defaults.
        stored: the run's config.
        convert: field -> its value from JSON; lists become tuples without.

    Raises:
        ValueError: `now` sets something that a resumed run keeps.
    """
    free = {name for name in ("resume", "jobs", "dry_run", "out") if hasattr(now, name)}
    kept = {}
    for field in fields(now):  # type: ignore[arg-type]
        if field.name in free:
            continue
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        given, value = getattr(now, field.name), stored[field.name]
        flag = f"--{field.name.replace('_', '-')}"
        must(given == default, flag, "left alone with --resume", given, "a run keeps its settings; start a new one")
        plain = tuple(value) if isinstance(value, list) else value
        kept[field.name] = convert[field.name](value) if convert and field.name in convert else plain
    return replace(now, **kept)  # type: ignore[type-var]


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
