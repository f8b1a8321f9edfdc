"""Neuron resonance: which target firing rates let bias adaptation find features, and do latents in tune point at them?

One group of latents, all steered to p, on a world whose features all fire at f = s/n_true; p/f is varied. Shows BA-10
(recovery depends on p/f, best from f to 2f, gone by 8f) and BA-15 (p as a ceiling against p as a set-point), beside
what the same SAE does without steering. Run `python -m experiments resonance`; results go to `runs/resonance/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes
from rich.table import Table

from experiments.cells import Cell, Report, carry_out, commanded
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.worlds.bias import uniform
from workbench import TrainConfig, create, evaluate, train
from workbench.metrics import collect
from workbench.metrics.matching import random_geometries
from workbench.metrics.resonance import tuning
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band

METRICS = (
    *("recall@.9", "recall@.8", "f1", "fvu", "l0", "dead", "above_target", "frequency_error", "resonance"),
    *("recall@.9_null", "f1_null"),
)
TABLE = {name: name for name in ("recall@.9", "f1", "fvu", "l0", "resonance")} | {"above_target": "> p"}
CONTROLS = {"ceiling": COLOURS[0], "set-point": COLOURS[1]}


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


def draw(frame: pl.DataFrame, settings: Resonance, stem: Path) -> list[Path]:
    """Recovery, tuning, error and density; from the table alone."""
    with styled():
        figure, panels = subplots(2, 2, figsize=(8.6, 6.8))
        over_ratio = {
            "recall@.9": (panels[0, 0], "share of features recovered, cos ≥ .9"),
            "fvu": (panels[1, 0], "fraction of variance unexplained"),
            "l0": (panels[1, 1], "active latents a sample, L0"),
        }
        for metric, (panel, label) in over_ratio.items():
            for control, colour in CONTROLS.items():
                values = [seeds_of(frame, control, ratio, metric) for ratio in settings.ratios]
                draw_band(panel, settings.ratios, values, colour, f"p is a {control}", marker="o", markersize=3)
            unsteered = float(np.median(seeds_of(frame, "unsteered", None, metric)))
            panel.axhline(unsteered, color=COLOURS[4], linewidth=1.2, label="biases stay 0")
            panel.axvline(1.0, color="0.45", linestyle=":", linewidth=1.2, label="p = f")
            edge = min(settings.rate**0.5, settings.rate * settings.d) / settings.rate
            panel.axvline(edge, color="0.45", linestyle="-.", linewidth=1.2, label="min(√f, f d), the theory's edge")
            panel.set_xscale("log", base=2)
            panel.set_xticks(settings.ratios, [f"{ratio:g}" for ratio in settings.ratios])
            panel.minorticks_off()
            panel.set(xlabel="target rate over the features' rate, p/f", ylabel=label)
        chance = frame.filter(pl.col("metric") == "recall@.9_null")["value"].to_numpy()
        panels[0, 0].axhline(
            float(np.median(chance)), color="0.45", linestyle="--", linewidth=1.2, label="random directions"
        )
        panels[0, 0].set_ylim(-0.03, 1.05)
        panels[1, 0].set_yscale("log")
        panels[1, 1].axhline(settings.s, color="black", linestyle="--", linewidth=1.2, label="features a sample, s")
        panels[1, 1].set_yscale("log")
        draw_tuning(panels[0, 1], frame, settings)
        shared_legend(figure, (panels[0, 0], panels[1, 1]), columns=4)
        caption = (
            "n_true = {n_true} Gaussian directions, d = {d}, {s} features a unit-norm sample, m = {m}; {steps} steps "
            "of {batch}, Adam {lr:g}, biases move by {gamma:g} every {period} steps; {seeds} seeds of weights: median, "
            "10-90 % band, points. Top right: latents that fire where p is a ceiling, medians of bins over all seeds."
        ).format(**asdict(settings))
        return finish(figure, caption, stem)


def draw_tuning(panel: Axes, frame: pl.DataFrame, settings: Resonance) -> None:
    """|cos| to the nearest feature against how often a latent fires, for up to four targets."""
    wanted = [r for r in (0.25, 1.0, 4.0, 8.0) if r in settings.ratios] or list(settings.ratios[:4])
    for ratio, colour in zip(wanted, (COLOURS[5], COLOURS[2], COLOURS[3], COLOURS[6]), strict=False):
        own = frame.filter(pl.col("control") == "ceiling", pl.col("p/f") == ratio)
        x, y = (own.filter(pl.col("metric") == name)["value"].to_numpy() for name in ("log2 rate", "cosine"))
        panel.plot(x, y, ".", color=colour, markersize=2, alpha=0.25, markeredgewidth=0)
        places = np.round(2 * x) / 2
        bins = [b for b in np.unique(places) if (places == b).sum() >= 5]
        medians = [float(np.median(y[places == b])) for b in bins]
        panel.plot(bins, medians, "o-", color=colour, markersize=3.5, linewidth=1.6, label=f"p/f = {ratio:g}")
    panel.axvline(0.0, color="0.45", linestyle=":", linewidth=1.2)
    chance = frame.filter(pl.col("metric") == "cosine_null")["value"].to_numpy()
    panel.axhline(float(np.median(chance)), color="0.45", linestyle="--", linewidth=1.2)
    panel.set(xlabel="log₂ (latent's rate / nearest feature's rate)", ylabel="|cos| to the nearest feature")
    panel.legend(frameon=False, loc="lower left")


def seeds_of(frame: pl.DataFrame, control: str, ratio: float | None, metric: str) -> list[float]:
    """One number a seed."""
    at = pl.col("p/f").is_null() if ratio is None else pl.col("p/f") == ratio
    own = frame.filter(pl.col("control") == control, at, pl.col("metric") == metric)
    return own.sort("seed")["value"].to_list()


def table_of(frame: pl.DataFrame, settings: Resonance) -> Table:
    """Medians over seeds."""
    table = Table(
        "target", "p/f", *TABLE.values(), title=f"after {settings.steps} steps: medians over {settings.seeds} seeds"
    )
    targets = [(control, ratio) for control in CONTROLS for ratio in settings.ratios]
    for control, ratio in [*targets, ("unsteered", None)]:
        values = [seeds_of(frame, control, ratio, metric) for metric in TABLE]
        middle = [float(np.median(own)) if own else math.nan for own in values]
        table.add_row(control, "" if ratio is None else f"{ratio:g}", *(f"{v:.3f}" for v in middle))
    chance = [np.median(frame.filter(pl.col("metric") == name)["value"]) for name in ("recall@.9_null", "f1_null")]
    table.caption = (
        "unsteered: biases stay 0; resonance: |cos| of latents firing at f/2 to 2f, less that of others; > p: share of "
        f"latents that fire more often; chance: recall@.9 {chance[0]:.2g}, f1 {chance[1]:.2g}"
    )
    return table


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
    paths = draw(frame, settings, run.folder / "figures/resonance")
    console.print(table_of(frame, settings))
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("resonance", partial(read_flags, Resonance, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
