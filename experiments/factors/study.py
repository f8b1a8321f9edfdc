"""Semi-NMF against SAEs on its own worlds: nonnegative factors over groups of neurons.

D1: factors on neurons of their own; D2: families of leaves that share a core. Every method sees the same samples; seeds
differ in starts. Shows that error says nothing of the features (SN-1, SN-4, SN-5, SN-7), where winner-take-all finds
them (SN-6, SN-9, SN-11) and where not (SN-13), and what a second level makes of families (SN-10, SN-14). Run
`python -m experiments factors`; results go to `runs/factors/...`; `--resume FOLDER` goes on; `--help` lists the flags.
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
import torch
from rich.table import Table

from experiments.cells import Cell, Report, carry_out, commanded
from experiments.factors.scores import Seen, families, supports
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.streams import stream
from synthetic.mixture import SparseMixture
from synthetic.worlds import structured as structured_worlds
from workbench import TrainConfig, create, evaluate, train
from workbench.metrics.matching import match
from workbench.parts.semi_nmf import Factors, fit
from workbench.study.figure import finish, numbers, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.questions import interval
from workbench.theory.factors import rank_floor
from workbench.variants.semi_nmf import SemiNmf

METHODS = {
    "dense": ("fit", {}, COLOURS[7]),
    "WTA": ("fit", {"ratio": 1.0}, COLOURS[0]),
    "WTA, 2x": ("fit", {"ratio": 2.0}, COLOURS[5]),
    "WTA, refit": ("fit", {"ratio": 1.0, "refit": True}, COLOURS[3]),
    "WTA, online": ("semi_nmf", {"ratio": 1.0}, COLOURS[4]),
    "TopK": ("topk", {}, COLOURS[1]),
    "MP": ("matching_pursuit", {}, COLOURS[2]),
}
"""what fits, its settings, colour"""
OVER_CORES = ("dense", "WTA", "TopK")
SHOWN = ("cosine", "support", "f1", "l0", "J / floor", "stable", "leaves")
PAIRED = ("cosine", "support", "f1", "stable", "leaves")


@dataclass(frozen=True)
class Factorise:
    """Settings."""

    ratios: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0)
    """entries that winner-take-all keeps, in units of the true number, on D1"""
    cores: tuple[int, ...] = (0, 3, 6, 9, 12, 15)
    """neurons of a family's core, of the 18 of each leaf, on D2"""
    samples: int = 900
    """activations that all methods see"""
    iterations: int = 400
    """rounds of semi-NMF"""
    steps: int = 2000
    """training steps of the SAEs"""
    batch: int = 256
    """samples a step, drawn from those seen"""
    lr: float = 3e-3
    """Adam's step size"""
    seeds: int = 5
    """starts of each method"""
    world: int = 0
    """seed of the directions and of the samples"""
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
        for name in ("iterations", "steps", "batch"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.samples >= 16, "--samples", "at least 16", self.samples, "D2 has 16 factors")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        must(self.world >= 0, "--world", "a seed of at least 0", self.world, "raise it")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        good = self.ratios and min(self.ratios) >= 0.1 and max(self.ratios) <= 12
        must(good, "--ratios", "from 0.1 to 12", self.ratios, "a row has 10 of 120 entries")
        good = self.cores and min(self.cores) >= 0 and max(self.cores) <= 17
        must(good, "--cores", "from 0 to 17", self.cores, "a leaf has 18 neurons, one its own")


def world_of(cell: Cell) -> SparseMixture:
    """The world of a cell; on D2 16 neurons are idle."""
    if cell["world"] == "D1":
        return structured_worlds.disjoint_factors(seed=cell["seed"])
    core = cell["core"]
    d = 4 * core + 16 * (18 - core) + 16
    return structured_worlds.core_exclusive(core=core, exclusive=18 - core, d=d, seed=cell["seed"])


