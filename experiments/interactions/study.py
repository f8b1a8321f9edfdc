"""Interactions: does a linear decoder give a compound a latent of its own where a polynomial one finds the parts?

Features in pairs that interact and come often, only come often, or only interact; linear TopK SAEs at equal m and k,
at equal parameters and with an atom and a slot to spare for products, against PolySAE and its controls. Also: error
against the columns R2 that products get (PS4: 2 a pair), |B| against co-firing through training, AND and XOR.
Run `python -m experiments interactions`; results go to `runs/interactions/...`; `--resume FOLDER` goes on; `--help`
lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.columns import drawn
from experiments.interactions.compounds import measure, planted
from experiments.interactions.figures import arms_figure, sweeps_figure
from experiments.interactions.findings import (
    BY_LOGIC,
    EQUAL,
    FIXED,
    FULL,
    LINEAR,
    MORE,
    NEITHER,
    OFTEN,
    ONLY,
    PLAIN,
    PURE,
    RANDOM,
    SELF,
    TITLES,
    placed,
    tables,
)
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.laws.magnitudes import ConstantMagnitude, Uniform
from synthetic.transformed.interactions import Interactions
from synthetic.worlds.structured import interacting, logical, pair_roles
from workbench import SAE, TrainConfig, create, train
from workbench.parts.polynomial import Terms
from workbench.study.cells import Cell, Report, carry_out, commanded
from workbench.study.questions import answered
from workbench.theory.interactions import decoder_parameters


@dataclass(frozen=True)
class InteractionRun:
    """Settings."""

    pairs: int = 4
    """pairs of each kind: interacting and frequent, frequent, interacting; also those of AND and XOR"""
    free: int = 8
    """features outside pairs"""
    d: int = 64
    """dimensions"""
    k: int = 3
    """features a sample, and k of the SAEs"""
    each: float = 0.06
    """how often a sample is made of a given frequent pair"""
    ranks: tuple[int, ...] = (2, 4, 8, 16, 32)
    """columns R2 of the sweep"""
    k_start: float = 8.0
    """k that training starts from, falling to k over the first half; "k fixed" arms go without"""
    steps: int = 3000
    """training steps"""
    batch: int = 256
    """samples a step"""
    lr: float = 3e-3
    """Adam's step size"""
    samples: int = 20_000
    """samples behind each score"""
    seeds: int = 8
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
    def n_true(self) -> int:
        """Features of the world of pairs."""
        return 6 * self.pairs + self.free

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("pairs", "free", "d", "k", "steps", "batch", "samples"):
            must(getattr(self, name) >= 1, f"--{name.replace('_', '-')}", "at least 1", getattr(self, name), "raise it")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        least = self.n_true + 2 * self.pairs
        must(self.d >= least, "--d", f"at least {least}, features and products", self.d, "raise it or lower --pairs")
        must(2 <= self.k <= self.free + 2, "--k", f"in [2, free + 2 = {self.free + 2}]", self.k, "change it")
        sure = 2 * self.pairs * self.each
        must(self.each > 0 and sure <= 1, "--each", f"above 0, at most {0.5 / self.pairs:g}", self.each, "change it")
        must(self.k < self.k_start <= self.n_true, "--k-start", f"in (k, {self.n_true}]", self.k_start, "change it")
        good = self.ranks and min(self.ranks) >= 1 and max(self.ranks) <= self.n_true
        must(good, "--ranks", f"in [1, {self.n_true}]", self.ranks, "U has a column a latent at most")
        needed = {2 * self.pairs, 4 * self.pairs}
        must(
            needed <= set(self.ranks), "--ranks", f"with {sorted(needed)}, 1 and 2 columns a product", self.ranks, "add"
        )


