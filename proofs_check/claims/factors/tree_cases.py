"""Trees of features found by recursive semi-NMF on families of leaves: what the claim of their recovery is about."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from statistics import fmean
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.mixture import SparseMixture
from synthetic.worlds.factors import core_exclusive
from workbench.metrics.matching import match
from workbench.parts import semi_nmf

_FAMILIES, _LEAVES = 4, 4
_SHUFFLES = 100


@dataclass(frozen=True)
class Orchard:
    """Trees fitted to samples of a few worlds of cores and exclusive neurons, a tree a world."""

    seed: int = 0
    core: int = 12
    exclusive: int = 6
    masked: bool = True
    """keep as many entries as a leaf has, then as a core has"""
    shuffled: bool = False
    """judge by families drawn at random"""
    samples: int = 900
    iterations: int = 250
    worlds: int = 3
    """seed and the next ones"""

    def __str__(self) -> str:
        new = [f"{f.name} = {getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(new) or "as it is"

    @property
    def world(self) -> SparseMixture:
        """Where its samples come from."""
        return core_exclusive(_FAMILIES, _LEAVES, core=self.core, exclusive=self.exclusive, seed=self.seed)

    @property
    def neurons(self) -> tuple[int, int]:
        """Of a leaf, and of a core."""
        return self.core + self.exclusive, max(self.core, self.exclusive)

    @property
    def kept(self) -> tuple[int, int]:
        """Neurons kept of each row, of leaves and of parents."""
        return self.neurons if self.masked else (self.world.d, self.world.d)

    @property
    def beyond(self) -> float:
        """By how much the numbers kept pass the true ones, in shares of these."""
        return max(kept / true - 1 for kept, true in zip(self.kept, self.neurons, strict=True))

    def orders(self, seed: int) -> list[Tensor]:
        """Families by which the fit to a world is judged: its own, or one at random; then shuffled ones."""
        family = torch.arange(_FAMILIES).repeat_interleave(_LEAVES)
        rng = stream(seed, "factor_trees/shuffled")
        drawn = [family[torch.randperm(len(family), generator=rng)] for _ in range(_SHUFFLES + 1)]
        return [drawn[0] if self.shuffled else family, *drawn[1:]]

    @property
    def strangers(self) -> float:
        """Share of leaves that are judged under another family than theirs."""
        family = torch.arange(_FAMILIES).repeat_interleave(_LEAVES)
        judged = [self.orders(seed)[0] for seed in range(self.seed, self.seed + self.worlds)]
        return fmean(float((one != family).double().mean()) for one in judged)

    @property
    def scores(self) -> tuple[float, float, float]:
        """Accuracy of the parents, what 95 of 100 shuffled families get of the same fits, |cos| of the leaves; means.

        A mean is over the worlds, that of a shuffle too.
        """
        seeds = range(self.seed, self.seed + self.worlds)
        fits = [_fitted(replace(self, seed=seed, shuffled=False), semi_nmf.winner_take_all) for seed in seeds]
        tries = []
        for seed, (parents, _) in zip(seeds, fits, strict=True):
            tries.append([semi_nmf.leaf_accuracy(parents, one) for one in self.orders(seed)])
        accuracy, *shuffled = (fmean(scores) for scores in zip(*tries, strict=True))
        return accuracy, sorted(shuffled)[int(0.95 * _SHUFFLES) - 1], fmean(cosine for _, cosine in fits)


@lru_cache(maxsize=64)
def _fitted(case: Orchard, mask: Callable[..., Tensor]) -> tuple[Tensor, float]:
    """Parent of each true leaf, and mean matched |cos| of the leaves, in the first world of a case.

    The fit reads its mask from its module; it is named here to tell mutants apart.
    """
    world, threads = case.world, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = world.sample(case.samples, stream(case.seed, "factor_trees")).x
        share = [kept / world.d for kept in case.kept]
        masked = share if case.masked else None
        sizes = (_FAMILIES * _LEAVES, _FAMILIES)
        tree = semi_nmf.fit_recursive(x, sizes, share=masked, iterations=case.iterations, seed=case.seed)
    finally:
        torch.set_num_threads(threads)
    found = match(tree.levels[0].rows, world.truth.features)
    return tree.parents(0)[found.latent_of], found.mean_matched


def orchards(*seeds: int, **changes: Any) -> st.SearchStrategy[Orchard]:
    """Trees of some first seeds, of world and start alike."""
    return st.sampled_from([Orchard(seed=seed, **changes) for seed in seeds])
