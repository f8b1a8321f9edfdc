"""Worlds of sparse mixtures in superposition: flat, unsigned, linear."""

from dataclasses import replace
from typing import Any

from synthetic.laws.copula import Copula, Phi
from synthetic.laws.directions import LowCoherence
from synthetic.laws.firing import Independent
from synthetic.laws.magnitudes import Uniform
from synthetic.laws.noise import Isotropic
from synthetic.laws.rates import Constant
from synthetic.mixture import SparseMixture
from synthetic.source import world
from synthetic.transformed import Standardised


@world
def toy(**changes: Any) -> SparseMixture:
    """16 nearly orthogonal features in d = 16, two firing: every variant should solve it."""
    return replace(
        SparseMixture(n_true=16, d=16, directions=LowCoherence(0.1), firing=Independent(Constant(1 / 8))), **changes
    )


@world
def superposition(**changes: Any) -> SparseMixture:
    """64 random directions in d = 32, each firing with probability 1/16, magnitudes U(.5, 1.5)."""
    return replace(
        SparseMixture(n_true=64, d=32, firing=Independent(Constant(1 / 16)), magnitudes=Uniform(0.5, 1.5)), **changes
    )


@world
def correlated(**changes: Any) -> SparseMixture:
    """As `superposition`, with binary correlation phi = .3 inside groups of four features."""
    return superposition(**{"firing": Copula(Constant(1 / 16), Phi(0.3, group=4)), **changes})


@world
def noisy(**changes: Any) -> SparseMixture:
    """As `superposition`, with isotropic noise at 10 dB."""
    return superposition(**{"noise": Isotropic(snr_db=10.0), **changes})


@world
def standardised(**changes: Any) -> Standardised:
    """As `superposition`, with every sample centred over dimensions and divided by its standard deviation."""
    return Standardised(superposition(**changes))
