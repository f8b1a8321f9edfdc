"""Figures on compounds and their parts, from the table of a run alone."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from experiments.interactions.findings import (
    ACTIVATIONS,
    ARMS,
    AUROC,
    BY_LOGIC,
    FULL,
    LINEAR,
    OWN,
    PURE,
    ROLES,
    R,
    Values,
)
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band


def marks(panel: Axes, at: float | int, values: np.ndarray, colour: str, label: str | None = None) -> None:
    """Points of all seeds in a row, and their median."""
    if len(values):
        panel.plot(values, np.full(len(values), at), ".", color=colour, markersize=4, alpha=0.5, markeredgewidth=0)
        panel.plot(np.median(values), at, "|", color=colour, markersize=11, markeredgewidth=2, label=label)


def draw_arms(get: Values, caption: str, stem: Path) -> list[Path]:
    """A row an arm: error, parts found, compounds with a latent of their own, |B| by role."""
    with styled():
        figure, panels = subplots(1, 4, figsize=(13.5, 5.6), sharey=True)
        for i, arm in enumerate(reversed(ARMS)):
            marks(panels[0], i, get(arm, "fvu"), "black")
            marks(panels[1], i + 0.15, get(arm, "mcc"), COLOURS[2], "MCC of decoder rows")
            marks(panels[1], i - 0.15, get(arm, ACTIVATIONS), COLOURS[3], "MCC of activations")
            for j, (role, colour) in enumerate(ROLES.items()):
                shift = 0.27 - 0.18 * j
                marks(panels[2], i + shift, get(arm, OWN + role), colour, role)
                marks(panels[3], i + shift, get(arm, f"|B|: {role}"), colour, role)
        floor = float(get(FULL, "fvu", "planted", rank2=0)[0])
        panels[0].axvline(floor, color="0.45", linestyle=":", linewidth=1.2, label="true parts, linear decoder")
        for metric, colour, step in (("mcc_null", COLOURS[2], None), (ACTIVATIONS, COLOURS[3], 0)):
            chance = float(np.median(get(LINEAR, metric, step=step)))
            panels[1].axvline(chance, color=colour, linestyle="--", linewidth=1.2, label="chance, m = n_true")
        panels[3].axvline(1.5, color="0.45", linestyle=":", linewidth=1.2, label="true coefficient")
        panels[0].set(xlabel="fraction of variance unexplained", xscale="log")
        panels[1].set(xlabel="mean correlation with true features")
        panels[2].set(
            xlabel="share of pairs with a latent of their own\n(r ≥ .9 with the product, less with a part)",
            xlim=(-0.04, 1.04),
        )
        panels[3].set(xlabel="mean |B| of a pair, per unit of h")
        panels[0].set_yticks(range(len(ARMS)), list(reversed(ARMS)))
        for panel in panels:
            panel.axhline(2.5, color="0.7", linewidth=0.8)
        shared_legend(figure, list(panels), columns=5)
        return finish(figure, caption + " Below the line: without k falling. Points: seeds; bars: medians.", stem)


def draw_sweeps(get: Values, caption: str, stem: Path) -> list[Path]:
    """Error against R2 on given and on learned codes, |B| against co-firing through training, AND and XOR."""
    with styled():
        figure, panels = subplots(2, 2, figsize=(9.6, 7.8))
        p, ranks = get.products, get.ranks
        lines = ((FULL, "varying", COLOURS[1]), (PURE, "varying", COLOURS[0]), (FULL, "constant", COLOURS[4]))
        for arm, law, colour in lines:
            name = f"{arm}, {law} h"
            trained = [get(arm, "fvu", "codes given", law, rank2=r).clip(1e-9).tolist() for r in ranks]
            draw_band(panels[0, 0], ranks, trained, colour, name, marker="o", markersize=3)
            best = [float(get(arm, "fvu", "planted", law, rank2=r)[0].clip(1e-9)) for r in ranks]
            panels[0, 0].plot(ranks, best, ":", color=colour, linewidth=1.4)
            if law == "varying":
                learned = [get(arm, "fvu", "arms" if r == 2 * p else "rank", law, rank2=r).tolist() for r in ranks]
                draw_band(panels[0, 1], ranks, learned, colour, name, marker="o", markersize=3)
                steps = [max(step, 0.5) for step in get.steps]
                r = [get(arm, R, "training", step=step).tolist() for step in get.steps]
                auroc = [get(arm, AUROC, "training", step=step).tolist() for step in get.steps]
                draw_band(panels[1, 0], steps, r, colour, f"{arm}: r with co-firing", marker="o", markersize=3)
                draw_band(panels[1, 0], steps, auroc, colour, f"{arm}: AUROC, interacting", linestyle="--")
        panels[0, 0].plot([], [], ":", color="0.3", label="planted columns")
        for panel in panels[0]:
            floor = float(get(FULL, "fvu", "planted", rank2=0)[0])
            panel.axhline(floor, color="0.45", linestyle="--", linewidth=1.2, label="R2 = 0, true parts")
            _columns(panel, p)
            panel.set(xlabel="columns for products, R2", ylabel="fraction of variance unexplained", yscale="log")
            panel.set_xscale("log", base=2)
            panel.set_xticks(ranks, [str(rank) for rank in ranks])
            panel.minorticks_off()
        panels[0, 0].set_title("true codes given")
        panels[0, 1].set_title("codes learned")
        for level in (0.0, 0.5):
            panels[1, 0].axhline(level, color="0.45", linestyle="--", linewidth=0.9)
        panels[1, 0].set(xlabel="training step (0 at the left edge)", ylabel="r, and AUROC", xscale="log")
        panels[1, 0].set_title("|B| through training, published start")
        _logic(panels[1, 1], get)
        for panel in panels.flat:
            panel.legend(fontsize=7, framealpha=0.85, edgecolor="none")
        return finish(
            figure, caption + " Median, 10-90 % band, points. Errors below 1e-9 drawn there. Left: k fixed.", stem
        )


def _columns(panel: Axes, p: int) -> None:
    for times, style in ((1, "-."), (2, ":")):
        words = "R2 = P, enough for pure or constant" if times == 1 else "R2 = 2P, enough for all"
        panel.axvline(times * p, color="black", linestyle=style, linewidth=1.0, label=words)


def _logic(panel: Axes, get: Values) -> None:
    for i, arm in enumerate(reversed(BY_LOGIC)):
        for world, colour, shift in (("and", COLOURS[2], 0.13), ("xor", COLOURS[3], -0.13)):
            label = world.upper() if not i else None
            marks(panel, i + shift, get(arm, "fvu", "logic", world), colour, label)
    panel.set_yticks(range(len(BY_LOGIC)), list(reversed(BY_LOGIC)))
    panel.set(xlabel="fraction of variance unexplained", xscale="log")
    panel.set_title("AND and XOR of binary features")
