"""Decoders that are polynomials of the latents, of shared low rank.

Notation: latents f in R^m, U in R^{m x R1} with orthonormal columns, a = f U; C1 in R^{d x R1}, C2 in R^{d x R2},
C3 in R^{d x R3}, R1 >= R2 >= R3, as lists of rows; scales l2, l3;
x_hat = b_dec + C1 a + l2 C2 a_{1:R2}² + l3 C3 a_{1:R3}³, powers entry by entry.

Source: Koromilas et al. (2026), PolySAE, arXiv 2602.01322 where marked "PolySAE"; the rest is ours.
"""

import math
from collections import Counter
from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops
from workbench.theory.signed import abs_top_k

Matrix = Sequence[Sequence[Number]]
"""a list of rows"""


def projections(f: Sequence[Number], U: Matrix) -> list[Number]:
    """The shared projections a = f U. Source: PolySAE, decoder."""
    return [sum(value * row[r] for value, row in zip(f, U, strict=True)) for r in range(len(U[0]))]


def degree_part(f: Sequence[Number], U: Matrix, C: Matrix, q: int, scale: Number = 1) -> list[Number]:
    """The part of degree q, y_q = scale C a^q over the first columns of U: y_q(t f) = t^q y_q(f).

    Source: PolySAE, decoder.
    """
    a = projections(f, U)
    return [scale * sum(row[r] * a[r] ** q for r in range(len(row))) for row in C]


def decode(
    f: Sequence[Number], U: Matrix, C: Sequence[Matrix], scales: Sequence[Number], bias: Sequence[Number]
) -> list[Number]:
    """x_hat = b_dec + sum_q scale_q C_q a^q, q = 1, 2, ... Source: PolySAE, decoder (scales 1, l2, l3)."""
    total = list(bias)
    for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1):
        total = [old + new for old, new in zip(total, degree_part(f, U, matrix, q, scale), strict=True)]
    return total


def linear_atoms(U: Matrix, C1: Matrix) -> list[list[Number]]:
    """Rows w_j of the linear part, U C1^T. Source: PolySAE; a linear SAE is the case l2 = l3 = 0."""
    return [[sum(u * c for u, c in zip(row, line, strict=True)) for line in C1] for row in U]


def monomial(members: Sequence[int], U: Matrix, C: Matrix, scale: Number = 1) -> list[Number]:
    """Coefficient vector of the product of these latents, a latent named as often as its power.

    q!/(prod of factorials of the powers) scale sum_r prod_i U_ir c_r: of f_i f_j (i != j) B_ij = 2 l2 sum_r U_ir U_jr
    c_r, of f_i² half of that form, of f_i f_j f_l six times, of f_i² f_j three times the sum.

    Source: ours, multinomial theorem on `degree_part`; B_ij as in PolySAE.
    """
    ways = math.factorial(len(members))
    for power in Counter(members).values():
        ways //= math.factorial(power)
    return [scale * ways * sum(c * math.prod(U[i][r] for i in members) for r, c in enumerate(row)) for row in C]


def effective_atom(
    row: Sequence[Number], a: Sequence[Number], C: Sequence[Matrix], scales: Sequence[Number]
) -> list[Number]:
    """How x_hat moves with one latent: sum_q q scale_q sum_r U_ir a_r^(q-1) c_r, which depends on all that are active.

    Args:
        row: U_i.
        a: projections of the code.
        C: C1, C2, ...
        scales: 1, l2, ...

    Source: ours, derivative of `decode`.
    """
    d = len(C[0])
    terms = [
        [q * scale * sum(c * row[r] * a[r] ** (q - 1) for r, c in enumerate(line)) for line in matrix]
        for q, (matrix, scale) in enumerate(zip(C, scales, strict=True), 1)
    ]
    return [sum(term[c] for term in terms) for c in range(d)]


def variance_tail(variances: Sequence[Number], rank: int, *, ops: Ops = FLOAT) -> Number:
    """Least mean square error of an image of this many dimensions: all principal variances but the largest, summed.

    Source: Eckart and Young (1936).
    """
    return sum(v - kept for v, kept in zip(variances, abs_top_k(variances, rank, ops=ops), strict=True))


