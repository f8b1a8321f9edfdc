"""Samples, a dictionary and codes that are said to explain them: what the claims of interference are about."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from synthetic.laws import directions


@dataclass(frozen=True, eq=False)
class Mixture:
    """n samples x of width d, m rows of a dictionary, codes h. Whether x = hV and rows are unit is for a claim to ask.

    All float64. Quantities "on the support" concern the rows at which one sample's h is not 0.
    """

    rows: Float[Tensor, "m d"]
    h: Float[Tensor, "n m"]
    x: Float[Tensor, "n d"]

    @classmethod
    def exact(cls, rows: Any, h: Any) -> "Mixture":
        """The samples x = hV."""
        rows, h = (torch.as_tensor(t, dtype=torch.float64) for t in (rows, h))
        h = h.reshape(-1, len(rows))
        return cls(rows, h, h @ rows)

    def take(self, keep: Bool[Tensor, " n"]) -> "Mixture":
        """Some of the samples."""
        return Mixture(self.rows, self.h[keep], self.x[keep])

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, h {digits(self.h)}, x {digits(self.x)}"

    @property
    def m(self) -> int:
        """Rows of the dictionary."""
        return self.rows.shape[0]

    @property
    def d(self) -> int:
        """Dimension."""
        return self.rows.shape[1]

    @cached_property
    def x_hat(self) -> Float[Tensor, "n d"]:
        """The product hV."""
        return self.h @ self.rows

    @cached_property
    def residual(self) -> Float[Tensor, " n"]:
        """|x - hV| over the larger of |x| and |hV|."""
        size = torch.maximum(self.x.norm(dim=1), self.x_hat.norm(dim=1))
        return (self.x - self.x_hat).norm(dim=1) / torch.where(size > 0, size, 1.0)

    @cached_property
    def x2(self) -> Float[Tensor, " n"]:
        """|x|²."""
        return self.x.square().sum(1)

    @cached_property
    def h2(self) -> Float[Tensor, " n"]:
        """N = |h|²."""
        return self.h.square().sum(1)

    @cached_property
    def l1(self) -> Float[Tensor, " n"]:
        """L = sum |h_i|."""
        return self.h.abs().sum(1)

    @cached_property
    def k(self) -> Float[Tensor, " n"]:
        """Nonzeros, counted as at least 1."""
        return (self.h != 0).sum(1).clamp_min(1).double()

    @cached_property
    def unit(self) -> Float[Tensor, " n"]:
        """|h|², or 1 where it is 0: the size of interference."""
        return torch.where(self.h2 > 0, self.h2, 1.0)

    @cached_property
    def coherence(self) -> float:
        """Max |<v_i, v_j>| over all pairs of rows."""
        return float(directions.overlaps(self.rows).max())

    @cached_property
    def slots(self) -> Int[Tensor, "n k"]:
        """Indices of each sample's nonzeros; short rows are filled with others' zeros."""
        return (self.h != 0).to(torch.uint8).topk(int(self.k.max()), dim=1).indices

    @cached_property
    def active(self) -> Float[Tensor, "n k"]:
        """Values at `slots`."""
        return self.h.gather(1, self.slots)

    @cached_property
    def products(self) -> Float[Tensor, "n k k"]:
        """<v_i, v_j> on the support, 0 where i = j or a slot is empty."""
        rows = self.rows[self.slots]
        return torch.where(self.pairs, rows @ rows.mT, 0.0)

    @property
    def product_list(self) -> list[tuple[Tensor, ...]]:
        """`products` as nested lists of columns over samples, for formulas that take sequences."""
        return [row.unbind(1) for row in self.products.unbind(1)]

    @cached_property
    def pairs(self) -> Bool[Tensor, "n k k"]:
        """Which entries of `products` are pairs of distinct active rows."""
        used = self.active != 0
        both = used[:, :, None] & used[:, None, :]
        return both & ~torch.eye(both.shape[-1], dtype=torch.bool)

    @cached_property
    def interference(self) -> Float[Tensor, " n"]:
        """q = sum over pairs of h_i h_j <v_i, v_j>."""
        return torch.einsum("nk,nkj,nj->n", self.active, self.products, self.active)

    @cached_property
    def support_coherence(self) -> Float[Tensor, " n"]:
        """Max |<v_i, v_j>| over pairs on the support; 0 for a single row."""
        return self.products.abs().amax((1, 2))

    @cached_property
    def support_range(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Least and largest <v_i, v_j> over pairs on the support; 0 for a single row."""
        low = torch.where(self.pairs, self.products, torch.inf).amin((1, 2))
        high = torch.where(self.pairs, self.products, -torch.inf).amax((1, 2))
        return torch.where(low.isfinite(), low, 0.0), torch.where(high.isfinite(), high, 0.0)

    @cached_property
    def spectrum(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Extreme eigenvalues of the Gram matrix on the support minus the identity."""
        values = torch.linalg.eigvalsh(self.products)
        return values[:, 0], values[:, -1]


UNIT_ROWS = Hypothesis("unit rows", lambda case: (case.rows.norm(dim=1) - 1).abs().max())
EXACT = Hypothesis("exact: x = hV", lambda case: case.residual)
NONZERO = Hypothesis("a code other than 0", lambda case: (case.h2 == 0).double())
NONNEGATIVE = Hypothesis("nonnegative: h >= 0", lambda case: (-case.h).amax(1))
OVERCOMPLETE = Hypothesis("superposition: more rows than dimensions", lambda case: float(case.m <= case.d))
