"""An encoder whose columns have inner product 1 with the rows of the decoder."""

# ruff: noqa: D102 (overrides inherit theirs)

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.parts.base import Decoder, Pass
from workbench.parts.encoders import Affine


class Aligned(Affine):
    """f = selection((x - b_dec) E + b_enc), e_i = u_i + (1 - <u_i, w_i>) w_i / |w_i|^2, so that <e_i, w_i> = 1.

    u is trained, and replaced by e after each step, which leaves e as it is: folders and other tools have e. With
    b_enc = 0 a lone latent returns what lies along its row unchanged: a w_i becomes f_i = a.

    Source: arXiv 2605.18629, aligned training, as reported by readers. Differs: which parametrisation the paper takes
    is not known; this one has as many numbers as an affine encoder.
    """

    def columns(self, decoder: Decoder) -> Float[Tensor, "*s d m"]:
        rows = decoder.rows.mT
        lacking = 1 - (self.W_enc * rows).sum(-2, keepdim=True)
        return self.W_enc + lacking / rows.square().sum(-2, keepdim=True) * rows

    @torch.no_grad()
    def after_step(self, out: Pass) -> None:
        """Put e in the place of u."""
        super().after_step(out)
        if self.W_enc.requires_grad:
            self.W_enc.copy_(self.columns(out.decoder))
