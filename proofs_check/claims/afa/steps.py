"""Inductions over the rows of a mixture that several claims rest on; each step is checked for all reals.

A step adds one row with coefficient t whose products with the rows so far are G_i, |G_i| <= mu; g = sum_i h_i G_i.
"""

from proofs_check.engines import smt
from workbench.theory import coherence


def pair(t, g):
    """What interference gains from a row with coefficient t and <hV, v> = g, by the shipped sum."""
    return coherence.interference([1, t], [[0, g], [g, 0]])


def _product(unknowns, ops):
    g, l1, t, product, mu = unknowns("g l1 t product mu")
    size = ops.absolute
    return [size(g) <= mu * l1, size(product) <= mu], [size(g + t * product) <= mu * (l1 + size(t))]


def _l1_form(unknowns, ops):
    q, g, l1, h2, t, mu = unknowns("q g l1 h2 t mu")
    size = ops.absolute
    given = [size(q) <= coherence.l1_gap(l1, h2, mu), size(g) <= mu * l1, mu >= 0, l1 >= 0]
    return given, [size(q + pair(t, g)) <= coherence.l1_gap(l1 + size(t), h2 + t * t, mu)]


def _cauchy_schwarz(unknowns, ops):
    l1, h2, k, t = unknowns("l1 h2 k t")
    return [l1 * l1 <= k * h2, k >= 1], [(l1 + ops.absolute(t)) ** 2 <= (k + 1) * (h2 + t * t)]


def _k_form(unknowns, ops):
    l1, h2, k, n, mu, eps = unknowns("l1 h2 k n mu eps")
    given = [l1 * l1 <= k * h2, h2 >= 0, k >= 1, k <= n, mu >= 0, mu <= eps]
    form = coherence.norm_gap(h2, mu, k)
    return given, [coherence.l1_gap(l1, h2, mu) <= form, form <= coherence.norm_gap(h2, eps, n)]


L1_FORM = (
    smt.implies("|Σ h_i G_i| ≤ μL keeps on adding a row", "all k: induction over rows", _product),
    smt.implies("|q| ≤ μ(L² − N) keeps on adding a row", "all k: induction over rows", _l1_form),
)
CAUCHY_SCHWARZ = smt.implies("L² ≤ kN keeps on adding a row", "all k: induction over rows", _cauchy_schwarz)
K_FORM = (
    CAUCHY_SCHWARZ,
    smt.implies("μ(L² − N) ≤ μ(k − 1)N ≤ ε(n − 1)N", "all k ≤ n: from L² ≤ kN", _k_form),
)
