"""Figures, tables and questions of the study on pursuits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from workbench.study.figure import Figure
from workbench.study.panels import Axis, Heat, Lines, Look, Points, Scene, look
from workbench.study.questions import CONFIRMED, REFUTED, Answer, Question, lead, score
from workbench.study.selection import present, rows
from workbench.study.table import Medians
from workbench.theory.pursuit import largest_support

FAMILIES = {
    "worst": "worst codes on simplices",
    "flat": "random supports, equal magnitudes",
    "random": "random supports, magnitudes .1 to 1",
}
RULES = ("OMP", "OMP, signed", "MP, abs", "MP, relu", "TopK", "AbsTopK")
LOOKS: dict[str, Look] = {rule: look(i) for i, rule in enumerate(("MP, abs", "MP, relu", "OMP", "TopK"))}
TIMED = ("residuals", "Gram rows", "Gram rows, W Wᵀ made anew")
DIMENSIONS = "features over dimensions, n_true / d"


@dataclass(frozen=True)
class Bound:
    """k = (1 + 1 / coherence) / 2 as a line of steps among cells: k counts as below up to the last tick under it."""

    place: str

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the steps."""
        own = rows(scene.table, place=self.place)
        sizes, coherences = present(own, "k"), present(own, "x")
        edge = [sum(k < largest_support(mu) for k in sizes) - 0.5 for mu in coherences]
        at = [v for i in range(len(coherences)) for v in (i - 0.5, i + 0.5)]
        up = [e for e in edge for _ in range(2)]
        axes.step(at, up, color="#D55E00", linewidth=2.2, label="k = (1 + 1/μ) / 2")
        axes.set(xlim=(-0.5, len(coherences) - 0.5), ylim=(-0.5, len(sizes) - 0.5))


@dataclass(frozen=True)
class BelowBound:
    """Does a rule recover every support below the bound?"""

    family: str
    rule: str

    def answers(self, table: pl.DataFrame) -> Iterator[Answer]:
        """The least median share among cells below the bound, and among those beyond it."""
        own = rows(table, place=f"phase {self.family}", arm=self.rule, metric="recovered")
        medians = own.group_by("x", "k").agg(pl.col("value").median())
        below = np.array([k < largest_support(x) for x, k in medians.select("x", "k").iter_rows()], dtype=bool)
        shares = medians["value"].to_numpy()
        if len(shares):
            inside, outside = (shares[at].min() if at.any() else np.nan for at in (below, ~below))
            text = f"{self.rule} recovers all below the bound: {FAMILIES[self.family]}"
            words = f"least share {inside:.2f}; beyond it {outside:.2f}"
            seeds = own["seed"].n_unique()
            yield Answer(text, CONFIRMED if inside == 1 else REFUTED, {}, "= 1", seeds, "dictionaries and codes", words)


def phase_figure(family: str) -> Figure:
    """Share of supports recovered by coherence and size, a panel a rule, with the bound."""
    place = f"phase {family}"
    panels = [
        Heat(
            y="recovered",
            over=("x", "k"),
            place=place,
            arms=(rule,),
            title=rule,
            across="coherence μ",
            up="size of the support, k",
            names=(lambda mu: f"1/{round(1 / mu)}", "{:g}"),
            marks=(Bound(place),),
            legend="shared",
        )
        for rule in RULES
    ]
    caption = (
        f"Share of supports recovered: {FAMILIES[family]}. Codes h ≥ 0 of k nonzeros. Worst codes: simplices of 1 + "
        "1/μ rows side by side, all products -μ, rows outside the support turned round. Random supports: 80 rows in "
        "64 dimensions whose largest product is μ, {samples} codes a cell. Medians of {seeds} seeds of dictionary and "
        "codes. MP recovers if within 8 k steps, or up to |r| < .001 |x|, it picks every row of the support and no "
        "other."
    )
    return Figure(f"phase-{family}", panels, caption, arms=RULES, size=(3.7, 3.6))


