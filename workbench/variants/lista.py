"""LISTA SAE: a few learned steps of iterative soft thresholding in place of one look at the input."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench.parts.sparsifiers import soft_threshold
from workbench.sae import SAE, Pass, register, squared_error


@register("lista")
class Lista(SAE):
    """f <- soft(f + s (x - b_dec - f W_dec) W_enc, s theta), `steps` times from f = 0; theta learned, one a latent.

    loss = |x - x_hat|^2 + l1 |f|_1. Each step sends f down the gradient of |x - b_dec - f W_dec|^2 / 2 and through the
    proximal map of the L1 norm. At the start W_enc = W_dec^T and theta = l1 / 2: the unrolled ISTA of the very loss,
    which falls at each step since s = step / L, L = lam_max(W_dec W_dec^T), step <= 1. L is tracked by power iteration.
    With one step this is a ReLU SAE whose encoder is scaled by s; each further one subtracts what latents explain of
    one another's products.

    Source: Gregor and LeCun (2010), LISTA; Daubechies, Defrise, De Mol (2004), ISTA. Differs: encoder, decoder and
    thresholds are shared by all steps.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        steps: int = 5
        """thresholding steps, at least 1"""
        l1: float = 2.0
        """weight of |f|_1, in units where E|x|^2 = d"""
        step: float = 1.0
        """length of a step over 1/L, in (0, 2]"""
        signed: bool = False
        """allow negative latents"""

    penalties = ("l1",)
    linear_pre = False
    latent_scale = ("W_enc",)
    nonnegative = False
    steps: Tensor
    l1: Tensor
    step: Tensor
    signed: bool
    direction: Tensor
    largest: Tensor

    def setup(self) -> None:
        """Check settings, add thresholds and the power iteration."""
        rules = (
            ("steps", "at least 1", self.steps >= 1),
            ("l1", "above 0", self.l1 > 0),
            ("step", "in (0, 2]", (self.step > 0) & (self.step <= 2)),
        )
        for name, rule, good in rules:
            must(bool(good.all()), f"Lista.{name}", rule, self.settings[name], "change it")
        del self.b_enc
        self.log_theta = nn.Parameter((self.l1 / 2).log()[..., None].expand(*self.shape, self.m).clone())
        self.register_buffer(
            "direction", self.drawn("power", lambda rng: torch.randn(self.d, generator=rng, dtype=torch.float32))
        )
        self.register_buffer("largest", torch.ones(self.shape))
        self._iterate(30)

    @torch.no_grad()
    def _iterate(self, times: int) -> None:
        """Power iteration on W_dec^T W_dec, and its largest eigenvalue so far."""
        v = self.direction[..., None]
        for _ in range(times):
            v = self.W_dec.mT @ (self.W_dec @ v)
            v = v / v.norm(dim=-2, keepdim=True).clamp_min(1e-30)
        self.direction.copy_(v.squeeze(-1))
        self.largest.copy_((self.W_dec @ v).square().sum((-1, -2)))

    @torch.no_grad()
    def rescale_latents(self, factor: Tensor) -> None:
        """Thresholds grow with latents; weights and thresholds also take up the change of L that other rows bring."""
        before = self.largest.clone()
        super().rescale_latents(factor)
        self._iterate(1000)
        share = (self.largest / before)[..., None]
        self.W_enc.mul_(share[..., None])
        self.log_theta.add_((factor.where(factor > 0, 1.0) * share).log())

    def pre(self, x: Tensor) -> Tensor:
        """What is to be explained: x - b_dec."""
        return x - self.b_dec[..., None, :]

    def activate(self, pre: Tensor) -> Tensor:
        """The unrolled steps; members that take fewer keep what they have."""
        s = (self.step / self.largest)[..., None, None]
        threshold = s * self.log_theta.exp()[..., None, :]
        f = soft_threshold(s * (pre @ self.W_enc), threshold, nonnegative=not self.signed)
        for t in range(1, int(self.steps.max())):
            u = f + s * ((pre - f @ self.W_dec) @ self.W_enc)
            after = soft_threshold(u, threshold, nonnegative=not self.signed)
            f = torch.where((t < self.steps)[..., None, None], after, f)
        return f

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error and L1."""
        return {"mse": squared_error(x, out.x_hat), "l1": self.l1 * out.dense().abs().sum(-1).mean(-1)}

    def after_step(self, out: Pass) -> None:
        """Follow L."""
        self._iterate(2)
