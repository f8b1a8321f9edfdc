"""Encoders that sparse noise cannot tell from affine ones: kappa(h) = h + e delta(h), solved for on [-1, 1]."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from proofs_check.claims.actions.cases import legendre

TERMS = 3
FAR = 15.0


def bell(gap: Tensor, deviation: float) -> Tensor:
    """Density of N(0, deviation²)."""
    return (-(gap**2) / (2 * deviation**2)).exp() / (deviation * (2 * torch.pi) ** 0.5)


def tails(h: Tensor) -> tuple[Tensor, Tensor]:
    """(h - 1)^k exp(1 - h) for h >= 1, k = 0, 1, 2 along the last axis, and their slopes."""
    over, k = (h - 1)[..., None], torch.arange(TERMS)
    fall = (-over).exp()
    return over**k * fall, (k * over ** (k - 1).clamp_min(0) - over**k) * fall


@lru_cache
def beyond(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the integral over [1, FAR], a piece a unit."""
    pieces = [legendre(count, low, low + 1) for low in torch.arange(1.0, FAR).tolist()]
    return torch.cat([nodes for nodes, _ in pieces]), torch.cat([weights for _, weights in pieces])


@dataclass(frozen=True)
class Atom:
    """nu is 0 with chance `atom`, else N(0, deviation²); h = a + nu. `drawn` and `reach` are what the data have."""

    atom: float
    deviation: float
    share: float = 0.5
    """e over the largest that leaves kappa increasing"""
    drawn: float | None = None
    """chance of nu = 0; None for `atom`"""
    reach: float = 1.0
    """actions seen are in [-reach, reach]"""

    @property
    def present(self) -> float:
        """Chance of nu = 0 in the data."""
        return self.atom if self.drawn is None else self.drawn

    def _from_outside(self, a: Tensor, count: int = 24) -> Tensor:
        """Integral of bell(h - a) times each odd tail, over |h| > 1: (n_actions, TERMS)."""
        h, weights = beyond(count)
        near = bell(a[:, None] - h, self.deviation) - bell(a[:, None] + h, self.deviation)
        return (near * weights) @ tails(h)[0]

    @cached_property
    def solution(self) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes in [-1, 1], weights with sum 2, each tail's delta there."""
        nodes, weights = legendre(24)
        return nodes, 2 * weights, solved(self, nodes, 2 * weights)

    def _inside(self, a: Tensor) -> Tensor:
        """Each tail's delta on [-1, 1] by its own equation."""
        nodes, weights, known = self.solution
        within = (bell(a[:, None] - nodes, self.deviation) * weights) @ known
        return -(1 - self.atom) / self.atom * (self._from_outside(a) + within)

    @cached_property
    def mixed(self) -> Tensor:
        """Weights of the tails that make delta and its slope continuous at 1."""
        step = 1e-5
        below, at, above = self._inside(torch.tensor([1 - step, 1, 1 + step], dtype=torch.float64))
        over, slope = (side[0] for side in tails(torch.ones(1, dtype=torch.float64)))
        found = torch.linalg.cross(at - over, (above - below) / (2 * step) - slope)
        return found / found.abs().max()

    def delta(self, h: Tensor) -> Tensor:
        """Odd, on all of R."""
        values, within = torch.empty_like(h), h.abs() <= 1
        values[within] = self._inside(h[within]) @ self.mixed
        values[~within] = h[~within].sign() * (tails(h[~within].abs())[0] @ self.mixed)
        return values

    @property
    def size(self) -> float:
        """e."""
        return -self.share / least_slope(self)

    def conditional(self, a: Tensor) -> Tensor:
        """E[delta | a] under the noise drawn, by quadrature finer than that of the solution."""
        nodes, weights = legendre(40)
        inside = (bell(a[:, None] - nodes, self.deviation) * 2 * weights) @ self.delta(nodes)
        outside = self._from_outside(a, 40) @ self.mixed
        return self.present * self.delta(a) + (1 - self.present) * (inside + outside)

    @property
    def unexplained(self) -> float:
        """Share of kappa's variance that no affine map of h explains, a uniform on [-1, 1]."""
        (inner, inner_weights), (outer, outer_weights), (a, chances) = legendre(40), beyond(24), legendre(40)
        h, weights = torch.cat((inner, outer, -outer)), torch.cat((2 * inner_weights, outer_weights, outer_weights))
        spread = (1 - self.atom) * weights * (chances @ bell(a[:, None] - h, self.deviation))
        h, chance = torch.cat((h, a)), torch.cat((spread, self.atom * chances))
        kappa = h + self.size * self.delta(h)  # odd: no means
        return float(1 - (chance @ (h * kappa)) ** 2 / ((chance @ h**2) * (chance @ kappa**2)))


def solved(case: Atom, nodes: Tensor, weights: Tensor) -> Tensor:
    """Each tail's delta at nodes of [-1, 1]: p delta + (1 - p) integral of bell delta = 0 there."""
    kernel = bell(nodes[:, None] - nodes, case.deviation) * weights
    operator = case.atom * torch.eye(len(nodes), dtype=torch.float64) + (1 - case.atom) * kernel
    return torch.linalg.solve(operator, -(1 - case.atom) * case._from_outside(nodes))


@lru_cache
def least_slope(case: Atom) -> float:
    """Of delta, on a grid of differences; below 0, since delta falls in its tails."""
    h = torch.cat((torch.linspace(0, 1, 60), torch.linspace(1, FAR, 1500)[1:])).double()
    return float((case.delta(h).diff() / h.diff()).min())
