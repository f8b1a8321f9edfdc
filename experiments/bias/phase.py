"""Phase diagrams of bias adaptation: where does it recover every feature, and does the theorem say so?

Maps: `frequency`, target over feature rate by dimension, with the theorem's window and a row at four times the features
(BA-10, BA-11); `width` (BA-17); `partners`, planted co-occurrence by number of features (BA-4); `groups`, their number
by the highest target. Run `python -m experiments bias_phase`; results go to `runs/bias_phase/...`; `--resume FOLDER`
goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from rich.table import Table

from experiments.bias.figures import draw_frequency, draw_groups, draw_partners, draw_widths, middle
from experiments.cells import Cell, Report, carry_out, commanded
from synthetic import conditions
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.transformed.unit_norm import UnitNorm
from synthetic.worlds import bias as bias_worlds
from workbench import TrainConfig, create, evaluate, train

METRICS = ("recall@.9", "recall@.9_null", "recall@.8", "f1", "fvu", "l0", "dead", "above_target")
Map = Literal["frequency", "width", "partners", "groups"]
RATIOS = tuple(round(2 ** (i / 2 - 2), 3) for i in range(12))
"""p / f from 1/4 to 11"""
D = (12, 16, 20, 24, 32, 48, 64, 128)
ROW = (24, 32, 40, 56, 80, 128)
"""dimensions of the row at four times the features"""
WIDTHS = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
"""m / n_true"""
RHO = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.0)
SIZES = (32, 64, 128, 256)
"""n_true of the map of partners"""
GROUPS = (1, 2, 3, 5, 10)
HIGH = (0.5, 0.2, 0.1, 0.05, 0.02)


@dataclass(frozen=True)
class BiasPhase:
    """Settings."""

    maps: tuple[Map, ...] = ("frequency",)
    """which maps"""
    n_true: int = 128
    """features"""
    s: int = 3
    """features a sample, but 4 in the map of partners"""
    m: float = 2.0
    """latents over features, where that is not what varies"""
    steps: int = 3000
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 3e-3
    """Adam's step size, constant"""
    gamma: float = 0.03
    """share by which biases fall and rise"""
    period: int = 10
    """steps between adaptations"""
    output: Literal["jump", "relu"] = "jump"
    """what a firing latent passes on"""
    seeds: int = 5
    """of world, data and weights together"""
    ratios: tuple[float, ...] = RATIOS
    """p / f"""
    d: tuple[int, ...] = D
    """dimensions of the map of frequencies"""
    row: tuple[int, ...] = ROW
    """dimensions of its row at 4 n_true; none for no row"""
    jobs: int = 0
    """processes; 0 for one a core"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("n_true", "s", "steps", "batch", "seeds", "period"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        must(self.gamma >= 0, "--gamma", "at least 0", self.gamma, "use 0 for biases that stay")
        must(self.maps, "--maps", "at least one map", self.maps, "name one")
        must(self.s <= self.n_true, "--s", f"at most n_true={self.n_true}", self.s, "lower it")
        must(self.m * self.n_true >= 1, "--m", "latents over features, above 0", self.m, "raise it")
        good = self.ratios and min(self.ratios) > 0 and max(self.ratios) * self.s <= self.n_true
        must(good, "--ratios", f"in (0, n_true/s={self.n_true / self.s:.4g}]", self.ratios, "a rate is at most 1")
        fits = "partners" not in self.maps or middle(self.ratios) * 4 <= min(SIZES)
        must(fits, "--ratios", "at most 8 nearest 1.41, for the map of partners", self.ratios, "add one near 1.41")
        least = min((*self.d, *self.row), default=0)
        must(self.d and least >= 2, "--d, --row", "dimensions of at least 2", least, "raise them")


def plan(settings: BiasPhase) -> list[Cell]:
    """One cell a world and seed: a stack over target frequencies or group settings. Slow ones first."""
    cells: list[Cell] = []
    common = {name: getattr(settings, name) for name in ("steps", "batch", "lr", "gamma", "period", "output")}
    n = settings.n_true

    def add(map: str, n_true: int, d: int, m: float, s: int, rho: float | None, ratio: tuple[float, ...]) -> None:
        low = [r * s / n_true for r in ratio]
        own = {"groups": [1] * len(low), "high": low, "low": low, "ratio": list(ratio)}
        put(map, n_true, d, round(m * n_true), s, rho, own)

    def put(map: str, n_true: int, d: int, m: int, s: int, rho: float | None, own: dict[str, list[Any]]) -> None:
        world = {"map": map, "n_true": n_true, "d": d, "m": m, "s": s, "rho": rho}
        size = settings.steps * settings.batch * len(own["low"])
        for seed in range(settings.seeds):
            id = f"{map}/n{n_true}/d{d}/m{m}" + ("" if rho is None else f"/rho{rho:g}") + f"/{seed}"
            cells.append(common | world | own | {"id": id, "seed": seed, "size": size})

    if "frequency" in settings.maps:
        for d in settings.d:
            add("frequency", n, d, settings.m, settings.s, None, settings.ratios)
        for d in settings.row:
            add("row", 4 * n, d, settings.m, settings.s, None, (middle(settings.ratios),))
    if "width" in settings.maps:
        for m in WIDTHS:
            add("width", n, max(2, n // 4), m, settings.s, None, settings.ratios[::2])
    if "partners" in settings.maps:
        for n_true in SIZES:
            for rho in RHO:
                add("partners", n_true, 48, settings.m, 4, rho, (middle(settings.ratios),))
    if "groups" in settings.maps:
        own = {"groups": [k for k in GROUPS for _ in HIGH], "high": list(HIGH) * len(GROUPS)}
        own |= {"low": [0.001 if k > 1 else h for k, h in zip(own["groups"], own["high"], strict=True)]}
        put("groups", n, max(2, n // 4), 4 * n, settings.s, None, own | {"ratio": [None] * len(own["low"])})
    return sorted(cells, key=lambda c: -c["size"] * c["m"] * (c["d"] + 64))


def world_of(cell: Cell) -> UnitNorm:
    """The dynamics class, or the same with planted partners."""
    if cell["rho"] is None:
        return bias_worlds.uniform(cell["n_true"], cell["d"], cell["s"], cell["seed"])
    return bias_worlds.planted(cell["n_true"], cell["d"], cell["s"], cell["rho"], cell["seed"])


def work(cell: Cell, report: Report) -> dict[str, list[float]]:
    """Train and score one stack; runs in a process of the pool."""
    world, members = world_of(cell), len(cell["low"])
    own = {name: cell[name] for name in ("groups", "high", "low", "period", "output")}
    gamma = {"down": cell["gamma"], "up": cell["gamma"]}
    sae = create("group_bias_adaptation", cell["d"], cell["m"], seed=cell["seed"], **own, **gamma)
    config = TrainConfig(
        **{name: cell[name] for name in ("steps", "batch", "lr")},
        warm_up=0.0,
        decay=0.0,
        clip=None,
        centre=False,
        normalise=False,
    )

    def on_step(progress: Any) -> None:
        report(progress.step * cell["batch"] * members, "training")

    train(sae, world, config, seed=cell["seed"], on_step=on_step)
    scores = evaluate(sae, world, n=5000, seed=cell["seed"] + 1)
    seen = conditions(world, n=2000)
    found = {name: np.asarray(scores[name]).tolist() for name in METRICS}
    return found | {"rho_2": [seen.rho_2] * members, "mu": [seen.mu] * members}


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member and metric."""
    for cell in cells:
        about = {name: cell[name] for name in ("map", "n_true", "d", "m", "s", "rho", "seed")}
        for metric, values in results[cell["id"]].items():
            for i, value in enumerate(values):
                own = {name: cell[name][i] for name in ("ratio", "groups", "high")}
                yield about | own | {"metric": metric, "value": value}


def caption(settings: BiasPhase) -> str:
    """What a figure states."""
    return (
        f"Bias adaptation, {settings.output} output, {settings.steps} steps of {settings.batch}, Adam {settings.lr:g}, "
        f"gamma {settings.gamma:g} every {settings.period} steps; medians of {settings.seeds} seeds of world, data and "
        "weights together."
    )


DRAWN = {"frequency": draw_frequency, "width": draw_widths, "partners": draw_partners, "groups": draw_groups}


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:40} {cell['size']:,} samples"


def experiment(settings: BiasPhase, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "bias_phase", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    table = Table("finding", "figure", title="phase diagrams of bias adaptation")
    for name in settings.maps:
        own = frame.filter(pl.col("map").is_in(["frequency", "row"] if name == "frequency" else [name]))
        paths, found = DRAWN[name](own, caption(settings), run.folder / f"figures/{name}")
        for line in found:
            table.add_row(*line)
        console.print(f"figure {paths[0]}", soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"results {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("bias_phase", partial(read_flags, BiasPhase, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
