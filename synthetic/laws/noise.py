"""Additive noise on the activations."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.annotations import at_least
from synthetic.base.errors import must
from synthetic.base.storage import knob

Signal = Callable[[], float | None]
"""tr Cov of the noiseless activations, None where it has no closed form; computed only if asked"""


@runtime_checkable
class Noise(Protocol):
    """Gaussian noise e = z R with z standard normal; R is the root returned by `root`."""

    def root(self, d: int, signal: Signal, rng: torch.Generator) -> Float[Tensor, "d d"] | Float[Tensor, " d"] | None:
        """R, or its diagonal, or None for no noise."""
        ...


def _sd(where: str, sd: float | None, snr_db: float | None, d: int, signal: Signal) -> float:
    """Per-coordinate sd; SNR in dB is 10 log10(tr Cov[signal] / tr Cov[noise])."""
    must((sd is None) != (snr_db is None), where, "given as either sd or snr_db", (sd, snr_db), "set exactly one")
    if sd is not None:
        must(sd >= 0, f"{where}.sd", "at least 0", sd, "give a standard deviation")
        return sd
    variance = signal()
    if variance is None:
        raise ValueError(f"{where}.snr_db must be used where Cov[x] is closed; got a world where it is not: give sd.")
    return math.sqrt(variance / 10 ** (float(snr_db or 0.0) / 10) / d)


@knob
@dataclass(frozen=True)
class NoNoise:
    """No noise."""

    def root(self, d: int, signal: Signal, rng: torch.Generator) -> None:
        """Nothing is added."""
        return None


@knob
@dataclass(frozen=True)
class Isotropic:
    """e ~ N(0, sd^2 I). Source: ours."""

    sd: float | None = None
    snr_db: float | None = None
    """10 log10 of the ratio of total variances, signal over noise; give this or `sd`"""

    def root(self, d: int, signal: Signal, rng: torch.Generator) -> Float[Tensor, " d"]:
        """Diagonal of R."""
        return torch.full((d,), _sd("Isotropic", self.sd, self.snr_db, d, signal))


@knob
@dataclass(frozen=True)
class Coloured:
    """Noise with eigenvalues j^(-decay) in a random basis, scaled to the total variance d sd^2. Source: ours."""

    sd: float | None = None
    snr_db: float | None = None
    decay: Annotated[float, at_least(0, "eigenvalues fall; 0 is isotropic")] = 1.0

    def root(self, d: int, signal: Signal, rng: torch.Generator) -> Float[Tensor, "d d"]:
        """R, rows scaled eigenvectors: R^T R = Cov[e]."""
        sd = _sd("Coloured", self.sd, self.snr_db, d, signal)
        basis = torch.linalg.qr(torch.randn(d, d, generator=rng, dtype=torch.float64)).Q
        spectrum = torch.arange(1, d + 1, dtype=torch.float64) ** -self.decay
        return ((spectrum * (d * sd**2 / spectrum.sum())).sqrt()[:, None] * basis).float()
