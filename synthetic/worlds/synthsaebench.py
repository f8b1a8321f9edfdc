"""The worlds of SynthSAEBench-16k. Source: arXiv 2602.14687; rebuilt from its published configuration."""

from dataclasses import replace
from typing import Any

from synthetic.laws.copula import LowRankCopula
from synthetic.laws.directions import Orthogonalised
from synthetic.laws.firing import Independent
from synthetic.laws.forest import Forest
from synthetic.laws.magnitudes import PerFeature
from synthetic.laws.rates import StretchedZipf
from synthetic.mixture import SparseMixture
from synthetic.source import world


@world
def synthsaebench_16k(
    *, scale_by_parent: bool = True, correlation: bool = True, n_true: int = 16384, d: int = 768, **changes: Any
) -> SparseMixture:
    """The public benchmark world SynthSAEBench-16k, rebuilt from its published configuration.

    Two worlds go by this name: with `scale_by_parent` (as the creation script says) and without (as the pinned
    data behave); state which one beside every score. The drawn numbers are ours, not those of the published file.
    Requested rates sum to 59.1; exclusion leaves E[L0] = 34.5 (see `Forest`, compensation "synthsaebench").
    """
    rates = StretchedZipf(exponent=0.5, high=0.4, low=5e-4)
    firing = Forest(
        base=LowRankCopula(rates, rank=25, scale=0.1) if correlation else Independent(rates),
        trees=128,
        branching=4,
        depth=3,
        exclusive=True,
        compensation="synthsaebench",
        scale_by_parent=scale_by_parent,
    )
    mixture = SparseMixture(
        n_true=n_true,
        d=d,
        directions=Orthogonalised(steps=100, lr=3e-4),
        firing=firing,
        magnitudes=PerFeature(first=5.0, last=4.0, sd_mean=0.5, sd_sd=0.5),
        bias_norm=0.5,
        seed=42,
    )
    return replace(mixture, **changes)


@world
def synthsaebench_16k_historical(**changes: Any) -> SparseMixture:
    """As `synthsaebench_16k` without parent scaling: how the pinned public data behave."""
    return synthsaebench_16k(**{"scale_by_parent": False, **changes})
