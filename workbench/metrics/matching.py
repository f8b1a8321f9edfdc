"""Which latent stands for which true feature: one-to-one assignment on decoder directions."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from synthetic.base.streams import stream
from workbench.ratios import unit_rows


def cosines(rows: Float[Tensor, "m d"], features: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    """cos(row_j, feature_i), float64; 0 for a zero row."""
    return unit_rows(rows.detach().double()) @ unit_rows(features.detach().double()).T


@dataclass(frozen=True)
class Geometry:
    """Decoder rows against true directions. m latents, n features."""

    latent_of: Int[Tensor, " n"]
    """latent assigned to each feature, -1 for none: maximises the sum of |cos| over one-to-one assignments"""
    cosine_of: Float[Tensor, " n"]
    """signed cosine of that pair, 0 for none"""
    nearest: Int[Tensor, " m"]
    """feature with the largest |cos| to each latent"""
    second: Int[Tensor, " m"]
    """feature with the second largest |cos| (the nearest again where there is one feature)"""
    nearest_cosine: Float[Tensor, " m"]
    """largest |cos| of each latent"""
    best_signed: Float[Tensor, " n"]
    """largest cos of any latent with each feature"""
    least_signed: Float[Tensor, " n"]
    """least cos of any latent with each feature"""
    best_absolute: Float[Tensor, " n"]
    """largest |cos| of any latent with each feature"""

    @property
    def mean_matched(self) -> float:
        """Mean |cos| over the min(m, n) assigned pairs."""
        return float(self.cosine_of[self.latent_of >= 0].abs().mean())


def match(rows: Float[Tensor, "m d"], features: Float[Tensor, "n d"]) -> Geometry:
    """Assign latents to features (Jonker-Volgenant, exact) and collect extreme cosines.

    At m n ~ 10^8 copies and column indices cost more than the assignment: the matrix is turned in place, from cosines
    to their sizes to the solver's costs -|cos|, which it reads without a copy if m <= n.
    """
    matrix = cosines(rows.cpu(), features.cpu())
    n = len(features)
    best_signed, least_signed, negative = matrix.amax(0), matrix.amin(0), matrix.signbit()
    size = matrix.abs_()
    best_absolute, nearest = size.amax(0), size.argmax(1)
    top = size.topk(min(2, n), dim=1)
    first, last = top.indices[:, 0], top.indices[:, -1]
    cost = size.neg_()
    latent, feature = (torch.from_numpy(index) for index in linear_sum_assignment(cost.numpy()))
    latent_of = torch.full((n,), -1)
    latent_of[feature] = latent
    cosine_of = torch.zeros(n, dtype=torch.float64)
    paired = cost[latent, feature]
    cosine_of[feature] = torch.where(negative[latent, feature], paired, -paired)
    return Geometry(
        latent_of=latent_of,
        cosine_of=cosine_of,
        nearest=nearest,
        second=torch.where(first == nearest, last, first),  # topk and argmax may order a tie differently
        nearest_cosine=top.values[:, 0],
        best_signed=best_signed,
        least_signed=least_signed,
        best_absolute=best_absolute,
    )


_random: dict[tuple[int, int, bytes], list[Geometry]] = {}


def random_geometries(m: int, features: Float[Tensor, "n d"]) -> list[Geometry]:
    """Geometry of m uniformly random directions against these features: what chance gives. Kept for reuse.

    Sixteen draws, two where m n > 10^6 (their spread is then below .001).
    """
    key = (m, len(features), hashlib.blake2b(features.cpu().numpy().tobytes()).digest())
    if key not in _random:
        draws = 16 if m * len(features) <= 1e6 else 2
        d = features.shape[1]
        rows = (torch.randn(m, d, generator=stream(0, "null", i), dtype=torch.float64) for i in range(draws))
        if len(_random) > 64:
            _random.clear()
        _random[key] = [match(row, features) for row in rows]
    return _random[key]
