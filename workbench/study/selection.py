"""Rows of a study's table: where columns hold what was asked for, at the last step, at the setting that counts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from synthetic.base.errors import must, pick

Pick = Callable[[pl.DataFrame], pl.DataFrame]
"""table -> table with one setting an arm and place"""
Key = tuple[int | None, int | None]
"""world_seed and seed: a replicate"""
SPOT = ("place", "x", "arm", "setting")
COURSE = ("step", "samples", "seconds")
"""what grows while an SAE trains: over these every step counts, over all else the last one"""


def rows(table: pl.DataFrame, **where: Any) -> pl.DataFrame:
    """Rows whose columns hold a value, one of several (tuple, list), or what a function picks of the values there.

    `None` asks for nothing: `rows(table, place="signed", x=max, arm=None)` are those of the largest x at that place.
    """
    for column, wanted in where.items():
        if wanted is None:
            continue
        pick(column, table.columns, "the column of a table")
        if callable(wanted):
            there = table[column].drop_nulls().unique(maintain_order=True).to_list()
            wanted = wanted(there) if there else []
        values = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
        table = table.filter(
            pl.col(column).is_in(pl.Series(values, dtype=table.schema[column], strict=False).implode())
        )
    return table


def last_step(table: pl.DataFrame) -> pl.DataFrame:
    """Of each arm, place and setting the rows of its last step, and those without a step."""
    return table.filter(pl.col("step").is_null() | (pl.col("step") == pl.col("step").max().over(SPOT)))


def present(table: pl.DataFrame, column: str) -> list[Any]:
    """Values of a column: text in its order there, numbers ascending."""
    values = table[column].drop_nulls().unique(maintain_order=True).to_list()
    return values if values and isinstance(values[0], str) else sorted(values)


def replicates(table: pl.DataFrame, metric: str, kind: str = "score", what: str = "a score") -> dict[Key, float]:
    """One number a replicate, in the order of world and seed.

    Raises:
        ValueError: several numbers of one replicate: settings or places that nobody chose from.
    """
    found = table.filter(pl.col("metric") == metric, pl.col("kind") == kind)
    found = found.sort("world_seed", "seed", nulls_last=False, maintain_order=True)
    values = {(w, s): v for w, s, v in found.select("world_seed", "seed", "value").iter_rows()}
    _must_be_single(found, len(values), metric, what)
    return values


def _must_be_single(found: pl.DataFrame, replicates: int, metric: str, what: str) -> None:
    if found.height > replicates:
        apart = [name for name in (*SPOT, "m", "k", "lr", "step") if found[name].n_unique() > 1]
        got = f"{found.height} for {replicates} of {metric!r}, which differ in {', '.join(apart) or 'nothing'}"
        must(False, what, "one number a seed", got, "name one of these, or pick a setting (pick=nearest_l0)")


def nearest_l0(table: pl.DataFrame, metric: str = "l0", target: str = "expected_l0") -> pl.DataFrame:
    """Of each arm and place the setting whose median L0 is nearest to that of the world, by its logarithm.

    All rows of those arms and places that have no such medians.
    """
    last = last_step(table).filter(pl.col("kind") == "score")
    at = {name: pl.col("value").filter(pl.col("metric") == name).median() for name in (metric, target)}
    medians = last.group_by(SPOT, maintain_order=True).agg(**at).drop_nulls([metric, target])
    miss = (pl.col(metric).clip(1e-9) / pl.col(target)).log().abs()
    return _at_first(table, medians.sort(miss, maintain_order=True))


def best(metric: str, least: bool = False) -> Pick:
    """Of each arm and place the setting of the largest median (or the least) of a metric."""

    def choose(table: pl.DataFrame) -> pl.DataFrame:
        last = last_step(table).filter(pl.col("kind") == "score", pl.col("metric") == metric)
        medians = last.group_by(SPOT, maintain_order=True).agg(pl.col("value").median())
        return _at_first(table, medians.sort("value", descending=not least, maintain_order=True))

    return choose


def _at_first(table: pl.DataFrame, settings: pl.DataFrame) -> pl.DataFrame:
    """Rows of the first setting of each place, x and arm, and all rows of those that have none."""
    spot = list(SPOT[:3])
    chosen = settings.unique(spot, keep="first", maintain_order=True)
    known = chosen.select(*spot, _setting="setting", _known=True)
    joined = table.join(known, on=spot, how="left", nulls_equal=True, maintain_order="left")
    same = pl.col("setting").eq_missing(pl.col("_setting"))
    return joined.filter(pl.col("_known").is_null() | same).drop("_setting", "_known")


def grid(
    table: pl.DataFrame, metric: str, over: tuple[str, str]
) -> tuple[list[Any], list[Any], Float[np.ndarray, "up across"]]:
    """Medians of a metric over two columns: the values of either, and the medians, NaN where there are none."""
    found = table.filter(pl.col("metric") == metric, pl.col("kind") == "score")
    across, up = (present(found, column) for column in over)
    medians = {(a, b): v for a, b, v in found.group_by(over).agg(pl.col("value").median()).iter_rows()}
    return across, up, np.array([[medians.get((a, b), np.nan) for a in across] for b in up], dtype=float)


def curve(table: pl.DataFrame, metric: str, over: str, kind: str = "score", what: str = "a line") -> "Curve":
    """Values of a metric by position: one list of replicates' values each, in ascending order of position.

    Args:
        table: rows of one line.
        metric: up.
        over: across: a column, or another metric, whose median over replicates places each setting.
        kind: "score", "null" or "ceiling".
        what: for an error.
    """
    found = table.filter(pl.col("metric") == metric, pl.col("kind") == kind)
    if over in table.columns:
        groups = [(x, found.filter(pl.col(over) == x)) for x in present(found, over)]
    else:
        by = [name for name in (*SPOT, "world", "n_true", "d", "m", "k", "lr", "step") if name in table.columns]
        places = table.filter(pl.col("metric") == over).group_by(by).agg(pl.col("value").median().alias("_x"))
        joined = found.join(places, on=by, nulls_equal=True, maintain_order="left")
        groups = [(rows["_x"][0], rows) for _, rows in joined.group_by(by, maintain_order=True)]
        groups.sort(key=lambda pair: pair[0])
    return [(x, list(replicates(rows, metric, kind, what).values())) for x, rows in groups if rows.height]


Curve = Sequence[tuple[Any, list[float]]]
