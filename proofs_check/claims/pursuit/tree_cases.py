"""Trees of concepts: rows that fall into levels, at most one active in each."""

from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor

import synthetic as S
from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import SEEDS, mostly, numbers
from proofs_check.instances.mixture import NEARLY, Mixture


@dataclass(frozen=True, eq=False)
class Tree(Mixture):
    """One sample on rows that fall into levels, beside noise e."""

    level: Int[Tensor, " m"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    noise: Float[Tensor, "n d"] = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))

    def __str__(self) -> str:
        return f"{super().__str__()}, levels {tuple(self.level.tolist())}, noise {digits(self.noise)}"

    @property
    def nontrivial(self) -> bool:
        """Two levels or more are active, and siblings are not at right angles."""
        return int((self.h != 0).sum()) > 1 and float(self.within.abs().max()) > NEARLY

    @property
    def within(self) -> Float[Tensor, "m m"]:
        """Products inside levels, 0 elsewhere and on the diagonal."""
        same = self.level[:, None] == self.level
        return torch.where(same, self.rows @ self.rows.T, 0.0).fill_diagonal_(0)

    @property
    def across(self) -> Float[Tensor, "m m"]:
        """Products of different levels, 0 elsewhere."""
        return (self.rows @ self.rows.T) * (self.level[:, None] != self.level)


def _busiest(case: Tree) -> float:
    return float(torch.bincount(case.level[case.h[0] != 0]).max()) if bool((case.h != 0).any()) else 0.0


LEVELS = Hypothesis("orthogonal levels", lambda case: case.across.abs().max())
EXCLUSIVE = Hypothesis("at most one active row a level", lambda case: max(0.0, _busiest(case) - 1))
POSITIVE = Hypothesis("h ≥ 0", lambda case: (-case.h).amax(1))
APART = Hypothesis("siblings apart: |⟨w, w'⟩| < 1", lambda case: float(case.within.abs().max() > 1 - 1e-6))


@st.composite
def trees(draw, alike=False):
    """Up to three levels of two or three rows, products of all kinds; `alike` gives all levels one product above 0."""
    count, size = draw(mostly(st.integers(2, 3), st.integers(1, 3))), draw(st.integers(2, 3))
    rng = S.stream(draw(SEEDS), "tree")
    g = draw(st.sampled_from([0.5, 0.95]) | numbers(0.05, 0.99) if alike else numbers(-0.4, 0.99))
    blocks = [S.Cone(g).draw(size, size, rng) for _ in range(count)]
    if not alike and draw(st.booleans()):
        blocks = [S.RandomSphere().draw(size, 3, rng) for _ in range(count)]
    rows = torch.block_diag(*blocks)
    level = torch.arange(count).repeat_interleave(size)
    h = torch.zeros(len(rows), dtype=torch.float64)
    values = draw(st.lists(numbers(0.1, 4), min_size=count, max_size=count))
    places = draw(st.lists(st.integers(0, size - 1), min_size=count, max_size=count))
    for i in range(draw(mostly(st.integers(min(2, count), count), st.integers(1, count)))):
        h[i * size + places[i]] = values[i]
    noise = torch.randn(1, rows.shape[1], generator=rng, dtype=torch.float64) * draw(st.sampled_from([0.1, 0.01, 0.5]))
    return tree(rows, h, level, noise)


def tree(rows: Any, h: Any, level: Any, noise: Tensor | None = None) -> Tree:
    """One instance."""
    exact, level = Mixture.exact(rows, h), torch.as_tensor(level)
    return Tree(exact.rows, exact.h, exact.x, level, torch.zeros_like(exact.x) if noise is None else noise)
