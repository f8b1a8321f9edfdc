"""What parts and trainers of later SAEs promise: selections, penalties, prefixes, alignment, dense parts, hulls, Adam.

Notation: rows d_i of the decoder, e_i of the encoder, codes f, a sample x, its target y, a dense map W beside codes.
Adam is written for one parameter and a rate of 1: a step of it moves the parameter by minus the rate times the step.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Row = Sequence[Number]
Matrix = Sequence[Row]


def group_max(pre: Row, groups: int, *, ops: Ops = FLOAT) -> list[Number]:
    """GroupMax: the largest of each of `groups` neighbouring groups of equal size, 0 for the others.

    Args:
        pre: rectified; the part `GroupMax` rectifies what it keeps, which comes to the same.
        groups: of equal size.
        ops: number system.

    Source: sparsify (EleutherAI), `fused_encoder` with "groupmax". Of equals the first stays.
    """
    size = len(pre) // groups
    latents = []
    for start in range(0, len(pre), size):
        group = pre[start : start + size]
        for i, value in enumerate(group):
            left = value
            for j, other in enumerate(group):
                if j != i:
                    left = ops.where(value > other if j < i else value >= other, left, ops.num("0"))
            latents.append(left)
    return latents


def kept_share(groups: Number, features: Number) -> Number:
    """Expected share of features that GroupMax keeps, each in a group of its own draw: k (1 - (1 - 1/k)^n) / n.

    Args:
        groups: k, all equally likely.
        features: n, drawn independently.

    Source: ours; a group is empty with probability (1 - 1/k)^n, and every other group keeps one feature.
    """
    return groups * (1 - (1 - 1 / groups) ** features) / features


def share_range(groups: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """What `kept_share` of as many features as groups lies between: 1 - 1/e and 1 - (1 - 1/k)/e.

    Source: ours, -t/(1 - t) <= log(1 - t) <= -t at t = 1/k.
    """
    inverse = ops.exp(ops.num("-1"))
    return 1 - inverse, 1 - (1 - 1 / groups) * inverse


def kept_of_slots(groups: Number, size: Number, features: int) -> Number:
    """`kept_share` for features in distinct latents: k (1 - prod_{i<n} ((k - 1) g - i) / (k g - i)) / n.

    Args:
        groups: k.
        size: g, latents a group; m = k g.
        features: n, at most m; all sets of n latents are equally likely.

    Source: ours; a given group is missed by all of n draws without replacement. At least `kept_share`, its limit as g
    grows.
    """
    missed = math.prod(((groups - 1) * size - i) / (groups * size - i) for i in range(features))
    return groups * (1 - missed) / features


def all_kept(groups: int) -> Number:
    """Probability that k features in k groups of independent draws are all kept: k! / k^k. Source: definition."""
    return math.prod(i / groups for i in range(1, groups + 1))


def orthogonality_penalty(products: Matrix, *, ops: Ops = FLOAT) -> Number:
    """OrtSAE's penalty on one chunk: the mean over rows of the largest squared cosine with another row.

    Args:
        products: cosines of all pairs; the diagonal is not read.
        ops: number system.

    Source: Korznikov et al. (2025), arXiv 2509.22033, as reported by readers.
    """
    return redrawn_penalty(products, len(products), ops=ops)


def redrawn_penalty(products: Matrix, size: int, *, ops: Ops = FLOAT) -> Number:
    """Expected `orthogonality_penalty` of a chunk of `size` of the rows, at least 2, that is drawn anew.

    Source: ours; the others in a row's chunk are any size - 1 of the m - 1 others, equally likely.
    """
    total, count = 0, 0
    for i, row in enumerate(products):
        for others in itertools.combinations([g * g for j, g in enumerate(row) if j != i], size - 1):
            largest = others[0]
            for square in others[1:]:
                largest = ops.larger(largest, square)
            total, count = total + largest, count + 1
    return total / count


def pairs_penalty(products: Matrix) -> Number:
    """Mean squared cosine of all pairs of distinct rows.

    Source: the frame potential of Benedetto and Fickus (2003) without its diagonal; at least Welch's square.
    """
    m = len(products)
    return sum(products[i][j] ** 2 for i in range(m) for j in range(m) if i != j) / (m * (m - 1))


def prefix_errors(f: Row, x: Row, rows: Matrix) -> list[Number]:
    """Squared errors |x - sum_{i<=k} f_i d_i|² of the prefixes k = 0..K of a code in its own order.

    Source: HierarchicalTopK, arXiv 2505.24473, as reported by readers: its loss is the mean over k = 1..K.
    """
    left, errors = list(x), [sum(v * v for v in x)]
    for value, row in zip(f, rows, strict=True):
        left = [a - value * b for a, b in zip(left, row, strict=True)]
        errors.append(sum(v * v for v in left))
    return errors


def prefix_drop(f: Number, product: Number, d2: Number) -> Number:
    """What one more latent takes off the squared error: f (2 <r, d> - f |d|²).

    Args:
        f: its coefficient.
        product: <r, d>, the row's product with what the earlier latents leave.
        d2: |d|².

    Source: ours, expand |r - f d|². For f > 0 it is at least 0 just if f |d|² <= 2 <r, d>.
    """
    return f * (2 * product - f * d2)


def aligned(u: Row, d: Row) -> list[Number]:
    """The encoder row u + (1 - <u, d>) d / |d|², whose product with d is 1 whatever u is.

    Source: aligned SAE, arXiv 2605.18629, as reported by readers: for unit d.
    """
    share = (1 - _dot(u, d)) / _dot(d, d)
    return [a + share * b for a, b in zip(u, d, strict=True)]


def alone(x: Row, e: Row, d: Row, bias: Number = 0, *, ops: Ops = FLOAT) -> list[Number]:
    """What one latent returns by itself: max(<x, e> + b, 0) d. Source: definition of a ReLU latent."""
    f = ops.larger(_dot(x, e) + bias, ops.num("0"))
    return [f * value for value in d]


def alone_error(x2: Number, alignment: Number, *, ops: Ops = FLOAT) -> Number:
    """Squared error of one latent by itself on a feature along its row: |x|² (1 - max(a, 0))².

    Args:
        x2: |x|², x = c d with c >= 0.
        alignment: a = <e, d>.
        ops: number system.

    Source: ours.
    """
    return x2 * (1 - ops.larger(alignment, ops.num("0"))) ** 2


def dense_floor(residual2: Number, squares: Row, rank: int) -> Number:
    """Least |R - X B|² over B of rank at most r: |R|² less the r largest squared singular values of R's part in X.

    Args:
        residual2: |R|², R what the sparse part leaves.
        squares: squared singular values, from largest to smallest, of the projection of R onto the columns of X.
        rank: r.

    Source: Izenman (1975), reduced-rank regression; Eckart and Young (1936) on the projection.
    """
    return residual2 - sum(squares[:rank])


def reduced_rank(coefficients: Matrix, directions: Matrix) -> list[list[Number]]:
    """Coefficients of a regression, their outputs kept in the span of orthonormal directions: B sum v v^T.

    Source: Izenman (1975), with the first right singular vectors of the fitted values for directions.
    """
    made = []
    for row in coefficients:
        along = [_dot(row, v) for v in directions]
        made.append([sum(a * v[c] for a, v in zip(along, directions, strict=True)) for c in range(len(row))])
    return made


def off_span(z: Row, basis: Matrix) -> list[Number]:
    """What an orthonormal basis leaves of a vector over samples: z - sum <q, z> q. Source: least squares."""
    left = list(z)
    for q in basis:
        along = _dot(q, z)
        left = [a - along * b for a, b in zip(left, q, strict=True)]
    return left


def transcoder_loss(y: Row, x: Row, skip: Matrix, sparse: Row) -> Number:
    """|y - x W - s|² of one sample, s the sparse part f D.

    Source: skip transcoder, Paulo, Shabalin and Belrose (2025), arXiv 2501.18823, as reported by readers.
    """
    dense = [sum(a * row[c] for a, row in zip(x, skip, strict=True)) for c in range(len(y))]
    return sum((a - b - s) ** 2 for a, b, s in zip(y, dense, sparse, strict=True))


def hull_row(weights: Row, data: Matrix) -> list[Number]:
    """A row as a mixture of data, sum_n a_n x_n.

    Source: archetypal SAE, Fel et al. (2025), arXiv 2502.12892, as reported by readers.
    """
    return [sum(a * x[c] for a, x in zip(weights, data, strict=True)) for c in range(len(data[0]))]


def hull_spread(weights: Row, data: Matrix) -> Number:
    """By how much a mixture is shorter than what it mixes: sum_n a_n |x_n - d|², d the mixture.

    Source: the law of total variance; |d|² = sum_n a_n |x_n|² less it where the weights sum to 1.
    """
    row = hull_row(weights, data)
    return sum(a * sum((p - q) ** 2 for p, q in zip(x, row, strict=True)) for a, x in zip(weights, data, strict=True))


def hull_bound(largest: Number, relaxation: Number) -> Number:
    """Largest norm of a row in the hull of data plus a free part: max |x_n| + |free part|. Source: ours, convexity."""
    return largest + relaxation


def adam_moments(m: Number, v: Number, g: Number, beta1: Number, beta2: Number) -> tuple[Number, Number]:
    """Adam's running means of gradients and of their squares after one more. Source: Kingma and Ba (2015)."""
    return beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g


