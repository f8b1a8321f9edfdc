"""A world whose samples are divided by their norms, as bias adaptation takes its inputs."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch

from synthetic.base.defaults import torch_defaults
from synthetic.base.storage import knob
from synthetic.laws.magnitudes import Drawn
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, Codes, GroundTruth


@knob
@dataclass(frozen=True)
class UnitNorm:
    """Samples of a mixture, each divided by its norm; coefficients with it, and silent samples stay 0.

    Directions, and what fires how often, stay; moments have no closed form. Bias and noise are scaled with the sample.

    Source: "sample and normalise" of Chen et al. (2025), arXiv 2506.14002, algorithm 1.
    """

    inner: SparseMixture

    @cached_property
    def tensors(self) -> Drawn:
        """What the mixture draws once."""
        return self.inner.tensors

    @cached_property
    def _mixture(self) -> SparseMixture:
        """The mixture with these tensors, also where they were loaded."""
        self.inner.__dict__["tensors"] = self.tensors
        return self.inner

    @property
    def truth(self) -> GroundTruth:
        """Directions, rates and co-firing; means are NaN and `open` says why."""
        return self._truth

    @cached_property
    @torch_defaults()
    def _truth(self) -> GroundTruth:
        inner = self._mixture.truth
        why = "each sample is divided by its own norm"
        return replace(
            inner,
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
        """Draw from the mixture, then normalise."""
        batch = self._mixture.sample(n, rng)
        norm = batch.x.norm(dim=1, keepdim=True)
        norm = torch.where(norm > 0, norm, 1.0)
        return Batch(batch.x / norm, Codes(batch.h.indices, batch.h.values / norm, batch.h.width))
