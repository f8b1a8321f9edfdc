"""The table a study ends with: its columns, what wins, what is printed of it."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from rich.box import SIMPLE
from rich.table import Table

from synthetic.base.errors import must
from workbench.study.selection import Pick, last_step, present, replicates, rows
from workbench.study.units import Row

SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("study", "place"), pl.String),
    "x": pl.Float64,
    **dict.fromkeys(("arm", "setting", "world"), pl.String),
    **dict.fromkeys(("world_seed", "seed", "n_true", "d", "m"), pl.Int64),
    **dict.fromkeys(("k", "lr"), pl.Float64),
    "step": pl.Int64,
    **dict.fromkeys(("metric", "kind"), pl.String),
    "value": pl.Float64,
}
"""column -> type. Null where one does not apply; columns of a study's own stand behind them."""
COLUMNS = tuple(SCHEMA)
TIMES = ("seconds", "ms")
"""metrics that differ from run to run"""


def tidy(rows: Iterable[Row], study: str) -> pl.DataFrame:
    """Rows as the table, kind "score" where none is said; equal rows stand once.

    Raises:
        ValueError: a row lacks its metric or value, or a column has values of several kinds.
    """
    rows = [row | {"study": study, "kind": row.get("kind") or "score"} for row in rows]
    extra = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in SCHEMA]
    columns = {name: [row.get(name) for row in rows] for name in (*COLUMNS, *extra)}
    series = [pl.Series(name, values, SCHEMA.get(name), strict=False) for name, values in columns.items()]
    return pl.DataFrame(series).unique(maintain_order=True)


