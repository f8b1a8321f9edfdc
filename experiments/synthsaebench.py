"""The public benchmark SynthSAEBench-16k at its full protocol: recipes, scored by its definitions and ours.

Run `python -m experiments synthsaebench`; results go to `runs/synthsaebench/...`; `--resume FOLDER` goes on from the
last checkpoint to the same bits; `--help` lists the flags. Two worlds share the name: `--no-parent-scaling` is how the
pinned public data behave. The figure is stated beside every score.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from experiments.cells import Cell, commanded, finish_cells, opened, show_plan, write_table
from experiments.columns import drawn as draw_all
from experiments.columns import tidied
from experiments.curves import Column
from experiments.curves import curves as figures_of
from synthetic.base.console import Console
from synthetic.base.errors import must, pick
from synthetic.base.flags import read_flags
from synthetic.folder import load_world, save_world
from synthetic.laws.forest import Forest
from synthetic.mixture import SparseMixture
from synthetic.worlds.synthsaebench import synthsaebench_16k
from workbench import RECIPES, evaluate, recipe, train
from workbench.settings import plain
from workbench.study.flags import config_of
from workbench.study.panels import Axis
from workbench.study.run import Run
from workbench.study.study import again
from workbench.study.units import Report

THEIRS = {"f1": "F1", "precision": "P", "recall": "R", "mcc": "MCC", "explained_variance": "EV", "dead_latents": "dead"}
THEIRS = {f"saelens_{metric}": column for metric, column in (THEIRS | {"uniqueness": "uniq."}).items()}
OURS = {
    "l0": "met",
    "dead": "dead",
    "fvu": "FVU",
    "f1": "F1",
    "f1_null": "chance",
    "mcc_corrected": "MCC corr.",
}
OURS |= {"uniqueness": "uniq."}
METRICS = {"saelens_f1": "F1, SAELens's", "f1": "macro-F1 over features", "mcc": "MCC"}
L0S = (15, 20, 25, 30, 35, 40, 45)
PUBLISHED = {
    "matryoshka": ((611, 861, 879, 833, 797, 769, 747), (557, 746, 793, 794, 794, 792, 791)),
    "batch_topk": ((744, 819, 731, 660, 614, 581, 556), (676, 753, 758, 762, 763, 763, 762)),
    "jumprelu": ((711, 675, 610, 538, 487, 445, 405), (685, 714, 728, 733, 736, 739, 740)),
    "ista_matryoshka": ((781, 888, 977, 927, 885, 852, 818), (732, 803, 818, 816, 814, 812, 811)),
}
"""F1 and MCC at `L0S` in thousandths, width 4,096, 200 million samples, read off plots: arXiv 2602.14687, means of five
seeds (which of the two worlds is not stated); `ista_matryoshka`: one run of LISTA-Matryoshka,
github.com/chanind/claude-auto-research-synthsaebench"""


@dataclass(frozen=True)
class Bench:
    """Settings; those left alone are the published protocol."""

    recipes: tuple[str, ...] = ("batch_topk", "matryoshka", "ista_matryoshka")
    """names of recipes; "all" for the whole shelf"""
    l0: tuple[float, ...] = (25.0,)
    """active latents a sample to aim at, one member of the stack each"""
    seeds: int = 1
    """members of each L0, which differ in initial weights"""
    samples: int = 200_000_000
    """training samples of each member"""
    width: int = 4096
    """latents"""
    batch: int = 1024
    """samples a step"""
    lr: float = 3e-4
    """Adam's step size"""
    bf16: bool = False
    """large products in bfloat16, as the published runs on GPUs"""
    parent_scaling: bool = True
    """children's magnitudes follow their parents', as the creation script says; off as the pinned data behave"""
    correlation: bool = True
    """firing with the low-rank correlation"""
    n_true: int = 16384
    """features; two thirds of them stand in trees"""
    d: int = 768
    """dimensions"""
    evaluations: int = 8
    """log-spaced evaluations during training"""
    curve_samples: int = 50_000
    """samples of each"""
    evaluation_samples: int = 1_000_000
    """samples of the final one"""
    checkpoint_every: int = 2000
    """steps between checkpoints"""
    device: str = "auto"
    """cpu, cuda, or auto for cuda where there is one"""
    threads: int = 0
    """torch threads; 0 for all cores; changes the last bits of results"""
    jobs: int = 1
    """recipes at a time"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("seeds", "width", "batch", "d", "evaluations", "curve_samples", "evaluation_samples", "jobs"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.n_true >= 128, "--n-true", "at least 128", self.n_true, "one tree has 85 features")
        must(self.samples >= self.batch, "--samples", f"at least the batch of {self.batch}", self.samples, "raise it")
        must(self.lr > 0, "--lr", "above 0", self.lr, "3e-4 is the protocol's")
        must(self.checkpoint_every >= 0, "--checkpoint-every", "at least 0", self.checkpoint_every, "0 keeps none")
        must(self.recipes, "--recipes", "one or more", "none", 'name some, or "all"')
        for name in self.recipes:
            pick(name, [*RECIPES, "all"], "--recipes")
        fits = self.l0 and min(self.l0) > 0 and max(self.l0) <= self.width
        must(fits, "--l0", f"in (0, width={self.width}]", self.l0, "lower it or raise width")

    def resolved(self) -> "Bench":
        """With names, device and threads decided, so that a resumed run has the same."""
        names = [n for name in self.recipes for n in (RECIPES if name == "all" else [name])]
        cuda = self.device == "auto" and torch.cuda.is_available()
        device = "cuda" if cuda else "cpu" if self.device == "auto" else self.device
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.jobs)
        return replace(self, recipes=tuple(dict.fromkeys(names)), device=device, threads=threads)


def new_world(settings: Bench) -> SparseMixture:
    """The benchmark's world, or one of its kind with fewer features in as many trees as their share."""
    shape: dict[str, Any] = {"n_true": settings.n_true, "d": settings.d}
    world = synthsaebench_16k(scale_by_parent=settings.parent_scaling, correlation=settings.correlation, **shape)
    if isinstance(world.firing, Forest):
        world = replace(world, firing=replace(world.firing, trees=max(1, 128 * settings.n_true // 16384)))
    return world


def plan(settings: Bench) -> list[Cell]:
    """One cell a recipe: a stack of L0s down, seeds across."""
    steps = settings.samples // settings.batch
    names = ("width", "batch", "lr", "bf16", "samples", "evaluations", "curve_samples", "evaluation_samples", "device")
    common = {name: getattr(settings, name) for name in names} | {"checkpoint_every": settings.checkpoint_every}
    common |= {"l0": list(settings.l0), "seeds": list(range(settings.seeds)), "size": steps * settings.batch}
    return [{"id": name, **common} for name in settings.recipes]


def work(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Train and score one stack; runs in a process of the pool."""
    folder, name = Path(cell["folder"]), cell["id"]
    world = load_world(folder / "world")
    shape = {key: cell[key] for key in ("l0", "samples", "batch", "seeds")}
    sae, config = recipe(name, world.d, cell["width"], **shape)
    sae = sae.to(cell["device"])
    often = {"evaluations": cell["evaluations"], "evaluation_samples": cell["curve_samples"]}
    config = replace(config, checkpoint_every=cell["checkpoint_every"], lr=cell["lr"], bf16=cell["bf16"], **often)

    def show(progress: Any) -> None:
        f1 = progress.record.get("saelens_f1")
        report(progress.step * config.batch, f"F1 {np.mean(f1):.3f}" if f1 else "training")

    checkpoint = folder / "checkpoints" / f"{name}.safetensors"
    records = train(sae, world, config, checkpoint=checkpoint, resume=True, on_step=show)
    scores = {key: plain(value) for key, value in evaluate(sae, world, cell["evaluation_samples"], seed=1).items()}
    records[-1] = {key: records[-1][key] for key in ("step", "samples", "seconds")} | scores
    sae.save(folder / "saes" / name)
    checkpoint.unlink(missing_ok=True)
    return records


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member, step and metric."""
    for cell in cells:
        for record in results[cell["id"]]:
            place = {"recipe": cell["id"], "step": record["step"], "samples": record["samples"]}
            place["final"] = record is results[cell["id"]][-1]
            for metric, values in record.items():
                for l0, own in zip(cell["l0"], values if isinstance(values, list) else [], strict=False):
                    for seed, value in zip(cell["seeds"], own, strict=True):
                        yield place | {"l0": l0, "seed": seed, "metric": metric, "value": float(value)}


def published(settings: Bench, name: str, l0: float) -> dict[str, float]:
    """F1 and MCC that were published for a recipe, where the shapes agree."""
    same = (settings.width, settings.n_true, settings.d) == (4096, 16384, 768) and settings.correlation
    if not same or name not in PUBLISHED or l0 not in L0S:
        return {}
    f1, mcc = (values[L0S.index(int(l0))] / 1000 for values in PUBLISHED[name])
    return {"saelens_f1": f1, "saelens_mcc": mcc, "mcc": mcc}


def curves(frame: pl.DataFrame, settings: Bench) -> tuple[pl.DataFrame, Column]:
    """Rows for the figure: against samples, or against L0 where there are several; published figures among them."""
    several = len(settings.l0) > 1
    key = "l0" if several else "samples"
    wanted = frame.filter(pl.col("final")) if several else frame
    wanted = wanted.with_columns(
        pl.col("metric").str.strip_suffix("_null"),
        kind=pl.when(pl.col("metric").str.ends_with("_null")).then(pl.lit("null")).otherwise(pl.lit("score")),
        axis=pl.lit(key),
        x=pl.col(key).cast(pl.Float64),
        variant=pl.col("recipe"),
    ).filter(pl.col("metric").is_in(METRICS))
    columns = ["axis", "x", "variant", "seed", "metric", "value", "kind"]
    extra = [
        (key, x, name, -1, metric, value, "ceiling")
        for name in settings.recipes
        for l0 in settings.l0
        for metric, value in published(settings, name, l0).items()
        for x in ([l0] if several else [float(v) for v in (frame["samples"][0], frame["samples"][-1])])
        if metric in METRICS
    ]
    told = pl.DataFrame(extra, schema=wanted.select(columns).schema, orient="row")
    table = tidied(pl.concat((wanted.select(columns), told)), {"arm": "variant"})
    return table, Column(Axis("L0 aimed at") if several else Axis("samples seen", log=True))


def table_of(frame: pl.DataFrame, settings: Bench, columns: dict[str, str], title: str) -> Table:
    """Final scores: medians over seeds, the least and the most where there are several, published figures."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=0, collapse_padding=True)
    table.add_column("recipe", no_wrap=True, min_width=20)
    for name in ("L0", *columns.values()):
        table.add_column(name, justify="right")
    last = frame.filter(pl.col("final"))
    for name in settings.recipes:
        for l0 in settings.l0:
            own = last.filter(pl.col("recipe") == name, pl.col("l0") == l0)
            if own.is_empty():
                continue
            values = [own.filter(pl.col("metric") == metric)["value"].to_numpy() for metric in columns]
            for word, part in (("", np.median), ("  least", np.min), ("  most", np.max))[
                : 3 if settings.seeds > 1 else 1
            ]:
                shown = [f"{part(v):.3f}" if part(v) < 10 else f"{part(v):.4g}" for v in values]
                first = (word, "") if word else (Text(name, "bold"), f"{l0:g}")
                table.add_row(*first, *shown, style="dim" if word else "")
            told = published(settings, name, l0)
            if any(metric in told for metric in columns):
                table.add_row(
                    "  published (world?)", "", *(f"{told[m]:.3f}" if m in told else "" for m in columns), style="dim"
                )
    return table


def about(world: SparseMixture, settings: Bench) -> str:
    """What must stand beside every score."""
    rates = world.truth.rates.sort(descending=True).values
    return (
        f"SynthSAEBench world, parent scaling {'on' if settings.parent_scaling else 'OFF'}, correlation "
        f"{'on' if settings.correlation else 'OFF'}: n_true = {world.n_true}, d = {world.d}, true E[L0] = "
        f"{float(rates.sum()):.2f}, {float(rates[: settings.width].sum()):.2f} of it from the {settings.width} most "
        f"frequent features; {settings.samples:,} samples, batch {settings.batch}, lr {settings.lr:g}; "
        f"{settings.seeds} seeds (initial weights); final scores on {settings.evaluation_samples:,} samples"
    )


def experiment(settings: Bench, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    settings, run = opened(settings, "synthsaebench")
    settings = settings.resolved()
    kept = run is not None and (run.folder / "world" / "world.json").exists()
    world = load_world(run.folder / "world") if run is not None and kept else new_world(settings)
    told, cells = about(world, settings), plan(settings)
    console.print(told, highlight=False)
    if settings.dry_run:
        members = len(settings.l0) * settings.seeds
        lines = (f"{c['id']:20} {c['size']:,} samples x {members} members: {RECIPES[c['id']].note}" for c in cells)
        return show_plan(console, config_of(settings), lines)
    run = run or Run.start(settings.out, "synthsaebench", config_of(settings))
    if not kept:
        save_world(world, run.folder / "world")
    cells = [cell | {"folder": str(run.folder)} for cell in cells]
    again_with = again("synthsaebench", settings)
    results, failed = finish_cells(work, cells, run, console, again_with, jobs=settings.jobs, threads=settings.threads)
    cells = [cell for cell in cells if cell["id"] in results]
    if not cells:
        return 1
    frame = write_table(run, lambda: rows(cells, results))
    drawn, column = curves(frame, settings)
    figures = figures_of("synthsaebench", [column], METRICS, told, "published at 200M samples")
    paths = draw_all(figures, drawn, None, run.folder / "figures")
    flag = f"parent scaling {'on' if settings.parent_scaling else 'OFF'}, true L0 {world.truth.expected_l0:.2f}"
    console.print(table_of(frame, settings, THEIRS, f"SAELens's definitions; {flag}"))
    console.print(table_of(frame, settings, OURS, f"ours: macro-F1 over features, MCC corrected for chance; {flag}"))
    for cell in cells:
        last = results[cell["id"]][-1]
        console.print(
            f"{cell['id']}: {last['samples'] / last['seconds']:,.0f} samples/s x {len(cell['l0']) * len(cell['seeds'])}"
        )
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 1 if failed else 0


def main() -> int:
    """Parse, run, and end bad input with one line and exit code 2."""
    return commanded("synthsaebench", partial(read_flags, Bench, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
