"""Tables to print: medians over seeds, beside chance and ceiling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from rich.box import SIMPLE
from rich.table import Table

from synthetic.base.errors import must
from workbench.study.selection import Pick, last_step, present, replicates, rows


def short(value: float) -> str:
    """A score in at most four characters: .12, .012, -.12, 1.23."""
    digits = 3 if 0 <= value < 0.0995 else 2
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.2f}"


@dataclass(frozen=True)
class Medians:
    """Medians over seeds: a row an arm (or setting) of a place, a column a metric; chance and ceiling below them."""

    title: str
    columns: Mapping[str, str]
    """metric -> heading"""
    by: Sequence[str] = ("place", "arm")
    """columns of the table that a row stands for, the last one changing fastest"""
    place: Any = None
    arms: Sequence[str] | None = None
    """in their order; by default all of the table"""
    at: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[Any, str] = field(default_factory=dict)
    """value of a column in `by` -> what is printed"""
    beside: Sequence[str] = ("chance", "ceiling")
    """rows of these below each group of arms, where the table has any"""
    each: bool = False
    """chance and ceiling below each row: where they differ from arm to arm"""
    spread: bool = False
    """10 % and 90 % quantiles below each row"""
    formats: Mapping[str, str] = field(default_factory=dict)
    """metric -> format; by default `short`"""
    caption: str = ""
    pick: Pick | None = None

    def of(self, table: pl.DataFrame) -> Table:
        """The table to print."""
        found = last_step(rows(self.pick(table) if self.pick else table, place=self.place, **self.at))
        if self.arms is not None:
            found = found.filter(pl.col("arm").is_in(list(self.arms)))
        must(len(self.columns) and len(self.by), "Medians", "of some metrics by some columns", "none", "name them")
        known = {name: head for name, head in self.columns.items() if name in present(found, "metric")}
        return replace(self, columns=known)._filled(found)

    def _filled(self, found: pl.DataFrame) -> Table:
        """The table of rows that have every column's metric somewhere."""
        shown = Table(title=self.title, caption=self.caption or None, box=SIMPLE, collapse_padding=True, pad_edge=False)
        for name in self.by:
            shown.add_column(name, no_wrap=True)
        for head in self.columns.values():
            shown.add_column(head, justify="right", no_wrap=True)
        last: tuple[Any, ...] = ()
        group: list[pl.DataFrame] = []
        for spot, own in self._spots(found):
            if last and spot[: self._inner] != last[: self._inner]:
                self._close(shown, group)
                group = []
            fresh = [i == len(spot) - 1 or spot[: i + 1] != last[: i + 1] for i in range(len(spot))]
            self._rows(shown, [self._name(v) if new else "" for v, new in zip(spot, fresh, strict=True)], own)
            group.append(own)
            last = spot
        self._close(shown, group)
        return shown

    @property
    def _inner(self) -> int:
        """The column of `by` whose values stand in one section: arms, else the last."""
        return self.by.index("arm") if "arm" in self.by else len(self.by) - 1

    def _spots(self, found: pl.DataFrame) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
        """Rows to print, by the order of their columns: text as it comes, numbers ascending, arms as asked."""
        scores = found.filter(pl.col("kind") == "score", pl.col("metric").is_in(list(self.columns)))

        def below(spot: tuple[Any, ...], scores: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
            if len(spot) == len(self.by):
                yield spot
                return
            column = self.by[len(spot)]
            values = present(scores, column)
            if column == "arm" and self.arms is not None:
                values = [arm for arm in self.arms if arm in values]
            for value in [*values, *([None] if scores[column].null_count() else [])]:
                yield from below((*spot, value), scores.filter(pl.col(column).eq_missing(value)))

        for spot in below((), scores):
            same = [pl.col(name).eq_missing(value) for name, value in zip(self.by, spot, strict=True)]
            yield spot, found.filter(*same)

    def _name(self, value: Any) -> str:
        return self.names.get(value, "" if value is None else f"{value:g}" if isinstance(value, float) else str(value))

    def _rows(self, shown: Table, heads: Sequence[str], own: pl.DataFrame) -> None:
        values = {name: list(replicates(own, name, what=f"Medians({self.title!r})").values()) for name in self.columns}
        shown.add_row(*heads, *(self._cell(name, v, 0.5) for name, v in values.items()))
        for share in (0.1, 0.9) if self.spread else ():
            self._beside(shown, f"  {share:.0%}", [self._cell(name, v, share) for name, v in values.items()])
        if self.each:
            self._close(shown, [own], section=True)

    def _close(self, shown: Table, group: Sequence[pl.DataFrame], section: bool = False) -> None:
        """Chance and ceiling of the rows above, where there are any."""
        if not group or (self.each and not section):
            return
        own = pl.concat(group)
        for word in self.beside:
            kind = "null" if word == "chance" else word
            part = own.filter(pl.col("kind") == kind)
            cells = [
                self._cell(name, part.filter(pl.col("metric") == name)["value"].to_list(), 0.5) for name in self.columns
            ]
            if any(cells):
                self._beside(shown, f"  {word}", cells)
        shown.add_section()

    def _beside(self, shown: Table, word: str, cells: Sequence[str]) -> None:
        after = len(self.by) - 1 - self._inner
        shown.add_row(*[""] * self._inner, word, *[""] * after, *cells, style="dim")

    def _cell(self, metric: str, values: Sequence[float], share: float) -> str:
        if not len(values):
            return ""
        value = float(np.quantile(values, share))
        return self.formats[metric].format(value) if metric in self.formats else short(value)
