"""What a comparison of toy worlds with a language model ends with: scores with ranks, taus, answers, figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from rich.table import Table
from rich.text import Text

from experiments.transfer.comparison import ALL, GIVEN, MIDDLE, REAL, TOY, Compared, comparisons, reliability, scores_of
from experiments.transfer.ranks import standings
from experiments.transfer.settings import MODEL, Transfer
from workbench.study.figure import MOST_PANELS, Figure
from workbench.study.panels import COLOURS, Look, Scene
from workbench.study.questions import CONFIRMED, REFUTED, Answer
from workbench.study.selection import present, rows
from workbench.study.table import short

MARKERS = "osD^vP*X<>"
SHOWN = ("mcc", "f1", "fvu")
"""scores on worlds that have a figure each"""
ASKED = [(ALL, metric, against) for against in ("fvu", "recovered") for metric in ("mcc", "f1", "fvu")]
ASKED += [(ALL, f"mcc{GIVEN}fvu", "fvu"), (ALL, f"mcc{GIVEN}fvu", "recovered"), (ALL, "consistency", "consistency")]
ASKED += [(ALL, "mcc", "consistency"), (MODEL, "l0", "fvu"), (MODEL, "l0", "recovered")]
ASKED += [(MIDDLE, metric, against) for against in ("fvu", "recovered") for metric in ("mcc", "fvu")]
"""comparisons that are answered in words: world, score, score on the model"""
WORDS = TOY | {
    "consistency": "agreement of seeds",
    "recovered": "loss recovered",
    "l0": "a larger L0",
    "dead": "dead",
}
LEGEND = (
    "tau; share of relabelled variants that reach it; C(onfirmed): the interval over variants and seeds lies above 0, "
    "and at most 5 % of relabellings reach tau; or R(efuted). In brackets: 95 % of resampled seeds, then of resampled "
    "variants and seeds. all worlds: by a variant's mean rank"
)
_MARK = {CONFIRMED: "C", REFUTED: "R"}


def printed(table: pl.DataFrame) -> Iterator[Table | Text]:
    """Scores with ranks at each place; how orders agree, and how far orders within a place do."""
    worlds = present(rows(table, metric="mcc"), "place")
    for place in (MODEL, *worlds):
        yield ranked(table, place)
    pairs = comparisons(table)
    if pairs:
        yield tau_table(pairs)
        for what, taus in groupby(reliability(table, worlds), lambda row: row[0]):
            shown = ", ".join(f"{TOY.get(metric, REAL.get(metric))} {tau:+.2f}" for _, metric, tau in taus)
            yield Text(f"tau of {what} with each other: {shown}")


def ranked(table: pl.DataFrame, place: str) -> Table:
    """The median of each score over seeds, with the variant's rank by it."""
    here = rows(table, place=place)
    metrics = {metric: head for metric, head in (REAL if place == MODEL else TOY).items() if metric in here["metric"]}
    shown = Table(title=place, box=None, padding=(0, 1, 0, 0), title_justify="left")
    for name in ("variant", "set to", "L0", *metrics.values()):
        shown.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
    ranks = {metric: standings(scores_of(table, [place], metric)) for metric in metrics}
    for i, variant in enumerate(present(here, "arm")):

        def middle(metric: str, variant: str = variant) -> float:
            return float(np.median(rows(here, arm=variant, metric=metric)["value"].to_numpy()))

        cells = [f"{short(middle(metric)):>4} {ranks[metric][i]:3.3g}" for metric in metrics]
        shown.add_row(variant, f"{middle('setting'):.3g}", f"{middle('l0'):.3g}", *cells)
    return shown


def tau_table(pairs: list[Compared]) -> Table:
    """Kendall's tau of each score on worlds with each on the model; of all worlds together with the seeds' interval."""
    table = Table(title="order on toy worlds against order on the model", caption=LEGEND, box=None, padding=(0, 1))
    for name in ("world", "its score"):
        table.add_column(name, no_wrap=True)
    for name in REAL.values():
        table.add_column(name, justify="right", no_wrap=True)
    last = ""
    toy = [pair for pair in pairs if pair.metric in TOY and pair.place != MIDDLE]
    for (place, metric), line in groupby(toy, lambda pair: (pair.place, pair.metric)):
        cells = list(line)
        style, head = "" if place == ALL else "dim", place if place != last else ""
        table.add_row(head, TOY[metric], *map(_cell, cells), style=style)
        if place == ALL:
            table.add_row("", "", *(_interval(pair.agreement.low, pair.agreement.high) for pair in cells))
            table.add_row("", "", *(_interval(pair.agreement.least, pair.agreement.most) for pair in cells))
        last = place
    return table


