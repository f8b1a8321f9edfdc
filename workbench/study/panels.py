"""Panels of figures, declared on the columns of a study's table: lines, dots, leads, heat maps, points.

A panel is a frozen dataclass with one method, `draw(axes, scene)`; so is a mark (a level, a formula's curve) that is
drawn into one. What no kind here covers is a small class in its study's folder.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import matplotlib as mpl
import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterMathtext, NullFormatter, NullLocator, StrMethodFormatter

from synthetic.base.errors import must
from workbench.study.questions import interval_of, lead, sign_change
from workbench.study.selection import COURSE, curve, grid, last_step, present, replicates, rows

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B3A29", "#7F7F7F")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
GREY = "0.45"
MOST_LINES = 5
LABELS = {
    "mcc": "mean |cos| of matched rows, MCC",
    "recall@.9": "share of features, cos ≥ .9",
    "f1": "macro-F1 over features",
    "fvu": "fraction of variance unexplained",
    "l0": "active latents a sample, L0",
    "dead": "share of latents that never fire",
    "samples": "samples seen",
    "step": "training step",
    "seconds": "seconds",
    "n_true": "true features, n_true",
    "d": "dimension d",
    "m": "latents m",
    "k": "active latents k",
    "lr": "learning rate",
}
"""what axes say of metrics and columns, unless a panel says it"""


@dataclass(frozen=True)
class Look:
    """How a line is told from others: in colour, and without it by marker and dash."""

    colour: str
    marker: str = "o"
    dash: Any = "-"


def look(i: int) -> Look:
    """The i-th look."""
    return Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])


Real = float | int
Names = Mapping[Any, str] | Callable[[Any], str] | str


def named(names: Names, value: Any) -> str:
    """What a value is called."""
    if isinstance(names, Mapping):
        return names[value]
    return names.format(value) if isinstance(names, str) else names(value)


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    label: str = ""
    log: bool | int | Literal["sym"] = False
    """or the base of the logarithm; "sym": linear from 0 to 1"""
    limits: tuple[Real | None, Real | None] | None = None
    ticks: Mapping[Any, str] | Sequence[Real] | None = None
    """by default at the values of a logarithmic axis, where there are at most nine"""


@dataclass(frozen=True)
class Scene:
    """What panels draw from: the rows of a table, how arms look in this figure, the settings of the run."""

    table: pl.DataFrame
    looks: Mapping[str, Look]
    settings: Any = None


@runtime_checkable
class Drawable(Protocol):
    """A panel, or a mark in one."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw into the axes."""
        ...


@dataclass(frozen=True)
class Series:
    """One line, or one row of dots: a metric of the rows that `at` selects."""

    label: str
    metric: str
    at: Mapping[str, Any] = field(default_factory=dict)
    look: Look | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What every kind of panel knows: its rows, its axes, marks."""

    place: Any = None
    """a place, several, or a function that picks from those in the table"""
    arms: Sequence[str] | None = None
    """by default those of the figure"""
    at: Mapping[str, Any] = field(default_factory=dict)
    """what else columns must hold"""
    title: str = ""
    across: Axis | str = ""
    """or its label alone"""
    up: Axis | str = ""
    marks: Sequence[Drawable] = ()
    legend: Literal["auto", "own", "shared", "none"] = "auto"
    """auto: shared for arms; else at the ends of lines where that fits, or in the panel"""

    @property
    def of_arms(self) -> bool:
        """Whether its lines are the figure's arms, which one legend names."""
        return getattr(self, "by", "arm") == "arm" and isinstance(getattr(self, "y", ""), str)

    def rows(self, scene: Scene, course: bool = False) -> pl.DataFrame:
        """The panel's rows, of the last step unless over the course of training."""
        found = rows(scene.table, place=self.place, **self.at)
        if self.arms is not None:
            found = found.filter(pl.col("arm").is_in(list(self.arms)))
        elif scene.looks:
            found = found.filter(pl.col("arm").is_null() | pl.col("arm").is_in(list(scene.looks)))
        return found if course or "step" in self.at else last_step(found)

    def dress(self, axes: Axes, scene: Scene, across: str = "", up: str = "") -> None:
        """Scales, marks, labels and ticks, once the data are drawn."""
        ends = [self.across if isinstance(self.across, Axis) else Axis(self.across)]
        ends.append(self.up if isinstance(self.up, Axis) else Axis(self.up))
        for end, name, default in zip(ends, "xy", (across, up), strict=True):
            _scale(axes, end, name, default)
        for mark in self.marks:
            mark.draw(axes, scene)
        axes.set_title(self.title)


