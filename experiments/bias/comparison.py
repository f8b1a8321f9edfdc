"""Figures, medians and questions of the comparison of group bias adaptation (GBA) with other methods."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Level, Lines, Look, Panel, Scene, draw_band, look
from workbench.study.questions import Question, lead, score
from workbench.study.selection import curve, last_step, replicates, rows
from workbench.study.table import Medians

SCORES = ("recall@.9", "recall@.8", "f1", "mcs@.9", "fvu", "l0", "dead", "above_target", "frequency_error")
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""cosines at which survival across seeds is read"""
WORLDS = {"unbalanced": (11.5, "3 or 20 features a sample, half each"), "uniform": (3.0, "3 features a sample")}
"""mean features a sample, title"""
RIVALS = ("TopK", "BatchTopK", "JumpReLU", "L1")
GBA = Look("black", "D")
BA = Look(COLOURS[7], "o", (0, (3, 1, 1, 1)))
OTHERS = {rival: look(i) for rival, i in zip(RIVALS, (0, 5, 2, 1), strict=True)}
PUBLISHED = "As reported, @.8/.9: TopK 20 1/.984, 30 .984/.242, 50 .945/.234; GBA full range 1/1, wrong .383/.039"


def _settings(table: pl.DataFrame) -> pl.DataFrame:
    """Medians of recall, error and L0 of each setting of each arm at each place."""
    last = last_step(table).filter(pl.col("kind") == "score")
    value, metric = pl.col("value"), pl.col("metric")
    medians = {name: value.filter(metric == name).median() for name in ("recall@.9", "fvu", "l0")}
    return last.group_by("place", "arm", "setting", maintain_order=True).agg(**medians)


def at_best(table: pl.DataFrame) -> pl.DataFrame:
    """Each arm at its setting of best median recall@.9, then of least error."""
    return _first_of(table, _settings(table).sort("recall@.9", "fvu", descending=[True, False], maintain_order=True))


def near_gba(table: pl.DataFrame) -> pl.DataFrame:
    """GBA at its best, each other arm at the setting whose L0 is nearest to that of GBA."""
    best = _settings(at_best(table)).filter(pl.col("arm") == "GBA").select("place", target="l0")
    miss = ((pl.col("l0") + 1e-9) / (pl.col("target") + 1e-9)).log().abs()
    return _first_of(table, _settings(table).join(best, on="place").sort(miss, maintain_order=True))


def _first_of(table: pl.DataFrame, settings: pl.DataFrame) -> pl.DataFrame:
    chosen = settings.unique(["place", "arm"], keep="first", maintain_order=True)
    return table.join(chosen, on=["place", "arm", "setting"], how="semi", nulls_equal=True)


@dataclass(frozen=True)
class Ranges:
    """GBA over its ranges, which are no path: a mark each, with its 10-90 % range."""

    y: str
    place: str

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the marks."""
        own = last_step(rows(scene.table, place=self.place, arm="GBA"))
        for x, values in curve(own, self.y, "l0"):
            axes.plot([x, x], np.quantile(values, (0.1, 0.9)), color=GBA.colour, linewidth=1.2)
            axes.plot(x, np.median(values), GBA.marker, color=GBA.colour, markersize=5, linestyle="", label="GBA")


@dataclass(frozen=True, kw_only=True)
class Survival(Panel):
    """Share of firing latents that another seed has too, by the cosine asked for, each arm at its best setting."""

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw a line an arm."""
        table = at_best(self.rows(scene))
        for arm, how in scene.looks.items():
            own = rows(table, arm=arm)
            values = [list(replicates(own, f"survive {level}").values()) for level in LEVELS]
            if all(values):
                draw_band(axes, LEVELS, values, how, arm)
        self.dress(axes, scene)


def _panels(*others: str) -> Iterator[Lines | Survival]:
    """Recovery and error against L0, and survival; a column a world."""
    for metric in ("recall@.9", "fvu", ""):
        for world, (active, title) in WORLDS.items():
            if not metric:
                up = Axis("share of firing latents", limits=(-0.03, 1.05))
                yield Survival(place=world, across="largest cosine with a latent of another seed, at least", up=up)
                continue
            marks = (Ranges(metric, world), Level(active, "features a sample", upright=True, dash=":"))
            chance = (Level(metric, "chance", {"place": world}, "null"),) if metric == "recall@.9" else ()
            yield Lines(
                y=metric,
                over="l0",
                place=world,
                arms=others,
                title=title if metric == "recall@.9" else "",
                across=Axis("active latents a sample, L0", log=True, ticks=(1, 2, 5, 10, 20, 50)),
                up=Axis(limits=(-0.03, 1.05)) if metric == "recall@.9" else Axis(log=True, limits=(0.008, 1.2)),
                marks=(*marks, *chance),
                legend="shared",
            )


_CAPTION = (
    "n_true = {n_true}, d = {d}, m = {m}, left and right; {steps} steps of {train[batch]}, Adam {train[lr]:g}, the "
    "same samples for all; {seeds} seeds of weights: median, 10-90 % band, points. GBA: a diamond a range. Errors "
    "below .008 left out. Bottom: each at its setting of best recall@.9."
)
FIGURES = (
    Figure("gba", list(_panels(*RIVALS)), _CAPTION, arms={"GBA": GBA, **OTHERS}, columns=2, share="row"),
    Figure("gba-groups", list(_panels("BA")), _CAPTION, arms={"GBA": GBA, "BA": BA}, columns=2, share="row"),
)
TABLES = tuple(
    Medians(
        f"{place}: medians over seeds",
        (*SCORES[:-1], *(("common", "rare") if place == "BA-13" else ())),
        by=("arm", "setting", "m") if place == "BA-14" else ("arm", "setting"),
        place=place,
        formats="{:.3g}",
        beside=(),
        caption=PUBLISHED if place == "unbalanced" else "",
    )
    for place in ("unbalanced", "uniform", "BA-12", "BA-13", "BA-14")
)
_AGAINST = ("BA", *RIVALS)
QUESTIONS = tuple(
    question
    for world in WORLDS
    for pick, words in ((at_best, "each at its best"), (near_gba, "where L0 is nearest to GBA's"))
    for question in (
        *(
            Question(f"{world}: GBA ahead, {metric}, {words}", lead("GBA", _AGAINST, metric, place=world), pick=pick)
            for metric in ("recall@.9", "f1", "mcs@.9")
        ),
        Question(
            f"{world}: GBA leaves less error, FVU, {words}",
            [score(rival, "fvu", place=world) - score("GBA", "fvu", place=world) for rival in _AGAINST],
            pick=pick,
        ),
    )
)
