"""How strongly a feature fires, given that it fires."""

import math
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.annotations import above, at_least, within
from synthetic.base.errors import must
from synthetic.base.storage import knob

Drawn = dict[str, Tensor]
Numbers = float | int | tuple[float | int, ...]


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

    def law(self, drawn: Drawn, n_true: int) -> Law: ...


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

    value: Annotated[float, above(0, "wrap it in Signed for both signs")] = 1.0

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        return torch.full(features.shape, float(self.value), device=features.device)

    def law(self, drawn: Drawn, n_true: int) -> Law:
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
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """Drawn from (low, high], so that a firing feature is never 0."""
        return self.high - (self.high - self.low) * _uniform(features, rng)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        return _equal(n_true, (self.low + self.high) / 2, (self.low**2 + self.low * self.high + self.high**2) / 3)


@knob
@dataclass(frozen=True)
class FoldedNormal:
    """a = |N(mean, sd^2)|. Source: Leone, Nelson, Nottingham (1961), folded normal moments."""

    mean: float = 0.0
    sd: Annotated[float, above(0, "use ConstantMagnitude for no spread")] = 1.0

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
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

    mean: Annotated[float, above(0, "magnitudes are positive")] = 1.0

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        return torch.empty(features.shape, device=features.device).exponential_(1 / self.mean, generator=rng)

    def law(self, drawn: Drawn, n_true: int) -> Law:
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
        return {}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
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
    spread: Annotated[float, above(0, "drop the wrapper for no gain")] = 0.3

    def __post_init__(self) -> None:
        twice = isinstance(self.inner, SharedGain)
        must(not twice, "SharedGain.inner", "without a shared gain", "SharedGain", "wrap once: squared spreads add")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """What `inner` draws."""
        return self.inner.init(n_true, rng)

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        """The gain itself is applied per sample by `gain`."""
        return self.inner.draw(drawn, features, rng)

    def gain(self, n: int, rng: torch.Generator) -> Float[Tensor, " n"]:
        """One gain a sample."""
        noise = torch.randn(n, generator=rng, device=rng.device)
        return (self.spread * noise - self.spread**2 / 2).exp()

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """E[g^2] = exp(spread^2)."""
        law = self.inner.law(drawn, n_true)
        return Law(law.positive, law.mean, law.square, law.nominal, law.gain_square * math.exp(self.spread**2))


@knob
@dataclass(frozen=True)
class GaussianRows:
    """a_i = value |g_i| / sqrt(d), g_i ~ N(0, I_d) drawn once: with random directions, rows of V are value N(0, I/d).

    Source: the dynamics class of Chen et al. (2025), arXiv 2506.14002, section 6, has such rows and value 1/sqrt(s).
    """

    d: Annotated[int, at_least(1, "give the world's d")] = 32
    """dimension of the world"""
    value: Annotated[float, above(0, "give a length")] = 1.0

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Lengths of the rows."""
        rows = torch.randn(n_true, self.d, generator=rng, dtype=torch.float64)
        return {"length": self.value * rows.norm(dim=1) / self.d**0.5}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        return drawn["length"].float()[features]

    def law(self, drawn: Drawn, n_true: int) -> Law:
        length = drawn["length"]
        return Law(torch.ones_like(length), length, length**2, length)


@knob
@dataclass(frozen=True)
class MixedSigns:
    """The first round(share n_true) features are bidirectional: each firing is +a with probability `positive`, else -a.

    E[a_i] = (2 positive - 1) E[inner a_i] there; the nominal mean stays that of `inner`, so that a child that scales by
    its parent takes the parent's sign.

    Source: bidirectional features, Zhu et al. (2025), arXiv 2510.00404; the mixture is ours.
    """

    inner: Magnitudes
    share: Annotated[float, within(0, 1, "give a fraction of the features")] = 1.0
    """fraction of features with both signs"""
    positive: Annotated[float, within(0, 1, "give a probability")] = 0.5
    """P(+) of those"""

    def __post_init__(self) -> None:
        bare = not isinstance(self.inner, SharedGain | MixedSigns)
        got = type(self.inner).__name__
        must(bare, "MixedSigns.inner", "without a shared gain or mixed signs", got, "wrap the plain law once")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """What `inner` draws, and P(+) of each feature."""
        plus = torch.ones(n_true, dtype=torch.float64)
        plus[: round(self.share * n_true)] = self.positive
        return {**self.inner.init(n_true, rng), "plus": plus}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        flip = torch.rand(features.shape, generator=rng, device=features.device) >= drawn["plus"][features]
        values = self.inner.draw(drawn, features, rng)
        return torch.where(flip, -values, values)

    def law(self, drawn: Drawn, n_true: int) -> Law:
        """Means shrink, squares stay."""
        law = self.inner.law(drawn, n_true)
        return Law(law.positive, law.mean * (2 * drawn["plus"] - 1), law.square, law.nominal, law.gain_square)


@knob
@dataclass(frozen=True)
class Normal:
    """a_i ~ N(mean_i, sd_i^2), not clipped; one number is meant for all features. sd 0 is allowed: a constant.

    Source: the toy hierarchy of Costa et al. (2025), arXiv 2506.03093, has N(1.5, .25^2), negative once in 10^9.
    """

    mean: Numbers = 1.5
    sd: Numbers = 0.25

    def __post_init__(self) -> None:
        must(float(_numbers(self.sd).min()) >= 0, "Normal.sd", "at least 0", self.sd, "give standard deviations")
        means = float(_numbers(self.mean).abs().min())
        must(means > 0, "Normal.mean", "nonzero", self.mean, "a feature of mean 0 is not seen to fire")

    def init(self, n_true: int, rng: torch.Generator) -> Drawn:
        """Both parameters, one a feature."""
        return {"mean": _by_feature(self.mean, n_true, "mean"), "sd": _by_feature(self.sd, n_true, "sd")}

    def draw(self, drawn: Drawn, features: Int[Tensor, " k"], rng: torch.Generator) -> Float[Tensor, " k"]:
        noise = torch.randn(features.shape, generator=rng, device=features.device)
        return drawn["mean"].float()[features] + drawn["sd"].float()[features] * noise

    def law(self, drawn: Drawn, n_true: int) -> Law:
        mean, sd = drawn["mean"], drawn["sd"]
        return Law(torch.ones_like(mean), mean, mean**2 + sd**2, mean)


def _numbers(numbers: Numbers) -> Float[Tensor, " k"]:
    return torch.tensor(numbers, dtype=torch.float64, device="cpu").reshape(-1)


def _by_feature(numbers: Numbers, n_true: int, name: str) -> Float[Tensor, " n_true"]:
    values = _numbers(numbers)
    fits = len(values) in (1, n_true)
    must(fits, f"Normal.{name}", f"one number or n_true={n_true}", len(values), "give one a feature")
    return values.expand(n_true).clone()


def around(mean: float, sd: float) -> Magnitudes:
    """|N(mean, sd^2)|, or the mean itself where sd is 0."""
    return FoldedNormal(mean, sd) if sd else ConstantMagnitude(mean)
