"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class InteractionRun(RunFlags):
    """Settings of `python -m experiments interactions`."""

    pairs: int = 4
    """pairs of each kind: interacting and frequent, frequent, interacting; also those of AND and XOR"""
    free: int = 8
    """features outside pairs"""
    d: int = 64
    """dimensions"""
    k: int = 3
    """features a sample, and k of the SAEs"""
    each: float = 0.06
    """how often a sample is made of a given frequent pair"""
    ranks: tuple[int, ...] = (2, 4, 8, 16, 32)
    """columns R2 of the sweep"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=3000, batch=256, lr=3e-3, k_start=8.0))
    """training; k falls from k_start over the first half, and "k fixed" arms go without"""
    samples: int = 20_000
    """samples behind each score"""
    seeds: int = 8
    """members of each stack, which differ in initial weights"""

    least_seeds = 2
    positive = ("pairs", "free", "d", "k", "samples")

    @property
    def n_true(self) -> int:
        """Features of the world of pairs."""
        return 6 * self.pairs + self.free

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        least = self.n_true + 2 * self.pairs
        must(self.d >= least, "--d", f"at least {least}, features and products", self.d, "raise it or lower --pairs")
        must(2 <= self.k <= self.free + 2, "--k", f"in [2, free + 2 = {self.free + 2}]", self.k, "change it")
        sure = 2 * self.pairs * self.each
        must(self.each > 0 and sure <= 1, "--each", f"above 0, at most {0.5 / self.pairs:g}", self.each, "change it")
        start = self.train.k_start
        falls = isinstance(start, int | float) and self.k < start <= self.n_true
        must(falls, "--train.k-start", f"in (k, {self.n_true}]", start, "change it")
        good = self.ranks and min(self.ranks) >= 1 and max(self.ranks) <= self.n_true
        must(good, "--ranks", f"in [1, {self.n_true}]", self.ranks, "U has a column a latent at most")
        needed = {2 * self.pairs, 4 * self.pairs}
        must(
            needed <= set(self.ranks), "--ranks", f"with {sorted(needed)}, 1 and 2 columns a product", self.ranks, "add"
        )


FLAGS = {"interactions": InteractionRun}
