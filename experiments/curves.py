"""Recovery curves as small multiples: one row a metric, one column an axis."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, StrMethodFormatter

from workbench.study.figure import finish, styled, subplots
from workbench.study.panels import COLOURS, draw_band


@dataclass(frozen=True)
class Axis:
    """A column of panels."""

    key: str
    label: str
    log: bool = False
    ticks: dict[int, str] | None = None
    """position -> text, where the positions are not numbers to read"""


def draw_curves(
    frame: pl.DataFrame,
    axes: list[Axis],
    metrics: dict[str, str],
    caption: str,
    stem: Path,
    dotted: str = "ceiling: own encoder, true dictionary",
) -> list[Path]:
    """Draw medians over seeds with the 10-90 % band and the points; write `stem`.png and .svg.

    Args:
        frame: rows of axis, x, variant, seed, metric, value, kind ("score", "null" or "ceiling").
        axes: columns, left to right.
        metrics: metric -> axis label, top to bottom.
        caption: settings, printed under the figure.
        stem: path without ending.
        dotted: what rows of kind "ceiling" are.
    """
    names = frame["variant"].unique(maintain_order=True).to_list()
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    lying = len(axes) == 1  # one axis: the metrics stand side by side
    rows, columns = (1, len(metrics)) if lying else (len(metrics), len(axes))
    width = 3.1 * columns + 0.6
    with styled():
        figure, panels = subplots(
            rows,
            columns,
            figsize=(width, 2.3 * rows + 1.3),
            squeeze=False,
            sharex=True if lying else "col",
            sharey=True if lying else "row",
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
        _legend(figure, colours, dotted if "ceiling" in frame["kind"] else "", max(2, int(width / 2)))
        return finish(figure, caption, stem)


def _panel(panel: Axes, part: pl.DataFrame, axis: Axis, colours: dict[str, str]) -> None:
    chance = part.filter(pl.col("kind") == "null").group_by("x").agg(pl.col("value").median()).sort("x")
    panel.plot(chance["x"], chance["value"], color="0.45", linestyle="--", linewidth=1.2)
    for name, colour in colours.items():
        own = part.filter(pl.col("variant") == name)
        score = own.filter(pl.col("kind") == "score")
        if score.is_empty():
            continue
        places = score.group_by("x").agg(pl.col("value")).sort("x")
        draw_band(panel, places["x"].to_list(), places["value"].to_list(), colour)
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


def _legend(figure: Figure, colours: dict[str, str], dotted: str, columns: int) -> None:
    lines = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    lines.append(Line2D([], [], color="0.45", linestyle="--", label="chance"))
    if dotted:
        lines.append(Line2D([], [], color="0.2", linestyle=":", label=dotted))
    figure.legend(handles=lines, loc="outside upper center", ncols=min(columns, len(lines)), frameon=False)
