"""Figures and findings of the phase diagrams of bias adaptation, from the table of a run alone."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from experiments.bias.transition import crossing, exponent
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band, heat, tick_place
from workbench.theory.bias import frequency_limits, width

Finding = tuple[str, str]
Drawn = tuple[list[Path], list[Finding]]
FRR = "features recovered, cos > .9"
RATIO = "target rate over feature rate, p / f"


def _told(value: float, digits: int = 2) -> str:
    """A place, or that there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "not crossed"


def middle(ratios: Sequence[float | int]) -> float:
    """The p / f nearest 1.41, at which sizes are compared."""
    return min(ratios, key=lambda r: abs(math.log(r / 1.41)))


def grid(frame: pl.DataFrame, x: str, y: str) -> tuple[list[float | int], list[float | int], np.ndarray]:
    """Ticks of both axes and the median FRR over seeds, (y, x)."""
    own = frame.filter(pl.col("metric") == "recall@.9").group_by(x, y).agg(pl.col("value").median())
    xs, ys = sorted(own[x].unique().to_list()), sorted(own[y].unique().to_list())
    found = {(a, b): v for a, b, v in own.select(x, y, "value").iter_rows()}
    return xs, ys, np.array([[found[a, b] for a in xs] for b in ys])


def by_seed(frame: pl.DataFrame, x: str, metric: str = "recall@.9") -> dict[float | int, list[float]]:
    """Values of all seeds at each position, in order."""
    own = frame.filter(pl.col("metric") == metric)
    return {key: own.filter(pl.col(x) == key)["value"].to_list() for key in sorted(own[x].unique().to_list())}


def draw_frequency(frame: pl.DataFrame, caption: str, stem: Path) -> Drawn:
    """The map of p / f by d with the theorem's window, and FRR against d at two sizes."""
    own = frame.filter(pl.col("map") == "frequency")
    n, s, m = (int(own[name][0]) for name in ("n_true", "s", "m"))
    x, y, values = grid(own, "ratio", "d")
    limits = [frequency_limits(n, d, s) for d in y]
    low = [v.lower * n / s for v in limits]
    high = [min(v.wrong_features, v.pairs, v.dimension) * n / s for v in limits]
    inside = np.array([[a <= r <= b for r in x] for a, b in zip(low, high, strict=True)])
    good = values >= 0.9
    with styled():
        figure, panels = subplots(1, 3, figsize=(13, 4.8), width_ratios=(1.9, 1, 1))
        image = heat(panels[0], x, y, values, level=0.9)
        figure.colorbar(image, ax=panels[0], label=FRR, pad=0.01)
        span = [-0.5, *range(len(y)), len(y) - 0.5]
        for ends, style, label in ((low, "--", "theorem, lower limit"), (high, "-", "theorem, upper limit")):
            at = [tick_place(x, v) for v in (ends[0], *ends, ends[-1])]
            panels[0].plot(at, span, style, color="#56B4E9", linewidth=2, label=label)
        panels[0].axvline(tick_place(x, 1.0), color="white", linestyle=":", linewidth=1.5, label="p = f")
        panels[0].axvline(
            tick_place(x, (n / s) ** 0.5), color="#CC79A7", linestyle="-.", label="p = sqrt(f), its reading"
        )
        panels[0].set(xlabel=RATIO, ylabel="dimension d", xlim=(-0.5, len(x) - 0.5), ylim=(-0.5, len(y) - 0.5))
        legend = panels[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=8)
        for line in legend.get_lines():
            line.set_color("0.6" if line.get_color() == "white" else line.get_color())
        found = [
            (
                "cells where the theorem's window and FRR >= .9 disagree",
                f"{(inside != good).mean():.0%} of {good.size}",
            ),
            ("cells recovered; those of them in the window", f"{good.sum()}; {(good & inside).sum()}"),
            *_critical(frame, list(panels[1:])),
        ]
        panels[1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8)
        rest = (
            f" n_true = {n}, s = {s}, m = {m / n:g} n_true; heavy line: FRR .9; limits with constants 1; dashed right: "
        )
        rest += "random rows."
        return finish(figure, caption + rest, stem), found


