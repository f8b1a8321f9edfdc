"""What a run on a language model ends with: tables of scores, error and loss against sparsity, error by position."""

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band

SPLIT = "sign split"
"""the arm that was not trained"""
PANELS = ("held-out fvu", "loss not recovered")
Columns = dict[str, tuple[str, str]]
"""metric -> head and format of a column"""
SCORES: Columns = {
    "l0": ("L0", "{:.1f}"), "l0/d": ("L0/d", "{:.2f}"), "fvu": ("fvu", "{:.4f}"), "dead": ("dead", "{:.2f}"),
    "recovered": ("CE, 0", "{:.4f}"), "recovered from mean": ("CE, mean", "{:.4f}"), "kl": ("KL", "{:.3f}"),
    "against TopK": ("/TopK", "{:.2f}"),
}  # fmt: skip
SAID_OF_SCORES = (
    "medians over seeds, held-out text. CE: share of the next-token loss recovered, against 0 and the mean in place of "
    "activations; KL in nats; /TopK: fvu over TopK's at this L0, between the grid's k; L0 below k: k does not bind"
)
NORMS: Columns = {
    "median r": ("r", "{:.3f}"), "median eps_LBO": ("/(m-1)", "{:.0e}"), "median eps_LBO over k": ("/(k-1)", "{:.3f}"),
    "median eps_LBO from |f|_1": ("|f|1", "{:.3f}"), "certified eps_LBO": ("cert", "{:.3f}"),
    "interference": ("int", "{:.2f}"), "residual": ("res", "{:.2f}"), "shrinkage": ("shr", "{:.2f}"),
    "correlation": ("cor", "{:.2f}"), "over-activated": ("over", "{:.2f}"),
}  # fmt: skip
SAID_OF_NORMS = (
    "medians over seeds. r: median ||x|²/|f|² - 1|; eps_LBO, lower bounds of coherence: r over m - 1 and k - 1, from "
    "|f|_1, and certified (of x_hat); int, res, shr: shares of Σ|f|² that are interference, residual, shrinkage; cor: "
    "correlation of |x| and |f|; over: share with |f| > |x|"
)


def score_rows(frame: pl.DataFrame, hook: str, columns: Columns, legend: str | None) -> Table:
    """One row an arm at a hook point: medians over seeds of some metrics."""
    table = Table(title=hook, caption=legend, box=None, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("SAE", no_wrap=True)
    for head, _ in columns.values():
        table.add_column(head, justify="right")
    own = frame.filter(pl.col("hook") == hook)
    for arm in own["arm"].unique(maintain_order=True):
        cells = []
        for metric, (_, shape) in columns.items():
            values = own.filter((pl.col("arm") == arm) & (pl.col("metric") == metric))["value"]
            cells.append(shape.format(values.median()) if len(values) and values.is_not_nan().all() else "")
        table.add_row(arm, *cells)
    return table


def against_topk(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """fvu of each SAE over TopK's at its L0, by straight lines in log L0 and log fvu; none outside TopK's range."""
    found = []
    for (hook, seed), own in frame.group_by("hook", "seed", maintain_order=True):
        wide = own.pivot("metric", index=["hook", "arm", "variant", "seed"], values="value")
        grid = wide.filter(pl.col("variant") == "topk").sort("l0")
        if grid.height < 2:
            continue
        at, error = grid["l0"].log().to_numpy(), grid["fvu"].log().to_numpy()
        for row in wide.filter(pl.col("variant") != "topk").iter_rows(named=True):
            if at[0] <= np.log(max(row["l0"], 1e-9)) <= at[-1] and row["fvu"] > 0:
                ratio = row["fvu"] / np.exp(np.interp(np.log(row["l0"]), at, error))
                own_row = {"hook": hook, "arm": row["arm"], "variant": row["variant"], "seed": seed}
                found.append(own_row | {"metric": "against TopK", "value": float(ratio)})
    return found


def draw_sparsity(frame: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """Error, and loss not recovered, against L0 / d: a row of panels each, a column a hook point.

    Args:
        frame: columns hook, arm, variant, seed, metric, value.
        caption: what the figure must say of its settings.
        stem: path without ending.
    """
    hooks = [hook for hook in frame["hook"].unique(maintain_order=True) if not hook.startswith("hook_z")]
    variants = [v for v in frame["variant"].unique(maintain_order=True) if v != SPLIT]
    with styled():
        size = (3.6 * len(hooks) + 1.6, 6.4)
        figure, panels = subplots(2, len(hooks), figsize=size, squeeze=False, sharex="col")
        for column, hook in enumerate(hooks):
            own = frame.filter(pl.col("hook") == hook)
            for i, variant in enumerate(variants):
                arms = own.filter(pl.col("variant") == variant)
                _curve(panels[0, column], arms, "fvu", COLOURS[i], variant, lambda v: v)
                _curve(panels[1, column], arms, "recovered from mean", COLOURS[i], variant, lambda v: 1 - v)
            for panel, label in zip(panels[:, column], PANELS, strict=True):
                panel.axvline(1, color="0.3", linestyle="--", linewidth=1)
                at = {"transform": panel.get_xaxis_transform(), "clip_on": False, "linestyle": ""}
                panel.plot([1], [0], "v", color="black", markersize=6, label=f"{SPLIT}: 0", **at)
                panel.set(xscale="log", yscale="log", ylabel=label if not column else "")
            panels[0, column].set_title(hook)
            panels[1, column].set_xlabel("L0 / d (dashed: as many active latents as dimensions)")
        shared_legend(figure, [panels[0, 0]], 2 if len(hooks) == 1 else len(variants) + 1)
        return finish(figure, caption, stem)


def _curve(panel: Axes, arms: pl.DataFrame, metric: str, colour: str, label: str, change: Any) -> None:
    points = []
    for arm in arms["arm"].unique(maintain_order=True):
        own = arms.filter(pl.col("arm") == arm)
        values = [change(v) for v in own.filter(pl.col("metric") == metric)["value"] if change(v) > 1e-9]
        if values:
            points.append((median(own.filter(pl.col("metric") == "l0/d")["value"]), values))
    points.sort(key=lambda point: point[0])
    if points:
        draw_band(panel, [x for x, _ in points], [v for _, v in points], colour, label, marker="o", markersize=3)


def draw_positions(frame: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """fvu at positions in the sequence, in octaves, one line an SAE; the first hook point's.

    Args:
        frame: columns arm, seed, position, value.
        caption: what the figure must say of its settings.
        stem: path without ending.
    """
    frame = frame.filter(~pl.col("value").is_nan())  # positions left out
    arms, positions = (frame[name].unique(maintain_order=True).to_list() for name in ("arm", "position"))
    with styled():
        figure, panel = subplots(figsize=(7.2, 4.2))
        for i, arm in enumerate(arms):
            own = frame.filter(pl.col("arm") == arm)
            values = [own.filter(pl.col("position") == at)["value"].to_list() for at in positions]
            used = [(x, v) for x, v in enumerate(values) if v]
            draw_band(panel, [x for x, _ in used], [v for _, v in used], COLOURS[i % len(COLOURS)], arm)
        panel.set_xticks(range(len(positions)), positions)
        panel.set(yscale="log", xlabel="position in the sequence, in tokens", ylabel="held-out fvu")
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        return finish(figure, caption, stem)
