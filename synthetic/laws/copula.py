"""Dependent firing by a Gaussian copula: feature i fires iff z_i > t_i, z ~ N(0, R), t_i = Phi^-1(1 - rate_i)."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import qmc
from torch import Tensor

from synthetic.base.annotations import at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, bernoulli_hits, flat_statistics
from synthetic.laws.magnitudes import Drawn, Law
from synthetic.laws.rates import Constant, Rates, Scaled
from synthetic.source import places

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(64))
Pair = tuple[int, int, float]


def threshold(rates: Tensor) -> Tensor:
    """The t with P(N(0,1) > t) = rate."""
    return -torch.special.ndtri(rates)


def joint_rate(rate_i: Tensor, rate_j: Tensor, rho: Tensor) -> Tensor:
    """P(z_i > t_i and z_j > t_j) for a bivariate normal of correlation rho; elementwise, float64.

    = rate_i rate_j + (1/2pi) int_0^asin(rho) exp(-(a^2 - 2ab sin u + b^2) / (2 cos^2 u)) du, a, b the thresholds.

    Source: Drezner and Wesolowsky (1990); 64-point Gauss-Legendre, error under 1e-10 for |rho| <= .99.
    """
    a, b = (threshold(rate).clamp(-38, 38) for rate in (rate_i, rate_j))  # rate 1: finite, and the integrand still 0
    half = torch.asin(rho.clamp(-1, 1)) / 2
    total = torch.zeros_like(half)
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        u = half * (1 + node)
        exponent = -(a * a - 2 * a * b * torch.sin(u) + b * b) / (2 * torch.cos(u).square().clamp_min(1e-300))
        total += weight * torch.exp(exponent)
    return rate_i * rate_j + half * total / (2 * math.pi)


def latent_from_phi(rate_i: Tensor, rate_j: Tensor, phi: Tensor) -> Tensor:
    """Latent correlation that gives two binary variables the correlation phi, by bisection (it is monotone).

    Raises ValueError where no latent correlation in [-.9999, .9999] has that phi. Its P(both) spans all but the very
    ends of [max(0, r_i + r_j - 1), min(r_i, r_j)], outside which no two binary variables of such rates exist.
    """
    spread = (rate_i * (1 - rate_i) * rate_j * (1 - rate_j)).sqrt()
    both = rate_i * rate_j + phi * spread
    limit = torch.full_like(phi, 0.9999)
    least, most = joint_rate(rate_i, rate_j, -limit), joint_rate(rate_i, rate_j, limit)
    bad = (both < least - 1e-10) | (both > most + 1e-10) | ((spread == 0) & (phi != 0))
    if bad.any():
        at = int(bad.nonzero()[0, 0])
        low, high = ((end - rate_i * rate_j) / spread.clamp_min(1e-300) for end in (least, most))
        must(
            False,
            "Phi.value",
            f"in [{low[at]:.4g}, {high[at]:.4g}] for rates {rate_i[at]:.4g} and {rate_j[at]:.4g}",
            f"{phi[at]:.4g}",
            "binary variables of unequal or small rates cannot correlate more",
        )
    low, high = -limit, limit
    for _ in range(50):
        middle = (low + high) / 2
        below = joint_rate(rate_i, rate_j, middle) < both
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


@runtime_checkable
class Dependence(Protocol):
    """How the latent Gaussians correlate."""

    def latent(self, rates: Float[Tensor, " n"]) -> Float[Tensor, "n n"]:
        """Latent correlation matrix, unit diagonal."""
        ...


def _requested(n: int, value: float, group: int | None, pairs: tuple[Pair, ...]) -> Float[Tensor, "n n"]:
    matrix = torch.full((n, n), value, dtype=torch.float64)
    if group is not None:
        member = torch.arange(n) // group
        matrix = matrix * (member[:, None] == member)
    for i, j, rho in pairs:
        must(0 <= i < n and 0 <= j < n and i != j, "pairs", f"of distinct features below {n}", (i, j), "renumber")
        matrix[i, j] = matrix[j, i] = rho
    return matrix.fill_diagonal_(1)


@knob
@dataclass(frozen=True)
class LatentCorrelation:
    """Correlation of the latent Gaussians themselves. The binary one is much weaker for rare features.

    Source: Gaussian copula; rho = .5 gives binary phi .32, .20, .09 at rates .3, .05, .005.
    """

    value: float = 0.0
    group: int | None = None
    """correlate only inside groups of this many consecutive features; None for all pairs"""
    pairs: tuple[Pair, ...] = ()
    """(i, j, correlation), overriding `value`"""

    def latent(self, rates: Float[Tensor, " n"]) -> Float[Tensor, "n n"]:
        return _requested(len(rates), self.value, self.group, self.pairs)


@knob
@dataclass(frozen=True)
class Phi:
    """Correlation phi of the *binary* firing variables, inverted numerically to the latent one. Source: ours."""

    value: float = 0.0
    group: int | None = None
    """correlate only inside groups of this many consecutive features; None for all pairs"""
    pairs: tuple[Pair, ...] = ()
    """(i, j, phi), overriding `value`"""

    def latent(self, rates: Float[Tensor, " n"]) -> Float[Tensor, "n n"]:
        n = len(rates)
        phi = _requested(n, self.value, self.group, self.pairs)
        i, j = torch.triu_indices(n, n, 1)
        wanted = torch.stack((torch.minimum(rates[i], rates[j]), torch.maximum(rates[i], rates[j]), phi[i, j]), 1)
        distinct, back = wanted.unique(dim=0, return_inverse=True)
        rho = latent_from_phi(*distinct.unbind(1))[back] * (phi[i, j] != 0)
        matrix = torch.eye(n, dtype=torch.float64)
        matrix[i, j] = matrix[j, i] = rho
        return matrix


@knob
@dataclass(frozen=True)
class Copula(Firing):
    """Full-rank copula: any pairwise dependence. Sampling costs n_true^2 a sample. Source: Gaussian copula."""

    rates: Rates = Constant()  # noqa: RUF009 (frozen)
    dependence: Dependence = LatentCorrelation()

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        rates = self.rates.draw(n_true, rng)
        latent = self.dependence.latent(rates)
        lowest = float(torch.linalg.eigvalsh(latent)[0])
        must(
            lowest > -1e-8,
            "Copula.dependence",
            "positive semidefinite",
            f"smallest eigenvalue {lowest:.3g}",
            "weaken the negative or inconsistent correlations",
        )
        jitter = max(0.0, 1e-9 - lowest)
        root = torch.linalg.cholesky((latent + jitter * torch.eye(n_true, dtype=torch.float64)) / (1 + jitter))
        return {"requested": rates, "latent": latent, "root": root.float()}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        root = drawn["root"]
        z = torch.randn(n, len(root), generator=rng, device=root.device) @ root.T
        rows, features = (z > threshold(drawn["requested"]).float()).nonzero(as_tuple=True)
        return rows, features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Pairs by the bivariate normal integral."""
        rates, latent = drawn["requested"], drawn["latent"]

        def joint(index: Tensor) -> Tensor:
            first, second = rates[index][:, None], rates[index][None]
            rho = latent[index][:, index].clone().fill_diagonal_(0)
            return joint_rate(*torch.broadcast_tensors(first, second, rho))

        linked = latent.clone().fill_diagonal_(0).abs().sum(1) > 0
        return flat_statistics(rates, joint, law, [linked.nonzero().squeeze(1)])

    def scaled(self, factor: float) -> "Copula":
        return replace(self, rates=Scaled(self.rates, factor))


