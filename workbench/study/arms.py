"""Scores of the arms of an experiment, by world and seed, each arm at the setting that counts."""

import numpy as np
import polars as pl
from rich.box import SIMPLE
from rich.table import Table

Scores = dict[str, list[float]]
Runs = dict[tuple[str, float, str], Scores]
"""part, x, arm -> metric -> one number a seed"""


def runs_of(frame: pl.DataFrame) -> Runs:
    """Scores of each arm, of ReLU those at the penalty whose median L0 is nearest to the true one."""
    settings: dict[tuple[str, float, str], dict[float, Scores]] = {}
    own = frame.filter(pl.col("seed").is_not_null())
    for (part, x, arm, l1, metric), rows in own.group_by("part", "x", "arm", "l1", "metric", maintain_order=True):
        one = settings.setdefault((str(part), float(x), str(arm)), {})  # type: ignore[arg-type]
        one.setdefault(float(l1 or 0), {})[str(metric)] = rows.sort("seed")["value"].to_list()  # type: ignore[arg-type]

    def miss(scores: Scores) -> float:
        return abs(np.log(max(np.median(scores["l0"]), 1e-9) / np.median(scores["expected_l0"])))

    return {key: min(options.values(), key=miss) for key, options in settings.items()}


def places_of(runs: Runs, part: str) -> list[float]:
    """The values of x in a part, ascending."""
    return sorted({x for own, x, _ in runs if own == part})


def short(value: float) -> str:
    """A score in at most four characters: .12, .012, -.12, 1.23."""
    digits = 3 if 0 <= value < 0.0995 else 2
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.2f}"


def median_table(names: tuple[str, ...]) -> Table:
    """An empty table of medians over seeds: world and arm, then `names`."""
    table = Table(box=SIMPLE, collapse_padding=True, pad_edge=False, title="medians over seeds")
    for name in ("world", "arm"):
        table.add_column(name, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table
