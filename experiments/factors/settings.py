"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class Factorise(RunFlags):
    """Settings of `python -m experiments factors`."""

    ratios: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0)
    """entries that winner-take-all keeps, in units of the true number, on D1"""
    cores: tuple[int, ...] = (0, 3, 6, 9, 12, 15)
    """neurons of a family's core, of the 18 of each leaf, on D2"""
    samples: int = 900
    """activations that all methods see"""
    iterations: int = 400
    """rounds of semi-NMF"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=2000, batch=256, lr=3e-3))
    """training of the SAEs, on samples drawn from those seen; seeds are starts of each method"""
    world: int = 0
    """seed of the directions and of the samples"""

    adds = ("seeds", "ratios", "cores")
    least_seeds = 2
    positive = ("iterations",)

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.samples >= 16, "--samples", "at least 16", self.samples, "D2 has 16 factors")
        must(self.world >= 0, "--world", "a seed of at least 0", self.world, "raise it")
        good = self.ratios and min(self.ratios) >= 0.1 and max(self.ratios) <= 12
        must(good, "--ratios", "from 0.1 to 12", self.ratios, "a row has 10 of 120 entries")
        good = self.cores and min(self.cores) >= 0 and max(self.cores) <= 17
        must(good, "--cores", "from 0 to 17", self.cores, "a leaf has 18 neurons, one its own")


FLAGS = {"factors": Factorise}
