"""Sparse products and the encoder with its top-k as Triton kernels, flat and without autograd.

Needs triton, so import it only where tensors are on a GPU; with TRITON_INTERPRET=1 in the environment it runs on CPU
tensors too, slowly. Sums are float32 for float32 and bfloat16 inputs, float64 for float64 ones. No kernel uses atomics,
so equal inputs give equal bits. Indices are trusted: one out of range reads foreign memory.

Source: the sparse products are those of Gao et al. (2024), arXiv 2406.04093; the encoder's search by groups is ours.
"""

import importlib
from math import isqrt
from typing import Any, no_type_check

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.errors import must
from workbench.kernels import reference

kth_largest, top_k = reference.kth_largest, reference.top_k
triton: Any = importlib.import_module("triton")
tl: Any = importlib.import_module("triton.language")


def gather_sum(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n d"]:
    """Sparse decode: out[i] = sum_a values[i, a] rows[indices[i, a]], in the dtype of `rows`.

    Rows at value 0 are not read, so a slot may pad with any index in [0, M).
    """
    (n, k), d = indices.shape, rows.shape[-1]
    out = rows.new_empty(n, d)
    width = _power(d, 256)
    sizes = {"SLOTS": _power(k, 8), "WIDTH": width, "SUM": _sum_type(rows)}
    with torch.cuda.device_of(rows):
        _gather_sum[(n, triton.cdiv(d, width))](*_flat(indices, values, rows), out, k, d, **sizes)
    return out


def gather_dot(
    indices: Int[Tensor, "n k"], g: Float[Tensor, "n d"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n k"]:
    """The gradient of `gather_sum` in its values: out[i, a] = <g[i], rows[indices[i, a]]>, in the dtype of `g`."""
    (n, k), d = indices.shape, rows.shape[-1]
    out = g.new_empty(n, k)
    slots = _power(k, 8)
    sizes = {"SLOTS": slots, "WIDTH": _power(d, 256), "SUM": _sum_type(rows)}
    with torch.cuda.device_of(rows):
        _gather_dot[(n, triton.cdiv(k, slots))](*_flat(indices, g, rows), out, k, d, **sizes)
    return out


def scatter_rows(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], g: Float[Tensor, "n d"], size: int
) -> Float[Tensor, "M d"]:
    """Gradients in the rows: out[j] = sum of values[i, a] g[i] over indices[i, a] = j, j < size, in the dtype of `g`.

    Entries of one row are summed one after the other, by one program for each part of d: a latent that fires on all
    samples is slow, though not wrong.
    """
    target, d = indices.flatten(), g.shape[-1]
    order = target.argsort(stable=True)
    start = F.pad(torch.bincount(target, minlength=size).cumsum(0), (1, 0))  # edges of the rows' runs in `order`
    out = g.new_empty(size, d)
    width = _power(d, 256)
    sizes = {"SLOTS": 8, "WIDTH": width, "SUM": _sum_type(g)}
    with torch.cuda.device_of(g):
        grid = (size, triton.cdiv(d, width))
        _scatter_rows[grid](*_flat(order, start, values, g), out, indices.shape[1], d, **sizes)
    return out


def encode_top_k(
    x: Float[Tensor, "n d"], W: Float[Tensor, "m d"], bias: Float[Tensor, " m"], k: int
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """Pre-activations x W^T + bias and the k largest entries of their positive part, exactly.

    One kernel writes the product and the maximum of each group of consecutive columns; the k groups of largest maxima
    are searched. That is exact: an entry v of a group left out has k groups with maxima >= v before it, so k searched
    entries are >= v, and without v the k largest values are the same. Of equal entries any may win. NaN wins, as in
    torch.topk, so a diverged product shows.

    Args:
        x: inputs, float32 or bfloat16.
        W: rows are the columns of the encoder; any strides, so `W_enc.mT` costs no copy.
        bias: added to each row of the product.
        k: in [1, m].

    Returns:
        pre-activations, the k values, falling, and their indices. Products are summed and kept in float32, also of
        bfloat16 inputs, and never in TF32. Where fewer than k entries are positive, the other slots hold value 0.

    Raises:
        ValueError: another dtype, or k out of range.
    """
    (n, d), m = x.shape, len(W)
    good = x.dtype in (torch.float32, torch.bfloat16) and x.dtype == W.dtype
    must(good, "encode_top_k.x", "float32 or bfloat16, and W the same", f"{x.dtype}, {W.dtype}", "convert both")
    must(1 <= k <= m, "encode_top_k.k", f"in [1, m={m}]", k, "lower k or raise m")
    group = _group(m, k)
    pre = torch.empty(n, m, dtype=torch.float32, device=x.device)
    maxima = pre.new_empty(n, triton.cdiv(m, group))
    sizes = _tiles(n, m, d, x.dtype, group)
    grid = (triton.cdiv(n, sizes["ROWS"]), triton.cdiv(m, sizes["COLUMNS"]))
    with torch.cuda.device_of(x):
        _encode[grid](x, W, *_flat(bias), pre, maxima, n, m, d, maxima.shape[1], *x.stride(), *W.stride(), **sizes)
    if k >= maxima.shape[1]:
        values, indices = pre.topk(k, dim=-1)
        return pre, values.relu(), indices
    chosen = maxima.topk(k, dim=-1, sorted=False).indices
    column = (chosen[..., None] * group + torch.arange(group, device=x.device)).flatten(1)
    candidates = pre.gather(1, column.clamp_max(m - 1)).masked_fill(column >= m, -torch.inf)
    values, at = candidates.topk(k, dim=-1)
    return pre, values.relu(), column.gather(1, at).clamp_max(m - 1)  # padding can win only where -inf ties with it


def _group(m: int, k: int) -> int:
    """Columns a group: near sqrt(m / k), where the m / group maxima are as many as the k group candidates."""
    return _power(isqrt(m // k), 64, least=8)


def _tiles(n: int, m: int, d: int, dtype: torch.dtype, group: int) -> dict[str, int]:
    """Tile sizes of the fused product; tl.dot wants at least 16 along each axis."""
    rows, columns, depth, warps = (128, 128, 64, 8) if dtype == torch.bfloat16 else (64, 64, 16, 4)
    sizes = {"ROWS": _power(n, rows, least=16), "COLUMNS": max(_power(m, columns, least=16), group)}
    return sizes | {"DEPTH": _power(d, depth, least=16), "GROUP": group, "num_warps": warps, "num_stages": 3}


def _power(size: int, most: int, *, least: int = 1) -> int:
    """The power of two from `size` upwards, within [least, most]."""
    return max(least, min(most, triton.next_power_of_2(size)))


def _sum_type(of: Tensor) -> Any:
    return tl.float64 if of.dtype == torch.float64 else tl.float32


def _flat(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in tensors)


# --- kernels; `no_type_check` keeps runtime type checks out of what triton compiles ----------------------------------


@triton.jit
@no_type_check
def _gather_sum(indices, values, rows, out, k, d, SLOTS: tl.constexpr, WIDTH: tl.constexpr, SUM: tl.constexpr):
    # grid: rows of `out` x parts of d
    i = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((SLOTS, WIDTH), SUM)
    for first in range(0, k, SLOTS):
        slot = first + tl.arange(0, SLOTS)
        value = tl.load(values + i * k + slot, mask=slot < k, other=0.0).to(SUM)
        row = tl.load(indices + i * k + slot, mask=slot < k, other=0).to(tl.int64)
        used = (value != 0.0)[:, None] & (column < d)[None, :]
        part = tl.load(rows + row[:, None] * d + column[None, :], mask=used, other=0.0)
        total += value[:, None] * part.to(SUM)
    tl.store(out + i * d + column, tl.sum(total, 0), mask=column < d)


@triton.jit
@no_type_check
def _gather_dot(indices, g, rows, out, k, d, SLOTS: tl.constexpr, WIDTH: tl.constexpr, SUM: tl.constexpr):
    # grid: rows of `out` x runs of slots
    i = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1) * SLOTS + tl.arange(0, SLOTS)
    row = tl.load(indices + i * k + slot, mask=slot < k, other=0).to(tl.int64)
    total = tl.zeros((SLOTS, WIDTH), SUM)
    for first in range(0, d, WIDTH):
        column = first + tl.arange(0, WIDTH)
        here = tl.load(g + i * d + column, mask=column < d, other=0.0).to(SUM)
        used = (slot < k)[:, None] & (column < d)[None, :]
        part = tl.load(rows + row[:, None] * d + column[None, :], mask=used, other=0.0)
        total += here[None, :] * part.to(SUM)
    tl.store(out + i * k + slot, tl.sum(total, 1), mask=slot < k)


@triton.jit
@no_type_check
def _scatter_rows(order, start, values, g, out, k, d, SLOTS: tl.constexpr, WIDTH: tl.constexpr, SUM: tl.constexpr):
    # grid: rows of `out` x parts of d
    j = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    end = tl.load(start + j + 1)
    total = tl.zeros((SLOTS, WIDTH), SUM)
    for first in range(tl.load(start + j), end, SLOTS):
        position = first + tl.arange(0, SLOTS)
        entry = tl.load(order + position, mask=position < end, other=0).to(tl.int64)
        value = tl.load(values + entry, mask=position < end, other=0.0).to(SUM)
        sample = entry // k
        used = (value != 0.0)[:, None] & (column < d)[None, :]
        part = tl.load(g + sample[:, None] * d + column[None, :], mask=used, other=0.0)
        total += value[:, None] * part.to(SUM)
    tl.store(out + j * d + column, tl.sum(total, 0), mask=column < d)


@triton.jit
@no_type_check
def _encode(
    x, W, bias, pre, maxima, n, m, d, groups, x_n, x_d, W_m, W_d,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    # grid: tiles of rows x tiles of columns
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    column = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(0, d, DEPTH):
        at = (first + tl.arange(0, DEPTH)).to(tl.int64)
        left = x + row[:, None] * x_n + at[None, :] * x_d
        left = tl.load(left, mask=(row < n)[:, None] & (at < d)[None, :], other=0.0)
        right = W + column[None, :] * W_m + at[:, None] * W_d
        right = tl.load(right, mask=(column < m)[None, :] & (at < d)[:, None], other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    total += tl.load(bias + column, mask=column < m, other=float("-inf")).to(tl.float32)[None, :]
    tl.store(pre + row[:, None] * m + column[None, :], total, mask=(row < n)[:, None] & (column < m)[None, :])
    rank = tl.where(total == total, total, float("inf"))  # a group with NaN must be searched
    best = tl.max(tl.reshape(rank, (ROWS, COLUMNS // GROUP, GROUP)), 2)
    group = tl.program_id(1) * (COLUMNS // GROUP) + tl.arange(0, COLUMNS // GROUP)
    tl.store(maxima + row[:, None] * groups + group[None, :], best, mask=(row < n)[:, None] & (group < groups)[None, :])
