"""Bias adaptation as its theorem analyses it: one fixed bias, spherical steps, outputs too small to interact."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from synthetic.base.errors import must
from workbench.sae import SAE, Pass, register


@register("bias_adaptation")
class BiasAdaptation(SAE):
    """f = a phi(u - t), u = x W^T, x_hat = f W, unit rows w, t fixed; a batch takes w to (w + step G) / |w + step G|.

    G = mean over rows of g(u) x is minus the gradient of |x - x_hat|^2 / 2 over a as a -> 0, when latents no longer see
    one another: g = (2u - t) 1[u > t] for phi = relu, 2u 1[u > t] for "jump" (phi = u 1[u > t], its jump ignored).
    step = 0 stands for an infinite one, w <- G / |G|. The optimiser's own step on W is overwritten.

    t is the Gaussian quantile P(N(0, 1) > t) = rate: where E|x|^2 = d a random row fires at about `rate`. Nothing but
    their start spreads latents over features, so m must be large.

    Source: Chen et al. (2025), arXiv 2506.14002, section 6 (as reported by readers: their update's step is unverified).
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        rate: float = 0.05
        """p"""
        step: float = 0.0
        """length of the spherical step; 0 for infinitely long"""
        a: float = 1e-3
        """scale of the output"""
        output: Literal["jump", "relu"] = "jump"
        """phi"""

    sparse_objective = False
    nonnegative = False
    frozen = ("b_dec",)

    def setup(self) -> None:
        """Check settings; W_enc is W_dec transposed, b_enc is -t."""
        rules = (
            ("rate", "in (0, 1)", (self.rate > 0) & (self.rate < 1)),
            ("step", "at least 0", self.step >= 0),
            ("a", "above 0", self.a > 0),
        )
        for name, rule, good in rules:
            must(bool(good.all()), f"BiasAdaptation.{name}", rule, self.settings[name], "change it")
        del self.b_enc
        del self.W_enc
        self.register_buffer("row", self.W_dec.detach().clone())
        self.register_buffer("t", -torch.special.ndtri(self.rate)[..., None, None], persistent=False)

    def pre(self, x: Tensor) -> Tensor:
        """The product u; b_dec is 0. Training notes the rows it is taken with."""
        if self.training:
            self.row.copy_(self.W_dec.detach())
        return self.project(x)

    def activate(self, pre: Tensor) -> Tensor:
        """a phi(u - t)."""
        phi = (pre - self.t).relu() if self.output == "relu" else pre * (pre > self.t).to(pre.dtype)
        return self.a[..., None, None] * phi

    def after_step(self, out: Pass) -> None:
        """The spherical step, from the rows that the batch was seen with; a row that fired nowhere stays.

        Rows whose norms the SAE keeps (`unit_decoder` False) stay on spheres of those norms.
        """
        if "W_dec" in self.frozen:
            return
        u = out.pre.to(out.x.dtype)
        g = ((2 * u - self.t) if self.output == "relu" else 2 * u) * (u > self.t)
        ascent = g.mT @ out.x / out.x.shape[-2]
        step = self.step[..., None, None]
        moved = torch.where(step > 0, self.row + step * ascent, ascent)
        norm = moved.norm(dim=-1, keepdim=True)
        if not self.unit_decoder:
            norm = norm / self.row.norm(dim=-1, keepdim=True)
        self.row.copy_(torch.where(norm > 0, moved / norm.clamp_min(1e-30), self.row))
        self.W_dec.copy_(self.row)
