"""Which parts of training matter to TopK on trees: all combinations of five, on the same samples and weights."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE
from rich.table import Table

from experiments.tuning.settings import Tuning
from experiments.tuning.worlds import aims, latents, samples, world
from synthetic.rows import ArrayRows
from workbench import TrainConfig, create, evaluate, train
from workbench.study.questions import Interval, interval
from workbench.study.units import Report, Row, Unit

FACTORS = {
    "AuxK": "32 dead latents at weight 1, dead after 100 steps",
    "annealing": "k from 3 k",
    "W_enc": "columns of norm .1 in place of 1 at the start",
    "no clip": "gradients of any norm",
    "no centre": "b_dec starts at 0",
}
"""name -> what it changes"""
LR, SHORT = 3e-3, 0.1
SCORES = {"saelens_mcc": "MCC", "saelens_f1": "F1", "saelens_dead_latents": "dead"}


@dataclass(frozen=True, kw_only=True)
class Factorial(Unit):
    """All combinations on one world, its samples and one draw of weights."""

    settings: Tuning
    part: str = "factorial"
    world: str = "trees"
    variant: str = "topk"

    @property
    def size(self) -> int:
        """Samples of all trainings; the two starts of W_enc are members of one stack."""
        return self.settings.samples * 2 ** (len(FACTORS) - 1)

    def rows(self, report: Report) -> Iterator[Row]:
        """Scores of each combination."""
        source = world(self.world, self.seed)
        data = samples(source, self.settings.samples, self.seed)
        about = {"place": f"{self.part}, {self.world}", "arm": self.variant, "world": self.world, "lr": LR}
        about |= {"world_seed": self.seed, "seed": self.seed, "n_true": source.n_true, "d": source.d}
        others = [name for name in FACTORS if name != "W_enc"]
        for i, on in enumerate(itertools.product((0, 1), repeat=len(others))):
            levels = dict(zip(others, on, strict=True))
            scores = trained(self, source, data, levels)
            for start in (0, 1):
                setting = written(levels | {"W_enc": start})
                for metric in SCORES:
                    value = float(scores[metric][start])
                    yield about | {"m": latents(source), "setting": setting, "metric": metric, "value": value}
            report((i + 1) * self.settings.samples, setting)


def written(levels: Mapping[str, int]) -> str:
    """A combination as the column `setting` has it: what is on."""
    return " + ".join(name for name in FACTORS if levels[name]) or "plain"


def trained(unit: Factorial, source: Any, data: ArrayRows, levels: Mapping[str, int]) -> Any:
    """Scores of two SAEs that differ in the norm of W_enc's columns at the start."""
    settings, aim = unit.settings, aims(unit.variant, source)
    sae = create(unit.variant, source.d, latents(source), seed=[unit.seed, unit.seed], **aim)
    with torch.no_grad():
        sae.W_enc[1] *= SHORT
    train(sae, data, configured(settings, levels, aim["k"]), seed=unit.seed)
    return evaluate(sae, source, n=settings.evaluation_samples, seed=unit.seed, metrics=list(SCORES))


def configured(settings: Tuning, levels: Mapping[str, int], k: float) -> TrainConfig:
    """Training of a combination; `W_enc` is no part of it."""
    config = TrainConfig(steps=settings.samples // settings.batch, batch=settings.batch, lr=LR)
    changes: dict[str, dict[str, Any]] = {
        "AuxK": {"aux_k": 32, "aux_weight": 1.0, "dead_after": 100},
        "annealing": {"k_start": 3.0 * k},
        "no clip": {"clip": None},
        "no centre": {"centre": False},
    }
    for name, change in changes.items():
        config = replace(config, **change) if levels[name] else config
    return config


def factorials(settings: Tuning) -> Iterator[Factorial]:
    """One a seed."""
    for seed in range(settings.seeds):
        yield Factorial(settings=settings, seeds=(seed,))


def effects(table: pl.DataFrame, metric: str) -> dict[tuple[str, ...], Interval]:
    """What each factor adds to a metric over all others, and half of what a second one adds to that; over seeds."""
    found = table.filter(pl.col("place").str.starts_with("factorial"), pl.col("metric") == metric)
    seeds = sorted(found["seed"].unique())
    values = {(row["seed"], row["setting"]): row["value"] for row in found.iter_rows(named=True)}
    levels = [dict(zip(FACTORS, on, strict=True)) for on in itertools.product((0, 1), repeat=len(FACTORS))]
    scores = np.array([[values[seed, written(level)] for level in levels] for seed in seeds])
    signs = {name: np.array([2 * level[name] - 1 for level in levels]) for name in FACTORS}
    terms = [(name,) for name in FACTORS] + list(itertools.combinations(FACTORS, 2))
    contrasts = {term: np.prod([signs[name] for name in term], axis=0) / (len(levels) / 2) for term in terms}
    return {term: interval(scores @ contrast) for term, contrast in contrasts.items()}


def effect_table(table: pl.DataFrame, settings: Tuning) -> Table:
    """Main effects and interactions of two, the mean over all combinations being what they are added to."""
    shown = Table(title="TopK on trees: what each part adds, 95 % intervals over seeds", box=SIMPLE, pad_edge=False)
    shown.add_column("on", no_wrap=True)
    columns = {metric: effects(table, metric) for metric in SCORES}
    for head in SCORES.values():
        shown.add_column(head, justify="right", no_wrap=True)
    own = table.filter(pl.col("place").str.starts_with("factorial"))
    for what in ("plain", " + ".join(FACTORS)):
        cells = own.filter(pl.col("setting") == what)
        medians = [cells.filter(pl.col("metric") == metric)["value"].median() for metric in SCORES]
        shown.add_row(what if what == "plain" else "all five", *(f"{value:.3f}" for value in medians))
    shown.add_section()
    for term in columns["saelens_mcc"]:
        digits = {"saelens_dead_latents": 1}
        cells = [_said(found[term], digits.get(metric, 3)) for metric, found in columns.items()]
        shown.add_row(" x ".join(term), *cells, end_section=term == (list(FACTORS)[-1],))
    return shown


def _said(one: Interval, digits: int) -> str:
    """An effect and its half-width, marked where the interval leaves out 0."""
    mark = "*" if one.low > 0 or one.high < 0 else " "
    return f"{one.mean:+.{digits}f} ± {one.half:.{digits}f}{mark}"
