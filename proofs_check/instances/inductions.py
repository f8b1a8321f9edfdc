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


def _first_entry(unknowns, ops):
    a, b = unknowns("a b")
    return [], [(a * b) ** 2 <= (a * a) * (b * b)]


def _next_entry(unknowns, ops):
    s, x2, y2, a, b = unknowns("s x2 y2 a b")
    return [s * s <= x2 * y2, x2 >= 0, y2 >= 0], [(s + a * b) ** 2 <= (x2 + a * a) * (y2 + b * b)]


INNER_PRODUCT = smt.induction("⟨x, y⟩² ≤ |x|²|y|²", "all d: induction over entries", _first_entry, _next_entry)
