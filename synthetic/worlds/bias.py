"""Worlds of the bias-adaptation papers: unit-norm samples of sparse nonnegative mixtures.

Source: Chen et al. (2025), arXiv 2506.14002; the planted partners and the two frequencies are ours.
"""

from dataclasses import replace
from typing import Any

from synthetic.laws.firing import ExactlyK, Firing, Independent
from synthetic.laws.forest import Forest
from synthetic.laws.magnitudes import GaussianRows
from synthetic.laws.rates import Levels
from synthetic.laws.sets import MixedK, Partners
from synthetic.mixture import SparseMixture
from synthetic.source import world
from synthetic.transformed import UnitNorm


@world
def uniform(n_true: int = 128, d: int = 32, s: int = 3, seed: int = 0, **changes: Any) -> UnitNorm:
    """Unit-norm samples of Gaussian rows, of which a uniformly random set of s fires with entries 1/sqrt(s).

    The dynamics class of the paper, before its samples are normalised.
    """
    return _world(n_true, d, ExactlyK(s), s, seed, changes)


@world
def planted(n_true: int = 128, d: int = 32, s: int = 4, rho_2: float = 0.5, seed: int = 0, **changes: Any) -> UnitNorm:
    """As `uniform`, but every feature has a partner that fires with it at the requested rate rho_2."""
    return _world(n_true, d, Partners(s, rho_2), s, seed, changes)


@world
def two_frequencies(
    n_true: int = 64, d: int = 32, high: float = 0.06, low: float = 0.006, seed: int = 0, **changes: Any
) -> UnitNorm:
    """Half of the features fire ten times as often as the others, all independently."""
    return _world(n_true, d, Independent(Levels((high, low))), 1, seed, changes)


@world
def unbalanced(n_true: int = 128, d: int = 42, s: tuple[int, int] = (3, 20), seed: int = 0, **changes: Any) -> UnitNorm:
    """Half of the samples hold 3 features, half 20; every feature fires in .09 of them."""
    return _world(n_true, d, MixedK(s), 1, seed, changes)


@world
def nested(n_true: int = 16, d: int = 16, rate: float = 0.2, seed: int = 0, **changes: Any) -> SparseMixture:
    """D_1 within D_2: each feature 1 of the second half fires only with its feature 2 of the first.

    Not identifiable: codes that move to rows v_1 + v_2 where both fire give the same samples, still nonnegative.
    """
    pairs = n_true // 2
    firing = Forest(Independent(Levels((rate, rate / 2))), trees=pairs, branching=1, depth=1)
    return replace(SparseMixture(n_true=2 * pairs, d=d, firing=firing, seed=seed), **changes)


def _world(n_true: int, d: int, firing: Firing, s: int, seed: int, changes: dict[str, Any]) -> UnitNorm:
    mixture = SparseMixture(n_true=n_true, d=d, firing=firing, magnitudes=GaussianRows(d, s**-0.5), seed=seed)
    return UnitNorm(replace(mixture, **changes))
