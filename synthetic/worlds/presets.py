"""Named worlds: functions, so that every field can be overridden; the command line knows them by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from synthetic.base.errors import pick
from synthetic.laws.copula import Copula, LowRankCopula, Phi
from synthetic.laws.firing import Independent
from synthetic.laws.forest import Forest
from synthetic.laws.low_coherence import LowCoherence, Orthogonalised
from synthetic.laws.magnitudes import PerFeature, Uniform
from synthetic.laws.noise import Isotropic
from synthetic.laws.rates import Constant, StretchedZipf, Zipf
from synthetic.mixture import SparseMixture
from synthetic.worlds import structured

PRESETS: dict[str, Callable[..., SparseMixture]] = {}


def _preset(function: Callable[..., SparseMixture]) -> Callable[..., SparseMixture]:
    PRESETS[function.__name__] = function
    return function


@_preset
def toy(**changes: Any) -> SparseMixture:
    """16 nearly orthogonal features in d = 16, two firing: every variant should solve it."""
    return replace(
        SparseMixture(n_true=16, d=16, directions=LowCoherence(0.1), firing=Independent(Constant(1 / 8))), **changes
    )


@_preset
def superposition(**changes: Any) -> SparseMixture:
    """64 random directions in d = 32, each firing with probability 1/16, magnitudes U(.5, 1.5)."""
    return replace(
        SparseMixture(n_true=64, d=32, firing=Independent(Constant(1 / 16)), magnitudes=Uniform(0.5, 1.5)), **changes
    )


@_preset
def correlated(**changes: Any) -> SparseMixture:
    """As `superposition`, with binary correlation phi = .3 inside groups of four features."""
    return superposition(**{"firing": Copula(Constant(1 / 16), Phi(0.3, group=4)), **changes})


@_preset
def hierarchical(**changes: Any) -> SparseMixture:
    """8 trees of 1 + 3 + 9 concepts with exclusive siblings: children absorb and hedge here. Zipf rates."""
    rates = Zipf(0.5, exponent=1.0)
    firing = Forest(Independent(rates), trees=8, branching=3, depth=2, exclusive=True)
    return replace(SparseMixture(n_true=104, d=48, firing=firing), **changes)


@_preset
def noisy(**changes: Any) -> SparseMixture:
    """As `superposition`, with isotropic noise at 10 dB."""
    return superposition(**{"noise": Isotropic(snr_db=10.0), **changes})


@_preset
def concept_tree(**changes: Any) -> SparseMixture:
    """Toy tree of 20 concepts with orthogonal levels and exclusive siblings, 1.36 firing."""
    return replace(structured.concept_tree(), **changes)


@_preset
def bidirectional(**changes: Any) -> SparseMixture:
    """24 random directions in d = 32, three firing, each with a fair sign."""
    return replace(structured.signed_sparse(), **changes)


@_preset
def circles(**changes: Any) -> SparseMixture:
    """8 two-dimensional features in d = 12, two firing, each on a circle."""
    return replace(structured.circles(), **changes)


@_preset
def synthsaebench_16k(
    *, scale_by_parent: bool = True, correlation: bool = True, n_true: int = 16384, d: int = 768, **changes: Any
) -> SparseMixture:
    """The public benchmark world SynthSAEBench-16k, rebuilt from its published configuration.

    Two worlds go by this name: with `scale_by_parent` (as the creation script says) and without (as the pinned
    data behave); state which one beside every score. The drawn numbers are ours, not those of the published file.
    Requested rates sum to 59.1; exclusion leaves E[L0] = 34.5 (see `Forest`, compensation "synthsaebench").

    Source: SynthSAEBench (arXiv 2602.14687).
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
    world = SparseMixture(
        n_true=n_true,
        d=d,
        directions=Orthogonalised(steps=100, lr=3e-4),
        firing=firing,
        magnitudes=PerFeature(first=5.0, last=4.0, sd_mean=0.5, sd_sd=0.5),
        bias_norm=0.5,
        seed=42,
    )
    return replace(world, **changes)


@_preset
def synthsaebench_16k_historical(**changes: Any) -> SparseMixture:
    """As `synthsaebench_16k` without parent scaling: how the pinned public data behave."""
    return synthsaebench_16k(**{"scale_by_parent": False, **changes})


def preset(name: str, **changes: Any) -> SparseMixture:
    """The preset of that name; a near miss is suggested for an unknown one."""
    return PRESETS[pick(name, PRESETS, "world")](**changes)
