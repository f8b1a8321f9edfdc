"""Which features fire: independently, exactly k at a time, or one of a group."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.magnitudes import Drawn, Law
from synthetic.laws.rates import Constant, Rates, Scaled

Draw = Callable[[Tensor], Tensor]
"""features of the firings -> their magnitudes"""
Hits = tuple[Tensor, Tensor, Tensor]
"""rows, features and values of the firings of a batch, in any order"""


@dataclass(frozen=True)
class Statistics:
    """Exact moments of the coefficients h, without any gain shared by a sample. float64."""

    rates: Float[Tensor, " n_true"]
    mean: Float[Tensor, " n_true"]
    square: Float[Tensor, " n_true"]
    cofiring: Callable[[Tensor], Tensor] | None
    """P(h_i != 0 and h_j != 0) among the listed features"""
    second: Callable[[Tensor], Tensor] | None
    """E[h_i h_j] among the listed features"""
    blocks: list[Tensor] = field(default_factory=list)
    """groups of dependent features; features in no common block are independent"""
    rates_error: float = 0.0
    open: dict[str, str] = field(default_factory=dict)


class Firing(ABC):
    """A law of which features fire. Its settings are fields; what it draws once is passed in as `drawn`."""

    @abstractmethod
    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Draw once a world: "requested" rates, and whatever else a reload must not draw again."""

    @abstractmethod
    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """Firings of n samples; the cost grows with how many fire."""

    @abstractmethod
    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Exact moments, given those of the magnitudes."""

    @abstractmethod
    def scaled(self, factor: float) -> "Firing":
        """The same law with every requested rate times a factor."""

    def parents(self, n_true: int) -> Int[Tensor, " n_true"]:
        """Parent concept of each feature; none here."""
        return torch.full((n_true,), -1)

    def structure(self, n_true: int) -> dict[str, Any]:
        """Whatever else is known of the features, by the name of a field of `GroundTruth`: levels, edges, subspaces."""
        return {}


def flat_statistics(
    rates: Tensor, joint: Callable[[Tensor], Tensor], law: Law, blocks: list[Tensor] | None = None
) -> Statistics:
    """Moments where magnitudes are independent of which features fire; `joint(i)` is P(i and j fire), any diagonal."""

    def cofiring(index: Tensor) -> Tensor:
        both = joint(index) * torch.outer(law.positive[index], law.positive[index])
        return both.fill_diagonal_(0) + torch.diag((rates * law.positive)[index])

    def second(index: Tensor) -> Tensor:
        both = joint(index) * torch.outer(law.mean[index], law.mean[index])
        return both.fill_diagonal_(0) + torch.diag((rates * law.square)[index])

    return Statistics(rates * law.positive, rates * law.mean, rates * law.square, cofiring, second, blocks or [])


def bernoulli_hits(rates: Float[Tensor, " m"], n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cells (row, column) of an n x m array of independent Bernoulli(rates[column]) that come out 1.

    Columns are put in bands whose rates agree within a factor of two; a band is walked with geometric gaps at its
    top rate and thinned, which is exact and costs at most two draws a hit. Bands above rate 1/4 are drawn densely.
    """
    rows, columns = [], []
    floor = torch.where(rates > 0, torch.log2(rates.clamp_min(1e-300)).floor(), torch.inf)
    for level in floor.unique().tolist():
        if level == torch.inf:
            continue
        band = (floor == level).nonzero().squeeze(1)
        local = rates[band]
        top = float(local.max())
        cells = n * len(band)
        if top > 0.25:
            row, at = (torch.rand(n, len(band), generator=rng, device=rates.device) < local).nonzero(as_tuple=True)
        else:
            position = _geometric_walk(top, cells, rng)
            row, at = position // len(band), position % len(band)
            keep = torch.rand(len(at), generator=rng, device=rates.device, dtype=torch.float64) * top < local[at]
            row, at = row[keep], at[keep]
        rows.append(row)
        columns.append(band[at])
    if not rows:
        nothing = torch.empty(0, dtype=torch.long, device=rates.device)
        return nothing, nothing
    return torch.cat(rows), torch.cat(columns)


def _geometric_walk(p: float, cells: int, rng: torch.Generator) -> Int[Tensor, " hits"]:
    """Positions of the successes of `cells` Bernoulli(p) trials, in order, in time proportional to their number."""
    last, parts = -1, []
    while True:
        left = (cells - 1 - last) * p
        gaps = torch.rand(int(left + 4 * left**0.5) + 8, generator=rng, device=rng.device, dtype=torch.float64)
        gaps = torch.floor(torch.log1p(-gaps) / torch.log1p(torch.tensor(-p, dtype=torch.float64)).item()) + 1
        position = last + gaps.cumsum(0).long()
        parts.append(position)
        last = int(position[-1])
        if last >= cells - 1:
            position = torch.cat(parts)
            return position[position < cells]


