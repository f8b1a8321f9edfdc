"""Small trained stacks that the claims of bias adaptation measure: each is trained once in a process."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from proofs_check.claim import Hypothesis, Mutant
from synthetic.transformed import UnitNorm
from synthetic.worlds import bias as bias_worlds
from workbench import TrainConfig, create, train
from workbench.metrics import collect, recall
from workbench.metrics.evidence import Evidence
from workbench.parts import bias_control

SEEDS = (0, 1, 2)
"""of initial weights; a stack of these shares its batches"""
_SAMPLES = 4000


@dataclass(frozen=True)
class Bench:
    """One member of a stack of group bias adaptation on a small world; `ratio` is the lowest ceiling over f = s/n."""

    seed: int = 0
    n: int = 64
    d: int = 32
    s: int = 2
    m: int = 128
    ratio: float = 1.5
    top: float = 0.0
    """the highest ceiling, where there are groups"""
    groups: int = 1
    step: float = 0.1
    """share of its peak by which a bias moves; 0 for biases that stay"""
    period: int = 10
    output: str = "jump"
    control: str = "ceiling"
    topk: int = 0
    """train top-k of this k instead"""
    l1: float = 0.0
    """train ReLU with this penalty instead"""
    rho_2: float | None = None
    """planted co-occurrence"""
    rare: float = 1.0
    """frequency of half of the features over that of the others; 1 for sets of s features"""
    steps: int = 500
    lr: float = 6e-3

    def __str__(self) -> str:
        new = [f"{f.name} = {getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(new) or "as it is"

    @property
    def f(self) -> float:
        """Frequency of a feature, of the frequent ones where there are two."""
        return self.s / self.n

    @property
    def world(self) -> UnitNorm:
        """Where its samples come from."""
        if self.rare < 1:
            return bias_worlds.two_frequencies(self.n, self.d, self.f, self.f * self.rare)
        if self.rho_2 is not None:
            return bias_worlds.planted(self.n, self.d, self.s, self.rho_2)
        return bias_worlds.uniform(self.n, self.d, self.s)

    @property
    def variant(self) -> str:
        """What is trained."""
        return "topk" if self.topk else "relu" if self.l1 else "group_bias_adaptation"

    @property
    def settings(self) -> dict[str, Any]:
        """What its stack is created with."""
        if self.variant != "group_bias_adaptation":
            return {"k": self.topk} if self.topk else {"l1": self.l1}
        low, moves = self.ratio * self.f, {"down": self.step, "up": self.step, "period": self.period}
        kind = {"output": self.output, "control": self.control}
        return {"groups": self.groups, "low": low, "high": self.top or low, **moves, **kind}

    @property
    def evidence(self) -> Evidence:
        """What its evaluation counted."""
        stack = SEEDS if self.seed in SEEDS else (self.seed,)
        shared = replace(self, seed=0)
        if self.variant != "group_bias_adaptation":  # which knows no ceilings
            shared = replace(shared, ratio=Bench.ratio, step=Bench.step)
        return _trained(shared, stack, bias_control.ceilings, bias_control.adapted)[stack.index(self.seed)]

    @property
    def cosines(self) -> Tensor:
        """Of each feature, with the latent nearest to it."""
        return recall.best(self.evidence.geometry, self.evidence.truth.symmetries)

    @property
    def frr(self) -> float:
        """FRR(.9)."""
        return recovered(self.cosines)

    @property
    def fvu(self) -> float:
        """Share of the variance left unexplained."""
        return self.evidence.fvu


def recovered(cosines: Tensor, level: float = 0.9) -> float:
    """Share of features with cos >= level."""
    return float((cosines >= level).double().mean())


@lru_cache(maxsize=64)
def _trained(bench: Bench, seeds: tuple[int, ...], *_: Callable) -> list[Evidence]:
    """Evidence of a stack trained with the functions named last, as `bias_control` has them now."""
    sae = create(bench.variant, bench.d, bench.m, seed=list(seeds), **bench.settings)
    plain: dict[str, Any] = {"warm_up": 0.0, "decay": 0.0, "clip": None, "centre": False, "normalise": False}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(sae, bench.world, TrainConfig(steps=bench.steps, batch=128, lr=bench.lr, **plain))
        return collect(sae, bench.world, _SAMPLES, seed=0)
    finally:
        torch.set_num_threads(threads)


def each_seed(**changes: Any) -> SearchStrategy[Bench]:
    """The members of one stack."""
    return st.sampled_from([Bench(seed=seed, **changes) for seed in SEEDS])


def one(**changes: Any) -> SearchStrategy[Bench]:
    """A member trained alone, which is cheaper: for controls and mutants."""
    return st.just(Bench(seed=len(SEEDS), **changes))


ADAPTS = Hypothesis("biases adapt", lambda case: float(case.step == 0))
IN_BAND = Hypothesis("ceiling in [f, 2f]", lambda case: max(0.0, case.ratio - 2, 1 - case.ratio))


def _eightfold(m: int, groups: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
    return _ceilings(m, groups, (8 * high).clamp_max(1.0), (8 * low).clamp_max(1.0))


_ceilings = bias_control.ceilings


def eightfold(**changes: Any) -> Mutant:
    """All ceilings eight times too high, shown on one member."""
    return Mutant("eight times the ceilings", bias_control.ceilings, _eightfold, one(**changes))


LENIENT = Mutant(
    "found at cos .5 for .9", recovered, lambda cosines, level=0.5: float((cosines >= 0.5).double().mean())
)
