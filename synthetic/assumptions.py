"""The hypotheses of identifiability, as figures and predicates of a drawn world."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import stream
from synthetic.laws.directions import overlaps
from synthetic.mixture import SparseMixture
from synthetic.source import Codes
from synthetic.transformed import UnitNorm


@dataclass(frozen=True)
class Conditions:
    """What H1-H3 and V1 ask about, of one world.

    Source: Chen et al. (2025), arXiv 2506.14002, section 5. There they are asymptotic; here the caller sets
    thresholds.
    """

    n_true: int
    s: int
    """H1: most features that fire in a drawn sample"""
    balance: float
    """H2: least over features of E[h_i^2 | fires], divided by the largest; in the drawn samples"""
    rho_2: float
    """H3: max over i != k of P(k fires | i fires), exact; NaN where the world has no closed co-firing"""
    rho_2_drawn: float
    """the same in the drawn samples; far above rho_2 where rare features fired a few times"""
    mu: float
    """V1: largest |cos| of two directions"""
    nonnegative: bool
    """whether every drawn entry is"""

    def failing(
        self, *, s: int, balance: float = 0.25, mu: float = 0.5, rho_2: float | None = None
    ) -> dict[str, float]:
        """Conditions that do not hold at these thresholds, with their figures.

        Args:
            s: most features a sample may have.
            balance: least ratio of mean squares.
            mu: largest coherence.
            rho_2: largest co-occurrence; n_true^(-1/2), as published, where None.
        """
        limit = self.n_true**-0.5 if rho_2 is None else rho_2
        rho = self.rho_2_drawn if self.rho_2 != self.rho_2 else self.rho_2
        found = {
            "H1 row sparsity": (float(self.s), self.s <= s),
            "H2 non-degeneracy": (self.balance, self.balance >= balance),
            "H3 low co-occurrence": (rho, rho <= limit),
            "V1 incoherence": (self.mu, self.mu <= mu),
            "H >= 0": (float(self.nonnegative), self.nonnegative),
        }
        return {name: value for name, (value, holds) in found.items() if not holds}


def conditions(world: SparseMixture | UnitNorm, n: int = 20_000, seed: int = 0) -> Conditions:
    """Figures of a world: exact where it has closed forms, else of n samples (stream "conditions")."""
    must(n >= 2, "conditions.n", "at least 2", n, "draw more samples")
    truth = world.truth
    h = world.sample(n, stream(seed, "conditions")).h
    dense = h.dense().double()
    fires = dense != 0
    count = fires.sum(0)
    square = dense.square().sum(0)[count > 0] / count[count > 0]
    exact = float("nan")
    if truth.cofiring is not None:
        exact = largest_share(truth.cofiring(torch.arange(truth.n_true)))
    return Conditions(
        n_true=truth.n_true,
        s=int(fires.sum(1).max()),
        balance=float(square.min() / square.max()),
        rho_2=exact,
        rho_2_drawn=largest_share(together(h)),
        mu=float(overlaps(truth.features.double()).max()),
        nonnegative=bool((dense >= 0).all()),
    )


def together(h: Codes) -> Float[Tensor, "n_true n_true"]:
    """Samples in which two features both fire, counts on the diagonal."""
    fires = (h.dense() != 0).float()
    return (fires.T @ fires).double()


def largest_share(joint: Float[Tensor, "n_true n_true"]) -> float:
    """max over i != k of joint_ik / joint_ii, over features that fire."""
    rate = joint.diagonal()
    share = torch.where(rate[:, None] > 0, joint / rate[:, None].clamp_min(1e-300), 0.0)
    return float(share.fill_diagonal_(0).max())
