"""Bias adaptation: what Chen, Sheen, Xiong, Wang and Yang (2025), arXiv 2506.14002, state of it, and what it rests on.

Notation: n unit rows v_i in R^d of coherence mu, codes h >= 0 with at most s nonzeros, x = hV; D_i the samples in which
feature i fires. A latent w fires where <w, x> > t, and p = P(N(0, 1) > t) is its target frequency. Frequencies are also
given as exponents e, p = n^-e. The paper's eps and varsigma are small constants in (0, 1); 0 is their limit.
"""

from collections.abc import Sequence
from typing import NamedTuple

from workbench.theory.ops import FLOAT, Number, Ops


def cross_interference(h: Sequence[Number], other: Sequence[Number], products: Sequence[Sequence[Number]]) -> Number:
    """<x, x'> - <h, h'> of two samples: sum_{i != j} h_i h'_j G_ij; the diagonal of G is not read.

    Source: ours, expand h V V^T h'^T. Fails when: rows are not unit; the diagonal then counts too.
    """
    pairs = [(i, j) for i in range(len(h)) for j in range(len(other)) if i != j]
    return sum(h[i] * other[j] * products[i][j] for i, j in pairs)


def gram_gap(l1: Number, other: Number, coherence: Number, *, shared: Number = 0) -> Number:
    """Largest |<x, x'> - <h, h'>| of two samples: mu (|h|_1 |h'|_1 - shared).

    Attained by h, h' >= 0 on a cone. Any signs will do.

    Args:
        l1: |h|_1.
        other: |h'|_1.
        coherence: largest |G_ij| over pairs i != j.
        shared: sum |h_i h'_i|; 0, its lower limit, gives the looser form that needs no supports.

    Source: ours, triangle inequality on `cross_interference`. Units of x squared.
    """
    return coherence * (l1 * other - shared)


def leak_square(squares: Number, total: Number, coherence: Number) -> Number:
    """R², a bound on |sum_k c_k v_k|² for c >= 0: (1 - mu) sum c² + mu (sum c)².

    In the conditional mean of feature i, c_k = mean over D_i of h_i h_k is what leaks from feature k.

    Args:
        squares: sum over k != i of c_k².
        total: sum over k != i of c_k; of |c_k| where codes are signed.
        coherence: largest |G_jk| over pairs of other features.

    Source: ours, the l1 form of interference. Units of h to the fourth.
    """
    return (1 - coherence) * squares + coherence * total * total


def coarse_leak_square(largest: Number, s: Number, cooccurrence: Number, coherence: Number) -> Number:
    """Bound on `leak_square` from few constants: B⁴ ((1 - mu) rho (s - 1) + mu (s - 1)²).

    Attained by all s-subsets of n features with equal values, where rho = (s - 1) / (n - 1).

    Args:
        largest: B, largest entry of h.
        s: most nonzeros of a code.
        cooccurrence: rho, largest |D_i & D_k| / |D_i| over k != i.
        coherence: mu, in [0, 1].

    Source: ours; c_k <= B² rho and sum c_k <= B² (s - 1).
    """
    return largest**4 * leak_square(cooccurrence * (s - 1), s - 1, coherence)


def conditional_mean_cosine(theta: Number, leak2: Number, *, ops: Ops = FLOAT) -> Number:
    """Least cosine of feature i with its conditional mean, the mean over D_i of h_i x: sqrt(1 - R² / theta²).

    Args:
        theta: mean over D_i of h_i².
        leak2: R², below theta²; the bound is 0 where it is not, and then says nothing.
        ops: the number system.

    Source: ours, the tangent from v_i to a ball of radius R / theta around it.
    """
    return ops.sqrt(ops.larger(ops.num("0"), 1 - leak2 / (theta * theta)))


def nested_shear(first: Sequence[Number], second: Sequence[Number], *, ops: Ops = FLOAT) -> Number:
    """Largest t that leaves h_2 - t h_1 >= 0: the least h_2 / h_1 over samples in which both fire.

    It is above 0 just because D_1 lies in D_2. Then h_1 (v_1 + t v_2) + (h_2 - t h_1) v_2 explains the same data.

    Args:
        first: h_1 of each sample, >= 0; it fires somewhere.
        second: h_2 of each sample, > 0 wherever h_1 is.
        ops: the number system.

    Source: ours.
    """
    largest = ops.num("0")
    for a, b in zip(first, second, strict=True):
        largest = ops.larger(largest, ops.where(b > 0, ops.ratio(a, b), ops.num("0")))
    return ops.ratio(ops.num("1"), largest)


def sheared_cosine(shear: Number, product: Number, *, ops: Ops = FLOAT) -> Number:
    """Cosine of v_1 with v_1 + t v_2: (1 + t g) / sqrt(1 + 2 t g + t²) for unit rows with product g.

    Source: ours.
    """
    return (1 + shear * product) / ops.sqrt(1 + 2 * shear * product + shear * shear)


