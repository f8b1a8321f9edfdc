"""A rule that keeps decoder rows near where they were drawn."""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.parts.base import Pass, Rule, Sizes
from workbench.settings import Share


def within_cone(
    rows: Float[Tensor, "*s m d"], axis: Float[Tensor, "*s m d"], cosine: Float[Tensor, "*s"]
) -> Float[Tensor, "*s m d"]:
    """Rows turned towards unit axes until their cosine is at least `cosine`, lengths kept; the nearest such rows."""
    norm = rows.norm(dim=-1, keepdim=True)
    along = (rows * axis).sum(-1, keepdim=True)
    across = rows - along * axis
    least = cosine[..., None, None]
    direction = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    edge = norm * (least * axis + (1 - least.square()).clamp_min(0.0).sqrt() * direction)
    return torch.where(along >= least * norm, rows, edge)


class NearStart(Rule):
    """Rows keep a cosine of at least `cosine` to where they started, which folders hold; 1 lets none move."""

    confines = True
    cosine: Tensor
    start: Tensor

    def __init__(self, stack: Sizes, cosine: Share) -> None:
        super().__init__()
        self.keep(cosine=stack.real(cosine))
        self.register_buffer("start", stack.rows.clone())

    def after_step(self, out: Pass) -> None:
        """Turn back rows that went too far, unless they are frozen."""
        rows = out.decoder.rows
        if rows.requires_grad:
            rows.copy_(within_cone(rows, self.start, self.cosine))
