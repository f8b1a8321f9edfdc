"""ZF plot of trained SAEs: |f| against |x| with the paper's bands, and what the mismatch is made of (AFA-1, AFA-11).

Run `python experiments/zf_plot.py` to train a few variants, or name SAE or run folders with --saes. Results go to
`runs/zf_plot/...`; `--help` lists the flags.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import tyro
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from proofs_check.auditor import views
from proofs_check.mixture import Mixture
from proofs_check.targets import members_of, sae_folders, world_of
from synthetic.errors import guarded, must, pick
from synthetic.presets import find_world
from synthetic.progress import track
from synthetic.storage import save_world
from synthetic.world import World
from workbench import SAE, TrainConfig, create, load, train, variant_shelf
from workbench.report.figure import COLOURS, STYLE, finish
from workbench.results import Run
from workbench.tensors import TENSOR
from workbench.theory import afa

PARTS = {"interference": COLOURS[0], "residual": COLOURS[4], "shrinkage": COLOURS[2]}
BANDS = (0.25, 0.5, 1.0)
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
        for name in self.variants:
            pick(name, variant_shelf(), "--variants")


Group = tuple[str, World, list[SAE]]
"""name, world, members"""


def groups(settings: ZF, run: Run) -> list[Group]:
    """What to plot: the SAEs named, or freshly trained ones, which are kept in the run folder."""
    folders = [folder for target in settings.saes for folder in sae_folders(target)]
    if folders:
        names = [folder.name for folder in folders]
        if len(set(names)) < len(names):  # of several runs
            names = [f"{folder.parent.parent.name}/{folder.name}" for folder in folders]
        named = zip(names, folders, strict=True)
        return [(name, world_of(folder, settings.world), members_of(folder)) for name, folder in named]
    name = settings.world or "superposition"
    world = find_world(name)
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
        case = dict(views(sae, world, settings.samples, seed=1))["activation"]
        if not isinstance(case, Mixture):
            continue
        rest = case.x - case.x_hat
        total = float(case.h2.sum())
        size, norm = case.x2.sqrt(), case.h2.sqrt()
        mismatch = afa.norm_mismatch(case.x2, case.h2, ops=TENSOR)
        values = {
            "interference": float(case.interference.sum()) / total,
            "residual": float(rest.square().sum()) / total,
            "shrinkage": float(2 * (case.x_hat * rest).sum()) / total,
            "mismatch": float((case.x2 - case.h2).sum()) / total,
            "correlation": float(np.corrcoef(size, norm)[0, 1]),
            "over-activated": float((norm > size).double().mean()),
            "median r": float(mismatch.median()),
            "median eps_LBO": float(mismatch.median()) / (case.m - 1),
        }
        figures += [{"group": name, "seed": seed, "metric": m, "value": v} for m, v in values.items()]
        if seed == 0:
            some = zip(size[:SHOWN].tolist(), norm[:SHOWN].tolist(), strict=True)
            points += [{"group": name, "z": z, "f": f} for z, f in some]
    return figures, points


def draw(figures: pl.DataFrame, points: pl.DataFrame, caption: str, stem: Path) -> list[Path]:
    """The scatter and the bars, from the tables alone."""
    names = figures["group"].unique(maintain_order=True).to_list()
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10.5, 4.6), layout="constrained", gridspec_kw={"width_ratios": [1.1, 1]}
        )
        top = 1.08 * points[["z", "f"]].to_numpy().max()
        reach = np.linspace(0, top, 200)
        for band in BANDS:
            low, high = afa.zf_slopes(band) if band < 1 else (0.5**0.5, 1e9)  # at c = 1 there is no upper slope
            above = np.minimum(high * reach, 2 * top)
            left.fill_between(reach, low * reach, above, color="0.5", alpha=0.1, linewidth=0)
            left.text(top, low * top, f" c = {band:g}", fontsize=7, color="0.4", va="center")
        left.plot(reach, reach, color="0.3", linestyle="--", linewidth=1)
        for i, name in enumerate(names):
            own = points.filter(pl.col("group") == name)
            left.plot(own["z"], own["f"], ".", color=COLOURS[i % len(COLOURS)], markersize=3, alpha=0.6, label=name)
        left.set(xlim=(0, top), ylim=(0, top), xlabel="Z = |x|", ylabel="F = |f|, bias included", title="ZF plot")
        left.legend(frameon=False, markerscale=3, loc="upper left")
        for i, name in enumerate(names):
            base = {1: 0.0, -1: 0.0}
            for part, colour in PARTS.items():
                own = figures.filter((pl.col("group") == name) & (pl.col("metric") == part))["value"]
                value = float(np.median(own.to_numpy()))
                sign = 1 if value >= 0 else -1
                right.bar(i, value, 0.55, bottom=base[sign], color=colour, label=part if i == 0 else None)
                right.plot([i + 0.34] * len(own), base[sign] + own.to_numpy(), ".", color=colour, markersize=3)
                base[sign] += value
            own = figures.filter((pl.col("group") == name) & (pl.col("metric") == "mismatch"))["value"]
            right.plot([i - 0.34, i + 0.34], [own.median()] * 2, color="black", linewidth=1.4)
        right.plot([], [], color="black", linewidth=1.4, label="their sum, |x|² − |f|²")
        right.axhline(0, color="0.3", linewidth=0.8)
        right.set_xticks(range(len(names)), names, rotation=20 if len(names) > 4 else 0)
        right.set(ylabel="share of Σ|f|²", title="What the mismatch is made of")
        right.legend(frameon=False, fontsize=8)
        return finish(figure, caption, stem)


def experiment(settings: ZF, console: Console) -> int:
    """Train or load, measure, write, draw, show; returns the exit code."""
    settings.check()
    config = json.loads(json.dumps(asdict(settings), default=str))
    if settings.dry_run:
        console.print_json(json.dumps(config))
        return 0
    for target in settings.saes:
        sae_folders(target)  # refuse a wrong path before a run folder is made
    run = Run.start(settings.out, "zf_plot", config)
    found = groups(settings, run)
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
    paths = draw(figures, points, caption, run.folder / "figures/zf_plot")
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
    settings = tyro.cli(ZF, description=__doc__)
    torch.set_num_threads(1)  # stacks this small run slower on more
    return guarded(lambda: experiment(settings, Console()))


if __name__ == "__main__":
    sys.exit(main())
