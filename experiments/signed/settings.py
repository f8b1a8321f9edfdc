"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from synthetic.base.errors import must
from workbench.study.flags import TrainFlags
from workbench.training.config import TrainConfig

Part = Literal["signed", "unipolar", "pairs", "mixed"]


@dataclass(frozen=True)
class Bidirectional(TrainFlags):
    """Settings of `python -m experiments bidirectional`."""

    parts: tuple[Part, ...] = ("signed", "unipolar", "pairs", "mixed")
    """which worlds"""
    q: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
    """shares of signed axes"""
    p_plus: tuple[float, ...] = (0.5, 0.7, 0.9)
    """probabilities that a signed axis fires with its positive sign"""
    n_true: int = 24
    """axes"""
    d: int = 32
    """dimensions"""
    k: int = 3
    """axes a sample, and latents of all arms but ReLU"""
    pairs: int = 6
    """exclusive pairs, each an axis"""
    l1: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8)
    """penalties of ReLU; the one of nearest L0 counts"""
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(steps=2000, batch=256, lr=5e-3, warm_up=0.05, centre=False, normalise=False)
    )
    """training; b_dec starts at E[x] where it is free"""
    samples: int = 5000
    """samples of an evaluation"""
    seeds: int = 10
    """members of each stack, which differ in initial weights"""

    adds = ("seeds", "parts", "q", "p_plus")
    least_seeds = 2
    positive = ("d", "k", "pairs", "samples")
    fixed: ClassVar = {"train.centre": "b_dec starts at E[x] where it is free"}

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.n_true >= 2, "--n-true", "at least 2", self.n_true, "raise it")
        must(self.k <= self.n_true, "--k", f"at most n_true={self.n_true}", self.k, "lower it")
        must(self.parts, "--parts", "at least one", self.parts, "name one")
        must(self.l1 and min(self.l1) >= 0, "--l1", "numbers of at least 0", self.l1, "give ReLU a penalty")
        rising = len(self.q) >= 2 and sorted(set(self.q)) == list(self.q) and self.q[0] >= 0 and self.q[-1] <= 1
        must(rising, "--q", "two or more shares in [0, 1], ascending", self.q, "a crossing lies between two")
        given = self.p_plus and min(self.p_plus) >= 0 and max(self.p_plus) <= 1
        must(given, "--p-plus", "probabilities", self.p_plus, "give numbers in [0, 1]")


FLAGS = {"bidirectional": Bidirectional}
