"""Directions of concepts in levels: anything goes inside a level, different levels are (nearly) orthogonal."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import knob
from synthetic.laws.directions import Orthonormal, Rows, gaussian, unit


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
        """See `Directions`."""
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
        """See `Directions`."""
        _must_add_up("LevelSubspaces", self.sizes, n)
        room = sum(self.dims)
        must(room <= d, "LevelSubspaces.dims", f"at most d={d} in sum", room, "raise d or shrink the subspaces")
        parts = Orthonormal().draw(room, d, rng).split(list(self.dims))
        rows = [unit(gaussian(size, len(part), rng)) @ part for size, part in zip(self.sizes, parts, strict=True)]
        return torch.cat(rows)


def _must_add_up(owner: str, sizes: tuple[int, ...], n: int) -> None:
    must(sum(sizes) == n, f"{owner}.sizes", f"n_true={n} in sum", sum(sizes), "match the world")
