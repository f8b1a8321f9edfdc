"""ZF plot: |f| against |x| with the paper's bands, beside what the mismatch is made of."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.study.figure import finish, styled, subplots
from workbench.study.panels import COLOURS
from workbench.theory import afa

PARTS = {"interference": COLOURS[0], "residual": COLOURS[4], "shrinkage": COLOURS[2]}
BANDS = (0.25, 0.5, 1.0)


def draw_zf(figures: pl.DataFrame, points: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """The scatter and the bars.

    Args:
        figures: columns group, seed, metric (those of `workbench.metrics.norms.zf_figures`), value.
        points: columns group, z = |x|, f = |f|.
        caption: what the figure must say of its settings.
        stem: path without ending.
    """
    names = figures["group"].unique(maintain_order=True).to_list()
    with styled():
        figure, (left, right) = subplots(1, 2, figsize=(10.5, 4.6), gridspec_kw={"width_ratios": [1.1, 1]})
        top = 1.08 * points[["z", "f"]].to_numpy().max()
        reach = np.linspace(0, top, 200)
        for band in BANDS:
            low, high = afa.zf_slopes(band) if band < 1 else (0.5**0.5, 1e9)  # at c = 1 there is no upper slope
            above = np.minimum(high * reach, 2 * top)
            left.fill_between(reach, low * reach, above, color="0.5", alpha=0.1, linewidth=0)
            left.text(top, low * top, f" c = {band:g}", fontsize=7, color="0.4", va="center")
        left.plot(reach, reach, color="0.3", linestyle="--", linewidth=1)
        for i, name in enumerate(names):
            own = points.filter(pl.col("group") == name)
            left.plot(own["z"], own["f"], ".", color=COLOURS[i % len(COLOURS)], markersize=3, alpha=0.6, label=name)
        left.set(xlim=(0, top), ylim=(0, top), xlabel="Z = |x|", ylabel="F = |f|, bias included", title="ZF plot")
        left.legend(frameon=False, markerscale=3, loc="upper left")
        for i, name in enumerate(names):
            base = {1: 0.0, -1: 0.0}
            for part, colour in PARTS.items():
                own = figures.filter((pl.col("group") == name) & (pl.col("metric") == part))["value"]
                value = float(np.median(own.to_numpy()))
                sign = 1 if value >= 0 else -1
                right.bar(i, value, 0.55, bottom=base[sign], color=colour, label=part if i == 0 else None)
                right.plot([i + 0.34] * len(own), base[sign] + own.to_numpy(), ".", color=colour, markersize=3)
                base[sign] += value
            own = figures.filter((pl.col("group") == name) & (pl.col("metric") == "mismatch"))["value"]
            right.plot([i - 0.34, i + 0.34], [own.median()] * 2, color="black", linewidth=1.4)
        right.plot([], [], color="black", linewidth=1.4, label="their sum, |x|² − |f|²")
        right.axhline(0, color="0.3", linewidth=0.8)
        tilted: dict[str, Any] = {"rotation": 25, "ha": "right"} if len(names) > 4 else {}
        right.set_xticks(range(len(names)), names, **tilted)
        if len(names) < 3:  # a lone bar would lie under the legend
            right.set_xlim(-0.6, 2.6)
        right.set(ylabel="share of Σ|f|²", title="What the mismatch is made of")
        right.legend(frameon=False, fontsize=8)
        return finish(figure, caption, stem)
