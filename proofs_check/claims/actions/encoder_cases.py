"""Encoders of one latent in the population, and small samples of codes: what the claims on moments are about."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import digits
from proofs_check.claims.actions.cases import Noise, legendre
from proofs_check.instances.draw import numbers, rows_of
from workbench.topics.actions import mmr as restriction


@dataclass(frozen=True)
class Encoder:
    """kappa = t (h + c h² + e sin(pi h)), h = M a + nu, a uniform on [-1, 1] or one of its ends; a kernel's width s."""

    curvature: float = 0.0
    effect: float = 1.0
    noise: Noise = field(default_factory=Noise)
    width: float = 1.0
    scale: float = 1.0
    sine: float = 0.0
    kernel: str = "gaussian"
    ends: bool = False

    @property
    def nontrivial(self) -> bool:
        """It is curved, and latents are noisy."""
        return self.curvature != 0 and self.noise.law != "none"

    @cached_property
    def table(self) -> tuple[Tensor, ...]:
        """Actions, their weights; latents and codes of each action and noise, and the chances of the noise."""
        a, weights = (torch.tensor([-1.0, 1.0]).double(), torch.full((2,), 0.5).double()) if self.ends else legendre(40)
        nu, chances = self.noise.nodes
        h = self.effect * a[:, None] + nu
        return a, weights, h, self.scale * (h + self.curvature * h * h + self.sine * (math.pi * h).sin()), chances

    def mean(self, value: Tensor) -> float:
        """Over actions and noise."""
        _, weights, _, _, chances = self.table
        return float(weights @ value @ chances)

    @property
    def near(self) -> Tensor:
        """The kernel at each pair of actions."""
        a = self.table[0]
        if self.kernel == "linear":
            return a[:, None] * a
        return (-((a[:, None] - a) ** 2) / (2 * self.width**2)).exp()

    @cached_property
    def mmr(self) -> float:
        """Of the best affine fit, in the population."""
        a, weights, _, kappa, chances = self.table
        mean = kappa @ chances
        slope = (weights @ (a * mean)) / (weights @ (a * a))  # E a = 0
        left = weights * (mean - weights @ mean - slope * a)
        return float(left @ self.near @ left)

    @cached_property
    def variance(self) -> float:
        """Of kappa."""
        kappa = self.table[3]
        return self.mean((kappa - self.mean(kappa)) ** 2)


def unexplained(case: Encoder) -> float:
    """Share of kappa's variance that no affine map of h explains."""
    _, _, h, kappa, _ = case.table
    h, kappa = h - case.mean(h), kappa - case.mean(kappa)
    return 1 - case.mean(h * kappa) ** 2 / (case.mean(h * h) * case.variance)


def off_kernel(case: Encoder) -> float:
    """Largest difference of its kernel from the Gaussian one."""
    return float((case.near - replace(case, kernel="gaussian").near).abs().max())


def off_normal(case: Encoder) -> float:
    """Distance of E nu⁴ / (E nu²)² from the 3 of a normal law, beyond round-off."""
    nu, chances = case.noise.nodes
    return max(0.0, float(abs((chances @ nu**4) / (chances @ nu**2) ** 2 - 3)) - 1e-9)


def off_spread(case: Encoder) -> float:
    """Distance of E a² from the third of actions that are uniform on [-1, 1]."""
    a, weights = case.table[:2]
    return float(abs(weights @ (a * a) - 1 / 3))


@dataclass(frozen=True, eq=False)
class Sample:
    """Codes (N, n) and actions (N, q)."""

    codes: Tensor
    actions: Tensor
    width: float
    factors: Tensor
    """of each latent"""

    def __str__(self) -> str:
        return f"codes {digits(self.codes)}, a {digits(self.actions)}, s {self.width:g}, factors {digits(self.factors)}"

    @property
    def scaled(self) -> "Sample":
        """Each latent times its factor."""
        return replace(self, codes=self.codes * self.factors)

    @property
    def left(self) -> Tensor:
        """Residuals of the shipped affine fit on the actions."""
        return restriction.linear_part(self.codes, self.actions)[2]

    @property
    def size(self) -> float:
        """Of the statistic."""
        return float(self.codes.square().sum(1).mean())

    @property
    def spread(self) -> float:
        """Trace of the covariance."""
        return float((self.codes - self.codes.mean(0)).square().sum(1).mean())

    def mmr(self, *, unbiased: bool = False) -> float:
        """As shipped."""
        return float(restriction.mmr(self.left, self.actions, self.width, unbiased=unbiased))

    def relative(self) -> float:
        """As shipped."""
        return float(restriction.relative_mmr(self.codes, self.actions, self.width))

    @property
    def lists(self) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
        """Codes, residuals and actions as the closed forms take them."""
        return self.codes.tolist(), self.left.tolist(), self.actions.tolist()


@st.composite
def samples(draw, uneven=False):
    """A few codes of two latents, one factor for both or not."""
    n, q = draw(st.integers(4, 5)), draw(st.integers(1, 2))
    codes = draw(rows_of(numbers(-3, 3), n, 2))
    codes[-1] = codes[0] + 1  # not all alike
    factor = draw(st.sampled_from([0.5, -1.0, 2.0, 1e-3]) | numbers(0.1, 5))
    factors = torch.tensor([factor, 2 * factor if uneven else factor], dtype=torch.float64)
    return Sample(codes, draw(rows_of(numbers(-1, 1), n, q)), draw(numbers(0.2, 2)), factors)
