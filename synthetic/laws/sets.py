"""Sets of features that fire together: partners, frequent pairs, and sets of several sizes."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from synthetic.base.annotations import at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.firing import Draw, Firing, Hits, Statistics, flat_statistics, random_sets
from synthetic.laws.magnitudes import Drawn, Law


@knob
@dataclass(frozen=True)
class Partners(Firing):
    """Exactly k features fire; 2i and 2i + 1 are partners, and P(partner fires | feature fires) = together.

    A sample is tied with probability q: floor(k/2) random pairs fire whole, and one member of another if k is odd. Else
    k random pairs fire one member each. Every rate is k/n_true, and together = 2 floor(k/2) q / k, so it is at most
    2 floor(k/2) / k. Features that are no partners co-fire nearly as in `ExactlyK`.

    Source: ours.
    """

    k: Annotated[int, at_least(2, "a feature that fires alone has no partner")] = 4
    together: float = 0.5

    def __post_init__(self) -> None:
        most = 2 * (self.k // 2) / self.k
        must(
            0 <= self.together <= most,
            "Partners.together",
            f"in [0, {most:.4g}], all that {self.k} firing features allow",
            self.together,
            "lower it or make k even",
        )

    @property
    def _tied(self) -> float:
        """q."""
        return self.together * self.k / (2 * (self.k // 2))

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        fits = n_true % 2 == 0 and n_true >= 2 * self.k
        must(fits, "Partners", f"used with an even n_true of at least 2k={2 * self.k}", n_true, "change n_true or k")
        return {"requested": torch.full((n_true,), self.k / n_true, dtype=torch.float64)}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        pairs = random_sets(len(drawn["requested"]) // 2, self.k, n, rng)
        pairs = pairs.gather(1, torch.rand(pairs.shape, generator=rng, device=rng.device).argsort(1))  # in random order
        member = torch.randint(0, 2, pairs.shape, generator=rng, device=rng.device)
        whole = self.k // 2
        tied = torch.rand(n, 1, generator=rng, device=rng.device) < self._tied
        first = pairs[:, :whole] * 2
        loose = pairs * 2 + member
        both = torch.cat((first, first + 1, loose[:, whole : self.k - whole]), 1)
        features = torch.where(tied, both, loose).flatten()
        return torch.arange(n, device=rng.device).repeat_interleave(self.k), features, draw(features)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        """Exchangeable pairs of features: partners, and all others."""
        rates = drawn["requested"]
        n_true = len(rates)
        half, q, k = n_true // 2, self._tied, self.k
        whole, odd = k // 2, k % 2
        # two members of different pairs: both pairs whole; one whole, one single (odd k); or both single
        tied = (whole * (whole - 1) + odd * whole) / (half * (half - 1))
        loose = k * (k - 1) / (4 * half * (half - 1))
        apart = q * tied + (1 - q) * loose

        def joint(index: Tensor) -> Tensor:
            partners = index[:, None] // 2 == index // 2
            return partners.double() * (self.together * k / n_true - apart) + apart

        return flat_statistics(rates, joint, law, [torch.arange(n_true)])

    def scaled(self, factor: float) -> "Partners":
        """K times the factor, rounded, at least 2."""
        return replace(self, k=max(2, round(self.k * factor)))


@knob
@dataclass(frozen=True)
class FrequentPairs(Firing):
    """Exactly k features fire. Pair q < pairs is (2q, 2q + 1); the last `free` features belong to no pair.

    With probability `each` for each pair, the sample is that pair and k - 2 random free features; else a uniformly
    random set of k. With P = pairs each, c_j = 1 in a pair, f_j = 1 where free, rate_j = (1-P) k/n_true + each c_j +
    P (k-2)/free f_j; the two of a pair co-fire at each + (1-P) k(k-1)/(n_true(n_true-1)).

    Source: ours; it lets interaction be crossed with co-occurrence.
    """

    k: Annotated[int, at_least(2, "a pair needs two places")] = 3
    pairs: Annotated[int, at_least(0, "give a number of pairs")] = 8
    each: float = 0.06
    free: int = 8

    def __post_init__(self) -> None:
        sure = self.each * self.pairs
        must(self.each >= 0 and sure <= 1 + 1e-12, "FrequentPairs.each", "at most 1 over all pairs", sure, "lower it")
        must(self.free >= self.k - 2, "FrequentPairs.free", f"at least k-2={self.k - 2}", self.free, "add free ones")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        needed = max(2 * self.pairs + self.free, self.k)
        must(n_true >= needed, "FrequentPairs", f"used with n_true of at least {needed}", n_true, "add features")
        sure = self.each * self.pairs
        rates = torch.full((n_true,), (1 - sure) * self.k / n_true, dtype=torch.float64)
        rates[: 2 * self.pairs] += self.each
        rates[n_true - self.free :] += sure * (self.k - 2) / max(self.free, 1)
        return {"requested": rates}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
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
        """K times the factor, rounded, at least 2; pairs as often as before."""
        return replace(self, k=max(2, round(self.k * factor)))


@knob
@dataclass(frozen=True)
class MixedK(Firing):
    """A sample has one of the listed sparsities, equally likely; a random set of that size fires.

    With K the sparsity of a sample, rate = E[K]/n_true and P(i and j) = E[K(K-1)]/(n_true(n_true-1)).

    Source: the unbalanced toy data of Chen et al. (2025), arXiv 2506.14002: half of the samples s = 3, half s = 20.
    """

    ks: tuple[int, ...] = (3, 20)

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        fits = bool(self.ks) and min(self.ks) >= 1 and max(self.ks) <= n_true
        must(fits, "MixedK.ks", f"numbers in [1, n_true={n_true}]", self.ks, "lower them or raise n_true")
        return {"requested": torch.full((n_true,), sum(self.ks) / len(self.ks) / n_true, dtype=torch.float64)}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        kind = torch.randint(0, len(self.ks), (n,), generator=rng, device=rng.device)
        rows, features = [], []
        for index, k in enumerate(self.ks):
            own = (kind == index).nonzero().squeeze(1)
            rows.append(own.repeat_interleave(k))
            features.append(random_sets(len(drawn["requested"]), k, len(own), rng).flatten())
        which = torch.cat(features)
        return torch.cat(rows), which, draw(which)

    def statistics(self, drawn: Drawn, law: Law) -> Statistics:
        n_true = len(drawn["requested"])
        pair = sum(k * (k - 1) for k in self.ks) / len(self.ks) / max(n_true * (n_true - 1), 1)

        def joint(index: Tensor) -> Tensor:
            return torch.full((len(index), len(index)), pair, dtype=torch.float64)

        return flat_statistics(drawn["requested"], joint, law, [torch.arange(n_true)])

    def scaled(self, factor: float) -> "MixedK":
        """Every sparsity times the factor, rounded, at least 1."""
        return replace(self, ks=tuple(max(1, round(k * factor)) for k in self.ks))
