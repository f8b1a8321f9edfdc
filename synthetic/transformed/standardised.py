"""A world whose samples are standardised one by one, as some SAEs take their inputs."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.defaults import torch_defaults
from synthetic.base.storage import knob
from synthetic.laws.directions import unit
from synthetic.laws.magnitudes import Drawn
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, Codes, GroundTruth


@knob
@dataclass(frozen=True)
class Standardised:
    """Samples of a mixture, each with its mean over dimensions subtracted and divided by s + eps.

    s is the sample's unbiased standard deviation, so that |x| = sqrt(d - 1) s / (s + eps), a constant but for eps. With
    c_i = v_i less its mean, a feature's direction becomes c_i / |c_i| and its coefficient h_i |c_i| / (s + eps). What
    fires, and how often, stays; moments have no closed form. Bias and noise of the mixture are standardised with it.

    Source: the input normalisation of Lee et al. (2025), arXiv 2503.24277, reference code (eps 1e-5).
    """

    inner: SparseMixture
    eps: float = 1e-5

    @cached_property
    def tensors(self) -> Drawn:
        """What the mixture draws once."""
        return self.inner.tensors

    @cached_property
    def _mixture(self) -> SparseMixture:
        """The mixture with these tensors, also where they were loaded."""
        self.inner.__dict__["tensors"] = self.tensors
        return self.inner

    @cached_property
    @torch_defaults()
    def _centred(self) -> Float[Tensor, "n_true d"]:
        """Directions less their means over dimensions, not scaled."""
        features = self.tensors["features"].double()
        return features - features.mean(1, keepdim=True)

    @property
    def truth(self) -> GroundTruth:
        """Directions, rates and co-firing; means are NaN and `open` says why."""
        return self._truth

    @cached_property
    @torch_defaults()
    def _truth(self) -> GroundTruth:
        inner = self._mixture.truth
        why = "each sample is divided by its own standard deviation"
        return replace(
            inner,
            features=unit(self._centred).float(),
            bias=torch.zeros_like(inner.bias),
            mean_h=torch.full_like(inner.mean_h, torch.nan),
            mean=torch.full_like(inner.mean, torch.nan),
            covariance=None,
            open={**inner.open, "mean": why, "covariance": why},
        )

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.inner.d

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw from the mixture, then standardise; coefficients follow."""
        batch = self._mixture.sample(n, rng)
        spread = batch.x.std(-1, keepdim=True) + self.eps
        lengths = self._centred.norm(dim=1).to(batch.x)
        values = batch.h.values * lengths[batch.h.indices] / spread
        h = Codes(batch.h.indices, values, batch.h.width)
        return Batch((batch.x - batch.x.mean(-1, keepdim=True)) / spread, h)