def pair_form(gains: Sequence[Number]) -> list[list[Number]]:
    """Symmetric matrix of sum_q g_q f_{2q} f_{2q+1}: blocks [[0, g/2], [g/2, 0]], rank 2 each where g is not 0.

    Source: ours.
    """
    size = 2 * len(gains)
    return [[gains[i // 2] / 2 if i // 2 == j // 2 and i != j else 0 for j in range(size)] for i in range(size)]


def pair_columns(pairs: int, *, ops: Ops = FLOAT) -> list[list[Number]]:
    """Orthonormal columns (as U's rows) for disjoint products: (e_{2q} + e_{2q+1})/sqrt(2) and their difference.

    With column vectors b_q/2 and -b_q/2 they give f_{2q} f_{2q+1} b_q alone. Source: ours, polarisation.
    """
    part = 1 / ops.sqrt(ops.num("2"))
    return [
        [part * (1 if i % 2 == 0 or r % 2 == 0 else -1) if i // 2 == r // 2 else 0 for r in range(2 * pairs)]
        for i in range(2 * pairs)
    ]


def columns_for_pairs(pairs: int) -> int:
    """Least R2 for this many disjoint products without self terms: 2 a pair. Source: ours, rank of `pair_form`.

    Fails when: magnitudes take the values 0 and c alone, so that f² = c f is linear; one column a pair then does.
    """
    return 2 * pairs


def least_misfit(gains: Sequence[Number], columns: int, *, ops: Ops = FLOAT) -> Number:
    """Least square distance of `pair_form` to forms of this many columns: the smallest g²/4, two of each gain, summed.

    Source: Eckart and Young (1936): its eigenvalues are g/2 and -g/2.
    """
    return variance_tail([gain * gain / 4 for gain in gains for _ in range(2)], columns, ops=ops)


def contracted_form(U: Matrix, C2: Matrix, phi: Sequence[Number]) -> list[list[Number]]:
    """The quadratic part seen along phi: sum_r <phi, c_r> u_r u_r^T, with eigenvectors u_r where <phi, c_r> differ.

    Source: ours.
    """
    weights = [sum(p * row[r] for p, row in zip(phi, C2, strict=True)) for r in range(len(C2[0]))]
    return [[sum(w * v[r] * u[r] for r, w in enumerate(weights)) for u in U] for v in U]


def dual_code(products: Sequence[Number], gram: Matrix) -> list[Number]:
    """Coefficients read by the dual rows, c = G^-1 p for p = W x, by elimination; exact for independent rows.

    Source: Gauss. Fails when: rows are dependent; G is then singular.
    """
    table = [[*row, p] for row, p in zip(gram, products, strict=True)]
    for i in range(len(table)):
        pivot = table[i]
        table = [
            row if j == i else [a - b * (row[i] / pivot[i]) for a, b in zip(row, pivot, strict=True)]
            for j, row in enumerate(table)
        ]
    return [row[-1] / row[i] for i, row in enumerate(table)]


def power_sum(f: Sequence[Number], column: Sequence[Number], q: int) -> Number:
    """p_q = sum_i (f_i u_i)^q. Source: definition."""
    return sum((value * u) ** q for value, u in zip(f, column, strict=True))


def pure_square(p1: Number, p2: Number) -> Number:
    """The square of a projection without self terms: 2 e2 = p1² - p2. Source: Newton's identities; use here ours."""
    return p1 * p1 - p2


def pure_cube(p1: Number, p2: Number, p3: Number) -> Number:
    """The cube of a projection with distinct latents alone: 6 e3 = p1³ - 3 p1 p2 + 2 p3.

    Source: Newton's identities; use here ours.
    """
    return p1 * p1 * p1 - 3 * p1 * p2 + 2 * p3


def gram_schmidt(columns: Matrix, *, ops: Ops = FLOAT) -> list[list[Number]]:
    """Orthonormal columns by successive projection: the Q of QR with positive diagonal. Independent columns only.

    Source: Gram (1883), Schmidt (1907); PolySAE restores U^T U = I by such a QR after each step.
    """
    done: list[list[Number]] = []
    for column in columns:
        left = list(column)
        for q in done:
            along = sum(a * b for a, b in zip(column, q, strict=True))
            left = [a - along * b for a, b in zip(left, q, strict=True)]
        norm = ops.sqrt(sum(a * a for a in left))
        done.append([a / norm for a in left])
    return done


def decoder_parameters(m: Number, d: Number, ranks: Sequence[Number]) -> Number:
    """Numbers in U, C1, C2, C3: m R1 + d (R1 + R2 + R3). Source: PolySAE."""
    return m * ranks[0] + d * sum(ranks)


def parameter_surplus(m: Number, ranks: Sequence[Number]) -> Number:
    """Extra numbers over the linear decoder's m d at R1 = d, as a share of them: (R1 + R2 + R3) / m. Source: ours."""
    return sum(ranks) / m


def mean_pair_energy(scale: Number, size2: Number, fourth: Number, columns: Number, m: Number) -> Number:
    """Mean |B_ij|² over pairs i != j: 4 l2² |c|² (R2 - sum_ir U_ir⁴) / (m (m - 1)), m >= 2.

    Args:
        scale: l2.
        size2: |c|² of each column of C2; columns are orthogonal.
        fourth: sum of U_ir⁴ over latents and the R2 columns of U, from R2/m where all entries have one size to R2.
        columns: R2.
        m: latents.

    Source: ours: (sum_i U_ir²)² = 1 holds the pairs and, with i = j, the fourth powers.
    """
    return 4 * scale**2 * size2 * (columns - fourth) / (m * (m - 1))


def most_pair_energy(scale: Number, size2: Number, columns: Number, m: Number) -> Number:
    """The largest `mean_pair_energy`, where all entries of U have one size: 4 l2² |c|² R2 / m².

    So |B_ij| has a root mean square of 2 |l2| |c| sqrt(R2) / m at most, where linear atoms have |c| sqrt(R1 / m).

    Source: ours, Cauchy and Schwarz.
    """
    return 4 * scale**2 * size2 * columns / (m * m)


def with_pair(
    U: Matrix, C: Sequence[Matrix], pair: tuple[int, int], target: Sequence[Number], *, ops: Ops = FLOAT
) -> tuple[list[list[Number]], list[list[list[Number]]]]:
    """U, C1 and C2 of the decoder that adds l2 f_i f_j target to what it was: two columns more.

    The columns are those of `pair_columns`, behind the R2 that degree 2 has; C1 is 0 there.

    Source: ours, polarisation.
    """
    part, (first, second), at = 1 / ops.sqrt(ops.num("2")), pair, len(C[1][0])
    longer = [
        [*row[:at], part * ((k == first) + (k == second)), part * ((k == first) - (k == second)), *row[at:]]
        for k, row in enumerate(U)
    ]
    linear = [[*row[:at], 0, 0, *row[at:]] for row in C[0]]
    return longer, [linear, [[*row, t / 2, -t / 2] for row, t in zip(C[1], target, strict=True)]]
