"""Sparse products as dense ones: what every other implementation must equal. n rows, k slots a row, M targets."""

from jaxtyping import Float, Int
from torch import Tensor


def _dense(indices: Tensor, values: Tensor, width: int) -> Float[Tensor, "n M"]:
    return values.new_zeros(len(values), width).scatter_add_(1, indices, values)


def gather_sum(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n d"]:
    """sum_a values[i, a] rows[indices[i, a]]: a sparse code times a dictionary."""
    return _dense(indices, values, len(rows)) @ rows


def gather_dot(
    indices: Int[Tensor, "n k"], g: Float[Tensor, "n d"], rows: Float[Tensor, "M d"]
) -> Float[Tensor, "n k"]:
    """<g[i], rows[indices[i, a]]>: the gradient of `gather_sum` in its values."""
    return (g @ rows.T).gather(1, indices)


def scatter_rows(
    indices: Int[Tensor, "n k"], values: Float[Tensor, "n k"], g: Float[Tensor, "n d"], size: int
) -> Float[Tensor, "M d"]:
    """sum of values[i, a] g[i] over indices[i, a] = j, for each of `size` rows j: both weights' gradients."""
    return _dense(indices, values, size).T @ g


def top_k(pre: Float[Tensor, "n m"], k: int) -> tuple[Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """The k largest entries of each row and their columns, in any order; any of equal entries may win."""
    values, indices = pre.topk(k, dim=-1)
    return values, indices


def encode_top_k(
    x: Float[Tensor, "n d"], W: Float[Tensor, "m d"], bias: Float[Tensor, " m"], k: int
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """Pre-activations x W^T + bias, and the k largest of their positive part: 0 in the slots of rows with fewer."""
    pre = (x @ W.T).to(bias.dtype).add_(bias)
    values, indices = pre.topk(k, dim=-1)
    return pre, values.relu(), indices


def kth_largest(rows: Float[Tensor, "n w"], k: int) -> Float[Tensor, "n 1"]:
    """The k-th largest entry of each row."""
    return rows.kthvalue(rows.shape[-1] - k + 1, dim=-1, keepdim=True).values
