"""Exact evaluation: the shipped functions against the definitions that the theorems speak of, at random whole numbers.

A kernel's theorem speaks of a formula. That the shipped loop adds up this formula is tried here, at sizes from 9 to 64
and without rounding; of ranks, maxima and signs, this is testing.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt
from typing import Any

from synthetic.base.errors import must
from workbench.theory import afa, attention, auxiliary, bias, coherence, factors, interactions, pursuit, signed, top_afa
from workbench.theory.ops import FLOAT, Number


def _root(value: Number) -> Fraction:
    """The root of a perfect square.

    Raises:
        ValueError: it is none.
    """
    exact = Fraction(value)
    root = Fraction(isqrt(exact.numerator), isqrt(exact.denominator))
    if root * root != exact:
        raise ValueError(f"a root must be exact; got that of {exact}")
    return root


EXACT = replace(FLOAT, num=Fraction, sqrt=_root, ratio=lambda a, b: Fraction(a) / Fraction(b))
"""whole numbers and fractions, without rounding"""
SIZES = (9, 11), (17, 9), (33, 21), (64, 48)
"""n and d of the draws"""


class Draw:
    """Random whole numbers of one size."""

    def __init__(self, n: int, d: int, seed: int) -> None:
        self.n, self.d, self._random = n, d, random.Random(1000 * n + seed)

    def number(self, top: int = 2**31) -> int:
        """A whole number, not 0, of size up to `top`."""
        return self._random.choice((-1, 1)) * self._random.randrange(1, top)

    def vector(self, size: int, top: int = 2**31) -> list[int]:
        """As many whole numbers."""
        return [self.number(top) for _ in range(size)]

    def near(self, top: int) -> int:
        """A whole number of size up to `top`, 0 among them."""
        return self._random.randrange(-top, top + 1)

    def rows(self, n: int, d: int, top: int = 2**31) -> list[list[int]]:
        """A matrix of whole numbers."""
        return [self.vector(d, top) for _ in range(n)]


Pairs = Iterator[tuple[Any, Any]]


def unequal(pairs: Callable[[Draw], Pairs], n: int, d: int, seed: int = 0) -> str:
    """The first pair at a draw whose sides differ, as text; empty where none does.

    Raises:
        ValueError: there is no pair.
    """
    count = 0
    for a, b in pairs(Draw(n, d, seed)):
        count += 1
        if a != b:
            return f"{_short(a)} for {_short(b)}"
    must(count, f"pairs at n, d = {n}, {d}", "one at least", "none", "yield a value and what it must be")
    return ""


@dataclass(frozen=True)
class Line:
    """One shipped formula, and values of it beside those of its definition."""

    of: str
    """its name"""
    pairs: Callable[[Draw], Pairs]

    def differences(self, seed: int = 0) -> list[str]:
        """Where the two differ, as text; an error of the shipped function is one."""
        found = []
        for n, d in SIZES:
            try:
                wrong = unequal(self.pairs, n, d, seed)
            except Exception as error:  # whatever a formula raises
                wrong = f"{type(error).__name__}: {error}"
            found += [f"{self.of} at n, d = {n}, {d}: {wrong}"] if wrong else []
        return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else f"{text[:36]} ..."


LINES: dict[str, list[Line]] = {}
"""theorem -> lines that tie it to shipped functions"""


def _ties(of: str, *theorems: str) -> Callable[[Callable[[Draw], Pairs]], Callable[[Draw], Pairs]]:
    """Enter a line under the theorems that speak of its formula."""

    def entered(pairs: Callable[[Draw], Pairs]) -> Callable[[Draw], Pairs]:
        for theorem in theorems:
            LINES.setdefault(theorem, []).append(Line(of, pairs))
        return pairs

    return entered


def _dot(x: Any, y: Any) -> Any:
    return sum(x[c] * y[c] for c in range(len(x)))


def _combined(h: Any, rows: Any) -> list[Any]:
    return [sum(h[i] * rows[i][c] for i in range(len(h))) for c in range(len(rows[0]))]


def _product(a: Any, b: Any) -> list[list[Any]]:
    return [[sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for i in range(len(a))]


@_ties("coherence.energy, gram", *("coherence." + name for name in ("gram_expansion", "frame_potential", "welch_sum")))
def _energy(draw: Draw) -> Pairs:
    h, rows = draw.vector(draw.n), draw.rows(draw.n, draw.d)
    products = [[_dot(v, w) for w in rows] for v in rows]
    yield coherence.gram(rows), products
    yield coherence.energy(h, rows), _dot(h, [_dot(row, h) for row in products])


@_ties("coherence.interference, square_norm", "coherence.interference_identity", "coherence.residual_identity")
def _interference(draw: Draw) -> Pairs:
    h, g = draw.vector(draw.n), draw.rows(draw.n, draw.n)
    g = [[g[max(i, j)][min(i, j)] for j in range(draw.n)] for i in range(draw.n)]
    off = sum(h[i] * h[j] * g[i][j] for i in range(draw.n) for j in range(draw.n) if i != j)
    yield coherence.interference(h, g), off
    yield coherence.square_norm(h), _dot(h, h)


FORMS = "l1_form", "count_form", "cone_attains", "flat_l1", "sparse_l1", "paper_bound", "signed_form", "babel_at_most"


@_ties("coherence.l1_norm, l1_gap, norm_gap, signed_gap", *(f"coherence.{name}" for name in FORMS))
def _bounds(draw: Draw) -> Pairs:
    h, mu, low = draw.vector(draw.n), draw.number(), draw.number()
    size, h2, k = sum(abs(v) for v in h), _dot(h, h), draw.n
    yield coherence.l1_norm(h, ops=EXACT), size
    yield coherence.l1_gap(size, h2, mu), mu * (size**2 - h2)
    yield coherence.norm_gap(h2, mu, k), mu * (k - 1) * h2
    yield coherence.signed_gap(size, h2, low, mu), (low * (size**2 - h2), mu * (size**2 - h2))


@_ties("coherence.babel", "coherence.babel_form", "coherence.babel_at_most")
def _babel(draw: Draw) -> Pairs:
    g, n = draw.rows(draw.n, draw.n), draw.n
    yield coherence.babel(g, ops=EXACT), max(sum(abs(g[i][j]) for j in range(n) if j != i) for i in range(n))


@_ties("afa.afa_floor, afa_ceiling", "coherence.paper_bound")
def _published(draw: Draw) -> Pairs:
    x2, c = Fraction(abs(draw.number())), Fraction(draw.number(), 2**31)
    yield (afa.afa_floor(x2, c), afa.afa_ceiling(x2, c)), (x2 / (1 + c), x2 / (1 - c))


@_ties("afa.lbo_1", "coherence.lower_bound")
def _lower_bound(draw: Draw) -> Pairs:
    x2, f2, size = (Fraction(abs(draw.number())) for _ in range(3))
    yield afa.lbo_1(x2, f2, size, ops=EXACT), abs(x2 - f2) / (size**2 - f2)


@_ties("afa.mismatch, residual_gap", "coherence.residual_identity", "coherence.residual_gap")
def _residual(draw: Draw) -> Pairs:
    q, rho2, twice, x2, hat2 = draw.vector(5)
    yield afa.mismatch(q, rho2, twice), q + rho2 + twice
    yield afa.residual_gap(q, rho2, twice, x2, hat2, ops=EXACT), twice * (q**2 - rho2) + abs(x2 - hat2)


@_ties("bias.cross_interference, gram_gap", "coherence.two_codes")
def _two_codes(draw: Draw) -> Pairs:
    h, g, mu, n = draw.vector(draw.n), draw.vector(draw.n), draw.number(), draw.n
    products = draw.rows(n, n)
    off = sum(h[i] * g[j] * products[i][j] for i in range(n) for j in range(n) if i != j)
    yield bias.cross_interference(h, g, products), off
    size, other, shared = sum(map(abs, h)), sum(map(abs, g)), sum(abs(a * b) for a, b in zip(h, g, strict=True))
    yield bias.gram_gap(size, other, mu, shared=shared), mu * (size * other - shared)


@_ties("coherence.welch_square", "coherence.welch", "coherence.superposition")
def _welch(draw: Draw) -> Pairs:
    n, d = Fraction(draw.n), Fraction(draw.d)
    yield coherence.welch_square(n, d) * d * (n - 1), n - d


@_ties("auxiliary.pairs_penalty", "coherence.welch_pairs")
def _pairs(draw: Draw) -> Pairs:
    g, n = [[Fraction(v) for v in row] for row in draw.rows(draw.n, draw.n)], draw.n
    off = sum(g[i][j] ** 2 for i in range(n) for j in range(n) if i != j)
    yield auxiliary.pairs_penalty(g) * n * (n - 1), off


@_ties("pursuit.largest_support", "coherence.one_sparse_code", "pursuit.exact_recovery")
def _largest_support(draw: Draw) -> Pairs:
    for k in range(1, draw.n):
        mu = Fraction(abs(draw.number()), 2**31 * k)
        yield k < pursuit.largest_support(mu, ops=EXACT), 2 * k * mu < 1 + mu


def _by_rank(u: list[int], k: int) -> list[int]:
    """AbsTopK as the theorems define it."""
    n, size = len(u), [abs(v) for v in u]

    def rank(i: int) -> int:
        return sum(size[i] <= size[j] if j < i else size[i] < size[j] for j in range(n) if j != i)

    return [u[i] if rank(i) < k else 0 for i in range(n)]


RULES = "sparse", "nearest", "scaled", "signs", "twice"


@_ties("signed.abs_top_k", "selection.orthonormal_best", *(f"selection.abs_top_k_{name}" for name in RULES))
def _abs_top_k(draw: Draw) -> Pairs:
    for k, top in ((1, 2**31), (draw.n // 2, 2**31), (draw.n - 1, 2**31), (draw.n // 2, 5)):
        u = draw.vector(draw.n, top)
        yield signed.abs_top_k(u, k, ops=EXACT), _by_rank(u, k)


@_ties("signed.top_k", "selection.top_k_nearest")
def _top_k(draw: Draw) -> Pairs:
    for k, top in ((1, 2**31), (draw.n // 2, 2**31), (draw.n // 3, 5)):
        u = draw.vector(draw.n, top)
        yield signed.top_k(u, k, ops=EXACT), _by_rank([max(v, 0) for v in u], k)


@_ties("signed.soft_threshold, shifted_relu", "selection.soft_threshold_nearest", "selection.shifted_relu_nearest")
def _thresholds(draw: Draw) -> Pairs:
    for u in draw.vector(draw.n):
        lam = abs(draw.number())
        yield signed.soft_threshold(u, lam, ops=EXACT), max(u - lam, 0) - max(-u - lam, 0)
        yield signed.shifted_relu(u, lam, ops=EXACT), max(u - lam, 0)


@_ties("signed.error_square, gap_square", "selection.order_of_errors", "selection.orthonormal_best")
def _error(draw: Draw) -> Pairs:
    u, z, x2 = draw.vector(draw.n), draw.vector(draw.n), draw.number()
    gap = sum((u[i] - z[i]) ** 2 for i in range(draw.n))
    yield signed.gap_square(u, z), gap
    yield signed.error_square(x2, _dot(u, u), gap), x2 - _dot(u, u) + gap


@_ties("signed.one_step_bias, recoverable_ratio", "selection.one_step_bias", "pursuit.one_step_support")
def _one_step(draw: Draw) -> Pairs:
    h, mu = draw.vector(draw.n), Fraction(abs(draw.number()), 2**31)
    size = sum(map(abs, h))
    for value in h:
        yield signed.one_step_bias(value, size, mu, ops=EXACT), mu * (size - abs(value))
        found = Fraction(size, abs(value)) < signed.recoverable_ratio(mu, ops=EXACT)
        yield found, 2 * mu * size < (1 + mu) * abs(value)


@_ties("top_afa.nearest_prefix", "selection.nearest_prefix_first")
def _nearest(draw: Draw) -> Pairs:
    norms = sorted(map(abs, draw.vector(draw.n)))
    for tau in (*norms, abs(draw.number())):
        gaps = [abs(norm - tau) for norm in norms]
        yield top_afa.nearest_prefix(norms, tau, ops=EXACT), gaps.index(min(gaps)) + 1


@_ties("top_afa.sign_split", "selection.sign_split", "selection.trivial_optimum")
def _split(draw: Draw) -> Pairs:
    for z in draw.vector(draw.n):
        yield top_afa.sign_split(z, ops=EXACT), (max(z, 0), max(-z, 0))


STEPS = "energy_after", "product_after", "energy_left"


@_ties("pursuit.energy_after, product_after, correlation_after, energy_left", *(f"pursuit.{name}" for name in STEPS))
def _steps(draw: Draw) -> Pairs:
    r, w, v = draw.vector(draw.d), draw.vector(draw.d), draw.vector(draw.d)
    a = _dot(w, r)
    left = [r[c] - a * w[c] for c in range(draw.d)]
    yield pursuit.energy_after(_dot(r, r), a, _dot(w, w)), _dot(left, left)
    yield pursuit.product_after(a, _dot(w, w)), _dot(w, left)
    yield pursuit.correlation_after(_dot(v, r), a, _dot(v, w)), _dot(v, left)
    taken = draw.vector(draw.n)
    yield pursuit.energy_left(_dot(r, r), taken), _dot(r, r) - sum(t**2 for t in taken)


@_ties("pursuit.rate", "pursuit.rate_of_convergence")
def _rate(draw: Draw) -> Pairs:
    lowest, count = Fraction(abs(draw.number()), 2**31), draw.n
    yield pursuit.rate(lowest, count), 1 - lowest / count


@_ties("factors.lift, lift_inverse, product", "factors.lift_inverse")
def _lift(draw: Draw) -> Pairs:
    n, t = draw.n, Fraction(abs(draw.number()), 7)
    y = [Fraction(abs(v)) for v in draw.vector(n)]
    eye = [[int(i == j) for j in range(n)] for i in range(n)]
    lifted, back = factors.lift(y, t), factors.lift_inverse(y, t)
    yield lifted, [[eye[i][j] + t * y[i] for j in range(n)] for i in range(n)]
    yield back, [[eye[i][j] - t * y[i] / (1 + t * sum(y)) for j in range(n)] for i in range(n)]


@_ties("factors.product", "factors.layers_are_one", "factors.lift_inverse")
def _layers(draw: Draw) -> Pairs:
    f, g = draw.rows(9, draw.n), draw.rows(draw.n, draw.d)
    yield factors.product(f, g), _product(f, g)


@_ties("factors.rescaled", "factors.scale_gauge")
def _rescaled(draw: Draw) -> Pairs:
    f, w, s = draw.rows(9, draw.n), draw.rows(draw.n, draw.d), draw.vector(draw.n)
    f = [[Fraction(v) for v in row] for row in f]
    codes = [[row[j] / s[j] for j in range(draw.n)] for row in f]
    yield factors.rescaled(f, w, s), (codes, [[s[j] * v for v in w[j]] for j in range(draw.n)])


@_ties("factors.sheared", "factors.shear_gauge")
def _sheared(draw: Draw) -> Pairs:
    f, w, a = draw.rows(9, draw.n), draw.rows(draw.n, draw.d), draw.number()
    codes = [[row[j] + (j == 1) * a * row[0] for j in range(draw.n)] for row in f]
    rows = [[w[j][c] - (j == 0) * a * w[1][c] for c in range(draw.d)] for j in range(draw.n)]
    yield factors.sheared(f, w, a), (codes, rows)


@_ties("factors.square_error", "factors.least_squares")
def _squares(draw: Draw) -> Pairs:
    x, f, w = draw.rows(9, draw.d), draw.rows(9, draw.n), draw.rows(draw.n, draw.d)
    made = [_combined(row, w) for row in f]
    yield factors.square_error(x, f, w), sum((x[i][c] - made[i][c]) ** 2 for i in range(9) for c in range(draw.d))


@_ties("interactions.dual_code", "factors.dual_code")
def _dual(draw: Draw) -> Pairs:
    n = min(draw.n, 17)
    h, rows = draw.vector(n, 9), [[Fraction(v) for v in row] for row in draw.rows(n, n + 9, 9)]
    x = _combined(h, rows)
    yield interactions.dual_code([_dot(v, x) for v in rows], [[_dot(v, w) for w in rows] for v in rows]), h


@_ties("interactions.power_sum, pure_square", "factors.pure_square")
def _pure(draw: Draw) -> Pairs:
    f, u, n = draw.vector(draw.n), draw.vector(draw.n), draw.n
    a = [f[i] * u[i] for i in range(n)]
    p1, p2 = (interactions.power_sum(f, u, q) for q in (1, 2))
    yield interactions.pure_square(p1, p2), sum(a[i] * a[j] for i in range(n) for j in range(n) if i != j)


@_ties("auxiliary.prefix_errors, prefix_drop", "factors.prefix_drop")
def _prefixes(draw: Draw) -> Pairs:
    f, x, rows = draw.vector(draw.n, 99), draw.vector(draw.d), draw.rows(draw.n, draw.d, 99)
    errors = auxiliary.prefix_errors(f, x, rows)
    for k in range(draw.n):
        taken = _combined(f[:k], rows[:k]) if k else [0] * draw.d
        left = [x[c] - taken[c] for c in range(draw.d)]
        yield errors[k] - errors[k + 1], auxiliary.prefix_drop(f[k], _dot(rows[k], left), _dot(rows[k], rows[k]))
        yield errors[k], _dot(left, left)


@_ties("auxiliary.hull_row, hull_spread", "factors.hull_spread", "factors.hull_bound")
def _hull(draw: Draw) -> Pairs:
    a, x = draw.vector(draw.n), draw.rows(draw.n, draw.d)
    row = _combined(a, x)
    yield auxiliary.hull_row(a, x), row
    off = [[v - r for v, r in zip(one, row, strict=True)] for one in x]
    yield auxiliary.hull_spread(a, x), sum(a[i] * _dot(off[i], off[i]) for i in range(draw.n))


@_ties("attention.source_part, head_part", "factors.attribution_complete")
def _heads(draw: Draw) -> Pairs:
    a, v, w = draw.vector(draw.n), draw.rows(draw.n, draw.d), draw.vector(draw.d)
    yield attention.head_part(a, v, w), _dot(_combined(a, v), w)
    yield attention.source_part(a[0], v[0], w), a[0] * _dot(v[0], w)


@_ties("attention.output_error", "factors.orthogonal_outputs")
def _outputs(draw: Draw) -> Pairs:
    r, w = draw.vector(draw.n), draw.rows(draw.n, draw.d)
    yield attention.output_error(r, w), _dot(_combined(r, w), _combined(r, w))


@_ties("attention.one_role_chance", "selection.of_one_role")
def _roles(draw: Draw) -> Pairs:
    """By binomial coefficients as quotients of falling products."""

    def ways(n: int, c: int) -> Fraction:
        found = Fraction(1)
        for i in range(c):
            found = found * (n - i) / (i + 1)
        return found

    sizes, count = [abs(v) for v in draw.vector(draw.n, 99)], draw.d
    whole = ways(sum(sizes), count)
    yield attention.one_role_chance(sizes, count, ops=EXACT), sum(ways(n, count) for n in sizes) / whole
    ahead = attention.one_role_chance(sizes, count + 5, sure=5, ops=EXACT)
    yield ahead, ways(sizes[0], count) / whole