def arms(n: int, products: int, d: int, k: int, more_k: int) -> dict[str, dict[str, Any]]:
    """SAEs to compare on a world of n features: variant, m, settings, frozen parameters."""
    rank2 = 2 * products
    parameters = n * d + n + decoder_parameters(n, d, (min(n, d), rank2))
    poly = {"variant": "polysae", "m": n, "own": {"k": k, "rank2": rank2}}
    found = {
        LINEAR: {"variant": "topk", "m": n, "own": {"k": k}},
        MORE: {"variant": "topk", "m": n + products, "own": {"k": more_k}},
        EQUAL: {"variant": "topk", "m": round(parameters / (2 * d + 1)), "own": {"k": k}},
        FULL: poly,
        PURE: poly | {"own": poly["own"] | {"terms": "pure"}},
        SELF: poly | {"own": poly["own"] | {"terms": "self"}},
        RANDOM: poly | {"frozen": ["U"]},
        FIXED: poly | {"frozen": ["U", "C2"], "published": True},
    }
    return {name: {"frozen": [], "published": False, **arm} for name, arm in found.items()}


def plan(settings: InteractionRun) -> list[Cell]:
    """One cell an arm and world, the seeds in one stack."""
    names = ("pairs", "free", "d", "k", "each", "steps", "batch", "lr", "k_start", "samples")
    common = {name: getattr(settings, name) for name in names} | {"seeds": list(range(settings.seeds)), "given": False}
    cells: list[Cell] = []

    def add(part: str, world: str, arm: str, what: dict[str, Any], **other: Any) -> None:
        cell: Cell = common | {"part": part, "world": world, "arm": arm} | what | other
        rank2 = cell["own"].get("rank2", 0)
        id = f"{part}/{world}/{arm}" + (f"/R2 = {rank2}" if part in ("rank", "codes given") else "")
        cells.append(cell | {"id": id, "rank2": rank2, "size": cell["steps"] * cell["batch"]})

    here = arms(settings.n_true, 2 * settings.pairs, settings.d, settings.k, settings.k + 1)
    for name, arm in here.items():
        add("arms", "varying", name, arm)
    for name in (LINEAR, FULL, PURE):
        add("arms", "varying", name + PLAIN, here[name], k_start=None)
    for name in (MORE, PURE):
        add("inside", "inside", name, here[name])
    for name in (FULL, PURE):
        add("training", "varying", name, here[name] | {"published": True}, k_start=None)
        ranked = [here[name] | {"own": here[name]["own"] | {"rank2": rank2}} for rank2 in settings.ranks]
        for arm in ranked:
            if arm != here[name]:  # done
                add("rank", "varying", name, arm)
        short = {"steps": max(1, settings.steps // 2), "lr": 3 * settings.lr, "k_start": None, "given": True}
        for world in ("varying", "constant") if name == FULL else ("varying",):  # pure ones need no more at either
            for arm in ranked:
                add("codes given", world, name, arm, **short)
    few = 3 * settings.pairs
    for world, extra in (("and", 2), ("xor", 3)):
        k = min(settings.k + 1, few)
        own = arms(few, settings.pairs, settings.d, k, min(k + extra, few + settings.pairs))
        for name in BY_LOGIC:
            add("logic", world, name, own[name], k_start=max(settings.k_start, settings.k + 1.0), free=settings.pairs)
    return cells


def world_of(cell: Cell) -> Interactions:
    """Pairs crossed with co-occurrence, or a logical world."""
    if cell["world"] in ("and", "xor"):
        return logical(cell["world"], cell["pairs"], cell["free"], cell["d"])
    law = ConstantMagnitude(1.25) if cell["world"] == "constant" else Uniform(1.0, 1.5)
    p = cell["pairs"]
    world = interacting(p, p, p, cell["free"], cell["d"], cell["k"], cell["each"], magnitudes=law)
    return replace(world, targets="inside") if cell["world"] == "inside" else world


def roles_of(cell: Cell) -> dict[str, list[tuple[int, ...]]]:
    """Pairs by what they do."""
    if cell["world"] in ("and", "xor"):
        first = [2 * q for q in range(cell["pairs"])]
        return {OFTEN: [(i, i + 1) for i in first], NEITHER: [(i, 2 * cell["pairs"]) for i in first]}
    p = cell["pairs"]
    return {name: list(pairs) for name, pairs in pair_roles(p, p, p, cell["free"]).items()}


def begin(sae: SAE, cell: Cell, world: Interactions) -> None:
    """Freeze what the arm freezes; start C2 as published, uniform in half Kaiming's bound; give the true codes."""
    sae.frozen = tuple(cell["frozen"])
    with torch.no_grad():
        if cell["published"]:
            C2 = sae.get_parameter("C2")
            shape, bound = C2.shape[-2:], 0.5 * (6 / C2.shape[-2]) ** 0.5
            C2.copy_(sae.drawn("published", lambda rng: bound * (2 * torch.rand(shape, generator=rng) - 1)))
        if cell["given"]:
            sae.frozen = (*sae.frozen, "W_enc", "b_enc", "b_dec")
            sae.W_enc.copy_(world.truth.features.mT)


def work(cell: Cell, report: Report) -> list[tuple[int, dict[str, list[float]]]]:
    """Train one stack and score it before and after, in the part on training also between; runs in the pool."""
    world, roles, steps = world_of(cell), roles_of(cell), cell["steps"]
    against = ONLY if ONLY in roles else NEITHER
    sae = create(cell["variant"], cell["d"], cell["m"], seed=cell["seeds"], **cell["own"])
    begin(sae, cell, world)
    found = [(0, measure(sae, world, roles, against, cell["samples"]))]
    marks = {steps} | (
        {round(v) for v in np.geomspace(max(1, steps // 100), steps, 7)} if cell["part"] == "training" else set()
    )

    def on_step(now: Any) -> None:
        report(now.step * cell["batch"], "training")
        if now.step in marks:
            found.append((now.step, measure(sae, world, roles, against, cell["samples"])))
            sae.train()

    plain = {name: cell[name] for name in ("steps", "batch", "lr", "k_start")}
    train(sae, world, TrainConfig(**plain, centre=not cell["given"]), on_step=on_step)
    return found


def rows(cells: list[Cell], results: dict[str, Any], settings: InteractionRun) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member, step and metric; then what planted columns leave, without training."""
    for cell in cells:
        about = {name: cell[name] for name in ("part", "world", "arm", "m", "rank2")} | {"k": cell["own"]["k"]}
        for step, scores in results[cell["id"]]:
            for metric, values in scores.items():
                for seed, value in zip(cell["seeds"], values, strict=True):
                    yield about | {"step": step, "seed": seed, "metric": metric, "value": value}
    common = {name: getattr(settings, name) for name in ("pairs", "free", "d", "k", "each")}
    for law in ("varying", "constant"):
        world = world_of(common | {"world": law})
        kinds: tuple[tuple[str, Terms], ...] = ((FULL, "full"), (PURE, "pure"))
        for name, terms in kinds:
            for rank2 in (0, *settings.ranks):
                about = {"part": "planted", "world": law, "arm": name, "rank2": rank2, "step": 0, "seed": 0}
                yield about | {"metric": "fvu", "value": planted(world, rank2, terms, settings.samples)}


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:50} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: InteractionRun, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "interactions", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    table, about = placed(done.table(partial(rows, settings=settings))), caption(settings)
    figures = (arms_figure(about), sweeps_figure(about, 2 * settings.pairs))
    for path in drawn(figures, table, settings, run.folder / "figures"):
        if path.suffix == ".png":
            console.print(f"figure {path}", soft_wrap=True, highlight=False)
    for medians in tables():
        console.print(medians.of(table))
    for title, asked in TITLES.items():
        console.print(answered(list(asked(settings)), table, title))
    console.print(f"results {run.folder}", soft_wrap=True, highlight=False)
    return 0


def caption(settings: InteractionRun) -> str:
    """What a figure states of the run."""
    return (
        f"{settings.n_true} orthonormal features in d = {settings.d}, {settings.pairs} pairs of each kind, "
        f"{settings.k} features a sample, h ~ U(1, 1.5), products at 1.5; {settings.steps} steps of {settings.batch}, "
        f"Adam {settings.lr:g}, k from {settings.k_start:g} down; {settings.seeds} seeds of weights, the same samples."
    )


def main() -> int:
    """Parse and run."""
    return commanded("interactions", partial(read_flags, InteractionRun, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
