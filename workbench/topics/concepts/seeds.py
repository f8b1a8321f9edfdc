"""Which changes of coordinates two runs differ by: none but a relabelling, a linear map, an affine one, or more."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from synthetic.base.streams import stream
from workbench.topics.concepts.probes import correlation
from workbench.topics.concepts.regression import must_be_enough, r_squared, scaled_fit


@dataclass(frozen=True)
class Agreement:
    """Of two representations of the same contexts, in [0, 1]; chance is that of one with its rows shuffled."""

    affine: float
    """R^2 of b ~ a A + c"""
    linear: float
    """R^2 about 0 of b ~ a A: without an intercept"""
    permutation: float
    """mean |correlation| of matched coordinates: 1 where b is a relabelled and rescaled a"""
    affine_chance: float
    linear_chance: float
    permutation_chance: float


def agreement(
    a: Float[Tensor, "s p"], b: Float[Tensor, "s q"], weights: Float[Tensor, " s"], seed: int = 0
) -> Agreement:
    """Compare representations of two seeds, float64.

    Raises:
        NotIdentifiable: fewer than 4 contexts for each coordinate, where any two representations agree.
    """
    must_be_enough(len(a), a.shape[1], "agreement of seeds")
    order = torch.randperm(len(a), generator=stream(seed, "identifiability/chance"))
    real, chance = (_scores(a, other, weights) for other in (b, b[order]))
    return Agreement(*real, *chance)


def _scores(a: Tensor, b: Tensor, weights: Tensor) -> tuple[float, float, float]:
    root = weights.sqrt()[:, None]
    found = scaled_fit(root * a, root * b)
    linear = 1 - (weights @ (b - a @ found).square()).sum() / (weights @ b.square()).sum()
    linked = correlation(a, b, weights).abs()
    rows, columns = linear_sum_assignment(linked.numpy(), maximize=True)
    return r_squared(a, b, weights, "affine"), float(linear), float(linked[rows, columns].mean())
