"""Errors of reconstructions that grow latent by latent, and two objectives that average them."""

# ruff: noqa: D102 (overrides inherit theirs)

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench.parts.base import Pass, Sizes, Term
from workbench.parts.objectives import objective
from workbench.parts.sparsifiers import packed
from workbench.settings import LatentCount, PositiveShare


def codes_of(out: Pass) -> Codes:
    """Latents in sparse form; as many slots as the fullest row needs where they are dense."""
    return out.codes if isinstance(out.codes, Codes) else packed(out.codes, out.codes != 0)


def in_order(codes: Codes, order: Int[Tensor, "*s n k"]) -> Codes:
    """The slots of each row that `order` names, in its order."""
    return Codes(codes.indices.gather(-1, order), codes.values.gather(-1, order), codes.width)


def partial_errors(out: Pass, codes: Codes) -> Float[Tensor, "*s n t"]:
    """|x - b_dec - sum_{i < t} f_i w_i|^2 of each row for t = 0, ..., k: latents join in the order of their slots.

    Time and memory are n k d numbers.
    """
    where, advice = "the decoder of an objective on partial sums", "use an encoder whose decoder is rows"
    must(out.decoder.linear, where, "linear in latents", type(out.decoder).__name__, advice)
    left = out.x - out.decoder.b_dec[..., None, :]
    if out.coded.beside is not None:
        left = left - out.coded.beside
    added = codes.values[..., None] * _rows_at(out.decoder.rows, codes.indices)
    return (
        (left[..., None, :] - torch.cat((torch.zeros_like(left)[..., None, :], added.cumsum(-2)), -2)).square().sum(-1)
    )


def _rows_at(rows: Float[Tensor, "*s m d"], indices: Int[Tensor, "*s n k"]) -> Float[Tensor, "*s n k d"]:
    *stack, m, d = rows.shape
    members = torch.arange(rows[..., 0, 0].numel(), device=rows.device).view(*stack, 1, 1)
    return rows.reshape(-1, d)[indices + m * members]


@objective("hierarchical")
class Hierarchical(Term):
    """Mean over j of |x - b_dec - the j largest latents' f_i w_i|^2: over j = 1, ..., k, or over 1, 2, 4, ... and k.

    The last one, j = k, is of the whole code: an encoder may give more latents than k.

    Source: Balagansky et al. (2025), HierarchicalTopK, arXiv 2505.24473. Differs: goes with every encoder; which subset
    of budgets the paper takes is not known, powers of 2 are ours.
    """

    name = "mse"
    k: Tensor
    budgets: Literal["all", "powers"]

    def __init__(self, stack: Sizes, k: LatentCount = 4, budgets: Literal["all", "powers"] = "all") -> None:
        super().__init__()
        self.keep(k=stack.tensor(k), budgets=budgets)

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        codes, k = codes_of(out), self.k[..., None]
        budgets = torch.arange(1, int(self.k.max()), device=k.device)
        among = budgets < k
        if self.budgets == "powers":
            among = among & (budgets & (budgets - 1) == 0)
        weight = among.to(out.x_hat.dtype)
        most = min(weight.shape[-1], codes.values.shape[-1])
        largest = codes.values.detach().abs().argsort(dim=-1, descending=True, stable=True)[..., :most]
        errors = partial_errors(out, in_order(codes, largest))[..., 1:].mean(-2)
        total, within = weight.sum(-1) + 1, weight[..., :most]
        whole = (out.x - out.x_hat).square().sum(-1).mean(-1)  # also of budgets that no row fills
        return ((errors * within).sum(-1) + (total - within.sum(-1)) * whole) / total


@objective("ordered")
class Ordered(Term):
    """sum_j p_j |x - b_dec - f[:j] W_dec[:j]|^2 over all prefixes of the latents, j = 1, ..., m; sum_j p_j = 1.

    p_j is proportional to r^(j / m): r = 1 weighs all prefixes alike, a smaller r the short ones more. Exact for all m
    at the price of as many errors as latents fire, since an error changes at these alone.

    Source: Wang et al. (2025), Ordered SAE, arXiv 2512.02194. Differs: the shape of p is ours.
    """

    name = "mse"
    before: Tensor
    """sum of p_j over j <= i, for latent i = 0, ..., m - 1: prefixes that do not hold it"""

    def __init__(self, stack: Sizes, r: PositiveShare = 1.0) -> None:
        super().__init__()
        share = stack.real(r).double()[..., None]
        p = share ** (torch.arange(1, stack.m + 1, dtype=torch.float64) / stack.m)
        before = torch.cat((torch.zeros_like(share), (p / p.sum(-1, keepdim=True)).cumsum(-1)), -1)[..., :-1]
        self.keep(before=before.float())

    def forward(self, out: Pass) -> Float[Tensor, "*s"]:
        codes = codes_of(out)
        codes = in_order(codes, codes.indices.argsort(dim=-1, stable=True))
        before = self.before[..., None, :].expand(*codes.indices.shape[:-1], -1).gather(-1, codes.indices)
        ends = torch.zeros_like(before[..., :1])
        weight = torch.cat((before, ends + 1), -1) - torch.cat((ends, before), -1)
        return (partial_errors(out, codes) * weight).sum(-1).mean(-1)
