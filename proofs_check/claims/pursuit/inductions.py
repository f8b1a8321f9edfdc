"""What steps of pursuit do to residuals, and which rows they pick, for all sizes.

Of a support S of k rows: D = W_S^T, G = W_S W_S^T, u = D^+ w_j of a row outside it, U = |u|_1. G u = g = W_S w_j, so
that u_i = g_i - sum_{l != i} G_il u_l, |G_il| <= mu, |g_i| <= mu.
"""

from proofs_check.engines import smt, symbolic
from proofs_check.instances.inductions import BILINEAR, ENERGY, K_FORM, L1_FORM
from workbench.theory import coherence
from workbench.theory import pursuit as theory


def _first_row(unknowns, ops):
    h, new, a, v = unknowns("h new a v")
    return [], [(h - a * new) * v == h * v - a * (new * v)]


def _row(unknowns, ops):
    """A coordinate of sum_i (h_i - a [i = j]) w_i; `own` is that of w_j once its row has come."""
    total, x, own, h, new, a, v = unknowns("total x own h new a v")
    return [total == x - a * own], [total + (h - a * new) * v == (x + h * v) - a * (own + new * v)]


def _no_shorter(unknowns, ops):
    """Least squares: no multiple t of a row picked, |p|² > 0, shortens the residual; nor does t = <p, r> / |p|²."""
    r2, c, p2, t = unknowns("r2 c p2 t")
    return [p2 > 0, t == c / p2, r2 - 2 * t * c + t * t * p2 >= r2], [c == 0]


def _grown(symbols, ops):
    """What b^T (G u) gains from one more row."""
    for k in (1, 2, 3, 4):
        b, u = symbols(f"b:{k}"), symbols(f"u:{k}")
        g = [[symbols(f"g{min(i, j)}{max(i, j)}") for j in range(k)] for i in range(k)]

        def by_rows(n, b=b, u=u, g=g):
            return sum(b[i] * sum(g[i][j] * u[j] for j in range(n)) for i in range(n))

        new, old = k - 1, range(k - 1)
        across, along = sum(b[i] * g[i][new] for i in old), sum(g[new][j] * u[j] for j in old)
        yield by_rows(k) - by_rows(new), across * u[new] + b[new] * (along + g[new][new] * u[new])


def _one_row(unknowns, ops):
    b, u, g = unknowns("b u g")
    return [], [b * (g * u) == u * (g * b)]


def _more_rows(unknowns, ops):
    """sum_i b_i (Gu)_i and sum_l u_l (Gb)_l gain a row with products G_i: across = sum b_i G_i, along = sum u_i G_i."""
    left, right, across, along, b, u, g = unknowns("left right across along b u g")
    gains = across * u + b * (along + g * u), along * b + u * (across + g * b)
    return [left == right], [left + gains[0] == right + gains[1]]


def _first_entry(unknowns, ops):
    g, mu = unknowns("g mu")
    return [ops.abs(g) <= mu], [ops.abs(g) <= ops.abs(g) + mu * 0]


def _entry(unknowns, ops):
    """One more term of u_i = g_i - sum G_il u_l, `rest` the sum of the |u_l| so far."""
    u, g, rest, new, product, mu = unknowns("u g rest new product mu")
    size = ops.abs
    given = [size(u) <= size(g) + mu * rest, size(product) <= mu, mu >= 0]
    return given, [size(u - product * new) <= size(g) + mu * (rest + size(new))]


def _first_term(unknowns, ops):
    g = unknowns("g")
    return [], [ops.abs(g) <= ops.abs(g) + 0]


def _term(unknowns, ops):
    """The same with the products themselves: `rest` is sum |G_il| |u_l| so far."""
    u, g, rest, new, product = unknowns("u g rest new product")
    size = ops.abs
    return [size(u) <= size(g) + rest], [size(u - product * new) <= size(g) + (rest + size(product) * size(new))]


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


def _one_pair(unknowns, ops):
    u, v, g = unknowns("u v g")
    return [], [u * (g * v) + v * (g * u) == v * (g * u) + u * (g * v)]


