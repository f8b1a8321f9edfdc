"""Noise laws as nodes, polynomials of latents, and designs of actions: what the claims on interventions are about."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory


@lru_cache
def hermite(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of N(0, 1), exact for polynomials of degree below 2 count."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return torch.tensor(nodes), torch.tensor(weights / weights.sum())


@lru_cache
def legendre(count: int, low: float = -1.0, high: float = 1.0) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the uniform law on [low, high]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.tensor((high - low) / 2 * nodes + (high + low) / 2), torch.tensor(weights / 2)


@dataclass(frozen=True)
class Noise:
    """A law of one latent's noise nu, of mean 0 unless skewed."""

    law: str = "gaussian"
    size: float = 1.0
    """standard deviation; half the width of the uniform law"""

    @cached_property
    def nodes(self) -> tuple[Tensor, Tensor]:
        """Values and their weights."""
        match self.law:
            case "gaussian":
                values, weights = hermite(24)
            case "uniform":
                values, weights = legendre(24)
            case "skewed":
                values, weights = torch.tensor([-0.5, 2.0]).double(), torch.tensor([0.8, 0.2]).double()
            case _:
                values, weights = torch.zeros(1).double(), torch.ones(1).double()
        return self.size * values, weights

    def moments(self, count: int) -> list[float]:
        """E nu^j for j < count."""
        values, weights = self.nodes
        return [float(weights @ values**j) for j in range(count)]


@dataclass(frozen=True)
class Line:
    """kappa(h) = sum_j c_j h^j + cosine cos h, h = M a + nu, of degree 2 or more; and the a that are seen."""

    coefficients: tuple[float, ...]
    effect: float
    reach: float
    """|M| is said to be at least this"""
    noise: Noise
    cosine: float = 0.0
    values: tuple[float, ...] = ()
    """of a; by default the extrema of Chebyshev's polynomial"""

    @property
    def degree(self) -> int:
        """D."""
        return len(self.coefficients) - 1

    @property
    def seen(self) -> Tensor:
        """Actions."""
        points = self.values or tuple(math.cos(math.pi * j / self.degree) for j in range(self.degree + 1))
        return torch.tensor(points, dtype=torch.float64)

    def kappa(self, h: Tensor) -> Tensor:
        """The encoder on latents."""
        return sum(c * h**j for j, c in enumerate(self.coefficients)) + self.cosine * h.cos()

    @property
    def conditional(self) -> Tensor:
        """E[kappa | a] at the actions seen."""
        nu, weights = self.noise.nodes
        return self.kappa(self.effect * self.seen[:, None] + nu) @ weights

    @property
    def size(self) -> float:
        """Of kappa's terms."""
        nu, _ = self.noise.nodes
        largest = float((abs(self.effect) * self.seen.abs()[:, None] + nu.abs()).max())
        return 1.0 + abs(self.cosine) + sum(abs(c) * largest**j for j, c in enumerate(self.coefficients))

    @property
    def deviation(self) -> float:
        """Largest |E[kappa | a] - W a - alpha|, fitted with half weight at the ends."""
        basis = torch.stack((torch.ones_like(self.seen), self.seen), 1)
        weights = torch.ones(len(self.seen), 1, dtype=torch.float64)
        weights[[0, -1]] = 0.5
        fit = torch.linalg.lstsq(basis * weights.sqrt(), self.conditional[:, None] * weights.sqrt(), driver="gelsd")
        return float((self.conditional[:, None] - basis @ fit.solution).abs().max())


@st.composite
def lines(draw, effect: Any = None, law: str = "", **changes: Any):
    """Degree 2 to 5, any noise."""
    degree = draw(st.integers(2, 5))
    c = draw(st.lists(st.integers(-3, 3).map(float) | numbers(-3, 3), min_size=degree, max_size=degree))
    top = draw(st.sampled_from([1.0, -0.5]) | numbers(0.1, 2))
    noise = Noise(law or draw(st.sampled_from(["gaussian", "uniform", "skewed", "none"])), draw(numbers(0.1, 1.5)))
    reach = draw(numbers(0.2, 1.5))
    moved = draw(st.sampled_from([1.0, -1.0])) * reach * draw(st.just(1.0) | numbers(1, 2))
    return Line((*c, top), moved if effect is None else effect, reach, noise, **changes)


