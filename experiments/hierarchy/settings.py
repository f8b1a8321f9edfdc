"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field
from typing import Literal

from synthetic.base.errors import must
from workbench.study.flags import TrainFlags
from workbench.training.config import TrainConfig

Part = Literal["tree", "absorption", "crowded", "graph"]


def training(steps: int, batch: int) -> TrainConfig:
    """As the authors have it, with a short warm-up."""
    warm_up, plain = min(0.2, 100 / steps), {"centre": False, "normalise": False}
    return TrainConfig(steps=steps, batch=batch, lr=3e-2, betas=(0.5, 0.9375), warm_up=warm_up, **plain)


@dataclass(frozen=True)
class Hierarchy(TrainFlags):
    """Settings of `python -m experiments hierarchy`."""

    parts: tuple[Part, ...] = ("tree", "absorption", "crowded", "graph")
    """which worlds"""
    rho: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9)
    """cosines of siblings in the tree"""
    child_mean: tuple[float, ...] = (0.1, 0.5, 1.0)
    """mean magnitudes of children in the part on absorption, where parents' is 1"""
    g: tuple[float, ...] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """cosines of siblings with the true rows"""
    l1: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    """penalties of ReLU; the one of nearest L0 counts"""
    most: int = 6
    """most steps of the MP that stops by itself; the authors allow d"""
    tol: float = 0.05
    """residual at which it stops"""
    train: TrainConfig = field(default_factory=lambda: training(2000, 200))
    """training; the authors take 15,000 steps"""
    samples: int = 5000
    """samples of an evaluation"""

    adds = ("seeds", "parts", "rho", "child_mean", "g")
    least_seeds = 2
    positive = ("most", "samples")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.tol >= 0, "--tol", "at least 0", self.tol, "use 0 for no tolerance")
        must(self.parts, "--parts", "at least one", self.parts, "name one")
        must(self.l1 and min(self.l1) >= 0, "--l1", "numbers of at least 0", self.l1, "give ReLU a penalty")
        must(self.child_mean and min(self.child_mean) > 0, "--child-mean", "above 0", self.child_mean, "raise them")
        for name in ("rho", "g"):
            given = getattr(self, name)
            fits = given and min(given) >= 0 and max(given) < 1
            must(fits, f"--{name}", "cosines in [0, 1)", given, "siblings must differ")


FLAGS = {"hierarchy": Hierarchy}
