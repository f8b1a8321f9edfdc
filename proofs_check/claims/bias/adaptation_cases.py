"""Adaptations of biases: what the claims on the controller are about."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from proofs_check.claim import digits
from proofs_check.instances.loops import evaluated
from workbench.parts import bias_control
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Biases, measured rates and peaks of m latents in groups, and the controller's settings. All float64."""

    b: Tensor
    rate: Tensor
    peak: Tensor
    group: Tensor
    ceiling: float
    floor: float
    down: float
    up: float
    lowest: float
    order: Tensor
    """a relabelling of latents"""

    def __str__(self) -> str:
        kept = f"p = {self.ceiling:.4g}, floor {self.floor:.4g}, gamma {self.down:.4g} and {self.up:.4g}"
        shown = f"b {digits(self.b)}, q {digits(self.rate)}, peaks {digits(self.peak)}, groups {self.group.tolist()}"
        return f"{shown}, {kept}, lowest {self.lowest:.4g}"

    def moved(self, order: Any = slice(None)) -> Tensor:
        """Biases after the adaptation, of latents in this order."""
        number = self.b.new_tensor
        mean = bias_control.group_mean(self.peak[order], self.group[order], int(self.group.max()) + 1)
        given = (self.b[order], self.rate[order], number(self.ceiling), number(self.floor))
        return bias_control.adapted(*given, self.down * self.peak[order], self.up * mean, number(self.lowest))


def written_out(b: Any, rate: Any, ceiling: Any, floor: Any, fallen: Any, raised: Any, lowest: Any, ops: Any) -> Any:
    """`bias_control.adapted` on any numbers."""
    down = ops.larger(b - fallen, lowest)
    up = -ops.larger(-(b + raised), ops.num("0"))
    return ops.where(rate > ceiling, down, ops.where(rate < floor, up, b))


def _compared(draw):
    """Whole numbers near each other, so that all comparisons go either way and are met: floats hold them exactly."""
    for _ in range(50):
        ceiling, floor, lowest = (draw.near(3) for _ in range(3))
        rows = [[draw.near(4) for _ in range(4)] for _ in range(draw.n)]
        b, rate, fallen, raised = (torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True))
        number = b.new_tensor
        made = bias_control.adapted(b, rate, number(ceiling), number(floor), fallen, raised, number(lowest))
        for row, found in zip(rows, made.tolist(), strict=True):
            yield found, written_out(row[0], row[1], ceiling, floor, row[2], row[3], lowest, FLOAT)


WRITTEN_OUT = evaluated("the shipped tensor code is what is written out", _compared)


@dataclass(frozen=True, eq=False)
class Frozen:
    """One latent's B products <w, x>, the same at every adaptation; b starts at 0. All float64."""

    products: Tensor
    ceiling: float
    down: float
    lowest: float

    def __str__(self) -> str:
        return (
            f"products {digits(self.products)}, p = {self.ceiling:.4g}, gamma {self.down:.4g}, lowest {self.lowest:.4g}"
        )

    @property
    def allowed(self) -> int:
        """Rows that may fire: the whole part of p B."""
        return math.floor(self.ceiling * len(self.products) + 1e-9)

    @property
    def gap(self) -> float:
        """From the largest product down to the first that must not fire, or to 0."""
        ordered = self.products.sort(descending=True).values
        return float(ordered[0] - ordered[self.allowed :].clamp_min(0).max()) if self.allowed < len(ordered) else 1.0

    def adapted(self, times: int) -> tuple[list[float], list[float]]:
        """Biases and rates, before the first adaptation and after each."""
        b, number = torch.zeros(1, dtype=torch.float64), self.products.new_tensor
        biases, rates = [], []
        for _ in range(times + 1):
            fires = self.products + b > 0
            biases.append(float(b))
            rates.append(float(fires.double().mean()))
            peak = (self.products + b).max().clamp_min(0)
            given = (fires.double().mean()[None], number(self.ceiling), number(1e-6))
            b = bias_control.adapted(b, *given, self.down * peak, self.down * peak, number(self.lowest))
        return biases, rates


def falls(largest: float, gap: float, down: float) -> int:
    """Least t with (1 - gamma)^t largest <= gap; 0 where there is none."""
    some = 0 < gap < largest and 0 < down < 1
    return math.ceil(math.log(gap / largest) / math.log1p(-down) - 1e-9) if some else 0
