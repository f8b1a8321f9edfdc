"""Which features were found, by how often they fire: a figure of the frame of `workbench.features`."""

from typing import Literal

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.study.figure import styled, subplots

LOOKS = {"found": ("o", "#0072B2"), "near": ("^", "#D55E00"), "chance": ("x", "#7F7F7F"), "dead": ("s", "#CC79A7")}
"""shape and colour of each status"""
LABELS = {"cosine": "|cos| of feature and its latent", "f1": "F1 of feature and its latent"}


def feature_figure(frame: pl.DataFrame, y: Literal["cosine", "f1"] = "cosine") -> Figure:
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
        panel.set(xscale="log", ylim=(-0.02, 1.002), xlabel="rate of the feature", ylabel=LABELS[y])
        alpha = max(0.25, 0.9 / members**0.5)
        for status, (marker, colour) in LOOKS.items():
            here = frame.filter(pl.col("status") == status)
            if len(here):
                label = f"{status} ({len(here) / members:.0f} of {len(frame) // members})"
                panel.plot(here["rate"], _height(here, y), marker, color=colour, label=label, markersize=4, alpha=alpha)
        _median_line(panel, frame, y)
        if y == "cosine":
            panel.axhline(
                frame["chance"].max(), color=mpl.rcParams["text.color"], linestyle=":", label="95 % of chance"
            )
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _height(frame: pl.DataFrame, y: str) -> np.ndarray:
    return frame[y].cast(pl.Float64).abs().fill_null(0.0).to_numpy()


def _median_line(panel: Axes, frame: pl.DataFrame, y: str) -> None:
    """Medians of ten equally full bins of rate."""
    if len(frame) < 20:
        return
    order = np.argsort(frame["rate"].to_numpy(), kind="stable")
    bins = np.array_split(order, 10)
    x, height = frame["rate"].to_numpy(), _height(frame, y)
    panel.plot(
        [np.median(x[b]) for b in bins],
        [np.median(height[b]) for b in bins],
        color="0.45",
        linewidth=1.2,
        label="median",
    )


def _stretched(value: np.ndarray) -> np.ndarray:
    return np.arcsin(np.clip(value, -1, 1))
