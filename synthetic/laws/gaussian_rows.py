"""Magnitudes that turn uniform directions into rows of independent normals."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class GaussianRows:
    """a_i = value |g_i| / sqrt(d), g_i ~ N(0, I_d) drawn once: with random directions, rows of V are value N(0, I/d).

    Source: the dynamics class of Chen et al. (2025), arXiv 2506.14002, section 6, has such rows and value 1/sqrt(s).
    """

    d: int = 32
    """dimension of the world"""
    value: float = 1.0

    def __post_init__(self) -> None:
        must(self.d >= 1, "GaussianRows.d", "at least 1", self.d, "give the world's d")
        must(self.value > 0, "GaussianRows.value", "above 0", self.value, "give a length")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Lengths of the rows."""
        rows = torch.randn(n_true, self.d, generator=rng, dtype=torch.float64)
        return {"length": self.value * rows.norm(dim=1) / self.d**0.5}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return drawn["length"].float()[features]

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        length = drawn["length"]
        return Law(torch.ones_like(length), length, length**2, length)
