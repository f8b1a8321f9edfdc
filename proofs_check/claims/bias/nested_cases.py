"""Codes in which one feature never fires without another: what the claim on identifiability is about."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import numbers, unit_rows, usually
from synthetic.laws.directions import overlaps, unit
from workbench.theory import bias as theory


@dataclass(frozen=True, eq=False)
class Nested:
    """Codes h (N, n) on rows (n, d), where feature 0 fires; a reordering and rescaling of the rows."""

    rows: Tensor
    h: Tensor
    scales: Tensor
    order: Tensor
    """the reordered row that comes from each row"""

    def __str__(self) -> str:
        moved = f"moved to {self.order.tolist()}, times {digits(self.scales)}"
        return f"rows {digits(self.rows)}, h {digits(self.h)}, {moved}"

    @cached_property
    def moved(self) -> tuple[Tensor, Tensor]:
        """Rows and codes after reordering and rescaling."""
        rows, h = torch.empty_like(self.rows), torch.empty_like(self.h)
        rows[self.order], h[:, self.order] = self.scales[:, None] * self.rows, self.h / self.scales
        return rows, h

    @cached_property
    def sheared(self) -> tuple[Tensor, Tensor]:
        """The rows v_0 + t v_1, v_1, ... and the codes h_0, h_1 - t h_0, ..."""
        rows, h = self.rows.clone(), self.h.clone()
        t = theory.nested_shear(*self.h[:, :2].T.tolist())
        rows[0] += t * self.rows[1]
        h[:, 1] -= t * self.h[:, 0]
        return rows, h


APART = Hypothesis("no two rows parallel", lambda case: float(overlaps(unit(case.rows)).max() > 1 - 1e-6))
SCALED = Hypothesis("scales above 0", lambda case: (case.scales <= 0).double().max())
NESTED = Hypothesis("D_0 within D_1", lambda case: ((case.h[:, 0] > 0) & (case.h[:, 1] <= 0)).double())


def _fan(n: int, d: int) -> Tensor:
    """Rows in a plane at angles pi i / n."""
    angles = torch.arange(n, dtype=torch.float64) * math.pi / n
    return torch.stack((angles.cos(), angles.sin(), *[0 * angles] * (d - 2)), 1)


@st.composite
def nested(draw):
    """A few samples on a few rows, reordered and rescaled."""
    n, d, proper = draw(st.integers(2, 4)), draw(st.integers(2, 4)), draw(usually())
    samples = draw(st.integers(2 if proper else 1, 3))
    rows = draw(unit_rows(n, d))
    rows = _fan(n, d) if overlaps(rows).max() > 1 - 1e-4 else rows
    if proper and float(overlaps(rows).max()) < 1e-4:
        rows = _fan(max(n, 3), d)[:n]
    entry = st.just(0.0) | numbers(0.1, 4)
    h = torch.tensor(draw(st.lists(entry, min_size=n * samples, max_size=n * samples)), dtype=torch.float64)
    h = h.reshape(samples, n)
    h[0, 0] = h[0, 0].clamp_min(0.1)
    h[1:2, 0] = 0.0 if proper else h[1:2, 0]  # feature 1 alone
    h[1:2, 1] = h[1:2, 1].clamp_min(0.1) if proper else h[1:2, 1]
    h[:, 1] = torch.where(h[:, 0] > 0, h[:, 1].clamp_min(0.1), h[:, 1])
    scales = torch.tensor(draw(st.lists(numbers(0.1, 4), min_size=n, max_size=n)), dtype=torch.float64)
    return Nested(rows, h, scales, torch.tensor(draw(st.permutations(range(n)))))


def witness(
    rows: Any = ((1, 0), (0.6, 0.8)), h: Any = ((1, 1), (1, 2)), scales: Any = (1, 2), order: Any = (1, 0)
) -> Nested:
    """One instance, two rows with product .6 unless given."""
    rows, h, scales = (torch.tensor(t, dtype=torch.float64) for t in (rows, h, scales))
    return Nested(rows, h, scales, torch.tensor(order))
