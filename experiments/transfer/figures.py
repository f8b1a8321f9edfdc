"""What a comparison of toy worlds with a language model ends with: scores with ranks, tables of tau, a figure."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table

from experiments.transfer.comparison import ALL, GIVEN, MIDDLE, MODEL, REAL, TOY, Compared, reliability, scores_of
from experiments.transfer.ranks import kendall, standings
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS
from workbench.study.questions import CONFIRMED, REFUTED
from workbench.study.table import short

MARKERS = "osD^vP*X<>"
SHOWN = ("mcc", "f1", "fvu")
"""scores on worlds that the figure shows, a row each"""
ASKED = [(ALL, metric, against) for against in ("fvu", "recovered") for metric in ("mcc", "f1", "fvu")]
ASKED += [(ALL, f"mcc{GIVEN}fvu", "fvu"), (ALL, f"mcc{GIVEN}fvu", "recovered"), (ALL, "consistency", "consistency")]
ASKED += [(ALL, "mcc", "consistency"), (MODEL, "l0", "fvu"), (MODEL, "l0", "recovered")]
ASKED += [(MIDDLE, metric, against) for against in ("fvu", "recovered") for metric in ("mcc", "fvu")]
"""comparisons that are said in words: world, score, score on the model"""
WORDS = TOY | {
    "consistency": "agreement of seeds",
    "recovered": "loss recovered",
    "l0": "a larger L0",
    "dead": "dead",
}
_MARK = {CONFIRMED: "C", REFUTED: "R"}


def tell(
    frame: pl.DataFrame, worlds: Sequence[str], found: Sequence[Compared], more: Sequence[Compared], console: Console
) -> None:
    """Print tables and what they say: `found` and `more` are comparisons and controls."""
    for table in score_tables(frame, worlds):
        console.print(table)
    console.print(tau_table(found))
    for what, own in groupby(reliability(frame, worlds), lambda row: row[0]):
        shown = ", ".join(f"{TOY.get(metric, REAL.get(metric))} {tau:+.2f}" for _, metric, tau in own)
        console.print(f"tau of {what} with each other: {shown}", highlight=False)
    for one in (*found, *more):
        if (one.place, one.metric, one.against) in ASKED:
            console.print(said(one), highlight=False)


def score_tables(frame: pl.DataFrame, worlds: Sequence[str]) -> list[Table]:
    """For each place the median of each score over seeds, with the variant's rank by it."""
    tables = []
    for place in (MODEL, *worlds):
        heads = REAL if place == MODEL else TOY
        own = frame.filter((pl.col("kind") == "score") & (pl.col("place") == place))
        table = Table(title=place, box=None, padding=(0, 1, 0, 0), title_justify="left")
        for name in ("variant", "set to", "L0", *heads.values()):
            table.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
        ranks = {metric: standings(scores_of(frame, [place], metric)) for metric in heads}
        for i, variant in enumerate(own["variant"].unique(maintain_order=True)):
            here = own.filter(pl.col("variant") == variant)

            def middle(metric: str, here: pl.DataFrame = here) -> float:
                return float(np.median(here.filter(pl.col("metric") == metric)["value"].to_numpy()))

            cells = [f"{short(middle(metric)):>4} {ranks[metric][i]:3.3g}" for metric in heads]
            table.add_row(variant, f"{middle('setting'):.3g}", f"{middle('l0'):.3g}", *cells)
        tables.append(table)
    return tables


def tau_table(found: Sequence[Compared]) -> Table:
    """Kendall's tau of each score on worlds with each on the model; of all worlds together with the seeds' interval."""
    table = Table(title="order on toy worlds against order on the model", caption=LEGEND, box=None, padding=(0, 1))
    for name in ("world", "its score"):
        table.add_column(name, no_wrap=True)
    for name in REAL.values():
        table.add_column(name, justify="right", no_wrap=True)
    rows: dict[tuple[str, str], list[Compared]] = {}
    for one in found:
        rows.setdefault((one.place, one.metric), []).append(one)
    last = ""
    for (place, metric), own in rows.items():
        style = "" if place == ALL else "dim"
        head = place if place != last else ""
        table.add_row(head, TOY.get(metric, metric), *(_cell(one) for one in own), style=style)
        if place == ALL:
            table.add_row("", "", *(_interval(one.agreement.low, one.agreement.high) for one in own))
            table.add_row("", "", *(_interval(one.agreement.least, one.agreement.most) for one in own))
        last = place
    return table


