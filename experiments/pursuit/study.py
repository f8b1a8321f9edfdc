"""Which rows does a pursuit pick: below and above the coherence bound, and where features interfere?

Parts: `phase`, share of supports recovered by coherence and size, with the bound k = (1 + 1/mu) / 2 (MP-5, MP-6);
`noise`, precision and error of the true dictionary with more steps than features (MP-11); `trained`, explained variance
against recovery of SAEs as features outnumber dimensions; `timing`, correlations from residuals against Gram rows. Run
`python -m experiments pursuit`; results go to `runs/pursuit/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from experiments.columns import drawn
from experiments.pursuit.figures import QUESTIONS, TABLES, figures, placed
from synthetic import ExactlyK, SparseMixture, Uniform, stream
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.laws.directions import Simplex, unit
from synthetic.laws.low_coherence import LowCoherence
from workbench import TrainConfig, create, evaluate, train
from workbench.parts.pursuit import clear_picks, matching_pursuit, orthogonal_matching_pursuit
from workbench.study.cells import Cell, Report, carry_out, commanded
from workbench.study.questions import answered
from workbench.training.machine import Work, alternate

Part = Literal["phase", "noise", "trained", "timing"]
RULES = ("OMP", "OMP, signed", "MP, abs", "MP, relu", "TopK", "AbsTopK")
FAMILIES = ("worst", "flat", "random")
TRAINED = {
    "MP, abs": ("matching_pursuit", {}),
    "MP, relu": ("matching_pursuit", {"select": "relu"}),
    "TopK": ("topk", {}),
}
METRICS = ("explained_variance", "mcc", "mcc_null", "f1", "l0")


@dataclass(frozen=True)
class Pursuit:
    """Settings."""

    parts: tuple[Part, ...] = ("phase", "noise", "trained", "timing")
    """which parts"""
    inverse: tuple[int, ...] = (2, 4, 6, 8, 10, 14)
    """1/mu of the phase diagram, even: then no support of the worst codes is on the bound"""
    k: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
    """sizes of supports of the phase diagram"""
    samples: int = 200
    """codes of each cell and seed"""
    seeds: int = 5
    """of dictionary, codes and weights together"""
    d: int = 32
    """dimensions of the parts on interference"""
    active: int = 4
    """features that fire in each of their samples"""
    ratios: tuple[int, ...] = (1, 2, 4, 8)
    """n_true / d"""
    steps: tuple[int, ...] = (4, 8, 16)
    """steps of pursuit, and k of TopK"""
    train_steps: int = 1500
    """training steps of each SAE"""
    batch: int = 256
    """samples a training step"""
    lr: float = 3e-3
    """Adam's step size"""
    widths: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    """rows of the dictionaries that are timed, in 256 dimensions"""
    repeats: int = 5
    """times each pursuit is timed, in turn"""
    jobs: int = 0
    """processes; 0 for one a core; timing has one to itself"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("samples", "seeds", "d", "active", "train_steps", "batch", "repeats"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        for name in ("parts", "k", "ratios", "steps", "widths"):
            given = getattr(self, name)
            good = given and (name == "parts" or min(given) >= 1)
            must(good, f"--{name}", "one or more, at least 1", given, "give some")
        even = self.inverse and min(self.inverse) >= 2 and not any(i % 2 for i in self.inverse)
        must(even and max(self.inverse) <= 16, "--inverse", "even numbers from 2 to 16", self.inverse, "give some")
        must(max(self.k) <= 64, "--k", "at most 64, the dimension", self.k, "lower it")
        must(self.active <= self.d * min(self.ratios), "--active", "at most n_true", self.active, "lower it")
        must(max(self.steps) <= self.d * min(self.ratios), "--steps", "at most n_true", self.steps, "lower it")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")


def plan(settings: Pursuit) -> list[Cell]:
    """Cells of all parts, slow ones first and timing last."""
    common = {name: getattr(settings, name) for name in ("d", "active", "steps", "train_steps", "batch", "lr")}
    common |= {name: getattr(settings, name) for name in ("k", "samples", "repeats")}
    cells: list[Cell] = []

    def add(part: str, size: int, **own: Any) -> None:
        if part in settings.parts:
            name = "/".join([part, *(str(value) for value in own.values())])
            cells.append(common | own | {"id": name, "part": part, "size": size})

    for seed in range(settings.seeds):
        for ratio in sorted(settings.ratios, reverse=True):
            for rule in TRAINED:
                for k in sorted(settings.steps, reverse=True):
                    size = settings.train_steps * settings.batch
                    add("trained", size, rule=rule, ratio=ratio, own_k=k, seed=seed)
            add("noise", 10 * settings.samples, ratio=ratio, seed=seed)
        for family in FAMILIES:
            for inverse in settings.inverse:
                add("phase", settings.samples * len(settings.k), family=family, inverse=inverse, seed=seed)
    for m in settings.widths:
        add("timing", 1024 * settings.repeats, m=m)
    return cells


def picked(rule: str, x: Tensor, rows: Tensor, k: int) -> Tensor:
    """Which rows a rule gives nonzero codes, (n, m); matching pursuit may take 8 k steps, up to |r| < .001 |x|."""
    if rule.startswith("OMP"):
        select = "positive" if rule.endswith("signed") else "abs"
        return orthogonal_matching_pursuit(x, rows, k, select=select).codes(len(rows)).dense() != 0
    if rule.startswith("MP"):
        select, x = ("relu" if rule.endswith("relu") else "abs"), x / x.norm(dim=1, keepdim=True)
        return matching_pursuit(x, rows, 8 * k, select=select, tol=1e-3).codes(len(rows)).dense() != 0
    c = x @ rows.T
    best = (c.abs() if rule == "AbsTopK" else c).topk(k, dim=1).indices
    return torch.zeros_like(c).scatter_(1, best, 1.0) > 0


def worst(inverse: int, k: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Dictionary and code for which the bound is sharp, at any k: simplices side by side, all products -mu in each.

    The code is 1 on k rows that fill simplices but for one row each; all other rows are turned round, so that their
    products with the support are mu. In a simplex with s of its n = 1 + 1/mu rows in the support these have <w, x> =
    mu (n - s), others mu s: rows outside win once s > n / 2.
    """
    n = inverse + 1
    blocks = -(-k // (n - 1)) + 1
    rows = torch.block_diag(*(Simplex().draw(n, n - 1, rng) for _ in range(blocks)))
    h = (torch.arange(n * blocks) % n < n - 1).double()
    h *= h.cumsum(0) <= k
    return rows * (2 * h - 1)[:, None], h[None]


def phase(cell: Cell) -> dict[str, Any]:
    """Share of supports recovered, by rule and k."""
    rng, found = stream(cell["seed"], f"phase/{cell['family']}/{cell['inverse']}"), {rule: [] for rule in RULES}
    rows = LowCoherence(1 / cell["inverse"]).draw(80, 64, rng) if cell["family"] != "worst" else None
    for k in cell["k"]:
        if rows is None:
            own, h = worst(cell["inverse"], k, rng)
        else:
            own, size = rows, torch.rand(cell["samples"], 80, generator=rng, dtype=torch.float64)
            places = torch.rand(cell["samples"], 80, generator=rng).argsort(1)[:, :k]
            size = torch.ones_like(size) if cell["family"] == "flat" else 0.1 + 0.9 * size
            h = torch.zeros_like(size).scatter_(1, places, size.gather(1, places))
        for rule in RULES:
            right = (picked(rule, h @ own, own, k) == (h != 0)).all(1)
            found[rule].append({"k": k, "recovered": float(right.double().mean())})
    return found


def world_of(cell: Cell) -> SparseMixture:
    """Random directions, `active` of them at magnitudes in [.5, 1.5]."""
    n_true, active = cell["ratio"] * cell["d"], cell["active"]
    magnitudes = Uniform(0.5, 1.5)
    return SparseMixture(n_true=n_true, d=cell["d"], firing=ExactlyK(active), magnitudes=magnitudes, seed=cell["seed"])


def noise(cell: Cell) -> dict[str, Any]:
    """The true dictionary: share of the picks that are true, of the true ones picked, |x - x_hat|^2 / |x|^2."""
    world = world_of(cell)
    batch, rows = world.sample(10 * cell["samples"], stream(cell["seed"], "noise")), world.truth.features.float()
    true, found = batch.h.dense() != 0, {}
    for rule in ("MP, abs", "MP, relu", "OMP", "TopK"):
        found[rule] = []
        for steps in cell["steps"]:
            if rule == "TopK":
                kept = (batch.x @ rows.T).relu().topk(steps, dim=1)
                f = torch.zeros(len(true), len(rows)).scatter_(1, kept.indices, kept.values)
            elif rule == "OMP":
                f = orthogonal_matching_pursuit(batch.x, rows, steps).codes(len(rows)).dense()
            else:
                select = "relu" if rule == "MP, relu" else "abs"
                f = matching_pursuit(batch.x, rows, steps, select=select).codes(len(rows)).dense()
            both = float((true & (f != 0)).sum())
            error = float((batch.x - f @ rows).square().sum() / batch.x.square().sum())
            row = {"k": steps, "precision": both / float((f != 0).sum()), "recall": both / float(true.sum())}
            found[rule].append(row | {"error": error})
    return found


def trained(cell: Cell, report: Report) -> dict[str, Any]:
    """An SAE with one latent a feature."""
    world, (name, own) = world_of(cell), TRAINED[cell["rule"]]
    sae = create(name, cell["d"], world.n_true, seed=cell["seed"], k=cell["own_k"], **own)
    config = TrainConfig(steps=cell["train_steps"], batch=cell["batch"], lr=cell["lr"])
    train(sae, world, config, seed=cell["seed"], on_step=lambda now: report(now.step * cell["batch"], "training"))
    scores = evaluate(sae, world, n=50 * cell["samples"], seed=cell["seed"] + 1)
    return {cell["rule"]: [{"k": cell["own_k"]} | {name: float(scores[name]) for name in METRICS}]}


def timing(cell: Cell) -> dict[str, Any]:
    """Milliseconds of 16 steps on 1024 rows in 256 dimensions, one thread; equal codes first, but for ties."""
    rng = stream(0, "timing")
    rows, x = unit(torch.randn(cell["m"], 256, generator=rng)), torch.randn(1024, 256, generator=rng)
    gram = rows @ rows.T
    with torch.no_grad():
        works: dict[str, Work] = {
            "residuals": lambda: matching_pursuit(x, rows, 16),
            "Gram rows": lambda: matching_pursuit(x, rows, 16, gram=gram),
            "Gram rows, W Wᵀ made anew": lambda: matching_pursuit(x, rows, 16, gram=rows @ rows.T),
        }
        plain, quick = matching_pursuit(x, rows, 16), matching_pursuit(x, rows, 16, gram=gram)
        clear = clear_picks(x, rows, 16)
        torch.testing.assert_close(*(p.codes(cell["m"]).dense()[clear] for p in (quick, plain)), atol=1e-5, rtol=0)
        times = alternate(works, cell["repeats"])
    return {name: [{"k": 16, "ms": 1e3 * statistics.median(spent)}] for name, spent in times.items()}


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """One cell; runs in a process of the pool."""
    if cell["part"] == "trained":
        return trained(cell, report)
    return {"phase": phase, "noise": noise, "timing": timing}[cell["part"]](cell)


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a rule, k and metric."""
    for cell in cells:
        about = {name: cell.get(name) for name in ("part", "family", "inverse", "ratio", "m", "seed")}
        for rule, entries in results[cell["id"]].items():
            for entry in entries:
                for metric in entry.keys() - {"k"}:
                    yield about | {"rule": rule, "k": entry["k"], "metric": metric, "value": entry[metric]}


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:28} {cell['size']:,} samples"


def experiment(settings: Pursuit, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "pursuit", plan, work, console, told, alone=lambda cell: cell["part"] == "timing")
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(lambda cells, results: sorted(rows(cells, results), key=str))
    table = placed(frame)
    for path in drawn(figures(settings), table, settings, run.folder / "figures"):
        if path.suffix == ".png":
            console.print(f"figure {path}", soft_wrap=True, highlight=False)
    for shown in (*(medians.of(table) for medians in TABLES), answered(QUESTIONS, table, "what a pursuit picks")):
        console.print(shown)
    console.print(f"results {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("pursuit", partial(read_flags, Pursuit, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
