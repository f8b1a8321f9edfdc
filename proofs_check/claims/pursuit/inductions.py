"""What steps of pursuit do to residuals, and which rows they pick, for all sizes.

Of a support S of k rows: D = W_S^T, G = W_S W_S^T, u = D^+ w_j of a row outside it, U = |u|_1. G u = g = W_S w_j, so
that u_i = g_i - sum_{l != i} G_il u_l, |G_il| <= mu, |g_i| <= mu.
"""

from proofs_check.engines import smt, symbolic
from proofs_check.instances.inductions import BILINEAR, ENERGY, K_FORM, L1_FORM
from workbench.theory import coherence
from workbench.theory import pursuit as theory


def _row(unknowns, ops):
    """A coordinate of sum_i (h_i - a [i = j]) w_i; `own` is that of w_j once its row has come."""
    total, x, own, h, new, a, v = unknowns("total x own h new a v")
    after = {"total": total + (h - a * new) * v, "x": x + h * v, "own": own + new * v}
    return smt.Invariant([total == x - a * own], after)


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


def _more_rows(unknowns, ops):
    """sum_i b_i (Gu)_i and sum_l u_l (Gb)_l gain a row with products G_i: across = sum b_i G_i, along = sum u_i G_i."""
    left, right, across, along, b, u, g = unknowns("left right across along b u g")
    after = {"left": left + across * u + b * (along + g * u), "right": right + along * b + u * (across + g * b)}
    return smt.Invariant([left == right], after)


def _entry(unknowns, ops):
    """One more term of u_i = g_i - sum G_il u_l, `rest` the sum of the |u_l| so far."""
    u, g, rest, new, product, mu = unknowns("u g rest new product mu")
    size = ops.abs
    after = {"u": u - product * new, "rest": rest + size(new)}
    return smt.Invariant([size(u) <= size(g) + mu * rest], after, {"u": g}, [size(product) <= mu, mu >= 0])


def _term(unknowns, ops):
    """The same with the products themselves: `rest` is sum |G_il| |u_l| so far."""
    u, g, rest, new, product = unknowns("u g rest new product")
    size = ops.abs
    after = {"u": u - product * new, "rest": rest + size(product) * size(new)}
    return smt.Invariant([size(u) <= size(g) + rest], after, {"u": g})


def _sum(unknowns, ops):
    """Entries 1..i add up to P <= i mu + mu (i U - P); one more entry of size u."""
    partial, u, i, mu, total = unknowns("P u i mu U")
    given = [u >= 0, u <= mu + mu * (total - u)]
    return smt.Invariant([partial <= i * mu + mu * (i * total - partial)], {"P": partial + u, "i": i + 1}, given=given)


def _whole(unknowns, ops):
    """All k entries: P = U."""
    total, k, mu = unknowns("U k mu")
    given = [total <= k * mu + mu * (k * total - total), k >= 1, mu >= 0, (k - 1) * mu < 1]
    return given, [total <= theory.outside_share((k - 1) * mu, k * mu)]


def _by_columns(unknowns, ops):
    """sum_i sum_{l != i} |G_il| |u_l| by rows and by columns; one more entry of size u, sums of its |G| in both."""
    rows, columns, own, others, u = unknowns("rows columns own others u")
    after = {"rows": rows + own * u + others, "columns": columns + others + u * own}
    return smt.Invariant([rows == columns], after)


def _column(unknowns, ops):
    """Columns sum to mu_1(k - 1) at most."""
    total, share, u, column, before = unknowns("total share u column before")
    after = {"total": total + u * column, "share": share + u}
    return smt.Invariant([total <= before * share], after, given=[u >= 0, column <= before])


def _by_sums(unknowns, ops):
    """U <= sum |g_i| + sum of columns, sum |g_i| <= mu_1(k)."""
    total, own, columns, before, full = unknowns("U own columns before full")
    given = [total <= own + columns, own <= full, columns <= before * total, before < 1]
    return given, [total <= theory.outside_share(before, full)]


def _flat(unknowns, ops):
    before, full, k, mu = unknowns("before full k mu")
    given = [before <= (k - 1) * mu, full <= k * mu, full >= 0, k >= 1, mu >= 0, (k - 1) * mu < 1]
    return given, [theory.outside_share(before, full) <= theory.outside_share((k - 1) * mu, k * mu)]


def _size(unknowns, ops):
    total, count, g, mu = unknowns("total count g mu")
    after = {"total": total + ops.abs(g), "count": count + 1}
    return smt.Invariant([total <= count * mu], after, given=[ops.abs(g) <= mu])


def _hoelder(unknowns, ops):
    total, share, u, c, best = unknowns("total share u c best")
    size = ops.abs
    after = {"total": total + u * c, "share": share + size(u)}
    return smt.Invariant([size(total) <= share * best], after, given=[size(c) <= best])


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


def _outside(unknowns, ops):
    """The coefficient b of any row outside S, 0 so far; the pick has |c| >= best, that of the best row of S."""
    b, c, best, share, picked = unknowns("b c best share picked")
    given = [ops.abs(c) >= best, best >= 0, share >= 0, share < 1]
    given += [ops.where(picked == 1, ops.abs(c), 0) <= share * best]
    return smt.Invariant([b == 0], {"b": b - ops.where(picked == 1, c, 0)}, given=given)


