"""Interactions: does a linear decoder give a compound a latent of its own where a polynomial one finds the parts?

Features in pairs that interact and come often, only come often, or only interact; linear TopK SAEs at equal m and k,
at equal parameters and with an atom and a slot to spare for products, against PolySAE and its controls. Also: error
against the columns R2 that products get (PS4: 2 a pair), |B| against co-firing through training, AND and XOR.
Run `python -m experiments interactions`; results go to `runs/interactions/...`; `--resume FOLDER` goes on; `--help`
lists the flags.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from experiments.interactions.compounds import measure, planted
from experiments.interactions.figures import figures
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
    RARE,
    SELF,
    questions,
    tables,
)
from experiments.interactions.settings import InteractionRun
from synthetic.laws.magnitudes import ConstantMagnitude, Uniform
from synthetic.transformed import Interactions
from synthetic.worlds.interactions import interacting, logical, pair_roles
from workbench import SAE, TrainConfig, create, train
from workbench.parts.base import drawn
from workbench.parts.polynomial import Terms
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, kind_of
from workbench.theory.interactions import decoder_parameters


@dataclass(frozen=True)
class Arm:
    """An SAE to compare."""

    name: str
    variant: str
    m: int
    own: Mapping[str, Any]
    """settings of the variant"""
    frozen: tuple[str, ...] = ()
    published: bool = False
    """C2 starts as published, uniform in half Kaiming's bound"""

    @property
    def rank2(self) -> int:
        """Columns for products."""
        return self.own.get("rank2", 0)


def arms(n: int, products: int, d: int, k: int, more_k: int) -> dict[str, Arm]:
    """SAEs to compare on a world of n features."""
    rank2 = 2 * products
    parameters = n * d + n + decoder_parameters(n, d, (min(n, d), rank2))
    poly = {"k": k, "rank2": rank2}
    found = (
        Arm(LINEAR, "topk", n, {"k": k}),
        Arm(MORE, "topk", n + products, {"k": more_k}),
        Arm(EQUAL, "topk", round(parameters / (2 * d + 1)), {"k": k}),
        Arm(FULL, "polysae", n, poly),
        Arm(PURE, "polysae", n, poly | {"terms": "pure"}),
        Arm(SELF, "polysae", n, poly | {"terms": "self"}),
        Arm(RANDOM, "polysae", n, poly, frozen=("U",)),
        Arm(FIXED, "polysae", n, poly, frozen=("U", "C2"), published=True),
    )
    return {arm.name: arm for arm in found}


@dataclass(frozen=True, kw_only=True)
class Trained(Unit):
    """An arm on a world, the seeds in one stack."""

    settings: InteractionRun
    part: str
    world: str
    arm: Arm
    train: TrainConfig
    given: bool = False
    """the encoder reads the true codes, and is not trained"""

    @property
    def label(self) -> str:
        """Part, world, arm and, where these vary, columns."""
        ranked = self.part in ("rank", "codes given")
        return f"{self.part}/{self.world}/{self.arm.name}" + (f"/R2 = {self.arm.rank2}" if ranked else "")

    @property
    def size(self) -> int:
        """Samples."""
        return self.train.steps * self.train.batch


@dataclass(frozen=True, kw_only=True)
class Planted(Unit):
    """Columns put where products need them, without training."""

    settings: InteractionRun
    world: str
    arm: str
    terms: Terms
    rank2: int


def plan(settings: InteractionRun) -> Iterator[Unit]:
    """One unit an arm and world; then what planted columns leave."""
    common: dict[str, Any] = {"settings": settings, "seeds": tuple(range(settings.seeds))}
    falling, fixed = settings.train, replace(settings.train, k_start=None)
    on_pairs: dict[str, Any] = common | {"world": "varying", "train": falling}
    plain: dict[str, Any] = on_pairs | {"train": fixed}
    here = arms(settings.n_true, 2 * settings.pairs, settings.d, settings.k, settings.k + 1)
    for arm in here.values():
        yield Trained(part="arms", arm=arm, **on_pairs)
    for name in (LINEAR, FULL, PURE):
        yield Trained(part="arms", arm=replace(here[name], name=name + PLAIN), **plain)
    for name in (MORE, PURE):
        yield Trained(part="inside", arm=here[name], **{**on_pairs, "world": "inside"})
    for name in (FULL, PURE):
        yield Trained(part="training", arm=replace(here[name], published=True), **plain)
    yield from ranked(settings, {name: here[name] for name in (FULL, PURE)}, common)
    yield from on_logic(settings, common)
    kinds: tuple[tuple[str, Terms], ...] = ((FULL, "full"), (PURE, "pure"))
    for law in ("varying", "constant"):
        for name, terms in kinds:
            for rank2 in (0, *settings.ranks):
                yield Planted(settings=settings, world=law, arm=name, terms=terms, rank2=rank2)


