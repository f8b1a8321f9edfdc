"""Worlds of signed codes, and unsigned ones beside them.

Source: bidirectional features are those of Zhu et al. (2025), arXiv 2510.00404, who have no synthetic data; these
worlds are ours.
"""

from dataclasses import replace
from typing import Any

from synthetic.laws.firing import ExactlyK, Exclusive
from synthetic.laws.magnitudes import MixedSigns, Signed, around
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from synthetic.source import world


@world
def bidirectional(
    n_true: int = 24, d: int = 32, k: int = 3, sd: float = 0.25, seed: int = 0, **changes: Any
) -> SparseMixture:
    """24 random directions in d = 32, three firing, each with a fair sign; magnitudes |N(1, sd^2)|.

    At k = n_true and sd = 0 an axis is always on at one of two values, which a bias and one unsigned latent can write.
    """
    mixture = SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=Signed(around(1.0, sd)), seed=seed)
    return replace(mixture, **changes)


@world
def unipolar_sparse(
    n_true: int = 24, d: int = 32, k: int = 3, sd: float = 0.25, seed: int = 0, **changes: Any
) -> SparseMixture:
    """As `bidirectional` without the signs."""
    mixture = SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=around(1.0, sd), seed=seed)
    return replace(mixture, **changes)


@world
def mixed_signs(
    q: float = 0.5,
    p_plus: float = 0.5,
    n_true: int = 24,
    d: int = 32,
    k: int = 3,
    sd: float = 0.25,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Bidirectional beside unipolar features: the first round(q n_true) are positive with probability p_plus."""
    magnitudes = MixedSigns(around(1.0, sd), q, p_plus)
    return replace(SparseMixture(n_true=n_true, d=d, firing=ExactlyK(k), magnitudes=magnitudes, seed=seed), **changes)


@world
def exclusive_pairs(
    pairs: int = 6, d: int = 32, rate: float = 1.0, sd: float = 0.0, seed: int = 0, **changes: Any
) -> SparseMixture:
    """Unipolar features in pairs (2i, 2i + 1) of which one fires, a fair choice, with probability `rate`.

    At rate 1 and sd 0 a pair is v_i + v_j over 2, always on, and one signed axis v_i - v_j: half as many latents do.
    """
    firing = Exclusive(Constant(rate / 2), 2)
    mixture = SparseMixture(n_true=2 * pairs, d=d, firing=firing, magnitudes=around(1.0, sd), seed=seed)
    return replace(mixture, **changes)
