"""Inductions over the rows of a mixture that several claims rest on, for all reals.

A step adds one row with coefficient t whose products with the rows so far are G_i, |G_i| <= mu; g = sum_i h_i G_i. It
starts at one row h_1. That the shipped sums grow by `pair(t, g)` is `UNROLL`.
"""

from proofs_check.engines import smt, symbolic
from workbench.theory import coherence


def pair(t, g):
    """What interference gains from a row with coefficient t and <hV, v> = g, by the shipped sum."""
    return coherence.interference([1, t], [[0, g], [g, 0]])


def _unroll(symbols, ops):
    for k in (1, 2, 3, 4):
        h, new, t = symbols(f"h:{k}"), symbols(f"p:{k}"), symbols("t")
        old = [[symbols(f"g{max(i, j)}{min(i, j)}") if i != j else 1 for j in range(k)] for i in range(k)]
        longer = [[*row, p] for row, p in zip(old, new, strict=True)] + [[*new, 1]]
        g = sum(a * b for a, b in zip(h, new, strict=True))
        yield coherence.interference([*h, t], longer) - coherence.interference(h, old), pair(t, g)
        yield coherence.square_norm([*h, t]) - coherence.square_norm(h), t * t
        yield coherence.l1_norm([*h, t], ops=ops) - coherence.l1_norm(h, ops=ops), ops.abs(t)


def _first_product(unknowns, ops):
    h, product, mu = unknowns("h product mu")
    return [ops.abs(product) <= mu], [ops.abs(h * product) <= mu * ops.abs(h)]


def _product(unknowns, ops):
    g, l1, t, product, mu = unknowns("g l1 t product mu")
    size = ops.abs
    return [size(g) <= mu * l1, size(product) <= mu], [size(g + t * product) <= mu * (l1 + size(t))]


def _first_l1_form(unknowns, ops):
    h, mu = unknowns("h mu")
    q = coherence.interference([h], [[1]])
    return [mu >= 0], [ops.abs(q + 0 * h) <= coherence.l1_gap(ops.abs(h), h * h, mu)]


def _l1_form(unknowns, ops):
    q, g, l1, h2, t, mu = unknowns("q g l1 h2 t mu")
    size = ops.abs
    given = [size(q) <= coherence.l1_gap(l1, h2, mu), size(g) <= mu * l1, mu >= 0, l1 >= 0]
    return given, [size(q + pair(t, g)) <= coherence.l1_gap(l1 + size(t), h2 + t * t, mu)]


def _first_cauchy_schwarz(unknowns, ops):
    h = unknowns("h")
    return [], [ops.abs(h) ** 2 <= 1 * (h * h)]


def _cauchy_schwarz(unknowns, ops):
    l1, h2, k, t = unknowns("l1 h2 k t")
    return [l1 * l1 <= k * h2, k >= 1], [(l1 + ops.abs(t)) ** 2 <= (k + 1) * (h2 + t * t)]


def _k_form(unknowns, ops):
    l1, h2, k, n, mu, eps = unknowns("l1 h2 k n mu eps")
    given = [l1 * l1 <= k * h2, h2 >= 0, k >= 1, k <= n, mu >= 0, mu <= eps]
    form = coherence.norm_gap(h2, mu, k)
    return given, [coherence.l1_gap(l1, h2, mu) <= form, form <= coherence.norm_gap(h2, eps, n)]


OVER_ROWS = "all k: induction over rows"
UNROLL = symbolic.identity("the shipped sums grow by one row's share", "k = 1..4", _unroll)
L1_FORM = (
    smt.induction("|Σ h_i G_i| ≤ μL", OVER_ROWS, _first_product, _product),
    smt.induction("|q| ≤ μ(L² − N)", OVER_ROWS, _first_l1_form, _l1_form),
)
CAUCHY_SCHWARZ = smt.induction("L² ≤ kN", OVER_ROWS, _first_cauchy_schwarz, _cauchy_schwarz)
K_FORM = (
    CAUCHY_SCHWARZ,
    smt.implies("μ(L² − N) ≤ μ(k − 1)N ≤ ε(n − 1)N", "all k ≤ n: from L² ≤ kN", _k_form),
)


def _one_coordinate(unknowns, ops):
    x, y, v, t, s = unknowns("x y v t s")
    return [], [(x + t * v) * (y + s * v) == x * y + t * (v * y) + s * (x * v) + t * s * (v * v)]


def _coordinate(unknowns, ops):
    """Sums over the coordinates so far, and one more coordinate."""
    both, xy, vy, xv, v2, t, s, x, y, v = unknowns("both xy vy xv v2 t s x y v")
    after = both + (x + t * v) * (y + s * v)
    given = [both == xy + t * vy + s * xv + t * s * v2]
    return given, [after == xy + x * y + t * (vy + v * y) + s * (xv + x * v) + t * s * (v2 + v * v)]