_CAPTION = (
    "d = {d}, {active} features a sample at magnitudes in [.5, 1.5], random directions; medians, 10-90 % bands and "
    "points of {seeds} seeds of world, data and weights. "
)
_PARTS = {
    "noise": (
        {"precision": "picked features that are true", "recall": "true features picked"},
        ("error", "relative squared error"),
        "The true dictionary.",
    ),
    "trained": (
        {"mcc": "MCC of rows and features", "explained_variance": "explained variance"},
        ("explained_variance", "explained variance"),
        "SAEs with m = n_true after {train[steps]} steps.",
    ),
}


def interference(part: str, steps: Sequence[int]) -> list[Figure]:
    """What more steps do as features outnumber dimensions: scores, a column a number of steps; then their trade."""
    metrics, (cost, cost_label), what = _PARTS[part]
    ratios = Axis(DIMENSIONS, log=2)
    panels = [
        Lines(y=metric, place=part, at={"k": k}, across=ratios, up=label, title=f"{k} steps; TopK: k = {k}")
        for metric, label in metrics.items()
        for k in steps[:3]
    ]
    gain = next(iter(metrics))
    trades = [
        Points(
            y=gain,
            over=cost,
            place=part,
            at={"k": k},
            joined="x",
            title=f"{k} steps; TopK: k = {k}",
            across=Axis(cost_label, log=part == "noise"),
            up=metrics[gain],
        )
        for k in steps[:3]
    ]
    larger = " Larger marks have larger n_true / d."
    return [
        Figure(part, panels, _CAPTION + what, arms=LOOKS, columns=len(steps[:3]), share="row"),
        Figure(f"{part}-trade", trades, _CAPTION + what + larger, arms=LOOKS, share="row"),
    ]


def figures(settings: Any) -> list[Figure]:
    """Phase diagrams, a figure a family; interference with the true dictionary and trained; times."""
    drawn = [phase_figure(family) for family in FAMILIES] if "phase" in settings.parts else []
    for part in ("noise", "trained"):
        drawn += interference(part, sorted(settings.steps)) if part in settings.parts else []
    times = Lines(
        y="ms",
        place="timing",
        across=Axis("rows of the dictionary, m", log=2),
        up=Axis("milliseconds a batch of 1024", log=True),
    )
    caption = "16 steps of matching pursuit, d = 256, k = 16, one thread; medians of {repeats} in turn, no seeds."
    timing = Figure("timing", [times], caption, arms=TIMED, size=(5.4, 4.0))
    return drawn + ([timing] if "timing" in settings.parts else [])


def _paired(rule: str, metric: str, name: str) -> list[Question]:
    where = {"place": "trained"}
    (over_topk,) = lead(rule, "TopK", metric, x=max)
    grows = score(rule, metric, x=max) - score(rule, metric, x=min)
    return [
        Question(
            f"{rule}, {{k:g}} steps, ahead of TopK at the largest n_true / d, {name}", over_topk, each="k", where=where
        ),
        Question(f"{rule}, {{k:g}} steps, ahead there of itself at the smallest, {name}", grows, each="k", where=where),
    ]


QUESTIONS = (
    *(BelowBound(family, rule) for family in FAMILIES for rule in RULES),
    *(
        question
        for rule in ("MP, abs", "MP, relu")
        for metric, name in (("explained_variance", "EV"), ("mcc", "MCC"))
        for question in _paired(rule, metric, name)
    ),
    Question(
        "Gram rows over residuals, m = {x:g}: times faster",
        score("residuals", "ms") / score("Gram rows", "ms"),
        above=1,
        each="x",
        where={"place": "timing"},
    ),
)
TABLES = (
    Medians(
        "medians at the largest n_true / d, true dictionary",
        ("precision", "recall", "error"),
        by=("k", "arm"),
        place="noise",
        at={"x": max},
        formats="{:.3f}",
    ),
    Medians(
        "medians at the largest n_true / d, trained",
        {"explained_variance": "explained variance", "mcc": "mcc", "f1": "f1"},
        by=("k", "arm"),
        place="trained",
        at={"x": max},
        formats="{:.3f}",
    ),
)
