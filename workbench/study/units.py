"""Units of work: what a result depends on, its name, its size; results as rows."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from workbench.settings import plain
from workbench.study.flags import HOW
from workbench.training.checkpoint import exact

Row = dict[str, Any]
"""columns of the table by name: "metric" and "value" at least; those left out are null"""


KINDS = {"_null": "null", "_ceiling": "ceiling"}
"""end of a score's name -> its kind"""
_APART = ("settings", "seeds", "stage")


@dataclass(frozen=True)
class Report:
    """What a unit at work is handed: called with samples done so far and a few words, it moves the bar."""

    show: Callable[[int, str], None]
    folder: Path
    """the run's"""

    def __call__(self, samples: int, words: str = "") -> None:
        """Tell how far the unit is."""
        self.show(samples, words)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A piece of work of a study. Its fields are what its result depends on; a study extends it by fields of its own.

    A run grows by units of the seeds that it lacks, so that a unit without seeds is done once.
    """

    settings: Any
    """the study's; those that only add units, and those that say how to run, are no part of what a result depends on"""
    seeds: tuple[int, ...] = ()
    stage: int = 0
    """how many units of its name, but of other settings, its run had before it"""

    @property
    def label(self) -> str:
        """Its name but for the seeds: the text of its other fields."""
        values = (getattr(self, field.name) for field in fields(self) if field.name not in _APART)
        return "/".join(setting_text(value) for value in values if value is not None)

    @property
    def id(self) -> str:
        """Its name, unique in a run; seeds from 0 on go without saying."""
        name = self.label + (f", stage {self.stage + 1}" if self.stage else "")
        if not self.seeds or self.seeds[0] == 0:
            return name
        first, last = self.seeds[0], self.seeds[-1]
        return f"{name}, seed {first}" if first == last else f"{name}, seeds {first}-{last}"

    @property
    def size(self) -> int:
        """Samples that it goes through; large units start first."""
        return 1

    @property
    def seed(self) -> int:
        """The only seed of a unit of one."""
        return self.seeds[0]

    @property
    def alone(self) -> bool:
        """Whether it is done last, with no other beside it, as what takes times."""
        return False

    @property
    def key(self) -> str:
        """Digest of what its result depends on, but for the seeds."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("seeds", "stage")}
        text = json.dumps([type(self).__name__, content(own | {"settings": _lasting(self.settings)})], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def digest(self) -> str:
        """Digest of all that its result depends on."""
        return hashlib.blake2b(f"{self.key}{list(self.seeds)}".encode(), digest_size=16).hexdigest()


def _lasting(settings: Any) -> dict[str, Any]:
    """Settings that a result depends on."""
    left_out = (*HOW, *settings.adds, "tune")  # what tuning chooses stands in the units themselves
    return {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in left_out}


def content(value: Any) -> Any:
    """A value as JSON that equals another's only if they do the same, wherever their classes and functions lie."""
    if isinstance(value, partial):
        return [content(value.func), content(value.args), content(value.keywords)]
    if isinstance(value, Unit):
        return value.digest
    if is_dataclass(value) and not isinstance(value, type):
        own = {field.name: content(getattr(value, field.name)) for field in fields(value) if field.init}
        return {"class": type(value).__qualname__} | own
    if isinstance(value, Mapping):
        return {str(name): content(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [content(entry) for entry in value]
    name = getattr(value, "__qualname__", None)
    return {"named": name} if name else exact(value)


def kind_of(name: str) -> Row:
    """Columns metric and kind of a score, whose name's end says its kind: "mcc_null" is chance of "mcc"."""
    end = next((end for end in KINDS if name.endswith(end)), "")
    return {"metric": name.removesuffix(end), "kind": KINDS.get(end, "score")}


def setting_text(value: Any) -> str:
    """A value as names and the column `setting` have it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return ",".join(map(setting_text, value)) if isinstance(value, list | tuple) else str(value)


def listed(values: Sequence[str]) -> str:
    """Values in words, the first and the last of many."""
    if len(values) <= 4:
        return " or ".join(filter(None, [", ".join(values[:-1]), values[-1]]))
    return f"{values[0]} to {values[-1]}"


def packed(rows: Iterable[Row]) -> dict[str, Any]:
    """Rows as a record keeps them: by column, those that never change once."""
    rows = [plain(row) for row in rows]
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    same = {name: values[0] for name, values in columns.items() if all(v == values[0] for v in values)}
    return {"rows": len(rows), "same": same, "each": {name: v for name, v in columns.items() if name not in same}}


def packing(work: Callable[[Any, Report], Iterable[Row]], unit: Any, report: Report) -> dict[str, Any]:
    """What is done with a unit, its rows as a record keeps them."""
    return packed(work(unit, report))


def unpacked(result: Mapping[str, Any]) -> list[Row]:
    """The rows of a record."""
    each = result["each"]
    return [result["same"] | {name: values[i] for name, values in each.items()} for i in range(result["rows"])]
