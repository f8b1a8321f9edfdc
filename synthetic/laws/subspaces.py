"""Features of several dimensions: groups of axes that fire together in a random direction, circles for instance."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from synthetic.base.annotations import Count
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.directions import Rows, gaussian
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, random_sets
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class Subspaces(Firing):
    """Groups of `dim` consecutive axes, of which k fire: h = r u there, u uniform on the sphere of R^dim.

    r is the magnitude of the group's first axis; constant magnitudes give circles (dim 2) and spheres. With R the rate
    of a group, E[h_i] = 0, E[h_i^2] = R E[r^2] / dim, and E[h_i h_j] = 0 for any two axes. Any rotation inside a group
    leaves the law of x alone, so single axes cannot be learnt: a group's span can.

    Source: multi-dimensional features, Engels et al. (2024), arXiv 2405.14860; this law is ours.
    """

    dim: Count = 2
    k: int = 1

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        must(
            n_true % self.dim == 0, "Subspaces.dim", f"a divisor of n_true={n_true}", self.dim, "change one of the two"
        )
        groups = n_true // self.dim
        must(1 <= self.k <= groups, "Subspaces.k", f"in [1, n_true/dim={groups}]", self.k, "lower k or add features")
        return {"requested": torch.full((n_true,), self.k / groups, dtype=torch.float64)}

    def structure(self, n_true: int) -> dict[str, Any]:
        """The group of each axis."""
        return {"subspaces": torch.arange(n_true) // self.dim}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """One radius and one direction a group."""
        groups = random_sets(len(drawn["requested"]) // self.dim, self.k, n, rng).flatten()
        radius = draw(groups * self.dim)
        towards = torch.randn(len(groups), self.dim, generator=rng, device=rng.device)
        towards = towards / towards.norm(dim=1, keepdim=True)
        features = groups[:, None] * self.dim + torch.arange(self.dim, device=rng.device)
        rows = torch.arange(n, device=rng.device).repeat_interleave(self.k * self.dim)
        return rows, features.flatten(), (radius[:, None] * towards).flatten()

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Axes of a group fire together and are uncorrelated, which is all that `blocks` has to tell apart."""
        rates, dim, k = drawn["requested"], self.dim, self.k
        first = torch.arange(len(rates)) // dim * dim
        positive, square = law.positive[first], rates * law.square[first] / dim
        groups = len(rates) // dim
        apart = k * (k - 1) / max(groups * (groups - 1), 1)

        def cofiring(index: Tensor) -> Tensor:
            same = first[index][:, None] == first[index]
            return torch.where(same, (rates * positive)[index], apart * torch.outer(positive[index], positive[index]))

        return Statistics(
            rates * positive, torch.zeros_like(rates), square, cofiring, lambda index: torch.diag(square[index])
        )

    def scaled(self, factor: float) -> "Subspaces":
        """K times the factor, rounded, at least 1."""
        return replace(self, k=max(1, round(self.k * factor)))


@knob
@dataclass(frozen=True)
class RandomFrames:
    """Groups of `dim` consecutive orthonormal rows, each group's span uniformly random. Source: standard."""

    dim: int = 2

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        fits = self.dim >= 1 and n % self.dim == 0
        must(fits, "RandomFrames.dim", f"a divisor of n_true={n}", self.dim, "change one of the two")
        must(self.dim <= d, "RandomFrames.dim", f"at most d={d}", self.dim, "raise d")
        columns = gaussian(n * d // self.dim, self.dim, rng).view(-1, d, self.dim)
        return torch.linalg.qr(columns).Q.mT.reshape(n, d)
