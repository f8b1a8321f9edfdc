"""Figures declared on the columns of a study's table, returned as matplotlib figures, written byte for byte alike."""

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib import figure as mpl_figure
from matplotlib.axes import Axes

from synthetic.base.errors import must
from synthetic.base.storage import replacing, write_text
from workbench.metrics.features import medians_by_rate
from workbench.study.flags import TrainFlags, axes_of
from workbench.study.panels import MOST_LINES, Drawable, Look, Scene, look
from workbench.study.selection import Pick, present, rows
from workbench.study.units import listed

MOST_PANELS = 6
STYLE: Any = {
    "svg.hashsalt": "sae-workbench",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


@dataclass(frozen=True)
class Style:
    """Sizes and fonts of a figure."""

    font: float | int = 9
    column: float | int | None = None
    """inches of a column of print: one panel takes a column, more take two; None: as each figure asks"""
    captioned: bool = True
    """the caption stands under the figure; else `save` puts it into a text file beside it"""

    def rc(self) -> Any:
        """Settings of matplotlib."""
        small = {"legend.fontsize": self.font - 1, "axes.titlesize": self.font + (1 if self.captioned else 0)}
        return STYLE | {"font.size": self.font, "pdf.fonttype": 42} | small


SCREEN = Style()
PAPER = Style(font=7.5, column=3.3, captioned=False)


class Drawn(mpl_figure.Figure):
    """A matplotlib figure that no backend knows of: a notebook shows it, `savefig` writes it in its own style.

    Its caption stands in `caption`, whether or not it is drawn below.
    """

    def __init__(self, *args: Any, caption: str = "", style: Style = SCREEN, **options: Any) -> None:
        super().__init__(*args, **options)
        self.caption, self.style = caption, style

    def draw(self, renderer: Any) -> None:
        """Draw in the figure's own style: ticks are made only now."""
        with mpl.rc_context(self.style.rc()):
            super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure, undated; options as matplotlib's."""
        form = options.get("format") or Path(fname).suffix[1:]
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
        with mpl.rc_context(self.style.rc()):
            super().savefig(fname, **({"dpi": 150, "metadata": undated} | options))

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=110)
        return file.getvalue()


