"""Steps of proximal gradient descent under "at most k nonzeros": what the claims on its step size are about."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis, digits
from proofs_check.instances.draw import codes, mostly, numbers, unit_rows
from workbench.theory import signed as theory

STEPS = 4


@dataclass(frozen=True, eq=False)
class Descent:
    """Steps of one size from z, k nonzeros allowed."""

    rows: Tensor
    x: Tensor
    z: Tensor
    k: int
    size: float

    def __str__(self) -> str:
        return f"rows {digits(self.rows)}, x {digits(self.x)}, z {digits(self.z)}, k = {self.k}, s = {self.size:.4g}"

    @property
    def curvature(self) -> float:
        """L."""
        return float(torch.linalg.matrix_norm(self.rows, 2) ** 2)

    @property
    def unit(self) -> float:
        """Size of the errors: |x|² or F at the start."""
        start = theory.coding_loss(self.z.tolist(), self.x.tolist(), self.rows.tolist())
        return max(start, float(self.x @ self.x), 1e-3)

    @property
    def losses(self) -> list[float]:
        """F before and after each step."""
        return [theory.coding_loss(z, self.x.tolist(), self.rows.tolist()) for z in self.path]

    @property
    def path(self) -> list[list[float]]:
        """The code before and after each step."""
        found, given = [self.z.tolist()], (self.x.tolist(), self.rows.tolist())
        for _ in range(STEPS):
            found.append(theory.thresholded_step(found[-1], *given, self.size, self.k))
        return found


SHORT = Hypothesis("s ≤ 1/L", lambda case: max(0.0, case.size * case.curvature - 1))
SPARSE = Hypothesis("z has at most k nonzeros", lambda case: max(0, int((case.z != 0).sum()) - case.k))


@st.composite
def descents(draw: st.DrawFn, unit: bool = False, dense: bool = False) -> Descent:
    """Any geometry, any size up to 1/L.

    Args:
        draw: given by Hypothesis.
        unit: size 1 and four rows a dimension or more, all allowed.
        dense: k = 1 from a code of many nonzeros that is exact.
    """
    d = draw(st.integers(1, 3))
    several = mostly(st.integers(d + 1, 6), st.integers(2 if dense else 1, 6))
    m = draw(st.integers(4 * d, 4 * d + 2)) if unit else draw(several)
    rows = draw(unit_rows(m, d + m * dense))
    count = st.just(m) if unit else mostly(st.integers(min(2, m), m), st.integers(1, m))
    z, k = draw(codes(m)).clamp(-3, 3), 1 if dense else draw(count)
    if dense:
        z = torch.ones(m, dtype=torch.float64)
    else:
        z[z.abs().argsort(descending=True)[k:]] = 0.0
    value = numbers(-3, 3)
    x = torch.tensor(draw(st.lists(value, min_size=rows.shape[1], max_size=rows.shape[1])), dtype=torch.float64)
    case = Descent(rows, z @ rows if dense else x, z, k, 1.0)
    size = draw(st.sampled_from([1.0, 0.5]) | numbers(0.1, 1)) / case.curvature
    return case if unit else Descent(case.rows, case.x, z, k, size)
