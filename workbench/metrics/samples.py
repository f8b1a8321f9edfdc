"""What an SAE makes of a few samples one by one, and of products of features: for scores that sums cannot give."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.metrics.matching import Geometry
from workbench.sae import SAE

FIRST = 64
"""samples kept whole"""
Coefficients = Callable[[Int[Tensor, "t order"]], Float[Tensor, "t d"]]
"""members of products of features -> the vectors that a decoder multiplies these products by"""


@dataclass(frozen=True)
class Samples:
    """The first samples and one SAE's codes of them, in raw units of x, float64."""

    x: Float[Tensor, "n d"]
    """less the decoder's bias"""
    x_hat: Float[Tensor, "n d"]
    """likewise"""
    f: Float[Tensor, "n m"]
    rows: Float[Tensor, "m d"]
    """decoder: f rows = x_hat, for a linear decoder"""

    @property
    def residual(self) -> Float[Tensor, "n d"]:
        """What the SAE leaves over, x - x_hat."""
        return self.x - self.x_hat


def first_samples(
    x: Float[Tensor, "n d"],
    x_hat: Float[Tensor, "n d"],
    entries: tuple[Tensor, Tensor, Tensor],
    rows: Float[Tensor, "m d"],
    bias: Float[Tensor, " d"],
) -> Samples:
    """The first `FIRST` samples of a batch; `entries` are row, latent and value of each nonzero code."""
    row, latent, value = (part.cpu() for part in entries)
    kept = row < FIRST
    f = torch.zeros(min(FIRST, len(x)), len(rows), dtype=torch.float64)
    f.index_put_((row[kept], latent[kept]), value[kept].double(), accumulate=True)
    return Samples(x[:FIRST].double().cpu() - bias, x_hat[:FIRST].double().cpu() - bias, f, rows)


def products_of(sae: SAE, member: int, geometry: Geometry) -> Coefficients | None:
    """Coefficients that one member's decoder gives to products of features, in raw units; None where it is linear.

    The latent of feature i estimates f_i = h_i / (sign_i |w_i|), so h_i h_j gets B_ij / (sign_i sign_j |w_i| |w_j|) if
    f_i f_j has B_ij. 0 where a feature has no latent; a slot of -1 pads products of lower order.
    """
    if sae.decoder.linear:
        return None
    found, stack = geometry.latent_of >= 0, sae.W_dec.shape[:-2].numel()
    length = sae.W_dec.detach().double().cpu().reshape(-1, sae.m, sae.d)[member].norm(dim=1)
    unit = torch.where(found, length[geometry.latent_of] * geometry.cosine_of.sign(), 1.0)

    def vectors(members: Tensor) -> Tensor:
        padding, of = members < 0, members.clamp_min(0)
        known = (found[of] | padding).all(1, keepdim=True)
        latents = torch.where(padding, -1, geometry.latent_of[of].clamp_min(0))
        every = sae.interactions(latents).detach().double().cpu().reshape(stack, len(members), sae.d)
        return known * every[member] / torch.where(padding, 1.0, unit[of]).prod(1, keepdim=True)

    return vectors
