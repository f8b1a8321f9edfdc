"""Settings of the studies, light enough for --help."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from synthetic.base.errors import must
from workbench.study.flags import TrainFlags
from workbench.training.config import TrainConfig

Map = Literal["frequency", "width", "partners", "groups"]
RATIOS = tuple(round(2 ** (i / 2 - 2), 3) for i in range(12))
"""p / f from 1/4 to 11"""
D = (12, 16, 20, 24, 32, 48, 64, 128)
ROW = (24, 32, 40, 56, 80, 128)
"""dimensions of the row at four times the features"""
SIZES = (32, 64, 128, 256)
"""n_true of the map of partners"""
PLAIN: Mapping[str, Any] = {"warm_up": 0.0, "decay": 0.0, "clip": None, "centre": False, "normalise": False}
"""training of bias adaptation: Adam at a constant rate, on samples as they are"""


def training(steps: int, batch: int, lr: float) -> TrainConfig:
    """Plain training."""
    return TrainConfig(steps=steps, batch=batch, lr=lr, **PLAIN)


def middle(ratios: Sequence[float | int]) -> float:
    """The p / f nearest 1.41, at which sizes are compared."""
    return min(ratios, key=lambda r: abs(math.log(r / 1.41)))


@dataclass(frozen=True)
class BiasPhase(TrainFlags):
    """Settings of `python -m experiments bias_phase`."""

    maps: tuple[Map, ...] = ("frequency",)
    """which maps"""
    n_true: int = 128
    """features"""
    s: int = 3
    """features a sample, but 4 in the map of partners"""
    m: float = 2.0
    """latents over features, where that is not what varies"""
    train: TrainConfig = field(default_factory=lambda: training(3000, 256, 3e-3))
    """training"""
    gamma: float = 0.03
    """share by which biases fall and rise"""
    period: int = 10
    """steps between adaptations"""
    output: Literal["jump", "relu"] = "jump"
    """what a firing latent passes on"""
    over: Literal["weights", "worlds"] = "worlds"
    """what seeds differ in: world, samples and weights together, or initial weights alone"""
    ratios: tuple[float, ...] = RATIOS
    """p / f"""
    d: tuple[int, ...] = D
    """dimensions of the map of frequencies"""
    row: tuple[int, ...] = ROW
    """dimensions of its row at 4 n_true; none for no row"""

    adds = ("seeds", "maps", "d", "row")
    positive = ("n_true", "s", "period")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.gamma >= 0, "--gamma", "at least 0", self.gamma, "use 0 for biases that stay")
        must(self.maps, "--maps", "at least one map", self.maps, "name one")
        must(self.s <= self.n_true, "--s", f"at most n_true={self.n_true}", self.s, "lower it")
        must(self.m * self.n_true >= 1, "--m", "latents over features, above 0", self.m, "raise it")
        good = self.ratios and min(self.ratios) > 0 and max(self.ratios) * self.s <= self.n_true
        must(good, "--ratios", f"in (0, n_true/s={self.n_true / self.s:.4g}]", self.ratios, "a rate is at most 1")
        fits = "partners" not in self.maps or middle(self.ratios) * 4 <= min(SIZES)
        must(fits, "--ratios", "at most 8 nearest 1.41, for the map of partners", self.ratios, "add one near 1.41")
        least = min((*self.d, *self.row), default=0)
        must(self.d and least >= 2, "--d, --row", "dimensions of at least 2", least, "raise them")


RANGES = ((1, 0.2, 0.2), (1, 1, 1), (10, 5.5, 0.01), (10, 1.1, 0.01), (3, 2, 0.5), (10, 0.25, 0.005), (10, 5.5, 2))


@dataclass(frozen=True)
class GBA(TrainFlags):
    """Settings of `python -m experiments gba`."""

    ranges: tuple[tuple[int, float, float], ...] = RANGES
    """groups, highest and lowest target rate in units of the features' rate f; one group is BA"""
    k: tuple[int, ...] = (5, 10, 20, 30, 50)
    """k of TopK and BatchTopK"""
    l0: tuple[float, ...] = (0.3, 1.0, 3.0)
    """weights of JumpReLU's penalty"""
    l1: tuple[float, ...] = (1.0, 2.0, 4.0)
    """weights of L1's"""
    n_true: int = 128
    """features"""
    d: tuple[int, int] = (42, 32)
    """dimensions, of samples with 3 or 20 features and with 3"""
    m: tuple[int, int] = (512, 256)
    """latents"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=4000, batch=256, lr=3e-3))
    """training; that of bias adaptation is plain, penalties are in units where E|x|^2 = d"""

    adds = ("seeds", "ranges", "k", "l0", "l1")
    least_seeds = 2
    fixed: ClassVar = {"over": "survival is across weights on one world"}

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.n_true >= 20, "--n-true", "at least 20", self.n_true, "samples hold up to 20 features")
        for name in ("d", "k", "l0", "l1"):
            value = getattr(self, name)
            must(value and min(value) > 0, f"--{name}", "above 0", value, "raise it")
        must(max(self.k) <= min(self.m), "--k", f"at most {min(self.m)}", self.k, "lower k or raise --m")
        for groups, high, low in self.ranges:
            good = 1 <= groups <= min(self.m) and 0 < low <= high <= self.n_true / 11.5
            rule = f"groups from 1 to {min(self.m)}, then 0 < low <= high <= {self.n_true / 11.5:.3g}"
            must(good, "--ranges", rule, (groups, high, low), "rates are at most 1")
        both = {groups > 1 for groups, _, _ in self.ranges}
        must(both == {True, False}, "--ranges", "of one group and of more", self.ranges, "GBA and BA are compared")


@dataclass(frozen=True)
class Resonance(TrainFlags):
    """Settings of `python -m experiments resonance`."""

    ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
    """target rates p, in units of the features' rate f"""
    n_true: int = 128
    """features of the world"""
    d: int = 32
    """dimensions"""
    s: int = 3
    """features a sample"""
    m: int = 256
    """latents"""
    train: TrainConfig = field(default_factory=lambda: training(3000, 256, 3e-3))
    """training, at a constant rate"""
    gamma: float = 0.03
    """share of its largest pre-activation by which a bias moves"""
    period: int = 10
    """steps between moves of the biases"""

    adds = ("seeds", "ratios")
    positive = ("n_true", "d", "s", "m", "period")

    @property
    def rate(self) -> float:
        """How often each feature fires, f."""
        return self.s / self.n_true

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.s <= self.n_true, "--s", f"at most n_true={self.n_true}", self.s, "lower it")
        must(self.gamma >= 0, "--gamma", "at least 0", self.gamma, "use 0 for biases that stay")
        most = 1 / self.rate
        fits = self.ratios and min(self.ratios) > 0 and max(self.ratios) <= most
        must(fits, "--ratios", f"above 0 and at most {most:g}", self.ratios, "a rate p is at most 1")


FLAGS = {"bias_phase": BiasPhase, "gba": GBA, "resonance": Resonance}
