"""What a run on a language model ends with: tables of scores, error and loss against sparsity, error by position."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from experiments.lm.settings import GPT2
from experiments.norms_figure import ZF
from proofs_check.auditor.report import audit_summary
from workbench.study.figure import MOST_PANELS, Figure
from workbench.study.panels import MOST_LINES, Axis, Level, Lines, Scene
from workbench.study.selection import present, rows
from workbench.study.table import Medians
from workbench.study.units import setting_text

SPLIT = "sign split"
"""the arm that was not trained"""
ARMS = ("top_afa", "topk", "batch_topk")
ABREAST = 3
"""hook points that a figure shows side by side"""
Columns = Mapping[str, tuple[str, str]]
"""metric -> head and format of a column"""
SCORES: Columns = {
    "l0": ("L0", "{:.1f}"), "l0/d": ("L0/d", "{:.2f}"), "fvu": ("fvu", "{:.4f}"), "dead": ("dead", "{:.2f}"),
    "recovered": ("CE, 0", "{:.4f}"), "recovered from mean": ("CE, mean", "{:.4f}"), "kl": ("KL", "{:.3f}"),
    "against TopK": ("/TopK", "{:.2f}"), "attribution_missed": ("missed", "{:.0e}"), "largest_head": ("head", "{:.2f}"),
}  # fmt: skip
SAID_OF_SCORES = (
    "medians over seeds, held-out text. CE: share of the next-token loss recovered, against 0 and the mean in place of "
    "activations; KL in nats; /TopK: fvu over TopK's at this L0, between the grid's k; L0 below k: k does not bind; "
    "missed: what attributions to heads and sources lack of the pre-activation, over its largest; head: largest share "
    "of one head in the median latent's decoder row, chance where all are even"
)
BOUNDS: Columns = {
    "median r": ("r", "{:.3f}"), "median eps_LBO": ("/(m-1)", "{:.0e}"), "median eps_LBO over k": ("/(k-1)", "{:.3f}"),
    "median eps_LBO from |f|_1": ("|f|1", "{:.3f}"), "certified eps_LBO": ("cert", "{:.3f}"),
}  # fmt: skip
SAID_OF_BOUNDS = (
    "medians over seeds. r: median ||x|²/|f|² - 1|; eps_LBO, lower bounds of coherence: r over m - 1 and k - 1, from "
    "|f|_1, and certified (of x_hat)"
)
NORMS: Columns = {
    "interference": ("int", "{:.2f}"), "residual": ("res", "{:.2f}"), "shrinkage": ("shr", "{:.2f}"),
    "correlation": ("cor", "{:.2f}"), "over-activated": ("over", "{:.2f}"),
}  # fmt: skip
SAID_OF_NORMS = (
    "medians over seeds. int, res, shr: shares of Σ|f|² that are interference, residual, shrinkage; cor: correlation "
    "of |x| and |f|; over: share with |f| > |x|"
)


def printed(table: pl.DataFrame) -> Iterator[Table]:
    """Scores and norms at each hook point, then what the ledger's theorems say of the first seed's SAEs."""
    known = table.filter(pl.col("value").is_not_nan())
    hooks = present(known, "place")
    for columns, said in ((SCORES, SAID_OF_SCORES), (BOUNDS, SAID_OF_BOUNDS), (NORMS, SAID_OF_NORMS)):
        heads = {metric: head for metric, (head, _) in columns.items()}
        formats = {metric: form for metric, (_, form) in columns.items()}
        for hook in hooks:
            caption = said if hook == hooks[-1] else ""
            yield Medians(hook, heads, ("arm", "setting"), place=hook, formats=formats, caption=caption).of(known)
    audits = {}
    for (hook, arm, setting), read in rows(table, metric="tightest").group_by(
        "place", "arm", "setting", maintain_order=True
    ):
        name = f"{hook}/{arm} {setting or ''}".strip()
        audits[name] = read.rename({"value": "tightest"}, strict=False).drop("metric").to_dicts()
    if audits:
        yield audit_summary(audits, "SAEs of few active latents a sample")


def against_topk(table: pl.DataFrame, settings: GPT2) -> pl.DataFrame:
    """The table with fvu of each SAE over TopK's at its L0, by straight lines in their logs, where TopK's L0 reach."""
    ratios = []
    fvu = rows(table, metric="fvu").select("place", "arm", "setting", "seed", fvu="value")
    both = rows(table, metric="l0").join(fvu, on=["place", "arm", "setting", "seed"], nulls_equal=True)
    for _, part in both.group_by("place", "seed", maintain_order=True):
        grid = part.filter(pl.col("arm") == "topk").sort("value")
        if grid.height < 2:
            continue
        at, error = grid["value"].log().to_numpy(), grid["fvu"].log().to_numpy()
        for row in part.filter(pl.col("arm") != "topk").iter_rows(named=True):
            if at[0] <= np.log(max(row["value"], 1e-9)) <= at[-1] and row["fvu"] > 0:
                ratio = row["fvu"] / np.exp(np.interp(np.log(row["value"]), at, error))
                ratios.append(row | {"metric": "against TopK", "value": float(ratio)})
    return pl.concat([table, pl.DataFrame(ratios, schema=table.schema)])


class Split:
    """The place of an SAE that needs no training, at the foot of a panel over L0 / d."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw a triangle."""
        at: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": ""}
        axes.plot([1], [0], "v", color="black", markersize=6, label=f"{SPLIT}: 0", **at)


