"""Tied latents on a few samples: what the claim on their gradient is about."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import mostly, numbers, rows_of, unit_rows, usually
from workbench.tensors import TENSOR
from workbench.theory import bias as theory


@dataclass(frozen=True, eq=False)
class Latents:
    """Samples x (N, d), tied latents w (m, d) that fire where <w, x> > t, output scale a; row 0 is asked about."""

    x: Tensor
    w: Tensor
    t: float
    jump: bool
    """the output is u 1[u > t], not ReLU(u - t)"""
    scale: float = 1.0

    def __str__(self) -> str:
        phi = "u 1[u > t]" if self.jump else "ReLU(u - t)"
        return f"x {digits(self.x)}, w {digits(self.w)}, t = {self.t:.4g}, {phi}, a = {self.scale:.4g}"

    def outputs(self, w: Tensor) -> Tensor:
        """Values phi (N, m)."""
        u = self.x @ w.T
        return torch.where(u > self.t, u if self.jump else u - self.t, 0.0)

    def slope(self, scale: float) -> Tensor:
        """Minus the gradient of sum |x - a sum_j w_j phi_j|² / 2N in w_0, over a."""
        w = self.w.clone().requires_grad_()
        loss = (self.x - scale * self.outputs(w) @ w).square().sum() / 2 / len(self.x)
        return -torch.autograd.grad(loss, w)[0][0] / scale

    @property
    def decoupled(self) -> Tensor:
        """Mean of g(<w_0, x>) x."""
        factor = theory.jump_factor if self.jump else theory.relu_factor
        return (factor(self.x @ self.w[0], self.t, ops=TENSOR)[:, None] * self.x).mean(0)

    @property
    def gap(self) -> Tensor:
        """Bound on |slope - decoupled|."""
        phi = self.outputs(self.w)
        each = theory.coupling_gap(self.scale, phi[:, 0].abs(), self.x.norm(dim=1), phi.abs().sum(1))
        return torch.where(self.x @ self.w[0] > self.t, each, 0.0).mean()


UNIT = Hypothesis("unit latents", lambda case: (case.w.norm(dim=1) - 1).abs().max())
SMALL = Hypothesis(
    "small output: a C ≤ |G|/10",
    lambda case: (case.gap - case.decoupled.norm() / 10).clamp_min(0) / case.gap.clamp_min(1),
)


@st.composite
def latents(draw, aligned=False, length=1.0, small=True):
    """Some latents and samples; `aligned`: all on one line; each other argument breaks one hypothesis."""
    d, samples = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    m = draw(mostly(st.integers(2, 4), st.integers(1, 4)))
    x, w = draw(rows_of(st.integers(-3, 3) | numbers(-3, 3), samples, d)), draw(unit_rows(m, d))
    if aligned:
        w = w[:1].expand(m, d)
        x = x.norm(dim=1, keepdim=True) * w[0]
    x[0] = x[0] + (0.5 + (x[0] @ w[0]).abs() - x[0] @ w[0]) * w[0]  # <w_0, x_0> >= .5
    if draw(usually()) and not aligned:
        x[0] = (0.5 + x[0].norm()) * (1.1 * w[0] + w[-1])  # on which two latents fire
    jump = draw(st.booleans())
    share = draw(numbers(-0.5, 0.9) if jump else numbers(0, 0.9))
    case = Latents(x, length * w, share * float((x @ w[0]).max()), jump)
    largest = float(case.decoupled.norm() / 10 / case.gap)
    return replace(case, scale=draw(numbers(0.01, 1.0)) * largest) if small else case
