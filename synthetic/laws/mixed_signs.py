"""Magnitudes of which some features take a random sign: bidirectional beside unipolar concepts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.magnitudes import Drawn, Law, Magnitudes, SharedGain

_PLUS = "plus"


@knob
@dataclass(frozen=True)
class MixedSigns:
    """The first round(share n_true) features are bidirectional: each firing is +a with probability `positive`, else -a.

    E[a_i] = (2 positive - 1) E[inner a_i] there; the nominal mean stays that of `inner`, so that a child that scales by
    its parent takes the parent's sign.

    Source: bidirectional features, Zhu et al. (2025), arXiv 2510.00404; the mixture is ours.
    """

    inner: Magnitudes
    share: float = 1.0
    """fraction of features with both signs"""
    positive: float = 0.5
    """P(+) of those"""

    def __post_init__(self) -> None:
        must(0 <= self.share <= 1, "MixedSigns.share", "in [0, 1]", self.share, "give a fraction of the features")
        must(0 <= self.positive <= 1, "MixedSigns.positive", "in [0, 1]", self.positive, "give a probability")
        bare = not isinstance(self.inner, SharedGain | MixedSigns)
        got = type(self.inner).__name__
        must(bare, "MixedSigns.inner", "without a shared gain or mixed signs", got, "wrap the plain law once")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """What `inner` draws, and P(+) of each feature."""
        plus = torch.ones(n_true, dtype=torch.float64)
        plus[: round(self.share * n_true)] = self.positive
        return {**self.inner.init(n_true, rng), _PLUS: plus}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        flip = torch.rand(features.shape, generator=rng, device=features.device) >= drawn[_PLUS][features]
        values = self.inner.draw(drawn, features, rng)
        return torch.where(flip, -values, values)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Means shrink, squares stay."""
        law = self.inner.law(drawn, n_true)
        return Law(law.positive, law.mean * (2 * drawn[_PLUS] - 1), law.square, law.nominal, law.gain_square)
