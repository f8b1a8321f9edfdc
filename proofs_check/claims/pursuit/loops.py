"""Shipped pursuits at 9 to 64 steps without rounding: of rows and samples of which floats hold every number exactly."""

from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from proofs_check.claim import edited
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import Draw, Pairs
from workbench.parts import pursuit

_CHAIN = 6
"""rows that lean on each other"""


def quartered(draw: Draw, steps: int) -> tuple[Tensor, Tensor]:
    """Unit rows e_i and (±1, ±1, ±1, ±1)/2 of many R⁴, with products 0 and ±1/2; one sample in whole numbers."""
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    block = torch.cat((torch.eye(4, dtype=torch.float64), signs / 2))
    count = steps // 2
    return torch.block_diag(*[block] * count), torch.tensor([draw.vector(4 * count, 1000)], dtype=torch.float64)


def exact(values: Tensor) -> list[Fraction]:
    """A vector's floats as the fractions that they are."""
    return [Fraction(value) for value in values.tolist()]


def _sparse(row: Tensor) -> list[tuple[int, Fraction]]:
    return [(c, Fraction(float(row[c]))) for c in row.nonzero().flatten().tolist()]


def _along(row: list[tuple[int, Fraction]], r: list[Fraction]) -> Fraction:
    return sum((w * r[c] for c, w in row), Fraction(0))


def _stepped(draw: Draw) -> Pairs:
    """Each pick has the largest |c| (or c), its increment is <w, r>, and what is left is r - aw."""
    rows, x = quartered(draw, draw.n)
    plain = [_sparse(row) for row in rows]
    rules: tuple[Literal["abs", "relu", "max"], ...] = ("abs", "relu", "max")
    for rule in rules:
        path, r = pursuit.matching_pursuit(x, rows, draw.n, select=rule), exact(x[0])
        taken = int(path.steps[0])
        for j, a in zip(path.indices[0, :taken].tolist(), exact(path.values[0, :taken]), strict=True):
            c = [_along(row, r) for row in plain]
            yield a, c[j]
            yield (abs(a), max(map(abs, c))) if rule == "abs" else (a, max(c))
            for at, w in plain[j]:
                r[at] -= a * w
        yield exact(path.residual[0]), r
        best = max(_along(row, r) for row in plain)
        yield taken, (taken if rule == "relu" and best <= 0 else draw.n)


def _squared(draw: Draw) -> Pairs:
    """Each pick is new and has the largest |c|; the last residual is x - fW and at right angles to all picks."""
    n = draw.n
    rows = 4 * torch.eye(n, dtype=torch.float64)
    for j in range(n):
        first = j - j % _CHAIN
        rows[j, first:j] = torch.tensor([1 - 2 * (v % 2) for v in draw.vector(j - first)], dtype=torch.float64)
    x = torch.tensor([[2.0 ** (_CHAIN - j % _CHAIN) for j in range(n)]], dtype=torch.float64)
    plain, steps = [_sparse(row) for row in rows], n - 2
    rules: tuple[Literal["abs", "positive"], ...] = ("abs", "positive")
    for rule in rules:
        path = pursuit.orthogonal_matching_pursuit(x, rows, steps, select=rule)
        picks, r = path.indices[0].tolist(), exact(x[0])
        yield len(set(picks)), steps
        for j in picks:
            c = [_along(row, r) for row in plain]
            yield (abs(c[j]), max(map(abs, c))) if rule == "abs" else (c[j], max(c))
            r[j] = Fraction(0)  # rows of a chain come in order, so that each takes one coordinate more
        left = exact(path.residual[0])
        yield from ((_along(plain[j], left), 0) for j in picks)
        for j, f in zip(picks, exact(path.values[0]), strict=True):
            for at, w in plain[j]:
                left[at] += f * w
        yield left, exact(x[0])


STEPS = evaluated("the shipped matching pursuit, step by step", _stepped)
"""of rows with products 0 and ±1/2, by every rule"""
SQUARES = evaluated("the shipped OMP: picks, least squares", _squared)
"""of rows that are not orthogonal, by both rules"""
SIX_STEPS = edited(
    "six steps at most",
    pursuit.matching_pursuit,
    lambda f: lambda x, rows, steps, **settings: f(x, rows, min(steps, 6), **settings),
)