@knob
@dataclass(frozen=True)
class LowRankCopula(Firing):
    """Latent z = F g + sqrt(1 - |F_i|^2) e, F of `rank` columns with N(0, scale^2) entries.

    Rows with |F_i|^2 > .99 are shrunk to .99. Sampling costs n_true rank multiply-adds a sample.

    Source: SAELens synthetic, `generate_random_low_rank_correlation_matrix`; SynthSAEBench (arXiv 2602.14687).
    """

    rates: Rates = Constant()  # noqa: RUF009 (frozen)
    rank: Annotated[int, at_least(1, "use Independent for no dependence")] = 25
    scale: Annotated[float, at_least(0, "give a standard deviation")] = 0.1

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        rates = self.rates.draw(n_true, rng)
        factor = self.scale * torch.randn(n_true, self.rank, generator=rng)
        norm = factor.square().sum(1, keepdim=True)
        factor = factor * (0.99 / norm.clamp_min(0.99)).sqrt()
        return {"requested": rates, "rates": rates.clone(), "factor": factor}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        shared = self.shared(drawn, n, rng)
        rows, features = self.columns(drawn, shared, torch.arange(len(drawn["rates"]), device=rng.device), n, rng)
        return rows, features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Pairs by the bivariate normal integral with rho = F_i . F_j."""
        rates, factor = drawn["rates"], drawn["factor"].double()

        def joint(index: Tensor) -> Tensor:
            rho = (factor[index] @ factor[index].T).fill_diagonal_(0)
            return joint_rate(*torch.broadcast_tensors(rates[index][:, None], rates[index][None], rho))

        return flat_statistics(rates, joint, law, [torch.arange(len(rates))])

    def scaled(self, factor: float) -> "LowRankCopula":
        return replace(self, rates=Scaled(self.rates, factor))

    # what a concept forest asks of the law below it (see hierarchy.py)
    def shared(self, drawn: Drawn, n: int, rng: torch.Generator) -> Float[Tensor, "n rank"]:
        """State common to a sample's features: g."""
        return torch.randn(n, self.rank, generator=rng, device=rng.device)

    def columns(self, drawn: Drawn, shared: Any, which: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Firings of the listed features in all n samples; n * len(which) * rank multiply-adds and few random draws.

        A cell fires iff s + own e > edge, s = F_i . g, e normal. Where s <= b = 2 |F_i|, as nearly always, it takes
        e > c = (edge - b) / own: candidates are drawn with probability P(e > c), then e given that. Other cells draw e.
        """
        factor, (own, edge) = drawn["factor"][which], self._margins(drawn, which)
        bound = 2 * factor.norm(dim=1)
        tail = torch.special.ndtr((bound - edge).double() / own)
        rows, at = bernoulli_hits(tail, n, rng)
        uniform = 1 - torch.rand(len(at), generator=rng, device=rng.device, dtype=torch.float64)
        normal = -torch.special.ndtri(uniform * tail[at]).float()
        part = shared @ factor.T
        usual = part[rows, at]
        fires = (usual <= bound[at]) & (usual + own[at] * normal > edge[at])
        far = places(part > bound)
        far_rows, far_at = far.div(len(which), rounding_mode="floor"), far % len(which)
        normal = torch.randn(len(far), generator=rng, device=rng.device)
        far_fires = part.flatten()[far] + own[far_at] * normal > edge[far_at]
        rows, at = (torch.cat(pair) for pair in ((rows[fires], far_rows[far_fires]), (at[fires], far_at[far_fires])))
        return rows, which[at]

    def fires_at(self, drawn: Drawn, shared: Any, rows: Tensor, features: Tensor, rng: torch.Generator) -> Tensor:
        """Whether the listed cells fire; each cell may be asked about once."""
        own, edge = self._margins(drawn, features)
        part = (drawn["factor"][features] * shared[rows]).sum(-1)
        return part + own * torch.randn(features.shape, generator=rng, device=features.device) > edge

    def _margins(self, drawn: Drawn, which: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(1 - |F_i|^2) and t_i of the listed features, computed once a world and device."""
        if "own" not in drawn:
            drawn["own"] = (1 - drawn["factor"].square().sum(1)).sqrt()
            drawn["edge"] = threshold(drawn["rates"]).float()
        return drawn["own"][which], drawn["edge"][which]

    def given(self, drawn: Drawn) -> list[Float[Tensor, "q n_true"]]:
        """Rates given g at 2,048 scrambled Sobol points of N(0, I), in chunks."""
        factor = drawn["factor"].double()
        own = (1 - factor.square().sum(1)).sqrt()
        points = qmc.MultivariateNormalQMC(np.zeros(self.rank), rng=np.random.default_rng(0)).random(2048)
        edge = threshold(drawn["rates"])
        chunks = torch.from_numpy(points).split(64)
        return [torch.special.ndtr((g @ factor.T - edge) / own) for g in chunks]
