"""What the claims of factorisation are about: one step of one sample's codes, and factors of a small matrix."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from proofs_check.claim import Check, Hypothesis, digits
from proofs_check.instances.draw import mostly, numbers, rows_of
from proofs_check.instances.inequalities import inequality
from workbench.theory import factors as theory
from workbench.theory.ops import FLOAT

LIMIT = replace(FLOAT, log=lambda value: math.log(value) if value > 0 else -1e300 if value == 0 else math.nan)
"""floats, where 0 log 0 is 0"""


@dataclass(frozen=True, eq=False)
class Step:
    """Codes f' (m,) of one sample, other codes f, and the products p (m,), q (m, m) that make up J. All float64."""

    before: Float[Tensor, " m"]
    f: Float[Tensor, " m"]
    p: Float[Tensor, " m"]
    q: Float[Tensor, "m m"]

    def __str__(self) -> str:
        return f"f' {digits(self.before)}, f {digits(self.f)}, p {digits(self.p)}, q {digits(self.q)}"

    @property
    def nontrivial(self) -> bool:
        """Two codes or more, whose rows are not at right angles."""
        return bool((self.q - torch.diag(self.q.diagonal())).any())

    @cached_property
    def unit(self) -> float:
        """Size of J's terms."""
        most = torch.maximum(self.before.abs(), self.f.abs())
        return float(1 + most @ self.p.abs() + most @ self.q.abs() @ most)

    def loss(self, f: Any) -> float:
        """J at codes f, with |x|² put to 1: the terms that vary."""
        return theory.quadratic(list(f), self.p.tolist(), self.q.tolist(), 1.0)

    def bound(self, f: Any) -> float:
        """Z(f, f')."""
        return theory.auxiliary(list(f), self.before.tolist(), self.p.tolist(), self.q.tolist(), 1.0, ops=LIMIT)

    @property
    def pulls(self) -> list[tuple[float, float]]:
        """Up and down, of each code."""
        return theory.pulls(self.before.tolist(), self.p.tolist(), self.q.tolist())

    def each(self, formula: Callable[..., float], **more: Any) -> list[float]:
        """A formula of f', up and down for each code: 0 where f' = 0, NaN where the pulls are none."""
        triples = [(old, up, down) for old, (up, down) in zip(self.before.tolist(), self.pulls, strict=True)]
        return [formula(*t, **more) if t[0] and t[1] >= 0 and t[2] > 0 else t[0] and math.nan for t in triples]

    @property
    def after(self) -> list[float]:
        """Codes after one step."""
        return self.each(theory.multiplicative)


POSITIVE = Hypothesis("codes above 0", lambda case: float((torch.cat((case.before, case.f)) <= 0).any()))
SYMMETRIC = Hypothesis("q symmetric", lambda case: (case.q - case.q.T).abs().max())


@st.composite
def steps(draw, *, same: bool = False, rest: bool = False):
    """Symmetric q with a diagonal above 0, any p; `same` puts f = f', `rest` makes f' a fixed point."""
    m = draw(mostly(st.integers(2, 3), st.integers(1, 3)))
    value = st.integers(-3, 3).map(float) | numbers(-3, 3)
    q = draw(rows_of(value, m, m))
    q = torch.where(torch.eye(m, dtype=torch.bool), q.abs() + 0.1, (q + q.T) / 2)
    before, f = draw(rows_of(numbers(0.05, 4), 2, m))
    p = before @ q if rest else draw(rows_of(value, 1, m))[0]
    return Step(before, before if same else f, p, q)


def step(before: Any, p: Any, q: Any, f: Any = None) -> st.SearchStrategy[Step]:
    """One instance; f = f' unless given."""
    tensors = (torch.tensor(t, dtype=torch.float64) for t in (before, before if f is None else f, p, q))
    return st.just(Step(*tensors))


def signed(symbols, m, few=False):
    """All sign patterns of p and of q off its diagonal, or two."""
    f, g = symbols(f"f:{m}", positive=True), symbols(f"g:{m}", positive=True)
    sizes, pairs = symbols(f"p:{m}", positive=True), m * (m - 1) // 2
    entries = symbols(f"q:{m * m}", positive=True)
    patterns = list(product((1, -1), repeat=m + pairs))
    for signs in patterns[5:40:30] if few else patterns:
        p = [s * v for s, v in zip(signs, sizes, strict=False)]
        off = iter(signs[m:])
        q = [[entries[i * m + j] for j in range(m)] for i in range(m)]
        for i in range(m):
            for j in range(i):
                q[i][j] = q[j][i] = next(off) * entries[i * m + j]
        yield f, g, p, q


def from_1(shows: str, left: Callable[..., Any], right: Callable[..., Any]) -> Check:
    """Left(t) <= right(t) for all t >= 1, by balls and by derivatives beyond them."""
    (check,) = inequality(shows, shows, box={"t": ("1", None)}, left=left, right=right).checks
    return replace(check, shows=shows, scope="all t ≥ 1", decides=None)


@dataclass(frozen=True, eq=False)
class Factors:
    """Codes (N, m) and rows (m, d), which explain X = fW unless `x` is given. All float64."""

    codes: Float[Tensor, "n m"]
    rows: Float[Tensor, "m d"]
    x: Float[Tensor, "n d"]
    amount: float = 1.0
    """a number that a claim draws besides"""

    def __str__(self) -> str:
        exact = bool(torch.equal(self.x, self.codes @ self.rows))
        data = "" if exact else f", X {digits(self.x)}"
        return f"f {digits(self.codes)}, W {digits(self.rows)}{data}, {self.amount:.4g}"

    @classmethod
    def exact(cls, codes: Any, rows: Any, amount: float = 1.0) -> "Factors":
        """With X = fW."""
        codes, rows = (torch.as_tensor(t, dtype=torch.float64) for t in (codes, rows))
        return cls(codes, rows, codes @ rows, amount)

    @cached_property
    def size(self) -> float:
        """|f|² |W|² + |X|², against which errors are judged."""
        return float(1e-12 + self.codes.square().sum() * self.rows.square().sum() + self.x.square().sum())

    def error(self, codes: Any = None, rows: Any = None) -> float:
        """J, of these factors or of others."""
        both = self.codes if codes is None else codes, self.rows if rows is None else rows
        return theory.square_error(self.x.tolist(), *(t.tolist() if isinstance(t, Tensor) else t for t in both))


CODES = Hypothesis("codes at least 0", lambda case: float((-case.codes.min()).clamp_min(0)))


@st.composite
def factors(draw, m: tuple[int, int] = (2, 3), n: tuple[int, int] = (2, 5), d: tuple[int, int] = (2, 5)):
    """Nonnegative codes, some 0, signed rows, X of their product."""
    latents = draw(st.integers(*m))
    value = st.integers(-3, 3).map(float) | numbers(-3, 3)
    entry, count = numbers(0.05, 3), draw(st.integers(*n))
    codes = draw(mostly(rows_of(entry, count, latents), rows_of(st.just(0.0) | entry, count, latents)))
    return Factors.exact(codes, draw(rows_of(value, latents, draw(st.integers(*d)))), draw(numbers(0.1, 3)))


def exact(codes: Any, rows: Any, amount: float = 1.0) -> st.SearchStrategy[Factors]:
    """One instance."""
    return st.just(Factors.exact(codes, rows, amount))
