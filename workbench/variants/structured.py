"""Structured SAE: a sparse part for single concepts, a low-rank part for what concepts share."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench.parts.annealed_power import AnnealedPower
from workbench.parts.nuclear_norm import factored_norm, nuclear_norm
from workbench.sae import SAE, Pass, register, squared_error


@register("structured")
class Structured(SAE):
    """loss = |x - x_hat|^2 + weight |S|_p^p + gamma |R|_* / sqrt(n): S sparse, R of rank at most `rank`, p annealed.

        S = relu((x - b_dec) W_enc + b_enc),    R = (x - b_dec) P Q
        reading "latents":   f = S + R,  x_hat = f W_dec + b_dec
        reading "residual":  f = S,      x_hat = f W_dec + b_dec + R

    |R|_* is the nuclear norm of the batch, n rows; `norm` "factored" takes (|(x - b_dec) P|_F^2 / n + |Q|_F^2) / 2 in
    its place, which is at least as large. Latents S + R are dense and signed; `sparse_part` gives S. Under "residual"
    what `decode` gives lacks R, which no latent carries.

    Source: Liu et al. (2025), arXiv 2503.08980, the loss as reported by readers; which reading is theirs is not known.
    Differs: |R|_* over sqrt(n), so that gamma does not depend on the batch; all settings are ours.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        l1: float = 2.0
        """weight of |S|_p^p while p = 1, in units where E|x|^2 = d"""
        gamma: float = 3.0
        """weight of the low-rank part's norm, in these units"""
        rank: int = 4
        """of R, at most; the same for all members"""
        start: int = 1000
        """training step at which p first falls"""
        every: int = 200
        """steps between its nine changes"""
        reading: Literal["latents", "residual"] = "latents"
        """where R enters"""
        norm: Literal["nuclear", "factored"] = "nuclear"
        """what gamma weighs"""

    same = ("rank",)
    """settings that members share"""
    penalties = ("power", "norm")
    linear_pre = False
    nonnegative = False
    l1: Tensor
    gamma: Tensor
    rank: Tensor
    start: Tensor
    every: Tensor
    reading: str
    norm: str

    def setup(self) -> None:
        """Add the factors of R and the penalty."""
        r = int(self.rank.max())
        same = r >= 1 and bool((self.rank == r).all())
        must(same, "Structured.rank", "at least 1, the same for all members", self.settings["rank"], "change it")
        must(bool((self.gamma >= 0).all()), "Structured.gamma", "at least 0", self.settings["gamma"], "change it")
        wide = self.m if self.reading == "latents" else self.d
        self.P = nn.Parameter(
            self.drawn("P", lambda rng: torch.randn(self.d, r, generator=rng, dtype=torch.float32) / 10 / self.d**0.5)
        )
        self.Q = nn.Parameter(
            self.drawn("Q", lambda rng: torch.randn(r, wide, generator=rng, dtype=torch.float32) / 10 / wide**0.5)
        )
        self.latent_scale = ("W_enc", "b_enc", *(("Q",) if self.reading == "latents" else ()))
        self.penalty = AnnealedPower(self.l1, self.start, self.every, "Structured")

    def pre(self, x: Tensor) -> Tensor:
        """Pre-activations of S beside (x - b_dec) P."""
        return torch.cat((self.project(x, self.b_enc), (x - self.b_dec[..., None, :]) @ self.P), -1)

    def sparse_part(self, pre: Tensor) -> Tensor:
        """S, of what `pre` returned."""
        return pre[..., : self.m].relu()

    def activate(self, pre: Tensor) -> Tensor:
        """S + R, or S alone."""
        return self.sparse_part(pre) + (pre[..., self.m :] @ self.Q if self.reading == "latents" else 0.0)

    def trace(self, x: Tensor) -> Pass:
        """Forward pass; R joins the output where no latent carries it."""
        out = super().trace(x)
        return out if self.reading == "latents" else replace(out, x_hat=out.x_hat + out.pre[..., self.m :] @ self.Q)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error, the power of S, the norm of R."""
        size = nuclear_norm if self.norm == "nuclear" else factored_norm
        power, left = self.penalty(self.sparse_part(out.pre)), out.pre[..., self.m :] / x.shape[-2] ** 0.5
        return {"mse": squared_error(x, out.x_hat), "power": power, "norm": self.gamma * size(left, self.Q)}

    def after_step(self, out: Pass) -> None:
        """Anneal."""
        self.penalty.advance(self.sparse_part(out.pre))
