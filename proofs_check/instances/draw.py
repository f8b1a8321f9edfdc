"""What instances of claims are drawn from: small dictionaries of many kinds, codes, and mixtures of the two."""

import math
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

import synthetic as S
from proofs_check.instances.mixture import Mixture
from proofs_check.instances.selection import Selection
from synthetic.laws.directions import unit

SEEDS = st.integers(0, 2**32 - 1)
DRAWS = 4000
"""random dictionaries, encoders, ... behind a mean that is compared with its law"""


def numbers(low: float, high: float) -> SearchStrategy[float]:
    """Numbers in [low, high], a grid of 4096 steps: a directed search climbs whole numbers, and hardly floats.

    Simplest are 0 or the lower end. The grid also keeps squares from underflowing.
    """
    size, steps = max(abs(low), abs(high)), 4096
    grid = st.integers(math.floor(low / size * steps), math.ceil(high / size * steps))
    return grid.map(lambda i: min(max(i / steps * size, low), high))


def usually() -> SearchStrategy[bool]:
    """True in seven draws of eight, and where a search looks for what is simple."""
    return st.integers(0, 7).map(lambda i: i < 7)


def mostly(first: SearchStrategy[Any], then: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Seven draws in eight from the first."""
    return usually().flatmap(lambda first_one: first if first_one else then)


def sizes(low: int, high: int) -> SearchStrategy[int]:
    """Whole numbers in [low, high], every other one among the three smallest."""
    return st.integers(low, min(low + 2, high)) | st.integers(low, high)


@st.composite
def rows_of(draw: st.DrawFn, value: SearchStrategy[float], n: int, d: int) -> Tensor:
    """Rows (n, d) of drawn values, float64, none of them 0. No filter: rejected draws slow a directed search."""
    row = st.lists(value, min_size=d, max_size=d)
    rows = torch.tensor(draw(st.lists(row, min_size=n, max_size=n)), dtype=torch.float64)
    rows[rows.abs().sum(1) == 0, 0] = 1.0
    return rows


@st.composite
def unit_rows(draw: st.DrawFn, n: int, d: int) -> Tensor:
    """n unit rows (n, d) of any geometry: whole numbers scaled, cones, simplices, frames, pairs, random."""
    feasible = {
        "whole": True,
        "orthonormal": n <= d,
        "one oblique": 3 <= n <= d + 1,
        "cone": n <= d,
        "simplex": 2 <= n <= d + 1,
        "frame": n > d,
        "pairs": n % 2 == 0,
        "common mean": d > 1,
        "random": True,
    }
    match draw(st.sampled_from([name for name, there in feasible.items() if there])):
        case "whole":
            return unit(draw(rows_of(st.integers(-3, 3), n, d)))
        case "orthonormal":
            return torch.eye(n, d, dtype=torch.float64)
        case "one oblique":
            rows = torch.eye(n, d, dtype=torch.float64)
            rows[-1, :] = rows[:2].sum(0) / 2**0.5
            return rows
        case "cone":
            family: Any = S.Cone(draw(numbers(-1 / (n - 1) if n > 1 else -0.9, 0.95)))
        case "simplex":
            family = S.Simplex()
        case "frame":
            family = S.TightFrame()
        case "pairs":
            family = S.Antipodal()
        case "common mean":
            family = S.CommonMean(draw(numbers(0, 0.95)))
        case _:
            family = S.RandomSphere()
    return family.draw(n, d, S.stream(draw(SEEDS), "claim"))


@st.composite
def codes(draw: st.DrawFn, n: int, nonnegative: bool = False, active: int = 1) -> Tensor:
    """One code (n,) with at least `active` nonzeros: equal, whole, real or heavy-tailed entries."""
    value = st.just(1.0) | st.integers(1, 4).map(float) | numbers(0.01, 4.0) | numbers(-3.0, 3.0).map(lambda e: 10.0**e)
    signed = value if nonnegative else st.builds(lambda v, s: v * s, value, st.sampled_from([1, -1]))
    entry = draw(st.sampled_from((signed, st.just(0.0) | signed)))
    entries = torch.tensor(draw(st.lists(entry, min_size=n, max_size=n)), dtype=torch.float64)
    missing = active - int(entries.count_nonzero())
    entries[(entries == 0).nonzero()[: max(missing, 0), 0]] = 1.0
    return entries


@st.composite
def mixtures(
    draw: st.DrawFn,
    n: tuple[int, int] = (1, 8),
    d: tuple[int, int] = (1, 6),
    *,
    nonnegative: bool = False,
    overcomplete: bool = False,
    active: int = 1,
) -> Mixture:
    """One exact sample x = hV over unit rows; seven in eight have more rows than dimensions and two active ones.

    Args:
        draw: given by Hypothesis.
        n: least and largest number of rows.
        d: least and largest dimension.
        nonnegative: draw h >= 0.
        overcomplete: draw more rows than dimensions always.
        active: fewest nonzeros of h.
    """
    dimension, crowded = draw(sizes(*d)), draw(usually())
    least = max(n[0], dimension + 1) if overcomplete or crowded else n[0]
    count = draw(sizes(least, max(n[1], least)))
    active = max(active, 2) if crowded else active
    return Mixture.exact(draw(unit_rows(count, dimension)), draw(codes(count, nonnegative, active)))


@st.composite
def cones(draw: st.DrawFn, k: tuple[int, int] = (2, 8), *, flat: bool = False, negative: bool = False) -> Mixture:
    """One h > 0 on k rows with all inner products mu in [.01, .95].

    Args:
        draw: given by Hypothesis.
        k: least and largest number of rows.
        flat: equal entries.
        negative: draw all products in [-1/(k-1), -.01 / (k-1)] instead; the first end is the simplex.
    """
    count = draw(sizes(*k))
    size = draw(st.just(0.5) | numbers(0.01, 1.0 if negative else 0.95))
    product = -size / (count - 1) if negative else size
    turned = torch.linalg.qr(S.Cone(product).draw(count, count, S.stream(0, "cone")).T).R.T  # triangular, same products
    rows = turned * torch.where(turned.diagonal() < 0, -1.0, 1.0)
    h = torch.ones(count) if flat else torch.tensor(draw(st.lists(numbers(0.1, 4.0), min_size=count, max_size=count)))
    return Mixture.exact(rows, h)


@st.composite
def simplices(draw: st.DrawFn, d: tuple[int, int] = (1, 8)) -> Mixture:
    """The regular simplex of d + 1 rows under flat h: x = 0."""
    dimension = draw(st.integers(*d))
    rows = S.Simplex().draw(dimension + 1, dimension, S.stream(0, "simplex"))
    return Mixture.exact(rows, torch.ones(dimension + 1))


@st.composite
def tight_frames(draw: st.DrawFn, d: tuple[int, int] = (1, 5)) -> Mixture:
    """A unit-norm tight frame of more rows than dimensions, under flat h."""
    dimension = draw(st.integers(*d))
    n = draw(sizes(dimension + 1, dimension + 4))
    rows = S.TightFrame().draw(n, dimension, S.stream(draw(SEEDS), "claim"))
    return Mixture.exact(rows, torch.ones(n))


@st.composite
def with_rest(draw: st.DrawFn) -> Mixture:
    """One sample x = hV + rho over unit rows, rho small, large or 0."""
    exact = draw(mixtures() | mixtures(overcomplete=True, active=2))
    size = draw(st.sampled_from([1.0, 0.1, 0.0, 10.0]))
    rest = draw(st.lists(st.integers(-3, 3), min_size=exact.d, max_size=exact.d))
    return Mixture(exact.rows, exact.h, exact.x + size * torch.tensor(rest, dtype=torch.float64))


@st.composite
def selections(draw: st.DrawFn, m: tuple[int, int] = (2, 8), *, inside: bool = True) -> Selection:
    """One row of nonnegative contributions, two at least above 0, and a target without bias.

    Args:
        draw: given by Hypothesis.
        m: least and largest number of latents.
        inside: draw the target between the largest contribution and the norm of all; else well outside.
    """
    row = draw(codes(draw(sizes(*m)), nonnegative=True, active=2))[None]
    case = Selection(row, row.norm(dim=1), row.norm(dim=1), 0.0)
    first, full = case.norms[:, 0], case.norms[:, -1]
    share = draw(mostly(st.sampled_from([0.5, 0.25]) | numbers(0.1, 0.9), st.sampled_from([0.0, 0.5, 1.0])))
    outside = 2 * full if share >= 0.5 else 0.1 * first
    tau = (first + share * (full - first)).clamp(first, full) if inside else outside
    return Selection(row, tau, tau, 0.0)
