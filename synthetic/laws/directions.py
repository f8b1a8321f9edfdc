"""Dictionaries of unit directions with a requested geometry."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob

Rows = Float[Tensor, "n d"]


@runtime_checkable
class Directions(Protocol):
    """A family of dictionaries."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """Draw n unit rows in R^d, float64."""
        ...


def unit(rows: Tensor) -> Tensor:
    """Rows scaled to norm 1."""
    return rows / rows.norm(dim=-1, keepdim=True)


def welch_bound(n: int, d: int) -> float:
    """Least possible coherence of n unit vectors in R^d, sqrt((n - d) / (d (n - 1))) or 0. Source: Welch (1974)."""
    return math.sqrt((n - d) / (d * (n - 1))) if n > d else 0.0


def overlaps(rows: Rows, chunk: int = 2048) -> Float[Tensor, " n"]:
    """max_{j != i} |<v_i, v_j>| for each row; 0 for a single row."""
    if len(rows) == 1:
        return rows.new_zeros(1)
    best = []
    for start in range(0, len(rows), chunk):
        gram = (rows[start : start + chunk] @ rows.T).abs()
        at = torch.arange(len(gram))
        gram[at, start + at] = 0
        best.append(gram.max(1).values)
    return torch.cat(best)


def gaussian(n: int, d: int, rng: torch.Generator) -> Rows:
    """Draw n rows of independent standard normals."""
    return torch.randn(n, d, generator=rng, dtype=torch.float64)


def _basis(n: int, d: int, rng: torch.Generator, owner: str) -> Rows:
    """Draw n orthonormal rows."""
    must(n <= d, owner, f"used with n_true <= d={d}", n, "raise d or choose an overcomplete family")
    return torch.linalg.qr(gaussian(d, n, rng)).Q.T


@knob
@dataclass(frozen=True)
class RandomSphere:
    """Independent uniform directions. Source: standard."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        return unit(gaussian(n, d, rng))


@knob
@dataclass(frozen=True)
class Orthonormal:
    """n <= d orthonormal rows, Haar distributed. Source: standard."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        return _basis(n, d, rng, "Orthonormal")


@knob
@dataclass(frozen=True)
class Cone:
    """Equiangular cones: groups of k rows with all inner products mu; different groups orthogonal.

    Rows are sqrt(1 - mu) q_i + c sum_j q_j over an orthonormal group basis, the square root of (1-mu) I + mu 11^T.

    Source: equiangular Gram matrix, whose eigenvalues 1-mu and 1+(k-1)mu bound mu.
    """

    mu: float = 0.5
    k: int | None = None
    """rows in a cone; None for all n_true in one"""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        k = self.k or n
        must(n % k == 0, "Cone.k", f"a divisor of n_true={n}", k, "change one of the two")
        lowest = -1 / (k - 1) if k > 1 else -1.0
        must(
            lowest <= self.mu < 1, "Cone.mu", f"in [-1/(k-1), 1) = [{lowest:.4g}, 1)", self.mu, "no such vectors exist"
        )
        basis = _basis(n, d, rng, "Cone").view(-1, k, d)
        shift = (math.sqrt(max(1 + (k - 1) * self.mu, 0.0)) - math.sqrt(1 - self.mu)) / k
        return (math.sqrt(1 - self.mu) * basis + shift * basis.sum(1, keepdim=True)).reshape(n, d)


@knob
@dataclass(frozen=True)
class Simplex:
    """Vertices of a regular simplex: all inner products -1/(n-1), n <= d + 1. Source: meets the Welch bound."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        must(2 <= n <= d + 1, "Simplex", f"used with 2 <= n_true <= d+1={d + 1}", n, "raise d or lower n_true")
        corners = torch.eye(n, dtype=torch.float64) - 1 / n
        flat = torch.linalg.svd(corners)[2][: n - 1]
        return unit(corners @ flat.T) @ _basis(n - 1, d, rng, "Simplex")


@knob
@dataclass(frozen=True)
class TightFrame:
    """Unit-norm tight frame, n >= d: V^T V = (n/d) I, by alternating projection to 1e-12.

    Source: Benedetto and Fickus (2003) for existence; Tropp et al. (2005) for the alternating projection.
    """

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        must(n >= d, "TightFrame", f"used with n_true >= d={d}", n, "use Orthonormal for fewer features")
        rows = unit(gaussian(n, d, rng))
        for _ in range(5000):
            left, singular, right = torch.linalg.svd(rows, full_matrices=False)
            if float((singular**2 - n / d).abs().max()) < 1e-12 * n:
                break
            rows = unit(left @ right)
        return rows


@knob
@dataclass(frozen=True)
class Antipodal:
    """Random pairs v, -v: two concepts on one axis. Source: ours, a stress case for signs."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        must(n % 2 == 0, "Antipodal", "used with an even n_true", n, "add or drop one feature")
        half = unit(gaussian(n // 2, d, rng))
        return torch.stack((half, -half), 1).reshape(n, d)


@knob
@dataclass(frozen=True)
class CommonMean:
    """v_i = sqrt(c) u + sqrt(1-c) w_i, w_i random and orthogonal to u: cosines scatter about c. Source: ours."""

    cosine: float = 0.3
    """c in [0, 1)"""

    def __post_init__(self) -> None:
        must(0 <= self.cosine < 1, "CommonMean.cosine", "in [0, 1)", self.cosine, "use Duplicates for equal rows")

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        must(d >= 2, "CommonMean", "used with d >= 2", d, "raise d: a line has no room beside the mean")
        centre = unit(gaussian(1, d, rng))
        own = gaussian(n, d, rng)
        own = unit(own - (own @ centre.T) * centre)
        return math.sqrt(self.cosine) * centre + math.sqrt(1 - self.cosine) * own


@knob
@dataclass(frozen=True)
class Duplicates:
    """Random directions, the last share of them copies of the first: not identifiable. Source: ours, a stress case."""

    share: float = 0.25
    """fraction of rows that are copies, in [0, .5]"""

    def __post_init__(self) -> None:
        must(0 <= self.share <= 0.5, "Duplicates.share", "in [0, 0.5]", self.share, "each row has one original")

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        rows = unit(gaussian(n, d, rng))
        copies = int(self.share * n)
        rows[n - copies :] = rows[:copies]
        return rows


@knob
@dataclass(frozen=True)
class Given:
    """Directions given as rows of numbers, scaled to unit norm."""

    rows: tuple[tuple[float, ...], ...]

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        rows = torch.tensor(self.rows, dtype=torch.float64)
        must(rows.shape == (n, d), "Given.rows", f"of shape (n_true, d)={(n, d)}", tuple(rows.shape), "match the world")
        must(bool((rows.norm(dim=1) > 0).all()), "Given.rows", "nonzero", "a zero row", "drop it")
        return unit(rows)
