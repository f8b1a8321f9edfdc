"""Normal magnitudes, with a mean and a spread for each feature."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.magnitudes import Drawn, Law

Numbers = float | int | tuple[float | int, ...]


@knob
@dataclass(frozen=True)
class Normal:
    """a_i ~ N(mean_i, sd_i^2), not clipped; one number is meant for all features. sd 0 is allowed: a constant.

    Source: the toy hierarchy of Costa et al. (2025), arXiv 2506.03093, has N(1.5, .25^2), negative once in 10^9.
    """

    mean: Numbers = 1.5
    sd: Numbers = 0.25

    def __post_init__(self) -> None:
        must(float(_tensor(self.sd).min()) >= 0, "Normal.sd", "at least 0", self.sd, "give standard deviations")
        means = float(_tensor(self.mean).abs().min())
        must(means > 0, "Normal.mean", "nonzero", self.mean, "a feature of mean 0 is not seen to fire")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Both parameters, one a feature."""
        return {"mean": _spread(self.mean, n_true, "mean"), "sd": _spread(self.sd, n_true, "sd")}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        noise = torch.randn(features.shape, generator=rng, device=features.device)
        return drawn["mean"].float()[features] + drawn["sd"].float()[features] * noise

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        mean, sd = drawn["mean"], drawn["sd"]
        return Law(torch.ones_like(mean), mean, mean**2 + sd**2, mean)


def _tensor(numbers: Numbers) -> Float[Tensor, " k"]:
    return torch.tensor(numbers, dtype=torch.float64, device="cpu").reshape(-1)


def _spread(numbers: Numbers, n_true: int, name: str) -> Float[Tensor, " n_true"]:
    values = _tensor(numbers)
    fits = len(values) in (1, n_true)
    must(fits, f"Normal.{name}", f"one number or n_true={n_true}", len(values), "give one a feature")
    return values.expand(n_true).clone()
