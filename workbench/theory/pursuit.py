"""Greedy pursuit: what a step does to the residual, how fast it shrinks, and when only true rows are picked.

Notation: rows w_j, G = W W^T, residual r, correlations c = W r, increment a = <w, r> along the row picked; S the true
support, k = |S|; mu = max |G_ij| over i != j, mu_1(r) the largest sum of r off-diagonal |G_ij| in a row.

Source: Mallat and Zhang (1993), Tropp (2004), where marked; for SAEs Costa et al. (2025), arXiv 2506.03093.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops


def energy_after(r2: Number, a: Number, w2: Number) -> Number:
    """|r - a w|² = |r|² - a² (2 - |w|²) for a = <w, r>: it falls if |w|² < 2, and rises if |w|² > 2.

    Source: ours, expand the square; Mallat and Zhang (1993), equation 14, for unit rows.
    """
    return r2 - a * a * (2 - w2)


def product_after(a: Number, w2: Number) -> Number:
    """<w, r - a w> = a (1 - |w|²): 0 for a unit row, of the row just picked alone.

    Source: Costa et al. (2025), proposition 3.1, without its unit norm.
    """
    return a * (1 - w2)


def correlation_after(c: Number, a: Number, product: Number) -> Number:
    """<w_i, r - a w_j> = c_i - a G_ij, so that correlations need the Gram matrix and no residual.

    Source: Mallat and Zhang (1993), the updating formula.
    """
    return c - a * product


def energy_left(x2: Number, increments: Sequence[Number]) -> Number:
    """|r_T|² = |x|² - sum_t a_t² for unit rows, whichever rows are picked.

    The sum is over steps: where a row is picked twice it is not |f|².

    Source: Mallat and Zhang (1993), equation 16; Costa et al. (2025), proposition C.2.
    """
    return x2 - sum(a * a for a in increments)


def rate(lowest: Number, count: Number) -> Number:
    """Largest |r_{t+1}|² / |r_t|²: 1 - lambda / count, where the row of largest |c_j| is picked.

    Args:
        lowest: lambda, the least nonzero eigenvalue of the Gram matrix of the rows that span r.
        count: number of those rows.

    Source: ours, max c_j² >= |W r|² / m >= lambda |r|² / m; of Mallat and Zhang (1993), theorem 1. Attained on an
    orthonormal dictionary by equal correlations. Fails when: the rule picks by max c_j or relu (claim MP-12).
    """
    return 1 - lowest / count


def steps_enough(x2: Number, left2: Number, lowest: Number, count: Number) -> Number:
    """Steps that leave no more than left2 of |x|², if each leaves at most `rate`: (|x|²/left2 - 1) count/lambda.

    Far more than are needed, log(|x|²/left2) / -log(rate), and without a logarithm.

    Source: ours, Bernoulli's inequality (1 - s)^T (1 + s T) <= 1.
    """
    return (x2 / left2 - 1) * count / lowest


def coherent_rate(k: Number, mu: Number) -> Number:
    """`rate` inside a support of k rows, from coherence: 1 - (1 - (k - 1) mu) / k.

    Source: ours; Gershgorin's circles put lambda_min(G_S) above 1 - (k - 1) mu.
    """
    return rate(1 - (k - 1) * mu, k)


def cumulative_coherence(products: Sequence[Sequence[Number]], count: int, *, ops: Ops = FLOAT) -> Number:
    """mu_1(r), Babel function: the largest sum of r off-diagonal |G_ij| in one row; mu_1(1) = mu, mu_1(r) <= r mu.

    Source: Tropp (2004), definition 3.3.
    """
    largest = None
    for i, row in enumerate(products):
        sizes = [ops.abs(g) for j, g in enumerate(row) if j != i]
        total = ops.num("0")
        for _ in range(min(count, len(sizes))):
            for j in range(len(sizes) - 1):  # the largest comes last, whatever the numbers are
                first, second = sizes[j], sizes[j + 1]
                sizes[j + 1] = ops.larger(first, second)
                sizes[j] = first + second - sizes[j + 1]
            total = total + sizes.pop()
        largest = total if largest is None else ops.larger(largest, total)
    return largest


def outside_share(before: Number, full: Number) -> Number:
    """Largest max_{j not in S} |c_j| / max_{i in S} |c_i| of a residual in the span of S: mu_1(k) / (1 - mu_1(k - 1)).

    Below 1 no row outside S is picked. The share itself is max_j |G_S^-1 W_S w_j|_1, of which this is a bound.

    Args:
        before: mu_1(k - 1), or (k - 1) mu.
        full: mu_1(k), or k mu.

    Source: Tropp (2004), theorems 3.1 and 3.5. Attained by equal codes on rows with products -mu, beside a row with
    products mu to each of them.
    """
    return full / (1 - before)


def largest_support(mu: Number, *, ops: Ops = FLOAT) -> Number:
    """Supports of fewer rows than (1 + 1 / mu) / 2 are recovered exactly; the same as (2k - 1) mu < 1.

    Source: Tropp (2004), corollary 3.6. Sharp for every code, not for OMP alone (claim MP-14).
    """
    return (1 + ops.ratio(ops.num("1"), mu)) / 2


def stalled_code(e: Number, c: Number) -> tuple[Number, Number]:
    """Code at which max c_j = 0 for x = w_1 + e w_2, 0 < e <= 1, c = <w_1, w_2> in (0, 1): (1 + e c, e (1 - c²)).

    Source: ours; a rule that only adds along rows of positive correlation takes two steps and stops.
    """
    return 1 + e * c, e * (1 - c * c)


def stalled_residual(e: Number, c: Number, *, ops: Ops = FLOAT) -> Number:
    """|r| there: e c sqrt(1 - c²), .433 e for rows at 60 degrees. Source: ours, x - f W at `stalled_code`."""
    return e * c * ops.sqrt(1 - c * c)


def projected_energy(mu: Number, q: Number) -> Number:
    """Least |P w|² of a unit row with P the projector off q others: (1 + mu) (1 - q mu) / (1 - (q - 1) mu), q mu < 1.

    Source: ours, induction over Schur complements of the Gram matrix.
    """
    return (1 + mu) * (1 - q * mu) / (1 - (q - 1) * mu)


def projected_product(mu: Number, q: Number) -> Number:
    """Largest |<P w, P w'>| of two rows off q others: mu (1 + mu) / (1 - (q - 1) mu).

    Source: ours, induction over Schur complements of the Gram matrix.
    """
    return mu * (1 + mu) / (1 - (q - 1) * mu)


def one_shot_margin(least: Number, largest: Number, g: Number) -> Number:
    """Smallest correlation of an active row minus the largest of another, in a tree: min h - g max h.

    One row active in each level, rows of different levels orthogonal, all products in a level g > 0. Where it is
    below 0 no single top-k reads the support off x; pursuit does for every g < 1.

    Source: ours; correlations are h_l of the active row and g h_l of its siblings.
    """
    return least - g * largest


def tree_noise_floor(g: Number, noise: Number) -> Number:
    """Coefficients above 2 / (1 - g) times max |W e| are found in a tree under noise e, |G| <= g in levels.

    Source: ours: an unfinished level needs h - noise > g h + noise. That h is above (2 + g) noise, so that no finished
    level is taken up again, follows: (2 + g)(1 - g) <= 2.
    """
    return 2 * noise / (1 - g)


def absorbed_energy(parent2: Number, child2: Number, product: Number, *, ops: Ops = FLOAT) -> Number:
    """Mean energy that the best single row leaves of h_p v_p + h_c v_c: the smaller eigenvalue of their second moment.

    Args:
        parent2: mean h_p².
        child2: mean h_c².
        product: mean h_p h_c.

    0 where h_c = lambda h_p always; s² for independent coefficients of one mean and variance s².

    Source: ours; v_p and v_c orthonormal.
    """
    return (parent2 + child2 - ops.sqrt((parent2 - child2) ** 2 + 4 * product * product)) / 2


def absorbed_l1(parent: Number, child: Number, *, ops: Ops = FLOAT) -> Number:
    """|f|_1 of one row that holds both: sqrt(h_p² + h_c²) in place of h_p + h_c. Source: ours, Pythagoras."""
    return ops.sqrt(parent * parent + child * child)


def loss_gradient(x: Sequence[Number], picks: Sequence[Sequence[Number]]) -> list[list[Number]]:
    """Gradient of |r_T|² in the row picked at each step, increments included, the picks held fixed.

    g_T = 2 r_T; backwards dL/dw_t = -a_t g_t - <g_t, w_t> r_{t-1} and g_{t-1} = g_t - <g_t, w_t> w_t. Shares of a row
    picked twice add up.

    Source: ours, chain rule through r_t = r_{t-1} - <w_t, r_{t-1}> w_t. Fails when: codes are detached; -2 f^T r then.
    """
    residual, path = list(x), []
    for row in picks:
        a = _dot(row, residual)
        path.append((row, a, residual))
        residual = [r - a * w for r, w in zip(residual, row, strict=True)]
    up, gradients = [2 * r for r in residual], []
    for row, a, before in reversed(path):
        along = _dot(up, row)
        gradients.append([-a * g - along * r for g, r in zip(up, before, strict=True)])
        up = [g - along * w for g, w in zip(up, row, strict=True)]
    return gradients[::-1]


def _dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    return sum(p * q for p, q in zip(a, b, strict=True))
