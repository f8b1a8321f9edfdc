"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class Attention(RunFlags):
    """Settings of `python -m experiments attention`."""

    n_true: tuple[int, ...] = (32, 64, 128, 256)
    """features, where directions and writers are scored"""
    condition: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)
    """cond(W_O)"""
    base: int = 64
    """features where n_true does not vary, and where heads are ablated"""
    split: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """shares of features that two heads write, where roles are read"""
    owned: tuple[int, ...] = (8, 16, 32)
    """features of a head's own role; dictionaries are trained for the middle one"""
    heads: int = 8
    """heads"""
    d_head: int = 8
    """their width"""
    active: float = 2.0
    """features present at a source, on average"""
    k: int = 4
    """active latents of TopK; with two sources a head about 3.7 features are active"""
    l1: float = 1.0
    """penalty of ReLU"""
    latents: int = 2
    """latents a feature"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=600, batch=256, lr=5e-3))
    """training; each seed has a world, weights and samples of its own"""

    adds = ("seeds", "n_true", "split")
    least_seeds = 2
    positive = ("d_head", "k", "latents")

    @property
    def middle(self) -> int:
        """The number of features of a head's own role that is looked at most closely."""
        return self.owned[len(self.owned) // 2]

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        least = min((self.base, *self.n_true, *(n * self.heads for n in self.owned)))
        pairs = self.heads >= 6 and self.heads % 2 == 0
        must(pairs, "--heads", "even, at least 6", self.heads, "three of a pattern write a feature")
        must(least >= self.heads, "--n-true", f"at least {self.heads}, one a head", least, "raise it or --base")
        must(self.base in self.n_true, "--base", f"one of --n-true {self.n_true}", self.base, "add it there")
        must(self.k <= self.latents * least, "--k", f"at most {self.latents * least} latents", self.k, "lower it")
        rotates = self.condition[:1] == (1,) and min(self.condition) >= 1
        must(rotates, "--condition", "1 first, none below", self.condition, "compare with a rotation")
        shares = self.split[:1] == (0,) and min(self.split) >= 0 and max(self.split) <= 1
        must(shares, "--split", "0 first, none above 1", self.split, "a share of the features")
        must(self.owned, "--owned", "one or more", "none", "name some")
        must(self.l1 >= 0, "--l1", "at least 0", self.l1, "raise it")
        must(0 < self.active <= least, "--active", f"in (0, {least}]", self.active, "the rate is active / n_true")


FLAGS = {"attention": Attention}
