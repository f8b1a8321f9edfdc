"""How strongly a feature fires, given that it fires."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob

Drawn = dict[str, Tensor]


@dataclass(frozen=True)
class Law:
    """Moments of the magnitudes a_i of firing features, float64."""

    positive: Float[Tensor, " n_true"]
    """P(a_i != 0): below 1 where a draw can be cut off at 0"""
    mean: Float[Tensor, " n_true"]
    """E[a_i], cut-off draws included"""
    square: Float[Tensor, " n_true"]
    """E[a_i^2]"""
    nominal: Float[Tensor, " n_true"]
    """the mean that settings name, which parent scaling divides by"""
    gain_square: float = 1.0
    """E[g^2] of the gain shared by all features of a sample; E[g] = 1"""


@runtime_checkable
class Magnitudes(Protocol):
    """A law of magnitudes: what is drawn once (`init`), what is drawn per firing (`draw`), its moments (`law`)."""

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Per-feature parameters, drawn once a world."""
        ...

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """One magnitude for each listed firing, float32."""
        ...

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        ...


def _uniform(like: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
    return torch.rand(like.shape, generator=rng, device=like.device)


def _normal(like: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
    return torch.randn(like.shape, generator=rng, device=like.device)


def _equal(n_true: int, mean: float, square: float) -> Law:
    one = torch.ones(n_true, dtype=torch.float64)
    return Law(one, mean * one, square * one, mean * one)


@knob
@dataclass(frozen=True)
class ConstantMagnitude:
    """a = value. Source: ours."""

    value: float = 1.0

    def __post_init__(self) -> None:
        must(self.value > 0, "ConstantMagnitude.value", "above 0", self.value, "wrap it in Signed for both signs")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing to draw."""
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return torch.full(features.shape, float(self.value), device=features.device)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        return _equal(n_true, self.value, self.value**2)


@knob
@dataclass(frozen=True)
class Uniform:
    """a ~ U(low, high). Source: ours."""

    low: float = 0.5
    high: float = 1.5

    def __post_init__(self) -> None:
        ordered = 0 <= self.low < self.high
        must(ordered, "Uniform.low, high", "ordered, 0 <= low < high", (self.low, self.high), "swap or raise them")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing to draw."""
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`; drawn from (low, high], so that a firing feature is never 0."""
        return self.high - (self.high - self.low) * _uniform(features, rng)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        return _equal(n_true, (self.low + self.high) / 2, (self.low**2 + self.low * self.high + self.high**2) / 3)


@knob
@dataclass(frozen=True)
class FoldedNormal:
    """a = |N(mean, sd^2)|. Source: Leone, Nelson, Nottingham (1961), folded normal moments."""

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        must(self.sd > 0, "FoldedNormal.sd", "above 0", self.sd, "use ConstantMagnitude for no spread")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing to draw."""
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return (self.mean + self.sd * _normal(features, rng)).abs()

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """E|a| = sd sqrt(2/pi) exp(-u^2/2) + mean erf(u/sqrt 2), u = mean/sd; E a^2 = mean^2 + sd^2."""
        u = self.mean / self.sd
        mean = self.sd * math.sqrt(2 / math.pi) * math.exp(-u * u / 2) + self.mean * math.erf(u / math.sqrt(2))
        return _equal(n_true, mean, self.mean**2 + self.sd**2)


@knob
@dataclass(frozen=True)
class Exponential:
    """a ~ Exp with the given mean. Source: ours."""

    mean: float = 1.0

    def __post_init__(self) -> None:
        must(self.mean > 0, "Exponential.mean", "above 0", self.mean, "magnitudes are positive")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing to draw."""
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return torch.empty(features.shape, device=features.device).exponential_(1 / self.mean, generator=rng)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Exact moments."""
        return _equal(n_true, self.mean, 2 * self.mean**2)


@knob
@dataclass(frozen=True)
class LogNormal:
    """log a ~ N(log median, spread^2): a heavy right tail. Source: ours."""

    median: float = 1.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        must(self.median > 0 and self.spread > 0, "LogNormal.median, spread", "above 0", self, "raise both")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Nothing to draw."""
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return self.median * (self.spread * _normal(features, rng)).exp()

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """E a = median exp(spread^2/2), E a^2 = median^2 exp(2 spread^2)."""
        return _equal(n_true, self.median * math.exp(self.spread**2 / 2), self.median**2 * math.exp(2 * self.spread**2))


@knob
@dataclass(frozen=True)
class PerFeature:
    """a_i ~ max(0, N(mean_i, sd_i^2)); mean_i linear from `first` to `last`, sd_i = |N(sd_mean, sd_sd^2)| drawn once.

    Source: SAELens synthetic (linear means, folded-normal standard deviations, rectified draw).
    """

    first: float = 5.0
    last: float = 4.0
    sd_mean: float = 0.5
    sd_sd: float = 0.5

    def __post_init__(self) -> None:
        must(min(self.first, self.last) > 0, "PerFeature.first, last", "above 0", (self.first, self.last), "raise them")
        must(min(self.sd_mean, self.sd_sd) >= 0, "PerFeature.sd_mean, sd_sd", "at least 0", self, "raise them")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Per-feature mean and standard deviation."""
        sd = (self.sd_mean + self.sd_sd * torch.randn(n_true, generator=rng)).abs()
        return {"mean": torch.linspace(self.first, self.last, n_true), "sd": sd}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        return (drawn["mean"][features] + drawn["sd"][features] * _normal(features, rng)).relu()

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Rectified normal, u = mean/sd.

        E a = mean Phi(u) + sd phi(u), E a^2 = (mean^2 + sd^2) Phi(u) + mean sd phi(u).
        """
        mean, sd = drawn["mean"].double(), drawn["sd"].double()
        u = mean / sd.clamp_min(1e-300)
        cdf, pdf = torch.special.ndtr(u), torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        return Law(cdf, mean * cdf + sd * pdf, (mean**2 + sd**2) * cdf + mean * sd * pdf, mean)


@knob
@dataclass(frozen=True)
class Signed:
    """Each firing takes a fair random sign; E[a] = 0. Source: ours."""

    inner: Magnitudes

    def __post_init__(self) -> None:
        shared = isinstance(self.inner, SharedGain)
        must(not shared, "Signed.inner", "without a shared gain", "SharedGain", "write SharedGain(Signed(...))")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """What `inner` draws."""
        return self.inner.init(n_true, rng)

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`."""
        flip = torch.rand(features.shape, generator=rng, device=features.device) < 0.5
        values = self.inner.draw(drawn, features, rng)
        return torch.where(flip, -values, values)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Means vanish, squares stay."""
        law = self.inner.law(drawn, n_true)
        return Law(law.positive, 0 * law.mean, law.square, 0 * law.mean, law.gain_square)


@knob
@dataclass(frozen=True)
class SharedGain:
    """All features of a sample share a lognormal gain g, E[g] = 1, log g of the given spread. Source: ours."""

    inner: Magnitudes
    spread: float = 0.3

    def __post_init__(self) -> None:
        must(self.spread > 0, "SharedGain.spread", "above 0", self.spread, "drop the wrapper for no gain")
        twice = isinstance(self.inner, SharedGain)
        must(not twice, "SharedGain.inner", "without a shared gain", "SharedGain", "wrap once: squared spreads add")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """What `inner` draws."""
        return self.inner.init(n_true, rng)

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """See `Magnitudes`; the gain itself is applied per sample by `gain`."""
        return self.inner.draw(drawn, features, rng)

    def gain(self, n: int, rng: torch.Generator) -> Float[Tensor, " n"]:
        """One gain a sample."""
        noise = torch.randn(n, generator=rng, device=rng.device)
        return (self.spread * noise - self.spread**2 / 2).exp()

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """E[g^2] = exp(spread^2)."""
        law = self.inner.law(drawn, n_true)
        return Law(law.positive, law.mean, law.square, law.nominal, law.gain_square * math.exp(self.spread**2))
