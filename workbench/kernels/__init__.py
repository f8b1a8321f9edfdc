"""Products with sparse latents, one interface; device and shape decide which implementation runs.

`reference` (dense products of plain torch), `cpu` (bags of rows) and `cuda` (Triton) each have the same functions
without gradients; here they get their gradients and their stack axes.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.source import Codes

_functorch: Any = importlib.import_module("torch._C._functorch")
IMPLEMENTATIONS = ("reference", "cpu", "cuda")
DENSE_BELOW = 256
"""up to this many latents products are dense; sparse steps overtake between 256 and 384 at d 64 to 256, k 8, 16"""

_forced: ContextVar[str | None] = ContextVar("kernels", default=None)
_sparse: ContextVar[bool | None] = ContextVar("sparse", default=None)


@contextmanager
def using(name: str | None = None, *, sparse: bool | None = None) -> Iterator[None]:
    """Inside the block, what device and shape would decide is decided by hand.

    Args:
        name: implementation of sparse products, forward and backward; None leaves it as it is.
        sparse: whether latents are kept sparse, however few or many; None leaves it as it is.

    Raises:
        ValueError: no such implementation.
    """
    name = _forced.get() if name is None else pick(name, IMPLEMENTATIONS, "kernels.using")
    tokens = _forced.set(name), _sparse.set(_sparse.get() if sparse is None else sparse)
    try:
        yield
    finally:
        _forced.reset(tokens[0])
        _sparse.reset(tokens[1])


def transformed() -> bool:
    """Whether this runs inside a transform of `torch.func`: neither numpy nor an entry's value can be had there."""
    return _functorch.peek_interpreter_stack() is not None


def must_be_plain(where: str) -> None:
    """Refuse transforms of `torch.func` where codes carry no gradient, so that a Jacobian would be silently 0."""
    advice = "take differences of encode, or gradients of a loss with respect to parameters"
    must(not transformed(), where, "called outside torch.func", "a transform of codes without gradient", advice)


def chosen(like: Tensor) -> Any:
    """The implementation for tensors of this device and dtype, a module."""
    name = "reference" if transformed() else _forced.get()
    if name is None:
        real = like.dtype in (torch.float32, torch.float64)
        name = "cpu" if like.device.type == "cpu" and real else "reference"
        if like.is_cuda and like.dtype in (torch.float32, torch.bfloat16) and _has_triton():
            name = "cuda"
    return importlib.import_module(f"{__name__}.{name}")


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def sparse_pays(width: int) -> bool:
    """Whether latents of this many columns are kept sparse in training; dense inside transforms of `torch.func`."""
    if transformed():
        return False
    forced = _sparse.get()
    return width > DENSE_BELOW if forced is None else forced


