"""Samples of several sparsities: each draws how many features fire, then which."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, flat_statistics, random_sets
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class MixedK(Firing):
    """A sample has one of the listed sparsities, equally likely; a random set of that size fires.

    With K the sparsity of a sample, rate = E[K]/n_true and P(i and j) = E[K(K-1)]/(n_true(n_true-1)).

    Source: the unbalanced toy data of Chen et al. (2025), arXiv 2506.14002: half of the samples s = 3, half s = 20.
    """

    ks: tuple[int, ...] = (3, 20)

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """See `Firing`."""
        fits = bool(self.ks) and min(self.ks) >= 1 and max(self.ks) <= n_true
        must(fits, "MixedK.ks", f"numbers in [1, n_true={n_true}]", self.ks, "lower them or raise n_true")
        return {"requested": torch.full((n_true,), sum(self.ks) / len(self.ks) / n_true, dtype=torch.float64)}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """See `Firing`."""
        kind = torch.randint(0, len(self.ks), (n,), generator=rng, device=rng.device)
        rows, features = [], []
        for index, k in enumerate(self.ks):
            own = (kind == index).nonzero().squeeze(1)
            rows.append(own.repeat_interleave(k))
            features.append(random_sets(len(drawn["requested"]), k, len(own), rng).flatten())
        which = torch.cat(features)
        return torch.cat(rows), which, draw(which)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Exchangeable pairs."""
        n_true = len(drawn["requested"])
        pair = sum(k * (k - 1) for k in self.ks) / len(self.ks) / max(n_true * (n_true - 1), 1)

        def joint(index: Tensor) -> Tensor:
            return torch.full((len(index), len(index)), pair, dtype=torch.float64)

        return flat_statistics(drawn["requested"], joint, law, [torch.arange(n_true)])

    def scaled(self, factor: float) -> "MixedK":
        """See `Firing`: every sparsity times the factor, rounded, at least 1."""
        return replace(self, ks=tuple(max(1, round(k * factor)) for k in self.ks))
