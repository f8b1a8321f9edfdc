"""ZF plot of trained SAEs: |f| against |x| with the paper's bands, and what the mismatch is made of (AFA-1, AFA-11).

Run `python -m experiments zf_plot` to train a few variants, or name SAE or run folders with --saes. Results go to
`runs/zf_plot/...`; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.table import Table

from experiments.cells import commanded, config_of, opened, show_plan
from experiments.norms_figure import draw_zf
from proofs_check.auditor.targets import members_of, sae_folders, world_of
from synthetic.base.console import Console
from synthetic.base.errors import must, pick
from synthetic.base.flags import read_flags
from synthetic.base.progress import track
from synthetic.base.streams import stream
from synthetic.folder import find_world, save_world
from synthetic.source import World
from workbench import SAE, TrainConfig, create, load, train, variant_shelf
from workbench.metrics.norms import norms, zf_figures, zf_points
from workbench.study.run import Run

SHOWN = 400
"""samples of a group in the scatter"""


@dataclass(frozen=True)
class ZF:
    """Settings."""

    saes: tuple[Path, ...] = ()
    """SAE folders, or run folders of experiments; none trains `variants`"""
    variants: tuple[str, ...] = ("relu", "topk", "batch_topk", "top_afa")
    """what to train"""
    world: str | None = None
    """preset or folder; "superposition" for training, a run folder's own for its SAEs"""
    m: int = 128
    """latents of what is trained"""
    steps: int = 2000
    """training steps of 256 samples"""
    seeds: int = 5
    """members of each stack that is trained"""
    samples: int = 2000
    """evaluation samples"""
    out: Path = Path("runs")
    """where run folders go"""
    dry_run: bool = False
    """print the settings and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("m", "steps", "seeds"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.samples >= 10, "--samples", "at least 10", self.samples, "raise it")
        must(self.saes or self.variants, "--variants", "one or more", "none", "name some, or --saes")
        if self.world is not None or not self.saes:
            find_world(self.world or "superposition")
        for name in self.variants:
            pick(name, variant_shelf(), "--variants")


Group = tuple[str, World, list[SAE]]
"""name, world, members"""


def named(settings: ZF) -> list[Group]:
    """The SAEs that --saes names."""
    folders = [folder for target in settings.saes for folder in sae_folders(target)]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):  # of several runs
        names = [f"{folder.parent.parent.name}/{folder.name}" for folder in folders]
    return [
        (name, world_of(folder, settings.world), members_of(folder))
        for name, folder in zip(names, folders, strict=True)
    ]


def trained(settings: ZF, run: Run) -> list[Group]:
    """Freshly trained SAEs, which are kept in the run folder."""
    world = find_world(settings.world or "superposition")
    save_world(world, run.folder / "worlds" / "base")
    k = max(1, round(world.truth.expected_l0))
    found: list[Group] = []
    for variant in track(settings.variants, "training"):
        own = {"k": k} if "k" in variant_shelf()[variant].Settings.__dataclass_fields__ else {}
        sae = create(variant, world.d, settings.m, seed=list(range(settings.seeds)), **own)
        train(sae, world, TrainConfig(steps=settings.steps, batch=256))
        folder = sae.save(run.folder / "saes" / f"base-{variant}")
        found.append((variant, world, [load(member) for member in sorted(folder.glob("member-*"))]))
    return found


def measure(group: Group, settings: ZF) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of figures, one a member and figure; and of points for the scatter, from the first member."""
    name, world, members = group
    figures: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for seed, sae in enumerate(members):
        own = norms(sae, world.sample(settings.samples, stream(1, "audit")).x)
        figures += [{"group": name, "seed": seed, "metric": m, "value": v} for m, v in zf_figures(own).items()]
        if seed == 0:
            points += [{"group": name, "z": z, "f": f} for z, f in zf_points(own, SHOWN)]
    return figures, points


def experiment(settings: ZF, console: Console) -> int:
    """Train or load, measure, write, draw, show; returns the exit code."""
    settings, _ = opened(settings, "zf_plot")
    config = config_of(settings)
    if settings.dry_run:
        return show_plan(console, config, ())
    found = named(settings)  # refused, if at all, before a run folder is made
    run = Run.start(settings.out, "zf_plot", config)
    found = found or trained(settings, run)
    measured = [measure(group, settings) for group in track(found, "measuring")]
    figures = run.write_table([row for rows, _ in measured for row in rows])
    points = pl.DataFrame([row for _, rows in measured for row in rows])
    kind = "SAEs named" if settings.saes else f"m = {settings.m}, {settings.steps} steps of 256"
    sizes = sorted({(world.truth.n_true, world.d, len(members)) for _, world, members in found})
    worlds = "; ".join(f"n_true = {n}, d = {d}, {seeds} seeds" for n, d, seeds in sizes)
    caption = (
        f"{kind}; {worlds}; k = E[L0] of the world; {settings.samples} samples each. Scatter: first seed, {SHOWN} "
        "samples; bands: slopes 1/√(1 ± c). Bars: median over seeds, points seeds."
    )
    paths = draw_zf(figures, points, caption, run.folder / "figures/zf_plot")
    table = Table("median over seeds [least, largest]", *(name for name, _, _ in found))
    for metric in figures["metric"].unique(maintain_order=True):
        cells = []
        for name, _, _ in found:
            own = figures.filter((pl.col("group") == name) & (pl.col("metric") == metric))["value"].to_numpy()
            cells.append(f"{np.median(own):.3g} [{own.min():.2g}, {own.max():.2g}]")
        table.add_row(metric, *cells)
    console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    torch.set_num_threads(1)  # stacks this small run slower on more
    return commanded("zf_plot", partial(read_flags, ZF, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
