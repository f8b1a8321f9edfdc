"""Samples and one feature among them: what the claim on its conditional mean is about."""

from functools import cached_property
from itertools import combinations
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis
from proofs_check.instances.draw import codes, numbers, unit_rows
from proofs_check.instances.mixture import NEARLY, Mixture
from synthetic.laws.directions import overlaps
from workbench.theory import bias as theory


class Conditioned(Mixture):
    """A mixture of which row 0 is the feature asked about; D its samples with h_0 > 0, at least one."""

    @property
    def nontrivial(self) -> bool:
        """More rows than dimensions, and another feature fires beside row 0, not at right angles to it."""
        beside = (self.rows[1:] @ self.rows[0]).abs() > NEARLY
        return self.m > self.d and bool(((self.moments[1:] > 0) & beside).any())

    @cached_property
    def fires(self) -> Tensor:
        """D."""
        return self.h[:, 0] > 0

    @cached_property
    def moments(self) -> Tensor:
        """Mean over D of h_0 h_k: theta, then c_1, c_2, ..."""
        h = self.h[self.fires]
        return (h[:, :1] * h).mean(0)

    @cached_property
    def leak2(self) -> Tensor:
        """R²."""
        c, others = self.moments[1:], self.rows[1:]
        mu = overlaps(others).max() if len(others) else 0.0
        return theory.leak_square(c.square().sum(), c.sum(), mu)

    @cached_property
    def mean(self) -> Tensor:
        """Mean over D of h_0 x."""
        return (self.h[self.fires, :1] * self.x[self.fires]).mean(0)


def conditioned(rows: Any, h: Any, x: Any = None) -> Conditioned:
    """An instance; x = hV unless given."""
    exact = Mixture.exact(rows, h)
    return Conditioned(exact.rows, exact.h, exact.x if x is None else exact.x.new_tensor(x))


BOUNDED = Hypothesis("R < θ", lambda case: (case.leak2 >= case.moments[0] ** 2).double())


@st.composite
def scaled(draw):
    """Codes of which the feature's own entries are raised until R is a drawn share of theta."""
    d, samples = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    n = draw(st.integers(d + 1, 5))
    rows, h = draw(unit_rows(n, d)), torch.stack([draw(codes(n, nonnegative=True)) for _ in range(samples)])
    h[0, 0] = h[0, 0] if h[0, 0] > 0 else 1.0
    near = 1 + int((rows[1:] @ rows[0]).abs().argmax())
    h[0, near] = h[0, near] if h[0, near] > 0 else 0.5  # the row nearest to the feature's fires beside it
    case = conditioned(rows, h)
    h[:, 0] *= max(1.0, float(case.leak2.sqrt() / case.moments[0]) / draw(numbers(0.05, 0.99)))
    return conditioned(rows, h)


@st.composite
def tangents(draw):
    """One sample on two rows with product -c, h = (1, c)."""
    c = draw(numbers(0.01, 0.9))
    return conditioned([[1.0, 0], [-c, (1 - c * c) ** 0.5]], [[1.0, c]])


@st.composite
def subsets(draw):
    """All s-subsets of n features, one value, on orthonormal rows."""
    n = draw(st.integers(3, 6))
    supports = list(combinations(range(n), draw(st.integers(2, n - 1))))
    h = torch.zeros(len(supports), n).scatter_(1, torch.tensor(supports), draw(numbers(0.1, 3)))
    return conditioned(torch.eye(n), h)
