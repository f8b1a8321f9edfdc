"""Semi-nonnegative factorisation: X ~ fW with codes f >= 0 and signed rows W, no bias and no encoder.

Notation: one sample x (d,), its codes f (m,), rows w_j; p_j = <x, w_j>, q_jk = <w_j, w_k>; f' are the codes before a
step, A+ and A- the positive and negative parts, J = |X - fW|². Matrices are sequences of rows.

Source: Ding, Li, Jordan (2010), "Convex and semi-nonnegative matrix factorizations"; Shafran, Geiger, Geva (2025),
arXiv 2506.10920; or ours, as marked.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Row = Sequence[Number]
Matrix = Sequence[Row]


def product(left: Matrix, right: Matrix) -> list[list[Number]]:
    """The matrix product; that of the layers' codes is the code of a recursive factorisation. Source: definition."""
    columns = range(len(right[0]))
    return [[sum(a * row[c] for a, row in zip(f, right, strict=True)) for c in columns] for f in left]


def square_error(x: Matrix, codes: Matrix, rows: Matrix) -> Number:
    """J = |X - fW|². Source: definition; units of x squared."""
    pairs = zip(x, product(codes, rows), strict=True)
    return sum((a - b) ** 2 for one, other in pairs for a, b in zip(one, other, strict=True))


def quadratic(f: Row, p: Row, q: Matrix, x2: Number) -> Number:
    """J of one sample from products: |x|² - 2 <f, p> + f q f^T. Source: expand |x - fW|²."""
    (pulled,) = product([f], q)
    return x2 + sum(v * (b - 2 * a) for v, a, b in zip(f, p, pulled, strict=True))


def pulls(f: Row, p: Row, q: Matrix, *, ops: Ops = FLOAT) -> list[tuple[Number, Number]]:
    """What pulls each code up and down: (p+ + f q-, p- + f q+), whose difference p - f q is -dJ/2df.

    Source: Ding, Li, Jordan (2010), numerator and denominator of the multiplicative update.
    """
    (up,), (down,) = (product([f], [[_positive(s * v, ops) for v in row] for row in q]) for s in (-1, 1))
    return [(_positive(v, ops) + a, _positive(-v, ops) + b) for v, a, b in zip(p, up, down, strict=True)]


def _positive(value: Number, ops: Ops) -> Number:
    return ops.larger(value, ops.num("0"))


def multiplicative(before: Number, up: Number, down: Number, *, ops: Ops = FLOAT) -> Number:
    """A code after one step: f' sqrt(up / down). It minimises `auxiliary`.

    Source: Ding, Li, Jordan (2010), the multiplicative update of semi-NMF. Fails when: f' = 0, which it never leaves.
    """
    return before * ops.sqrt(up / down)


def auxiliary(f: Row, before: Row, p: Row, q: Matrix, x2: Number, *, ops: Ops = FLOAT) -> Number:
    """Z(f, f') >= J(f), equal at f = f': separable, each entry of f in a square and a logarithm.

    Z(f, f') = J(f') + sum_j [down_j (f_j² / f'_j - f'_j) - 2 up_j f'_j log(f_j / f'_j)].

    Args:
        f: codes, above 0.
        before: f', above 0.
        p: products of the sample with the rows.
        q: products of the rows, symmetric.
        x2: |x|².
        ops: number system.

    Source: Ding, Li, Jordan (2010), the auxiliary function in their proof; the bounds behind it are claim SN-2.
    """
    total = quadratic(before, p, q, x2)
    for value, old, (up, down) in zip(f, before, pulls(before, p, q, ops=ops), strict=True):
        total = total + down * (value * value / old - old) - 2 * up * old * ops.log(value / old)
    return total


def least_drop(before: Number, up: Number, down: Number, *, ops: Ops = FLOAT) -> Number:
    """What a step of one code takes off J at least: f' (down - up + up log(up / down)) >= 0.

    Source: ours, `auxiliary` at f' less its value at the minimiser.
    """
    return before * (down - up + up * ops.log(up / down))


def stationarity(before: Number, up: Number, down: Number, *, ops: Ops = FLOAT) -> Number:
    """A lower bound on `least_drop` that is 0 just at complementarity, f' (up - down) = 0.

    f' (up - down)² / (2 max(up, down)).

    Source: ours, t log t - t + 1 >= (t - 1)² / (2 max(t, 1)).
    """
    return before * (up - down) ** 2 / (2 * ops.larger(up, down))


