"""Encoders held to be linear in an action, and what they extrapolate to.

Notation: an action a in R^q moves latents h = M a + nu in R^n; x = g(h) is observed, and an outcome y = l(h) + u;
(nu, u) do not depend on a. An encoder phi has kappa = phi o g; (W, alpha) is its affine fit on a, r what that leaves.
The constraint is E[r | a] = 0. A polynomial is {powers: coefficient}, of one variable a list of coefficients.

Source: Saengkyongam et al. (2024), arXiv 2310.04295, re-derived; or ours, as marked.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Polynomial = Mapping[tuple[int, ...], Number]
Row = Sequence[Number]
Matrix = Sequence[Row]


def smoothed(kappa: Polynomial, covariance: Matrix) -> dict[tuple[int, ...], Number]:
    """E kappa(m + nu) as a polynomial of m, nu ~ N(0, S): exp(sum_ij S_ij d_i d_j / 2) kappa.

    Of the highest degree the coefficients stay, affine maps stay whole, and -S undoes it.

    Source: ours; the heat equation.
    """
    total, term, order = dict(kappa), dict(kappa), 0
    while term:
        order += 1
        term = {powers: value / (2 * order) for powers, value in _bent(term, covariance).items()}
        for powers, value in term.items():
            total[powers] = total.get(powers, 0) + value
    return total


def _bent(kappa: Polynomial, covariance: Matrix) -> dict[tuple[int, ...], Number]:
    """sum_ij S_ij d_i d_j kappa."""
    found: dict[tuple[int, ...], Number] = {}
    for powers, value in kappa.items():
        for i, row in enumerate(covariance):
            once = tuple(p - (k == i) for k, p in enumerate(powers))
            for j, weight in enumerate(row):
                factor = powers[i] * once[j]
                if factor > 0:
                    twice = tuple(p - (k == j) for k, p in enumerate(once))
                    found[twice] = found.get(twice, 0) + factor * weight * value
    return found


def gaussian_moments(variance: Number, count: int) -> list[Number]:
    """E nu^j for j < count, nu ~ N(0, variance): (j - 1)!! variance^(j/2) for even j. Source: ours, by parts."""
    moments: list[Number] = [1, 0]
    for j in range(2, count):
        moments.append((j - 1) * variance * moments[j - 2])
    return moments[:count]


def conditional_mean(coefficients: Row, effect: Number, moments: Row) -> list[Number]:
    """Coefficients in a of E[kappa(M a + nu) | a], one latent, one action, from the moments of nu of any law.

    Of a^i: M^i sum_j c_j (j over i) E nu^(j - i), so that the highest is c_D M^D.

    Source: ours, the binomial theorem.
    """
    size = range(len(coefficients))
    mixed = [[math.comb(j, i) * coefficients[j] * moments[j - i] for j in size if j >= i] for i in size]
    return [effect**i * sum(terms) for i, terms in enumerate(mixed)]


def least_deviation(leading: Number, degree: int, *, ops: Ops = FLOAT) -> Number:
    """Least max over [-1, 1] of |p|, p of this degree and leading coefficient: |c| / 2^(D - 1).

    An affine fit leaves the leading coefficient of D >= 2 alone, so it is at least this far off.

    Source: Chebyshev; attained by his polynomial.
    """
    return ops.abs(leading) / 2 ** (degree - 1)


def uniform_gain(frequency: Number, width: Number, *, sine: Callable[[Number], Number] = math.sin) -> Number:
    """Factor of sin(w a) in E sin(w (a + nu)), nu uniform on [-b, b]: sin(w b) / (w b), 0 for w b a multiple of pi.

    Source: ours; the characteristic function of the uniform law, which has zeros.
    """
    return sine(frequency * width) / (frequency * width)


def gaussian_gain(frequency: Number, deviation: Number, *, ops: Ops = FLOAT) -> Number:
    """As `uniform_gain` for nu ~ N(0, s²): exp(-w² s² / 2), never 0. Source: its characteristic function."""
    return ops.exp(-(frequency**2) * deviation**2 / 2)


def atom_gain(frequency: Number, atom: Number, deviation: Number, *, ops: Ops = FLOAT) -> Number:
    """As `gaussian_gain` where nu is 0 with chance p: p + (1 - p) exp(-w² s² / 2) >= p.

    Source: ours; the characteristic function of sparse noise has no zeros either.
    """
    return atom + (1 - atom) * gaussian_gain(frequency, deviation, ops=ops)


def sine_share(size: Number, variance: Number) -> Number:
    """Share of kappa's variance that no affine map of h explains, kappa = h + e sin(w h) of zero correlation with h.

    (e² / 2) / (Var h + e² / 2), where E sin² = 1/2: for a and nu uniform on [-1, 1] and w a multiple of pi.

    Source: ours.
    """
    return size**2 / 2 / (variance + size**2 / 2)


def mean_outcome(quadratic: Matrix, linear: Row, mean: Row, covariance: Matrix) -> Number:
    """E l(m + nu) for l(h) = h^T Q h + <q, h>: m^T Q m + tr(Q S) + <q, m>, nu of zero mean and covariance S.

    With m = M a* this is E[y | do(a*)], less E u.

    Source: ours.
    """
    size = range(len(mean))
    bent = sum(quadratic[i][j] * (mean[i] * mean[j] + covariance[i][j]) for i in size for j in size)
    return bent + sum(a * b for a, b in zip(linear, mean, strict=True))


def naive_bias(beta: Row, noise: Matrix, effect: Matrix, actions: Matrix, action: Row) -> Number:
    """What regressing y on h alone adds to E[y | do(a*)]: beta^T N (M A M^T + N)^-1 M a*.

    Args:
        beta: u = <beta, nu> + noise of its own.
        noise: N, covariance of nu.
        effect: M.
        actions: A, covariance of a in training; a and nu are normal, with zero mean.
        action: a*.

    Source: ours, E[nu | h] of a joint normal law.
    """
    spread = [
        [
            sum(a * b for a, b in zip(_times(actions, row), other, strict=True)) + v
            for other, v in zip(effect, n, strict=True)
        ]
        for row, n in zip(effect, noise, strict=True)
    ]
    pulled = _solved(spread, _times(effect, action))
    return sum(a * b for a, b in zip(beta, _times(noise, pulled), strict=True))


def _times(matrix: Matrix, vector: Row) -> list[Number]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _solved(matrix: Matrix, vector: Row) -> list[Number]:
    """Elimination without exchanges: for positive definite matrices."""
    rows = [[*row, value] for row, value in zip(matrix, vector, strict=True)]
    for i, pivot in enumerate(rows):
        for other in rows[i + 1 :]:
            factor = other[i] / pivot[i]
            other[:] = [a - factor * b for a, b in zip(other, pivot, strict=True)]
    found: list[Number] = [0] * len(rows)
    for i in reversed(range(len(rows))):
        found[i] = (rows[i][-1] - sum(rows[i][j] * found[j] for j in range(i + 1, len(rows)))) / rows[i][i]
    return found


def residuals(codes: Matrix, actions: Row) -> list[list[Number]]:
    """What an affine fit of each latent on one action leaves, by least squares. Source: normal equations."""
    n = len(actions)
    centred = [a - sum(actions) / n for a in actions]
    squares = sum(a * a for a in centred)
    columns = []
    for column in zip(*codes, strict=True):
        mean = sum(column) / n
        slope = sum(a * z for a, z in zip(centred, column, strict=True)) / squares
        columns.append([z - mean - slope * a for a, z in zip(centred, column, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def mmr(left: Matrix, actions: Matrix, width: Number, *, ops: Ops = FLOAT) -> Number:
    """Maximum moment restriction of residuals r_i, as a V-statistic: sum_ij k(a_i, a_j) <r_i, r_j> / N² >= 0.

    Args:
        left: the residuals.
        actions: a_i.
        width: s in k(a, a') = exp(-|a - a'|² / (2 s²)).
        ops: the number system.

    Source: Saengkyongam et al. (2024), the penalty on the conditional moments. Units of phi squared.
    """
    total = 0
    for r, a in zip(left, actions, strict=True):
        for other, b in zip(left, actions, strict=True):
            square = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
            near = ops.exp(-square / (2 * width**2))
            total = total + near * sum(x * y for x, y in zip(r, other, strict=True))
    return total / len(left) ** 2


def relative_mmr(codes: Matrix, left: Matrix, actions: Matrix, width: Number, *, ops: Ops = FLOAT) -> Number:
    """`mmr` over the trace of the codes' covariance: no longer changed by a factor of the encoder. Source: ours."""
    n, spread = len(codes), 0
    for column in zip(*codes, strict=True):
        spread = spread + sum((z - sum(column) / n) ** 2 for z in column) / n
    return mmr(left, actions, width, ops=ops) / spread