def save(figure: mpl_figure.Figure, stem: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write `stem`.png, .svg, .pdf, each replaced whole; the caption goes to `stem`.txt where the figure lacks it."""
    paths = [stem.with_name(f"{stem.name}.{form}") for form in formats]
    for path, form in zip(paths, formats, strict=True):
        with replacing(path) as temporary:
            figure.savefig(temporary, format=form)
    if isinstance(figure, Drawn) and figure.caption and not figure.style.captioned:
        paths.append(stem.with_name(f"{stem.name}.txt"))
        write_text(paths[-1], textwrap.fill(figure.caption, 100) + "\n")
    return paths


@dataclass(frozen=True)
class Figure:
    """At most six panels on a study's table, and a caption.

    `Figure("recovery", [Lines(y="mcc", over="samples"), Dots(y="fvu")], caption="{world}; {samples:,} samples")`
    """

    name: str
    """stem of its files"""
    panels: Sequence[Drawable]
    caption: str = ""
    """a format of the settings and of `facts_of(table)`; sizes, steps and seeds that it does not name are added"""
    arms: Mapping[str, Look] | Sequence[str] | None = None
    """in their order, with their looks; by default all of the table. Rows of other arms are not drawn"""
    columns: int | None = None
    """panels a row"""
    size: tuple[float | int, float | int] = (3.7, 3.1)
    """inches of a panel"""
    widths: Sequence[float | int] | None = None
    """of columns, relative"""
    share: str = ""
    """axes that panels share: "x", "y", "row" for the y of each row, "xrow" """
    pick: Pick | None = None
    """table -> table with one setting an arm and place"""

    def __post_init__(self) -> None:
        advice = "split it in two figures, or make a Medians table of it"
        must(1 <= len(self.panels) <= MOST_PANELS, f"Figure({self.name!r}).panels", "1 to 6", len(self.panels), advice)

    def looks(self, table: pl.DataFrame) -> dict[str, Look]:
        """Arm -> its look in this figure."""
        if isinstance(self.arms, Mapping):
            return dict(self.arms)
        return {name: look(i) for i, name in enumerate(self.arms or present(table, "arm"))}

    def shown(self, table: pl.DataFrame) -> pl.DataFrame:
        """The rows of the places that its panels name; all where one names none."""
        places = [getattr(panel, "place", None) for panel in self.panels]
        if any(place is None for place in places):
            return table
        named = {name for place in places for name in present(rows(table, place=place), "place")}
        return table.filter(pl.col("place").is_in(list(named)))

    def parts(self, table: pl.DataFrame) -> list["Figure"]:
        """The figure for at most five arms at a time, `name`, `name`-b, ..., where its lines are arms; else itself."""
        looks = [(name, one) for name, one in self.looks(table).items() if name in set(present(table, "arm"))]
        crowded = any(getattr(p, "by", "") == "arm" and getattr(p, "arms", None) is None for p in self.panels)
        if len(looks) <= MOST_LINES or not crowded:
            return [self]
        groups = [dict(looks[i : i + MOST_LINES]) for i in range(0, len(looks), MOST_LINES)]
        names = [self.name] + [f"{self.name}-{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"[: len(groups) - 1]]
        alike = [{name: look(i) for i, name in enumerate(group)} for group in groups]
        own = groups if isinstance(self.arms, Mapping) else alike
        return [replace(self, name=name, arms=group) for name, group in zip(names, own, strict=True)]

    def draw(self, table: pl.DataFrame, settings: Any = None, style: Style = SCREEN) -> Drawn:
        """The figure of a table; settings fill the caption."""
        caption = captioned(self.caption, self.shown(table), settings)
        scene = Scene(self.pick(table) if self.pick else table, self.looks(table), settings)
        columns = self.columns or (len(self.panels) if len(self.panels) <= 3 else 3 if len(self.panels) > 4 else 2)
        lines = -(-len(self.panels) // columns)
        with mpl.rc_context(style.rc()):
            figure = Drawn(
                figsize=self._inches(columns, lines, style), dpi=150, layout="constrained", caption=caption, style=style
            )
            grid = self._axes(figure, lines, columns)
            for panel, axes in zip(self.panels, grid, strict=False):
                panel.draw(axes, scene)
            for axes in grid[len(self.panels) :]:
                axes.axis("off")
            if style.captioned and caption:
                _write_caption(figure, caption, style.font - 1)
            _fit_labels(figure, grid[: len(self.panels)], columns)
            _legends(figure, list(zip(self.panels, grid, strict=False)), scene, columns)
            for _ in range(2):  # the first makes room for what has been placed
                figure.draw_without_rendering()
            figure.set_layout_engine("none")  # what is placed stays: in a notebook and in every file
        return figure

    def _inches(self, columns: int, lines: int, style: Style) -> tuple[float | int, float | int]:
        if style.column is None:
            return self.size[0] * columns + 0.2, self.size[1] * lines + 0.7
        width = style.column if columns == 1 else 2 * style.column + 0.25  # between them
        return width, max(width / columns * self.size[1] / self.size[0], 2.3) * lines + 0.3

    def _axes(self, figure: Drawn, lines: int, columns: int) -> list[Axes]:
        share: dict[str, Any] = {"sharex": "x" in self.share, "sharey": "y" in self.share}
        if "row" in self.share:
            share["sharey"] = "row"
        grid = figure.subplots(lines, columns, squeeze=False, width_ratios=self.widths, **share)
        return list(grid.flat)


def _write_caption(figure: mpl_figure.Figure, caption: str, font: float | int) -> None:
    text = textwrap.fill(caption, int(14 * figure.get_size_inches()[0]))
    figure.supxlabel(text, fontsize=font, color="0.35", parse_math=False)


def facts_of(table: pl.DataFrame) -> dict[str, str]:
    """What a caption may state of a table: worlds, n_true, d, m, k, steps, seeds and what they are of."""
    facts = {}
    for name in ("world", "n_true", "d", "m", "k", "steps"):
        column = "step" if name == "steps" else name
        values = present(table, column) if column in table.columns else []
        if values:
            shown = [f"{v:g}" if not isinstance(v, str) else v for v in values]
            facts[name] = f"{max(values):g}" if name == "steps" else listed(shown)
    scores = table.filter(pl.col("kind") == "score")
    worlds, seeds = (scores[name].drop_nulls().n_unique() for name in ("world_seed", "seed"))
    facts["seeds"] = str(max(seeds, worlds))
    facts["of"] = "worlds and weights" if worlds > 1 else "weights"
    return facts


class Swept(tuple[Any, ...]):
    """Values that --set gives one setting; a format of it is one of each."""

    def __format__(self, form: str) -> str:
        return listed([format(value, form) for value in self])


def captioned(template: str, table: pl.DataFrame, settings: Any = None) -> str:
    """The caption with its values, and what it must state and does not: sizes, steps, seeds."""
    facts = facts_of(table)
    options: dict[str, Any] = {}
    if is_dataclass(settings) and not isinstance(settings, type):
        options = asdict(settings)
        axes = axes_of(settings) if isinstance(settings, TrainFlags) else {}
        axes |= {"lr": tuple(present(table, "lr"))} if getattr(settings, "tune", False) else {}
        for name, values in axes.items():
            of = options["train"] if name in options["train"] else options if name == "m" else {}
            of |= {name: Swept(values)} if name in of else {}
    elif isinstance(settings, Mapping):
        options = dict(settings)
    text = template.format(**(facts | options)) if template else ""
    missing = [
        f"{name} = {facts[name]}" for name in ("n_true", "d", "m", "k") if name in facts and not _names(text, name)
    ]
    if "steps" in facts and not re.search(r"\b(steps?|samples)\b", text):
        missing.append(f"{facts['steps']} steps")
    if not re.search(r"\b(seeds?|models|starts)\b", text):
        missing.append(f"{facts['seeds']} seeds of {facts['of']}: median, 10-90 % band, points")
    if not missing:
        return text
    return (text.rstrip(".; ") + ". " if text else "") + ", ".join(missing) + "."


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){name}(?![\w])", text) is not None


def _fit_labels(figure: Drawn, panels: Sequence[Axes], columns: int) -> None:
    """Labels of axes in lines of a panel's size; rows that a panel shares with its left neighbour are named there."""
    names = [[text.get_text() for text in axes.get_yticklabels()] for axes in panels]
    for i, axes in enumerate(panels):
        worded = not all(re.fullmatch(r"[\d.,\-\u2212]*", text) for text in names[i])
        if i % columns and worded and names[i] == names[i - 1]:
            axes.set_yticks(axes.get_yticks(), [])
    figure.draw_without_rendering()
    letter = 0.55 * float(mpl.rcParams["font.size"]) / 72 * figure.dpi
    for axes in panels:
        box = axes.get_window_extent()
        axes.set_xlabel(_wrapped(axes.get_xlabel(), 1.05 * box.width / letter))
        axes.set_ylabel(_wrapped(axes.get_ylabel(), 1.0 * box.height / letter))
        axes.set_title(_wrapped(axes.get_title(), 1.05 * box.width / letter))


def _wrapped(text: str, letters: float) -> str:
    return "\n".join(textwrap.fill(line, max(8, int(letters)), break_long_words=False) for line in text.split("\n"))


def _legends(figure: Drawn, panels: Sequence[tuple[Drawable, Axes]], scene: Scene, columns: int) -> None:
    """Labels at the ends of lines where that fits, else a legend in a panel of lines of its own, else one for all."""
    figure.draw_without_rendering()
    shared: dict[str, Any] = {}
    for panel, axes in panels:
        lines, labels = axes.get_legend_handles_labels()
        handles = dict(zip(labels, lines, strict=True))
        how = getattr(panel, "legend", "shared")
        if how == "auto":
            own = not getattr(panel, "of_arms", True)
            drawn = _at_ends(axes, handles) if own or columns == 1 else {}
            handles = {label: handle for label, handle in handles.items() if label not in drawn}
            how = "own" if own and len(panels) > 1 else "shared"
        if how == "own" and handles:
            axes.legend(handles.values(), handles.keys(), frameon=True, framealpha=0.8, edgecolor="none")
        elif how == "shared":
            shared |= {label: handle for label, handle in handles.items() if label not in shared}
    if shared:
        order = [name for name in scene.looks if name in shared]
        _above(figure, {name: shared[name] for name in dict.fromkeys([*order, *shared])})


def _above(figure: Drawn, handles: Mapping[str, Any]) -> None:
    """One legend in as few lines as fit the width."""
    font = float(mpl.rcParams["legend.fontsize"])
    widths = [0.57 * font / 72 * len(label) + 4.6 * font / 72 for label in handles]
    room, count = 0.98 * figure.get_size_inches()[0], len(widths)

    def needed(columns: int) -> float:
        lines = -(-count // columns)
        return sum(max(widths[i : i + lines]) for i in range(0, count, lines))

    columns = next((n for n in range(count, 1, -1) if needed(n) <= room), 1)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=columns, frameon=False)


def _at_ends(axes: Axes, handles: Mapping[str, Any]) -> dict[str, Any]:
    """Labels at the right ends of lines; none where they would lie on each other or be long."""
    data = {label: line for label, line in handles.items() if getattr(line, "get_transform", str)() == axes.transData}
    lines = {label: line for label, line in data.items() if len(line.get_xydata()) > 1}
    font = float(mpl.rcParams["font.size"]) - 1
    box = axes.get_window_extent()
    if not lines or max(map(len, lines)) > 24:
        return {}
    ends, right = {}, []
    for label, line in lines.items():
        points = np.asarray(line.get_xydata(), dtype=float)
        x, y = axes.transData.transform(points[np.argmax(points[:, 0])])
        ends[label], _ = y, right.append(x)
    if min(right) < box.x1 - 0.25 * box.width:
        return {}
    gap = 1.15 * font * axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    placed = _apart(ends, gap, box.y0, box.y1)
    if placed is None:
        return {}
    for label, y in placed.items():
        at = (1.0, (y - box.y0) / box.height)
        put = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(label, at, fontsize=font, annotation_clip=False, **put)  # type: ignore[arg-type]
    return placed


def _apart(ends: Mapping[str, float], gap: float, low: float, high: float) -> dict[str, float] | None:
    """The heights moved until none is nearer to the next than the gap; None where one moves by most of a gap."""
    names = sorted(ends, key=lambda name: ends[name])
    at = [min(max(ends[name], low), high) for name in names]
    for _ in range(50):
        for i in range(len(at) - 1):
            short = gap - (at[i + 1] - at[i])
            if short > 0:
                at[i], at[i + 1] = at[i] - short / 2, at[i + 1] + short / 2
    moved = max(abs(y - ends[name]) for name, y in zip(names, at, strict=True))
    return dict(zip(names, at, strict=True)) if moved <= 0.8 * gap else None


def styled() -> AbstractContextManager[None]:
    """Our style within a block; the user's own settings are in force again behind it."""
    return mpl.rc_context(STYLE)


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float | int, float | int], **shape: Any
) -> tuple[mpl_figure.Figure, Any]:
    """A figure that pyplot knows nothing of, and its panels; for figures that are not declared yet.

    Args:
        rows: of panels.
        columns: of panels.
        figsize: width and height in inches.
        shape: options of `Figure.subplots`.
    """
    figure = Drawn(figsize=figsize, layout="constrained")
    return figure, figure.subplots(rows, columns, **shape)


