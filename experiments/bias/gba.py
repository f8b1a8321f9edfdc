"""Group bias adaptation (GBA) against TopK, BatchTopK, JumpReLU and L1 on equal, unit-norm samples.

Each method over a grid of its own sparsity setting, on samples that hold 3 or 20 features and on samples that hold 3.
Differences are paired by seed, at each method's best setting and where its L0 is nearest to that of GBA. Also shows
BA-12 (an output without bias), BA-13 (two frequencies), BA-14 (latents a group) and BA-16 (survival across seeds).
Run `python -m experiments gba`; results go to `runs/gba/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from rich.table import Table

from experiments.cells import Cell, Report, carry_out, commanded
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.worlds.bias import two_frequencies, unbalanced, uniform
from workbench import TrainConfig, create, evaluate, train
from workbench.metrics import collect
from workbench.metrics.evidence import Evidence
from workbench.metrics.recall import best
from workbench.metrics.survival import survivors
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.questions import interval

SCORES = ("recall@.9", "recall@.8", "f1", "mcs@.9", "fvu", "l0", "dead", "above_target", "frequency_error")
NULLS = ("recall@.9_null", "recall@.8_null", "f1_null", "mcs@.9_null")
SHOWN, TICKS = SCORES[:-1], (1, 2, 5, 10, 20, 50)
PAIRED = ("recall@.9", "f1", "mcs@.9", "fvu")
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""cosines at which survival across seeds is read"""
METHODS = {
    "GBA": ("group_bias_adaptation", "black"),
    "BA": ("group_bias_adaptation", COLOURS[7]),
    "TopK": ("topk", COLOURS[0]),
    "BatchTopK": ("batch_topk", COLOURS[5]),
    "JumpReLU": ("jumprelu", COLOURS[2]),
    "L1": ("relu", COLOURS[1]),
}
RANGES = ((1, 0.2, 0.2), (1, 1, 1), (10, 5.5, 0.01), (10, 1.1, 0.01), (3, 2, 0.5), (10, 0.25, 0.005), (10, 5.5, 2))
MAKE = {"unbalanced": unbalanced, "uniform": uniform, "two frequencies": two_frequencies}
WORLDS = {"unbalanced": (11.5, "3 or 20 features a sample, half each"), "uniform": (3.0, "3 features a sample")}
"""mean features a sample, title"""
PUBLISHED = "As reported, @.8/.9: TopK 20 1/.984, 30 .984/.242, 50 .945/.234; GBA full range 1/1, wrong .383/.039"


@dataclass(frozen=True)
class GBA:
    """Settings."""

    ranges: tuple[tuple[int, float, float], ...] = RANGES
    """groups, highest and lowest target rate in units of the features' rate f; one group is BA"""
    k: tuple[int, ...] = (5, 10, 20, 30, 50)
    """k of TopK and BatchTopK"""
    l0: tuple[float, ...] = (0.3, 1.0, 3.0)
    """weights of JumpReLU's penalty"""
    l1: tuple[float, ...] = (1.0, 2.0, 4.0)
    """weights of L1's"""
    n_true: int = 128
    """features"""
    d: tuple[int, int] = (42, 32)
    """dimensions, of samples with 3 or 20 features and with 3"""
    m: tuple[int, int] = (512, 256)
    """latents"""
    steps: int = 4000
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 3e-3
    """Adam's step size"""
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

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.n_true >= 20, "--n-true", "at least 20", self.n_true, "samples hold up to 20 features")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        for name in ("steps", "batch", "lr", "d", "k", "l0", "l1"):
            value = getattr(self, name)
            must(value and np.min(value) > 0, f"--{name}", "above 0", value, "raise it")
        must(max(self.k) <= min(self.m), "--k", f"at most {min(self.m)}", self.k, "lower k or raise --m")
        for groups, high, low in self.ranges:
            good = 1 <= groups <= min(self.m) and 0 < low <= high <= self.n_true / 11.5
            rule = f"groups from 1 to {min(self.m)}, then 0 < low <= high <= {self.n_true / 11.5:.3g}"
            must(good, "--ranges", rule, (groups, high, low), "rates are at most 1")
        both = {groups > 1 for groups, _, _ in self.ranges}
        must(both == {True, False}, "--ranges", "of one group and of more", self.ranges, "GBA and BA are compared")


