"""Figures on latent concepts: what a perfect predictor's logits are linear in, and what probes make of it."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.study.figure import finish, numbers, styled, subplots
from workbench.study.panels import COLOURS, draw_band, heat

Reference = dict[str, dict[float, float]]


def values(frame: pl.DataFrame, part: str, metric: str, x: float | int, y: float | int | None = None) -> list[float]:
    """One number a model."""
    return numbers(frame, part=part, metric=metric, x=x, **({} if y is None else {"y": y}))


def draw_concepts(frame: pl.DataFrame, settings: Any, reference: Reference, stem: Path) -> list[Path]:
    """Six panels of `experiments/concepts/study.py`, from its table alone.

    Args:
        frame: rows of part, x, y, seed, metric, value.
        settings: of the experiment.
        reference: metric -> figures of an independent run, by sharpness.
        stem: of the files.
    """
    log, prob, other, last = COLOURS[1], COLOURS[0], COLOURS[2], COLOURS[3]
    with styled():
        figure, panels = subplots(2, 3, figsize=(11.5, 7.0))
        (sharp, size, leak), (weak, seen, depends) = panels

        def lines(panel: Any, part: str, x: tuple, metrics: dict[str, tuple[str, str]], y: float | None = None) -> None:
            for metric, (colour, label) in metrics.items():
                draw_band(panel, x, [values(frame, part, metric, float(v), y) for v in x], colour, label)

        fit = {"R2_log": (log, "R², log p(c|s)"), "R2_prob": (prob, "R², p(c|s)")}
        lines(sharp, "sharpness", settings.sharpness, {**fit, "ambiguity": (other, "ambiguity ε")})
        lines(size, "sharpness", settings.sharpness, {"|h|": (last, "mean |h_y − h_0|")})
        colours = {"R2_log": log, "R2_prob": prob, "ambiguity": other, "|h|": last}
        for metric, colour in colours.items():
            panel = size if metric == "|h|" else sharp
            label = "reference run" if metric in ("ambiguity", "|h|") else None
            panel.plot(
                *zip(*reference[metric].items(), strict=True), "D", mfc="white", mec=colour, markersize=6, label=label
            )
        for panel in (sharp, size):
            panel.set(xscale="log", xlabel="sharpness t of contexts")
            panel.set_xticks(settings.sharpness, [f"{t:g}" for t in settings.sharpness])
            panel.minorticks_off()
        sharp.set(ylabel="R², ambiguity", ylim=(0, 1.03), title="clear posteriors, no line")
        size.set(yscale="log", ylabel="nats", title="what linearity leaves out")
        grid = np.array(
            [[np.median(values(frame, "leak", "R2_log", eps, t)) for t in settings.sharpness] for eps in settings.leaks]
        )
        heat(leak, settings.sharpness, settings.leaks, grid, 0.999)
        leak.set(xlabel="sharpness t", ylabel="leak ε", title="R², log p(c|s): outlined where ≥ .999")
        for metric, (colour, label) in fit.items():
            left = [[max(1 - v, 1e-16) for v in values(frame, "weak", metric, eta)] for eta in settings.weak]
            draw_band(weak, settings.weak, left, colour, f"1 − {label}")
        weak.plot(settings.weak, [1e-2 * eta**2 for eta in settings.weak], "--", color="0.45", label="η² / 100")
        weak.set(
            xscale="log", yscale="log", xlabel="η: what c changes of a token", ylabel="1 − R²", title="weak tokens"
        )
        beside = {"Bayes accuracy": (other, "Bayes accuracy"), "accuracy": (COLOURS[6], "probe accuracy")}
        beside |= {"R2_log": fit["R2_log"], "typed: R2_marg": (prob, "typed tokens: R², log-marginals")}
        lines(seen, "observed", settings.observed, beside, 2.0)
        seen.set(
            xlabel="observed tokens N (ER-2 prior, 7 concepts)",
            ylabel="accuracy, R²",
            ylim=(0, 1.03),
            title="accuracy is not linearity",
        )
        for metric, colour in (("revealing: log-loss gap", log), ("typed: log-loss gap", prob)):
            gap = [[max(v, 1e-17) for v in values(frame, "strength", metric, s)] for s in settings.strength]
            draw_band(depends, settings.strength, gap, colour, metric.split(":")[0] + " tokens")
        depends.set(
            yscale="log",
            xlabel="strength of Potts couplings",
            ylabel="log-loss less H(c_k|s), nats",
            title="probe against Bayes",
        )
        for panel in (sharp, size, weak, seen, depends):
            panel.legend(frameon=False, fontsize=7.5)
        caption = (
            f"Three binary concepts, l = 8; {settings.models} random models a point: median, 10-90 % band, points. "
            f"R² of a perfect predictor's logits, weighted by p(s). {settings.tokens} generic tokens and "
            f"{settings.contexts} contexts above, 16 and 160 tokens below; diamonds: another run, sizes unrecorded."
        )
        return finish(figure, caption, stem)