def final(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of each stack's last step."""
    at = ["place", "arm", "setting", "world_seed"]
    return table.filter(pl.col("step").is_null() | (pl.col("step") == pl.col("step").max().over(at)))


def setting_columns(table: pl.DataFrame) -> pl.DataFrame:
    """The table with a column of numbers, or of words, for each axis that `setting` names and that is none yet."""
    texts = table["setting"].unique().drop_nulls().to_list()
    parts = {text: dict(part.split("=", 1) for part in text.split(" ") if "=" in part) for text in texts}
    for name in dict.fromkeys(name for found in parts.values() for name in found):
        if name not in table.columns:
            values = {text: found.get(name) for text, found in parts.items()}
            column = table["setting"].replace_strict(values, default=None, return_dtype=pl.String)
            numbers = column.cast(pl.Float64, strict=False)
            table = table.with_columns((numbers if numbers.null_count() == column.null_count() else column).alias(name))
    return table


LOW_IS_BETTER = (
    *("fvu", "dead", "saelens_dead_latents", "features_unseen", "seconds", "ms"),
    *("absorption", "absorption_cosine", "hedging", "child_tilt", "splitting", "merging", "fragmentation"),
    *("above_target", "frequency_error", "kkt", "product_error", "flat_mse", "hier_mse"),
)
"""metrics whose best value is 0"""


def best_settings(table: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """For each place, arm and metric the setting of the best median at the last step, with its 10-90 % range."""
    score = final(table).filter(
        pl.col("kind") == "score", pl.col("metric").is_in(metrics), pl.col("seed").is_not_null()
    )
    value, keys = pl.col("value"), ["place", "x", "arm", "metric"]
    spread = {"low": value.quantile(0.1, "linear"), "high": value.quantile(0.9, "linear"), "n": value.len()}
    found = score.group_by([*keys, "setting"], maintain_order=True).agg(value.median().alias("median"), **spread)
    median = pl.col("median")
    merit = pl.when(pl.col("metric").is_in(LOW_IS_BETTER)).then(-median.abs()).otherwise(median)
    first = merit.rank("ordinal", descending=True).over(keys) == 1
    return found.filter(first)


def best_table(table: pl.DataFrame, metrics: Sequence[str]) -> Table:
    """What wins: for each place and metric every arm at its best setting."""
    shown = Table(title="each arm at its best setting: median over seeds [10 %, 90 %]")
    for name in ("place", "metric", "arm", "setting"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("median", justify="right")
    best = best_settings(table, metrics).sort("place", "x", "metric", maintain_order=True)
    last = None
    for row in best.iter_rows(named=True):
        where = row["place"] + ("" if row["x"] is None else f" {row['x']:g}")
        head = (where, row["metric"]) if (where, row["metric"]) != last else ("", "")
        last = where, row["metric"]
        said = f"{row['median']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        shown.add_row(*head, row["arm"], row["setting"] or "", said)
    return shown


def swept_axes(table: pl.DataFrame) -> list[str]:
    """Names that `setting` gives several values to."""
    columns = setting_columns(table.select("setting").unique())
    return [name for name in columns.columns if name != "setting" and columns[name].drop_nulls().n_unique() > 1]


def score_table(table: pl.DataFrame, metrics: Sequence[str], title: str) -> Table:
    """Scores by arm and setting: median over seeds, their 10-90 % range, chance level and ceiling; samples a second.

    Args:
        table: rows of one place and step.
        metrics: columns.
        title: above.
    """
    caption = "median over seeds, their 10 % and 90 % quantiles, chance, ceiling"
    shown = Table(title=title, caption=caption, box=SIMPLE, show_edge=False, collapse_padding=True, pad_edge=False)
    shown.add_column("arm", overflow="fold")  # settings go to a line of their own before a figure is cut
    rates = speeds(table)
    for name in (*metrics, *(["samples/s"] if rates else [])):
        shown.add_column(name, justify="right", no_wrap=True)
    for (arm, setting), own in table.group_by("arm", "setting", maintain_order=True):

        def values(kind: str, share: float = 0.5, own: pl.DataFrame = own) -> list[str]:
            match = own.filter(pl.col("kind") == kind)
            found = (match.filter(pl.col("metric") == name)["value"].quantile(share, "linear") for name in metrics)
            return ["" if value is None else f"{value:.3f}" for value in found]

        rate = [rates.get((str(arm), setting), "")] if rates else []  # type: ignore[arg-type]
        shown.add_row(f"{arm} {setting}" if setting else str(arm), *values("score"), *rate)
        lines = [("10 %", "score", 0.1), ("90 %", "score", 0.9), ("chance", "null", 0.5), ("ceiling", "ceiling", 0.5)]
        for i, (word, kind, share) in enumerate(lines):
            shown.add_row(f"  {word}", *values(kind, share), style="dim", end_section=i == len(lines) - 1)
    return shown


def speeds(table: pl.DataFrame) -> dict[tuple[str, str | None], str]:
    """Samples a second of each arm and setting of a place, times the members that were trained at once: 12,000 x 5.

    A stack's setting is what its rows have in common, so that those of a grid stand behind one.
    """
    last, rates = final(table), {}
    spent: dict[tuple[str, str | None], list[float]] = {}
    seen: dict[tuple[str, str | None], list[float]] = {}
    score = last.filter(pl.col("kind") == "score").select("metric", "arm", "setting", "value")
    for _, arm, setting, value in score.filter(pl.col("metric") == "seconds").iter_rows():
        spent.setdefault((arm, setting), []).append(value)
    for _, arm, setting, value in score.filter(pl.col("metric") == "samples").iter_rows():
        own = [s for a, s in spent if a == arm and (s is None or f"{setting} ".startswith(f"{s} "))]
        if own:
            seen.setdefault((arm, max(own, key=lambda s: len(s or ""))), []).append(value)
    for stack, samples in seen.items():
        members, time = len(samples) / len(spent[stack]), sum(spent[stack])
        rates[stack] = f"{sum(samples) / members / time:,.0f} x {members:g}" if time else ""
    return rates


def differences(one: pl.DataFrame, other: pl.DataFrame) -> str:
    """What tells two tables apart but for times, in words; empty where nothing does."""
    a, b = (frame.filter(~pl.col("metric").is_in(TIMES)) for frame in (one, other))
    if a.columns != b.columns:
        return f"columns {a.columns} and {b.columns}"
    order = [name for name in a.columns if name != "value"]
    a, b = (frame.sort([*order, "value"], nulls_last=True) for frame in (a, b))
    if a.equals(b):
        return ""
    lost = a.join(b, on=a.columns, how="anti", nulls_equal=True)
    first = next(itertools.islice(lost.iter_rows(named=True), 1), None)
    return f"{lost.height} of {a.height} rows" + (f", such as {first}" if first else "")


def short(value: float) -> str:
    """A score in at most four characters: .12, .012, -.12, 1.23."""
    digits = 3 if 0 <= value < 0.0995 else 2
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.2f}"


@dataclass(frozen=True)
class Medians:
    """Medians over seeds: a row an arm (or setting) of a place, a column a metric; chance and ceiling below them."""

    title: str
    columns: Mapping[str, str] | Sequence[str]
    """metric -> heading; or metrics, which are headings too"""
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
    spread: bool = False
    """10 % and 90 % quantiles below each row"""
    formats: Mapping[str, str] | str = ""
    """metric -> format, or one for all; by default `short`"""
    caption: str = ""
    pick: Pick | None = None

    def of(self, table: pl.DataFrame) -> Table:
        """The table to print."""
        found = last_step(rows(self.pick(table) if self.pick else table, place=self.place, **self.at))
        if self.arms is not None:
            found = found.filter(pl.col("arm").is_in(list(self.arms)))
        must(len(self.columns) and len(self.by), "Medians", "of some metrics by some columns", "none", "name them")
        heads = (
            self.columns if isinstance(self.columns, Mapping) else dict(zip(self.columns, self.columns, strict=True))
        )
        known = {name: head for name, head in heads.items() if name in present(found, "metric")}
        return replace(self, columns=known)._filled(found, known.values())

    def _filled(self, found: pl.DataFrame, heads: Iterable[str]) -> Table:
        """The table of rows that have every column's metric somewhere."""
        shown = Table(title=self.title, caption=self.caption or None, box=SIMPLE, collapse_padding=True, pad_edge=False)
        for name in self.by:
            shown.add_column(name, no_wrap=True)
        for head in heads:
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

    def _close(self, shown: Table, group: Sequence[pl.DataFrame]) -> None:
        """Chance and ceiling of the rows above, where there are any."""
        if not group:
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
        form = self.formats if isinstance(self.formats, str) else self.formats.get(metric)
        return form.format(value) if form else short(value)