def adam_step(m: Number, v: Number, seen1: Number, seen2: Number, eps: Number = 0, *, ops: Ops = FLOAT) -> Number:
    """One step at a rate of 1: (m / seen1) / (sqrt(v / seen2) + eps).

    Args:
        m: running mean of gradients.
        v: of their squares.
        seen1: 1 - beta1^t, the weight of the gradients so far.
        seen2: 1 - beta2^t.
        eps: added to the root.
        ops: number system.

    Source: Kingma and Ba (2015), algorithm 1.
    """
    return m / seen1 / (ops.sqrt(v / seen2) + eps)


def adam_steps(
    gradients: Row, beta1: Number, beta2: Number, eps: Number = 0, m: Number = 0, *, ops: Ops = FLOAT
) -> Iterator[Number]:
    """The steps for gradients one after the other, at a rate of 1; `m` is 0 in Adam. Source: Kingma and Ba (2015)."""
    v = 0
    for t, g in enumerate(gradients, 1):
        m, v = adam_moments(m, v, g, beta1, beta2)
        yield adam_step(m, v, 1 - beta1**t, 1 - beta2**t, eps, ops=ops)


def adam_square(t: int, beta1: Number, beta2: Number) -> Number:
    """Largest square of Adam's t-th step at a rate of 1, over all gradients.

    (1 - b1)² (1 - b2^t) / ((1 - b1^t)² (1 - b2)) sum_{j<t} (b1² / b2)^j, met by gradients that grow by b2 / b1 a step
    (0 before the last where b1 = 0).

    Source: ours, Cauchy and Schwarz on the weights of the two running means.
    """
    grown = sum((beta1 * beta1 / beta2) ** j for j in range(t))
    return (1 - beta1) ** 2 * (1 - beta2**t) / ((1 - beta1**t) ** 2 * (1 - beta2)) * grown


def adam_square_limit(beta1: Number, beta2: Number) -> Number:
    """Supremum of `adam_square` over t: (1 - b1)² b2 / ((1 - b2) (b2 - b1²)), its limit.

    Source: ours, (1 - a)(1 - b) <= (1 - sqrt(a b))². Fails when: b1² >= b2; then steps have no bound.
    """
    return (1 - beta1) ** 2 * beta2 / ((1 - beta2) * (beta2 - beta1 * beta1))


def log_factor(moved: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """Least and largest factor of a threshold whose logarithm has moved by at most `moved`. Source: definition."""
    return ops.exp(-moved), ops.exp(moved)


def adam_reported_bound(beta1: Number, beta2: Number, *, ops: Ops = FLOAT) -> Number:
    """The bound on a step that is commonly cited: (1 - b1) / sqrt(1 - b2) where that is above 1, else 1.

    Source: Kingma and Ba (2015), section 2.1, as cited. Too small: see `adam_square_limit`.
    """
    return ops.larger(ops.num("1"), (1 - beta1) / ops.sqrt(1 - beta2))


def _dot(a: Row, b: Row) -> Number:
    return sum(p * q for p, q in zip(a, b, strict=True))
