"""Tables of studies that the runner does not write yet, in the columns that figures, questions and tables read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.study.figure import Figure, save
from workbench.study.table import SCHEMA


def tidied(frame: pl.DataFrame, columns: Mapping[str, str] | None = None, **values: Any) -> pl.DataFrame:
    """The table in the fixed columns: `_null` of a metric's name becomes its kind, -1 for a seed becomes none.

    Args:
        frame: a study's own table.
        columns: fixed column -> own column, where the names differ.
        values: fixed column -> what it holds all along.
    """
    names = {name: (columns or {}).get(name, name) for name in SCHEMA}
    taken = [pl.col(own).alias(name) for name, own in names.items() if own in frame.columns]
    rest = [column for column in frame.columns if column not in names.values()]
    table = frame.select(*taken, *rest).with_columns(pl.lit(value).alias(name) for name, value in values.items())
    missing = [pl.lit(None).alias(name) for name in SCHEMA if name not in table.columns and name != "kind"]
    ends = pl.when(pl.col("metric").str.ends_with("_null")).then(pl.lit("null")).otherwise(pl.lit("score"))
    kind = [] if "kind" in table.columns else [ends.alias("kind")]
    table = table.with_columns(*missing, *kind)
    table = table.with_columns(
        pl.col("metric").str.strip_suffix("_null"), pl.col("seed").cast(pl.Int64).replace(-1, None)
    )
    return table.select(*(pl.col(name).cast(kind) for name, kind in SCHEMA.items()), *rest)


def drawn(figures: Sequence[Figure], table: pl.DataFrame, settings: Any, folder: Path) -> list[Path]:
    """Draw and save the figures of a table in the fixed columns; those of more than five arms in parts."""
    parts = [part for figure in figures for part in figure.parts(table)]
    return [path for part in parts for path in save(part.draw(table, settings), folder / part.name)]
