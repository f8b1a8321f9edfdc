"""Gated SAE: one path decides which latents fire, the other how strongly."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.sae import SAE, Pass, register, squared_error


@register("gated")
class Gated(SAE):
    """f = 1[z + b_gate > 0] relu(e^r_mag z + b_mag), z = (x - b_dec) W_enc.

    loss = |x - x_hat|^2 + l1 |relu(z + b_gate)|_1 + |x - relu(z + b_gate) W_dec - b_dec|^2, decoder frozen in the last.

    Source: Rajamanoharan et al. (2024), arXiv 2404.16014.
    """

    @dataclass(frozen=True)
    class Settings:
        """Hyperparameters."""

        l1: float = 3.0
        """weight of the gates' L1, in units where E|x|^2 = d"""

    penalties = ("l1",)
    architecture = "gated"
    latent_scale = ("W_enc", "b_gate", "b_mag")
    surrogate = ("W_dec", "b_dec")
    l1: Tensor

    def setup(self) -> None:
        """Gate and magnitude biases replace b_enc."""
        del self.b_enc
        self.b_gate, self.b_mag, self.r_mag = (nn.Parameter(torch.zeros(*self.shape, self.m)) for _ in range(3))

    def pre(self, x: Tensor) -> Tensor:
        """Common projection z."""
        return self.project(x)

    def activate(self, pre: Tensor) -> Tensor:
        """Gate times magnitude."""
        magnitude = (pre * self.r_mag.exp()[..., None, :] + self.b_mag[..., None, :]).relu()
        return magnitude * (pre + self.b_gate[..., None, :] > 0)

    def loss(self, x: Tensor, out: Pass) -> dict[str, Tensor]:
        """Squared error, L1 on the gates, and the gates' own reconstruction."""
        gate = (out.pre + self.b_gate[..., None, :]).relu()
        alone = gate @ self.W_dec.detach() + self.b_dec.detach()[..., None, :]
        return {
            "mse": squared_error(x, out.x_hat),
            "l1": self.l1 * gate.sum(-1).mean(-1),
            "gate": squared_error(x, alone),
        }
