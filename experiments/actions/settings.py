"""Settings of the studies, light enough for --help."""

from dataclasses import dataclass, field

from synthetic.base.errors import must
from workbench.study.flags import RunFlags
from workbench.topics.actions.config import AutoencoderConfig


@dataclass(frozen=True)
class Extrapolate(RunFlags):
    """Settings of `python -m experiments interventions`."""

    noise: tuple[float, ...] = (0.05, 0.11, 0.33, 1.0)
    """covariance of the latents' noise over [[.6, .2], [.2, .5]]"""
    zero: tuple[float, ...] = (0.0, 0.2, 0.5)
    """P(h_i = 0)"""
    base: float = 0.11
    """noise where zeros vary, and in the map"""
    samples: int = 20_000
    """training samples"""
    train: AutoencoderConfig = field(default_factory=lambda: AutoencoderConfig(steps=1000, batch=512, lr=5e-3))
    """training of the autoencoders"""

    adds = ("seeds", "noise", "zero")
    least_seeds = 2

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        must(self.noise and min(self.noise) > 0, "--noise", "above 0", self.noise, "its support must be full")
        must(self.base in self.noise, "--base", f"one of the noises {self.noise}", self.base, "add it to --noise")
        must(
            self.zero and self.zero[0] == 0 and max(self.zero) < 1, "--zero", "0 first, below 1", self.zero, "change it"
        )
        must(self.samples >= 1000, "--samples", "at least 1000", self.samples, "raise it")


FLAGS = {"interventions": Extrapolate}
