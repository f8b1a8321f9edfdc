"""Inductions over the rows of a mixture that several claims rest on, for all reals.

A step adds one row with coefficient t whose products with the rows so far are G_i, |G_i| <= mu; g = sum_i h_i G_i. It
starts at one row h_1. That the shipped sums grow by `pair(t, g)` is `UNROLL`.
"""

import functools
import itertools
import operator

from proofs_check.engines import smt, symbolic
from workbench.theory import coherence, signed


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


def _product(unknowns, ops):
    g, l1, t, product, mu = unknowns("g l1 t product mu")
    size = ops.abs
    after = {"g": g + t * product, "l1": l1 + size(t)}
    return smt.Invariant([size(g) <= mu * l1], after, given=[size(product) <= mu])


def _l1_form(unknowns, ops):
    q, g, l1, h2, t, mu = unknowns("q g l1 h2 t mu")
    size = ops.abs
    says = [size(q) <= coherence.l1_gap(l1, h2, mu), l1 >= 0]
    start = {"q": coherence.interference([t], [[1]]), "l1": size(t), "h2": t * t}
    after = {"q": q + pair(t, g), "l1": l1 + size(t), "h2": h2 + t * t}
    return smt.Invariant(says, after, start, [size(g) <= mu * l1, mu >= 0])


def _cauchy_schwarz(unknowns, ops):
    l1, h2, k, t = unknowns("l1 h2 k t")
    after = {"l1": l1 + ops.abs(t), "h2": h2 + t * t, "k": k + 1}
    start = {"l1": ops.abs(t), "h2": t * t, "k": 1}
    return smt.Invariant([l1 * l1 <= k * h2, k >= 1], after, start)


def _k_form(unknowns, ops):
    l1, h2, k, n, mu, eps = unknowns("l1 h2 k n mu eps")
    given = [l1 * l1 <= k * h2, h2 >= 0, k >= 1, k <= n, mu >= 0, mu <= eps]
    form = coherence.norm_gap(h2, mu, k)
    return given, [coherence.l1_gap(l1, h2, mu) <= form, form <= coherence.norm_gap(h2, eps, n)]


OVER_ROWS = "all k: induction over rows"
UNROLL = symbolic.identity("the shipped sums grow by one row's share", "k = 1..4", _unroll)
L1_FORM = (
    smt.induction("|Σ h_i G_i| ≤ μL", OVER_ROWS, _product),
    smt.induction("|q| ≤ μ(L² − N)", OVER_ROWS, _l1_form),
)
CAUCHY_SCHWARZ = smt.induction("L² ≤ kN", OVER_ROWS, _cauchy_schwarz)
K_FORM = (
    CAUCHY_SCHWARZ,
    smt.implies("μ(L² − N) ≤ μ(k − 1)N ≤ ε(n − 1)N", "all k ≤ n: from L² ≤ kN", _k_form),
)


def _coordinate(unknowns, ops):
    """Sums over the coordinates so far, and one more coordinate."""
    both, xy, vy, xv, v2, t, s, x, y, v = unknowns("both xy vy xv v2 t s x y v")
    after = {"both": both + (x + t * v) * (y + s * v), "xy": xy + x * y, "vy": vy + v * y, "xv": xv + x * v}
    return smt.Invariant([both == xy + t * vy + s * xv + t * s * v2], {**after, "v2": v2 + v * v})


def _square(unknowns, ops):
    product, x2, y2, x, y = unknowns("product x2 y2 x y")
    after = {"product": product + x * y, "x2": x2 + x * x, "y2": y2 + y * y}
    return smt.Invariant([product * product <= x2 * y2, x2 >= 0, y2 >= 0], after)


def _vector(unknowns, ops):
    """|A + b|² = |A|² + 2<A, b> + |b|², and the product is at most |A||b| in size."""
    length, most, size, share, product, longer = unknowns("length most size share product longer")
    given = [size >= 0, longer >= 0, size <= share, product * product <= (length * length) * (size * size)]
    given += [longer * longer == length * length + 2 * product + size * size]
    after = {"length": longer, "most": most + share}
    return smt.Invariant([length >= 0, length <= most], after, given=given)


def _row_energy(unknowns, ops):
    """One more row: |hV + tv|² by products, with <hV, v> = g and |v| = 1."""
    energy, h2, q, g, t, v2 = unknowns("energy h2 q g t v2")
    after = {"energy": energy + 2 * t * g + t * t * v2, "h2": h2 + t * t, "q": q + pair(t, g)}
    start = {"energy": t * t * v2, "h2": t * t, "q": coherence.interference([t], [[1]])}
    return smt.Invariant([energy == h2 + q], after, start, [v2 == 1])


OVER_COORDINATES = "all d: induction over coordinates"
BILINEAR = smt.induction("⟨x + tv, y + sv⟩ = ⟨x, y⟩ + t⟨v, y⟩ + s⟨x, v⟩ + ts|v|²", OVER_COORDINATES, _coordinate)
"""with s = 0 products are linear; with y = x and s = t it is |x + tv|²"""
PRODUCTS = smt.induction("⟨x, y⟩² ≤ |x|²|y|²", OVER_COORDINATES, _square)
TRIANGLE = smt.induction("|Σ a| ≤ Σ b for |a| ≤ b", "all numbers of vectors: induction", _vector)
ENERGY = (BILINEAR, smt.induction("|hV|² = N + q for unit rows", OVER_ROWS, _row_energy))
"""<hV, v> = sum_i h_i <v_i, v> by the first, row by row"""


