"""Figures and findings of the phase diagrams of bias adaptation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from experiments.bias.settings import middle
from experiments.bias.transition import crossing, exponent, tick_place
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Heat, Level, Lines, Scene
from workbench.study.selection import grid, present, rows
from workbench.theory.bias import frequency_limits, width

Finding = tuple[str, str]
FRR = "features recovered, cos > .9"
RATIO = "target rate over feature rate, p / f"
_ABOUT = (
    "Bias adaptation, {output} output, {steps} steps of {train[batch]}, Adam {train[lr]:g}, gamma {gamma:g} every "
    "{period} steps; {seeds} seeds of {of}: medians, 10-90 % bands, points; heavy line: FRR .9."
)


@dataclass(frozen=True)
class Limits:
    """The theorem's window of p / f at each dimension, with constants 1."""

    low: list[float]
    high: list[float]
    per_feature: float
    """features over features a sample, 1 / f"""

    @classmethod
    def of(cls, table: pl.DataFrame) -> "Limits":
        """Those of the map of frequencies."""
        own = rows(table, place="frequency")
        n, s = int(own["n_true"][0]), int(own["s"][0])
        limits = [frequency_limits(n, d, s) for d in present(own, "d")]
        high = [min(v.wrong_features, v.pairs, v.dimension) * n / s for v in limits]
        return cls([v.lower * n / s for v in limits], high, n / s)


@dataclass(frozen=True)
class Window:
    """The theorem's window on a map whose columns are p / f and whose rows are dimensions."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw both limits, p = f, and the theorem's reading p = sqrt(f)."""
        own = rows(scene.table, place="frequency")
        x, count, limits = present(own, "x"), len(present(own, "d")), Limits.of(scene.table)
        span = [-0.5, *range(count), count - 0.5]
        for ends, dash, label in ((limits.low, "--", "lower limit"), (limits.high, "-", "upper limit")):
            at = [tick_place(x, v) for v in (ends[0], *ends, ends[-1])]
            axes.plot(at, span, dash, color=COLOURS[5], linewidth=2, label=f"theorem, {label}")
        axes.axvline(tick_place(x, 1.0), color="0.6", linestyle=":", linewidth=1.5, label="p = f")
        root = tick_place(x, limits.per_feature**0.5)
        axes.axvline(root, color=COLOURS[3], linestyle="-.", label="p = sqrt(f), its reading")
        axes.set(xlim=(-0.5, len(x) - 0.5), ylim=(-0.5, count - 0.5))


def _map(place: str, up: str, label: str, across: str = RATIO, **more: object) -> Heat:
    """Medians of FRR on a map."""
    return Heat(y="recall@.9", over=("x", up), place=place, level=0.9, bar=FRR, across=across, up=label, **more)  # type: ignore[arg-type]


_BY_D = Lines(
    y="recall@.9",
    over="d",
    by="n_true",
    names="n_true = {}",
    place=("frequency", "row"),
    at={"x": middle},
    across=Axis("dimension d, p / f nearest 1.41", log=True),
    up=Axis(FRR, limits=(-0.03, 1.03)),
    legend="own",
)
_SCALED = replace(_BY_D, over="scaled", across=Axis("d / sqrt(n_true)", log=True, ticks=(1, 2, 4, 8)))
_BY_RHO = replace(_BY_D, place="partners", at={}, chance=False)
_BOUND = Level(lambda scene: 1 / scene.table["s"][0], "1/s", upright=True, dash=":")
_PUBLISHED = Level(1.0, "published: rho_2 = n_true^(-1/2)", upright=True)
FIGURES = {
    "frequency": Figure(
        "frequency",
        [_map("frequency", "d", "dimension d", marks=(Window(),), legend="shared"), _BY_D, _SCALED],
        _ABOUT + " Limits with constants 1; dashed right: random rows.",
        widths=(1.9, 1, 1),
    ),
    "partners": Figure(
        "partners",
        [
            replace(_BY_RHO, over="rho", across="co-occurrence rho_2", marks=(_BOUND,)),
            replace(_BY_RHO, over="scaled", across="rho_2 sqrt(n_true)", marks=(_PUBLISHED,)),
        ],
        _ABOUT,
        share="y",
    ),
    "width": Figure(
        "width",
        [_map("width", "m", "latents over features, m / n_true", divided=(1.0, lambda scene: scene.settings.n_true))],
        _ABOUT,
        size=(6.0, 3.6),
    ),
    "groups": Figure(
        "groups",
        [_map("groups", "groups", "groups K", "highest target rate (HTF)")],
        _ABOUT + " Lowest target .001 (K = 1: the highest alone).",
        size=(6.0, 3.6),
    ),
}


