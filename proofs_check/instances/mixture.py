"""Samples, a dictionary and codes that are said to explain them: what the claims of interference are about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from synthetic.laws import directions
from workbench.tensors import TENSOR
from workbench.theory import coherence

_T = TypeVar("_T")
_LISTED = 24
"""largest support whose pairs are taken one by one, by the formula shipped; larger ones by products of matrices"""
NEARLY = 1e-6
"""products of unit rows below this count as none"""


@dataclass(frozen=True, eq=False)
class Mixture:
    """n samples x of width d, m rows of a dictionary, codes h. Whether x = hV and rows are unit is for a claim to ask.

    All float64. Quantities "on the support" concern the rows at which one sample's h is not 0.
    """

    rows: Float[Tensor, "m d"]
    h: Float[Tensor, "n m"]
    x: Float[Tensor, "n d"]
    figures_of_rows: dict[Any, Any] = field(default_factory=dict, repr=False, kw_only=True)
    """what was computed of the rows alone"""
    figures_of_codes: dict[Any, Any] = field(default_factory=dict, repr=False, kw_only=True)
    """what was computed of rows and codes alone"""

    @classmethod
    def exact(cls, rows: Any, h: Any) -> "Mixture":
        """The samples x = hV."""
        rows, h = (torch.as_tensor(t, dtype=torch.float64) for t in (rows, h))
        h = h.reshape(-1, len(rows))
        return cls(rows, h, h @ rows)

    def take(self, keep: Tensor) -> "Mixture":
        """Some of the samples, by a mask or by their places."""
        return Mixture(self.rows, self.h[keep], self.x[keep], figures_of_rows=self.figures_of_rows)

    def beside(self, x: Float[Tensor, "n d"]) -> "Mixture":
        """The same rows and codes beside other samples; what was computed of the two is shared."""
        shared = {"figures_of_rows": self.figures_of_rows, "figures_of_codes": self.figures_of_codes}
        return Mixture(self.rows, self.h, x, **shared)

    def of_rows(self, function: Callable[[Float[Tensor, "m d"]], _T]) -> _T:
        """A function of the rows, computed once for all samples."""
        if function not in self.figures_of_rows:
            self.figures_of_rows[function] = function(self.rows)
        return cast("_T", self.figures_of_rows[function])

    def of_codes(self, function: Callable[["Mixture"], _T]) -> _T:
        """A function of rows and codes, computed once for all x beside them."""
        if function not in self.figures_of_codes:
            self.figures_of_codes[function] = function(self)
        return cast("_T", self.figures_of_codes[function])

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, h {digits(self.h)}, x {digits(self.x)}"

    @property
    def nontrivial(self) -> bool:
        """More rows than dimensions, and active ones that are not at right angles."""
        return self.m > self.d and float(self.support_coherence.max()) > NEARLY

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

    @property
    def coherence(self) -> float:
        """Max |<v_i, v_j>| over all pairs of rows."""
        return self.of_rows(_largest_overlap)

    @property
    def slots(self) -> Int[Tensor, "n k"]:
        """Indices of each sample's nonzeros; short rows are filled with others' zeros."""
        return self.of_codes(_slots)

    @cached_property
    def active(self) -> Float[Tensor, "n k"]:
        """Values at `slots`."""
        return self.h.gather(1, self.slots)

    @property
    def products(self) -> Float[Tensor, "n k k"]:
        """<v_i, v_j> on the support, 0 where i = j or a slot is empty."""
        return self.of_codes(_products)

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

    @property
    def interference(self) -> Float[Tensor, " n"]:
        """q = sum over pairs of h_i h_j <v_i, v_j>."""
        if self.active.shape[1] <= _LISTED:
            return self._listed(coherence.interference(self.active.unbind(1), self.product_list))
        return torch.einsum("nk,nkj,nj->n", self.active, self.products, self.active)

    @property
    def babel(self) -> Float[Tensor, " n"]:
        """Largest sum over j of |<v_i, v_j>| on the support."""
        if self.active.shape[1] <= _LISTED:
            return self._listed(coherence.babel(self.product_list, ops=TENSOR))
        return self.products.abs().sum(2).amax(1)

    def _listed(self, value: Any) -> Tensor:
        """One value a sample; of a single row a formula has the number 0."""
        return torch.zeros(len(self.h), dtype=torch.float64) + value

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

    @property
    def spectrum(self) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Extreme eigenvalues of the Gram matrix on the support minus the identity."""
        return self.of_codes(_spectrum)


def overlapping(rows: Float[Tensor, "m d"]) -> bool:
    """Whether some two rows are not at right angles."""
    return len(rows) > 1 and float(directions.overlaps(rows).max()) > NEARLY


def _largest_overlap(rows: Tensor) -> float:
    return float(directions.overlaps(rows).max())


def _slots(case: Mixture) -> Tensor:
    return (case.h != 0).to(torch.uint8).topk(int(case.k.max()), dim=1).indices


def _products(case: Mixture) -> Tensor:
    rows = case.rows[case.slots]
    return torch.where(case.pairs, rows @ rows.mT, 0.0)


def _spectrum(case: Mixture) -> tuple[Tensor, Tensor]:
    """Of the smaller of V_S V_S^T and V_S^T V_S, whose eigenvalues other than 0 are the same."""
    if case.active.shape[1] <= max(case.d, _LISTED):
        values = _eigenvalues(case.products)
        return values[:, 0], values[:, -1]
    rows = case.rows[case.slots] * (case.active != 0)[..., None]
    values = _eigenvalues(rows.mT @ rows)
    count = case.k.long()[:, None]
    lowest = values.gather(1, (case.d - count).clamp_min(0)).squeeze(1)
    some, wide = case.h2 > 0, case.k > case.d
    low = torch.where(wide, 0.0, lowest) - 1
    return torch.where(some, low, 0.0), torch.where(some, values[:, -1] - 1, 0.0)


def _eigenvalues(matrices: Tensor) -> Tensor:
    """By one thread: LAPACK's threads wait for each other longer than one works."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return torch.linalg.eigvalsh(matrices)
    finally:
        torch.set_num_threads(threads)


def _off_unit(rows: Tensor) -> float:
    return float((rows.norm(dim=1) - 1).abs().max())


def _unit(case: Any) -> float:
    """Of any instance with rows; a mixture's are measured once for all samples."""
    known = getattr(case, "of_rows", None)
    return known(_off_unit) if known else _off_unit(case.rows)


UNIT_ROWS = Hypothesis("unit rows", _unit)
EXACT = Hypothesis("exact: x = hV", lambda case: case.residual)
NONZERO = Hypothesis("a code other than 0", lambda case: (case.h2 == 0).double())
NONNEGATIVE = Hypothesis("nonnegative: h >= 0", lambda case: (-case.h).amax(1))
OVERCOMPLETE = Hypothesis("superposition: more rows than dimensions", lambda case: float(case.m <= case.d))
