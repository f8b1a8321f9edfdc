"""How tight the bounds on interference are: a ladder against k, an optimiser climbing to the constants, sqrt(2/d).

Shows AFA-2, AFA-3, AFA-5, AFA-6, AFA-7, AFA-8 and AFA-10 of the ledger. Run `python -m experiments afa_bounds`;
results go to `runs/afa_bounds/...`; `--help` lists the flags.
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
from matplotlib.axes import Axes
from rich.table import Table
from scipy.stats import spearmanr
from torch import Tensor

from experiments.cells import commanded, config_of, opened, show_plan
from proofs_check.instances.mixture import Mixture
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.progress import track
from synthetic.base.streams import stream
from synthetic.laws.directions import CommonMean, RandomSphere, TightFrame, unit
from workbench.study.figure import finish, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.run import Run
from workbench.tensors import TENSOR
from workbench.theory import afa, average_case, coherence

LADDER = {
    "ε(n − 1), the paper's": COLOURS[3],
    "μ(k − 1)": COLOURS[4],
    "Gershgorin": COLOURS[5],
    "μ(L²/N − 1)": COLOURS[2],
    "largest |eigenvalue|": COLOURS[0],
    "measured": "black",
    "random signs: √2 μ bound": COLOURS[6],
    "random signs: rms": COLOURS[1],
}
FORMS = ("r/(m − 1), the paper's", "r/(k − 1)", "l1 form", "l1 form, largest")


@dataclass(frozen=True)
class Bounds:
    """Settings."""

    d: int = 64
    """dimension of the ladder"""
    n: int = 256
    """rows of the ladder's random dictionary"""
    k: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    """active rows"""
    samples: int = 400
    """codes a dictionary"""
    steps: int = 2000
    """steps of the optimiser"""
    dims: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    """dimensions of the average case"""
    seeds: int = 5
    """dictionaries and starts"""
    out: Path = Path("runs")
    """where run folders go"""
    dry_run: bool = False
    """print the settings and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("d", "n", "samples", "steps", "seeds"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.k and min(self.k) >= 2, "--k", "whole numbers from 2", self.k, "one active row has no interference")
        must(self.dims and min(self.dims) >= 1, "--dims", "one or more, at least 1", self.dims, "raise them")
        must(max(self.k) <= self.n, "--k", f"at most n={self.n}", max(self.k), "lower k or raise n")


def codes(n: int, k: int, samples: int, rng: torch.Generator) -> Tensor:
    """Codes (samples, n) with k active entries of size U(.5, 1.5)."""
    places = torch.rand(samples, n, generator=rng, dtype=torch.float64).topk(k, 1).indices
    values = 0.5 + torch.rand(samples, k, generator=rng, dtype=torch.float64)
    return torch.zeros(samples, n, dtype=torch.float64).scatter(1, places, values)


def ladder(settings: Bounds, seed: int) -> Iterator[dict[str, Any]]:
    """Bounds on |q| / N and its measured values, positive codes on random rows."""
    rng = stream(seed, "ladder")
    rows = RandomSphere().draw(settings.n, settings.d, rng)
    for k in settings.k:
        case = Mixture.exact(rows, codes(settings.n, k, settings.samples, rng))
        measured, mu = case.interference.abs() / case.h2, case.support_coherence
        low, high = case.spectrum
        signs = 2 * torch.randint(0, 2, case.h.shape, generator=rng) - 1
        signed = Mixture.exact(rows, case.h * signs).interference / case.h2
        root = average_case.random_signs_bound(case.h2, case.h.pow(4).sum(1), mu).mean().sqrt()
        values = {
            "ε(n − 1), the paper's": torch.tensor(coherence.norm_gap(1.0, case.coherence, case.m)),
            "μ(k − 1)": coherence.norm_gap(1.0, mu, k),
            "Gershgorin": coherence.babel(case.product_list, ops=TENSOR),
            "μ(L²/N − 1)": coherence.l1_gap(case.l1, case.h2, mu) / case.h2,
            "largest |eigenvalue|": torch.maximum(high, -low),
            "measured": measured,
            "random signs: √2 μ bound": root,
            "random signs: rms": signed.square().mean().sqrt(),
        }
        for name, value in values.items():
            yield {"panel": "ladder", "line": name, "x": float(k), "seed": seed, "value": float(value.median())}


def climb(settings: Bounds, seed: int, k: int, sign: int) -> Iterator[dict[str, Any]]:
    """Adam on rows and code towards the largest sign q / (mu (k - 1) N), whose supremum is 1."""
    rng = stream(seed, f"climb/{k}/{sign}")
    free = torch.randn(k, k, generator=rng, dtype=torch.float64).requires_grad_()
    size = torch.rand(k, generator=rng, dtype=torch.float64).requires_grad_()
    adam = torch.optim.Adam([free, size], lr=0.03)
    checkpoints = {round(settings.steps ** (i / 20)) for i in range(21)}
    for step in range(1, settings.steps + 1):
        adam.param_groups[0]["lr"] = 0.03 * (1 - (step - 1) / settings.steps) + 1e-5
        rows = free / free.norm(dim=1, keepdim=True)  # projected onto unit rows
        gram = rows @ rows.T - torch.eye(k, dtype=torch.float64)
        bound = coherence.norm_gap(size.square().sum(), gram.abs().max(), k)
        ratio = sign * (size @ gram @ size) / bound
        adam.zero_grad()
        (-ratio).backward()
        adam.step()
        if step in checkpoints:
            line = f"{'above' if sign > 0 else 'below'}, k = {k}"
            yield {"panel": "climb", "line": line, "x": float(step), "seed": seed, "value": float(ratio.detach())}


def average(settings: Bounds, seed: int) -> Iterator[dict[str, Any]]:
    """Sd of q / N over dictionaries for a fixed positive code, k = 4 and 32, beside the law and mu (k - 1)."""
    for d in settings.dims:
        for k in (4, 32):
            rng = stream(seed, f"average/{d}/{k}")
            h = codes(k, k, 1, rng)[0]
            h2, h4 = h.square().sum(), h.pow(4).sum()
            rows = unit(torch.randn(settings.samples, k, d, generator=rng, dtype=torch.float64))
            q = (torch.einsum("k,nkd->nd", h, rows).square().sum(1) - h2) / h2
            mu = (rows @ rows.mT - torch.eye(k, dtype=torch.float64)).abs().amax((1, 2)).median()
            law = average_case.random_directions_variance(h2, h4, d).sqrt()
            values = {"measured": q.std(), "law": law, "worst": coherence.norm_gap(1.0, mu, k)}
            for name, value in values.items():
                yield {
                    "panel": "average",
                    "line": f"{name}, k = {k}",
                    "x": float(d),
                    "seed": seed,
                    "value": float(value),
                }


def constants(settings: Bounds, seed: int) -> Iterator[dict[str, Any]]:
    """c = eps (n - 1) of random rows and tight frames against n/d; below 1 the paper's upper side would apply."""
    d = 32
    for n in (8, 16, 24, 32, 36, 48, 64, 128, 256):
        for name, family in {"random rows": RandomSphere(), "tight frame": TightFrame()}.items():
            if name == "tight frame" and n <= d:
                continue
            case = Mixture.exact(family.draw(n, d, stream(seed, f"constants/{name}/{n}")), torch.ones(n))
            c = coherence.norm_gap(1.0, case.coherence, n)
            yield {"panel": "constants", "line": name, "x": n / d, "seed": seed, "value": float(c)}


