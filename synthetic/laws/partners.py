"""Sets of features with partners: a requested co-occurrence at constant sparsity and rates."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

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

    k: int = 4
    together: float = 0.5

    def __post_init__(self) -> None:
        must(self.k >= 2, "Partners.k", "at least 2", self.k, "a feature that fires alone has no partner")
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
        """See `Firing`."""
        fits = n_true % 2 == 0 and n_true >= 2 * self.k
        must(fits, "Partners", f"used with an even n_true of at least 2k={2 * self.k}", n_true, "change n_true or k")
        return {"requested": torch.full((n_true,), self.k / n_true, dtype=torch.float64)}

    def sample(self, drawn: Drawn, n: int, rng: torch.Generator, draw: Draw) -> Hits:
        """See `Firing`."""
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
        """See `Firing`: k times the factor, rounded, at least 2."""
        return replace(self, k=max(2, round(self.k * factor)))