def random_sets(n_true: int, k: int, n: int, rng: torch.Generator) -> Int[Tensor, "n k"]:
    """n random sets of k features, k^2 operations each. Source: Floyd's algorithm (Bentley and Floyd 1987)."""
    chosen = torch.full((n, k), -1, device=rng.device)
    for j in range(k):
        top = n_true - k + j
        pick = torch.randint(0, top + 1, (n,), generator=rng, device=rng.device)
        taken: Bool[Tensor, " n"] = (chosen == pick[:, None]).any(1)
        chosen[:, j] = torch.where(taken, top, pick)
    return chosen


@knob
@dataclass(frozen=True)
class Independent(Firing):
    """Every feature fires on its own. Source: ours."""

    rates: Rates = Constant()  # noqa: RUF009 (frozen)

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        requested = self.rates.draw(n_true, rng)
        return {"requested": requested, "rates": requested.clone()}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        rows, features = bernoulli_hits(drawn["rates"], n, rng)
        return rows, features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """P(i and j) = rate_i rate_j."""
        rates = drawn["rates"]
        return flat_statistics(rates, lambda index: torch.outer(rates[index], rates[index]), law)

    def scaled(self, factor: float) -> "Independent":
        return replace(self, rates=Scaled(self.rates, factor))

    # what a concept forest asks of the law below it (see hierarchy.py)
    def shared(self, drawn: Drawn, n: int, rng: torch.Generator) -> None:
        """State common to a sample's features: none."""
        return None

    def columns(self, drawn: Drawn, shared: Any, which: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Firings of the listed features in all n samples."""
        rows, at = bernoulli_hits(drawn["rates"][which], n, rng)
        return rows, which[at]

    def fires_at(self, drawn: Drawn, shared: Any, rows: Tensor, features: Tensor, rng: torch.Generator) -> Tensor:
        """Whether the listed cells fire; each cell may be asked about once."""
        uniform = torch.rand(features.shape, generator=rng, device=features.device, dtype=torch.float64)
        return uniform < drawn["rates"][features]

    def given(self, drawn: Drawn) -> list[Float[Tensor, "q n_true"]]:
        """Rates given the shared state, one row a quadrature point of equal weight."""
        return [drawn["rates"][None]]


@knob
@dataclass(frozen=True)
class ExactlyK(Firing):
    """A uniformly random set of k features fires. rate = k/n_true, P(i and j) = k(k-1)/(n_true(n_true-1)).

    Source: ours.
    """

    k: int = 4

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        must(1 <= self.k <= n_true, "ExactlyK.k", f"in [1, n_true={n_true}]", self.k, "lower k or raise n_true")
        return {"requested": torch.full((n_true,), self.k / n_true, dtype=torch.float64)}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        chosen = random_sets(len(drawn["requested"]), self.k, n, rng)
        features = chosen.flatten()
        return torch.arange(n, device=rng.device).repeat_interleave(self.k), features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        n_true = len(drawn["requested"])
        pair = self.k * (self.k - 1) / max(n_true * (n_true - 1), 1)
        everyone = [torch.arange(n_true)]
        return flat_statistics(
            drawn["requested"], lambda i: torch.full((len(i), len(i)), pair, dtype=torch.float64), law, everyone
        )

    def scaled(self, factor: float) -> "ExactlyK":
        """K times the factor, rounded, at least 1."""
        return replace(self, k=max(1, round(self.k * factor)))


@knob
@dataclass(frozen=True)
class Exclusive(Firing):
    """Groups of `size` consecutive features of which at most one fires; groups are independent.

    The rates of a group must sum to at most 1. Source: ours.
    """

    rates: Rates = Constant()  # noqa: RUF009 (frozen)
    size: int = 4

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        must(
            self.size >= 1 and n_true % self.size == 0,
            "Exclusive.size",
            f"a divisor of n_true={n_true}",
            self.size,
            "change one of the two",
        )
        rates = self.rates.draw(n_true, rng)
        worst = float(rates.view(-1, self.size).sum(1).max())
        must(worst <= 1 + 1e-12, "Exclusive.rates", "at most 1 in sum over a group", worst, "lower the rates or size")
        return {"requested": rates}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """A group fires or not, then one of its members is chosen by its share."""
        grouped = drawn["requested"].view(-1, self.size)
        rows, group = bernoulli_hits(grouped.sum(1), n, rng)
        within = (grouped / grouped.sum(1, keepdim=True)).cumsum(1)[:, :-1]
        uniform = torch.rand(len(rows), 1, generator=rng, device=rows.device, dtype=torch.float64)
        features = group * self.size + (uniform >= within[group]).sum(1)
        return rows, features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """P(i and j) = 0 within a group, rate_i rate_j across."""
        rates = drawn["requested"]

        def joint(index: Tensor) -> Tensor:
            group = index // self.size
            return torch.outer(rates[index], rates[index]) * (group[:, None] != group)

        return flat_statistics(rates, joint, law, list(torch.arange(len(rates)).split(self.size)))

    def scaled(self, factor: float) -> "Exclusive":
        return replace(self, rates=Scaled(self.rates, factor))
