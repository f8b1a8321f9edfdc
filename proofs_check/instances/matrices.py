"""Strategies for matrices: any, orthogonal, positive semidefinite, frames, dictionaries of certified isometry."""

import itertools
import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.instances.draw import SEEDS, numbers, rows_of, unit_rows
from proofs_check.instances.mixture import Mixture
from synthetic.base.errors import must
from synthetic.base.streams import stream
from synthetic.laws.directions import gaussian, overlaps, unit

_SUPPORTS = 2000
"""supports up to which each is looked at"""


@st.composite
def matrices(draw: st.DrawFn, n: int, d: int) -> Tensor:
    """Matrices (n, d), float64, of whole or real entries in [-3, 3]."""
    value = draw(st.sampled_from([st.integers(-3, 3).map(float), numbers(-3.0, 3.0)]))
    row = st.lists(value, min_size=d, max_size=d)
    return torch.tensor(draw(st.lists(row, min_size=n, max_size=n)), dtype=torch.float64)


@st.composite
def orthogonal(draw: st.DrawFn, n: int) -> Tensor:
    """Orthogonal matrices (n, n): signed permutations, and random rotations and reflections."""
    if draw(st.booleans()):
        order = draw(st.permutations(range(n)))
        signs = draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=n, max_size=n))
        return torch.eye(n, dtype=torch.float64)[list(order)] * torch.tensor(signs, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian(n, n, stream(draw(SEEDS), "orthogonal")))
    return q * r.diagonal().sign()


@st.composite
def psd(draw: st.DrawFn, n: int, rank: int | None = None) -> Tensor:
    """Symmetric positive semidefinite matrices (n, n), of a rank at most the one given."""
    a = draw(matrices(draw(st.integers(1, rank or n)), n))
    return a.T @ a


@st.composite
def frames(draw: st.DrawFn, n: int, d: int) -> Tensor:
    """n >= d unit rows that span R^d."""
    must(n >= d, "frames.n", f"at least d = {d}", n, "draw more rows")
    below = draw(rows_of(numbers(-2.0, 2.0), d, d)).tril(-1) + torch.eye(d, dtype=torch.float64)
    rest = draw(unit_rows(n - d, d)) if n > d else below[:0]
    return torch.cat((unit(below), rest))


def isometry_constant(rows: Tensor, k: int) -> float:
    """An upper bound on delta_k of unit rows, |hV|² within (1 ± delta_k)|h|² for k-sparse h; equal for few supports."""
    k = min(k, len(rows))
    if math.comb(len(rows), k) > _SUPPORTS:
        return (k - 1) * float(overlaps(rows).max())
    supports = torch.tensor(list(itertools.combinations(range(len(rows)), k)))
    values = torch.linalg.eigvalsh(rows[supports] @ rows[supports].mT)
    return float((values - 1).abs().max())


@st.composite
def certified_rows(draw: st.DrawFn, n: int, d: int, k: int, delta: float) -> Tensor:
    """At most n unit rows whose isometry constant of order k is certified to be at most delta; one row at the least."""
    rows = draw(unit_rows(n, d))
    while len(rows) > 1 and isometry_constant(rows, k) > delta:
        rows = rows[:-1]
    return rows


@st.composite
def certified(draw: st.DrawFn, n: int, d: int, k: int, delta: float) -> Mixture:
    """One sample x = hV with at most k nonzeros, over `certified_rows`."""
    rows = draw(certified_rows(n, d, k, delta))
    h = torch.zeros(len(rows), dtype=torch.float64)
    on = draw(st.permutations(range(len(rows))))[:k]
    h[list(on)] = torch.tensor([draw(numbers(-4.0, 4.0)) for _ in on], dtype=torch.float64)
    return Mixture.exact(rows, h)
