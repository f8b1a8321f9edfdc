"""Rows pinned to directions that are known beforehand."""

import torch
from torch import Tensor

from workbench.parts.base import Decoder, Encoder, Pass, Rule, Sizes
from workbench.parts.selections import must_be_same
from workbench.settings import LatentCount


class Anchored(Rule):
    """Keeps the first `anchors` rows of W_dec, and their columns of W_enc, at directions that are given.

    Rows without a direction are free. Directions are a buffer, which folders and checkpoints hold.

    Source: arXiv 2512.05534, feature anchoring, as reported by readers. Differs: rows and columns are set back after
    each step; whether the paper pins both is not known.
    """

    directions: Tensor
    """unit vectors, or 0 where a row is free"""
    columns: bool

    def __init__(self, stack: Sizes, anchors: LatentCount, *, columns: bool) -> None:
        super().__init__()
        self.columns, count = columns, stack.tensor(anchors)
        must_be_same(stack, "anchors", count)
        self.register_buffer("directions", stack.zeros(int(count.reshape(-1)[0]), stack.d))

    @torch.no_grad()
    def pin(self, encoder: Encoder, decoder: Decoder) -> None:
        """Put rows and columns where directions say, unless they are frozen."""
        held = [decoder.rows, encoder.columns(decoder).mT] if self.columns else [decoder.rows]
        count = self.directions.shape[-2]
        for place in held:
            if place.requires_grad:
                first = place[..., :count, :]
                first.copy_(torch.where((self.directions != 0).any(-1, keepdim=True), self.directions, first))

    def after_step(self, out: Pass) -> None:
        """Set back what the step moved."""
        self.pin(out.encoder, out.decoder)
