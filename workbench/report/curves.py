"""Recovery curves as small multiples: one row a metric, one column an axis."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, StrMethodFormatter

from synthetic.storage import replacing

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B3A29", "#7F7F7F")
_STYLE: Any = {
    "svg.hashsalt": "sae-workbench",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


@dataclass(frozen=True)
class Axis:
    """A column of panels."""

    key: str
    label: str
    log: bool = False
    ticks: dict[int, str] | None = None
    """position -> text, where the positions are not numbers to read"""


def draw_curves(frame: pl.DataFrame, axes: list[Axis], metrics: dict[str, str], caption: str, stem: Path) -> list[Path]:
    """Draw medians over seeds with the 10-90 % band and the points; write `stem`.png and .svg.

    Args:
        frame: rows of axis, x, variant, seed, metric, value, kind ("score", "null" or "ceiling").
        axes: columns, left to right.
        metrics: metric -> axis label, top to bottom.
        caption: settings, printed under the figure.
        stem: path without ending.
    """
    names = frame["variant"].unique(maintain_order=True).to_list()
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    lying = len(axes) == 1  # one axis: the metrics stand side by side
    rows, columns = (1, len(metrics)) if lying else (len(metrics), len(axes))
    width = 3.1 * columns + 0.6
    with plt.rc_context(_STYLE):
        figure, panels = plt.subplots(
            rows,
            columns,
            figsize=(width, 2.3 * rows + 1.3),
            squeeze=False,
            sharex=True if lying else "col",
            sharey=True if lying else "row",
            layout="constrained",
        )
        for i, (metric, label) in enumerate(metrics.items()):
            for j, axis in enumerate(axes):
                panel = panels[0][i] if lying else panels[i][j]
                part = frame.filter((pl.col("metric") == metric) & (pl.col("axis") == axis.key))
                _panel(panel, part, axis, colours)
                if lying or i == rows - 1:
                    panel.set_xlabel(axis.label)
                if lying or j == 0:
                    panel.set_ylabel(label)
        _legend(figure, colours, "ceiling" in frame["kind"], max(2, int(width / 2)))
        figure.supxlabel(textwrap.fill(caption, int(14 * width)), fontsize=8, color="0.35")
        paths = [stem.with_suffix(ending) for ending in (".png", ".svg")]
        for path in paths:
            with replacing(path) as temporary:
                meta = {"Date": None} if path.suffix == ".svg" else None
                figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=meta)
        plt.close(figure)
    return paths


def _panel(panel: Axes, part: pl.DataFrame, axis: Axis, colours: dict[str, str]) -> None:
    chance = part.filter(pl.col("kind") == "null").group_by("x").agg(pl.col("value").median()).sort("x")
    panel.plot(chance["x"], chance["value"], color="0.45", linestyle="--", linewidth=1.2)
    for name, colour in colours.items():
        own = part.filter(pl.col("variant") == name)
        score = own.filter(pl.col("kind") == "score")
        if score.is_empty():
            continue
        band = (
            score.group_by("x")
            .agg(
                pl.col("value").median().alias("middle"),
                pl.col("value").quantile(0.1, "linear").alias("low"),
                pl.col("value").quantile(0.9, "linear").alias("high"),
            )
            .sort("x")
        )
        panel.fill_between(band["x"], band["low"], band["high"], color=colour, alpha=0.18, linewidth=0)
        panel.plot(band["x"], band["middle"], color=colour, linewidth=1.6)
        panel.plot(score["x"], score["value"], ".", color=colour, markersize=2.5, alpha=0.55)
        top = own.filter(pl.col("kind") == "ceiling").sort("x")
        panel.plot(top["x"], top["value"], color=colour, linestyle=":", linewidth=1.2)
    if axis.log:
        at = part["x"].to_list() or [1.0, 1000.0]
        decades = max(at) / min(at) > 100
        panel.set_xscale("log", base=10 if decades else 2)
        panel.xaxis.set_major_formatter(LogFormatterMathtext() if decades else StrMethodFormatter("{x:g}"))
    if axis.ticks:
        panel.set_xticks(list(axis.ticks), list(axis.ticks.values()))
        panel.minorticks_off()
    panel.set_ylim(-0.03, 1.05)


def _legend(figure: Figure, colours: dict[str, str], ceilings: bool, columns: int) -> None:
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    lines.append(Line2D([], [], color="0.45", linestyle="--", label="chance"))
    if ceilings:
        lines.append(Line2D([], [], color="0.2", linestyle=":", label="ceiling: own encoder, true dictionary"))
    figure.legend(handles=lines, loc="outside upper center", ncols=min(columns, len(lines)), frameon=False)