def _one_vector(unknowns, ops):
    """Orthonormal vectors: what is left of y has with a later one the product that y has, <r - a b, w> = <r, w>."""
    product, seen, a, overlap = unknowns("product seen a overlap")
    return smt.Invariant([product == seen], {"product": product - a * overlap}, {"product": seen}, [overlap == 0])


def _direction(unknowns, ops):
    """|r - a b|² = |r|² - 2 a <r, b> + a² for unit b, <r, b> = <y, b>: at least |r|² less that square."""
    left, y2, taken, a, seen, b2 = unknowns("left y2 taken a seen b2")
    after = {"left": left - 2 * a * seen + a * a * b2, "taken": taken + seen * seen}
    return smt.Invariant([left >= y2 - taken], after, {"left": y2}, [b2 == 1])


def _kept(unknowns, ops):
    """With a = <y, b> it is just that."""
    left, y2, taken, seen, b2 = unknowns("left y2 taken seen b2")
    after = {"left": left - 2 * seen * seen + seen * seen * b2, "taken": taken + seen * seen}
    return smt.Invariant([left == y2 - taken], after, {"left": y2}, [b2 == 1])


OFF_SPAN = (
    BILINEAR,
    smt.induction("⟨y − Σa b, w⟩ = ⟨y, w⟩", "all d, r: over orthonormal vectors", _one_vector),
    smt.induction("|y − Σ⟨y, b⟩b|² = |y|² − Σ⟨y, b⟩²", "all d, r: over orthonormal vectors", _kept),
    smt.induction("|y − Σa b|² ≥ |y|² − Σ⟨y, b⟩²", "all d, r: over orthonormal vectors", _direction),
)
"""what orthonormal vectors leave of y, with any coefficients and with the best"""


def ahead(other, value, ops):
    """1 where `other` comes before `value` by the shipped rule, else 0: at an earlier place, and at a later one."""
    earlier, later = signed.gradient_mask([other, value], 1, ops=ops), signed.gradient_mask([value, other], 1, ops=ops)
    return 1 - earlier[1], 1 - later[0]


def some(cases):
    """That one of some comparisons holds."""
    return functools.reduce(operator.or_, cases)


def same_rank(shows, scope, pairs, *, anywhere=False):
    """As many entries come before one entry as before another one: `pairs` gives conditions, and two pairs to compare.

    A pair is any other entry and the entry itself; `anywhere` lets it stand at another place in the second.
    """

    def problem(unknowns, ops):
        given, one, two = pairs(unknowns, ops)
        counts = ahead(*one, ops=ops), ahead(*two, ops=ops)
        rank, same, a, b = unknowns("rank same a b")
        places = itertools.product(*counts) if anywhere else zip(*counts, strict=True)
        given = [*given, some((a == x) & (b == y) for x, y in places)]
        return smt.Invariant([rank == same], {"rank": rank + a, "same": same + b}, given=given)

    return smt.induction(shows, scope, problem)


def _ahead(unknowns, ops):
    """Of an entry of S: what comes before it is of S."""
    t, v, on, rank, seen, count = unknowns("t v on rank seen count")
    given = [(on == 0) | (on == 1), (on == 1) | (ops.abs(t) < ops.abs(v)), some(count == x for x in ahead(t, v, ops))]
    return smt.Invariant([rank <= seen], {"rank": rank + count, "seen": seen + on}, given=given)


def _behind(unknowns, ops):
    """Of an entry off S: all of S comes before it."""
    t, v, on, rank, seen, count = unknowns("t v on rank seen count")
    given = [(on == 0) | (on == 1), (on == 0) | (ops.abs(t) > ops.abs(v)), some(count == x for x in ahead(t, v, ops))]
    return smt.Invariant([rank >= seen], {"rank": rank + count, "seen": seen + on}, given=given)


def _read(unknowns, ops):
    """The k entries of S have k - 1 others of S, those off S have k."""
    inside, outside, k = unknowns("inside outside k")
    return [inside <= k - 1, outside >= k], [inside < k, ops.where(outside < k, 1, 0) == 0]


def _overtaken(unknowns, ops):
    """No more entries come before a larger entry than before a smaller one, and itself comes before that."""
    t, small, large, rank, more, a, b = unknowns("t small large rank more a b")
    pairs = [(a == x) & (b == y) for x in ahead(t, large, ops) for y in ahead(t, small, ops)]
    own = [count == 1 for count in ahead(large, small, ops)] + [count == 0 for count in ahead(small, large, ops)]
    given = [ops.abs(large) > ops.abs(small), some(pairs)]
    return smt.Invariant([rank <= more], {"rank": rank + a, "more": more + b}, given=given, also=own)


OVER_ENTRIES = "all m, k: induction over entries"
TOP = (
    smt.induction("where all of S are larger, what comes before an entry of S is of S", OVER_ENTRIES, _ahead),
    smt.induction("where all of S are larger, S comes before every other entry", OVER_ENTRIES, _behind),
    smt.implies("so the k largest are S", "all m, k", _read),
)
OVERTAKEN = smt.induction("who is larger comes before", OVER_ENTRIES, _overtaken)
"""so that the k largest are S only where none outside is larger than one of S"""


def _step(unknowns, ops):
    """One coordinate more: capitals are inner products of the coordinates so far."""
    x, y, v, a, b = unknowns("x y v a b")
    total, xy, xv, yv, vv = unknowns("total XY XV YV VV")
    after = {"total": total + (x - a * v) * (y - b * v), "XY": xy + x * y, "XV": xv + x * v, "YV": yv + y * v}
    return smt.Invariant([total == xy - b * xv - a * yv + a * b * vv], {**after, "VV": vv + v * v})


STEPPED = smt.induction("⟨x − av, y − bv⟩ by inner products", "all d: induction over coordinates", _step)
