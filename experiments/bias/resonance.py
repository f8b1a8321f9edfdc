"""Neuron resonance: which target firing rates let bias adaptation find features, and do latents in tune point at them?

One group of latents, all steered to p, on a world whose features all fire at f = s/n_true; p/f is varied. Shows BA-10
(recovery depends on p/f, best from f to 2f, gone by 8f) and BA-15 (p as a ceiling against p as a set-point), beside
what the same SAE does without steering. Run `python -m experiments resonance`; results go to `runs/resonance/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes

from experiments.columns import drawn, tidied
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.worlds.bias import uniform
from workbench import TrainConfig, create, evaluate, train
from workbench.metrics import collect
from workbench.metrics.matching import random_geometries
from workbench.metrics.resonance import tuning
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, GREY, Axis, Level, Lines, Scene, look
from workbench.study.runner import Cell, Report
from workbench.study.selection import present
from workbench.study.selection import rows as rows_of
from workbench.study.study import carry_out, commanded
from workbench.study.tables import Medians

METRICS = (
    *("recall@.9", "recall@.8", "f1", "fvu", "l0", "dead", "above_target", "frequency_error", "resonance"),
    *("recall@.9_null", "f1_null"),
)
TABLE = {name: name for name in ("recall@.9", "f1", "fvu", "l0", "resonance")} | {"above_target": "> p"}
CONTROLS = {"ceiling": look(0), "set-point": look(1)}


@dataclass(frozen=True)
class Resonance:
    """Settings."""

    ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
    """target rates p, in units of the features' rate f"""
    n_true: int = 128
    """features of the world"""
    d: int = 32
    """dimensions"""
    s: int = 3
    """features a sample"""
    m: int = 256
    """latents"""
    steps: int = 3000
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 3e-3
    """Adam's step size, constant"""
    gamma: float = 0.03
    """share of its largest pre-activation by which a bias moves"""
    period: int = 10
    """steps between moves of the biases"""
    seeds: int = 5
    """members of each stack, which differ in initial weights"""
    jobs: int = 0
    """processes; 0 for one a core"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    @property
    def rate(self) -> float:
        """How often each feature fires, f."""
        return self.s / self.n_true

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("n_true", "d", "s", "m", "steps", "batch", "period", "seeds"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.s <= self.n_true, "--s", f"at most n_true={self.n_true}", self.s, "lower it")
        must(self.gamma >= 0, "--gamma", "at least 0", self.gamma, "use 0 for biases that stay")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        most = 1 / self.rate
        fits = self.ratios and min(self.ratios) > 0 and max(self.ratios) <= most
        must(fits, "--ratios", f"above 0 and at most {most:g}", self.ratios, "a rate p is at most 1")


def plan(settings: Resonance) -> list[Cell]:
    """One cell a control and ratio, the seeds in one stack; last the SAE whose biases stay."""
    names = ("n_true", "d", "s", "m", "steps", "batch", "lr", "gamma", "period")
    common = {name: getattr(settings, name) for name in names}
    common |= {"seeds": list(range(settings.seeds)), "size": settings.steps * settings.batch}
    cells: list[Cell] = [
        common | {"id": f"{control}/{ratio:g}", "control": control, "ratio": ratio, "low": ratio * settings.rate}
        for control in CONTROLS
        for ratio in settings.ratios
    ]
    return [*cells, common | {"id": "unsteered", "control": "unsteered", "ratio": None, "low": 1.0, "gamma": 0.0}]


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack; runs in a process of the pool."""
    world = uniform(cell["n_true"], cell["d"], cell["s"])
    own = {"groups": 1, "low": cell["low"], "down": cell["gamma"], "up": cell["gamma"], "period": cell["period"]}
    own |= {"control": cell["control"]} if cell["control"] in CONTROLS else {}
    sae = create("group_bias_adaptation", cell["d"], cell["m"], seed=cell["seeds"], **own)
    plain: dict[str, Any] = {"warm_up": 0.0, "decay": 0.0, "clip": None, "centre": False, "normalise": False}
    config = TrainConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"], **plain)
    train(sae, world, config, on_step=lambda now: report(now.step * cell["batch"], "training"))
    found = evaluate(sae, world, n=20_000, seed=1)
    pairs = [tuning(member) for member in collect(sae, world, 10_000, seed=1)]
    random = torch.cat([g.nearest_cosine for g in random_geometries(cell["m"], world.truth.features)])
    chance = {"cosine_null": [float(random.median())] * len(pairs)}
    return {
        "scores": {name: found[name].tolist() for name in METRICS if name in found} | chance,
        "log2 rate": [ratio.tolist() for ratio, _ in pairs],
        "cosine": [cosine.tolist() for _, cosine in pairs],
    }


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member and metric, and two a latent that fires."""
    for cell in cells:
        result, about = results[cell["id"]], {"control": cell["control"], "p/f": cell["ratio"]}
        for i, seed in enumerate(cell["seeds"]):
            for metric, values in result["scores"].items():
                yield about | {"seed": seed, "latent": None, "metric": metric, "value": values[i]}
            for metric in ("log2 rate", "cosine"):
                for latent, value in enumerate(result[metric][i]):
                    yield about | {"seed": seed, "latent": latent, "metric": metric, "value": value}


def placed(frame: pl.DataFrame) -> pl.DataFrame:
    """The table in the fixed columns: x is the target rate over the features' rate."""
    return tidied(frame, {"arm": "control", "x": "p/f"}, study="resonance")