def plan(settings: Factorise) -> list[Cell]:
    """One cell a method and world; then the kept share on D1 and the core on D2."""
    names = ("samples", "iterations", "steps", "batch", "lr")
    common = {name: getattr(settings, name) for name in names}
    common |= {"seed": settings.world, "seeds": list(range(settings.seeds))}
    work = {True: settings.samples * settings.iterations * settings.seeds, False: settings.steps * settings.batch}
    cells: list[Cell] = []

    def add(world: str, method: str, ratio: float | None, core: int | None) -> None:
        about = {"world": world, "method": method, "ratio": ratio, "core": core}
        name = f"{world}/{method}/" + (f"{ratio}" if world == "D1" else f"{core}")
        if name not in {cell["id"] for cell in cells}:
            cells.append(common | about | {"id": name, "size": work[METHODS[method][0] == "fit"]})

    for method, (_, own, _) in METHODS.items():
        add("D1", method, own.get("ratio"), None)
        add("D2", method, own.get("ratio"), 12)
    for ratio in settings.ratios:
        add("D1", "WTA", ratio, None)
    for core in settings.cores:
        for method in OVER_CORES:
            add("D2", method, METHODS[method][1].get("ratio"), core)
    return cells


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Fit and score all starts of a method; runs in a process of the pool."""
    world, (kind, own, _) = world_of(cell), METHODS[cell["method"]]
    seen = Seen(world, world.sample(cell["samples"], stream(cell["seed"], "factors")))
    x, V, m, core = seen.pool.x.double(), world.truth.features, world.truth.n_true, cell["core"]
    size = int((V[0] != 0).sum())
    share = None if cell["ratio"] is None else min(1.0, cell["ratio"] * size / world.d)
    more: list[dict[str, float]] = []
    if kind == "fit":
        fits: list[Factors] = []
        for i, seed in enumerate(cell["seeds"]):
            options = {"share": share, "refit": own.get("refit", False), "iterations": cell["iterations"]}
            fits.append(fit(x, m, seed=seed, patience=cell["iterations"], **options))
            report((i + 1) * cell["samples"] * cell["iterations"], f"start {seed}")
        found = [evaluate(SemiNmf.of(one), world, n=5000, seed=1) for one in fits]
        rows, fitted = [one.rows for one in fits], [one.codes @ one.rows for one in fits]
        more = [{"rises": float((one.losses.diff() > 1e-9 * one.losses[:-1]).double().mean())} for one in fits]
    else:
        k = round(world.truth.expected_l0)
        settings: dict[str, Any] = {"share": share} if kind == "semi_nmf" else {"k": k}
        sae = create(kind, world.d, m, seed=cell["seeds"], **settings)
        config = TrainConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"])
        train(sae, seen, config, on_step=lambda now: report(now.step * cell["batch"], "training"))
        stacked = evaluate(sae, world, n=5000, seed=1)
        found = [{name: values[i] for name, values in stacked.items()} for i in range(len(cell["seeds"]))]
        with torch.no_grad():
            rows, fitted = list(sae.W_dec.double()), list(sae(x.float()).double())
    floor = rank_floor(torch.linalg.svdvals(x).square().tolist(), m)
    scores = []
    for i, seed in enumerate(cell["seeds"]):
        error = float((x - fitted[i]).square().sum())
        scores.append(
            {name: float(found[i][name]) for name in ("f1", "f1_null", "fvu", "l0")}
            | {"cosine": float(found[i]["mcc"]), "chance": float(found[i]["mcc_null"])}
            | {"J / |X|²": error / float(x.square().sum()), "J / floor": error / floor}
            | {"support": supports(rows[i], V)}
            | {"stable": float(np.mean([match(rows[i], r).mean_matched for j, r in enumerate(rows) if j != i]))}
            | (families(rows[i], V, (4, 4), max(core, 18 - core), cell["iterations"], seed) if core is not None else {})
            | (more[i] if more else {})
        )
    return {name: [own[name] for own in scores] for name in scores[0]}


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a start and metric."""
    for cell in cells:
        about = {name: cell[name] for name in ("world", "method", "ratio", "core")}
        for metric, values in results[cell["id"]].items():
            for seed, value in zip(cell["seeds"], values, strict=True):
                yield about | {"seed": seed, "metric": metric, "value": value}


def starts(frame: pl.DataFrame, world: str, method: str, metric: str, **at: float | int) -> list[float]:
    """One number a start, on D2 with a core of 12 and at the method's own share unless said otherwise."""
    at = ({"core": 12} if world == "D2" else {}) | ({"ratio": r} if (r := METHODS[method][1].get("ratio")) else {}) | at
    return numbers(frame, world=world, method=method, metric=metric, **at)


