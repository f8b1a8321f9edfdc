"""Eigenvalues: enclosed by Arb, decided exactly for rational matrices, and as parts of a conclusion."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from proofs_check.claim import Check, Finding, Relation, at_most
from proofs_check.engines import balls
from proofs_check.engines.need import need

Matrix = Sequence[Sequence[Any]]
"""of exact numbers, rows first: integers, Fractions, texts such as "1/3"; a float is the binary number it holds"""


def eigenvalues(matrix: Matrix) -> list[tuple[float, float]]:
    """Intervals that hold the eigenvalues of a symmetric matrix, the lowest first; proved by Arb.

    Raises:
        ValueError: the matrix is not square and symmetric.
    """
    flint = need("flint", "python-flint")
    exact = _symmetric(matrix)
    found = flint.acb_mat([[_ratio(flint.arb, value) for value in row] for row in exact]).eig(multiple=True)
    ends = [(value.real.mid() - value.real.rad(), value.real.mid() + value.real.rad()) for value in found]
    return sorted((_outward(low, -1), _outward(high, 1)) for low, high in ends)


def definite(matrix: Matrix) -> bool:
    """Whether a symmetric matrix has no eigenvalue below 0, decided exactly: 0 itself is no border case.

    The elementary symmetric functions of its eigenvalues are the coefficients of det(t - A) with alternating signs, and
    real numbers are all >= 0 just where these are.
    """
    flint = need("flint", "python-flint")
    exact = _symmetric(matrix)
    rational = [[flint.fmpq(value.numerator, value.denominator) for value in row] for row in exact]
    coefficients = flint.fmpq_mat(rational).charpoly().coeffs()[::-1]
    return all((-1) ** i * value >= 0 for i, value in enumerate(coefficients))


def loewner(shows: str, scope: str, pairs: Callable[[], Iterable[tuple[Matrix, Matrix]]]) -> Check:
    """A <= B in the Loewner order for each of some pairs of exact matrices: B - A has no eigenvalue below 0."""

    def run(_: float) -> Finding:
        count = 0
        for count, (a, b) in enumerate(pairs(), 1):
            gap = [[_exact(y) - _exact(x) for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]
            if not definite(gap):
                return Finding("refuted", f"pair {count}: B - A has the eigenvalue {eigenvalues(gap)[0][0]:.6g}")
        return Finding("proved") if count else Finding("undecided", "no pair was given")

    return Check("exact", shows, scope, run)


def semidefinite(shows: str, scope: str, box: balls.Box, matrix: Callable[..., Matrix]) -> Check:
    """A symmetric matrix of functions has no eigenvalue below 0 anywhere on a box: no pivot is, by Arb balls.

    All pivots but the last must stay away from 0.

    Args:
        shows: what is proved, in words.
        scope: the box in words.
        box: exact ends of each unknown.
        matrix: (unknowns by name, ops) -> rows of entries.
    """

    def least_pivot(ops: Any, **unknowns: Any) -> Any:
        rows = [list(row) for row in matrix(ops=ops, **unknowns)]
        least = rows[0][0]
        for i, pivot in enumerate(rows):
            least = ops.smaller(least, pivot[i])
            for other in rows[i + 1 :]:
                factor = other[i] / pivot[i]
                other[:] = [a - factor * b for a, b in zip(other, pivot, strict=True)]
        return least

    return balls.positive(shows, scope, box, least_pivot)


def loewner_at_most(a: Tensor, b: Tensor) -> Relation:
    """The part A <= B of a conclusion, for drawn symmetric matrices: no eigenvalue of A - B above 0."""
    size = max(float(torch.linalg.matrix_norm(m, 2)) for m in (a, b))
    return at_most(torch.linalg.eigvalsh(a - b)[-1], 0.0, unit=size or 1.0)


def spectral_at_most(a: Tensor, bound: Any) -> Relation:
    """The part |A| <= bound, the largest singular value."""
    return at_most(torch.linalg.matrix_norm(a, 2), bound)


def _exact(value: Any) -> Fraction:
    return Fraction(value)


def _symmetric(matrix: Matrix) -> list[list[Fraction]]:
    exact = [[_exact(value) for value in row] for row in matrix]
    if any(len(row) != len(exact) for row in exact) or exact != [list(column) for column in zip(*exact, strict=True)]:
        raise ValueError("spectral: a matrix must be square and symmetric; got another: take A + Aᵀ or AᵀA.")
    return exact


def _ratio(arb: Any, value: Fraction) -> Any:
    return arb(value.numerator) / value.denominator


def _outward(value: Any, sign: int) -> float:
    """The nearest float, moved outward past its rounding."""
    number = float(value)
    return number + sign * (abs(number) * 2.0**-50 + 1e-300)
