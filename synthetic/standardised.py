"""A world whose samples are standardised one by one, as some SAEs take their inputs."""

from dataclasses import dataclass

import torch

from synthetic.world import Batch, GroundTruth, World


@dataclass(frozen=True)
class Standardised:
    """Samples of another world, each with its mean over dimensions subtracted and divided by s + eps.

    s is the sample's unbiased standard deviation, so that |x| = sqrt(d - 1) s / (s + eps), a constant but for eps. What
    is known and to be found is the inner world's: its directions, coefficients and rates. Its moments are not those of
    the standardised activations.

    Source: the input normalisation of Lee et al. (2025), arXiv 2503.24277, reference code (eps 1e-5).
    """

    inner: World
    eps: float = 1e-5

    @property
    def truth(self) -> GroundTruth:
        """The inner world's."""
        return self.inner.truth

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.inner.d

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw from the inner world, then standardise."""
        batch = self.inner.sample(n, rng)
        spread = batch.x.std(-1, keepdim=True) + self.eps
        return Batch((batch.x - batch.x.mean(-1, keepdim=True)) / spread, batch.h)
