"""Semi-NMF against SAEs on its own worlds: nonnegative factors over groups of neurons.

D1: factors on neurons of their own; D2: families of leaves that share a core. Every method sees the same samples; seeds
differ in starts. Shows that error says nothing of the features (SN-1, SN-4, SN-5, SN-7), where winner-take-all finds
them (SN-1, SN-6, SN-9) and where not (SN-13), and what a second level makes of families (SN-10, SN-14). Run
`python -m experiments factors`; results go to `runs/factors/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from experiments.factors.figures import BASE_CORE, FIGURES, LEAF, OVER_CORES, QUESTIONS, TABLES
from experiments.factors.scores import Seen, families, supports
from experiments.factors.settings import Factorise
from synthetic.base.streams import stream
from synthetic.mixture import SparseMixture
from synthetic.worlds.factors import core_exclusive, disjoint_factors
from workbench import TrainConfig, create, evaluate, train, variant_shelf
from workbench.metrics.matching import match
from workbench.parts.semi_nmf import Factors, fit
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, kind_of
from workbench.theory.factors import rank_floor
from workbench.variants.semi_nmf import of_factors

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("fit", {}),
    "WTA": ("fit", {"ratio": 1.0}),
    "WTA, 2x": ("fit", {"ratio": 2.0}),
    "WTA, refit": ("fit", {"ratio": 1.0, "refit": True}),
    "WTA, online": ("semi_nmf", {"ratio": 1.0}),
    "TopK": ("topk", {}),
    "MP": ("matching_pursuit", {}),
}
"""what fits, its settings"""


@dataclass(frozen=True, kw_only=True)
class Method(Unit):
    """All starts of a method on one world."""

    settings: Factorise
    world: str
    method: str
    ratio: float | None = None
    core: int | None = None

    @property
    def fits(self) -> bool:
        """Whether it is semi-NMF in rounds, and not an SAE."""
        return METHODS[self.method][0] == "fit"

    @property
    def size(self) -> int:
        """Samples."""
        settings, config = self.settings, self.settings.train
        rounds = settings.samples * settings.iterations * len(self.seeds)
        return rounds if self.fits else config.steps * config.batch

    @property
    def drawn(self) -> SparseMixture:
        """Its world; on D2 16 neurons are idle."""
        if self.core is None:
            return disjoint_factors(seed=self.settings.world)
        d = 4 * self.core + 16 * (LEAF - self.core) + 16
        return core_exclusive(core=self.core, exclusive=LEAF - self.core, d=d, seed=self.settings.world)


def plan(settings: Factorise) -> list[Method]:
    """One unit a method and world; then the kept share on D1 and the core on D2."""
    spots = []
    for method, (_, own) in METHODS.items():
        spots += [("D1", method, own.get("ratio"), None), ("D2", method, own.get("ratio"), BASE_CORE)]
    spots += [("D1", "WTA", ratio, None) for ratio in settings.ratios]
    spots += [("D2", name, METHODS[name][1].get("ratio"), core) for core in settings.cores for name in OVER_CORES]
    common: dict[str, Any] = {"settings": settings, "seeds": tuple(range(settings.seeds))}
    names = ("world", "method", "ratio", "core")
    return [Method(**common, **dict(zip(names, spot, strict=True))) for spot in dict.fromkeys(spots)]


@dataclass(frozen=True)
class Found:
    """What the starts of a method gave."""

    scores: Sequence[dict[str, Any]]
    """of the shelf, by start"""
    rows: Sequence[Tensor]
    fitted: Sequence[Tensor]
    """the samples seen, reconstructed"""
    more: Sequence[dict[str, float]]


def factorised(unit: Method, world: SparseMixture, x: Tensor, share: float | None, report: Report) -> Found:
    """Semi-NMF from each start."""
    settings, fits = unit.settings, list[Factors]()
    for i, seed in enumerate(unit.seeds):
        options = {"share": share, "refit": METHODS[unit.method][1].get("refit", False)}
        rounds = {"iterations": settings.iterations, "patience": settings.iterations}
        fits.append(fit(x, world.truth.n_true, seed=seed, **rounds, **options))
        report((i + 1) * settings.samples * settings.iterations, f"start {seed}")
    return Found(
        [evaluate(of_factors(one), world, n=5000, seed=1) for one in fits],
        [one.rows for one in fits],
        [one.codes @ one.rows for one in fits],
        [{"rises": float((one.losses.diff() > 1e-9 * one.losses[:-1]).double().mean())} for one in fits],
    )


def trained(unit: Method, world: SparseMixture, seen: Seen, share: float | None, report: Report) -> Found:
    """A stack of SAEs on the samples seen, a member a start."""
    kind, config = METHODS[unit.method][0], unit.settings.train
    own: dict[str, Any] = (
        {"share": share} if "share" in variant_shelf()[kind].settings else {"k": round(world.truth.expected_l0)}
    )
    sae = create(kind, world.d, world.truth.n_true, seed=list(unit.seeds), **own)
    train(sae, seen, config, on_step=lambda now: report(now.step * config.batch, "training"))
    stacked = evaluate(sae, world, n=5000, seed=1)
    scores = [{name: values[i] for name, values in stacked.items()} for i in range(len(unit.seeds))]
    with torch.no_grad():
        fitted = list(sae(seen.pool.x).double())
    return Found(scores, list(sae.W_dec.double().detach()), fitted, [{}] * len(unit.seeds))


def work(unit: Method, report: Report) -> Iterator[Row]:
    """Fit and score all starts of a method."""
    world, settings, core = unit.drawn, unit.settings, unit.core
    seen = Seen(world, world.sample(settings.samples, stream(settings.world, "factors")))
    x, V = seen.pool.x.double(), world.truth.features
    share = None if unit.ratio is None else min(1.0, unit.ratio * int((V[0] != 0).sum()) / world.d)
    found = factorised(unit, world, x, share, report) if unit.fits else trained(unit, world, seen, share, report)
    floor = rank_floor(torch.linalg.svdvals(x).square().tolist(), world.truth.n_true)
    about: Row = {"place": unit.world, "arm": unit.method, "ratio": unit.ratio, "core": core, "world": "SparseMixture"}
    about |= {"world_seed": settings.world, "n_true": world.truth.n_true, "m": world.truth.n_true, "d": world.d}
    for i, (seed, rows) in enumerate(zip(unit.seeds, found.rows, strict=True)):
        error = float((x - found.fitted[i]).square().sum())
        scores = {name: float(found.scores[i][name]) for name in ("f1", "f1_null", "fvu", "l0", "mcc", "mcc_null")}
        scores |= {"error_share": error / float(x.square().sum()), "over_floor": error / floor}
        scores |= {"support": supports(rows, V)} | found.more[i]
        if len(found.rows) > 1:
            others = [match(rows, other).mean_matched for j, other in enumerate(found.rows) if j != i]
            scores["stable"] = float(np.mean(others))
        if core is not None:
            scores |= families(rows, V, (4, 4), max(core, LEAF - core), settings.iterations, seed)
        for name, value in scores.items():
            yield about | kind_of(name) | {"seed": seed, "value": value}


def derive(table: pl.DataFrame, settings: Factorise) -> pl.DataFrame:
    """What varies at places of its own: D1 over the kept share, D2 over the core; D1 and D2 at each method's own."""
    first, arm, core = pl.col("place") == "D1", pl.col("arm"), pl.col("core")
    shares = {name: own.get("ratio") for name, (_, own) in METHODS.items()}
    own = pl.col("ratio").eq_missing(arm.replace_strict(shares, default=None, return_dtype=pl.Float64))
    over_shares = table.filter(first, arm == "WTA", pl.col("ratio").is_in(settings.ratios))
    over_cores = table.filter(~first, arm.is_in(OVER_CORES), core.is_in(settings.cores))
    parts = [
        table.filter(pl.when(first).then(own).otherwise(core == BASE_CORE)),
        over_shares.with_columns(place=pl.lit("D1 shares"), x=pl.col("ratio")),
        over_cores.with_columns(place=pl.lit("D2 cores"), x=core / LEAF),
    ]
    return pl.concat(parts)


STUDY = Study(
    name="factors",
    question=__doc__,
    settings=Factorise,
    plan=plan,
    work=work,
    derive=derive,
    figures=FIGURES,
    tables=TABLES,
    questions=QUESTIONS,
    toy=Factorise(
        seeds=2, samples=300, iterations=80, ratios=(0.5, 1.0), cores=(0, 12), train=TrainConfig(steps=60, batch=64)
    ),
)
main = STUDY.main
