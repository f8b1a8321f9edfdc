"""How often each feature fires: profiles of rates over features, most frequent first unless random."""

from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.annotations import above, at_least, within
from synthetic.base.errors import must
from synthetic.base.storage import knob


@runtime_checkable
class Rates(Protocol):
    """A profile of firing rates."""

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        """Rates of n_true features, float64 in (0, 1]."""
        ...


def _check_range(where: str, low: float, high: float) -> None:
    must(0 < low <= high <= 1, where, "ordered, 0 < low <= high <= 1", (low, high), "swap or clip the two rates")


@knob
@dataclass(frozen=True)
class Constant:
    """rate_i = rate. Source: ours."""

    rate: Annotated[float, within(0, 1, "give a probability", "(]")] = 0.05
    """P(a feature fires), in (0, 1]"""

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        return torch.full((n_true,), self.rate, dtype=torch.float64)


@knob
@dataclass(frozen=True)
class Levels:
    """Equal shares of the features fire at each of these rates, in order. Source: ours."""

    rates: tuple[float, ...] = (0.06, 0.006)

    def __post_init__(self) -> None:
        good = bool(self.rates) and min(self.rates) > 0 and max(self.rates) <= 1
        must(good, "Levels.rates", "probabilities in (0, 1]", self.rates, "give at least one")

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        must(n_true >= len(self.rates), "Levels.rates", f"at most n_true={n_true}", len(self.rates), "drop some")
        index = torch.arange(n_true) * len(self.rates) // n_true
        return torch.tensor(self.rates, dtype=torch.float64)[index]


@knob
@dataclass(frozen=True)
class Linear:
    """rate_i falls linearly from `high` (first) to `low` (last). Source: SAELens synthetic, same name."""

    high: float = 0.3
    low: float = 0.01

    def __post_init__(self) -> None:
        _check_range("Linear.low, high", self.low, self.high)

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        return torch.linspace(self.high, self.low, n_true, dtype=torch.float64)


@knob
@dataclass(frozen=True)
class RandomRates:
    """rate_i uniform in [low, high], drawn once a world. Source: SAELens synthetic ("random")."""

    low: float = 0.01
    high: float = 0.3

    def __post_init__(self) -> None:
        _check_range("RandomRates.low, high", self.low, self.high)

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        return self.low + (self.high - self.low) * torch.rand(n_true, generator=rng, dtype=torch.float64)


@knob
@dataclass(frozen=True)
class Zipf:
    """rate_i = rate * i^(-exponent), i = 1, 2, ...: a true power law. Source: Zipf's law."""

    rate: Annotated[float, within(0, 1, "give the first feature's probability", "(]")] = 0.3
    """rate of the most frequent feature"""
    exponent: Annotated[float, at_least(0, "rates fall with rank")] = 1.0

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        return self.rate * torch.arange(1, n_true + 1, dtype=torch.float64) ** -self.exponent


@knob
@dataclass(frozen=True)
class StretchedZipf:
    """i^(-exponent), then mapped affinely so that the first rate is `high` and the last is `low`.

    Not a power law: the affine map bends the tail. It is what SynthSAEBench calls Zipfian.

    Source: SAELens synthetic, `zipfian_firing_probabilities`; SynthSAEBench (arXiv 2602.14687).
    """

    exponent: Annotated[float, above(0, "use Constant for equal rates")] = 0.5
    high: float = 0.4
    low: float = 5e-4

    def __post_init__(self) -> None:
        _check_range("StretchedZipf.low, high", self.low, self.high)

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        must(n_true > 1, "StretchedZipf", "used with at least two features", n_true, "use Constant for one")
        powers = torch.arange(1, n_true + 1, dtype=torch.float64) ** -self.exponent
        return self.low + (self.high - self.low) * (powers - powers[-1]) / (powers[0] - powers[-1])


@knob
@dataclass(frozen=True)
class Scaled:
    """Another profile times a factor: the sparsity knob of an experiment. Source: ours."""

    inner: Rates
    factor: Annotated[float, above(0, "raise it")] = 1.0

    def draw(self, n_true: int, rng: torch.Generator) -> Float[Tensor, " n_true"]:
        rates = self.factor * self.inner.draw(n_true, rng)
        top = float(rates.max())
        must(top <= 1, "Scaled.factor", "one that leaves rates at most 1", f"a rate of {top:.4g}", "lower it")
        return rates
