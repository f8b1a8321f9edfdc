"""Sets of features in which some pairs come together far more often than chance."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, flat_statistics, random_sets
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class FrequentPairs(Firing):
    """Exactly k features fire. Pair q < pairs is (2q, 2q + 1); the last `free` features belong to no pair.

    With probability `each` for each pair, the sample is that pair and k - 2 random free features; else a uniformly
    random set of k. With P = pairs each, c_j = 1 in a pair, f_j = 1 where free, rate_j = (1-P) k/n_true + each c_j +
    P (k-2)/free f_j; the two of a pair co-fire at each + (1-P) k(k-1)/(n_true(n_true-1)).

    Source: ours; it lets interaction be crossed with co-occurrence.
    """

    k: int = 3
    pairs: int = 8
    each: float = 0.06
    free: int = 8

    def __post_init__(self) -> None:
        must(self.k >= 2, "FrequentPairs.k", "at least 2", self.k, "a pair needs two places")
        must(self.pairs >= 0, "FrequentPairs.pairs", "at least 0", self.pairs, "give a number of pairs")
        sure = self.each * self.pairs
        must(self.each >= 0 and sure <= 1 + 1e-12, "FrequentPairs.each", "at most 1 over all pairs", sure, "lower it")
        must(self.free >= self.k - 2, "FrequentPairs.free", f"at least k-2={self.k - 2}", self.free, "add free ones")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """See `Firing`."""
        needed = max(2 * self.pairs + self.free, self.k)
        must(n_true >= needed, "FrequentPairs", f"used with n_true of at least {needed}", n_true, "add features")
        sure = self.each * self.pairs
        rates = torch.full((n_true,), (1 - sure) * self.k / n_true, dtype=torch.float64)
        rates[: 2 * self.pairs] += self.each
        rates[n_true - self.free :] += sure * (self.k - 2) / max(self.free, 1)
        return {"requested": rates}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """See `Firing`."""
        n_true = len(drawn["requested"])
        sets = random_sets(n_true, self.k, n, rng)
        uniform = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
        tied = (uniform < self.each * self.pairs).nonzero().squeeze(1)
        if len(tied):
            pair = (uniform[tied] / self.each).long().clamp_max(self.pairs - 1)
            others = n_true - self.free + random_sets(self.free, self.k - 2, len(tied), rng)
            sets[tied] = torch.cat((2 * pair[:, None], 2 * pair[:, None] + 1, others), 1)
        features = sets.flatten()
        return torch.arange(n, device=rng.device).repeat_interleave(self.k), features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """A pair, a member beside a free feature, two free features, and all others."""
        n_true, k, free = len(drawn["requested"]), self.k, self.free
        sure = self.each * self.pairs
        chance = (1 - sure) * k * (k - 1) / (n_true * (n_true - 1))
        beside = self.each * (k - 2) / max(free, 1)
        both_free = sure * (k - 2) * (k - 3) / max(free * (free - 1), 1)

        def joint(index: Tensor) -> Tensor:
            paired, alone = index < 2 * self.pairs, index >= n_true - free
            pair = torch.where(paired, index // 2, -1)
            same = paired & (pair[:, None] == pair)
            mixed = (paired[:, None] & alone) | (alone[:, None] & paired)
            return chance + self.each * same + beside * mixed + both_free * (alone[:, None] & alone)

        return flat_statistics(drawn["requested"], joint, law, [torch.arange(n_true)])

    def scaled(self, factor: float) -> "FrequentPairs":
        """See `Firing`: k times the factor, rounded, at least 2; pairs as often as before."""
        return replace(self, k=max(2, round(self.k * factor)))