def curved_mmr(curvature: Number, effect: Number, width: Number, *, ops: Ops = FLOAT) -> Number:
    """MMR of kappa = h + c h² in the population, h = M a + nu, a uniform on [-1, 1], any nu: c² M⁴ Q_s.

    E[r | a] = c M² (a² - 1/3); Q_s = E[(a² - 1/3)(a'² - 1/3) k(a, a')].

    Source: ours, the integral over a - a'.
    """
    s, edge = width, ops.exp(-2 / width**2)
    inside = ops.sqrt(2 * ops.pi) * (1 - ops.erfc(ops.sqrt(ops.num("2")) / s))
    q = 2 * s * ((3 * s**5 + s**3 + s) * edge - 3 * s**5 + 5 * s**3 - 5 * s + inside) / 45
    return curvature**2 * effect**4 * q


def curved_share(relative: Number, effect: Number, variance: Number, width: Number, *, ops: Ops = FLOAT) -> Number:
    """Share of kappa's variance that no affine map of h explains, from its relative MMR; any multiple of h + c h².

    relative Var(h²) / (M⁴ Q_s) with Var(h²) = 4 M⁴/45 + 4 M² v/3 + 2 v², nu ~ N(0, v), a uniform on [-1, 1].

    Source: ours, from `curved_mmr`; h and h² are uncorrelated.
    """
    bent = effect**4 * ops.num("4/45") + effect**2 * variance * ops.num("4/3") + 2 * variance**2
    return relative * bent / curved_mmr(1, effect, width, ops=ops)


def continued(action: Number, slope: Number, *, ops: Ops = FLOAT) -> Number:
    """An effect that is a on [-1, 1] and goes on with another slope. Source: ours, of proposition 1."""
    zero = ops.num("0")
    return action + (slope - 1) * (ops.larger(action - 1, zero) - ops.larger(-action - 1, zero))


def blind_error(one: Number, other: Number, *, ops: Ops = FLOAT) -> Number:
    """Least larger error of one prediction for two targets that the data cannot tell apart: half their distance.

    Source: ours, of Saengkyongam et al. (2024), proposition 1; attained halfway between.
    """
    return ops.abs(one - other) / 2
