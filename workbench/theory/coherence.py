"""Interference: how far |hV|² is from |h|² when the rows of V are unit but not orthogonal.

Notation: unit rows v_i in R^d, G = V V^T, a code h with k nonzeros, N = |h|², L = sum |h_i|,
q = sum_{i != j} h_i h_j G_ij; mu = max |G_ij| over the pairs of h's support, eps over all pairs of the n rows.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops


def square_norm(h: Sequence[Number]) -> Number:
    """N = sum h_i². Source: definition."""
    return sum(value * value for value in h)


def l1_norm(h: Sequence[Number], *, ops: Ops = FLOAT) -> Number:
    """L = sum |h_i|. Source: definition."""
    return sum(ops.abs(value) for value in h)


def gram(rows: Sequence[Sequence[Number]]) -> list[list[Number]]:
    """All inner products <v_i, v_j> of the rows. Source: definition."""
    return [[sum(a * b for a, b in zip(v, w, strict=True)) for w in rows] for v in rows]


def energy(h: Sequence[Number], rows: Sequence[Sequence[Number]]) -> Number:
    """|hV|² = sum_c (sum_i h_i V_ic)². Source: definition."""
    return square_norm([sum(value * v[c] for value, v in zip(h, rows, strict=True)) for c in range(len(rows[0]))])


def interference(h: Sequence[Number], products: Sequence[Sequence[Number]]) -> Number:
    """q = sum_{i != j} h_i h_j G_ij, which is |hV|² - |h|² for unit rows.

    Args:
        h: coefficients.
        products: G; its diagonal is not read.

    Source: ours, expand h V V^T h^T. Fails when: rows are not unit; the diagonal then counts too.
    """
    total = 0
    for i in range(len(h)):
        for j in range(i):
            total = total + 2 * h[i] * h[j] * products[i][j]
    return total


def l1_gap(l1: Number, h2: Number, coherence: Number) -> Number:
    """Largest |q| of a code with these norms: mu (L² - N).

    Attained by every h >= 0 on a cone, rows with all inner products mu.

    Source: ours, triangle inequality on q. Units of x squared.
    """
    return coherence * (l1 * l1 - h2)


def norm_gap(h2: Number, coherence: Number, k: Number) -> Number:
    """Largest |q| of a k-sparse code: mu (k - 1) N.

    With k = n and mu = eps this is the constant of AFA (Lee et al. 2025, arXiv 2503.24277); only the support matters.

    Args:
        h2: N, units of x squared.
        coherence: largest |cos| between rows that fire together.
        k: nonzeros, at least 1.

    Source: ours, L² <= k N in `l1_gap`. Attained by equal entries on a cone. Fails when: rows are not unit.
    """
    return coherence * (k - 1) * h2


def babel(products: Sequence[Sequence[Number]], *, ops: Ops = FLOAT) -> Number:
    """max_i sum_{j != i} |G_ij|, which bounds |q| / N; at most mu (k - 1).

    Source: Gershgorin's circles for G - I; Tropp (2004) calls it the cumulative coherence.
    """
    sums = [sum(ops.abs(g) for j, g in enumerate(row) if j != i) for i, row in enumerate(products)]
    largest = sums[0]
    for value in sums[1:]:
        largest = ops.larger(largest, value)
    return largest


def signed_gap(l1: Number, h2: Number, low: Number, high: Number) -> tuple[Number, Number]:
    """Range of q for h >= 0 with low <= G_ij <= high on its support: (low, high) times (L² - N).

    So aligned pairs alone (low >= 0) make |x| >= |h|: under-activation.

    Source: ours, q is then a sum of G_ij with weights h_i h_j >= 0. Fails when: h has both signs.
    """
    pairs = l1 * l1 - h2
    return low * pairs, high * pairs


def energy_range(coherence: Number, k: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """Infimum and supremum of |hV|² / |h|² over k-sparse h != 0 and all unit rows of coherence at most mu, d >= k.

    (max(0, 1 - mu (k - 1)), 1 + mu (k - 1)). The top is met by a cone, the bottom by G = (1 + mu) I - mu 11^T, or by
    the k-simplex once mu >= 1 / (k - 1).

    Source: ours.
    """
    return ops.larger(ops.num("0"), 1 - coherence * (k - 1)), 1 + coherence * (k - 1)


def welch_square(n: Number, d: Number) -> Number:
    """Square of the least coherence of n > d unit rows in R^d: (n - d) / (d (n - 1)).

    Source: Welch (1974); from sum_ij G_ij² >= n² / d.
    """
    return (n - d) / (d * (n - 1))


def dense_energy(n: Number, d: Number) -> Number:
    """Least possible supremum of |hV|² / |h|² over all h, for n unit rows in R^d: n / d.

    The supremum is the largest eigenvalue of V V^T; it equals n / d just for unit-norm tight frames.

    Source: ours; d eigenvalues of V^T V sum to n.
    """
    return n / d


def random_coherence(n: Number, d: Number, *, ops: Ops = FLOAT) -> Number:
    """A coherence that n independent uniform directions stay under with probability at least 1/n: sqrt(4 ln n / d).

    Source: union bound over n (n - 1) / 2 pairs with P(|G_ij| > t) <= 2 exp(-d t² / 2), Ball (1997), lemma 2.2.
    """
    return ops.sqrt(4 * ops.log(n) / d)