def _ahead(unknowns, ops):
    """Outside |c_j| <= share max |c_S| < max |c_S|; max |c_S| > 0 as |r|² = sum b_i c_i <= |b|_1 max |c_S|."""
    out, best, share, r2, energy, l1 = unknowns("out best share r2 energy l1")
    given = [out <= share * best, share < 1, best >= 0, l1 >= 0, r2 > 0, energy == r2, ops.abs(energy) <= l1 * best]
    return given, [out < best, best > 0]


def _next_pick(unknowns, ops):
    """So far no pick outside S and all distinct; `again` is 1 at an old pick, where least squares leave c = 0."""
    picks, outside, distinct = unknowns("picks outside distinct")
    c, best, out, off, again = unknowns("c best out off again")
    given = [c >= best, out < best, best > 0, (off == 0) | (off == 1), (off == 0) | (c <= out)]
    given += [(again == 0) | (again == 1), (again == 0) | (c == 0)]
    after = {"outside": outside + off, "distinct": distinct + 1 - again, "picks": picks + 1}
    return smt.Invariant([outside == 0, distinct == picks], after, given=given)


def _updated(unknowns, ops):
    """<w_j, sum_i b_i w_i> = sum_i b_i G_ij, from the row picked, of which a is taken."""
    c, left, a, g, b, product = unknowns("c left a g b product")
    after, start = {"c": c + b * product, "left": left + b * product}, {"c": b * g, "left": (b - a) * g}
    return smt.Invariant([theory.correlation_after(c, a, g) == left], after, start)


def _one_code(unknowns, ops):
    """Least squares on all of S leave no more than h does, which is nothing; so b = f - h has |bW_S|² = N + q = 0."""
    left, n2, q, mu, k = unknowns("left n2 q mu k")
    given = [left >= 0, left <= 0, n2 + q == left, n2 >= 0, k >= 1, mu >= 0, (k - 1) * mu < 1]
    return [*given, ops.abs(q) <= coherence.norm_gap(n2, mu, k)], [n2 == 0]


ENTRIES = "all k: induction over entries"
SPAN = smt.induction("hW − a w_j = (h − a e_j)W", "all m, d: induction over rows", _row)
LEAST_SQUARES = smt.implies("what least squares leave is at right angles to picks", "all picks, d", _no_shorter)
GROWN = symbolic.identity("bᵀGu grows by one row's share", "k = 1..4", _grown)
TRANSPOSED = smt.induction("⟨w_j, Db⟩ = ⟨W_S⁺w_j, W_S Db⟩", "all k: induction over rows", _more_rows)
HOELDER = smt.induction("|⟨u, c⟩| ≤ |u|₁ max|c|", ENTRIES, _hoelder)
SHARE = (
    smt.induction("|u_i| ≤ |g_i| + μ Σ_{l≠i}|u_l|", ENTRIES, _entry),
    smt.induction("the entries' sum", ENTRIES, _sum),
    smt.implies("|u|₁ ≤ kμ/(1 − (k − 1)μ)", "all k", _whole),
)
COLUMNS = (
    smt.induction("|u_i| ≤ |g_i| + Σ_{l≠i}|G_il||u_l|", ENTRIES, _term),
    smt.induction("Σ_i Σ_{l≠i}|G_il||u_l| by columns", ENTRIES, _by_columns),
    smt.induction("Σ_l |u_l| Σ_{i≠l}|G_il| ≤ μ₁(k − 1)|u|₁", ENTRIES, _column),
    smt.implies("|u|₁ ≤ μ₁(k)/(1 − μ₁(k − 1))", "all k", _by_sums),
)
FLAT = (
    smt.induction("r sizes of μ at most sum to rμ at most", "all r: induction", _size),
    smt.implies("μ₁(k)/(1 − μ₁(k − 1)) ≤ kμ/(1 − (k − 1)μ)", "all k", _flat),
)
BABEL = tuple(
    smt.implies("the shipped μ₁ is the largest sum", f"μ₁({r}) of four rows", _largest, count=r) for r in (1, 2, 3)
)
BOUND = smt.implies("share < 1 just where k < (1 + 1/μ)/2, just where (2k − 1)μ < 1", "all real k ≥ 1, μ > 0", _bound)
PICKS = (TRANSPOSED, HOELDER, *SHARE, BOUND)
"""no row outside S correlates with a residual in span S as much as the best row of S"""
INSIDE = smt.induction("coefficients of rows outside S stay 0", "all steps: induction", _outside)
PICKED = smt.induction("each pick is a new row of S", "all steps: induction", _next_pick)
"""where the best row of S is ahead of all outside, and has c above 0"""
NEW_PICK = (BILINEAR, HOELDER, smt.implies("rows of S are ahead until r = 0", "all k, d", _ahead), PICKED)
"""<sum b_i w_i, r> = sum b_i c_i by the first, row by row"""
UPDATED = smt.induction("c of r − aw by the shipped update", "all k: induction over rows", _updated)
ONE_CODE = (*ENERGY, *L1_FORM, *K_FORM, smt.implies("all of S picked, the code is h", "all k", _one_code))
