"""Interference on average: why norms agree far better than the worst case says.

Notation as in `coherence.py`: q = |hV|² - |h|², N = |h|², H4 = sum h_i⁴.
"""

from collections.abc import Sequence

from workbench.theory.coherence import square_norm
from workbench.theory.ops import Number


def random_directions_variance(h2: Number, h4: Number, d: Number) -> Number:
    """Var(q / N) for a fixed code and independent uniform directions: (2/d) (1 - H4 / N²), whatever n and k are.

    The mean is 0, so |x|² is |h|² to within a relative sqrt(2/d).

    Source: ours; E[G_ij] = 0, E[G_ij²] = 1/d, distinct pairs uncorrelated.
    """
    return 2 * (1 - h4 / (h2 * h2)) / d


def random_signs_variance(h: Sequence[Number], products: Sequence[Sequence[Number]]) -> Number:
    """Var(q / N) for fixed rows and independent random signs of h: 4 sum_{i<j} h_i² h_j² G_ij² / N². The mean is 0.

    Source: ours; products of distinct pairs of signs are uncorrelated.
    """
    total = 0
    for i in range(len(h)):
        for j in range(i):
            total = total + (h[i] * h[j] * products[i][j]) ** 2
    h2 = square_norm(h)
    return 4 * total / (h2 * h2)


def random_signs_bound(h2: Number, h4: Number, coherence: Number) -> Number:
    """Bound on `random_signs_variance`: 2 mu² (1 - H4 / N²); no factor k.

    Source: ours, |G_ij| <= mu.
    """
    return 2 * coherence * coherence * (1 - h4 / (h2 * h2))


def independent_code_ratio(rate: Number, mean: Number, second: Number, sum_square: Number, n: Number) -> Number:
    """E|hV|² / E|h|² for independent h_i = Bernoulli(rate) m_i: 1 + rate E[m]² / E[m²] (|sum_i v_i|² / n - 1).

    So the dictionary's mean sets the bias: centred rows over-activate a little, a common direction under-activates.

    Args:
        rate: P(h_i != 0).
        mean: E[m].
        second: E[m²].
        sum_square: |sum_i v_i|².
        n: number of unit rows.

    Source: ours; E[h_i h_j] = rate² E[m]² for i != j.
    """
    return 1 + rate * mean * mean / second * (sum_square / n - 1)
