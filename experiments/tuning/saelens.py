"""Variants trained by `workbench.tuned` beside SAELens's own: the same samples, one L0, rates from the same grid."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE
from rich.table import Table

from experiments.rivals import saelens_trained
from experiments.tuning.settings import Tuning
from experiments.tuning.worlds import aims, latents, samples, world
from synthetic.rows import ArrayRows
from synthetic.source import training_batch
from workbench import SAE, create, evaluate, train, tuned, variant_shelf
from workbench.study.questions import interval
from workbench.study.table import short
from workbench.study.units import Report, Row, Unit

Side = Literal["ours", "SAELens"]
KINDS = {"topk": "TopK", "batch_topk": "BatchTopK", "jumprelu": "JumpReLU", "matryoshka": "MatryoshkaBatchTopK"}
"""variant -> SAELens's name for it"""
SCORES = {"saelens_mcc": "MCC", "saelens_f1": "F1", "saelens_dead_latents": "dead", "l0": "L0"}
TUNING_SEED = 100
"""of the world and the weights on which rates are chosen"""
SEARCH, CLOSE, LARGER = 8, 0.03, 8
"""trainings at most that bring JumpReLU's L0 so close to its target; how much larger SAELens's second batch is"""


@dataclass(frozen=True)
class Way:
    """How a side trains."""

    lr: float
    batch: int
    weight: float | None = None
    """of SAELens's L0 loss"""

    def __str__(self) -> str:
        tail = "" if self.weight is None else f" l0={self.weight:.4g}"
        return f"lr={self.lr:g} batch={self.batch}{tail}"


@dataclass(frozen=True, kw_only=True)
class Cell(Unit):
    """One side of the comparison: a variant on a world, tuned on a world of its own, then trained on each seed's."""

    settings: Tuning
    world: str
    variant: str
    side: Side

    @property
    def size(self) -> int:
        """Samples of the trainings that are judged."""
        return self.settings.samples * len(self.seeds)

    def rows(self, report: Report) -> Iterator[Row]:
        """Scores of every way that was tried, and of the chosen one on each seed."""
        source = world(self.world, TUNING_SEED)
        data = samples(source, self.settings.samples, TUNING_SEED)
        tried = tried_by_us(self, source, data) if self.side == "ours" else tried_by_saelens(self, source, data)
        target = float(source.truth.expected_l0) if self.variant == "jumprelu" else None  # k is the same on both sides
        best = chosen(tried, target)
        for way, scores in tried:
            place = f"{self.world}, tuning"
            yield from self._rows(scores, source, place=place, seed=TUNING_SEED, lr=way.lr, setting=str(way))
        report(0, f"chose {best}")
        for i, seed in enumerate(self.seeds):
            source = world(self.world, seed)
            data = samples(source, self.settings.samples, seed)
            scores = judged(self, source, data, best, seed)
            yield from self._rows(scores, source, place=self.world, seed=seed, lr=best.lr, setting=str(best))
            report((i + 1) * self.settings.samples, f"mcc {scores['saelens_mcc']:.2f}")

    def _rows(self, scores: dict[str, float], source: Any, **at: Any) -> Iterator[Row]:
        about = {"arm": f"{self.variant}, {self.side}", "world": self.world, "world_seed": at["seed"]}
        about |= {"n_true": source.n_true, "d": source.d, "m": latents(source)}
        for metric, value in scores.items():
            yield about | at | {"metric": metric, "value": value}


Tried = list[tuple[Way, dict[str, float]]]


def cells(settings: Tuning) -> Iterator[Cell]:
    """Both sides of every cell."""
    seeds = tuple(range(settings.seeds))
    for name, variant, side in itertools.product(settings.worlds, settings.compared, ("SAELens", "ours")):
        yield Cell(settings=settings, seeds=seeds, world=name, variant=variant, side=side)


def scored(sae: SAE, source: Any, settings: Tuning, seed: int) -> dict[str, Any]:
    """What both sides are judged by."""
    return dict(evaluate(sae, source, n=settings.evaluation_samples, seed=seed, metrics=list(SCORES)))


