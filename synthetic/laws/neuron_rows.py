"""Sparse directions over neurons: disjoint groups, and families of a shared core with exclusive neurons."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.annotations import Count, above, at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.directions import Rows, unit
from synthetic.laws.firing import Independent


@knob
@dataclass(frozen=True)
class DisjointSupports:
    """Each row has `size` neurons of its own, chosen at random, with N(0, 1) entries scaled to unit norm.

    Source: ours, after Shafran et al. (2025), arXiv 2506.10920: features as groups of neurons.
    """

    size: int = 10

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        fits = self.size >= 1 and n * self.size <= d
        must(fits, "DisjointSupports.size", f"from 1 to d/n_true = {d // n}", self.size, "change it or raise d")
        neurons = torch.randperm(d, generator=rng)[: n * self.size].view(n, self.size)
        return unit(_filled(neurons, d, rng))


@knob
@dataclass(frozen=True)
class CoreExclusive:
    """Leaf l of family f is unit(c_f + boost e_fl): the family's core neurons, and neurons that no other leaf uses.

    Entries of c and e are N(0, 1). Features are numbered family by family. With `overlap`, the last core neurons of a
    family are also the first ones of the next. With `opposed`, leaves 2i and 2i + 1 share their exclusive neurons, with
    opposite signs.

    Source: ours, after the core and exclusive neuron groups of Shafran et al. (2025), arXiv 2506.10920.
    """

    families: Count = 4
    leaves: Count = 4
    """leaves of a family"""
    core: Annotated[int, at_least(0, "give a number of neurons")] = 12
    """core neurons of a family; 0: leaves have disjoint neurons"""
    exclusive: Count = 6
    """exclusive neurons of a leaf"""
    boost: Annotated[float, above(0, "raise it or leaves coincide")] = 1.2
    overlap: int = 0
    opposed: bool = False

    def __post_init__(self) -> None:
        fits = 0 <= self.overlap <= self.core // 2
        must(fits, "CoreExclusive.overlap", f"in [0, core // 2 = {self.core // 2}]", self.overlap, "lower it")
        even = not self.opposed or self.leaves % 2 == 0
        must(even, "CoreExclusive.leaves", "even where leaves are opposed", self.leaves, "add or drop one leaf")

    @property
    def neurons(self) -> int:
        """Neurons in use, the least d."""
        groups = self.leaves // 2 if self.opposed else self.leaves
        cores = self.families * self.core - (self.families - 1) * self.overlap
        return cores + self.families * groups * self.exclusive

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        leaves = self.families * self.leaves
        must(n == leaves, "CoreExclusive", f"used with n_true = families x leaves = {leaves}", n, "match the world")
        must(d >= self.neurons, "CoreExclusive", f"used with d of at least {self.neurons}", d, "raise d")
        order = torch.randperm(d, generator=rng)
        starts = torch.arange(self.families)[:, None] * (self.core - self.overlap)
        core = _filled(order[starts + torch.arange(self.core)], d, rng)
        groups = self.leaves // 2 if self.opposed else self.leaves
        own = order[self.neurons - self.families * groups * self.exclusive : self.neurons]
        exclusive = _filled(own.view(-1, self.exclusive), d, rng)
        if self.opposed:
            exclusive = torch.stack((exclusive, -exclusive), 1).reshape(n, d)
        return unit(core.repeat_interleave(self.leaves, 0) + self.boost * exclusive)

    def family(self) -> Int[Tensor, " n_true"]:
        """Family of each feature."""
        return torch.arange(self.families).repeat_interleave(self.leaves)

    def cores(self, features: Float[Tensor, "n_true d"]) -> Float[Tensor, "families d"]:
        """Unit rows c_f / |c_f|, read off the directions drawn: what all leaves of a family have in common."""
        leaves = features.view(self.families, self.leaves, -1)
        return unit(leaves.sum(1) * (leaves != 0).all(1))  # opposed neurons cancel where there are two leaves


@knob
@dataclass(frozen=True)
class Families(Independent):
    """Independent firing of features in consecutive families of `size`, which `truth.levels` names. Source: ours."""

    size: Count = 4

    def structure(self, n_true: int) -> dict[str, Any]:
        """The family of each feature, as its level."""
        return {"levels": torch.arange(n_true) // self.size}


def _filled(neurons: Int[Tensor, "n size"], d: int, rng: torch.Generator) -> Rows:
    """Rows with N(0, 1) entries at the listed neurons."""
    rows = torch.zeros(len(neurons), d, dtype=torch.float64)
    return rows.scatter(1, neurons, torch.randn(neurons.shape, generator=rng, dtype=torch.float64))
