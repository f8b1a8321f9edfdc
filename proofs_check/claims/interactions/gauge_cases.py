"""Changes of a polynomial decoder's parameters that are to leave x_hat alone."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Hypothesis
from proofs_check.claims.interactions.cases import Polynomial, polynomials
from proofs_check.instances.draw import numbers


@dataclass(frozen=True, eq=False)
class Gauge:
    """A decoder, and what is done to its columns."""

    case: Polynomial
    flip: int
    swap: tuple[int, int]
    turn: tuple[int, int]
    angle: float
    scale: float

    def __str__(self) -> str:
        done = f"flip {self.flip}, swap {self.swap}, turn {self.turn} by {self.angle:.4g}, scale {self.scale:g}"
        return f"{self.case}; {done}"

    @property
    def ranks(self) -> list[int]:
        """R1, R2, R3."""
        return [c.shape[1] for c in self.case.C]

    @property
    def flipped(self) -> Polynomial:
        """u_r, c_r of odd degree negated."""
        r = self.flip
        U, C = self.case.U.clone(), [c.clone() for c in self.case.C]
        for matrix in (U, *C[::2]):
            if r < matrix.shape[1]:
                matrix[:, r] *= -1
        return replace(self.case, U=U, C=tuple(C))

    @property
    def swapped(self) -> Polynomial:
        """Two columns exchanged wherever they are."""
        i, j = self.swap
        order = list(range(self.ranks[0]))
        order[i], order[j] = order[j], order[i]
        C = tuple(c[:, order[: c.shape[1]]] if max(order[: c.shape[1]]) < c.shape[1] else c for c in self.case.C)
        return replace(self.case, U=self.case.U[:, order], C=C)

    @property
    def turned(self) -> Polynomial:
        """Two columns of U and of C1 rotated."""
        i, j = self.turn
        angle = torch.tensor(self.angle, dtype=torch.float64)
        givens = torch.eye(self.ranks[0], dtype=torch.float64)
        givens[i, i] = givens[j, j] = angle.cos()
        givens[i, j], givens[j, i] = -angle.sin(), angle.sin()
        return replace(self.case, U=self.case.U @ givens, C=(self.case.C[0] @ givens, *self.case.C[1:]))

    @property
    def scaled(self) -> Polynomial:
        """(l2, C2) and (l3, C3) to (t l, C / t)."""
        t = self.scale
        scales, C = self.case.scales, self.case.C
        return replace(self.case, scales=(1.0, *(t * v for v in scales[1:])), C=(C[0], *(c / t for c in C[1:])))


def _block(gauge: Gauge, column: int) -> int:
    return sum(column < rank for rank in gauge.ranks)


FREE = Hypothesis("turned columns beyond R2", lambda case: max(0, case.ranks[1] - min(case.turn)))
INSIDE = Hypothesis(
    "exchange inside a block", lambda case: float(_block(case, case.swap[0]) != _block(case, case.swap[1]))
)


@st.composite
def gauges(draw: st.DrawFn, *, inner: bool = False, across: bool = False) -> Gauge:
    """Ranks R1 >= R2 + 2, R2 >= R3.

    Args:
        draw: given by Hypothesis.
        inner: turn a column of the first R2 with one beyond.
        across: exchange such columns.
    """
    case = draw(polynomials((3, 6), spare=2, dense=True))
    first, second, third = (c.shape[1] for c in case.C)
    blocks = [block for block in (range(third), range(third, second), range(second, first)) if len(block)]
    swap = draw(st.permutations(draw(st.sampled_from([block for block in blocks if len(block) > 1]))))
    angle = draw(st.sampled_from([0.5, 1.0]) | numbers(0.3, 1.2))
    return Gauge(
        case,
        flip=draw(st.integers(0, first - 1)),
        swap=(0, second) if across else (swap[0], swap[1]),
        turn=(0, second) if inner else (second, second + 1),
        angle=max(angle, 0.3),
        scale=draw(st.sampled_from([2.0, -1.0, 0.5])),
    )