def ranking(settings: Bounds, seed: int) -> Iterator[dict[str, Any]]:
    """Do norms rank dictionaries by coherence? Spearman of each LBO's median with eps, over 24 dictionaries."""
    rng = stream(seed, "ranking")
    found: dict[str, list[float]] = {name: [] for name in (*FORMS, "ε")}
    for i in range(24):
        n = (64, 96, 128, 192)[i % 4]
        rows = CommonMean(0.04 * (i // 4)).draw(n, settings.d, rng)
        case = Mixture.exact(rows, codes(n, 8, settings.samples, rng))
        by_l1 = afa.lbo_1(case.x2, case.h2, case.l1, ops=TENSOR)
        forms = (afa.lbo_dense(case.x2, case.h2, n, ops=TENSOR), afa.lbo_k(case.x2, case.h2, 8, ops=TENSOR), by_l1)
        for name, value in zip(FORMS, (*(form.median() for form in forms), by_l1.max()), strict=True):
            found[name].append(float(value))
        found["ε"].append(case.coherence)
    for name in FORMS:
        rank: Any = spearmanr(found[name], found["ε"])
        yield {"panel": "ranking", "line": name, "x": 0.0, "seed": seed, "value": float(rank.statistic)}


def measure(settings: Bounds) -> list[dict[str, Any]]:
    """All rows of all panels."""
    rows: list[dict[str, Any]] = []
    for seed in track(range(settings.seeds), "measuring bounds"):
        for panel in (ladder, average, constants, ranking):
            rows += panel(settings, seed)
        for k in (2, 4, 8):
            rows += [row for sign in (1, -1) for row in climb(settings, seed, k, sign)]
    return rows


def draw(frame: pl.DataFrame, settings: Bounds, stem: Path) -> list[Path]:
    """Four panels from the table alone."""

    def line(panel: Axes, which: str, name: str, colour: str, label: str | None = None, **style: Any) -> None:
        own = frame.filter((pl.col("panel") == which) & (pl.col("line") == name))
        places = own.group_by("x").agg(pl.col("value")).sort("x")
        draw_band(panel, places["x"].to_list(), places["value"].to_list(), colour, label or name, **style)

    with styled():
        figure, ((one, two), (three, four)) = subplots(2, 2, figsize=(10.5, 7.8))
        for name, colour in LADDER.items():
            line(one, "ladder", name, colour, linestyle=":" if name.startswith("random") else "-")
        one.axhline((2 / settings.d) ** 0.5, color="0.5", linestyle="--", linewidth=1.2, label="√(2/d)")
        one.set(xscale="log", yscale="log", xlabel="active rows k", ylabel="|q| / N", title="Bounds on |x|² − |h|²")
        one.set_xticks(settings.k, [str(k) for k in settings.k])
        one.minorticks_off()
        one.set_ylim(0.05, 5000)
        for i, k in enumerate((2, 4, 8)):
            line(two, "climb", f"above, k = {k}", COLOURS[i])
            line(two, "climb", f"below, k = {k}", COLOURS[i], linestyle="--")
        two.axhline(1, color="0.3", linewidth=1)
        two.set(xscale="log", xlabel="optimiser steps", ylabel="±q / (μ(k − 1)N)", title="Climbing to the constant 1")
        for i, k in enumerate((4, 32)):
            line(
                three,
                "average",
                f"measured, k = {k}",
                COLOURS[i],
                f"sd of q/N, k = {k}",
                linestyle="",
                marker="o",
                markersize=3,
            )
            line(three, "average", f"law, k = {k}", COLOURS[i], f"√(2/d)-law, k = {k}")
            line(three, "average", f"worst, k = {k}", COLOURS[i], f"μ(k − 1), k = {k}", linestyle=":")
        three.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="size of q / N", title="Random rows: √(2/d)")
        line(four, "constants", "random rows", COLOURS[0])
        line(four, "constants", "tight frame", COLOURS[2])
        ratio = [n / 32 for n in range(33, 269)]
        floor = [float(coherence.welch_square(32 * r, 32) ** 0.5 * (32 * r - 1)) for r in ratio]
        four.plot(ratio, floor, color="black", linewidth=1.2, label="Welch floor")
        four.axhline(1, color=COLOURS[1], linewidth=1.2)
        four.axvspan(1, 8.4, color=COLOURS[1], alpha=0.07, linewidth=0)
        four.text(1.15, 0.62, "superposition: c ≥ 1, no upper bound", color=COLOURS[1], fontsize=8)
        four.set(xscale="log", yscale="log", xlabel="rows a dimension n/d, d = 32", ylabel="c = ε(n − 1)")
        four.set(title="When the paper's upper side applies", xlim=(0.23, 8.4), ylim=(0.5, 300))
        four.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["1/4", "1/2", "1", "2", "4", "8"])
        four.minorticks_off()
        one.legend(fontsize=7, frameon=False, ncols=2, loc="upper left")
        for panel in (two, three, four):
            panel.legend(fontsize=7, frameon=False)
        caption = (
            f"Ladder: {settings.n} random rows in d = {settings.d}, {settings.samples} codes with entries U(.5, 1.5); "
            f"medians over codes. Optimiser: k rows in d = k, Adam, {settings.steps} steps; dashed: below. Random "
            f"rows: {settings.samples} dictionaries a point. {settings.seeds} seeds: median, 10-90 % band, points."
        )
        return finish(figure, caption, stem)


def experiment(settings: Bounds, console: Console) -> int:
    """Measure, write, draw, show; returns the exit code."""
    settings, _ = opened(settings, "afa_bounds")
    config = config_of(settings)
    if settings.dry_run:
        return show_plan(console, config, ())
    run = Run.start(settings.out, "afa_bounds", config)
    frame = run.write_table(measure(settings))
    paths = draw(frame, settings, run.folder / "figures/afa_bounds")
    table = Table("lower bound on ε from norms", "Spearman with ε: median over seeds", "10 %", "90 %")
    for name in FORMS:
        own = frame.filter((pl.col("panel") == "ranking") & (pl.col("line") == name))["value"]
        table.add_row(name, *(f"{own.quantile(q, 'linear'):.2f}" for q in (0.5, 0.1, 0.9)))
    console.print(table)
    climbed = frame.filter((pl.col("panel") == "climb") & (pl.col("x") == settings.steps))["value"]
    console.print(
        f"optimiser: least end of {len(climbed)} climbs at {climbed.min():.4f} of the constant", highlight=False
    )
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("afa_bounds", partial(read_flags, Bounds, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
