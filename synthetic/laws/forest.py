"""Concept forests: a child concept fires only where its parent does."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.annotations import Count
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.copula import LowRankCopula
from synthetic.laws.firing import Draw, Firing, Hits, Independent, Statistics
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class Forest(Firing):
    """Trees of concepts over the first features, breadth first over all trees; the features left over stay free.

    A child's own coin is tossed only where its parent fires. `rates` of `base` are the *marginal* rates asked for;
    `compensation` says how a child's coin is set:

    - "exact": coin = rate / parent's rate, and exclusive siblings are one draw among them, so that realised =
      requested. Refused where a child, or a family of exclusive children, asks for more than its parent has.
    - "none": coin = rate; realised rates are products along the path.
    - "synthsaebench": coin = min(1, rate/parent's rate * (1 + other siblings' rates/parent's rate)) as in SAELens.
      It does not compensate exclusion; `truth` gives what is realised.

    In the last two, exclusive siblings all toss and one of the winners is kept at random.

    Source: SAELens synthetic, `hierarchy`; SynthSAEBench (arXiv 2602.14687); "exact" and the closed forms are ours.
    """

    base: Independent | LowRankCopula = Independent()  # noqa: RUF009 (frozen)
    trees: Count = 4
    branching: Count = 2
    depth: Count = 2
    """levels below the roots"""
    exclusive: bool = False
    """at most one child of a parent fires"""
    compensation: Literal["exact", "none", "synthsaebench"] = "exact"
    scale_by_parent: bool = False
    """multiply a child's magnitude by its parent's magnitude over that one's mean"""

    def __post_init__(self) -> None:
        must(
            isinstance(self.base, Independent) or self.compensation != "exact",
            "Forest.base",
            "Independent where compensation is 'exact'",
            type(self.base).__name__,
            "set compensation to 'none' or 'synthsaebench'",
        )

    @property
    def _levels(self) -> list[range]:
        """Feature indices of each level."""
        levels, start = [], 0
        for depth in range(self.depth + 1):
            size = self.trees * self.branching**depth
            levels.append(range(start, start + size))
            start += size
        return levels

    def parents(self, n_true: int) -> Int[Tensor, " n_true"]:
        """Parent of each feature, -1 for roots and free features."""
        parents = torch.full((n_true,), -1)
        for above, level in zip(self._levels, self._levels[1:], strict=False):
            parents[level.start : level.stop] = above.start + torch.arange(len(level)) // self.branching
        return parents

    def _children(self, features: Tensor, depth: int) -> Int[Tensor, "k branching"]:
        first = self._levels[depth + 1].start + (features - self._levels[depth].start) * self.branching
        return first[:, None] + torch.arange(self.branching, device=features.device)

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """See `Firing`: "rates" become the coins."""
        nodes = self._levels[-1].stop
        must(
            nodes <= n_true, "Forest", f"of at most n_true={n_true} features", nodes, "shrink the trees or raise n_true"
        )
        drawn = self.base.init(n_true, rng)
        requested, coins = drawn["requested"], drawn["rates"]
        for depth in range(self.depth):
            above = torch.tensor(self._levels[depth])
            below = self._children(above, depth)
            wanted, parent = requested[below], requested[above][:, None]
            if self.compensation == "exact":
                needed = wanted.sum(1, keepdim=True) if self.exclusive else wanted.max(1, keepdim=True).values
                worst = int((needed - parent).argmax())
                must(
                    bool((needed <= parent * (1 + 1e-9)).all()),
                    "Forest.base.rates",
                    "at most the parent's rate for a child (in sum for exclusive children)",
                    f"{needed[worst].item():.4g} under a parent of {parent[worst].item():.4g}",
                    "lower the children's rates or set compensation='none'",
                )
                coins[below] = (wanted / parent).clamp_max(1)
            elif self.compensation == "synthsaebench":
                rivals = (wanted.sum(1, keepdim=True) - wanted) / parent if self.exclusive else 0.0
                coins[below] = (wanted / parent * (1 + rivals)).clamp_max(1)
        return drawn

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """Roots and free features first, then the children of what fired, level by level."""
        n_true, roots = len(drawn["rates"]), self._levels[0]
        shared = self.base.shared(drawn, n, rng)
        device = rng.device
        top = torch.cat((torch.arange(len(roots)), torch.arange(self._levels[-1].stop, n_true))).to(device)
        rows, features = self.base.columns(drawn, shared, top, n, rng)
        values = draw(features)
        found = [(rows, features, values)]
        alive = (features < roots.stop) & (values != 0)
        rows, features, values = rows[alive], features[alive], values[alive]
        for depth in range(self.depth):
            below = self._children(features, depth)
            parent = torch.arange(len(rows), device=device)[:, None].expand_as(below)
            if self.exclusive and self.compensation == "exact":
                kept = _choose_one(drawn["rates"][below], rng)
                parent, below = parent[kept], below[kept]
                strength = draw(below)
                live = strength != 0
            else:
                tossed = self.base.fires_at(drawn, shared, rows[parent], below, rng)
                parent, slot = tossed.nonzero(as_tuple=True)
                below = below[tossed]
                strength = draw(below)
                live = strength != 0
                if self.exclusive:
                    live &= _keep_one(parent, slot, live, len(rows), self.branching, rng)
            parent, below, strength = parent[live], below[live], strength[live]
            if self.scale_by_parent:
                strength = strength * values[parent] / drawn["nominal"][features[parent]]
            rows, features, values = rows[parent], below, strength
            found.append((rows, features, values))
        rows, features, values = (torch.cat(part) for part in zip(*found, strict=True))
        return rows, features, values

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Rates along paths; pairs through the lowest common ancestor. Closed where `base` is Independent.

        With siblings' winning coins p_j (coin times P(magnitude > 0)), a child is kept given its parent with
        probability p_i E[1/(1+K)], K the number of other winners: int_0^1 prod_{j != i} (1 - p_j + p_j t) dt.
        """
        given = self.base.given(drawn)
        parts = [self._realised(coins, law.positive) for coins in given]
        every = torch.cat(parts)
        rates = every.mean(0)
        closed = len(every) == 1
        error = 0.0 if closed else float(every.sum(1).std() / len(every) ** 0.5)
        paths = _Paths(self, rates, law)
        why = "parent and child coins share the copula's factor"
        return Statistics(
            rates=rates,
            mean=rates * paths.mean_alive,
            square=rates * paths.square_alive,
            cofiring=paths.cofiring if closed else None,
            second=paths.second if closed else None,
            blocks=paths.trees() if closed else [],
            rates_error=error,
            open={} if closed else {"cofiring": why, "covariance": why},
        )

    def scaled(self, factor: float) -> "Forest":
        return replace(self, base=self.base.scaled(factor))

    def _realised(self, coins: Float[Tensor, "q n"], positive: Float[Tensor, " n"]) -> Float[Tensor, "q n"]:
        rates = coins * positive
        quadrature = np.polynomial.legendre.leggauss((self.branching + 1) // 2)
        for depth in range(self.depth):
            above = torch.tensor(self._levels[depth])
            below = self._children(above, depth)
            won = (coins * positive)[:, below]
            if self.exclusive and self.compensation != "exact":
                kept = torch.zeros_like(won)
                for node, weight in zip(*quadrature, strict=True):
                    factors = 1 - won + won * (1 + node) / 2
                    others = torch.stack(
                        [
                            torch.cat((factors[..., :i], factors[..., i + 1 :]), -1).prod(-1)
                            for i in range(self.branching)
                        ],
                        -1,
                    )
                    kept += weight / 2 * others
                won = won * kept
            rates[:, below] = rates[:, above, None] * won
        return rates


def _choose_one(share: Float[Tensor, "k b"], rng: torch.Generator) -> Tensor:
    """Mask with at most one True a row: column j with probability share[:, j]."""
    uniform = torch.rand(len(share), 1, generator=rng, device=share.device, dtype=torch.float64)
    upper = share.cumsum(1)
    return (uniform < upper) & (uniform >= upper - share)


def _keep_one(parent: Tensor, slot: Tensor, live: Tensor, families: int, size: int, rng: torch.Generator) -> Tensor:
    """Mask that keeps one live child of each family, uniformly at random."""
    score = torch.full((families, size), -1.0, device=parent.device)
    score[parent, slot] = torch.where(live, torch.rand(len(parent), generator=rng, device=parent.device), -1.0)
    return score.argmax(1)[parent] == slot


class _Paths:
    """Moments along the paths of a forest with independent coins; s1, s2 are those of magnitude over nominal mean."""

    def __init__(self, forest: Forest, rates: Tensor, law: Law) -> None:
        n_true = len(rates)
        self.forest, self.rates, self.parent = forest, rates, forest.parents(n_true)
        positive = law.positive.clamp_min(1e-300)
        self.alive = law.mean / positive
        self.alive_square = law.square / positive
        self.nominal = law.nominal
        one = torch.ones_like(rates)
        scaled = forest.scale_by_parent
        self.s1 = self.alive / law.nominal if scaled else one
        self.s2 = self.alive_square / law.nominal**2 if scaled else one
        self.above1, self.above2 = one.clone(), one.clone()  # products over strict ancestors
        self.level = torch.zeros(n_true, dtype=torch.long)
        self.tree = torch.arange(n_true)
        for depth, level in enumerate(forest._levels[1:], 1):
            at = torch.tensor(level)
            parent = self.parent[at]
            self.above1[at] = self.above1[parent] * self.s1[parent]
            self.above2[at] = self.above2[parent] * self.s2[parent]
            self.level[at], self.tree[at] = depth, self.tree[parent]
        self.mean_alive = self.alive * self.above1
        self.square_alive = self.alive_square * self.above2

    def trees(self) -> list[Tensor]:
        """Members of each tree."""
        inside = torch.arange(self.forest._levels[-1].stop)
        return [(self.tree[inside] == root).nonzero().squeeze(1) for root in self.forest._levels[0]]

    def _meet(self, i: Tensor, j: Tensor) -> Tensor:
        """Lowest common ancestor of two members of one tree (i or j itself where one descends from the other)."""
        for _ in range(self.forest.depth):
            i, j = (
                torch.where(self.level[i] > self.level[j], self.parent[i], i),
                torch.where(self.level[j] > self.level[i], self.parent[j], j),
            )
        for _ in range(self.forest.depth):
            apart = i != j
            i, j = torch.where(apart, self.parent[i], i), torch.where(apart, self.parent[j], j)
        return i

    def _pairs(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        i, j = torch.meshgrid(index, index, indexing="ij")
        related = self.tree[i] == self.tree[j]
        meet = self._meet(torch.where(related, i, 0), torch.where(related, j, 0))
        return i, j, related, meet

    def cofiring(self, index: Tensor) -> Tensor:
        """P(i and j) = r_i r_j / r_meet in a tree, 0 where the two sit under exclusive siblings."""
        i, j, related, meet = self._pairs(index)
        both = self.rates[i] * self.rates[j]
        apart = (meet != i) & (meet != j)
        inside = both / self.rates[meet]
        return torch.where(related, inside * ~(apart & self.forest.exclusive), both)

    def second(self, index: Tensor) -> Tensor:
        """E[h_i h_j]: gains of shared ancestors enter squared, the others once."""
        i, j, related, meet = self._pairs(index)
        apart = (meet != i) & (meet != j)
        upper, lower = torch.where(meet == i, i, j), torch.where(meet == i, j, i)
        path = self.above1[meet] * self.s1[meet]
        branches = self.above2[meet] * self.s2[meet] * self.mean_alive[i] * self.mean_alive[j] / path**2
        ratio = self.alive_square / self.nominal if self.forest.scale_by_parent else self.alive
        chain = self.above2[upper] * ratio[upper] * self.mean_alive[lower] / path
        value = torch.where(apart, branches, torch.where(i == j, self.square_alive[i], chain))
        return self.cofiring(index) * torch.where(related, value, self.mean_alive[i] * self.mean_alive[j])
