"""Worlds of groups of neurons, for nonnegative codes.

Source: ours, after the MLP features of Shafran et al. (2025), arXiv 2506.10920, who have no synthetic data.
"""

from dataclasses import replace
from typing import Any

from synthetic.laws.firing import Independent
from synthetic.laws.magnitudes import Signed, Uniform
from synthetic.laws.neuron_rows import CoreExclusive, DisjointSupports, Families
from synthetic.laws.noise import Isotropic, NoNoise
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from synthetic.source import world
from synthetic.transformed import Nonlinear


@world
def disjoint_factors(
    n_true: int = 12,
    d: int = 120,
    size: int = 10,
    rate: float = 0.25,
    noise: float = 0.003,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Nonnegative factors over neurons of their own: U(0, 1) magnitudes, independent firing.

    Rows have unit norm: noise .003 stands to them as .01 does to rows of ten N(0, 1) entries.
    """
    mixture = SparseMixture(
        n_true=n_true,
        d=d,
        directions=DisjointSupports(size),
        firing=Families(Constant(rate), 1),
        magnitudes=Uniform(0.0, 1.0),
        noise=_noise(noise),
        seed=seed,
    )
    return replace(mixture, **changes)


@world
def core_exclusive(
    families: int = 4,
    leaves: int = 4,
    d: int = 160,
    core: int = 12,
    exclusive: int = 6,
    boost: float = 1.2,
    overlap: int = 0,
    opposed: bool = False,
    rate: float = 0.12,
    noise: float = 0.0045,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Nonnegative factors in families: a leaf is the family's core neurons and exclusive ones.

    See `CoreExclusive`. `truth.levels` is the family, `world.directions.cores(truth.features)` the cores. Rows have
    unit norm: noise .0045 stands to them as .02 does to rows of 12 entries N(0, 1) and 6 entries N(0, 1.2^2).
    """
    mixture = SparseMixture(
        n_true=families * leaves,
        d=d,
        directions=CoreExclusive(families, leaves, core, exclusive, boost, overlap, opposed),
        firing=Families(Constant(rate), leaves),
        magnitudes=Uniform(0.5, 1.5),
        noise=_noise(noise),
        seed=seed,
    )
    return replace(mixture, **changes)


@world
def nonlinear(
    n_true: int = 24,
    d: int = 16,
    width: int = 120,
    rate: float = 0.1,
    gain: float = 3.0,
    bias_norm: float = 0.0,
    seed: int = 0,
    **changes: Any,
) -> Nonlinear:
    """GELU neurons that read a sparse superposition; see `Nonlinear` for what its truth means."""
    firing = Independent(Constant(rate))
    mixture = SparseMixture(n_true=n_true, d=d, firing=firing, bias_norm=bias_norm, seed=seed)
    return Nonlinear(replace(mixture, **changes), width, gain)


@world
def offset(
    norm: float = 5.0,
    n_true: int = 12,
    d: int = 60,
    rate: float = 0.25,
    noise: float = 0.0,
    seed: int = 0,
    **changes: Any,
) -> SparseMixture:
    """Signed codes beside a common mean. Where its norm is large, nonnegative codes reach the error of the SVD."""
    mixture = SparseMixture(
        n_true=n_true,
        d=d,
        firing=Independent(Constant(rate)),
        magnitudes=Signed(Uniform()),
        noise=_noise(noise),
        bias_norm=norm,
        seed=seed,
    )
    return replace(mixture, **changes)


def _noise(sd: float) -> Isotropic | NoNoise:
    return Isotropic(sd=sd) if sd else NoNoise()
