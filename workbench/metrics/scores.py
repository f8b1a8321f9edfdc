"""What an evaluation returns: scores by name, labelled by member, printed with the few that matter first."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import polars as pl

FIRST = ("mcc", "recall@.9", "f1", "fvu", "l0", "dead", "consistency")
"""printed before all others"""
SHOWN = 12
"""printed in all"""
COLUMNS: dict[str, Any] = {
    "member": pl.Int64,
    "setting": pl.String,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "chance": pl.Float64,
    "ceiling": pl.Float64,
}


class Scores(dict[str, Any]):
    """Metric -> a float, or an array of the stack's shape; names ending in `_null` are chance levels.

    `settings` holds seed and settings of the members, by name: arrays of the stack's shape where they differ.
    `scores["k"]` finds them too, where no score has that name, but they are no part of keys and items.
    """

    def __init__(self, values: Mapping[str, Any], settings: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        super().__init__(values)
        self.settings, self.shape = dict(settings), shape

    def __missing__(self, name: str) -> Any:
        return self.settings[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.settings

    def get(self, name: str, default: Any = None) -> Any:
        """As `scores[name]`, or a default."""
        return self[name] if name in self else default  # noqa: SIM401 (which would ask this very method)

    def copy(self) -> "Scores":
        """Another one of the same values."""
        return Scores(dict(self), self.settings, self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return Scores, (dict(self), self.settings, self.shape)

    @property
    def metrics(self) -> list[str]:
        """Names without chance levels and their spread, those that matter first."""
        names = [name for name in self if not name.endswith(("_null", "_null_sd"))]
        return [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]

    def frame(self, ceiling: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """One row a member and metric: member, setting, seed, metric, value, chance, ceiling.

        Args:
            ceiling: scores of the true dictionary, as `workbench.ceiling` returns them.
        """
        parts, about = [], labels(self.settings, self.shape)
        for name in self.metrics:
            levels = {"value": self[name], "chance": self.get(f"{name}_null"), "ceiling": (ceiling or {}).get(name)}
            columns = {what: self._flat(value) for what, value in levels.items()}
            for i, label in enumerate(about):
                parts.append(label | {"metric": name} | {what: value[i] for what, value in columns.items()})
        return pl.DataFrame(parts, schema=COLUMNS)

    def _flat(self, value: Any) -> list[float | None]:
        if value is None:
            return [None] * int(np.prod(self.shape))
        return [float(v) for v in np.broadcast_to(np.asarray(value, dtype=float), self.shape).ravel()]

    def _lines(self) -> list[tuple[str, str, str]]:
        """Metric, value and chance as words; of a stack the median, and the least and largest."""
        lines = []
        for name in self.metrics[:SHOWN]:
            chance = f"{name}_null"
            lines.append((name, _words(self[name]), _words(self[chance]) if dict.__contains__(self, chance) else ""))
        return lines

    def _head(self) -> str:
        stack = f", medians [least, largest] of {int(np.prod(self.shape))} members" if self.shape else ""
        return f"Scores of {len(self.metrics)} metrics{stack}"

    def _rest(self) -> str:
        left = len(self.metrics) - SHOWN
        return f"and {left} more: .frame()" if left > 0 else ""

    def __repr__(self) -> str:
        lines = [("", "value", "chance"), *self._lines()]
        widths = [max(len(line[i]) for line in lines) for i in range(2)]
        rows = [f"  {a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in lines]
        return "\n".join([self._head(), *rows, *([f"  {self._rest()}"] if self._rest() else [])])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(a)}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in self._lines())
        head = "<tr><th></th><th>value</th><th>chance</th></tr>"
        return f"<p>{self._head()}</p><table>{head}{rows}</table><p>{self._rest()}</p>"


def labels(settings: Mapping[str, Any], shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """Of each member its number, what differs beside the seed ("k=8 l1=0.1", or None), and its seed."""
    varied = {name: v for name, v in settings.items() if name != "seed" and isinstance(v, np.ndarray)}
    seed, every = settings.get("seed"), []
    for member, index in enumerate(np.ndindex(shape)):
        text = " ".join(f"{name}={_plain(v[index])}" for name, v in varied.items()) or None
        here = seed[index] if isinstance(seed, np.ndarray) else seed
        every.append({"member": member, "setting": text, "seed": None if here is None else int(here)})
    return every


def _plain(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(value: Any) -> str:
    numbers = np.asarray(value, dtype=float).ravel()
    if len(numbers) == 1:
        return f"{numbers[0]:.4f}"
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return "nan"
    return f"{np.median(known):.4f} [{known.min():.4f}, {known.max():.4f}]"
