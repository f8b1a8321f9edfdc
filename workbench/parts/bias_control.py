"""The controller of bias adaptation: ceilings of firing rates by group, and biases that fall above them.

Source: Chen et al. (2025), arXiv 2506.14002, algorithms 1 and 2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench import kernels


def ceilings(
    m: int, groups: Int[Tensor, "*s"], high: Float[Tensor, "*s"], low: Float[Tensor, "*s"]
) -> tuple[Float[Tensor, "*s m"], Int[Tensor, "*s m"]]:
    """Ceiling and group of each latent: consecutive groups, p_1 = high to p_K = low, geometric; low where K = 1."""
    group = (torch.arange(m) * groups[..., None] // m).long()
    share = group / (groups[..., None] - 1).clamp_min(1)
    start = torch.where(groups > 1, high, low)[..., None]
    return start * (low[..., None] / start) ** share, group


def adapted(
    b: Tensor, rate: Tensor, ceiling: Tensor, floor: Tensor, fallen: Tensor, raised: Tensor, lowest: Tensor
) -> Tensor:
    """Biases after one adaptation, elementwise.

    Args:
        b: biases, in [lowest, 0].
        rate: q, measured.
        ceiling: p; above it b falls.
        floor: eps0, or p for a set-point; below it b rises.
        fallen: how far, at least 0.
        raised: how far, at least 0.
        lowest: least b.

    Differs: the authors' page prints max(., 0) for the rise, which would send every revived latent to b >= 0.
    """
    down = torch.maximum(b - fallen, lowest)
    up = (b + raised).clamp_max(0.0)
    return torch.where(rate > ceiling, down, torch.where(rate < floor, up, b))


def group_mean(peak: Float[Tensor, "*s m"], group: Int[Tensor, "*s m"], groups: int) -> Float[Tensor, "*s m"]:
    """Mean of the positive peaks in each latent's group, 0 where there is none."""
    total, count = (
        peak.new_zeros(*peak.shape[:-1], groups).scatter_add(-1, group, v) for v in (peak, (peak > 0).to(peak.dtype))
    )
    return (total / count.clamp_min(1)).gather(-1, group)


def positive(pre: Tensor) -> Tensor:
    """1 where above 0, else 0, as numbers: booleans are ten times as slow to make and multiply by."""
    if kernels.transformed():
        return (pre > 0).to(pre.dtype)
    return torch.gt(pre.detach(), 0, out=torch.empty_like(pre))
