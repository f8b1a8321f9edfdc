"""The shipped alternation, step by step, on small matrices: what the claims of monotonicity are about."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from proofs_check.claim import Hypothesis, Part, at_most, digits, equal
from proofs_check.engines import symbolic
from proofs_check.instances.draw import mostly, numbers, rows_of
from workbench.parts import semi_nmf
from workbench.theory import factors as theory


@dataclass(frozen=True, eq=False)
class Alternation:
    """Samples X (N, d), codes (N, m) to start from, and how the rows are found. All float64."""

    x: Float[Tensor, "n d"]
    codes: Float[Tensor, "n m"]
    ridge: float = 0.0
    counted: float = 0.0
    """weight of |W|² in what is watched"""
    share: float = 1.0
    """of each row's entries that are kept"""
    rounds: int = 6

    def __str__(self) -> str:
        more = f", ridge {self.ridge:g}, counted {self.counted:g}" if self.ridge or self.counted else ""
        return f"X {digits(self.x)}, f {digits(self.codes)}, share {self.share:g}{more}"

    @cached_property
    def path(self) -> tuple[Tensor, Tensor]:
        """J + counted |W|² after each step of rows and of codes, and the size against which it is rounded."""
        f, values, sizes = self.codes, [], []
        for _ in range(self.rounds):
            rows = semi_nmf.decoder_step(self.x, f, self.ridge)
            rows = semi_nmf.winner_take_all(rows, self.share) if self.share < 1 else rows
            after = semi_nmf.code_step(self.x, f, rows)
            for codes in (f, after):
                values.append((self.x - codes @ rows).square().sum() + self.counted * rows.square().sum())
                sizes.append(self.x.square().sum() + codes.square().sum() * rows.square().sum())
            f = after
            if not bool(f.isfinite().all()):
                raise ValueError("codes must be finite; got NaN or infinity: the step is broken.")
        return torch.stack(values), torch.stack(sizes)

    def falls(self) -> dict[str, Part]:
        """The conclusion: no step of rows and no step of codes raises what is watched."""
        values, sizes = self.path
        rise, unit = values[1:] - values[:-1], sizes[1:] + sizes[:-1]
        return {"codes": at_most(rise[::2], 0.0, unit=unit[::2]), "rows": at_most(rise[1::2], 0.0, unit=unit[1::2])}

    def by_formula(self) -> dict[str, Part]:
        """The first step of the codes by the formula of one code: what it does to J, and the shipped one against it."""
        rows = semi_nmf.decoder_step(self.x, self.codes, self.ridge)
        products, q = (self.x @ rows.T).tolist(), (rows @ rows.T).tolist()
        squares, found, rise = self.x.square().sum(1).tolist(), [], []
        for f, p, x2 in zip(self.codes.tolist(), products, squares, strict=True):
            pulls = zip(f, theory.pulls(f, p, q), strict=True)
            after = [theory.multiplicative(old, up, down) if down > 0 else old for old, (up, down) in pulls]
            rise.append(theory.quadratic(after, p, q, x2) - theory.quadratic(f, p, q, x2))
            found += after
        size = self.x.square().sum() + self.codes.square().sum() * rows.square().sum()
        shipped = semi_nmf.code_step(self.x, self.codes, rows).flatten()
        return {
            "codes by the formula": at_most(rise, 0.0, unit=2 * size),
            "the shipped step": equal(shipped, found, unit=1 + self.codes.max()),
        }


POSITIVE_START = Hypothesis("codes at least 0 to start with", lambda case: float((-case.codes.min()).clamp_min(0)))
UNMASKED = Hypothesis("no winner-take-all", lambda case: 1 - case.share)
COUNTED = Hypothesis("the ridge is counted", lambda case: abs(case.ridge - case.counted))


@st.composite
def alternations(draw, ridge: bool = True):
    """Any X, codes above 0; some with a ridge."""
    n, d, m = draw(st.integers(2, 5)), draw(st.integers(1, 4)), draw(mostly(st.integers(2, 3), st.integers(1, 3)))
    x = draw(rows_of(st.integers(-3, 3).map(float) | numbers(-3, 3), n, d))
    weight = draw(st.sampled_from([0.0, 0.1, 1.0])) if ridge else 0.0
    return Alternation(x, draw(rows_of(numbers(0.05, 3), n, m)), weight, weight)


def start(x: Any, codes: Any, **more: Any) -> st.SearchStrategy[Alternation]:
    """One instance."""
    tensors: Any = (torch.tensor(t, dtype=torch.float64) for t in (x, codes))
    return st.just(Alternation(*tensors, **more))


def _least_squares(symbols, ops):
    """A column of W whose normal equations hold is the least: what another w costs more is a square.

    In products p = f^T x and q = f^T f + r I over the rows that may differ from 0, J + r |w|² is the shipped quadratic.
    """
    for m in (1, 2, 3):
        w, best, x2 = symbols(f"w:{m}"), symbols(f"b:{m}"), symbols("x2")
        q = [[symbols(f"q{max(i, j)}{min(i, j)}") for j in range(m)] for i in range(m)]
        (p,) = theory.product([best], q)
        apart = [a - b for a, b in zip(w, best, strict=True)]
        excess = theory.quadratic(w, p, q, x2) - theory.quadratic(best, p, q, x2)
        yield excess, sum(v * u for v, u in zip(theory.product([apart], q)[0], apart, strict=True))
    for m, n in ((1, 2), (2, 2), (2, 3)):
        f, w, r = [symbols(f"f{i}_:{m}") for i in range(n)], symbols(f"w:{m}"), symbols("r")
        q = [[sum(row[i] * row[j] for row in f) + (r if i == j else 0) for j in range(m)] for i in range(m)]
        fitted = [sum(a * b for a, b in zip(row, w, strict=True)) for row in f]
        total = sum(v * v for v in fitted) + r * sum(v * v for v in w)
        yield sum(v * u for v, u in zip(theory.product([w], q)[0], w, strict=True)), total


LEAST_SQUARES = symbolic.identity(
    "least squares is least: the excess is a square", "m ≤ 3, any N, d, r ≥ 0", _least_squares
)
