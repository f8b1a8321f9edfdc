"""Relative figures: one number over another, the same in any units of activations.

No denominator has an absolute floor here, since 1e-12 is nothing in one unit and much in another. What stands over 0
has no value, NaN, unless its definition says what it counts as there: the precision of a latent that never fires is 0.
"""

import math
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor


@overload
def ratio(top: Tensor, bottom: Tensor, otherwise: float = ...) -> Tensor: ...
@overload
def ratio(top: float, bottom: float, otherwise: float = ...) -> float: ...
def ratio(top: Tensor | float, bottom: Tensor | float, otherwise: float = math.nan) -> Tensor | float:
    """top / bottom, elementwise for tensors; `otherwise` where bottom is 0."""
    if isinstance(bottom, Tensor):
        defined = bottom != 0
        return torch.where(defined, top / bottom.where(defined, 1.0), otherwise)
    return top / bottom if bottom else otherwise


def unit_rows(rows: Float[Tensor, "*s m d"]) -> Float[Tensor, "*s m d"]:
    """Rows over their norms; a row of zeros stays."""
    return ratio(rows, rows.norm(dim=-1, keepdim=True), 0.0)


def difference(a: Tensor, b: Tensor) -> float:
    """|a - b| over the larger of |a| and |b|; 0 where both are 0."""
    return ratio(float((a - b).norm()), max(float(a.norm()), float(b.norm())), 0.0)


def spread(x: Float[Tensor, "n d"]) -> float:
    """Sum |x - mean x|² in float64: 0, and not a rounding error, for one row or for equal ones."""
    off = x.double() - x[:1].double()
    return float((off - off.mean(0)).square().sum())