def _cell(pair: Compared) -> str:
    order = pair.agreement
    if not np.isfinite(order.tau):
        return "no order  "
    return f"{_signed(order.tau)} {short(order.p)} {_MARK.get(order.verdict, ' ')}"


def _interval(low: float, high: float) -> str:
    return f"[{_signed(low)} {_signed(high)}]" if np.isfinite(low) else ""


def _signed(tau: float) -> str:
    return f"{tau:+.2f}".replace("0.", ".", 1) if abs(tau) < 0.995 else f"{tau:+.1f}"


class Orders:
    """Whether an order on worlds predicts that on the model, of the comparisons in `ASKED`."""

    def answers(self, table: pl.DataFrame) -> Iterator[Answer]:
        """One answer a comparison."""
        variants = len(present(table, "arm"))
        for pair in comparisons(table):
            if (pair.place, pair.metric, pair.against) in ASKED:
                yield answer(pair, variants - 2 * (pair.place == MIDDLE))


def answer(pair: Compared, variants: int) -> Answer:
    """A comparison in words."""
    order = pair.agreement
    score = GIVEN.join(WORDS[part] for part in pair.metric.split(GIVEN))
    question = f"order by {score} on {pair.place} predicts that by {WORDS[pair.against]} on the model"
    anywhere = f", anywhere in the table {pair.family:.2f}" if np.isfinite(pair.family) else ""
    measured = (
        f"tau {order.tau:+.2f}, other seeds [{order.low:+.2f}, {order.high:+.2f}], other variants and seeds "
        f"[{order.least:+.2f}, {order.most:+.2f}]; Spearman {order.rho:+.2f}; by chance {order.p:.3f}{anywhere}"
        if np.isfinite(order.tau)
        else "all tied, no order"
    )
    return Answer(question, order.verdict, {}, "> 0", variants, "variants and seeds", measured)


@dataclass(frozen=True)
class Scatter:
    """A score on a world against fvu on the model: a point a variant, whiskers from least to most over seeds."""

    world: str
    metric: str

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the variants that were trained at both places, and name tau."""
        across = rows(scene.table, place=self.world, metric=self.metric)
        up = rows(scene.table, place=MODEL, metric="fvu")
        for variant, look in scene.looks.items():
            x, y = (rows(part, arm=variant)["value"].to_numpy() for part in (across, up))
            if not len(x) or not len(y):
                continue
            middle = [float(np.median(v)) for v in (x, y)]
            ends = [[[at - v.min()], [v.max() - at]] for at, v in zip(middle, (x, y), strict=True)]
            style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5, "elinewidth": 0.8}
            axes.errorbar(*middle, xerr=ends[0], yerr=ends[1], linestyle="", label=variant, **style)
        taus = [
            p.agreement.tau for p in comparisons(rows(scene.table, place=self.world, of=self.metric, against="fvu"))
        ]
        axes.set_title(": ".join([self.world, *(f"tau {tau:+.2f}" for tau in taus)]))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set(xlabel=TOY[self.metric], ylabel="fvu on the model")


def figures(settings: Transfer) -> list[Figure]:
    """A figure a score, of at most six worlds."""
    looks = {
        variant: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, variant in enumerate(dict.fromkeys(settings.variants))
    }
    drawn = []
    for metric in SHOWN:
        for i in range(0, len(settings.worlds), MOST_PANELS):
            panels = [Scatter(world, metric) for world in settings.worlds[i : i + MOST_PANELS]]
            name = f"transfer-{metric}" + (f"-{i // MOST_PANELS + 1}" if i else "")
            drawn.append(Figure(name, panels, caption(settings), looks, columns=min(3, len(panels)), share="y"))
    return drawn


def caption(settings: Transfer) -> str:
    """What a figure must say of the settings."""
    model = "SmolLM2-135M" if settings.model == "packaged" else Path(settings.model).name
    source = f"activations in {settings.store.name}" if settings.store else model
    return (
        f"{source}, {settings.hook}; m = {{expansion}} d; every variant at one L0 a place; {{train[steps]}} steps of "
        f"{{train[batch]}} on the model, {settings.toy_steps or settings.train.steps} on worlds, lr {{train[lr]:g}}; "
        "seeds (initial weights): {seeds} and {toy_seeds}, medians, whiskers from least to most; tau > 0: better by "
        "the one is better by the other"
    )
