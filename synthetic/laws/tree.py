"""Trees of concepts of any shape, siblings mutually exclusive: the features that fire are one path from the root."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, flat_statistics
from synthetic.laws.magnitudes import Drawn, Law

TOY_PARENTS = (-1,) * 11 + (0,) * 3 + (1,) * 3 + (2,) * 3
TOY_SHARES = (0.2,) * 3 + (0.05,) * 8 + (0.2,) * 9


def alive(law: Law) -> Law:
    """The law of magnitudes that came out nonzero."""
    positive = law.positive.clamp_min(1e-300)
    return Law(torch.ones_like(positive), law.mean / positive, law.square / positive, law.nominal, law.gain_square)


@knob
@dataclass(frozen=True)
class ConceptTree(Firing):
    """parents[i] < i is the parent of feature i, -1 the root, which is no feature and always active.

    Where a parent fires (magnitude not 0), at most one of its children does, child i with probability shares[i]. So

        rate_i = shares_i rate_{parent i},    P(i and j) = the lower one's rate on one path, else 0.

    By default the toy tree: the root has 3 internal children (.2 each) and 8 leaves (.05 each), exactly one active; an
    internal child has 3 children (.2 each, none: .4). Rates .2, .05, .04; E[L0] = 1.36.

    Source: Costa et al. (2025), arXiv 2506.03093, synthetic experiment, in the exclusive form of its reference code.
    """

    parents_of: tuple[int, ...] = TOY_PARENTS
    shares: tuple[float, ...] = TOY_SHARES
    level: Literal["family", "depth"] = "family"
    """what `truth.levels` counts: families of siblings, or steps from the root; at most one of a level fires in both"""

    def __post_init__(self) -> None:
        parents = self.parents_of
        ordered = bool(parents) and all(-1 <= parent < i for i, parent in enumerate(parents))
        must(ordered, "ConceptTree.parents_of", "earlier features, or -1", parents, "number parents before children")
        fits = len(self.shares) == len(parents) and all(0 < share <= 1 for share in self.shares)
        must(fits, "ConceptTree.shares", "a probability in (0, 1] for each parent", self.shares, "give one a feature")
        worst = float(self._total.max())
        must(worst <= 1 + 1e-9, "ConceptTree.shares", "at most 1 in sum over siblings", worst, "lower them")

    @property
    def _total(self) -> Float[Tensor, " nodes"]:
        """Sum of the shares of each node's children; the root's is the last entry."""
        total = torch.zeros(len(self.parents_of) + 1, dtype=torch.float64, device="cpu")
        for parent, share in zip(self.parents_of, self.shares, strict=True):
            total[parent] += share
        return total

    def parents(self, n_true: int) -> Int[Tensor, " n_true"]:
        return torch.tensor(self.parents_of)

    def structure(self, n_true: int) -> dict[str, Any]:
        """The levels: families numbered by their first child, or depth from 0."""
        families = {parent: number for number, parent in enumerate(dict.fromkeys(self.parents_of))}
        depth: list[int] = []
        for parent in self.parents_of:
            depth.append(0 if parent < 0 else depth[parent] + 1)
        family = [families[parent] for parent in self.parents_of]
        return {"levels": torch.tensor(family if self.level == "family" else depth)}

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing is random."""
        nodes = len(self.parents_of)
        must(nodes == n_true, "ConceptTree.parents_of", f"as many as n_true={n_true}", nodes, "match the world")
        return {"requested": self._down(torch.tensor(self.shares, dtype=torch.float64))}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """All samples walk down from the root, one child at a time."""
        device = rng.device
        children, edges = (table.to(device) for table in self._tables())
        rows, node = torch.arange(n, device=device), torch.full((n,), len(self.parents_of), device=device)
        found = []
        while len(rows):
            uniform = torch.rand(len(rows), 1, generator=rng, device=device, dtype=torch.float64)
            slot = (uniform >= edges[node]).sum(1)
            goes_on = slot < edges.shape[1]
            rows, node = rows[goes_on], children[node[goes_on], slot[goes_on]]
            values = draw(node)
            live = values != 0
            rows, node = rows[live], node[live]
            found.append((rows, node, values[live]))
        rows, node, values = (torch.cat(part) for part in zip(*found, strict=True))
        return rows, node, values

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Paths: both fire where the lower one does; magnitudes that fired are independent."""
        shares = torch.tensor(self.shares, dtype=torch.float64)
        rates, below = self._down(shares * law.positive), self._descends()

        def joint(index: Tensor) -> Tensor:
            lower = below[index][:, index]
            return lower * rates[index][:, None] + lower.T * rates[index]

        return flat_statistics(rates, joint, alive(law), [torch.arange(len(rates))])

    def scaled(self, factor: float) -> "ConceptTree":
        """The shares of the root's children times the factor."""
        shares = (s * factor if p < 0 else s for p, s in zip(self.parents_of, self.shares, strict=True))
        return replace(self, shares=tuple(shares))

    def _down(self, shares: Float[Tensor, " n_true"]) -> Float[Tensor, " n_true"]:
        """Products of shares along the path from the root."""
        rates = shares.clone()
        for i, parent in enumerate(self.parents_of):
            if parent >= 0:
                rates[i] *= rates[parent]
        return rates

    def _descends(self) -> Bool[Tensor, "n_true n_true"]:
        """Whether feature i lies strictly below feature j."""
        below = torch.zeros(len(self.parents_of), len(self.parents_of), dtype=torch.bool)
        for i, parent in enumerate(self.parents_of):
            if parent >= 0:
                below[i] = below[parent]
                below[i, parent] = True
        return below

    def _tables(self) -> tuple[Int[Tensor, "nodes most"], Float[Tensor, "nodes most"]]:
        """Children of each node and the upper ends of their shares in [0, 1]; the root is last, no child ends at 0."""
        families: list[list[int]] = [[] for _ in range(len(self.parents_of) + 1)]
        for i, parent in enumerate(self.parents_of):
            families[parent].append(i)
        most = max(len(family) for family in families)
        children = torch.zeros(len(families), most, dtype=torch.long)
        shares = torch.zeros(len(families), most, dtype=torch.float64)
        for node, family in enumerate(families):
            children[node, : len(family)] = torch.tensor(family, dtype=torch.long)
            shares[node, : len(family)] = torch.tensor([self.shares[i] for i in family], dtype=torch.float64)
        edges = shares.cumsum(1)
        sure = (self._total > 1 - 1e-9)[:, None] & (edges > 1 - 1e-9)
        return children, torch.where(sure, 1.0, edges)
