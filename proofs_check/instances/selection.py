"""Samples from which the top-AFA rule has chosen: what the claims of selection are about."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from workbench.parts.sparsifiers import norm_match


@dataclass(frozen=True, eq=False)
class Selection:
    """Contributions of m latents to n samples, and the target each sample's norm is to come near. All float64."""

    contributions: Float[Tensor, "n m"]
    """latents times the norm of their rows, at least 0"""
    tau: Float[Tensor, " n"]
    """|x - b|"""
    x_norm: Float[Tensor, " n"]
    bias_norm: float
    sentinel: float | None = None

    def __str__(self) -> str:
        more = f", |x| {digits(self.x_norm)}, |b| {self.bias_norm:.4g}" if self.bias_norm else ""
        mark = f", sentinel {self.sentinel:g}" if self.sentinel else ""
        return f"contributions {digits(self.contributions)}, tau {digits(self.tau)}{more}{mark}"

    @property
    def nontrivial(self) -> bool:
        """The target lies between the first norm and the last, and is neither."""
        return bool(((self.tau > self.norms[:, 0]) & (self.tau < self.norms[:, -1])).any())

    def take(self, keep: Bool[Tensor, " n"]) -> "Selection":
        """Some of the samples."""
        return Selection(self.contributions[keep], self.tau[keep], self.x_norm[keep], self.bias_norm, self.sentinel)

    @cached_property
    def ordered(self) -> Float[Tensor, "n m"]:
        """Contributions from largest to smallest."""
        return self.contributions.sort(1, descending=True).values

    @cached_property
    def norms(self) -> Float[Tensor, "n m"]:
        """C_1, ..., C_m: norms of the largest contributions."""
        return self.ordered.square().cumsum(1).sqrt()

    @cached_property
    def mask(self) -> Bool[Tensor, "n m"]:
        """What the shipped rule keeps."""
        return norm_match(self.contributions, self.tau, sentinel=self.sentinel)

    @cached_property
    def count(self) -> Int[Tensor, " n"]:
        """Latents kept."""
        return self.mask.sum(1)

    @cached_property
    def f_norm(self) -> Float[Tensor, " n"]:
        """Norm of what is kept."""
        return (self.contributions * self.mask).norm(dim=1)

    @cached_property
    def around(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """The C_j and C_{j+1} with C_j <= tau <= C_{j+1}, of equal value where there is no such j."""
        last = max(self.norms.shape[1] - 1, 1)
        above = torch.searchsorted(self.norms, self.tau[:, None].contiguous()).clamp(1, last)
        below = self.norms.gather(1, above - 1).squeeze(1)
        above = above.clamp_max(self.norms.shape[1] - 1)
        return below, torch.maximum(below, self.norms.gather(1, above).squeeze(1))


WITHIN = Hypothesis(
    "not saturated: C_1 <= tau <= C_m",
    lambda case: torch.maximum(case.norms[:, 0] - case.tau, case.tau - case.norms[:, -1]) / case.tau.clamp_min(1e-300),
)
BESIDE = Hypothesis(
    "no sentinel, or an inactive latent for it to replace",
    lambda case: float(case.sentinel is not None) * (case.contributions > 0).all(1).double(),
)
