"""The top-AFA rule by itself: where it stops, when it counts right, how it starts, what it cannot tell apart.

Run `python -m experiments top_afa_rule`; results go to `runs/top_afa_rule/...`; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from rich.table import Table
from torch import Tensor

from experiments.cells import commanded, config_of, opened, show_plan
from proofs_check.instances.mixture import Mixture
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.progress import track
from synthetic.base.streams import stream
from synthetic.laws.directions import Orthonormal, RandomSphere
from synthetic.transformed.standardised import Standardised
from synthetic.worlds.presets import superposition
from workbench import SAE, create, evaluate
from workbench.parts.sparsifiers import norm_match
from workbench.study.figure import finish, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.run import Run
from workbench.tensors import TENSOR
from workbench.theory import afa, top_afa


@dataclass(frozen=True)
class Rule:
    """Settings."""

    dims: tuple[int, ...] = (64, 256, 1024)
    """dimensions of the exact count"""
    k: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32)
    """entries of a true code, K"""
    samples: int = 400
    """codes, inputs or samples a point"""
    d: int = 64
    """dimension of the starting SAE"""
    m: int = 1024
    """its latents"""
    seeds: int = 5
    """dictionaries and encoders"""
    out: Path = Path("runs")
    """where run folders go"""
    dry_run: bool = False
    """print the settings and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("samples", "d", "m", "seeds"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(
            self.k and min(self.k) >= 2, "--k", "whole numbers from 2", self.k, "a single entry is always counted right"
        )
        must(self.dims and min(self.dims) >= 1, "--dims", "at least 1", self.dims, "raise them")


def staircase(settings: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """AFA-12: latents kept as the target grows, 16 contributions falling as a power, or flat."""
    shapes = {
        "1/i": 1 / torch.arange(1, 17).double(),
        "1/√i": torch.arange(1, 17).double().rsqrt(),
        "flat": torch.ones(16),
    }
    for name, shape in shapes.items():
        rows = (shape.double() / shape.double().norm()).expand(120, 16)
        tau = torch.linspace(0, 1.1, 120, dtype=torch.float64)
        for x, count in zip(tau.tolist(), norm_match(rows, tau).sum(1).tolist(), strict=True):
            yield {"panel": "staircase", "line": name, "x": x, "seed": seed, "value": float(count)}


def counts(settings: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """AFA-13 and AFA-14: how often a flat true code is counted exactly, and C_K / tau of its tied encoder."""
    for d in settings.dims:
        for k in settings.k:
            rng = stream(seed, f"counts/{d}/{k}")
            rows = RandomSphere().draw(settings.samples * k, d, rng).view(settings.samples, k, d)
            x = rows.sum(1)  # h = 1
            flat = torch.cat(
                (torch.ones(settings.samples, k, dtype=torch.float64), torch.zeros(settings.samples, 1)), 1
            )
            exact = norm_match(flat, x.norm(dim=1), sentinel=1e4).sum(1) == k
            yield {
                "panel": "exact",
                "line": f"d = {d}",
                "x": float(k),
                "seed": seed,
                "value": float(exact.double().mean()),
            }
            if d == settings.dims[0]:
                case = [Mixture.exact(r, torch.ones(k)) for r in rows[:60]]
                low, high = (torch.cat(side) for side in zip(*(c.spectrum for c in case), strict=True))
                least, most = top_afa.tied_energy_range((1 + low).clamp_min(0), 1 + high, ops=TENSOR)
                tied = (rows[:60] @ x[:60, :, None]).squeeze(2).relu().norm(dim=1) / x[:60].norm(dim=1)
                for name, value in {"√λ_min": least, "C_K/τ": tied, "√λ_max": most}.items():
                    yield {"panel": "tied", "line": name, "x": float(k), "seed": seed, "value": float(value.median())}


def starts(settings: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """AFA-15: share of saturated inputs and L0 at step 0 against the encoder's entries, in units of √(6/m)."""
    sae = create("top_afa", settings.d, settings.m, seed=seed).double().eval()
    x = torch.randn(settings.samples, settings.d, generator=stream(seed, "starts"), dtype=torch.float64)
    start = sae.W_enc.detach().clone()
    for scale in (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0):
        with torch.no_grad():
            sae.W_enc.copy_(scale * start)
            saturated = (x @ sae.W_enc).relu().norm(dim=1) < x.norm(dim=1)
            active = (sae.trace(x).dense() > 0).sum(1).double()
        values = {"saturated": saturated.double().mean(), "L0 / m": active.mean() / settings.m}
        for name, value in values.items():
            yield {"panel": "start", "line": name, "x": scale, "seed": seed, "value": float(value)}


def targets(settings: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """AFA-20: targets tau of samples, over their median, with and without standardising each."""
    world = superposition(d=settings.d)
    for name, source in {"as drawn": world, "standardised": Standardised(world)}.items():
        tau = source.sample(settings.samples, stream(seed, "targets")).x.norm(dim=1)
        for share in (0.1, 0.25, 0.5, 0.75, 0.9):
            value = float(tau.quantile(share) / tau.median())
            yield {"panel": "target", "line": name, "x": share, "seed": seed, "value": value}


def planted(d: int, rows: Tensor, encoder: Tensor) -> SAE:
    """A top-AFA SAE with these weights."""
    sae = create("top_afa", d, len(rows))
    with torch.no_grad():
        sae.W_dec.copy_(rows)
        sae.W_enc.copy_(encoder)
    return sae.eval()


def optima(settings: Rule, seed: int) -> Iterator[dict[str, Any]]:
    """AFA-16: what the paper reports of the trivial optimum, of the truth, and of a fresh start."""
    world = superposition()
    d, truth = world.d, world.truth.features
    basis = Orthonormal().draw(d, d, stream(seed, "optima")).float()
    both = torch.cat((basis, -basis), 1)
    saes = {
        "[A, −A], any A": planted(d, both.mT, both),
        "the truth": planted(d, truth, truth.mT),
        "fresh": create("top_afa", d, 2 * d, seed=seed).eval(),
    }
    x = world.sample(settings.samples, stream(seed, "optima/x")).x
    x = x[x.norm(dim=1) > 0]
    for name, sae in saes.items():
        with torch.no_grad():
            out = sae.trace(x)
            terms = sae.loss(x, out)
        r = afa.norm_mismatch(x.square().sum(1), out.dense().square().sum(1), ops=TENSOR)
        scores = evaluate(sae, world, n=2000, seed=1)
        values = {
            "fvu": scores["fvu"],
            "norm loss": float(terms["afa"]),
            "median r": float(r.median()),
            "L0": scores["l0"],
        }
        for metric, value in (values | {"recovered": scores["recall@.9"] * world.n_true}).items():
            yield {"panel": metric, "line": name, "x": 0.0, "seed": seed, "value": float(value)}


def draw(frame: pl.DataFrame, settings: Rule, stem: Path) -> list[Path]:
    """Five panels from the table alone."""
    panels_of = {
        "staircase": ("target τ over the norm of all", "latents kept, of 16", "Where it stops"),
        "exact": ("entries of a flat true code, K", "share counted exactly", "When it counts right"),
        "tied": ("entries of a flat true code, K", "C_K / τ", f"A tied encoder's energy, d = {settings.dims[0]}"),
        "start": ("encoder entries over √(6/m)", "share", "How it starts"),
        "target": ("quantile of samples", "target τ over its median", "What it aims at"),
    }
    with styled():
        figure, panels = subplots(2, 3, figsize=(10.5, 6.2))
        for panel, (which, (across, up, title)) in zip(panels.flat, panels_of.items(), strict=False):
            own = frame.filter(pl.col("panel") == which)
            for i, name in enumerate(own["line"].unique(maintain_order=True)):
                places = own.filter(pl.col("line") == name).group_by("x").agg(pl.col("value")).sort("x")
                draw_band(panel, places["x"].to_list(), places["value"].to_list(), COLOURS[i], name)
            panel.set(xlabel=across, ylabel=up, title=title)
            if which == "staircase":
                panel.set_yticks([1, 4, 8, 12, 16])
            if which in ("exact", "tied"):
                panel.set_xscale("log", base=2)
                panel.xaxis.set_major_formatter("{x:g}")
        for i, d in enumerate(settings.dims):
            panels[0, 1].axvline((d / 8) ** 0.5, color=COLOURS[i], linestyle=":", linewidth=1.2)
        panels[0, 1].plot([], [], color="0.4", linestyle=":", label="√(d/8)")
        panels[1, 0].axvline(1, color="0.4", linestyle=":", linewidth=1.2, label="Kaiming's start")
        for panel in panels.flat[:5]:
            panel.legend(fontsize=7, frameon=False)
        panels[1, 2].axis("off")
        caption = (
            f"Exact count and tied encoder: h = (1, ..., 1) on random rows, {settings.samples} codes a point. Start: "
            f"d = {settings.d}, m = {settings.m}, Gaussian inputs. Targets: superposition world, n_true = 64, "
            f"d = {settings.d}. {settings.seeds} seeds: median, 10-90 % band, points."
        )
        return finish(figure, caption, stem)


def experiment(settings: Rule, console: Console) -> int:
    """Measure, write, draw, show; returns the exit code."""
    settings, _ = opened(settings, "top_afa_rule")
    config = config_of(settings)
    if settings.dry_run:
        return show_plan(console, config, ())
    run = Run.start(settings.out, "top_afa_rule", config)
    studies = (staircase, counts, starts, targets, optima)
    seeds = track(range(settings.seeds), "measuring the rule")
    frame = run.write_table([row for seed in seeds for study in studies for row in study(settings, seed)])
    paths = draw(frame, settings, run.folder / "figures/top_afa_rule")
    metrics = ("fvu", "norm loss", "median r", "L0", "recovered")
    table = Table("top-AFA at", *metrics, title="medians over seeds; recovered: of 64, cos > .9")
    for name in frame.filter(pl.col("panel") == "fvu")["line"].unique(maintain_order=True):
        own = frame.filter(pl.col("line") == name)
        table.add_row(name, *(f"{own.filter(pl.col('panel') == m)['value'].median():.3g}" for m in metrics))
    console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("top_afa_rule", partial(read_flags, Rule, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