_OVER_L0: dict[str, Any] = {
    "over": "l0/d",
    "across": Axis("L0 / d (dashed: as many active latents as dimensions)", log=True, ticks=(0.1, 0.3, 1.0)),
    "legend": "shared",
    "marks": (Level(1, upright=True, colour="0.3"), Split()),
}


def _lost(recovered: float) -> float:
    return 1 - recovered


def _loggable(table: pl.DataFrame) -> pl.DataFrame:
    """The table without losses that are lower than the model's own, which no logarithm shows."""
    return table.filter((pl.col("metric") != "recovered from mean") | (pl.col("value") < 1 - 1e-9))


def sparsity(hooks: tuple[str, ...], name: str, caption: str) -> Figure:
    """Error, and loss not recovered, against L0 / d: a row of panels each, a column a hook point."""
    up, low = Axis("held-out fvu", log=True), Axis("loss not recovered", log=True)
    above = [Lines(y="fvu", place=hook, title=hook, up=up, **_OVER_L0) for hook in hooks]
    below = [Lines(y="recovered from mean", place=hook, up=low, change=_lost, **_OVER_L0) for hook in hooks]
    shape: dict[str, Any] = {"columns": len(hooks), "size": (3.8, 3.2), "share": "x"}
    return Figure(name, [*above, *below], caption, arms=ARMS, pick=_loggable, **shape)


def positions(settings: GPT2, caption: str) -> Iterator[Figure]:
    """fvu at positions in the sequence, in octaves, one line an SAE; the first hook point's."""
    octaves = {2**i: f"{2**i}-{2 ** (i + 1) - 1}" for i in range(1, int(log2(max(2, settings.context - 1))) + 1)}
    across = Axis("position in the sequence, in tokens", log=2, ticks={1: "0-1"} | octaves)
    shared: dict[str, Any] = {"y": "fvu_by_position", "over": "position", "by": "setting", "place": settings.hooks[0]}
    panels = []
    for arm, choices in settings_of(settings).items():
        for i in range(0, len(choices), MOST_LINES):
            at = {"arm": arm, "setting": tuple(choices[i : i + MOST_LINES])}
            up = Axis("held-out fvu", log=True)
            panels.append(Lines(at=at, title=arm, across=across, up=up, **shared))
    for i in range(0, len(panels), MOST_PANELS):
        name = f"positions-{i // MOST_PANELS + 1}" if i else "positions"
        yield Figure(name, panels[i : i + MOST_PANELS], f"{settings.hooks[0]}; {caption}", arms=ARMS)


def settings_of(settings: GPT2) -> dict[str, list[str]]:
    """Arm -> its settings in words; BatchTopK, which lies where TopK does and would hide it, is left out."""
    weights = {"top_afa": [f"afa={setting_text(weight)}" for weight in settings.afa]}
    return weights | {"topk": [f"k={k}" for k in sorted(settings.k, reverse=True)]}


def _grouped(hook: str, table: pl.DataFrame) -> pl.DataFrame:
    """Rows of a hook point, each variant and setting an arm of its own."""
    return rows(table, place=hook).with_columns(arm=pl.concat_str("arm", "setting", separator=" ", ignore_nulls=True))


def norms(settings: GPT2, hook: str, caption: str) -> Figure:
    """The ZF plot at a hook point."""
    arms = [f"{arm} {choice}" for arm, choices in settings_of(settings).items() for choice in choices] + [SPLIT]
    arms = [f"topk k={settings.z_k}"] if hook.startswith("hook_z") else arms
    name = f"zf-{hook}".replace(".", "-")
    return replace(ZF, name=name, caption=f"{hook}; {caption}", arms=arms, pick=partial(_grouped, hook))


def figures(settings: GPT2) -> list[Figure]:
    """Sparsity by at most three hook points at a time, positions, and norms at each hook point."""
    about = caption(settings)
    plain = [hook for hook in settings.hooks if not hook.startswith("hook_z")]
    groups = [tuple(plain[i : i + ABREAST]) for i in range(0, len(plain), ABREAST)]
    names = ["sparsity", *(f"sparsity-{i}" for i in range(2, len(groups) + 1))]
    drawn = [sparsity(group, name, about) for group, name in zip(groups, names, strict=True)]
    return [*drawn, *positions(settings, about), *(norms(settings, hook, about) for hook in settings.hooks)]


def caption(settings: GPT2) -> str:
    """What figures must say of the settings."""
    model = "SmolLM2-135M" if settings.model == "packaged" else Path(settings.model).name
    train, text = settings.train, "Brown corpus" if settings.text == "packaged" else settings.text
    return (
        f"model {model}, text {text}: {settings.tokens:,} tokens; m = {settings.m}; {train.steps} "
        f"steps of {train.batch}, lr {train.lr}; {'standardised' if settings.standardise else 'raw'} activations, "
        f"first {settings.skip} tokens of {settings.context} left out; {settings.seeds} seeds (initial weights): "
        f"median, 10-90 % band, points; {settings.held_out:.0%} of documents held out"
    )