def _one_square(unknowns, ops):
    x, y = unknowns("x y")
    return [], [(x * y) ** 2 <= (x * x) * (y * y)]


def _square(unknowns, ops):
    product, x2, y2, x, y = unknowns("product x2 y2 x y")
    given = [product * product <= x2 * y2, x2 >= 0, y2 >= 0]
    return given, [(product + x * y) ** 2 <= (x2 + x * x) * (y2 + y * y)]


def _no_vector(unknowns, ops):
    length, most = unknowns("length most")
    return [length >= 0, length == 0, most == 0], [length <= most]


def _vector(unknowns, ops):
    """|A + b|² = |A|² + 2<A, b> + |b|², and the product is at most |A||b| in size."""
    length, most, size, share, product, longer = unknowns("length most size share product longer")
    given = [length >= 0, size >= 0, longer >= 0, length <= most, size <= share]
    given += [product * product <= (length * length) * (size * size)]
    return [*given, longer * longer == length * length + 2 * product + size * size], [longer <= most + share]


def _one_row_energy(unknowns, ops):
    h, v2 = unknowns("h v2")
    return [v2 == 1], [h * h * v2 == h * h + h * coherence.interference([h], [[1]])]


def _row_energy(unknowns, ops):
    """One more row: |hV + tv|² by products, with <hV, v> = g and |v| = 1."""
    energy, h2, q, g, t, v2 = unknowns("energy h2 q g t v2")
    after = energy + 2 * t * g + t * t * v2
    return [energy == h2 + q, v2 == 1], [after == (h2 + t * t) + (q + pair(t, g))]


OVER_COORDINATES = "all d: induction over coordinates"
BILINEAR = smt.induction(
    "⟨x + tv, y + sv⟩ = ⟨x, y⟩ + t⟨v, y⟩ + s⟨x, v⟩ + ts|v|²", OVER_COORDINATES, _one_coordinate, _coordinate
)
"""with s = 0 products are linear; with y = x and s = t it is |x + tv|²"""
PRODUCTS = smt.induction("⟨x, y⟩² ≤ |x|²|y|²", OVER_COORDINATES, _one_square, _square)
TRIANGLE = smt.induction("|Σ a| ≤ Σ b for |a| ≤ b", "all numbers of vectors: induction", _no_vector, _vector)
ENERGY = (BILINEAR, smt.induction("|hV|² = N + q for unit rows", OVER_ROWS, _one_row_energy, _row_energy))
"""<hV, v> = sum_i h_i <v_i, v> by the first, row by row"""


def _no_vector_yet(unknowns, ops):
    product, seen = unknowns("product seen")
    return [product == seen], [product == seen]


def _one_vector(unknowns, ops):
    """Orthonormal vectors: what is left of y has with a later one the product that y has, <r - a b, w> = <r, w>."""
    product, seen, a, overlap = unknowns("product seen a overlap")
    return [product == seen, overlap == 0], [product - a * overlap == seen]


def _no_direction(unknowns, ops):
    left, y2, taken = unknowns("left y2 taken")
    return [left == y2, taken == 0], [left >= y2 - taken]


def _direction(unknowns, ops):
    """|r - a b|² = |r|² - 2 a <r, b> + a² for unit b, <r, b> = <y, b>: at least |r|² less that square."""
    left, y2, taken, a, seen, b2 = unknowns("left y2 taken a seen b2")
    return [left >= y2 - taken, b2 == 1], [left - 2 * a * seen + a * a * b2 >= y2 - (taken + seen * seen)]


def _none_kept(unknowns, ops):
    left, y2, taken = unknowns("left y2 taken")
    return [left == y2, taken == 0], [left == y2 - taken]


def _kept(unknowns, ops):
    """With a = <y, b> it is just that."""
    left, y2, taken, seen, b2 = unknowns("left y2 taken seen b2")
    return [left == y2 - taken, b2 == 1], [left - 2 * seen * seen + seen * seen * b2 == y2 - (taken + seen * seen)]


OFF_SPAN = (
    BILINEAR,
    smt.induction("⟨y − Σa b, w⟩ = ⟨y, w⟩", "all d, r: over orthonormal vectors", _no_vector_yet, _one_vector),
    smt.induction("|y − Σ⟨y, b⟩b|² = |y|² − Σ⟨y, b⟩²", "all d, r: over orthonormal vectors", _none_kept, _kept),
    smt.induction("|y − Σa b|² ≥ |y|² − Σ⟨y, b⟩²", "all d, r: over orthonormal vectors", _no_direction, _direction),
)
"""what orthonormal vectors leave of y, with any coefficients and with the best"""