def trained_by_us(cell: Cell, source: Any, data: ArrayRows, lr: Any, seed: Any) -> dict[str, Any]:
    """Scores of what `workbench.tuned` trains, and its CPU seconds."""
    settings = cell.settings
    sae = create(cell.variant, source.d, latents(source), seed=seed, **aims(cell.variant, source))
    config = tuned(sae, steps=settings.samples // settings.batch, batch=settings.batch, lr=lr)
    number, clock = int(np.min(seed)), time.process_time()
    train(sae, data, config, seed=number)
    seconds = time.process_time() - clock
    return scored(sae, source, settings, number) | {"seconds": seconds}


def tried_by_us(cell: Cell, source: Any, data: ArrayRows) -> Tried:
    """All rates in one stack."""
    rates = cell.settings.rates
    scores = trained_by_us(cell, source, data, rates, [TUNING_SEED] * len(rates))
    return [
        (Way(lr, cell.settings.batch), {name: float(scores[name][i]) for name in SCORES}) for i, lr in enumerate(rates)
    ]


def by_saelens(cell: Cell, source: Any, data: ArrayRows, way: Way, seed: int) -> dict[str, float]:
    """Scores of what SAELens trains, and its CPU seconds."""
    samples, m = cell.settings.samples, latents(source)
    how: dict[str, Any] = {"d_sae": m}
    if way.weight is None:
        how |= aims(cell.variant, source)
    else:
        how |= {"l0_coefficient": way.weight}
    if cell.variant == "matryoshka":
        how |= {"matryoshka_widths": [round(m * share) for share in variant_shelf()["matryoshka"].defaults["prefixes"]]}
    batches = (training_batch(data, way.batch, seed, i, torch.device("cpu"))[0] for i in itertools.count())
    clock = time.process_time()
    sae = saelens_trained(KINDS[cell.variant], how, batches, samples=samples, lr=way.lr, seed=seed)
    seconds = time.process_time() - clock
    return {**scored(sae, source, cell.settings, seed), "seconds": seconds}


def tried_by_saelens(cell: Cell, source: Any, data: ArrayRows) -> Tried:
    """All rates, and the largest with larger batches too, as these are few; JumpReLU with weights that meet its L0."""
    settings, tried, start = cell.settings, [], 1.0
    grid = [(settings.batch, lr) for lr in settings.rates]
    if LARGER * settings.batch <= settings.samples:
        grid.append((LARGER * settings.batch, max(settings.rates)))
    for batch, lr in grid:

        def attempt(weight: float | None, lr: float = lr, batch: int = batch) -> float:
            way = Way(lr, batch, weight)
            tried.append((way, by_saelens(cell, source, data, way, TUNING_SEED)))
            return tried[-1][1]["l0"]

        if cell.variant == "jumprelu":
            start = searched(attempt, float(source.truth.expected_l0), start)
        else:
            attempt(None)
    return tried


def judged(cell: Cell, source: Any, data: ArrayRows, way: Way, seed: int) -> dict[str, float]:
    """Scores of the chosen way on a world and weights of their own."""
    if cell.side == "SAELens":
        return by_saelens(cell, source, data, way, seed)
    return {name: float(value) for name, value in trained_by_us(cell, source, data, way.lr, seed).items()}


def searched(l0_at: Callable[[float], float], target: float, start: float = 1.0) -> float:
    """The weight, of those tried, at which L0 is nearest to its target.

    On logarithms: by factors of 8 at most until the target lies between two weights, then between the nearest two.
    """
    x, points = math.log(start), []
    while len(points) < SEARCH:
        y = math.log(max(l0_at(math.exp(x)), 1e-2) / target)
        points.append((x, y))
        if abs(math.expm1(y)) <= CLOSE:
            break
        above, below = ([p for p in points if sign * p[1] > 0] for sign in (1, -1))
        if above and below:  # more weight, fewer latents
            (x0, y0), (x1, y1) = max(above), min(below)
            x = x0 + (x1 - x0) * min(0.9, max(0.1, y0 / (y0 - y1)))
        else:
            x += max(-math.log(8), min(math.log(8), 2 * y if len(points) > 1 else y))
    return math.exp(min(points, key=lambda point: abs(point[1]))[0])


def chosen(tried: Tried, target: float | None) -> Way:
    """The way of the best MCC and F1 together; where L0 has a target, of those within 5 % of the nearest to it."""
    misses = [0.0 if target is None else abs(scores["l0"] / target - 1) for _, scores in tried]
    least = max(0.05, 1.05 * min(misses))
    near = [pair for pair, miss in zip(tried, misses, strict=True) if miss <= least]
    return max(near, key=lambda pair: pair[1]["saelens_mcc"] + pair[1]["saelens_f1"])[0]


def comparison(table: pl.DataFrame, settings: Tuning) -> list[Table]:
    """Scores of both sides with paired intervals; then what stands beside them."""
    shown = _table("SAELens's MCC and F1: medians, and ours less theirs with its 95 % interval over seeds")
    beside = _table("dead latents, L0, CPU seconds of training, and how each side chose to train")
    for head in ("ours", "SAELens", "difference") * 2:
        shown.add_column(head, justify="right", no_wrap=True)
    for head in ("side", "dead", "L0", "s", "chosen"):
        beside.add_column(head, justify="left" if head in ("side", "chosen") else "right", no_wrap=True)
    for name, variant in itertools.product(settings.worlds, settings.compared):
        sides = [_side(table, name, variant, side) for side in ("ours", "SAELens")]
        if any(own.is_empty() for own in sides):
            continue
        shown.add_row(
            name, variant, *(cell for metric in ("saelens_mcc", "saelens_f1") for cell in _pair(sides, metric))
        )
        for side, own in zip(("ours", "SAELens"), sides, strict=True):
            dead, l0, seconds = (_median(own, metric) for metric in ("saelens_dead_latents", "l0", "seconds"))
            beside.add_row(name, variant, side, f"{dead:g}", f"{l0:.2f}", f"{seconds:.1f}", own["setting"][0])
    return [shown, beside]


def _table(title: str) -> Table:
    shown = Table(title=title, box=SIMPLE, show_edge=False, collapse_padding=True, pad_edge=False)
    for name in ("world", "variant"):
        shown.add_column(name, no_wrap=True)
    return shown


def _side(table: pl.DataFrame, name: str, variant: str, side: str) -> pl.DataFrame:
    return table.filter(pl.col("place") == name, pl.col("arm") == f"{variant}, {side}").sort("seed")


def _values(own: pl.DataFrame, metric: str) -> np.ndarray:
    return own.filter(pl.col("metric") == metric)["value"].to_numpy()


def _median(own: pl.DataFrame, metric: str) -> float:
    return float(np.median(_values(own, metric)))


def _pair(sides: Sequence[pl.DataFrame], metric: str) -> list[str]:
    """Medians of both sides, and the interval of the paired difference."""
    ours, theirs = (_values(own, metric) for own in sides)
    return [short(float(np.median(ours))), short(float(np.median(theirs))), str(interval(ours - theirs))]