@dataclass(frozen=True)
class Tuning:
    """|cos| to the nearest feature against how often a latent fires, for up to four targets."""

    legend: str = "own"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw the latents and the medians of bins over all seeds."""
        own = rows_of(scene.table, arm="ceiling")
        ratios = present(own, "x")
        wanted = [r for r in (0.25, 1.0, 4.0, 8.0) if r in ratios] or ratios[:4]
        for ratio, colour in zip(wanted, (COLOURS[5], COLOURS[2], COLOURS[3], COLOURS[6]), strict=False):
            latents = rows_of(own, x=ratio).filter(pl.col("latent").is_not_null())
            x, y = (rows_of(latents, metric=name)["value"].to_numpy() for name in ("log2 rate", "cosine"))
            axes.plot(x, y, ".", color=colour, markersize=2, alpha=0.25, markeredgewidth=0)
            places = np.round(2 * x) / 2
            bins = [b for b in np.unique(places) if (places == b).sum() >= 5]
            medians = [float(np.median(y[places == b])) for b in bins]
            axes.plot(bins, medians, "o-", color=colour, markersize=3.5, linewidth=1.6, label=f"p/f = {ratio:g}")
        axes.axvline(0.0, color=GREY, linestyle=":", linewidth=1.2)
        chance = rows_of(scene.table, metric="cosine", kind="null")["value"].to_numpy()
        axes.axhline(float(np.median(chance)), color=GREY, linestyle="--", linewidth=1.2)
        axes.set(xlabel="log₂ (latent's rate / nearest feature's rate)", ylabel="|cos| to the nearest feature")


def figures(settings: Resonance) -> list[Figure]:
    """Recovery, tuning, error and density."""
    edge = min(settings.rate**0.5, settings.rate * settings.d) / settings.rate

    def over_ratio(metric: str, label: str, *marks: Level, **up: Any) -> Lines:
        unsteered = Level(metric, "biases stay 0", {"arm": "unsteered"}, colour=COLOURS[4], dash="-")
        here = Level(1.0, "p = f", upright=True, dash=":")
        theory = Level(edge, "min(√f, f d), the theory's edge", upright=True, dash="-.")
        across = Axis("target rate over the features' rate, p/f", log=2)
        every = (unsteered, here, theory, *marks)
        return Lines(y=metric, names="p is a {}", across=across, up=Axis(label, **up), marks=every)

    active = Level(settings.s, "features a sample, s", colour="black")
    panels = [
        over_ratio("recall@.9", "share of features recovered, cos ≥ .9", limits=(-0.03, 1.05)),
        Tuning(),
        over_ratio("fvu", "fraction of variance unexplained", log=True),
        over_ratio("l0", "active latents a sample, L0", active, log=True),
    ]
    caption = (
        "n_true = {n_true} Gaussian directions, d = {d}, {s} features a unit-norm sample, m = {m}; {steps} steps "
        "of {batch}, Adam {lr:g}, biases move by {gamma:g} every {period} steps; {seeds} seeds of weights: median, "
        "10-90 % band, points. Top right: latents that fire where p is a ceiling, medians of bins over all seeds."
    )
    return [Figure("resonance", panels, caption, CONTROLS, columns=2, size=(4.3, 3.2))]


def tables(settings: Resonance) -> list[Medians]:
    """Medians over seeds."""
    caption = (
        "unsteered: biases stay 0; resonance: |cos| of latents firing at f/2 to 2f, less that of others; > p: share of "
        "latents that fire more often"
    )
    title = f"after {settings.steps} steps: medians over {settings.seeds} seeds"
    formats = dict.fromkeys(TABLE, "{:.3f}")
    return [Medians(title, TABLE, ("arm", "x"), arms=(*CONTROLS, "unsteered"), formats=formats, caption=caption)]


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:20} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: Resonance, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "resonance", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    table = placed(frame)
    paths = drawn(figures(settings), table, settings, run.folder / "figures")
    for medians in tables(settings):
        console.print(medians.of(table))
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("resonance", partial(read_flags, Resonance, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
