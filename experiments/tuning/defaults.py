"""Every variant as `workbench.tuned` trains it: latents that stay dead, and how far L0 is from what it aims at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from rich.box import SIMPLE
from rich.table import Table

from experiments.tuning.settings import Tuning
from experiments.tuning.worlds import LAWS, SHELF, aims, latents, samples, world
from workbench import create, evaluate, train, tuned, variant_shelf
from workbench.study.units import Report, Row, Unit

WORLDS = (*LAWS, *SHELF)
MOST_DEAD, MOST_OFF = 0.05, 0.03
"""shares of latents that may be dead, and of the target that L0 may be off"""


@dataclass(frozen=True, kw_only=True)
class Default(Unit):
    """A variant at default on a world: a stack of all seeds' weights."""

    settings: Tuning
    part: str = "defaults"
    world: str
    variant: str

    @property
    def size(self) -> int:
        """Samples of each member."""
        return self.settings.samples

    def rows(self, report: Report) -> Iterator[Row]:
        """Share of dead latents, L0, and its distance from the target as a share of that."""
        settings, source = self.settings, world(self.world, 0)
        aim = aims(self.variant, source)
        sae: Any = create(self.variant, source.d, latents(source), seed=list(self.seeds), **aim)
        config = tuned(sae, steps=settings.samples // settings.batch, batch=settings.batch)
        train(sae, samples(source, settings.samples, 0), config, seed=0)
        scores = dict(evaluate(sae, source, n=settings.evaluation_samples, seed=0, metrics=["dead", "l0"]))
        target = next(iter(aim.values()), None)
        if target is not None:
            scores["l0_error"] = np.abs(np.asarray(scores["l0"]) / target - 1)
        about = {"place": f"{self.part}, {self.world}", "arm": self.variant, "world": self.world, "world_seed": 0}
        about |= {"n_true": source.n_true, "d": source.d, "m": sae.m, "k": aim.get("k")}
        for metric in ("dead", "l0", "l0_error"):
            for seed, value in zip(self.seeds, np.atleast_1d(scores.get(metric, [])), strict=False):
                yield about | {"seed": seed, "metric": metric, "value": float(value)}


def defaults(settings: Tuning) -> Iterator[Default]:
    """One for each variant and world on which it can be."""
    for variant in names(settings):
        for name in WORLDS:
            if not misfit(variant, name):
                yield Default(settings=settings, seeds=tuple(range(settings.seeds)), world=name, variant=variant)


def names(settings: Tuning) -> list[str]:
    """Variants to train; of the shelf those that train all they have."""
    whole = [name for name in variant_shelf() if "frozen" not in name]
    return list(dict.fromkeys(own for name in settings.variants for own in (whole if name == "all" else [name])))


@cache
def misfit(variant: str, name: str) -> str:
    """Why a variant cannot be on a world; empty if it can."""
    source = world(name, 0)
    try:
        create(variant, source.d, latents(source), **aims(variant, source))
    except ValueError as error:
        return str(error)
    return ""


def left_out(settings: Tuning) -> Iterator[str]:
    """A line for each variant that cannot be on a world."""
    for variant in names(settings):
        for name in WORLDS:
            if why := misfit(variant, name):
                yield f"left out {variant} on {name}: {why}"


def missed_table(table: pl.DataFrame, settings: Tuning) -> Table:
    """Dead latents and L0's error in percent, the larger of all seeds; those that miss are marked."""
    limits = f"above {MOST_DEAD:.0%} dead or {MOST_OFF:.0%} off"
    title = f"dead latents / distance of L0 from its target, %, the worst of seeds; * is {limits}"
    shown = Table(title=title, box=SIMPLE, show_edge=False, collapse_padding=True, pad_edge=False)
    shown.add_column("variant", no_wrap=True)
    for name in WORLDS:
        shown.add_column(name[:11], justify="right", no_wrap=True)
    for variant in names(settings):
        own = table.filter(pl.col("arm") == variant, pl.col("place").str.starts_with("defaults"))
        if not own.is_empty():
            shown.add_row(variant, *(_cell(own.filter(pl.col("world") == name)) for name in WORLDS))
    return shown


def _cell(own: pl.DataFrame) -> str:
    """Dead latents and error of one variant on one world."""
    dead, off = (own.filter(pl.col("metric") == metric)["value"].max() for metric in ("dead", "l0_error"))
    if dead is None:
        return ""
    mark = "*" if float(dead) > MOST_DEAD or float(off or 0) > MOST_OFF else " "  # type: ignore[arg-type]
    error = "-" if off is None else f"{100 * float(off):.1f}"  # type: ignore[arg-type]
    return f"{100 * float(dead):.0f}/{error}{mark}"  # type: ignore[arg-type]
