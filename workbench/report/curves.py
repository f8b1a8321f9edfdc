"""Recovery curves as small multiples: one row a metric, one column an axis."""

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
    with plt.rc_context(_STYLE):
        figure, panels = plt.subplots(
            len(metrics),
            len(axes),
            figsize=(3.1 * len(axes) + 0.6, 2.3 * len(metrics) + 1.3),
            squeeze=False,
            sharex="col",
            sharey="row",
            layout="constrained",
        )
        for row, (metric, label) in enumerate(metrics.items()):
            for column, axis in enumerate(axes):
                part = frame.filter((pl.col("metric") == metric) & (pl.col("axis") == axis.key))
                _panel(panels[row][column], part, axis, colours)
                if row == len(metrics) - 1:
                    panels[row][column].set_xlabel(axis.label)
                if column == 0:
                    panels[row][column].set_ylabel(label)
        _legend(figure, colours)
        figure.supxlabel(caption, fontsize=8, color="0.35")
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


def _legend(figure: Figure, colours: dict[str, str]) -> None:
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    lines += [
        Line2D([], [], color="0.45", linestyle="--", label="chance"),
        Line2D([], [], color="0.2", linestyle=":", label="ceiling: own encoder, true dictionary"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), frameon=False)
