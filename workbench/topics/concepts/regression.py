"""How far one set of numbers is an affine function of another, over contexts with weights."""

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.concepts.latent import ENOUGH
from workbench.ratios import ratio


class NotIdentifiable(ValueError):  # noqa: N818
    """A question that the data cannot answer, whatever the numbers: too few contexts, or a symmetry in the way."""


def affine_fit(
    regressors: Float[Tensor, "s p"], targets: Float[Tensor, "s q"], weights: Float[Tensor, " s"]
) -> tuple[Float[Tensor, "p q"], Float[Tensor, " q"]]:
    """Least squares targets ~ regressors A + b under weights: A (least-norm where it is not unique) and b."""
    mean_x, mean_y = weights @ regressors / weights.sum(), weights @ targets / weights.sum()
    root = weights.sqrt()[:, None]
    x, y = root * (regressors - mean_x), root * (targets - mean_y)
    a = scaled_fit(x, y)
    return a, mean_y - mean_x @ a


def scaled_fit(x: Float[Tensor, "s p"], y: Float[Tensor, "s q"]) -> Float[Tensor, "p q"]:
    """Least squares y ~ x A on columns of norm 1, so that none is taken for round-off; 0 for columns of zeros."""
    size = x.norm(dim=0)
    return ratio(torch.linalg.lstsq(ratio(x, size, 0.0), y, driver="gelsd").solution, size[:, None], 0.0)


def unexplained(
    regressors: Float[Tensor, "s p"], targets: Float[Tensor, "s q"], weights: Float[Tensor, " s"]
) -> Float[Tensor, " q"]:
    """1 - R^2 of each target, NaN where it is constant; no check that there are contexts enough."""
    left, total = _squares(regressors, targets, weights)
    return ratio(left, total)


def r_squared(
    regressors: Float[Tensor, "s p"], targets: Float[Tensor, "s q"], weights: Float[Tensor, " s"], what: str = "R²"
) -> float:
    """R^2 of targets ~ regressors, pooled over targets: 1 - sum of squares left / sum of squares, intercept included.

    Raises:
        NotIdentifiable: fewer than 4 contexts for each regressor; with one more than regressors any target fits.
    """
    must_be_enough(len(regressors), regressors.shape[1], what)
    left, total = _squares(regressors, targets, weights)
    must(float(total.sum()) > 0, f"{what}'s targets", "of some variance", "constants", "vary the contexts")
    return float(1 - left.sum() / total.sum())


def _squares(regressors: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted squares of each target that the fit leaves, and those about its mean."""
    a, b = affine_fit(regressors, targets, weights)
    left = weights @ (targets - regressors @ a - b).square()
    return left, weights @ (targets - weights @ targets / weights.sum()).square()


def must_be_enough(contexts: int, regressors: int, what: str) -> None:
    """Refuse a regression on too few contexts."""
    if contexts < ENOUGH * regressors:
        raise NotIdentifiable(
            f"{what} must be taken over at least {ENOUGH} contexts for each of {regressors} regressors; got {contexts} "
            f"contexts: add contexts, or ask for fewer numbers."
        )
