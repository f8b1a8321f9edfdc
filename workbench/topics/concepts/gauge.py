"""Two optima of one prediction problem differ by a matrix, and by nothing else that their unembeddings can see."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.concepts.activations import Readout, numerical_rank
from workbench.topics.concepts.regression import NotIdentifiable, r_squared


def differences(u: Float[Tensor, "t d"]) -> Float[Tensor, "d t1"]:
    """Columns u_j - u_0: Lhat of unembeddings, L of the p(c|y)."""
    return (u[1:] - u[0]).T


def gauge(one: Float[Tensor, "t d"], other: Float[Tensor, "t e"]) -> Float[Tensor, "e d"]:
    """G with x' = x G^T for two optima with unembeddings `one` (of x) and `other` (of x'): G = (Lhat'^T)^+ Lhat^T.

    Raises:
        NotIdentifiable: differences of unembeddings do not span the width, so that x has parts no logit depends on.

    Source: ours; (u_j - u_0) . x = (u'_j - u'_0) . x' for all contexts and tokens.
    """
    for name, u in (("first", one), ("second", other)):
        rank = numerical_rank(torch.linalg.svdvals(differences(u)))
        if rank < u.shape[1]:
            raise NotIdentifiable(
                f"the {name} model's unembeddings must have differences of rank d={u.shape[1]}; got rank {rank}: the "
                f"rest of x is arbitrary; compare logits, or drop the null space."
            )
    return torch.linalg.pinv(differences(other).T) @ differences(one).T


@dataclass(frozen=True)
class Alignment:
    """How far two readouts agree up to their gauge."""

    error: float
    """max |x' - x G^T| over max |x'|"""
    forward: float
    """R^2 of x' ~ x"""
    backward: float
    """R^2 of x ~ x'"""


def align(one: Readout, other: Readout, weights: Float[Tensor, " s"]) -> Alignment:
    """Compare two optima; x' is centred first, since each may carry a constant that softmax does not see."""
    moved, target = one.x @ gauge(one.u, other.u).T, other.x
    off = (moved - weights @ moved / weights.sum()) - (target - weights @ target / weights.sum())
    return Alignment(
        float(off.abs().max() / target.abs().max()),
        r_squared(one.x, other.x, weights, "x' ~ x"),
        r_squared(other.x, one.x, weights, "x ~ x'"),
    )
