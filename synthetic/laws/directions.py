"""Dictionaries of unit directions with a requested geometry."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.annotations import above, at_least, within
from synthetic.base.errors import must
from synthetic.base.progress import track
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
        return unit(gaussian(n, d, rng))


@knob
@dataclass(frozen=True)
class Orthonormal:
    """n <= d orthonormal rows, Haar distributed. Source: standard."""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
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
        must(n % 2 == 0, "Antipodal", "used with an even n_true", n, "add or drop one feature")
        half = unit(gaussian(n // 2, d, rng))
        return torch.stack((half, -half), 1).reshape(n, d)


@knob
@dataclass(frozen=True)
class CommonMean:
    """v_i = sqrt(c) u + sqrt(1-c) w_i, w_i random and orthogonal to u: cosines scatter about c. Source: ours."""

    cosine: Annotated[float, within(0, 1, "use Duplicates for equal rows", "[)")] = 0.3
    """c in [0, 1)"""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        must(d >= 2, "CommonMean", "used with d >= 2", d, "raise d: a line has no room beside the mean")
        centre = unit(gaussian(1, d, rng))
        own = gaussian(n, d, rng)
        own = unit(own - (own @ centre.T) * centre)
        return math.sqrt(self.cosine) * centre + math.sqrt(1 - self.cosine) * own


@knob
@dataclass(frozen=True)
class Duplicates:
    """Random directions, the last share of them copies of the first: not identifiable. Source: ours, a stress case."""

    share: Annotated[float, within(0, 0.5, "each row has one original")] = 0.25
    """fraction of rows that are copies, in [0, .5]"""

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
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
        rows = torch.tensor(self.rows, dtype=torch.float64)
        must(rows.shape == (n, d), "Given.rows", f"of shape (n_true, d)={(n, d)}", tuple(rows.shape), "match the world")
        must(bool((rows.norm(dim=1) > 0).all()), "Given.rows", "nonzero", "a zero row", "drop it")
        return unit(rows)


@knob
@dataclass(frozen=True)
class InViews:
    """Directions in d = views x width dimensions, equal parts side by side: several views of one thing.

    The last round(exclusive n) rows are of one view alone, by turns, and 0 in the others. Parts of the first ones are
    independent random directions in each view, of norm `weak` in all but the first before rows are made unit. Where the
    part in view v has norm p_v, sum_v p_v^2 = 1.

    Source: ours, for crosscoders (Lindsey et al. 2024).
    """

    views: Annotated[int, at_least(2, "give two or more")] = 2
    exclusive: Annotated[float, within(0, 1, "it is a share of the features")] = 0.5
    weak: Annotated[float, above(0, "use exclusive features for those of one view")] = 1.0

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        must(d % self.views == 0, "InViews.views", f"a divisor of d={d}", self.views, "change one of the two")
        parts = gaussian(n * self.views, d // self.views, rng)
        parts = unit(parts).view(n, self.views, -1)
        parts[:, 1:] *= self.weak
        shared = n - round(self.exclusive * n)
        own = torch.arange(n - shared) % self.views
        parts[shared:] *= (torch.arange(self.views) == own[:, None])[..., None]
        return unit(parts.reshape(n, d))


@knob
@dataclass(frozen=True)
class Orthogonalised:
    """Random directions after Adam steps on sum_{i != j} <v_i, v_j>^2 + n sum_i (|v_i|^2 - 1)^2, then unit rows.

    The gradient is taken in closed form, 4 V (V^T V) + 4 (n (|v|^2 - 1) - |v|^2) V: n d^2 work, not n^2 d.

    Source: SAELens synthetic, `orthogonalize_embeddings`; SynthSAEBench uses 100 steps at 3e-4.
    """

    steps: int = 100
    lr: float = 3e-4

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """Float32 inside, as there."""
        rows = unit(torch.randn(n, d, generator=rng)).requires_grad_()
        adam = torch.optim.Adam([rows], lr=self.lr)
        for _ in track(range(self.steps), "orthogonalising directions"):
            with torch.no_grad():
                v = rows.detach()
                square = v.square().sum(1, keepdim=True)
                rows.grad = 4 * (v @ (v.T @ v)) + 4 * (n * (square - 1) - square) * v
            adam.step()
        return unit(rows.detach().double())


@knob
@dataclass(frozen=True)
class LowCoherence:
    """A dictionary whose realised overlap equals the one asked for, to 0.1 %.

    Random directions are pushed apart by Adam on the overlaps above the target and then blended with the start;
    where random directions are already closer to orthogonal than asked, consecutive pairs are turned together.
    Refused under the Welch bound, and where the optimiser does not get there.

    Source: ours; the bound is Welch (1974).
    """

    overlap: Annotated[float, within(0, 1, "use Orthonormal for 0", "()")] = 0.3
    """target, in (0, 1)"""
    kind: Literal["max", "mean_max"] = "max"
    """"max": coherence; "mean_max": mean over rows of the largest |cos|, SynthSAEBench's measure"""
    steps: int = 3000

    def _measure(self, rows: Rows) -> float:
        nearest = overlaps(rows)
        return float(nearest.max() if self.kind == "max" else nearest.mean())

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        must(n >= 2, "LowCoherence", "used with n_true >= 2", n, "use RandomSphere for one feature")
        bound = welch_bound(n, d)
        must(
            self.overlap >= bound,
            "LowCoherence.overlap",
            f"at least the Welch bound {bound:.3f} of {n} features in d={d}",
            self.overlap,
            "raise d or the overlap",
        )
        start = unit(gaussian(n, d, rng))
        if self._measure(start) <= self.overlap:
            return self._turned_together(start)
        return self._blend(start, self._push_apart(start))

    def _turned_together(self, rows: Rows) -> Rows:
        """Turn each row of odd index towards the row before it; for "max" one is enough. A last row left over joins."""
        n = len(rows)
        turned = [1] if self.kind == "max" else [*range(1, n, 2), *([n - 1] if n % 2 else [])]
        towards = rows[[(i - 1) // 2 * 2 for i in turned]]
        found = rows.clone()
        low, high = 0.0, 1.0  # at `low` the measure is at most the target, at `high` it is 1
        for _ in range(50):
            share = (low + high) / 2
            found[turned] = unit((1 - share) * rows[turned] + share * towards)
            low, high = (share, high) if self._measure(found) <= self.overlap else (low, share)
        return found

    def _push_apart(self, start: Rows) -> Rows:
        free = start.clone().requires_grad_()
        adam = torch.optim.Adam([free], lr=0.02)
        aim = 0.97 * self.overlap
        best = math.inf
        for step in range(self.steps):
            rows = unit(free)
            gram = (rows @ rows.T).abs().fill_diagonal_(0)
            best = min(best, self._measure(rows.detach())) if step % 10 == 0 else best
            if best <= self.overlap:
                return rows.detach()
            adam.param_groups[0]["lr"] = 0.02 * (1 - step / self.steps) + 1e-4
            adam.zero_grad()
            (gram - aim).relu().square().sum().backward()
            adam.step()
        must(
            False,
            "LowCoherence.overlap",
            f"one that {self.steps} steps reach ({best:.4f} here, Welch bound {welch_bound(*start.shape):.4f})",
            self.overlap,
            "raise the overlap, d or steps",
        )
        return start

    def _blend(self, start: Rows, apart: Rows) -> Rows:
        low, high = 0.0, 1.0  # share of `apart`; at `high` the measure is at most the target
        for _ in range(30):
            share = (low + high) / 2
            met = self._measure(unit((1 - share) * start + share * apart)) <= self.overlap
            low, high = (low, share) if met else (share, high)
        return unit((1 - high) * start + high * apart)


def level_of(sizes: tuple[int, ...]) -> Tensor:
    """Level of each row, (sum of sizes,): the first sizes[0] rows are level 0, the next sizes[1] level 1, ..."""
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


@knob
@dataclass(frozen=True)
class ConditionallyOrthogonal:
    """Consecutive levels of rows: <v_i, v_j> = `within` inside a level and `across` between levels, exactly.

    V = L Q, L the Cholesky factor of that Gram matrix and Q random orthonormal rows, so n_true <= d.

    Source: Costa et al. (2025), arXiv 2506.03093, conditional orthogonality (across = 0). Their toy mixes the rows of a
    level, v_i = (1-e) q_i + e/(N-1) sum_{j != i} q_j, normalised: the same Gram matrix, for an e that depends on N.
    """

    sizes: tuple[int, ...] = (11, 3, 3, 3)
    within: float = 0.0
    across: float = 0.0

    def __post_init__(self) -> None:
        sized = bool(self.sizes) and min(self.sizes) >= 1
        must(sized, "ConditionallyOrthogonal.sizes", "numbers of at least 1", self.sizes, "list the rows of each level")

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        _must_add_up("ConditionallyOrthogonal", self.sizes, n)
        must(n <= d, "ConditionallyOrthogonal", f"used with n_true <= d={d}", n, "raise d or use LevelSubspaces")
        level = level_of(self.sizes)
        gram = torch.where(level[:, None] == level, self.within, self.across).double().fill_diagonal_(1)
        least = float(torch.linalg.eigvalsh(gram)[0])
        must(
            least > 1e-9,
            "ConditionallyOrthogonal.within, across",
            "inner products of independent unit rows",
            f"({self.within}, {self.across}), whose Gram matrix has the eigenvalue {least:.4g}",
            "bring both nearer to 0",
        )
        return torch.linalg.cholesky(gram) @ Orthonormal().draw(n, d, rng)


@knob
@dataclass(frozen=True)
class LevelSubspaces:
    """Consecutive levels of random rows, level l in a subspace of dims[l] dimensions; subspaces are orthogonal.

    Conditionally orthogonal with more rows than dimensions: no linear map inverts V where sizes[l] > dims[l].

    Source: ours; conditional orthogonality as in `ConditionallyOrthogonal`.
    """

    sizes: tuple[int, ...] = (11, 3, 3, 3)
    dims: tuple[int, ...] = (5, 2, 2, 2)

    def __post_init__(self) -> None:
        fits = bool(self.sizes) and len(self.dims) == len(self.sizes) and min(*self.sizes, *self.dims) >= 1
        got = (self.sizes, self.dims)
        must(fits, "LevelSubspaces.sizes, dims", "as many numbers of at least 1", got, "give both for each level")

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        _must_add_up("LevelSubspaces", self.sizes, n)
        room = sum(self.dims)
        must(room <= d, "LevelSubspaces.dims", f"at most d={d} in sum", room, "raise d or shrink the subspaces")
        parts = Orthonormal().draw(room, d, rng).split(list(self.dims))
        rows = [unit(gaussian(size, len(part), rng)) @ part for size, part in zip(self.sizes, parts, strict=True)]
        return torch.cat(rows)


def _must_add_up(owner: str, sizes: tuple[int, ...], n: int) -> None:
    must(sum(sizes) == n, f"{owner}.sizes", f"n_true={n} in sum", sum(sizes), "match the world")
