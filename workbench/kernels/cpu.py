"""Sparse products on a CPU: bags of rows in place of dense latents, selection through the maxima of groups."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from synthetic.source import places
from workbench.kernels import reference

_GROUP = 16
"""columns a group of `top_k`; 8 and 32 are within a tenth of it at m 2048 to 8192, k 16 to 32"""


def gather_sum(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n d"]:
    """See `reference.gather_sum`; one bag of k rows a sample."""
    return F.embedding_bag(indices, rows, per_sample_weights=values, mode="sum")


def gather_dot(
    indices: Int[Tensor, "n k"], g: Float[Tensor, "n d"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n k"]:
    """See `reference.gather_dot`; torch's own backward of a bag, whose forward runs over no columns."""
    n, k = indices.shape
    bag = torch.arange(n, device=g.device).repeat_interleave(k)
    starts = torch.arange(0, n * k, k, device=g.device)
    backward = torch.ops.aten._embedding_bag_per_sample_weights_backward
    return backward(g.contiguous(), rows, indices.flatten(), starts, bag, 0).view(n, k)


def scatter_rows(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], g: Float[Tensor, "n d"], size: int
) -> Float[Tensor, "M d"]:
    """See `reference.scatter_rows`; one bag of samples a target row, empty slots left out."""
    target, weight, slots = indices.flatten(), values.flatten(), indices.shape[1]
    used = weight != 0
    if bool(used.all()):
        order = _stable_order(target, size)
        at = order.div(slots, rounding_mode="floor")
    else:
        entries = used.nonzero().squeeze(1)
        target, weight = target[entries], weight[entries]
        order = _stable_order(target, size)
        at = entries[order].div(slots, rounding_mode="floor")
    count = torch.bincount(target, minlength=size)
    return F.embedding_bag(at, g, count.cumsum(0) - count, per_sample_weights=weight[order], mode="sum")


def _stable_order(target: Int[Tensor, " L"], size: int) -> Int[Tensor, " L"]:
    """Order that sorts small integers; numpy sorts 16-bit ones by radix, in a fifth of torch's time."""
    if size > 1 << 16:
        return torch.sort(target, stable=True).indices
    return torch.from_numpy(np.argsort(target.numpy().astype(np.uint16), kind="stable"))


def top_k(pre: Float[Tensor, "n m"], k: int) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """See `reference.top_k`; exact.

    With columns in groups, the k groups of largest maxima hold a top k: were an entry of it in another group, k chosen
    groups would each have a maximum at least as large. So a row is searched once for its groups' maxima and then only
    among the k chosen groups. Equal entries at a cut make it search the plain way.
    """
    n, m = pre.shape
    groups = m // _GROUP
    if m % _GROUP or groups < 4 * k:
        return reference.top_k(pre, k)
    grouped = pre.view(n, _GROUP, groups)
    chosen = _largest(grouped.amax(1), k)
    if chosen is None:
        return reference.top_k(pre, k)
    columns = (chosen[:, None, :] + torch.arange(0, m, groups, device=pre.device)[:, None]).flatten(1)
    candidates = pre.gather(1, columns)
    slots = _largest(candidates, k)
    if slots is None:
        return reference.top_k(pre, k)
    return candidates.gather(1, slots), columns.gather(1, slots)


def encode_top_k(
    x: Float[Tensor, "n d"], W: Float[Tensor, "m d"], bias: Float[Tensor, " m"], k: int
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """See `reference.encode_top_k`."""
    pre = torch.addmm(bias, x, W.T)
    values, indices = top_k(pre, k)
    return pre, values.relu(), indices


def _largest(rows: Float[Tensor, "n w"], k: int) -> Int[Tensor, "n k"] | None:
    """Columns of the k largest entries of each row, ascending; None where ties leave a choice or NaN hides one."""
    cut = kth_largest(rows, k)
    flat = places(rows >= cut)
    clear = len(flat) == len(rows) * k and not bool(cut.isnan().any())
    return flat.view(-1, k) % rows.shape[1] if clear else None


def kth_largest(rows: Float[Tensor, "n w"], k: int) -> Float[Tensor, "n 1"]:
    """See `reference.kth_largest`; numpy's quickselect is up to ten times faster, and its sort is in short rows."""
    n, width = rows.shape
    ordered = np.sort(rows.numpy(), axis=1) if width <= 512 else np.partition(rows.numpy(), width - k, axis=1)
    return torch.from_numpy(ordered[:, width - k].copy()).view(n, 1)
