"""What every figure shares: style, colours, bands over seeds, a caption, files replaced whole."""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synthetic.base.storage import replacing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B3A29", "#7F7F7F")
STYLE: Any = {
    "svg.hashsalt": "sae-workbench",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def styled() -> AbstractContextManager[None]:
    """Our style within a block; the user's own settings are in force again behind it."""
    return mpl.rc_context(STYLE)


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float | int, float | int], **shape: Any
) -> tuple[Figure, Any]:
    """A figure that is only ever written to files, which pyplot and its backend know nothing of, and its panels.

    Args:
        rows: of panels.
        columns: of panels.
        figsize: width and height in inches.
        shape: options of `Figure.subplots`.
    """
    figure = Figure(figsize=figsize, layout="constrained")
    return figure, figure.subplots(rows, columns, **shape)


def draw_band(
    panel: Axes,
    x: Sequence[float | int],
    values: Sequence[Sequence[float]],
    colour: str,
    label: str | None = None,
    **line: Any,
) -> None:
    """Median over seeds with its 10-90 % band and the points.

    Args:
        panel: where to draw.
        x: positions.
        values: one list of seeds' values a position.
        colour: of all three.
        label: for a legend.
        line: options of the median's line.
    """
    low, middle, high = np.array([np.quantile(v, (0.1, 0.5, 0.9)) for v in values]).T
    panel.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    panel.plot(x, middle, **{"color": colour, "linewidth": 1.6, "label": label, **line})
    spread = [(at, v) for at, own in zip(x, values, strict=True) for v in own]
    panel.plot(*zip(*spread, strict=True), ".", color=colour, markersize=2.5, alpha=0.55)


def numbers(frame: pl.DataFrame, **at: Any) -> list[float]:
    """One number a seed, in order: the values of a tidy table where its columns hold what `at` says."""
    return frame.filter(*(pl.col(name) == value for name, value in at.items())).sort("seed")["value"].to_list()


def shared_legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One legend above a figure, of what its panels label, each label once."""
    found = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns, frameon=False)


def finish(figure: Figure, caption: str, stem: Path) -> list[Path]:
    """Put the caption under a figure; write `stem`.png and .svg."""
    width = figure.get_size_inches()[0]
    figure.supxlabel(textwrap.fill(caption, int(14 * width)), fontsize=8, color="0.35", parse_math=False)
    paths = [stem.with_suffix(ending) for ending in (".png", ".svg")]
    for path in paths:
        with replacing(path) as temporary:
            meta = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=meta)
    return paths
