"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field
from typing import Literal

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig

Part = Literal["phase", "noise", "trained", "timing"]


@dataclass(frozen=True)
class Pursuit(RunFlags):
    """Settings of `python -m experiments pursuit`."""

    parts: tuple[Part, ...] = ("phase", "noise", "trained", "timing")
    """which parts"""
    inverse: tuple[int, ...] = (2, 4, 6, 8, 10, 14)
    """1/mu of the phase diagram, even: then no support of the worst codes is on the bound"""
    k: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
    """sizes of supports of the phase diagram"""
    samples: int = 200
    """codes of each cell and seed"""
    d: int = 32
    """dimensions of the parts on interference"""
    active: int = 4
    """features that fire in each of their samples"""
    ratios: tuple[int, ...] = (1, 2, 4, 8)
    """n_true / d"""
    steps: tuple[int, ...] = (4, 8, 16)
    """steps of pursuit, and k of TopK"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=1500, batch=256, lr=3e-3))
    """training of each SAE; seeds are of dictionary, codes and weights together"""
    widths: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    """rows of the dictionaries that are timed, in 256 dimensions"""
    repeats: int = 5
    """times each pursuit is timed, in turn"""
    adds = ("seeds", "parts", "inverse", "ratios", "widths")
    positive = ("samples", "d", "active", "repeats", "k", "ratios", "steps", "widths")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.parts, "--parts", "at least one", self.parts, "name one")
        even = self.inverse and min(self.inverse) >= 2 and not any(i % 2 for i in self.inverse)
        must(even and max(self.inverse) <= 16, "--inverse", "even numbers from 2 to 16", self.inverse, "give some")
        must(max(self.k) <= 64, "--k", "at most 64, the dimension", self.k, "lower it")
        must(self.active <= self.d * min(self.ratios), "--active", "at most n_true", self.active, "lower it")
        must(max(self.steps) <= self.d * min(self.ratios), "--steps", "at most n_true", self.steps, "lower it")


FLAGS = {"pursuit": Pursuit}
