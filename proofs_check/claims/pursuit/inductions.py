"""The share |u|_1, G_S u = g, that the correlations of rows outside a support have in those inside, for all k.

Entry by entry u_i = g_i - sum_{l != i} G_il u_l, with |G_il| <= mu and |g_i| <= mu; U = |u|_1.
"""

from proofs_check.engines import smt, symbolic
from workbench.theory import pursuit as theory


def _first_entry(unknowns, ops):
    g, mu = unknowns("g mu")
    return [ops.abs(g) <= mu], [ops.abs(g) <= ops.abs(g) + mu * 0]


def _entry(unknowns, ops):
    """One more term of u_i = g_i - sum G_il u_l, `rest` the sum of the |u_l| so far."""
    u, g, rest, new, product, mu = unknowns("u g rest new product mu")
    size = ops.abs
    given = [size(u) <= size(g) + mu * rest, size(product) <= mu, mu >= 0]
    return given, [size(u - product * new) <= size(g) + mu * (rest + size(new))]


def _first_sum(unknowns, ops):
    u, mu, total = unknowns("u mu U")
    return [u >= 0, u <= mu + mu * (total - u)], [u <= 1 * mu + mu * (1 * total - u)]


def _sum(unknowns, ops):
    """Entries 1..i add up to P <= i mu + mu (i U - P); one more entry of size u."""
    partial, u, i, mu, total = unknowns("P u i mu U")
    given = [partial <= i * mu + mu * (i * total - partial), u >= 0, u <= mu + mu * (total - u)]
    return given, [partial + u <= (i + 1) * mu + mu * ((i + 1) * total - (partial + u))]


def _whole(unknowns, ops):
    """All k entries: P = U."""
    total, k, mu = unknowns("U k mu")
    given = [total <= k * mu + mu * (k * total - total), k >= 1, mu >= 0, (k - 1) * mu < 1]
    return given, [total <= theory.outside_share((k - 1) * mu, k * mu)]


def _by_sums(unknowns, ops):
    """The same from sums of columns: U <= mu_1(k) + mu_1(k - 1) U, mu_1(r) <= r mu."""
    total, before, full, k, mu = unknowns("U before full k mu")
    given = [total >= 0, total <= full + before * total, before >= 0, before <= (k - 1) * mu, full <= k * mu]
    share = theory.outside_share(before, full)
    given += [k >= 1, mu >= 0, (k - 1) * mu < 1]
    return given, [total <= share, share <= theory.outside_share((k - 1) * mu, k * mu)]


def _hoelder_first(unknowns, ops):
    u, c, best = unknowns("u c best")
    return [ops.abs(c) <= best], [ops.abs(u * c) <= ops.abs(u) * best]


def _hoelder(unknowns, ops):
    total, share, u, c, best = unknowns("total share u c best")
    size = ops.abs
    return [size(total) <= share * best, size(c) <= best], [size(total + u * c) <= (share + size(u)) * best]


def _largest(unknowns, ops, count):
    """The shipped sum is at least the sum of any `count` off-diagonal sizes of its first row."""
    row = [1, *unknowns("a b c")]
    found = theory.cumulative_coherence([row], count, ops=ops)
    sizes = [ops.abs(g) for g in row[1:]]
    pairs = [sizes[0] + sizes[1], sizes[0] + sizes[2], sizes[1] + sizes[2]]
    each = {1: sizes, 2: pairs, 3: [sum(sizes[1:], sizes[0])]}[count]
    met = each[0] == found
    for total in each[1:]:
        met = ops.where(met, 1, ops.where(total == found, 1, 0)) == 1
    return [], [*(total <= found for total in each), met]


def _transposed(symbols, ops):
    """<w_j, D b> = <u, D^T D b> with u = D^+ w_j, whose normal equations are G u = D^T w_j, G symmetric."""
    for k in (1, 2, 3, 4):
        u, b = symbols(f"u:{k}"), symbols(f"b:{k}")
        g = [[symbols(f"g{min(i, j)}{max(i, j)}") for j in range(k)] for i in range(k)]
        outside, inside = ([sum(p * v for p, v in zip(row, values, strict=True)) for row in g] for values in (u, b))
        yield sum(p * v for p, v in zip(outside, b, strict=True)), sum(p * v for p, v in zip(u, inside, strict=True))


def _new_pick(unknowns, ops):
    """Outside |c_j| <= share max |c_S| < max |c_S|: the pick is in S; picked rows have c = 0, so it is a new one."""
    out, best, share, old = unknowns("out best share old")
    return [out <= share * best, share < 1, best > 0, old == 0], [out < best, old < best]


ENTRIES = "all k: induction over entries"
TRANSPOSED = symbolic.identity("⟨w_j, Db⟩ = ⟨W_S⁺w_j, W_S Db⟩", "k = 1..4; in general G is symmetric", _transposed)
HOELDER = smt.induction("|⟨u, c⟩| ≤ |u|₁ max|c|", ENTRIES, _hoelder_first, _hoelder)
NEW_PICK = smt.implies("each pick is a new row of S", "all steps: induction", _new_pick)
SHARES = (
    HOELDER,
    smt.induction("|u_i| ≤ |g_i| + μ Σ_{l≠i}|u_l|", ENTRIES, _first_entry, _entry),
    smt.induction("the entries' sum", ENTRIES, _first_sum, _sum),
    smt.implies("|u|₁ ≤ kμ/(1 − (k − 1)μ)", "all k", _whole),
    smt.implies("|u|₁ ≤ μ₁(k)/(1 − μ₁(k − 1)) ≤ the same of μ", "all k: from sums of columns", _by_sums),
    *(smt.implies("the shipped μ₁ is the largest sum", f"μ₁({r}) of four rows", _largest, count=r) for r in (1, 2, 3)),
)