def relu_factor(u: Number, t: Number, *, ops: Ops = FLOAT) -> Number:
    """Weight g(u) of a sample in a latent's gradient at small output scale, ReLU(u - t): (2u - t) 1[u > t].

    Source: ours; phi(u) + u phi'(u), see `coupling_gap`.
    """
    return ops.where(u > t, 2 * u - t, 0 * u)


def jump_factor(u: Number, t: Number, *, ops: Ops = FLOAT) -> Number:
    """As `relu_factor` for u 1[u > t], an output free of the bias whose jump is ignored: 2u 1[u > t].

    Source: ours.
    """
    return ops.where(u > t, 2 * u, 0 * u)


def coupling_gap(scale: Number, output: Number, norm: Number, total: Number) -> Number:
    """What other latents and the latent itself add to one sample's gradient, at most: a (|phi| + |x|) S.

    The loss |x - a sum_k w_k phi_k|² / 2 with unit w has -dL/dw = a (g(u) x - r). Where w fires |r| is at most this,
    elsewhere r = 0; over samples the bounds average.

    Args:
        scale: a.
        output: |phi| of this latent.
        norm: |x|.
        total: S = sum of |phi_k| over all latents, this one included.

    Source: ours; r = phi x_hat + <w, x_hat> x with |x_hat| <= a S. Units of x squared.
    """
    return scale * (output + norm) * total


def upper_exponents(s: Number, eps: Number = 0) -> tuple[Number, Number]:
    """Least exponents e of p = n^-e that the theorem allows: (1 + 1/s) / 2 and 2 (1 + eps)² / s.

    The first keeps the gradient of n - 1 wrong features down, the second keeps pairs of features from firing a latent.

    Source: Chen et al. (2025), theorem 6.1, as reported.
    """
    return (1 + 1 / s) / 2, 2 * (1 + eps) ** 2 / s


def window(s: Number, eps: Number = 0, *, ops: Ops = FLOAT) -> Number:
    """Length of the theorem's window of exponents of p, whose other end is 1; no window where it is <= 0.

    Source: ours, from `upper_exponents`; above 0 just where s > 2 (1 + eps)².
    """
    return 1 - ops.larger(*upper_exponents(s, eps))


class FrequencyLimits(NamedTuple):
    """Ends of the theorem's window of p, up to constants."""

    lower: Number
    """1 / n"""
    wrong_features: Number
    """n^(-(1 + 1/s) / 2)"""
    pairs: Number
    """n^(-2 (1 + eps)² / s)"""
    dimension: Number
    """d^(1 - varsigma) / n: each step must turn a latent"""


def frequency_limits(
    n: Number, d: Number, s: Number, *, eps: Number = 0, varsigma: Number = 0, ops: Ops = FLOAT
) -> FrequencyLimits:
    """Lower limit of p and its three upper ones.

    Source: Chen et al. (2025), theorem 6.1, as reported; constants left out.
    """
    wrong, pairs = (ops.exp(-e * ops.log(n)) for e in upper_exponents(s, eps))
    return FrequencyLimits(1 / n, wrong, pairs, ops.exp((1 - varsigma) * ops.log(d)) / n)


def width(n: Number, p: Number, s: Number, *, eps: Number = 0, ops: Ops = FLOAT) -> Number:
    """Latents the theorem asks for: n p^(-s / (1 - eps)²).

    Source: Chen et al. (2025), theorem 6.1, as reported; constants left out.
    """
    return n * ops.exp(-s / (1 - eps) ** 2 * ops.log(p))


def width_exponent(s: Number) -> Number:
    """Least w such that the window asks for n^w latents: (s + 3) / 2, its upper end at eps = 0.

    Source: ours, `width` at n^(-(1 + 1/s) / 2).
    """
    return (s + 3) / 2


def orthant_exponent(s: Number) -> Number:
    """Exponent e for which P(Z_1 > t, Z_2 > t) = p^(e + o(1)), normals of correlation 1/s: 2 / (1 + 1/s).

    Two samples that share one of s features have this correlation.

    Source: ours.
    """
    return 2 / (1 + 1 / s)


def gaussian_tail(t: Number, *, ops: Ops = FLOAT) -> Number:
    """P(N(0, 1) > t), the rate at which a random unit latent fires at threshold t. Source: definition."""
    return ops.erfc(t / ops.sqrt(ops.num("2"))) / 2


def threshold_advantage(s: Number, t: Number, *, ops: Ops = FLOAT) -> Number:
    """Initial <w, v_i> at which feature i alone fires a latent, one of s with value 1 / sqrt(s): sqrt(s) t.

    Source: ours; rows v_i and latents scaled so that <w, v_i> is N(0, 1).
    """
    return ops.sqrt(s) * t