LEGEND = (
    "tau; share of relabelled variants that reach it; C(onfirmed) or R(efuted). In brackets: 95 % of resampled seeds, "
    "then of resampled variants and seeds. all worlds: by a variant's mean rank"
)


def _cell(one: Compared) -> str:
    own = one.agreement
    if not np.isfinite(own.tau):
        return "no order  "
    return f"{_signed(own.tau)} {short(own.p)} {_MARK.get(own.verdict, ' ')}"


def _interval(low: float, high: float) -> str:
    return f"[{_signed(low)} {_signed(high)}]" if np.isfinite(low) else ""


def _signed(tau: float) -> str:
    return f"{tau:+.2f}".replace("0.", ".", 1) if abs(tau) < 0.995 else f"{tau:+.1f}"


def said(one: Compared) -> str:
    """A comparison as a sentence."""
    own = one.agreement
    score = GIVEN.join(WORDS[part] for part in one.metric.split(GIVEN))
    ask = f"{own.verdict}: the order by {score} on {one.place} predicts that by {WORDS[one.against]} on the model: "
    if not np.isfinite(own.tau):
        return f"{ask}all tied, no order"
    anywhere = f", anywhere in the table {one.family:.2f}" if np.isfinite(one.family) else ""
    return (
        f"{ask}tau {own.tau:+.2f}, other seeds [{own.low:+.2f}, {own.high:+.2f}], other variants and seeds "
        f"[{own.least:+.2f}, {own.most:+.2f}]; Spearman {own.rho:+.2f}; by chance {own.p:.3f}{anywhere}"
    )


def draw_transfer(frame: pl.DataFrame, worlds: Sequence[str], caption: str, stem: Path) -> list[Path]:
    """Scores on each world against fvu on the model: a point a variant, whiskers from least to most over seeds.

    Args:
        frame: see `experiments.transfer.comparison.scores_of`.
        worlds: a column each.
        caption: what the figure must say of its settings.
        stem: path without ending.
    """
    variants = frame.filter(pl.col("kind") == "score")["variant"].unique(maintain_order=True).to_list()
    (real,) = scores_of(frame, [MODEL], "fvu")
    with styled():
        size = (2.5 * len(worlds) + 1, 2.3 * len(SHOWN) + 1.6)
        figure, panels = subplots(len(SHOWN), len(worlds), figsize=size, squeeze=False, sharey=True)
        for row, metric in enumerate(SHOWN):
            for panel, world, own in zip(panels[row], worlds, scores_of(frame, worlds, metric), strict=True):
                _scatter(panel, np.abs(own), -real, variants)
                tau = float(kendall(*(standings([side], best=1.0) for side in (own, real))))
                panel.set_title(f"{world}: tau {tau:+.2f}" if row == 0 else f"tau {tau:+.2f}", fontsize=9)
                panel.xaxis.set_major_locator(MaxNLocator(4))
                panel.set(xlabel=TOY[metric], ylabel="fvu on the model" if panel is panels[row, 0] else "")
        shared_legend(figure, [panels[0, 0]], min(5, len(variants)))
        return finish(figure, caption, stem)


def _scatter(panel: Axes, x: np.ndarray, y: np.ndarray, variants: Sequence[str]) -> None:
    for i, variant in enumerate(variants):
        at = float(np.median(x[i])), float(np.median(y[i]))
        spread = [np.array([[mid - own.min()], [own.max() - mid]]) for mid, own in zip(at, (x[i], y[i]), strict=True)]
        look: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 5}
        panel.errorbar(*at, xerr=spread[0], yerr=spread[1], linestyle="", elinewidth=0.8, label=variant, **look)