def plan(settings: GBA) -> list[Cell]:
    """One cell a setting, the seeds in one stack: the grids of two worlds, then three checks."""
    common = {name: getattr(settings, name) for name in ("steps", "batch", "lr")}
    common |= {"seeds": list(range(settings.seeds)), "size": settings.steps * settings.batch}
    cells: list[Cell] = []

    def add(part: str, world: str, method: str, setting: str, m: int, **own: Any) -> None:
        about = {"part": part, "world": world, "method": method, "setting": setting, "m": m, "own": own}
        about |= {"d": settings.d[world != "unbalanced"], "n_true": settings.n_true // (1 + (part == "BA-13"))}
        cells.append(common | about | {"id": f"{part}/{world}/{method} {setting}/m{m}"})

    for (world, (active, _)), m in zip(WORLDS.items(), settings.m, strict=True):
        f = active / settings.n_true
        for groups, high, low in settings.ranges:
            about = f"p = {low:g}f" if groups == 1 else f"K = {groups}, p = {high:g}f…{low:g}f"
            own = {"groups": groups, "high": high * f, "low": low * f}
            add("grid", world, "BA" if groups == 1 else "GBA", about, m, **own)
        for method, name in (("TopK", "k"), ("BatchTopK", "k"), ("JumpReLU", "l0"), ("L1", "l1")):
            for value in getattr(settings, name):
                add("grid", world, method, f"{name} = {value:g}", m, **{name: value})
    m = settings.m[1]
    for output in ("jump", "relu"):
        add("BA-12", "uniform", "BA", f"p = 1.5f, {output}", m, groups=1, low=4.5 / settings.n_true, output=output)
    for method, groups, high, low in (("BA", 1, 0.09, 0.09), ("GBA", 2, 0.09, 0.009), ("BA", 1, 0.003, 0.003)):
        about = f"p = {high:g}" + (f", {low:g}" if groups > 1 else "")
        add("BA-13", "two frequencies", method, about, m, groups=groups, high=high, low=low)
    for high, width in ((0.1, m), (0.1, 5 * m), (0.5, m), (0.5, 5 * m)):
        add("BA-14", "uniform", "GBA", f"p = {high:g}…0.001", width, groups=min(10, m), high=high, low=0.001)
    return cells


def more(member: Evidence) -> dict[str, float]:
    """Survival at each level; recall among common and rare features, where there are two rates."""
    found = {f"survive {level}": survivors(member, level) for level in LEVELS}
    rates = member.truth.rates
    common, recovered = rates > rates.mean() * 1.01, best(member.geometry, member.truth.symmetries) >= 0.9
    if bool(common.any()):
        found |= {"common": float(recovered[common].double().mean()), "rare": float(recovered[~common].double().mean())}
    return found


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack; runs in a process of the pool."""
    world, variant = MAKE[cell["world"]](cell["n_true"], cell["d"]), METHODS[cell["method"]][0]
    sae = create(variant, cell["d"], cell["m"], seed=cell["seeds"], **cell["own"])
    plain: dict[str, Any] = {"warm_up": 0.0, "decay": 0.0, "clip": None, "centre": False, "normalise": False}
    plain = plain if variant == "group_bias_adaptation" else {}  # penalties are in units where E|x|^2 = d
    config = TrainConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"], **plain)
    train(sae, world, config, on_step=lambda now: report(now.step * cell["batch"], "training"))
    found = evaluate(sae, world, n=20_000, seed=1)
    extra = [more(member) for member in collect(sae, world, 20_000, seed=1)]
    scores = {name: found[name].tolist() for name in (*SCORES, *NULLS) if name in found}
    return scores | {name: [own[name] for own in extra] for name in extra[0]}


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member and metric."""
    for cell in cells:
        about = {name: cell[name] for name in ("part", "world", "method", "setting", "m")}
        for metric, values in results[cell["id"]].items():
            for seed, value in zip(cell["seeds"], values, strict=True):
                yield about | {"seed": seed, "metric": metric, "value": float(value)}


Runs = dict[tuple[str, str, str, int], dict[str, list[float]]]
"""world, method, setting, m -> metric -> one number a seed"""


def runs_of(frame: pl.DataFrame, part: str) -> Runs:
    """What a part of the plan gave, in its order."""
    found: Runs = {}
    own = frame.filter(pl.col("part") == part)
    for (*key, metric), rows in own.group_by("world", "method", "setting", "m", "metric", maintain_order=True):
        found.setdefault(tuple(key), {})[metric] = rows["value"].to_list()
    return found


def chosen(runs: Runs, world: str, near: float | None = None) -> dict[str, Any]:
    """Each method's setting of best median recall@.9, then least error; or of the L0 nearest to `near`."""

    def worth(key: Any) -> tuple[float, ...]:
        recall, fvu, l0 = (float(np.median(runs[key][name])) for name in ("recall@.9", "fvu", "l0"))
        return (recall, -fvu) if near is None else (-abs(np.log((l0 + 1e-9) / (near + 1e-9))),)

    return {method: max((k for k in runs if k[:2] == (world, method)), key=worth) for method in METHODS}


def draw(frame: pl.DataFrame, settings: GBA, stem: Path) -> list[Path]:
    """Recovery and error against L0, and survival across seeds, a column a world; from the table alone."""
    runs = runs_of(frame, "grid")
    with styled():
        figure, panels = subplots(3, 2, figsize=(8.6, 9.2), sharey="row")
        for (world, (active, title)), (top, middle, bottom) in zip(WORLDS.items(), panels.T, strict=True):
            own = {key: values for key, values in runs.items() if key[0] == world}
            for panel, metric in ((top, "recall@.9"), (middle, "fvu")):
                for method in METHODS:
                    draw_method(panel, [values for key, values in own.items() if key[1] == method], metric, method)
                panel.axvline(active, color="0.45", linestyle=":", linewidth=1.2, label="features a sample")
                panel.set(xscale="log", xlabel="active latents a sample, L0", xticks=TICKS, xticklabels=map(str, TICKS))
                panel.minorticks_off()
            for method, key in chosen(runs, world).items():
                values = [runs[key][f"survive {level}"] for level in LEVELS]
                draw_band(bottom, LEVELS, values, METHODS[method][1])
            bottom.set_xlabel("largest cosine with a latent of another seed, at least")
            chance = float(np.median([v["recall@.9_null"] for v in own.values()]))
            top.axhline(chance, color="0.45", linestyle="--", linewidth=1.2, label="random directions")
            top.set_title(title)
        panels[0, 0].set(ylabel="share of features recovered, cos ≥ .9", ylim=(-0.03, 1.05))
        panels[1, 0].set(ylabel="fraction of variance unexplained", yscale="log", ylim=(0.008, 1.2))
        panels[2, 0].set(ylabel="share of firing latents", ylim=(-0.03, 1.05))
        shared_legend(figure, (panels[0, 0],), columns=4)
        caption = (
            "n_true = {n_true}, d = {d}, m = {m}, left and right; {steps} steps of {batch}, Adam {lr:g}, the same "
            "samples for all; {seeds} seeds of weights: median, 10-90 % band, points. GBA: a diamond a range. Errors "
            "below .008 left out. Bottom: each at its setting of best recall@.9; of random rows {chance:.2g} reach .9."
        ).format(chance=frame.filter(pl.col("metric") == "mcs@.9_null")["value"].max(), **asdict(settings))
        return finish(figure, caption, stem)


def draw_method(panel: Axes, grid: list[dict[str, list[float]]], metric: str, method: str) -> None:
    """A line over the grid; for GBA, whose settings are no path, a mark each."""
    grid = sorted(grid, key=lambda values: float(np.median(values["l0"])))
    places, values = [float(np.median(v["l0"])) for v in grid], [v[metric] for v in grid]
    if method != "GBA":
        draw_band(panel, places, values, METHODS[method][1], method, marker="o", markersize=3)
    for at, own in zip(places, values if method == "GBA" else [], strict=False):
        panel.plot([at, at], np.quantile(own, (0.1, 0.9)), color="black", linewidth=1.2)
        panel.plot(at, np.median(own), "D", color="black", markersize=5, linestyle="", label=method)


def tables_of(frame: pl.DataFrame, settings: GBA) -> Iterator[Table]:
    """Medians over seeds of every setting; then differences paired by seed."""
    for part in ("grid", "BA-12", "BA-13", "BA-14"):
        shown, runs = (*SHOWN, "common", "rare") if part == "BA-13" else SHOWN, runs_of(frame, part)
        for world in dict.fromkeys(key[0] for key in runs):
            table = Table("method", "setting", "m", *shown, title=f"{part}, {world}: medians, {settings.seeds} seeds")
            for (_, method, setting, m), values in ((k, v) for k, v in runs.items() if k[0] == world):
                middle = [f"{np.median(values[name]):.3g}" if name in values else "" for name in shown]
                table.add_row(method, setting, str(m), *middle)
            table.caption = PUBLISHED if world == "unbalanced" else None
            yield table
    runs = runs_of(frame, "grid")
    for world in WORLDS:
        table = Table("against", "at", "setting", "L0", *PAIRED, title=f"{world}: GBA less each, mean ± 95 %, paired")
        at_best = chosen(runs, world)
        gba = runs[at_best["GBA"]]
        near = chosen(runs, world, float(np.median(gba["l0"])))
        for method in [name for name in METHODS if name != "GBA"]:
            for at, key in (("best", at_best[method]), ("nearest L0", near[method])):
                cells = [str(interval(np.subtract(gba[name], runs[key][name]))) for name in PAIRED]
                table.add_row(method, at, key[2], f"{np.median(runs[key]['l0']):.3g}", *cells)
        table.caption = f"GBA at {at_best['GBA'][2]}, L0 {np.median(gba['l0']):.3g}; seeds of weights, the same data"
        yield table


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:50} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: GBA, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "gba", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, settings, run.folder / "figures/gba")
    for table in tables_of(frame, settings):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("gba", partial(read_flags, GBA, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
