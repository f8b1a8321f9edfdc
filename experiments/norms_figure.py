"""ZF plot: |f| against |x| with the paper's bands, beside what the mismatch is made of."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Scene
from workbench.study.selection import replicates, rows
from workbench.theory import afa

PARTS = {"interference": COLOURS[0], "residual": COLOURS[4], "shrinkage": COLOURS[2]}
BANDS = (0.25, 0.5, 1.0)


class Scatter:
    """A point a sample: metrics z = |x| and f = |f|, in the order of the column `sample`; slopes 1/√(1 ± c)."""

    legend = "own"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the bands, then the samples of each arm."""
        points = scene.table.filter(pl.col("metric").is_in(["z", "f"]))
        top = 1.08 * float(points["value"].to_numpy().max())
        reach = np.linspace(0, top, 200)
        for band in BANDS:
            low, high = afa.zf_slopes(band) if band < 1 else (0.5**0.5, 1e9)  # at c = 1 there is no upper slope
            above = np.minimum(high * reach, 2 * top)
            axes.fill_between(reach, low * reach, above, color="0.5", alpha=0.1, linewidth=0)
            axes.text(top, low * top, f" c = {band:g}", fontsize=7, color="0.4", va="center")
        axes.plot(reach, reach, color="0.3", linestyle="--", linewidth=1)
        for arm, how in scene.looks.items():
            z, f = (rows(points, arm=arm, metric=name).sort("sample")["value"] for name in ("z", "f"))
            axes.plot(z, f, how.marker, color=how.colour, markersize=2, alpha=0.6, linestyle="", label=arm)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="Z = |x|", ylabel="F = |f|, bias included", title="ZF plot")


class Mismatch:
    """Bars of the medians of its parts, which add up to |x|² − |f|²; points of the seeds."""

    legend = "own"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw a stack of bars an arm."""
        names = list(scene.looks)
        for i, name in enumerate(names):
            own = rows(scene.table, arm=name)
            base = {1: 0.0, -1: 0.0}
            for part, colour in PARTS.items():
                values = np.array(list(replicates(own, part).values()))
                value = float(np.median(values))
                sign = 1 if value >= 0 else -1
                axes.bar(i, value, 0.55, bottom=base[sign], color=colour, label=part if i == 0 else None)
                axes.plot([i + 0.34] * len(values), base[sign] + values, ".", color=colour, markersize=3)
                base[sign] += value
            total = float(np.median(list(replicates(own, "mismatch").values())))
            axes.plot([i - 0.34, i + 0.34], [total] * 2, color="black", linewidth=1.4)
        axes.plot([], [], color="black", linewidth=1.4, label="their sum, |x|² − |f|²")
        axes.axhline(0, color="0.3", linewidth=0.8)
        tilted: dict[str, Any] = {"rotation": 25, "ha": "right"} if len(names) > 3 else {}
        axes.set_xticks(range(len(names)), names, **tilted)
        if len(names) < 3:  # a lone bar would lie under the legend
            axes.set_xlim(-0.6, 2.6)
        axes.set(ylabel="share of Σ|f|²", title="What the mismatch is made of")


ZF = Figure("zf_plot", [Scatter(), Mismatch()], size=(5.1, 4.0), widths=(1.1, 1))
