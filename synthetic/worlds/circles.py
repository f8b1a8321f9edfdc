"""Worlds of features with several dimensions. Source: Engels et al. (2024), arXiv 2405.14860; the law is ours."""

from dataclasses import replace
from typing import Any

from synthetic.laws.magnitudes import around
from synthetic.laws.subspaces import RandomFrames, Subspaces
from synthetic.mixture import SparseMixture
from synthetic.source import world


@world
def circles(
    groups: int = 8, dim: int = 2, k: int = 2, d: int = 12, sd: float = 0.0, seed: int = 0, **changes: Any
) -> SparseMixture:
    """8 two-dimensional features in d = 12, two firing, each on a circle (sphere) of radius |N(1, sd^2)|."""
    mixture = SparseMixture(
        n_true=groups * dim,
        d=d,
        directions=RandomFrames(dim),
        firing=Subspaces(dim, k),
        magnitudes=around(1.0, sd),
        seed=seed,
    )
    return replace(mixture, **changes)