@st.composite
def chebyshev(draw):
    """kappa whose conditional mean is Chebyshev's polynomial."""
    degree, reach, size = draw(st.integers(2, 5)), draw(numbers(0.2, 1.5)), draw(numbers(0.1, 1.0))
    wanted = np.polynomial.chebyshev.cheb2poly([0.0] * degree + [1.0])
    back = theory.smoothed({(j,): float(c) / reach**j for j, c in enumerate(wanted)}, [[-(size**2)]])
    return Line(tuple(back.get((j,), 0.0) for j in range(degree + 1)), reach, reach, Noise("gaussian", size))


@dataclass(frozen=True)
class Smoothed:
    """A polynomial of n latents at one point m under noise of covariance S, or what is said to be so."""

    kappa: Mapping[tuple[int, ...], float]
    root: tuple[tuple[float, ...], ...]
    """lower triangle with S = root root^T"""
    at: tuple[float, ...]
    law: str = "gaussian"
    factor: float = 1.0
    """of the noise that is drawn, 1 for covariance S"""
    covariance: list[list[float]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        root = torch.tensor(self.root, dtype=torch.float64)
        object.__setattr__(self, "covariance", (root @ root.T).tolist())

    def value(self, kappa: Mapping[tuple[int, ...], float], points: Tensor) -> Tensor:
        """A polynomial at points (n_points, n)."""
        terms = [c * math.prod(points[:, i] ** p for i, p in enumerate(powers)) for powers, c in kappa.items()]
        return torch.stack([torch.as_tensor(t).expand(len(points)) for t in terms]).sum(0)

    @cached_property
    def points(self) -> tuple[Tensor, Tensor]:
        """Values of m + nu and their weights."""
        n = len(self.at)
        one, weights = hermite(64 if n == 1 else 12) if self.law == "gaussian" else legendre(24)
        one = one if self.law == "gaussian" else 3**0.5 * one
        grid = torch.cartesian_prod(*[one] * n).view(-1, n)
        weight = torch.cartesian_prod(*[weights] * n).view(-1, n).prod(1)
        root = torch.tensor(self.root, dtype=torch.float64)
        return torch.tensor(self.at, dtype=torch.float64) + self.factor * grid @ root.T, weight

    @property
    def off_normal(self) -> float:
        """Distance of E z⁴ / (E z²)² from the 3 of a normal law, beyond round-off, of the noise's coordinates z."""
        points, weights = self.points
        root = torch.tensor(self.root, dtype=torch.float64)
        z = torch.linalg.solve_triangular(root, (points - torch.tensor(self.at, dtype=torch.float64)).T, upper=False)
        return max(0.0, float(((z**4 @ weights) / (z**2 @ weights) ** 2 - 3).abs().max()) - 1e-9)

    @property
    def mean(self) -> float:
        """E kappa(m + nu) by quadrature."""
        points, weights = self.points
        return float(self.value(self.kappa, points) @ weights)

    @property
    def size(self) -> float:
        """Of kappa's terms."""
        points, weights = self.points
        above = {powers: abs(c) for powers, c in self.kappa.items()}
        return 1.0 + float(self.value(above, points.abs()) @ weights)


@st.composite
def smoothings(draw, n: tuple[int, int] = (1, 2), least: int = 0, **changes: Any):
    """Degree at most 6 (n = 1) or 4, correlated noise."""
    count = draw(st.integers(*n))
    powers = [p for p in itertools.product(range(7), repeat=count) if least <= sum(p) <= (6 if count == 1 else 4)]
    chosen = draw(st.lists(st.sampled_from(powers), min_size=1, max_size=5, unique=True))
    kappa = {p: draw(st.sampled_from([1.0, -2.0, 0.5]) | numbers(0.1, 3)) for p in chosen}
    first, cross, second = draw(numbers(0.3, 1.5)), draw(numbers(-1, 1)), draw(numbers(0.3, 1.5))
    root = ((first,),) if count == 1 else ((first, 0.0), (cross, second))
    return Smoothed(kappa, root, tuple(draw(numbers(-2, 2)) for _ in range(count)), **changes)


MOVES = Hypothesis("a moves h: |M| ≥ r > 0", lambda case: max(0.0, case.reach - abs(case.effect)))
POLYNOMIAL = Hypothesis("κ a polynomial", lambda case: abs(case.cosine))
RANGE = Hypothesis("more than D values of a", lambda case: max(0, case.degree + 1 - len(case.seen)))
