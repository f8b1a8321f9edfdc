"""Products with sparse latents, one interface; shape decides which implementation runs."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from synthetic.world import Codes

DENSE_BELOW = 512
"""up to this many latents products are dense; the gather overtakes between 256 and 512 at n 512, d 64, k 8, 1 thread"""


def decode(codes: Codes | Tensor, W_dec: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s n d"]:
    """Products f W_dec for each member of a stack, differentiable in both."""
    if isinstance(codes, Tensor):
        return codes @ W_dec
    if codes.width <= DENSE_BELOW:
        return decode_reference(codes, W_dec)
    *stack, m, d = W_dec.shape
    *_, n, k = codes.indices.shape
    offset = torch.arange(W_dec[..., 0, 0].numel(), device=W_dec.device).view(*stack, 1, 1) * m
    indices = (codes.indices + offset).view(-1, k)
    values, rows = codes.values.reshape(-1, k), W_dec.reshape(-1, d)
    flat = F.embedding_bag(indices, rows.detach(), per_sample_weights=values, mode="sum")
    if rows.requires_grad:
        flat = _RowGradient.apply(flat, rows, indices, values.detach())
    return flat.view(*stack, n, d)


def decode_reference(codes: Codes, W_dec: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s n d"]:
    """The same by a dense product: what every other implementation must equal."""
    return codes.dense() @ W_dec


def scatter_rows(
    gradient: Float[Tensor, "n d"], indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], m: int
) -> Float[Tensor, "m d"]:
    """f^T g for sparse f: row j sums values[i, a] gradient[i] over indices[i, a] = j, entries sorted by row."""
    at, slot = values.nonzero(as_tuple=True)
    column, order = torch.sort(indices[at, slot])
    count = torch.bincount(column, minlength=m)
    return F.embedding_bag(
        at[order], gradient, count.cumsum(0) - count, per_sample_weights=values[at, slot][order], mode="sum"
    )


class _RowGradient(torch.autograd.Function):
    """Identity on a product f W whose gradient in W was left out; supplies it."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, rows: Tensor, indices: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(indices, values)
        ctx.m = len(rows)
        return product.view_as(product)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        indices, values = ctx.saved_tensors
        return gradients[0], scatter_rows(gradients[0], indices, values, ctx.m), None, None
