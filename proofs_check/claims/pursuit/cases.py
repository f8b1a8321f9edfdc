"""Samples that a greedy rule decomposes over given rows: what the claims of pursuit are about."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import Hypothesis, digits, edited
from proofs_check.instances.draw import SEEDS, codes, mixtures, mostly, numbers, rows_of, usually
from proofs_check.instances.mixture import Mixture
from synthetic.base.errors import must
from workbench.parts import pursuit

Rule = Literal["abs", "relu", "max"]
EARNEST = 1e-6
"""picks from a residual below this share of |x| are round-off"""


@dataclass(frozen=True, eq=False)
class Greedy:
    """Samples x, rows, and the first steps of matching pursuit by one rule. All float64."""

    rows: Float[Tensor, "m d"]
    x: Float[Tensor, "n d"]
    steps: int = 4
    select: Rule = "abs"
    share: float = 1.0
    """of the correlation that a step subtracts"""
    lag: int = 0
    """which pick the residual is compared with: 0 the last one"""
    one_shot: bool = False
    """take the `steps` largest correlations with x itself instead"""
    mixture: Mixture | None = None
    """what x is made of, where that is known"""

    def __str__(self) -> str:
        more = [f"{self.steps} steps by {self.select}"]
        more += [f"{self.share:g} of each increment"] if self.share != 1 else []
        more += [f"{self.lag} picks ago"] if self.lag else []
        more += ["all from x at once"] if self.one_shot else []
        return f"rows {digits(self.rows)}, x {digits(self.x)}, {', '.join(more)}"

    @property
    def nontrivial(self) -> bool:
        """More rows than dimensions, and two steps or more."""
        return len(self.rows) > self.rows.shape[1] and self.steps > 1

    @property
    def known(self) -> Mixture:
        """The mixture.

        Raises:
            ValueError: there is none.
        """
        must(self.mixture, "Greedy.mixture", "given", None, "make the case with of()")
        return cast("Mixture", self.mixture)

    @cached_property
    def path(self) -> pursuit.Path:
        """The shipped pursuit."""
        return pursuit.matching_pursuit(self.x, self.rows, self.steps, select=self.select)

    @cached_property
    def picked(self) -> tuple[Float[Tensor, "n t"], Float[Tensor, "n t d"]]:
        """Increments, and the rows they belong to."""
        if self.one_shot:
            c = self.x @ self.rows.T
            index = c.abs().topk(min(self.steps, len(self.rows)), dim=1).indices
            return c.gather(1, index), self.rows[index]
        spare = self.steps - self.path.values.shape[1]  # a path ends once no row of any sample moves on
        index, a = (F.pad(part, (0, spare)) for part in (self.path.indices, self.path.values))
        return a, self.rows[index]

    @cached_property
    def residuals(self) -> Float[Tensor, "n t1 d"]:
        """r_0 = x, r_1, ..., r_T from increments and rows."""
        a, w = self.picked
        return torch.cat((self.x[:, None], self.x[:, None] - (a[..., None] * w).cumsum(1)), 1)

    @cached_property
    def energies(self) -> Float[Tensor, "n t1"]:
        """|r_t|²."""
        return self.residuals.square().sum(2)

    @cached_property
    def size(self) -> Float[Tensor, " n"]:
        """|x|², or 1 where it is 0; where codes cancel, no less than their round-off leaves of it."""
        least = 0.0 if self.mixture is None else (EARNEST * self.mixture.l1).square()
        size = torch.maximum(self.energies[:, 0], torch.as_tensor(least, dtype=torch.float64))
        return torch.where(size > 0, size, 1.0)

    def per_step(self, values: Float[Tensor, " n"]) -> Float[Tensor, " nt"]:
        """One value a sample, repeated for its steps."""
        return values[:, None].expand(-1, self.picked[0].shape[1]).flatten()


def _off_span(case: Greedy) -> Float[Tensor, " n"]:
    off = case.x - torch.linalg.lstsq(case.rows.T, case.x.T, driver="gelsd").solution.T @ case.rows
    return off.norm(dim=1) / case.size.sqrt()


UNIT = Hypothesis("unit rows", lambda case: (case.rows.norm(dim=1) - 1).abs().max())
IN_SPAN = Hypothesis("x in the span of the rows", _off_span)


def greedy(rows: Any, x: Any, **settings: Any) -> st.SearchStrategy[Greedy]:
    """One instance, as a strategy."""
    rows, x = (torch.as_tensor(t, dtype=torch.float64) for t in (rows, x))
    return st.just(Greedy(rows, torch.atleast_2d(x), **settings))


def scaled(low, high, **settings):
    """Two orthogonal rows of one norm between two bounds, x beside them."""
    return numbers(low, high).flatmap(lambda size: greedy([[size, 0], [0, size]], [1.0, 0.5], **settings))


def leaning(x, **settings):
    """Two unit rows with a product between .1 and .9."""
    return numbers(0.1, 0.9).flatmap(lambda c: greedy([[1.0, 0], [c, (1 - c * c) ** 0.5]], x, **settings))


SHORT = numbers(0.1, 0.55).map(lambda t: Mixture.exact([[t, 0], [0.6, 0.8]], [[1.0, 0]]))
"""x = (t, 0) correlates t² with its own short row and .6 t with the other"""


@st.composite
def pursued(draw, *, rules=("abs", "relu", "max"), norms=None, nonnegative=False, steps=(1, 6)):
    """A mixture, or any x beside its rows, pursued for a few steps; rows scaled to `norms` (low, high) where given."""
    mixture = draw(mixtures(nonnegative=nonnegative))
    rows, x = mixture.rows, mixture.x
    if norms:
        scale = torch.tensor(draw(st.lists(numbers(*norms), min_size=len(rows), max_size=len(rows))))
        rows = rows * scale[:, None].double()
    if draw(st.booleans()) and not nonnegative:
        x = draw(rows_of(st.integers(-3, 3), 1, x.shape[1]))
    several = mostly(st.integers(max(2, steps[0]), steps[1]), st.integers(*steps))
    return Greedy(rows, x, draw(several), draw(st.sampled_from(rules)))


def of(mixture: Mixture, steps: int = 4, **settings: Any) -> Greedy:
    """A pursuit of a mixture, which it keeps."""
    return Greedy(mixture.rows, mixture.x, steps, mixture=mixture, **settings)


def from_gram(products: Float[Tensor, "m m"]) -> Float[Tensor, "m m"]:
    """Rows with these inner products."""
    values, vectors = torch.linalg.eigh(products)
    return vectors * torch.where(values > 1e-12, values, 0.0).sqrt()  # sqrt of round-off is not round-off


@st.composite
def below_bound(draw, *, nonnegative=False, k=(1, 4), crowded=False):
    """A code of k nonzeros on rows with (2k - 1) mu < 1: products of ±mu and less, or identity and Hadamard.

    `crowded`: the latter, which have more rows than dimensions.
    """
    count = draw(mostly(st.integers(max(2, k[0]), k[1]), st.integers(*k)))
    if not crowded and not draw(usually()):
        m = draw(st.integers(count, 2 * count))
        mu = draw(st.just(0.999) | numbers(0.01, 0.99)) / max(2 * count - 1, 1)
        least, rng = draw(st.sampled_from([1, 0])), S.stream(draw(SEEDS), "products")
        sizes = 1 - torch.randint(0, 2 - least, (m, m), generator=rng, dtype=torch.float64) / 2
        signs = 1 - 2 * torch.randint(0, 2, (m, m), generator=rng, dtype=torch.float64)
        upper = (sizes * signs).triu(1)
        rows = from_gram(torch.eye(m, dtype=torch.float64) + mu * (upper + upper.T))  # (m - 1) mu < 1: definite
    else:
        rows = identity_and_hadamard({1: 16, 2: 16, 3: 32}.get(count, 64))
    h = torch.zeros(len(rows), dtype=torch.float64)
    start = draw(SEEDS)
    where = torch.randperm(len(rows), generator=S.stream(start, "support"))[:count]
    if count > 1 and len(rows) > rows.shape[1] and len((where < rows.shape[1]).unique()) == 1:
        where[0] = (where[0] + rows.shape[1]) % len(rows)  # one of the other basis
    h[where] = draw(codes(count, nonnegative, active=count))
    return Mixture.exact(rows, h)


@lru_cache
def identity_and_hadamard(d: int) -> Float[Tensor, "m d"]:
    """2d unit rows of coherence 1 / sqrt(d), d a power of 2."""
    hadamard = torch.ones(1, 1, dtype=torch.float64)
    while len(hadamard) < d:
        hadamard = torch.cat((torch.cat((hadamard, hadamard), 1), torch.cat((hadamard, -hadamard), 1)))
    return torch.cat((torch.eye(d, dtype=torch.float64), hadamard / d**0.5))


def beside(k: int, mu: float, h: Any = None, factor: float = 1.0) -> Mixture:
    """k rows with products -mu, equal codes, and one more row with products mu to each: the hardest below the bound."""
    products = torch.full((k + 1, k + 1), -mu, dtype=torch.float64)
    products[-1], products[:, -1] = mu, mu
    products.fill_diagonal_(1.0)
    h = torch.ones(k) if h is None else torch.tensor(h)
    return Mixture.exact(from_gram(products), torch.cat((factor * h, torch.zeros(1))))


BELOW = Hypothesis(
    "below the coherence bound: (2k - 1) mu < 1",
    lambda case: ((2 * case.k - 1) * case.coherence >= 1).double(),
)


def outside(case: Mixture, path: pursuit.Path) -> Float[Tensor, " n"]:
    """Number of picks outside the support of h, round-off left out."""
    a, w = path.values, case.rows[path.indices]
    before = case.x[:, None] - (a[..., None] * w).cumsum(1) + a[..., None] * w
    earnest = (before.norm(dim=2) > EARNEST * case.x.norm(dim=1, keepdim=True)) & (a != 0)
    wrong = case.h.gather(1, path.indices) == 0
    return (wrong & earnest).sum(1).double()


def omp(case: Mixture, select: Literal["abs", "positive"]) -> pursuit.Path:
    """Orthogonal matching pursuit, as many steps for each sample as h has nonzeros."""
    most = int(case.k.max())
    found = pursuit.orthogonal_matching_pursuit(case.x, case.rows, most, select=select)
    for count in sorted({int(k) for k in case.k.tolist()} - {most}):
        own = pursuit.orthogonal_matching_pursuit(case.x, case.rows, count, select=select)
        at = case.k == count
        found.indices[at, :count], found.values[at, :count] = own.indices[at], own.values[at]
        found.values[at, count:], found.residual[at] = 0.0, own.residual[at]
    return found


def dense(path: pursuit.Path, m: int) -> Float[Tensor, "n m"]:
    """Codes as a table."""
    return path.values.new_zeros(len(path.values), m).scatter_add(1, path.indices, path.values)


A_STEP_TOO_FEW = edited(
    "one step too few",
    pursuit.orthogonal_matching_pursuit,
    lambda f: lambda x, rows, steps, **settings: f(x, rows, max(1, steps - 1), **settings),
)
