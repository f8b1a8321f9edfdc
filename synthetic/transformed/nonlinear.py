"""Neurons that read a sparse mixture through GELU: activations behind a real nonlinearity."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.base.defaults import torch_defaults
from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.base.streams import stream
from synthetic.laws.directions import unit
from synthetic.laws.magnitudes import Drawn
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, GroundTruth


@knob
@dataclass(frozen=True)
class Nonlinear:
    """x = GELU(r W), r a sample of the mixture and W (inner.d, width) with rows N(0, gain^2 / inner.d) an entry.

    No linear truth exists behind GELU. What `truth.features` holds is each feature's response: what the feature alone,
    at its nominal magnitude a_i, adds to the silent activations,

        responses_i = GELU((a_i v_i + b) W) - GELU(b W),    features_i = responses_i / |responses_i|,

    and `truth.bias` = GELU(b W). x is their sum only where one feature fires at a_i. Codes are the mixture's; the
    moments of x are open. A feature's neurons are the large entries of its response.

    Source: ours, after the MLP activations of Shafran et al. (2025), arXiv 2506.10920.
    """

    inner: SparseMixture
    width: int = 120
    """number of neurons"""
    gain: float = 1.0

    def __post_init__(self) -> None:
        must(self.width >= 1, "Nonlinear.width", "at least 1", self.width, "add neurons")
        must(self.gain > 0, "Nonlinear.gain", "above 0", self.gain, "raise it")

    @cached_property
    @torch_defaults()
    def tensors(self) -> Drawn:
        """What the mixture draws once, and the neurons' weights."""
        rng = stream(self.inner.seed, "world/neurons")
        weights = torch.randn(self.inner.d, self.width, generator=rng) * (self.gain / self.inner.d**0.5)
        return {**self.inner.tensors, "neurons": weights}

    @cached_property
    def _mixture(self) -> SparseMixture:
        """The mixture with these tensors, also where they were loaded."""
        self.inner.__dict__["tensors"] = {name: value for name, value in self.tensors.items() if name != "neurons"}
        return self.inner

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.width

    def activations(self, r: Float[Tensor, "n d_in"]) -> Float[Tensor, "n width"]:
        """What the neurons make of r."""
        return F.gelu(r @ self.tensors["neurons"].to(r))

    @cached_property
    @torch_defaults()
    def responses(self) -> Float[Tensor, "n_true width"]:
        """What each feature alone, at its nominal magnitude, adds to the silent activations; float64."""
        mixture, truth = self._mixture, self._mixture.truth
        size, bias = mixture._law.nominal, truth.bias.double()
        nonzero = bool((size != 0).all())
        must(nonzero, "Nonlinear.inner.magnitudes", "of nonzero nominal mean", "a zero", "use MixedSigns for Signed")
        alone = size[:, None] * truth.features.double() + bias
        return self.activations(alone) - self.activations(bias[None])

    @property
    def truth(self) -> GroundTruth:
        """Responses as features, rates and co-firing; moments of x are NaN and `open` says why."""
        return self._truth

    @cached_property
    @torch_defaults()
    def _truth(self) -> GroundTruth:
        inner = self._mixture.truth
        silent = self.activations(inner.bias.double()[None])[0]
        why = "GELU of a mixture has no closed moments"
        return replace(
            inner,
            features=unit(self.responses).float(),
            bias=silent.float(),
            mean=torch.full_like(silent, torch.nan),
            covariance=None,
            symmetries=("permutation",),
            requested={},
            realised={"E[L0]": inner.realised["E[L0]"]},
            open={**inner.open, "mean": why, "covariance": why},
        )

    @torch_defaults()
    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw from the mixture, then let the neurons read it."""
        batch = self._mixture.sample(n, rng)
        return Batch(self.activations(batch.x), batch.h)