def rank_floor(squares: Row, m: int) -> Number:
    """Least J of m rows, whatever the signs of the codes: the squared singular values beyond the m largest, summed.

    Args:
        squares: squared singular values, from largest to smallest.
        m: rows.

    Source: Eckart and Young (1936).
    """
    return sum(squares[m:])


def lift_threshold(left: Matrix, y: Row) -> Number:
    """Least t >= 0 with U + t (U y) 1^T >= 0, where U y > 0: the largest of -U_ij / (U y)_i and 0.

    Source: ours. Fails when: U y has an entry that is not above 0; then no t may do.
    """
    along = [sum(a * b for a, b in zip(row, y, strict=True)) for row in left]
    return max(0, *(-value / size for row, size in zip(left, along, strict=True) for value in row))


def lift(y: Row, t: Number) -> list[list[Number]]:
    """The matrix I + t y 1^T, which adds t (U y) to every column of U from the right.

    Source: ours; semi-NMF reaches the error of the SVD by it (cf. Gillis and Kumar 2015).
    """
    return [[t * value + (1 if i == j else 0) for j in range(len(y))] for i, value in enumerate(y)]


def lift_inverse(y: Row, t: Number) -> list[list[Number]]:
    """Inverse of `lift`: I - t y 1^T / (1 + t sum y). Source: Sherman and Morrison (1950). Fails when: t sum y = -1."""
    return lift(y, -t / (1 + t * sum(y)))


def sheared(codes: Matrix, rows: Matrix, a: Number) -> tuple[list[list[Number]], list[list[Number]]]:
    """Codes with f_1 + a f_0 for f_1, rows with w_0 - a w_1 for w_0: the same product.

    For a > 0 codes stay nonnegative whatever they are, since no sign is asked of the rows.

    Source: ours; the simplest of the mixings (fM, M^-1 W) with M >= 0.
    """
    moved = [[*row[:1], row[1] + a * row[0], *row[2:]] for row in map(list, codes)]
    first = [v - a * w for v, w in zip(rows[0], rows[1], strict=True)]
    return moved, [first, *map(list, rows[1:])]


def sheared_sine_square(a: Number, cosine: Number) -> Number:
    """Squared sine of the angle between w_0 and w_0 - a w_1, unit rows: a² (1 - g²) / (1 - 2 a g + a²).

    Source: ours. Above 0 for a != 0 and rows that are not parallel; as a grows it tends to that of w_1.
    """
    return a * a * (1 - cosine * cosine) / (1 - 2 * a * cosine + a * a)


def rescaled(codes: Matrix, rows: Matrix, scales: Row) -> tuple[list[list[Number]], list[list[Number]]]:
    """Codes f_j / c_j and rows c_j w_j: the same product. Source: the scale gauge of any factorisation."""
    fewer = [[v / c for v, c in zip(row, scales, strict=True)] for row in codes]
    return fewer, [[c * v for v in row] for row, c in zip(rows, scales, strict=True)]


def nonzeros(row: Row, *, ops: Ops = FLOAT) -> Number:
    """Entries of a row other than 0, exactly. Source: definition."""
    return sum(ops.where(value == 0, ops.num("0"), ops.num("1")) for value in row)


def mixture_nonzeros(terms: Number, size: Number) -> Number:
    """Nonzeros of a sum of `terms` rows with disjoint supports of one size: terms * size. Source: ours."""
    return terms * size


def difference_nonzeros(exclusive: Number) -> Number:
    """Nonzeros of the difference of two leaves with one core: twice their exclusive neurons. Source: ours."""
    return 2 * exclusive


def family_error(exclusive2: Number, leaves: Number) -> Number:
    """Least squared error of one row for a family of leaves, core + exclusive parts of equal energy: (L - 1) E.

    The row is core + mean exclusive part, with equal codes.

    Args:
        exclusive2: E, squared norm of each exclusive part; these are orthogonal to each other and to the core.
        leaves: L.

    Source: ours, the Gram matrix of the leaves is C 11^T + E I with C the squared norm of the core.
    """
    return (leaves - 1) * exclusive2


def core_cosine(core2: Number, exclusive2: Number, leaves: Number, *, ops: Ops = FLOAT) -> Number:
    """Cosine of a family's best row with its core: sqrt(C / (C + E / L)). Source: ours, see `family_error`."""
    return ops.sqrt(core2 / (core2 + exclusive2 / leaves))