def draw(frame: pl.DataFrame, settings: Factorise, stem: Path) -> list[Path]:
    """Cosine against error, against the kept share and against the core; families found; from the table alone."""
    chance = {"color": "0.45", "linestyle": "--", "linewidth": 1.2}
    with styled():
        figure, ((by_error, by_ratio), (by_core, trees)) = subplots(2, 2, figsize=(8.6, 7.2))
        for method, (_, _, colour) in METHODS.items():
            for world, marker in (("D1", "o"), ("D2", "s")):
                x, y = (starts(frame, world, method, name) for name in ("J / floor", "cosine"))
                label = method if world == "D1" else None
                by_error.plot(x, y, marker, color=colour, markersize=4, alpha=0.75, label=label)
        by_error.set(
            xscale="log", xlabel="J over the SVD's error (circles D1, squares D2)", ylabel="mean matched |cos|"
        )
        kept = sorted(settings.ratios)
        values = [starts(frame, "D1", "WTA", "cosine", ratio=ratio) for ratio in kept]
        draw_band(by_ratio, kept, values, METHODS["WTA"][2], "WTA", marker="o", markersize=3)
        for method in ("dense", "TopK"):
            middle = float(np.median(starts(frame, "D1", method, "cosine")))
            by_ratio.axhline(middle, color=METHODS[method][2], linewidth=1.2, label=method)
        by_ratio.axvline(1.0, color="0.45", linestyle=":", linewidth=1.2, label="unique, SN-6")
        by_ratio.set(
            xscale="log", xlabel="entries kept, over a feature's true number (D1)", ylabel="mean matched |cos|"
        )
        by_ratio.set_xticks(kept, [f"{ratio:g}" for ratio in kept])
        by_ratio.minorticks_off()
        cores = sorted(settings.cores)
        places = [core / 18 for core in cores]
        for panel, metric, null in ((by_core, "cosine", "chance"), (trees, "leaves", "leaves_null")):
            for method in OVER_CORES:
                values = [starts(frame, "D2", method, metric, core=core) for core in cores]
                draw_band(panel, places, values, METHODS[method][2], method, marker="o", markersize=3)
            nulls = [np.mean([starts(frame, "D2", name, null, core=core) for name in OVER_CORES]) for core in cores]
            panel.plot(places, nulls, **chance, label="chance")
            panel.axvspan(0.5, 1.0, color="0.45", alpha=0.1, linewidth=0)
            panel.set(xlabel="core, share of a leaf's neurons (D2)", xlim=(-0.03, 0.9))
        trees.set_ylabel("leaves under their family's parent")
        by_core.set_ylabel("mean matched |cos|")
        for panel, world in ((by_error, "D1"), (by_ratio, "D1")):
            panel.axhline(float(np.mean(starts(frame, world, "TopK", "chance"))), **chance)
        for panel in (by_error, by_ratio, by_core, trees):
            panel.set_ylim(0.0, 1.04)
        shared_legend(figure, (by_error, by_ratio, by_core), columns=5)
        caption = (
            "D1: 12 factors of 10 neurons, d = 120; D2: 4 families of 4 leaves of 18 neurons, core 12 top left; grey: "
            "not unique, SN-13. Chance: random rows, shuffled families. {samples} samples for all; {iterations} rounds "
            "of semi-NMF, {steps} steps of {batch} for SAEs with a latent a factor, k = features a sample; {seeds} "
            "starts: median, 10-90 % band, points."
        ).format(**asdict(settings))
        return finish(figure, caption, stem)


def tables_of(frame: pl.DataFrame, settings: Factorise) -> Iterator[Table]:
    """Medians over starts of every method; then differences from TopK, paired by seed."""
    for world in ("D1", "D2"):
        table = Table("method", *SHOWN, title=f"{world}: medians over {settings.seeds} starts")
        against = Table("method less TopK", *PAIRED, title=f"{world}: mean ± 95 %, paired by start")
        for method in METHODS:
            values = {name: starts(frame, world, method, name) for name in SHOWN}
            table.add_row(method, *(f"{np.median(v):.3g}" if v else "" for v in values.values()))
            if method != "TopK":
                base = {name: starts(frame, world, "TopK", name) for name in PAIRED}
                known = [name for name in PAIRED if base[name]]
                against.add_row(method, *(str(interval(np.subtract(values[n], base[n]))) for n in known))
        nulls = {name: starts(frame, world, "TopK", name) for name in ("chance", "f1_null", "leaves_null")}
        table.caption = "chance: " + ", ".join(f"{name} {np.mean(v):.2g}" for name, v in nulls.items() if v)
        yield table
        yield against


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:20} {cell['size']:,} samples, {len(cell['seeds'])} starts"


def experiment(settings: Factorise, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "factors", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, settings, run.folder / "figures/factors")
    for table in tables_of(frame, settings):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("factors", partial(read_flags, Factorise, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
