"""Concepts with several parents: a feature may fire only where any, or all, of its parents do."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, flat_statistics
from synthetic.laws.magnitudes import Drawn, Law
from synthetic.laws.tree import alive

_LARGEST = 14  # features of a component whose 2^m states are listed


@knob
@dataclass(frozen=True)
class ConceptDag(Firing):
    """parents_of[i] lists earlier features; feature i tosses coins[i] where `rule` of its parents fire, or has none.

    Statistics are exact: with q_i = coins_i P(magnitude > 0), a state s of a connected component has probability
    prod_i (q_i^{s_i} (1 - q_i)^{1 - s_i} where the rule admits i, 1[s_i = 0] elsewhere), over all 2^m states.

    Source: ours; trees are the case of one parent with independent siblings.
    """

    parents_of: tuple[tuple[int, ...], ...] = ((), (), (0, 1))
    coins: tuple[float, ...] = (0.3, 0.3, 0.5)
    rule: Literal["any", "all"] = "any"

    def __post_init__(self) -> None:
        parents = self.parents_of
        ordered = bool(parents) and all(0 <= p < i for i, above in enumerate(parents) for p in above)
        must(ordered, "ConceptDag.parents_of", "sets of earlier features", parents, "number parents before children")
        fits = len(self.coins) == len(parents) and all(0 < coin <= 1 for coin in self.coins)
        must(fits, "ConceptDag.coins", "a probability in (0, 1] for each feature", self.coins, "give one a feature")
        most = max(len(component) for component in self._components())
        rule = f"connected pieces of at most {_LARGEST} features"
        must(most <= _LARGEST, "ConceptDag.parents_of", rule, most, "cut the graph: its statistics list all states")

    def parents(self, n_true: int) -> Int[Tensor, " n_true"]:
        """The first parent of each feature; `truth.edges` has all."""
        return torch.tensor([above[0] if above else -1 for above in self.parents_of])

    def structure(self, n_true: int) -> dict[str, Any]:
        """All (parent, child) pairs, and depth (longest path from a parentless feature) as level."""
        depth: list[int] = []
        for above in self.parents_of:
            depth.append(1 + max(depth[p] for p in above) if above else 0)
        edges = [(p, i) for i, above in enumerate(self.parents_of) for p in above]
        return {"levels": torch.tensor(depth), "edges": torch.tensor(edges, dtype=torch.long).view(-1, 2)}

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing is random. Requested are the rates of magnitudes that are never 0."""
        nodes = len(self.parents_of)
        must(nodes == n_true, "ConceptDag.parents_of", f"as many as n_true={n_true}", nodes, "match the world")
        return {"requested": self._joint(torch.tensor(self.coins, dtype=torch.float64)).diagonal().clone()}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """Parents before children."""
        fires = torch.zeros(n, len(self.parents_of), dtype=torch.bool, device=rng.device)
        found = []
        for i, coin in enumerate(self.coins):
            uniform = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
            rows = (self._admits(fires, i) & (uniform < coin)).nonzero().squeeze(1)
            features = torch.full_like(rows, i)
            values = draw(features)
            live = values != 0
            fires[rows[live], i] = True
            found.append((rows[live], features[live], values[live]))
        rows, features, values = (torch.cat(part) for part in zip(*found, strict=True))
        return rows, features, values

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """By listing states; magnitudes that fired are independent."""
        joint = self._joint(torch.tensor(self.coins, dtype=torch.float64) * law.positive)
        pieces = [torch.tensor(component) for component in self._components()]
        return flat_statistics(joint.diagonal(), lambda index: joint[index][:, index], alive(law), pieces)

    def scaled(self, factor: float) -> "ConceptDag":
        """Coins of parentless features times the factor; what lies below follows where rule is "any"."""
        coins = (c if above else c * factor for above, c in zip(self.parents_of, self.coins, strict=True))
        return replace(self, coins=tuple(coins))

    def _admits(self, fires: Bool[Tensor, "n n_true"], feature: int) -> Bool[Tensor, " n"]:
        above = fires[:, list(self.parents_of[feature])]
        return above.any(1) if self.rule == "any" and self.parents_of[feature] else above.all(1)

    def _components(self) -> list[list[int]]:
        """Connected pieces of the graph, each ascending."""
        pieces: list[set[int]] = []
        for i, above in enumerate(self.parents_of):
            met = [piece for piece in pieces if piece & set(above)]
            pieces = [piece for piece in pieces if piece not in met] + [reduce(set.union, met, {i})]
        return [sorted(piece) for piece in pieces]

    def _joint(self, coins: Float[Tensor, " n_true"]) -> Float[Tensor, "n_true n_true"]:
        """P(i and j fire), diagonal = rates."""
        n_true = len(coins)
        joint = torch.zeros(n_true, n_true, dtype=torch.float64)
        tied = torch.zeros(n_true, n_true, dtype=torch.bool)
        for piece in self._components():
            bits = torch.arange(2 ** len(piece))[:, None] >> torch.arange(len(piece)) & 1
            states = torch.zeros(len(bits), n_true, dtype=torch.bool)
            states[:, piece] = bits.bool()
            weight = torch.ones(len(bits), dtype=torch.float64)
            for i in piece:
                coin = coins[i] * self._admits(states, i)
                weight = weight * torch.where(states[:, i], coin, 1 - coin)
            at, on = torch.tensor(piece), bits.double()
            joint[at[:, None], at] = on.T @ (weight[:, None] * on)
            tied[at[:, None], at] = True
        rates = joint.diagonal()
        return torch.where(tied, joint, torch.outer(rates, rates))