def ranked(settings: InteractionRun, here: Mapping[str, Arm], common: dict[str, Any]) -> Iterator[Trained]:
    """Over the columns for products, with codes to learn and with true ones."""
    quick, steps = 3 * settings.train.lr, max(1, settings.train.steps // 2)  # type: ignore[operator]
    short = replace(settings.train, steps=steps, lr=quick, k_start=None, centre=False)
    for name, base in here.items():
        for rank2 in settings.ranks:
            arm = replace(base, own={**base.own, "rank2": rank2})
            if arm != base:  # done
                yield Trained(part="rank", world="varying", arm=arm, train=settings.train, **common)
            for world in ("varying", "constant") if name == FULL else ("varying",):  # pure ones need no more at either
                yield Trained(part="codes given", world=world, arm=arm, train=short, given=True, **common)


def on_logic(settings: InteractionRun, common: dict[str, Any]) -> Iterator[Trained]:
    """Arms on AND and XOR of binary features."""
    few, start = 3 * settings.pairs, settings.train.k_start or 0.0
    config = replace(settings.train, k_start=max(start, settings.k + 1.0))
    for world, extra in (("and", 2), ("xor", 3)):
        k = min(settings.k + 1, few)
        own = arms(few, settings.pairs, settings.d, k, min(k + extra, few + settings.pairs))
        for name in BY_LOGIC:
            yield Trained(part="logic", world=world, arm=own[name], train=config, **common)


def world_of(settings: InteractionRun, name: str) -> Interactions:
    """Pairs crossed with co-occurrence, or a logical world, which has as many free features as pairs."""
    p = settings.pairs
    if name in ("and", "xor"):
        return logical(name, p, p, settings.d)
    law = ConstantMagnitude(1.25) if name == "constant" else Uniform(1.0, 1.5)
    world = interacting(p, p, p, settings.free, settings.d, settings.k, settings.each, magnitudes=law)
    return replace(world, targets="inside") if name == "inside" else world


def roles_of(settings: InteractionRun, world: str) -> dict[str, list[tuple[int, ...]]]:
    """Pairs by what they do."""
    p = settings.pairs
    if world in ("and", "xor"):
        first = [2 * q for q in range(p)]
        return {OFTEN: [(i, i + 1) for i in first], NEITHER: [(i, 2 * p) for i in first]}
    words = {"interacting, frequent": OFTEN, "frequent only": ONLY, "interacting, rare": RARE, "neither": NEITHER}
    return {words[name]: list(pairs) for name, pairs in pair_roles(p, p, p, settings.free).items()}


def begin(sae: SAE, unit: Trained, world: Interactions) -> None:
    """Freeze what the arm freezes; start C2 as published; give the true codes."""
    sae.frozen = unit.arm.frozen
    with torch.no_grad():
        if unit.arm.published:
            C2 = sae.tensor("C2")
            shape, bound = C2.shape[-2:], 0.5 * (6 / C2.shape[-2]) ** 0.5
            C2.copy_(
                drawn(sae.seed, sae.shape, "published", lambda rng: bound * (2 * torch.rand(shape, generator=rng) - 1))
            )
        if unit.given:
            sae.frozen = (*sae.frozen, "W_enc", "b_enc", "b_dec")
            sae.W_enc.copy_(world.truth.features.mT)


def work(unit: Trained | Planted, report: Report) -> Iterator[Row]:
    """Rows of a stack, or of planted columns; x counts the columns for products."""
    settings, world = unit.settings, world_of(unit.settings, unit.world)
    about: Row = {"world": unit.world, "n_true": world.truth.n_true, "d": world.d}
    if isinstance(unit, Planted):
        value = planted(world, unit.rank2, unit.terms, settings.samples)
        yield about | {"place": "planted", "x": unit.rank2, "arm": unit.arm, "metric": "fvu", "value": value}
        return
    arm = unit.arm
    about |= {"place": unit.part, "x": arm.rank2, "arm": arm.name, "m": arm.m, "k": arm.own["k"], "lr": unit.train.lr}
    for step, scores in through_training(unit, world, report):
        for metric, values in scores.items():
            for seed, value in zip(unit.seeds, values, strict=True):
                yield about | kind_of(metric) | {"step": step, "seed": seed, "value": value}


def through_training(unit: Trained, world: Interactions, report: Report) -> list[tuple[int, dict[str, list[float]]]]:
    """Scores of a stack by step: before and after training, in the part on training also between."""
    arm, settings, steps = unit.arm, unit.settings, unit.train.steps
    roles = roles_of(settings, unit.world)
    against = ONLY if ONLY in roles else NEITHER
    sae = create(arm.variant, settings.d, arm.m, seed=list(unit.seeds), **arm.own)
    begin(sae, unit, world)
    found = [(0, measure(sae, world, roles, against, settings.samples))]
    between = np.geomspace(max(1, steps // 100), steps, 7) if unit.part == "training" else ()
    marks = {steps, *(round(v) for v in between)}

    def on_step(now: Any) -> None:
        report(now.step * unit.train.batch, "training")
        if now.step in marks:
            found.append((now.step, measure(sae, world, roles, against, settings.samples)))
            sae.train()

    train(sae, world, unit.train, on_step=on_step)
    return found


STUDY = Study(
    name="interactions",
    question=__doc__,
    settings=InteractionRun,
    plan=plan,
    work=work,
    figures=figures,
    tables=tuple(tables()),
    questions=questions,
    toy=InteractionRun(
        pairs=1, free=3, d=12, ranks=(2, 4), samples=400, seeds=2,
        train=TrainConfig(steps=60, batch=64, lr=0.02, k_start=4.0),
    ),
)  # fmt: skip
main = STUDY.main