def _by_columns(unknowns, ops):
    """sum_i sum_{l != i} |G_il| |u_l| by rows and by columns; one more entry of size u, sums of its |G| in both."""
    rows, columns, own, others, u = unknowns("rows columns own others u")
    return [rows == columns], [rows + own * u + others == columns + others + u * own]


def _first_column(unknowns, ops):
    u, column, before = unknowns("u column before")
    return [u >= 0, column <= before], [u * column <= before * u]


def _column(unknowns, ops):
    """Columns sum to mu_1(k - 1) at most."""
    total, share, u, column, before = unknowns("total share u column before")
    return [total <= before * share, u >= 0, column <= before], [total + u * column <= before * (share + u)]


def _by_sums(unknowns, ops):
    """U <= sum |g_i| + sum of columns, sum |g_i| <= mu_1(k)."""
    total, own, columns, before, full = unknowns("U own columns before full")
    given = [total <= own + columns, own <= full, columns <= before * total, before < 1]
    return given, [total <= theory.outside_share(before, full)]


def _flat(unknowns, ops):
    before, full, k, mu = unknowns("before full k mu")
    given = [before <= (k - 1) * mu, full <= k * mu, full >= 0, k >= 1, mu >= 0, (k - 1) * mu < 1]
    return given, [theory.outside_share(before, full) <= theory.outside_share((k - 1) * mu, k * mu)]


def _first_size(unknowns, ops):
    g, mu = unknowns("g mu")
    return [ops.abs(g) <= mu], [ops.abs(g) <= 1 * mu]


def _size(unknowns, ops):
    total, count, g, mu = unknowns("total count g mu")
    return [total <= count * mu, ops.abs(g) <= mu], [total + ops.abs(g) <= (count + 1) * mu]


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


def _bound(unknowns, ops):
    """The share is below 1 just where k is below the bound, and where (2k - 1) mu < 1."""
    k, mu = unknowns("k mu")
    share = theory.outside_share((k - 1) * mu, k * mu)
    small, below = ops.where(share < 1, 1, 0), ops.where((2 * k - 1) * mu < 1, 1, 0)
    given = [k >= 1, mu > 0, (k - 1) * mu < 1]
    return given, [small == ops.where(k < theory.largest_support(mu, ops=ops), 1, 0), small == below]


def _start(unknowns, ops):
    b, h = unknowns("b h")
    return [b == h, h == 0], [b == 0]


def _outside(unknowns, ops):
    """The coefficient b of any row outside S, 0 so far; the pick has |c| >= best, that of the best row of S."""
    b, c, best, share, picked = unknowns("b c best share picked")
    given = [b == 0, ops.abs(c) >= best, best >= 0, share >= 0, share < 1]
    given += [ops.where(picked == 1, ops.abs(c), 0) <= share * best]
    return given, [b - ops.where(picked == 1, c, 0) == 0]


def _ahead(unknowns, ops):
    """Outside |c_j| <= share max |c_S| < max |c_S|; max |c_S| > 0 as |r|² = sum b_i c_i <= |b|_1 max |c_S|."""
    out, best, share, r2, energy, l1 = unknowns("out best share r2 energy l1")
    given = [out <= share * best, share < 1, best >= 0, l1 >= 0, r2 > 0, energy == r2, ops.abs(energy) <= l1 * best]
    return given, [out < best, best > 0]


def _first_pick(unknowns, ops):
    """Of a pick: its size c is that of the best row of S at least, and `off` is 1 where it is outside."""
    c, best, out, off = unknowns("c best out off")
    return [c >= best, out < best, (off == 0) | (off == 1), (off == 0) | (c <= out)], [off == 0]


def _next_pick(unknowns, ops):
    """So far no pick outside S and all distinct; `again` is 1 at an old pick, where least squares leave c = 0."""
    picks, outside, distinct = unknowns("picks outside distinct")
    c, best, out, off, again = unknowns("c best out off again")
    given = [outside == 0, distinct == picks, c >= best, out < best, best > 0]
    given += [(off == 0) | (off == 1), (off == 0) | (c <= out), (again == 0) | (again == 1), (again == 0) | (c == 0)]
    return given, [outside + off == 0, distinct + 1 - again == picks + 1]


def _first_updated(unknowns, ops):
    """<w_j, sum_i b_i w_i> = sum_i b_i G_ij, starting at the row picked, of which a is taken."""
    b, a, g = unknowns("b a g")
    return [], [theory.correlation_after(b * g, a, g) == (b - a) * g]