def decode(codes: Codes | Tensor, W_dec: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s n d"]:
    """Products f W_dec for each member of a stack, differentiable in both."""
    if isinstance(codes, Tensor):
        return codes @ W_dec
    if not sparse_pays(codes.width):
        return decode_reference(codes, W_dec)
    indices = _flat(codes.indices, W_dec.shape[-2])
    out = _GatherSum.apply(
        codes.values.to(W_dec.dtype).reshape(indices.shape), W_dec.reshape(-1, W_dec.shape[-1]), indices
    )
    return out.view(*codes.indices.shape[:-1], W_dec.shape[-1])


def decode_reference(codes: Codes, W_dec: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s n d"]:
    """The same by a dense product."""
    return codes.dense() @ W_dec


def top_k(pre: Float[Tensor, "*s n m"], k: int) -> Codes:
    """The k largest entries of each row where positive, in any order, without gradient."""
    values, indices = chosen(pre).top_k(pre.detach().reshape(-1, pre.shape[-1]), k)
    shape = (*pre.shape[:-1], k)
    return Codes(indices.view(shape), values.view(shape).relu(), pre.shape[-1])


def encode_top_k(
    x: Float[Tensor, "*b n d"], W_enc: Float[Tensor, "*s d m"], b_enc: Float[Tensor, "*s m"], k: int
) -> tuple[Float[Tensor, "*s n m"], Codes]:
    """Pre-activations x W_enc + b_enc and their k largest positive entries, without gradient, a member at a time.

    Under torch.autocast the product takes its dtype; sums stay float32.
    """
    *stack, d, m = W_enc.shape
    low = torch.is_autocast_enabled(x.device.type)
    dtype = torch.get_autocast_dtype(x.device.type) if low else W_enc.dtype
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        rows = W_enc.detach().mT.reshape(-1, m, d).to(dtype)
        each = x.detach().to(dtype).expand(*stack, *x.shape[-2:]).reshape(len(rows), -1, d)
        made = chosen(rows)
        found = [made.encode_top_k(*member, k) for member in zip(each, rows, b_enc.detach().view(-1, m), strict=True)]
    pre, values, indices = (
        found[0][i] if not stack else torch.stack([f[i] for f in found]).view(*stack, *found[0][i].shape)
        for i in range(3)
    )
    return pre, Codes(indices, values, m)


def kth_largest(rows: Float[Tensor, "*b w"], k: int) -> Float[Tensor, "*b 1"]:
    """The k-th largest entry of each row, without gradient."""
    return chosen(rows).kth_largest(rows.detach().reshape(-1, rows.shape[-1]), k).view(*rows.shape[:-1], 1)


def encoded(
    codes: Codes,
    x: Float[Tensor, "*b n d"],
    W_enc: Float[Tensor, "*s d m"],
    b_enc: Float[Tensor, "*s m"],
    b_dec: Float[Tensor, "*s d"],
) -> Codes:
    """The same codes, whose values carry the gradient of the pre-activations (x - b_dec) W_enc + b_enc they are.

    Backward costs two products of the size of the code in place of two dense ones. A value of 0 carries none.
    """
    *stack, d, m = W_enc.shape
    centred = (x - b_dec.detach()[..., None, :]).expand(*stack, x.shape[-2], d).reshape(-1, d)
    rows = W_enc.mT.reshape(-1, d)
    indices = _flat(codes.indices, m)
    known = codes.values.detach().to(rows.dtype).reshape(indices.shape)
    values = _Entries.apply(known, centred, rows, b_enc.reshape(-1), b_dec.reshape(-1, d), indices)
    return Codes(codes.indices, values.view(codes.values.shape), m)


def _flat(indices: Int[Tensor, "*s n k"], m: int) -> Int[Tensor, "sn k"]:
    """Indices into the rows of all members, one after another."""
    *stack, _, k = indices.shape
    if stack:
        first = torch.arange(0, m * indices[..., 0, 0].numel(), m, device=indices.device)
        indices = indices + first.view(*stack, 1, 1)
    return indices.reshape(-1, k)


class _GatherSum(torch.autograd.Function):
    """sum_a values[i, a] rows[indices[i, a]]."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(values, rows, indices)
        ctx.made = chosen(rows)
        return ctx.made.gather_sum(indices, values, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, rows, indices = ctx.saved_tensors
        made, g = ctx.made, gradients[0].contiguous()
        to_values = made.gather_dot(indices, g, rows) if ctx.needs_input_grad[0] else None
        to_rows = made.scatter_rows(indices, values, g, len(rows)) if ctx.needs_input_grad[1] else None
        return to_values, to_rows, None


class _Entries(torch.autograd.Function):
    """values[i, a] = <x[i] - b_dec, rows[j]> + b_enc[j] at j = indices[i, a] where not 0, as they were known before.

    `x` is handed in centred. One member has as many consecutive rows as there are rows for each of b_dec's.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, x: Tensor, rows: Tensor, b_enc: Tensor, b_dec: Tensor, indices: Tensor
    ) -> Tensor:
        ctx.save_for_backward(values, x, rows, indices)
        ctx.members, ctx.made = len(b_dec), chosen(rows)
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, x, rows, indices = ctx.saved_tensors
        made, g = ctx.made, (gradients[0] * (values != 0)).contiguous()
        _, for_x, for_rows, for_b_enc, for_b_dec, _ = ctx.needs_input_grad
        to_x = made.gather_sum(indices, g, rows) if for_x else None
        to_rows = made.scatter_rows(indices, g, x, len(rows)) if for_rows else None
        if g.is_cuda:  # index_add_ would sum in any order there
            to_b_enc = made.scatter_rows(indices, g, g.new_ones(len(g), 1), len(rows)).squeeze(1)
        else:
            to_b_enc = g.new_zeros(len(rows)).index_add_(0, indices.flatten(), g.flatten())
        to_b_dec = None
        if for_b_dec:
            each = zip(to_b_enc.chunk(ctx.members), rows.chunk(ctx.members), strict=True)
            to_b_dec = -torch.stack([sums @ own for sums, own in each])
        return None, to_x, to_rows, to_b_enc if for_b_enc else None, to_b_dec, None
