"""Figure on interventions: predictions along actions, errors over noise and zeros, a map of the error over actions."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.study.figure import finish, numbers, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band

LEARNED = {
    "latents": COLOURS[7],
    "restricted": COLOURS[0],
    "restricted, no control": COLOURS[5],
    "autoencoder": COLOURS[1],
    "y ~ a, network": COLOURS[3],
    "y ~ a, quadratic": COLOURS[2],
}
"""method -> colour"""


def draw_extrapolation(frame: pl.DataFrame, settings: Any, line: list[float], stem: Path) -> list[Path]:
    """Six panels of `experiments/actions/study.py`, from its table alone.

    Args:
        frame: rows of part, noise, zero, seed, line, reach, method, penalty, what, value.
        settings: of the experiment.
        line: entries of the actions on the map's grid.
        stem: of the files.
    """
    base = {"part": "learned", "noise": settings.base, "zero": 0.0}
    with styled():
        figure, panels = subplots(2, 3, figsize=(11.5, 7.2))
        (along, by_noise, by_penalty), (bias, by_zero, chart) = panels
        reach = sorted(frame.filter(pl.col("part") == "linear")["reach"].unique().to_list())

        def linear(what: str) -> list[list[float]]:
            return [numbers(frame, part="linear", line="(r, r)", reach=r, what=what) for r in reach]

        for what, colour, label in (("control", COLOURS[0], "with control function"), ("none", COLOURS[1], "without")):
            draw_band(along, reach, linear(what), colour, label, linestyle="none", marker="o", markersize=4)
            off = [np.subtract(a, b).tolist() for a, b in zip(linear(what), linear("truth"), strict=True)]
            draw_band(bias, reach, off, colour, label, linestyle="none", marker="o", markersize=4)
        truth, biased = ([own[0] for own in linear(what)] for what in ("truth", "truth + bias"))
        along.plot(reach, truth, color="black", linewidth=1, label="E[y | do(a*)]")
        along.plot(reach, biased, "--", color="0.45", linewidth=1.2, label="and the bias, closed form")
        bias.plot(reach, np.subtract(biased, truth), "--", color="0.45", linewidth=1.2, label="closed form")
        bias.axhline(0, color="black", linewidth=1)
        for panel in (along, bias):
            panel.axvspan(0, 1, color="0.45", alpha=0.12, linewidth=0)
            panel.set(xlabel="r: action a* = (r, r); grey: mostly seen")
            panel.legend(frameon=False, fontsize=7.5)
        along.set(ylabel="outcome", title="linear and Gaussian")
        bias.set(ylabel="prediction less E[y | do(a*)]")
        for method, colour in LEARNED.items():
            for panel, name, places in ((by_noise, "noise", settings.noise), (by_zero, "zero", settings.zero)):
                values = [numbers(frame, **{**base, name: v}, method=method, what="outside") for v in places]
                draw_band(panel, places, values, colour, method, marker="o", markersize=3)
        ylabel = "squared error outside / variance"
        by_noise.set(xscale="log", yscale="log", xlabel="noise of the latents, over default", ylabel=ylabel)
        by_noise.set_xticks(settings.noise, [f"{v:g}" for v in settings.noise])
        by_noise.minorticks_off()
        by_noise.set_title("nonlinear mixing: unseen actions")
        by_zero.set(yscale="log", xlabel="P(h_i = 0): outside of the theorem", ylabel=ylabel)
        own = frame.filter(pl.col("method") == "penalty", pl.col("noise") == settings.base, pl.col("zero") == 0)
        penalties = sorted(own["penalty"].unique().to_list())
        places = [max(p, penalties[1] / 10) for p in penalties]
        for what, colour, label in (("R2", COLOURS[0], "R²(h ~ z)"), ("outside", COLOURS[1], "error outside")):
            values = [numbers(own, penalty=p, what=what) for p in penalties]
            draw_band(by_penalty, places, values, colour, label, marker="o", markersize=3)
        by_penalty.set(xscale="log", yscale="log", xlabel="weight of the restriction", ylabel="R², error / variance")
        by_penalty.set_title("what the restriction does")
        by_penalty.set_xticks(places, [f"{p:g}" for p in penalties])
        by_penalty.minorticks_off()
        by_penalty.legend(frameon=False, fontsize=7.5)
        n = len(line)
        off = np.array([np.median(numbers(frame, **base, method="restricted", what=f"off/{i}")) for i in range(n * n)])
        image = chart.imshow(off.reshape(n, n).T, origin="lower", cmap="cividis", extent=(-3.5, 3.5, -3.5, 3.5))
        chart.plot([-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1], color="white", linewidth=1.5)
        chart.set(xlabel="a*_1 (white: seen)", ylabel="a*_2", title="restricted: |error| / sd")
        chart.grid(visible=False)
        shared_legend(figure, (by_noise,), columns=6)
        figure.colorbar(image, ax=chart, shrink=0.8)
        caption = (
            f"Two latents, d = 10, two actions; {settings.samples} samples; {settings.seeds} worlds and seeds: median, "
            f"10-90 % band, points. Left: x = hV, noise 1. Others: leaky-ReLU mixing, autoencoders of {settings.steps} "
            f"steps of {settings.batch}; weight by reconstruction; noise {settings.base:g} where it does not vary."
        )
        return finish(figure, caption, stem)