def _critical(frame: pl.DataFrame, panels: Sequence[Axes]) -> list[Finding]:
    """FRR against d and against d / sqrt(n_true), and the critical dimensions."""
    ratio = middle(frame["ratio"].unique().to_list())
    own = frame.filter(pl.col("ratio") == ratio)
    sizes, places = sorted(own["n_true"].unique().to_list()), []
    for colour, n in zip(COLOURS, sizes, strict=False):
        curve, chance = (by_seed(own.filter(pl.col("n_true") == n), "d", f"recall@.9{end}") for end in ("", "_null"))
        places.append(crossing(list(curve), [float(np.median(v)) for v in curve.values()], 0.5))
        for panel, by in zip(panels, (1.0, n**0.5), strict=True):
            at = [d / by for d in curve]
            draw_band(panel, at, list(curve.values()), colour, f"n_true = {n}")
            panel.plot(at, [float(np.median(v)) for v in chance.values()], "--", color=colour, linewidth=1)
            panel.set(xscale="log", ylim=(-0.03, 1.03))
    panels[0].set(xlabel="dimension d", ylabel=f"features recovered at p = {ratio:g} f")
    panels[1].set(xlabel="d / sqrt(n_true)")
    ticks = sorted(own["d"].unique().to_list())[::2]
    panels[0].set_xticks(ticks, [str(d) for d in ticks])
    panels[1].set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    for panel in panels:
        panel.minorticks_off()
    name = f"critical d of runs this long, where FRR is .5 at p = {ratio:g} f, at n_true"
    found = [(f"{name} = {n}", _told(d, 1)) for n, d in zip(sizes, places, strict=True)]
    power = f"{_told(exponent(sizes, places))}; .5 as published"
    return [*found, ("it grows as n_true to the power, at this length", power)] if len(sizes) > 1 else found


def draw_partners(frame: pl.DataFrame, caption: str, stem: Path) -> Drawn:
    """FRR against rho_2 and against rho_2 sqrt(n_true): which of the two collapses?"""
    sizes, places = sorted(frame["n_true"].unique().to_list()), []
    s, d = int(frame["s"][0]), int(frame["d"][0])
    with styled():
        figure, panels = subplots(1, 2, figsize=(9.5, 4), sharey=True)
        for colour, n in zip(COLOURS, sizes, strict=False):
            curve = by_seed(frame.filter(pl.col("n_true") == n), "rho")
            places.append(crossing(list(curve), [float(np.median(v)) for v in curve.values()], 0.5))
            for panel, by in zip(panels, (1.0, n**-0.5), strict=True):
                draw_band(panel, [rho / by for rho in curve], list(curve.values()), colour, f"n_true = {n}")
        panels[0].axvline(1 / s, color="0.4", linestyle=":", label="1/s")
        panels[1].axvline(1.0, color="0.4", linestyle="--", label="published: rho_2 = n_true^(-1/2)")
        panels[0].set(xlabel="co-occurrence rho_2", ylabel=FRR, ylim=(-0.03, 1.03))
        panels[1].set(xlabel="rho_2 sqrt(n_true)")
        shared_legend(figure, list(panels), 6)
        found = [(f"rho_2 where FRR falls to .5, n_true = {n}", _told(p)) for n, p in zip(sizes, places, strict=True)]
        found += [
            ("it goes as n_true to the power", f"{_told(exponent(sizes, places))}; -.5 as published, 0 by our bound")
        ]
        rest = f" d = {d}, s = {s}, p = {frame['ratio'][0]:g} f; bands 10-90 %, points: seeds."
        return finish(figure, caption + rest, stem), found


def draw_widths(frame: pl.DataFrame, caption: str, stem: Path) -> Drawn:
    """Latents over features against target frequencies, and the width that the theorem asks for."""
    n, s, d = (int(frame[name][0]) for name in ("n_true", "s", "d"))
    x, y, values = grid(frame, "ratio", "m")
    with styled():
        figure, panel = subplots(figsize=(6.5, 4))
        figure.colorbar(heat(panel, x, [m / n for m in y], values, level=0.9), ax=panel, label=FRR)
        panel.set(xlabel=RATIO, ylabel="latents over features, m / n_true")
        paths = finish(figure, f"{caption} n_true = {n}, d = {d}, s = {s}; heavy line: FRR .9.", stem)
    enough = [m / n for m, row in zip(y, values, strict=True) if row.max() >= 0.9]
    ratio = middle(x)
    asked = width(n, ratio * s / n, s) / n
    return paths, [
        ("least m / n_true with FRR >= .9 at some p", f"{min(enough):g}" if enough else "none"),
        (f"m / n_true that the theorem asks for at p = {ratio:g} f", f"{asked:.3g}"),
    ]


def draw_groups(frame: pl.DataFrame, caption: str, stem: Path) -> Drawn:
    """Number of groups against the highest target."""
    n, s, d, m = (int(frame[name][0]) for name in ("n_true", "s", "d", "m"))
    x, y, values = grid(frame, "high", "groups")
    with styled():
        figure, panel = subplots(figsize=(6.5, 4))
        figure.colorbar(heat(panel, x, y, values, level=0.9), ax=panel, label=FRR)
        panel.set(xlabel=f"highest target rate (HTF); features fire at {s / n:.3g}", ylabel="groups K")
        rest = f" n_true = {n}, d = {d}, s = {s}, m = {m}, lowest target .001 (K = 1: HTF alone); heavy line: FRR .9."
        paths = finish(figure, caption + rest, stem)
    best = zip(y, values, strict=True)
    return paths, [(f"best FRR with K = {k:g}", f"{v.max():.2f} at HTF {x[int(v.argmax())]:g}") for k, v in best]
