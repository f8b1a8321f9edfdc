"""Small trained stacks for claims on signed codes and on interactions: each is trained once in a process."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from synthetic.source import World
from synthetic.worlds import worlds
from workbench import SAE, TrainConfig, create, train
from workbench.metrics import axes, collect
from workbench.metrics.evidence import Evidence

SEEDS = (0, 1, 2)
"""of initial weights; a stack of these shares its batches"""
_SAMPLES = 4000


@dataclass(frozen=True)
class Trained:
    """One member of a stack trained on a named world."""

    seed: int = 0
    world: str = "bidirectional"
    knobs: tuple[tuple[str, Any], ...] = ()
    """of the world, by name"""
    variant: str = "abs_topk"
    m: int = 24
    k: int = 3
    settings: tuple[tuple[str, Any], ...] = ()
    """of the variant, beside k"""
    steps: int = 800
    lr: float = 5e-3
    aux_k: int = 0
    frozen: tuple[str, ...] = ()
    """parameters left as drawn"""

    def __str__(self) -> str:
        shown = [f for f in fields(self) if getattr(self, f.name) != f.default or f.name in ("world", "variant")]
        return ", ".join(f"{f.name} = {getattr(self, f.name)}" for f in shown)

    @property
    def place(self) -> World:
        """The world."""
        return worlds()[self.world](**dict(self.knobs))

    @property
    def _stack(self) -> tuple["Trained", tuple[int, ...]]:
        return replace(self, seed=0), SEEDS if self.seed in SEEDS else (self.seed,)

    @property
    def evidence(self) -> Evidence:
        """What its evaluation counted."""
        shared, seeds = self._stack
        return _trained(shared, seeds)[1][seeds.index(self.seed)]

    @property
    def sae(self) -> SAE:
        """The whole stack."""
        return _trained(*self._stack)[0]

    @property
    def member(self) -> int:
        """Its place in the stack."""
        return self._stack[1].index(self.seed)

    @property
    def mcc(self) -> float:
        """Mean |cos| of matched rows."""
        return self.evidence.geometry.mean_matched

    @property
    def fvu(self) -> float:
        """Share of the variance left unexplained."""
        return self.evidence.fvu

    @property
    def dead(self) -> float:
        """Share of latents that never fire."""
        return self.evidence.dead

    @property
    def split(self) -> float:
        """Share of axes with a latent at both ends."""
        return float(axes.fragmentation(self.evidence)["fragmentation"])

    @property
    def two_signed(self) -> float:
        """Share of live latents that use both signs."""
        return float(axes.bipolarity(self.evidence)["two_signed"] or 0.0)


@lru_cache(maxsize=64)
def _trained(run: Trained, seeds: tuple[int, ...]) -> tuple[SAE, list[Evidence]]:
    world = run.place
    sae = create(run.variant, world.d, run.m, seed=list(seeds), k=run.k, **dict(run.settings))
    sae.frozen = (*sae.frozen, *run.frozen)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(sae, world, TrainConfig(steps=run.steps, batch=256, lr=run.lr, aux_k=run.aux_k, dead_after=100))
        return sae, collect(sae, world, _SAMPLES, seed=0)
    finally:
        torch.set_num_threads(threads)


def each_seed(**changes: Any) -> SearchStrategy[Trained]:
    """The members of one stack."""
    return st.sampled_from([Trained(seed=seed, **changes) for seed in SEEDS])


def one(**changes: Any) -> SearchStrategy[Trained]:
    """A member trained alone, which is cheaper: for controls and mutants."""
    return st.just(Trained(seed=len(SEEDS), **changes))


def more_dead(signed: Trained, plain: Trained) -> float:
    """Share of dead latents of signed codes less that of nonnegative ones."""
    return signed.dead - plain.dead


def gain(signed: Trained, plain: Trained) -> float:
    """MCC of signed codes less that of nonnegative ones."""
    return signed.mcc - plain.mcc