def findings(table: pl.DataFrame) -> Table:
    """What the maps that were drawn say, beside the theorem."""
    shown = Table("finding", "figure", title="phase diagrams of bias adaptation")
    for name, finders in FINDERS.items():
        for find in finders if name in set(table["place"]) else ():
            for finding in find(table):
                shown.add_row(*finding)
    return shown


def _figure(value: float, digits: int = 2) -> str:
    """A number, or that there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "not crossed"


def _transitions(table: pl.DataFrame, across: str) -> dict[int, float]:
    """Where median FRR passes .5, by n_true."""
    own = rows(table, metric="recall@.9", kind="score")
    places = {}
    for n in present(own, "n_true"):
        curve = rows(own, n_true=n).group_by(across).agg(pl.col("value").median()).sort(across)
        places[n] = crossing(curve[across].to_list(), curve["value"].to_list(), 0.5)
    return places


def _window(table: pl.DataFrame) -> Iterator[Finding]:
    (ratios, _, medians), limits = grid(rows(table, place="frequency"), "recall@.9", ("x", "d")), Limits.of(table)
    inside = np.array([[a <= r <= b for r in ratios] for a, b in zip(limits.low, limits.high, strict=True)])
    good = medians >= 0.9
    yield "cells where the theorem's window and FRR >= .9 disagree", f"{(inside != good).mean():.0%} of {good.size}"
    yield "cells recovered; those of them in the window", f"{good.sum()}; {(good & inside).sum()}"


def _critical(table: pl.DataFrame) -> Iterator[Finding]:
    """Critical dimensions, and how they grow with the number of features."""
    own = rows(table, place=("frequency", "row"), x=middle)
    ratio, places = own["x"][0], _transitions(own, "d")
    name = f"critical d of runs this long, where FRR is .5 at p = {ratio:g} f, at n_true"
    yield from ((f"{name} = {n}", _figure(d, 1)) for n, d in places.items())
    if len(places) > 1:
        power = _figure(exponent(list(places), list(places.values())))
        yield "it grows as n_true to the power, at this length", f"{power}; .5 as published"


def _falls(table: pl.DataFrame) -> Iterator[Finding]:
    """Which co-occurrence stops recovery, and whether it falls with the number of features."""
    places = _transitions(rows(table, place="partners"), "rho")
    yield from ((f"rho_2 where FRR falls to .5, n_true = {n}", _figure(p)) for n, p in places.items())
    power = _figure(exponent(list(places), list(places.values())))
    yield "it goes as n_true to the power", f"{power}; -.5 as published, 0 by our bound"


def _width(table: pl.DataFrame) -> Iterator[Finding]:
    own = rows(table, place="width")
    ratios, widths, medians = grid(own, "recall@.9", ("x", "m"))
    n, s, ratio = int(own["n_true"][0]), int(own["s"][0]), middle(ratios)
    enough = [m / n for m, line in zip(widths, medians, strict=True) if line.max() >= 0.9]
    yield "least m / n_true with FRR >= .9 at some p", f"{min(enough):g}" if enough else "none"
    yield f"m / n_true that the theorem asks for at p = {ratio:g} f", f"{width(n, ratio * s / n, s) / n:.3g}"


def _best(table: pl.DataFrame) -> Iterator[Finding]:
    rates, groups, medians = grid(rows(table, place="groups"), "recall@.9", ("x", "groups"))
    for k, line in zip(groups, medians, strict=True):
        yield f"best FRR with K = {k:g}", f"{line.max():.2f} at HTF {rates[int(line.argmax())]:g}"


FINDERS = {"frequency": (_window, _critical), "width": (_width,), "partners": (_falls,), "groups": (_best,)}
"""map -> what is said of it"""
