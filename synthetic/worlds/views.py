"""Worlds of two sides: targets that are a sparse map of what activations hold, and several views of one thing.

Source: ours; for transcoders (Dunefsky et al. 2024, arXiv 2406.11944) and crosscoders (Lindsey et al. 2024).
"""

from dataclasses import replace
from typing import Any

from synthetic.laws.directions import InViews
from synthetic.laws.firing import Independent
from synthetic.laws.magnitudes import Uniform
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from synthetic.source import world
from synthetic.transformed import SparseMap


@world
def sparse_map(
    d_out: int = 24,
    n_out: int = 64,
    fan: int = 2,
    dense: float = 0.0,
    n_true: int = 64,
    d: int = 32,
    rate: float = 1 / 16,
    seed: int = 0,
    **changes: Any,
) -> SparseMap:
    """Pairs: 64 features in x, each writing to 2 of 64 output directions of y; `dense` adds a linear map of x."""
    mixture = SparseMixture(
        n_true=n_true, d=d, firing=Independent(Constant(rate)), magnitudes=Uniform(0.5, 1.5), seed=seed
    )
    return SparseMap(replace(mixture, **changes), d_out, n_out, fan, dense)


@world
def two_views(
    exclusive: float = 0.5,
    weak: float = 1.0,
    views: int = 2,
    n_true: int = 48,
    d: int = 48,
    rate: float = 1 / 16,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Two views side by side: half of the features are in both, the others in one alone, by turns."""
    mixture = SparseMixture(
        n_true=n_true,
        d=d,
        directions=InViews(views, exclusive, weak),
        firing=Independent(Constant(rate)),
        magnitudes=Uniform(0.5, 1.5),
        seed=seed,
    )
    return replace(mixture, **changes)
