"""Small trained stacks that the claims of bias adaptation measure."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from proofs_check.claim import Hypothesis, Mutant, edited
from proofs_check.instances.stack import Member, Settings, Stack, training
from workbench.metrics import recall
from workbench.parts import bias_control


@dataclass(frozen=True)
class Bench(Member):
    """One member of a stack of group bias adaptation on a small world; `ratio` is the lowest ceiling over f = s/n."""

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
    world_seed: int = 0
    steps: int = 500
    lr: float = 6e-3

    @property
    def f(self) -> float:
        """Frequency of a feature, of the frequent ones where there are two."""
        return self.s / self.n

    @property
    def place(self) -> tuple[str, Settings]:
        """Where its samples come from: a world and its knobs."""
        size: Settings = (("n_true", self.n), ("d", self.d))
        size += (("seed", self.world_seed),) if self.world_seed else ()
        if self.rare < 1:
            return "two_frequencies", (*size, ("high", self.f), ("low", self.f * self.rare))
        if self.rho_2 is not None:
            return "planted", (*size, ("s", self.s), ("rho_2", self.rho_2))
        return "uniform", (*size, ("s", self.s))

    @property
    def variant(self) -> tuple[str, Settings]:
        """What is trained, and its settings."""
        if self.topk:
            return "topk", (("k", self.topk),)
        if self.l1:
            return "relu", (("l1", self.l1),)
        low = self.ratio * self.f
        ceilings = (("groups", self.groups), ("low", low), ("high", self.top or low))
        moves = (("down", self.step), ("up", self.step), ("period", self.period))
        return "group_bias_adaptation", (*ceilings, *moves, ("output", self.output), ("control", self.control))

    @property
    def stack(self) -> Stack:
        """The stack it is one of."""
        plain: dict[str, Any] = {"warm_up": 0.0, "decay": 0.0, "clip": None, "centre": False, "normalise": False}
        train = training(self.steps, 128, self.lr, **plain)
        (world, knobs), (variant, settings) = self.place, self.variant
        of = {"world": world, "knobs": knobs, "variant": variant, "settings": settings}
        return Stack(**of, m=self.m, train=train, seeds=self.seeds, draw=self.draw)

    @property
    def cosines(self) -> Tensor:
        """Of each feature, with the latent nearest to it."""
        return recall.best(self.evidence.geometry, self.evidence.truth.symmetries)

    @property
    def frr(self) -> float:
        """FRR(.9)."""
        return recovered(self.cosines)


def recovered(cosines: Tensor, level: float = 0.9) -> float:
    """Share of features with cos >= level."""
    return float((cosines >= level).double().mean())


ADAPTS = Hypothesis("biases adapt", lambda case: float(case.step == 0))
IN_BAND = Hypothesis("ceiling in [f, 2f]", lambda case: max(0.0, case.ratio - 2, 1 - case.ratio))


def eightfold(**changes: Any) -> Mutant:
    """All ceilings eight times too high, shown on one member."""

    def loud(ceilings: Any) -> Any:
        return lambda m, groups, high, low: ceilings(m, groups, (8 * high).clamp_max(1.0), (8 * low).clamp_max(1.0))

    return edited("eight times the ceilings", bias_control.ceilings, loud, Bench.alone(**changes))


LENIENT = Mutant(
    "found at cos .5 for .9", recovered, lambda cosines, level=0.5: float((cosines >= 0.5).double().mean())
)