def _scale(axes: Axes, end: Axis, name: str, default: str) -> None:
    axis = getattr(axes, f"{name}axis")
    axis.set_label_text(end.label or LABELS.get(default, default))
    if end.log == "sym":
        getattr(axes, f"set_{name}scale")("symlog", linthresh=1)
    elif end.log:
        getattr(axes, f"set_{name}scale")("log", base=10 if end.log is True else end.log)
    if end.limits:
        getattr(axes, f"set_{name}lim")(*end.limits)
    if end.ticks is not None:
        texts = end.ticks if isinstance(end.ticks, Mapping) else {v: f"{v:g}" for v in end.ticks}
        axis.set_ticks(list(texts), list(texts.values()))
        axis.set_minor_locator(NullLocator())


def _tick_values(axes: Axes, values: Sequence[Real]) -> None:
    """Ticks at the values of a logarithmic axis where they are few; powers of ten over many decades."""
    values = [v for v in values if v > 0]
    if axes.get_xscale() != "log" or not values:
        return
    if len(values) <= 7:
        axes.xaxis.set_ticks(values, [f"{v:.3g}" if v < 1000 else f"{v:,g}" for v in values])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        wide = max(values) / min(values) > 100
        axes.xaxis.set_major_formatter(LogFormatterMathtext() if wide else StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def ink() -> str:
    """The foreground colour: black, unless the user's own style is dark."""
    return str(mpl.rcParams["text.color"])


def draw_band(
    axes: Axes,
    x: Sequence[float | int],
    values: Sequence[Sequence[float]],
    how: Look | str,
    label: str | None = None,
    **line: Any,
) -> None:
    """Median over seeds with its 10-90 % band and the points.

    Args:
        axes: where to draw.
        x: positions.
        values: one list of seeds' values a position.
        how: look of all three, or their colour.
        label: for a legend.
        line: options of the median's line.
    """
    low, middle, high = np.array([np.quantile(v, (0.1, 0.5, 0.9)) for v in values]).T
    style: dict[str, Any] = {"color": how, "linewidth": 1.6, "label": label}
    if isinstance(how, Look):
        sparse = {"marker": how.marker, "markersize": 3.5 if how.marker != "*" else 5}
        style |= {"color": how.colour, "linestyle": how.dash} | sparse
    axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(x, middle, **(style | line))
    spread = [(at, v) for at, seeds in zip(x, values, strict=True) for v in seeds]
    axes.plot(*zip(*spread, strict=True), ".", color=style["color"], markersize=2.5, alpha=0.55)


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Medians over seeds with the 10-90 % band and points, chance, each line's ceiling, and what a theory predicts."""

    y: str | Mapping[str, str] | Sequence[Series]
    """a metric; several (metric -> label) with by="metric"; or lines of one's own"""
    over: str = "x"
    """a column, or a metric, whose median places each setting"""
    by: str = "arm"
    """the column that tells lines apart"""
    names: Names = "{}"
    """value of that column -> label, a format of it, or a function; values that a mapping lacks are left out"""
    looks: Mapping[Any, Look] = field(default_factory=dict)
    chance: bool = True
    ceiling: str = "ceiling: own encoder, true dictionary"
    """what rows of that kind are; none drawn where empty"""
    predicted: str = ""
    """a metric that a theory gives, drawn dashed in each line's colour"""
    floor: Real | None = None
    """values below are drawn there"""
    change: Callable[[Any], Any] | None = None
    """of every value, such as 1 - v"""
    joined: bool = True
    """False: marks alone"""
    course: bool = False
    """every step counts, as over steps, and not the last one alone"""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw each line, its ceiling and prediction, then the chance level."""
        table = self.rows(scene, course=self.course or self.over in COURSE)
        lines = list(series_of(self, table, scene, self.names))
        _must_be_few(len(lines), f"Lines(y={self.y!r})" if isinstance(self.y, str) else "Lines", "lines")
        positions: set[float] = set()
        for line in lines:
            own = rows(table, **line.at)
            drawn = curve(own, line.metric, self.over, what=f"Lines, {line.label}")
            if not drawn:
                continue
            how = line.look or look(0)
            positions |= {float(x) for x, _ in drawn}
            style = {} if self.joined else {"linestyle": "none"}
            x, values = zip(*drawn, strict=True)
            draw_band(axes, x, [self._shown(v) for v in values], how, line.label, **style)
            self._beside(axes, own, line, how)
        if self.chance:
            self._chance(axes, table, lines)
        if self.ceiling and not rows(table, kind="ceiling", metric=tuple(line.metric for line in lines)).is_empty():
            axes.plot([], [], color=ink(), linestyle=":", linewidth=1.2, label=self.ceiling)
        up = next((line.metric for line in lines), "") if isinstance(self.y, str) else ""
        self.dress(axes, scene, self.over, up)
        end = self.across if isinstance(self.across, Axis) else Axis()
        if end.ticks is None:
            _tick_values(axes, sorted(positions))

    def _shown(self, values: Sequence[Real]) -> list[float]:
        changed = [self.change(v) for v in values] if self.change else values
        return [v if self.floor is None else max(v, self.floor) for v in changed]

    def _beside(self, axes: Axes, own: pl.DataFrame, line: Series, how: Look) -> None:
        """A line's ceiling and its prediction."""
        top = curve(own, line.metric, self.over, "ceiling") if self.ceiling else ()
        if top:
            x, values = zip(*top, strict=True)
            middle = [float(np.median(self._shown(v))) for v in values]
            axes.plot(x, middle, color=how.colour, linestyle=":", linewidth=1.2)
        theory = curve(own, self.predicted, self.over) if self.predicted else ()
        if theory:
            x, values = zip(*theory, strict=True)
            axes.plot(x, [float(np.mean(self._shown(v))) for v in values], "--", color=how.colour, linewidth=1.2)

    def _chance(self, axes: Axes, table: pl.DataFrame, lines: Sequence[Series]) -> None:
        """The median chance level of all lines of a metric, by position."""
        for metric in dict.fromkeys(line.metric for line in lines):
            groups: dict[float, list[float]] = {}
            for line in lines:
                for x, values in curve(rows(table, **line.at), metric, self.over, "null"):
                    groups.setdefault(float(x), []).extend(values)
            if not groups:
                continue
            x = sorted(groups)
            style: dict[str, Any] = {"marker": "_"} if len(x) == 1 else {}
            axes.plot(
                x,
                [np.median(self._shown(groups[v])) for v in x],
                color=GREY,
                linestyle="--",
                linewidth=1.2,
                label="chance",
                **style,
            )


def _must_be_few(count: int, what: str, of: str) -> None:
    advice = "split it (`Figure.parts` makes groups of arms), or make it a Medians table"
    must(count <= MOST_LINES, what, f"at most {MOST_LINES} {of} a panel", count, advice)


def series_of(panel: Any, table: pl.DataFrame, scene: Scene, names: Names) -> Iterator[Series]:
    """The lines of a panel that tells them apart `by` a column, each with its look."""
    if not isinstance(panel.y, str | Mapping):
        for i, one in enumerate(panel.y):
            if not rows(table, metric=one.metric, **one.at).is_empty():
                yield one if one.look else replace(one, look=look(i))
        return
    metrics = {panel.y: panel.y} if isinstance(panel.y, str) else panel.y
    if panel.by == "metric":
        for i, (metric, label) in enumerate(metrics.items()):
            if metric in table["metric"]:
                yield Series(label, metric, {}, panel.looks.get(metric, look(i)))
        return
    (metric,) = metrics
    has = set(present(table.filter(pl.col("metric") == metric, pl.col("kind") == "score"), panel.by))
    known = list(names) if isinstance(names, Mapping) else None
    order = [a for a in scene.looks if a in has] if panel.by == "arm" else present(table, panel.by)
    for i, value in enumerate(known or order):
        if value in has:
            default = scene.looks.get(value) if panel.by == "arm" else None
            yield Series(named(names, value), metric, {panel.by: value}, panel.looks.get(value, default or look(i)))


@dataclass(frozen=True, kw_only=True)
class Dots(Panel):
    """A row an arm (or place): points of all seeds, their 10-90 % range, the median; values run across."""

    y: str | Mapping[str, str] | Sequence[Series]
    """a metric, or several with by="metric" """
    rows_by: str = "arm"
    """the column whose values are rows"""
    names: Mapping[Any, str] | None = None
    """value of a row -> its label; rows without one are left out"""
    by: str = "metric"
    """what is set side by side in a row: metrics, or the values of a column"""
    looks: Mapping[Any, Look] = field(default_factory=dict)
    chance: bool = True

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the rows from above."""
        table = self.rows(scene)
        has = present(table, self.rows_by)
        names = self.names or {value: str(value) for value in has}
        names = {value: name for value, name in names.items() if value in has}
        series = list(series_of(self, table, scene, "{}"))
        _must_be_few(len(series), "Dots", "dots a row")
        step = 0.75 / max(len(series), 4)
        for i, value in enumerate(names):
            own = rows(table, **{self.rows_by: value})
            for j, one in enumerate(series):
                self._row(axes, rows(own, **one.at), one, i + step * (j - (len(series) - 1) / 2), scene)
        axes.set_yticks(range(len(names)), list(names.values()))
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.grid(visible=False, axis="y")
        self.dress(axes, scene, self.y if isinstance(self.y, str) else "")

    def _row(self, axes: Axes, own: pl.DataFrame, one: Series, y: float, scene: Scene) -> None:
        values = list(replicates(own, one.metric, what=f"Dots, {one.label}").values())
        if not values:
            return
        single = one.label == one.metric and self.rows_by == "arm"  # a row is its arm: coloured so
        how = (scene.looks.get(own["arm"][0] or "") if single else one.look) or one.look or look(0)
        axes.plot(values, [y] * len(values), ".", color=how.colour, markersize=3, alpha=0.55)
        axes.plot(np.quantile(values, (0.1, 0.9)).tolist(), [y, y], color=how.colour, linewidth=1.2)
        label = None if single else one.label or None
        axes.plot(np.median(values), y, how.marker, color=how.colour, markersize=4.5, label=label)
        null = [v for v in replicates(own, one.metric, "null").values()] if self.chance else []
        if null:
            tick = [y - 0.09, y + 0.09]
            axes.plot([float(np.median(null))] * 2, tick, color=GREY, linewidth=1.4, label="chance")


@dataclass(frozen=True, kw_only=True)
class Leads(Panel):
    """Mean lead of one arm on others, paired by seed: 95 % interval, points, a triangle where it changes sign."""

    of: str
    on: str | Sequence[str]
    y: str | Sequence[str]
    """a metric; several stand side by side where over="metric" """
    over: str = "x"
    """a column, or "metric" for these side by side"""
    names: Names = "{}"
    by: ClassVar[str] = "place"
    """lines; with several rivals these"""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw zero, then each line."""
        table = self.rows(replace(scene, looks={}))
        axes.axhline(0, color=GREY, linewidth=1.2)
        rivals = (self.on,) if isinstance(self.on, str) else self.on
        lines: list[tuple[str, str, Any]] = (
            [(rival, rival, None) for rival in rivals] if len(rivals) > 1 else
            [(named(self.names, v), rivals[0], v) for v in self._values(table)]
        )  # fmt: skip
        _must_be_few(len(lines), "Leads", "lines")
        for i, (label, rival, value) in enumerate(lines):
            own = table if value is None else rows(table, **{self.by: value})
            how = scene.looks.get(rival, look(i)) if len(rivals) > 1 else look(i)
            shift = (i - (len(lines) - 1) / 2) / 8 if self.over == "metric" else 0.0
            self._line(axes, own, rival, how, label, shift)
        if self.over == "metric":
            metrics = (self.y,) if isinstance(self.y, str) else self.y
            axes.set_xticks(range(len(metrics)), list(metrics))
        self.dress(axes, scene, "" if self.over == "metric" else self.over, f"{self.of} less {' or '.join(rivals)}")

    def _values(self, table: pl.DataFrame) -> list[Any]:
        of = present(table.filter(pl.col("arm") == self.of), self.by)
        return [v for v in of if not isinstance(self.names, Mapping) or v in self.names]

    def _line(self, axes: Axes, own: pl.DataFrame, rival: str, how: Look, label: str, shift: float) -> None:
        metrics = (self.y,) if isinstance(self.y, str) else self.y
        both = own.filter(pl.col("arm") == self.of, pl.col("metric").is_in(list(metrics)))
        spots = (
            list(enumerate(metrics)) if self.over == "metric" else [(x, metrics[0]) for x in present(both, self.over)]
        )
        found, seeds = [], []
        for x, metric in spots:
            (difference,) = lead(self.of, rival, metric)
            at = own if self.over == "metric" else rows(own, **{self.over: x})
            numbers = difference.read(at)
            found.append(interval_of(numbers)[0])
            seeds += [(x + shift, v) for v in numbers.values()]
        x = [at + shift for at, _ in spots]
        line: dict[str, Any] = {"color": how.colour, "marker": how.marker, "markersize": 4, "label": label}
        line |= {"linestyle": "none" if self.over == "metric" else how.dash, "linewidth": 1.6, "capsize": 2.5}
        half = [one.half if np.isfinite(one.half) else 0.0 for one in found]
        axes.errorbar(x, [one.mean for one in found], half, **line)
        axes.plot(*zip(*seeds, strict=True), ".", color=how.colour, markersize=2.5, alpha=0.5)
        if self.over != "metric":
            at = sign_change(x, found)[0]
            if at > x[0]:
                edge = {"markeredgecolor": ink(), "markeredgewidth": 0.6}
                axes.plot(at, 0, "v", color=how.colour, markersize=6, zorder=5, **edge)


@dataclass(frozen=True, kw_only=True)
class Heat(Panel):
    """Medians over two columns: cells of equal size with their digits, an outline round those that reach a level."""

    y: str
    over: tuple[str, str] = ("x", "d")
    """columns across and up"""
    level: Real | None = None
    span: tuple[Real | None, Real | None] = (0.0, 1.0)
    """values of the darkest and the brightest cell; None: those there are"""
    bar: str = ""
    """label of the colour bar; none where empty"""
    names: tuple[Names, Names] = ("{:.3g}", "{:.3g}")
    """what ticks across and up are called"""
    divided: tuple[Callable[[Scene], Any] | Real, Callable[[Scene], Any] | Real] = (1.0, 1.0)
    """what ticks are divided by"""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the map and its colour bar."""
        x, y, values = grid(self.rows(scene), self.y, self.over)
        ticks = [
            [v / (by(scene) if callable(by) else by) for v in t] for t, by in zip((x, y), self.divided, strict=True)
        ]
        across, up = ([named(names, v) for v in t] for names, t in zip(self.names, ticks, strict=True))
        image = heat(axes, across, up, values, self.level, self.span)
        if self.bar:
            axes.get_figure(root=True).colorbar(image, ax=axes, label=self.bar, pad=0.02)  # type: ignore[union-attr]
        self.dress(axes, scene, *self.over)


def heat(
    axes: Axes,
    across: Sequence[str],
    up: Sequence[str],
    values: Float[np.ndarray, "y x"],
    level: Real | None = None,
    span: tuple[Real | None, Real | None] = (0.0, 1.0),
) -> Any:
    """Draw values with their digits and the names of ticks; a heavy outline goes round cells that reach the level."""
    image = axes.imshow(values, origin="lower", aspect="auto", cmap="cividis", vmin=span[0], vmax=span[1])
    bright = np.asarray(image.norm(values)) if values.size else values
    for i, line in enumerate(values if values.size <= 250 else ()):
        for j, value in enumerate(line):
            if np.isfinite(value):
                text = f"{value:.2f}".removeprefix("0") if value < 0.995 else f"{value:.3g}"
                colour = "black" if bright[i, j] > 0.55 else "white"
                axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=colour)
    if level is not None:
        _outline(axes, values >= level)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(up)), up)
    axes.grid(visible=False)
    return image


def _outline(axes: Axes, inside: np.ndarray) -> None:
    """Edges between cells inside and outside."""
    padded = np.pad(inside, 1)
    for i, j in zip(*np.nonzero(padded[1:, 1:] != padded[:-1, 1:]), strict=True):
        axes.plot([j - 0.5, j + 0.5], [i - 0.5, i - 0.5], color="#D55E00", linewidth=1.8)
    for i, j in zip(*np.nonzero(padded[1:, 1:] != padded[1:, :-1]), strict=True):
        axes.plot([j - 0.5, j - 0.5], [i - 0.5, i + 0.5], color="#D55E00", linewidth=1.8)


@dataclass(frozen=True, kw_only=True)
class Points(Panel):
    """One metric against another, a point a replicate; or against a column, a point a row."""

    y: str | Sequence[Series]
    over: str = "x"
    """a column or a metric"""
    by: str = "arm"
    names: Names = "{}"
    looks: Mapping[Any, Look] = field(default_factory=dict)
    joined: str = ""
    """medians at the values of this column joined by a line, larger marks for larger values"""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw each cloud or path."""
        table = self.rows(scene)
        for one in series_of(self, table, scene, self.names):
            own, how = rows(table, **one.at), one.look or look(0)
            if self.joined:
                self._path(axes, own, one, how)
                continue
            x, y = self._pairs(own, one.metric)
            if len(x):
                axes.plot(x, y, how.marker, color=how.colour, markersize=3.5, alpha=0.6, linestyle="", label=one.label)
        self.dress(axes, scene, self.over, self.y if isinstance(self.y, str) else "")

    def _pairs(self, own: pl.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
        scores = own.filter(pl.col("kind") == "score")
        up = scores.filter(pl.col("metric") == metric)
        if self.over in own.columns:
            return up[self.over].to_numpy(), up["value"].to_numpy()
        by = ["place", "x", "arm", "setting", "world_seed", "seed", "n_true", "d", "m", "k", "lr", "step"]
        side = scores.filter(pl.col("metric") == self.over).select(*by, pl.col("value").alias("_x"))
        both = up.join(side, on=by, nulls_equal=True, maintain_order="left")
        return both["_x"].to_numpy(), both["value"].to_numpy()

    def _path(self, axes: Axes, own: pl.DataFrame, one: Series, how: Look) -> None:
        spots = [self._pairs(rows(own, **{self.joined: v}), one.metric) for v in present(own, self.joined)]
        x, y = ([float(np.median(pair[i])) for pair in spots if len(pair[i])] for i in (0, 1))
        axes.plot(x, y, color=how.colour, linestyle=how.dash, linewidth=1.2, label=one.label)
        axes.scatter(x, y, [10 + 12 * i for i in range(len(x))], color=how.colour, marker=how.marker)


@dataclass(frozen=True)
class Level:
    """A line across at a value, a function of the scene, or the median of a metric at rows."""

    at: Real | str | Callable[[Scene], Any]
    label: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "score"
    upright: bool = False
    """a line from bottom to top instead"""
    colour: str = GREY
    dash: Any = "--"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the line behind the data."""
        if isinstance(self.at, str):
            own = last_step(rows(scene.table, metric=self.at, kind=self.kind, **self.where))
            if own.is_empty():
                return
            value = float(np.median(own["value"].to_numpy()))
        else:
            value = self.at(scene) if callable(self.at) else self.at
        line = axes.axvline if self.upright else axes.axhline
        line(value, color=self.colour, linestyle=self.dash, linewidth=1.2, label=self.label or None, zorder=1.5)


@dataclass(frozen=True)
class Formula:
    """A curve y = of(x) that a theory gives, over the width of the panel."""

    of: Callable[[Float[np.ndarray, " n"]], Any]
    label: str = ""
    between: tuple[Real, Real] | None = None
    colour: str = ""
    """the foreground's where empty"""
    dash: Any = "-"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the curve and leave the limits of the panel."""
        low, high = self.between or axes.get_xlim()
        limits = axes.get_xlim(), axes.get_ylim()
        space = np.geomspace if axes.get_xscale() == "log" else np.linspace
        x = space(low, high, 200)
        colour = self.colour or ink()
        axes.plot(x, self.of(x), color=colour, linestyle=self.dash, linewidth=1.2, label=self.label or None)
        if not self.between:
            axes.set(xlim=limits[0], ylim=limits[1])


@dataclass(frozen=True)
class Trace:
    """A metric's medians over a column as a plain line: a prediction, a floor, another run."""

    y: str
    label: str = ""
    over: str = "x"
    where: Mapping[str, Any] = field(default_factory=dict)
    colour: str = ""
    dash: Any = "--"
    change: Callable[[Any], Any] | None = None

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the medians."""
        own = rows(scene.table, metric=self.y, kind="score", **self.where)
        if self.over not in COURSE:
            own = last_step(own)
        medians = own.group_by(self.over).agg(pl.col("value").median()).sort(self.over)
        y = [self.change(v) if self.change else v for v in medians["value"]]
        style: dict[str, Any] = {"color": self.colour or ink(), "linestyle": self.dash, "linewidth": 1.2}
        axes.plot(medians[self.over], y, label=self.label or None, **style)


@dataclass(frozen=True)
class Shade:
    """A grey stretch of the axis across."""

    low: Real
    high: Real
    label: str = ""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the stretch behind the data."""
        axes.axvspan(self.low, self.high, color=GREY, alpha=0.12, linewidth=0, label=self.label or None)
