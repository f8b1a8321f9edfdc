"""Phase diagrams of bias adaptation: where does it recover every feature, and does the theorem say so?

Maps: `frequency`, target over feature rate by dimension, with the theorem's window and a row at four times the features
(BA-10, BA-11); `width` (BA-17); `partners`, planted co-occurrence by number of features (BA-4); `groups`, their number
by the highest target. Run `python -m experiments bias_phase`; results go to `runs/bias_phase/...`; `--resume FOLDER`
goes on; `--help` lists the flags.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from experiments.bias.figures import FIGURES, findings
from experiments.bias.settings import SIZES, BiasPhase, middle, training
from synthetic import conditions
from synthetic.worlds.bias import planted, uniform
from workbench import SAE, evaluate
from workbench.study.figure import Figure
from workbench.study.places import Arm, Place, Scores, seed_of_world
from workbench.study.study import Study
from workbench.study.table import setting_columns

METRICS = ("recall@.9", "recall@.9_null", "recall@.8", "f1", "fvu", "l0", "dead", "above_target")
WIDTHS = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
"""m / n_true"""
RHO = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0)
GROUPS = (1, 2, 3, 5, 10)
HIGH = (0.5, 0.2, 0.1, 0.05, 0.02)


def places(settings: BiasPhase) -> Iterator[Place]:
    """The worlds of every map, a column `latents` with how many are trained on each."""
    n, s, m = settings.n_true, settings.s, settings.m

    def place(label: str, n_true: int, d: int, latents: float) -> Place:
        columns = {"s": s, "rho": None, "latents": round(latents * n_true)}
        return Place(label, uniform(n_true, d, s), columns=columns, id=f"{label}/n{n_true}/d{d}/m{columns['latents']}")

    if "frequency" in settings.maps:
        yield from (place("frequency", n, d, m) for d in settings.d)
        yield from (place("row", 4 * n, d, m) for d in settings.row)
    if "width" in settings.maps:
        yield from (place("width", n, max(2, n // 4), width) for width in WIDTHS)
    for n_true in SIZES if "partners" in settings.maps else ():
        for rho in RHO:
            columns = {"s": 4, "rho": rho, "latents": round(m * n_true)}
            yield Place("partners", planted(n_true, 48, 4, rho), columns=columns, id=f"partners/n{n_true}/rho{rho:g}")
    if "groups" in settings.maps:
        yield place("groups", n, max(2, n // 4), 4)


def arms(settings: BiasPhase, place: Place) -> list[Arm]:
    """One stack over target frequencies, or over groups and highest targets."""
    world: Any = place.source
    own = {"period": settings.period, "output": settings.output, "down": settings.gamma, "up": settings.gamma}
    if place.label == "groups":
        grid = [{"groups": k, "high": high, "low": 0.001 if k > 1 else high} for k in GROUPS for high in HIGH]
    else:
        rates = [ratio * place.columns["s"] / world.truth.n_true for ratio in ratios_of(settings, place.label)]
        grid = [{"groups": 1, "high": rate, "low": rate} for rate in rates]
    return [Arm("BA", "group_bias_adaptation", place.columns["latents"], own, grid)]


def ratios_of(settings: BiasPhase, label: str) -> tuple[float, ...]:
    """The p / f of a map."""
    if label in ("row", "partners"):
        return (middle(settings.ratios),)
    return settings.ratios[::2] if label == "width" else settings.ratios


def measure(sae: SAE, place: Place, settings: BiasPhase) -> Scores:
    """Scores on samples of another seed, and what the theorem asks of the world."""
    world: Any = place.source
    scores = evaluate(sae, world, n=5000, seed=(seed_of_world(world) or 0) + 1)
    seen = conditions(world, n=2000)
    found = {"rho_2": np.full(sae.shape, seen.rho_2), "mu": np.full(sae.shape, seen.mu)}
    return {name: scores[name] for name in METRICS} | found


def with_axes(table: pl.DataFrame, settings: BiasPhase) -> pl.DataFrame:
    """The table with what runs across in x: p / f, or in the map of groups the highest target; and `scaled`.

    Scaled is d / sqrt(n_true), or in the map of partners rho sqrt(n_true): where sizes should collapse.
    """
    known = setting_columns(table)
    ratio = known["low"] * known["n_true"] / known["s"]
    nearest = [None if at is None else min(settings.ratios, key=lambda r: abs(r - at)) for at in ratio]
    root = pl.col("n_true").sqrt()
    return table.with_columns(
        x=pl.when(pl.col("place") == "groups").then(known["high"]).otherwise(pl.Series(nearest, dtype=pl.Float64)),
        groups=known["groups"].cast(pl.Int64),
        rho=pl.col("rho").cast(pl.Float64),
        scaled=pl.when(pl.col("place") == "partners").then(pl.col("rho") * root).otherwise(pl.col("d") / root),
    ).drop("latents")


def figures(settings: BiasPhase) -> list[Figure]:
    """One a map."""
    return [FIGURES[name] for name in settings.maps]


STUDY = Study(
    name="bias_phase",
    question=__doc__,
    settings=BiasPhase,
    places=places,
    arms=arms,
    measure=measure,
    derive=with_axes,
    figures=figures,
    tables=(findings,),
    toy=BiasPhase(
        n_true=32, s=2, d=(8, 24), row=(12, 40), ratios=(1.5, 8.0), gamma=0.05, seeds=2, train=training(500, 64, 6e-3)
    ),
)
main = STUDY.main