def _updated(unknowns, ops):
    """One more row of the sum, with coefficient b: what the shipped update leaves is <w_j, r> of the new residual."""
    c, left, a, g, b, product = unknowns("c left a g b product")
    return [theory.correlation_after(c, a, g) == left], [
        theory.correlation_after(c + b * product, a, g) == left + b * product
    ]


def _one_code(unknowns, ops):
    """Least squares on all of S leave no more than h does, which is nothing; so b = f - h has |bW_S|² = N + q = 0."""
    left, n2, q, mu, k = unknowns("left n2 q mu k")
    given = [left >= 0, left <= 0, n2 + q == left, n2 >= 0, k >= 1, mu >= 0, (k - 1) * mu < 1]
    return [*given, ops.abs(q) <= coherence.norm_gap(n2, mu, k)], [n2 == 0]


ENTRIES = "all k: induction over entries"
SPAN = smt.induction("hW − a w_j = (h − a e_j)W", "all m, d: induction over rows", _first_row, _row)
LEAST_SQUARES = smt.implies("what least squares leave is at right angles to picks", "all picks, d", _no_shorter)
GROWN = symbolic.identity("bᵀGu grows by one row's share", "k = 1..4", _grown)
TRANSPOSED = smt.induction("⟨w_j, Db⟩ = ⟨W_S⁺w_j, W_S Db⟩", "all k: induction over rows", _one_row, _more_rows)
HOELDER = smt.induction("|⟨u, c⟩| ≤ |u|₁ max|c|", ENTRIES, _hoelder_first, _hoelder)
SHARE = (
    smt.induction("|u_i| ≤ |g_i| + μ Σ_{l≠i}|u_l|", ENTRIES, _first_entry, _entry),
    smt.induction("the entries' sum", ENTRIES, _first_sum, _sum),
    smt.implies("|u|₁ ≤ kμ/(1 − (k − 1)μ)", "all k", _whole),
)
COLUMNS = (
    smt.induction("|u_i| ≤ |g_i| + Σ_{l≠i}|G_il||u_l|", ENTRIES, _first_term, _term),
    smt.induction("Σ_i Σ_{l≠i}|G_il||u_l| by columns", ENTRIES, _one_pair, _by_columns),
    smt.induction("Σ_l |u_l| Σ_{i≠l}|G_il| ≤ μ₁(k − 1)|u|₁", ENTRIES, _first_column, _column),
    smt.implies("|u|₁ ≤ μ₁(k)/(1 − μ₁(k − 1))", "all k", _by_sums),
)
FLAT = (
    smt.induction("r sizes of μ at most sum to rμ at most", "all r: induction", _first_size, _size),
    smt.implies("μ₁(k)/(1 − μ₁(k − 1)) ≤ kμ/(1 − (k − 1)μ)", "all k", _flat),
)
BABEL = tuple(
    smt.implies("the shipped μ₁ is the largest sum", f"μ₁({r}) of four rows", _largest, count=r) for r in (1, 2, 3)
)
BOUND = smt.implies("share < 1 just where k < (1 + 1/μ)/2, just where (2k − 1)μ < 1", "all real k ≥ 1, μ > 0", _bound)
PICKS = (TRANSPOSED, HOELDER, *SHARE, BOUND)
"""no row outside S correlates with a residual in span S as much as the best row of S"""
INSIDE = smt.induction("coefficients of rows outside S stay 0", "all steps: induction", _start, _outside)
PICKED = smt.induction("each pick is a new row of S", "all steps: induction", _first_pick, _next_pick)
"""where the best row of S is ahead of all outside, and has c above 0"""
NEW_PICK = (BILINEAR, HOELDER, smt.implies("rows of S are ahead until r = 0", "all k, d", _ahead), PICKED)
"""<sum b_i w_i, r> = sum b_i c_i by the first, row by row"""
UPDATED = smt.induction("c of r − aw by the shipped update", "all k: induction over rows", _first_updated, _updated)
ONE_CODE = (*ENERGY, *L1_FORM, *K_FORM, smt.implies("all of S picked, the code is h", "all k", _one_code))
