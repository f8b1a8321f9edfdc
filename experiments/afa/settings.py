"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field
from pathlib import Path

from synthetic.base.errors import must, pick
from workbench.study.flags import RunFlags, TrainFlags
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class Bounds(RunFlags):
    """Settings of `python -m experiments afa_bounds`."""

    d: int = 64
    """dimension of the ladder"""
    n: int = 256
    """rows of the ladder's random dictionary"""
    k: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    """active rows"""
    samples: int = 400
    """codes a dictionary"""
    steps: int = 2000
    """steps of the optimiser"""
    dims: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    """dimensions of the average case"""

    positive = ("d", "n", "samples", "steps", "dims")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.k and min(self.k) >= 2, "--k", "whole numbers from 2", self.k, "one active row has no interference")
        must(max(self.k) <= self.n, "--k", f"at most n={self.n}", max(self.k), "lower k or raise n")


@dataclass(frozen=True)
class Rule(RunFlags):
    """Settings of `python -m experiments top_afa_rule`."""

    dims: tuple[int, ...] = (64, 256, 1024)
    """dimensions of the exact count"""
    k: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32)
    """entries of a true code, K"""
    samples: int = 400
    """codes, inputs or samples a point"""
    d: int = 64
    """dimension of the starting SAE"""
    m: int = 1024
    """its latents"""

    positive = ("samples", "d", "m", "dims")

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench.study.panels import MOST_LINES

        must(
            self.k and min(self.k) >= 2, "--k", "whole numbers from 2", self.k, "a single entry is always counted right"
        )
        must(len(self.dims) <= MOST_LINES, "--dims", f"up to {MOST_LINES}", self.dims, "they are lines of one panel")


@dataclass(frozen=True)
class TopAFA(TrainFlags):
    """Settings of `python -m experiments top_afa`."""

    afa: tuple[float, ...] = (0.0, 1 / 128, 1 / 32, 1 / 8, 2.0)
    """weights of the norm-matching loss"""
    k: tuple[int, ...] = (2, 4, 8)
    """features that fire on average, K"""
    aux: float = 0.0
    """weight of the dead latents' share in the residual; the reference's is 1/32"""
    n_true: int = 64
    """features of the world, random directions"""
    d: int = 32
    """dimensions"""
    m: int = 128
    """latents"""
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            steps=2500, batch=256, lr=1e-3, warm_up=0.0, decay=0.0, clip=None, centre=False
        )
    )
    """training, at a constant rate"""

    positive = ("n_true", "d", "m")

    @property
    def middle(self) -> int:
        """The K that is looked at most closely."""
        return self.k[len(self.k) // 2]

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.aux >= 0, "--aux", "at least 0", self.aux, "use 0 for none")
        must(self.afa and min(self.afa) >= 0, "--afa", "weights of at least 0", self.afa, "drop the negative ones")
        fits = self.k and min(self.k) >= 1 and max(self.k) <= min(self.n_true, self.m)
        must(fits, "--k", f"from 1 to {min(self.n_true, self.m)}", self.k, "change K, n_true or m")


@dataclass(frozen=True)
class Norms(RunFlags):
    """Settings of `python -m experiments zf_plot`."""

    saes: tuple[Path, ...] = ()
    """SAE folders, or run folders of experiments; none trains `variants`"""
    variants: tuple[str, ...] = ("relu", "topk", "batch_topk", "top_afa")
    """what to train"""
    world: str | None = None
    """name or folder of a world; "superposition" for training, a run folder's own for its SAEs"""
    m: int = 128
    """latents of what is trained"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=2000, batch=256))
    """training"""
    samples: int = 2000
    """evaluation samples"""

    adds = ("seeds", "variants")
    positive = ("m",)

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        from workbench import find_source, variant_shelf

        must(self.samples >= 10, "--samples", "at least 10", self.samples, "raise it")
        must(self.saes or self.variants, "--variants", "one or more", "none", "name some, or --saes")
        if self.world is not None or not self.saes:
            find_source(self.world or "superposition")
        for name in self.variants:
            pick(name, variant_shelf(), "--variants")


FLAGS = {"afa_bounds": Bounds, "top_afa_rule": Rule, "top_afa": TopAFA, "zf_plot": Norms}
