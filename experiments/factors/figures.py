"""Figures, tables and questions on groups of neurons: what is found against how well it fits."""

import numpy as np
import polars as pl
from rich.table import Table

from workbench.study.figure import Figure
from workbench.study.panels import Axis, Level, Lines, Points, Shade, look
from workbench.study.questions import Question, interval, lead
from workbench.study.selection import present, replicates, rows
from workbench.study.table import Medians

OVER_CORES = ("dense", "WTA", "TopK")
BASE_CORE, LEAF = 12, 18
"""neurons of a core where it does not vary, and of a leaf"""
LOOKS = {name: look(i) for name, i in (("dense", 7), ("WTA", 0), ("WTA, online", 4), ("TopK", 1), ("MP", 2))}
SHOWN = {
    "mcc": "cosine",
    "support": "support",
    "f1": "f1",
    "l0": "L0",
    "over_floor": "J / floor",
    "stable": "stable",
    "leaves": "leaves",
}
PAIRED = ("mcc", "support", "f1", "stable", "leaves")
_COSINE = Axis("mean matched |cos|", limits=(0.0, 1.04))
_CORE = Axis("core, share of a leaf's neurons (D2)", limits=(-0.03, 0.9))
_NOT_UNIQUE = (Shade(0.5, 1.0),)


def _level(arm: str) -> Level:
    return Level("mcc", arm, {"place": "D1", "arm": arm}, colour=LOOKS[arm].colour, dash=LOOKS[arm].dash)


_CHANCE = {place: Level("mcc", "chance", {"place": place, "arm": "TopK"}, kind="null") for place in ("D1", "D2")}
FIGURES = (
    Figure(
        "factors",
        [
            *(
                Points(
                    y="mcc",
                    over="over_floor",
                    place=place,
                    across=Axis("J over the SVD's error", log=True, ticks=(1, 10, 100, 1000)),
                    up=_COSINE,
                    marks=(_CHANCE[place],),
                    title=place,
                )
                for place in ("D1", "D2")
            ),
            Lines(
                y="mcc",
                place="D1 shares",
                chance=False,
                across=Axis("entries kept, over a feature's true number (D1)", log=True),
                up=_COSINE,
                marks=(
                    _level("dense"),
                    _level("TopK"),
                    _CHANCE["D1"],
                    Level(1.0, "unique, SN-6", upright=True, dash=":"),
                ),
                legend="own",
            ),
            Lines(y="mcc", place="D2 cores", across=_CORE, up=_COSINE, marks=_NOT_UNIQUE),
            Lines(
                y="leaves",
                place="D2 cores",
                across=_CORE,
                up=Axis("leaves under their family's parent", limits=(0.0, 1.04)),
                marks=_NOT_UNIQUE,
            ),
        ],
        "D1: 12 factors of 10 neurons, d = 120; D2: 4 families of 4 leaves of 18 neurons, core 12 where it does not "
        "vary; n_true = m = 12 and 16; grey: not unique, SN-13. Chance: random rows, shuffled families. {samples} "
        "samples for all; {iterations} rounds of semi-NMF, {train[steps]} steps of {train[batch]} for SAEs with a "
        "latent a factor, k = features a sample; {seeds} starts: median, 10-90 % band, points. Points: a start each.",
        arms=LOOKS,
    ),
)


def against_topk(table: pl.DataFrame) -> list[Table]:
    """Differences from TopK, paired by start."""
    shown = []
    for place in ("D1", "D2"):
        own = rows(table, place=place)
        base = {name: list(replicates(rows(own, arm="TopK"), name).values()) for name in PAIRED}
        known = [name for name in PAIRED if base[name]]
        lines = Table(
            "method less TopK", *(SHOWN[name] for name in known), title=f"{place}: mean ± 95 %, paired by start"
        )
        for arm in present(own, "arm"):
            if arm != "TopK":
                values = (list(replicates(rows(own, arm=arm), name).values()) for name in known)
                leads = (interval(np.subtract(v, base[n])) for n, v in zip(known, values, strict=True))
                lines.add_row(arm, *map(str, leads))
        shown.append(lines)
    return shown


TABLES = (
    Medians(
        "medians over starts",
        SHOWN,
        place=("D1", "D2"),
        beside=("chance",),
        formats="{:.3g}",
        caption="cosine: MCC; J / floor: error over the SVD's; stable: MCC of starts with each other",
    ),
    against_topk,
)
QUESTIONS = tuple(
    question
    for place in ("D1", "D2")
    for question in (
        Question(f"{place}: WTA finds the factors better than TopK, MCC", lead("WTA", "TopK", "mcc", place=place)),
        Question(f"{place}: ... than dense semi-NMF, MCC", lead("WTA", "dense", "mcc", place=place)),
        Question(
            f"{place}: ... though it leaves more error, J / floor", lead("WTA", "dense", "over_floor", place=place)
        ),
    )
)