# --- features --------------------------------------------------------------------------------------------------------

_STATUS = {"found": ("o", "#0072B2"), "near": ("^", "#D55E00"), "chance": ("x", "#7F7F7F"), "dead": ("s", "#CC79A7")}
"""shape and colour of each status"""
_HEIGHTS = {"cosine": "|cos| of feature and its latent", "f1": "F1 of feature and its latent"}


def feature_figure(frame: pl.DataFrame, y: Literal["cosine", "f1"] = "cosine") -> mpl_figure.Figure:
    """Rate of each feature against the cosine or F1 of its latent; shape and colour say the status.

    The upper end of the cosine axis is stretched (arcsine), where well-found features would lie on top of one another.
    Members of a stack lie in one panel, faint where there are many; a line shows the 95 % quantile of chance, and one
    the median of ten bins of rate.

    Args:
        frame: of `workbench.features`, or read back from its CSV.
        y: what is drawn upwards; features without a latent stand at 0.
    """
    members = frame["member"].n_unique()
    with styled():
        figure, panel = subplots(figsize=(6.4, 4.2))
        if y == "cosine":
            panel.set_yscale("function", functions=(_stretched, np.sin))
            panel.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1])
        panel.set(xscale="log", ylim=(-0.02, 1.002), xlabel="rate of the feature", ylabel=_HEIGHTS[y])
        alpha = max(0.25, 0.9 / members**0.5)
        for status, (marker, colour) in _STATUS.items():
            here = frame.filter(pl.col("status") == status)
            if len(here):
                label = f"{status} ({len(here) / members:.0f} of {len(frame) // members})"
                panel.plot(here["rate"], _height(here, y), marker, color=colour, label=label, markersize=4, alpha=alpha)
        rates, medians = medians_by_rate(frame, y)
        if len(rates):
            panel.plot(rates, medians, color="0.45", linewidth=1.2, label="median")
        if y == "cosine":
            panel.axhline(
                frame["chance"].max(), color=mpl.rcParams["text.color"], linestyle=":", label="95 % of chance"
            )
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _height(frame: pl.DataFrame, y: str) -> np.ndarray:
    return frame[y].cast(pl.Float64).abs().fill_null(0.0).to_numpy()


def _stretched(value: np.ndarray) -> np.ndarray:
    return np.arcsin(np.clip(value, -1, 1))
