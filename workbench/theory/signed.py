"""Activations as proximal maps, and what one proximal gradient step recovers.

Notation: pre-activations u in R^m, latents z, unit rows w_j of the dictionary W in R^{m x d},
prox_R(u) = argmin_z |z - u|²/2 + R(z); L the largest eigenvalue of W W^T, mu the coherence of W.

Source: Zhu, Khalili, Zhu (2025), arXiv 2510.00404 ("AbsTopK paper") where marked; the rest is ours.
"""

from collections.abc import Sequence

from workbench.theory.coherence import square_norm
from workbench.theory.ops import FLOAT, Number, Ops


def proximal_objective(u: Number, z: Number, penalty: Number) -> Number:
    """(z - u)²/2 + R(z), which the proximal map minimises over z. Source: definition (Moreau 1962)."""
    return (z - u) * (z - u) / 2 + penalty


def soft_threshold(u: Number, lam: Number, *, ops: Ops = FLOAT) -> Number:
    """The map of lam |z|: sign(u) max(|u| - lam, 0). Source: AbsTopK paper, lemma 1; classical."""
    return ops.larger(u - lam, ops.num("0")) - ops.larger(-u - lam, ops.num("0"))


def shifted_relu(u: Number, lam: Number, *, ops: Ops = FLOAT) -> Number:
    """The map of lam |z| over z >= 0: max(u - lam, 0), a ReLU with its bias. Source: AbsTopK paper, lemma 1."""
    return ops.larger(u - lam, ops.num("0"))


def l0_cut(lam: Number, *, ops: Ops = FLOAT) -> Number:
    """Size above which u²/2 exceeds the price lam of a nonzero: sqrt(2 lam). Source: AbsTopK paper, lemma 1."""
    return ops.sqrt(2 * lam)


def hard_threshold(u: Number, lam: Number, *, ops: Ops = FLOAT) -> Number:
    """The map of lam 1[z != 0]: u where |u| > sqrt(2 lam), else 0; at equality 0 and u are both minimisers.

    Source: AbsTopK paper, lemma 1.
    """
    return ops.where(ops.abs(u) > l0_cut(lam, ops=ops), u, ops.num("0"))


def jump(u: Number, lam: Number, *, ops: Ops = FLOAT) -> Number:
    """The map of lam 1[z != 0] over z >= 0: JumpReLU with threshold sqrt(2 lam). Source: AbsTopK paper, lemma 1."""
    return ops.where(u > l0_cut(lam, ops=ops), u, ops.num("0"))


def abs_top_k(u: Sequence[Number], k: int, *, ops: Ops = FLOAT) -> list[Number]:
    """The map of "at most k nonzeros": the k entries of largest size with their signs; of equal ones the first.

    Source: AbsTopK paper, lemma 1; hard thresholding, Blumensath and Davies (2009).
    """
    size = [ops.abs(value) for value in u]
    return [ops.where(_rank(size, i, ops) < k, u[i], ops.num("0")) for i in range(len(u))]


def top_k(u: Sequence[Number], k: int, *, ops: Ops = FLOAT) -> list[Number]:
    """The map of "at most k nonzeros, none below 0": ReLU, then the k largest. Source: AbsTopK paper, lemma 1."""
    return abs_top_k([ops.larger(value, ops.num("0")) for value in u], k, ops=ops)


def gradient_mask(u: Sequence[Number], k: int, *, ops: Ops = FLOAT) -> list[Number]:
    """How `abs_top_k` moves with u, entry by entry: 1 where kept, whatever the sign, else 0.

    TopK's is 0 at an entry below 0 besides. Source: ours, derivative away from ties.
    """
    size, one, none = [ops.abs(value) for value in u], ops.num("1"), ops.num("0")
    return [ops.where(_rank(size, i, ops) < k, one, none) for i in range(len(u))]


def _rank(size: Sequence[Number], i: int, ops: Ops) -> Number:
    """How many entries come before entry i, from the largest on."""
    one, none, rank = ops.num("1"), ops.num("0"), ops.num("0")
    for j, other in enumerate(size):
        if j != i:
            rank = rank + ops.where(other >= size[i] if j < i else other > size[i], one, none)
    return rank


def lone_coefficient(product: Number, square: Number) -> Number:
    """The t that brings t w nearest to x, from <w, x> and |w|²: <w, x> / |w|². Source: least squares."""
    return product / square


def lone_error(x2: Number, product: Number, square: Number) -> Number:
    """|x - t w|² there: |x|² - <w, x>² / |w|². Source: Pythagoras."""
    return x2 - product * product / square


def lone_score(coefficient: Number, square: Number, *, ops: Ops = FLOAT) -> Number:
    """What the best single row is largest in: the size of what it adds, |t| |w|, which is |<w, x>| / |w|.

    By |<w, x>|, or by |t|, it is chosen where norms are equal.

    Source: ours; Mallat and Zhang (1993) take unit rows.
    """
    return ops.abs(coefficient) * ops.sqrt(square)


def gap_square(u: Sequence[Number], z: Sequence[Number]) -> Number:
    """|u - z|². Source: definition."""
    return square_norm([a - b for a, b in zip(u, z, strict=True)])


def error_square(x2: Number, u2: Number, gap2: Number) -> Number:
    """|x - zW|² for orthonormal rows: |x|² - |u|² + |u - z|², with u = x W^T.

    So what is nearer in latent space is nearer in x. Source: ours, Pythagoras. Fails when: rows overlap, as the rows
    of every overcomplete dictionary do.
    """
    return x2 - u2 + gap2


def support_floor(h: Number, l1: Number, mu: Number, *, ops: Ops = FLOAT) -> Number:
    """Least |u_i| of an active row with coefficient h, where u = hV V^T: |h| - mu (|h|_1 - |h|). Source: ours."""
    return ops.abs(h) - one_step_bias(h, l1, mu, ops=ops)


def rest_ceiling(l1: Number, mu: Number) -> Number:
    """Largest |u_j| of a row that is not active: mu |h|_1. Source: ours; Tropp (2004) for OMP."""
    return mu * l1


def one_step_bias(h: Number, l1: Number, mu: Number, *, ops: Ops = FLOAT) -> Number:
    """Largest |u_i - h_i|: mu (|h|_1 - |h_i|). A code of one step is not that of least squares. Source: ours."""
    return mu * (l1 - ops.abs(h))


def recoverable_ratio(mu: Number, *, ops: Ops = FLOAT) -> Number:
    """|h|_1 / min |h| below which one step finds the support: (1 + 1/mu) / 2; infinite at mu = 0.

    For equal sizes the ratio is k and the bound that of OMP (Tropp 2004); OMP's knows nothing of sizes. Sharp.

    Source: ours, from `support_floor` against `rest_ceiling`.
    """
    return (1 + ops.ratio(ops.num("1"), mu)) / 2


def recoverable_range(mu: Number, *, ops: Ops = FLOAT) -> Number:
    """Largest ratio of two coefficients that one step finds in every dictionary of coherence mu: (1/mu - 1) / 2.

    Source: ours, `recoverable_ratio` of k = 2.
    """
    return recoverable_ratio(mu, ops=ops) - 1


def coding_loss(z: Sequence[Number], x: Sequence[Number], rows: Sequence[Sequence[Number]]) -> Number:
    """F(z) = |x - zW|²/2. Source: definition."""
    return square_norm(_left(z, x, rows)) / 2


def coding_slope(z: Sequence[Number], x: Sequence[Number], rows: Sequence[Sequence[Number]]) -> list[Number]:
    """Gradient of F at z: (zW - x) W^T. Source: definition."""
    left = _left(z, x, rows)
    return [-sum(a * b for a, b in zip(left, row, strict=True)) for row in rows]


def _left(z: Sequence[Number], x: Sequence[Number], rows: Sequence[Sequence[Number]]) -> list[Number]:
    """What is left of x: x - zW."""
    return [x[c] - sum(value * row[c] for value, row in zip(z, rows, strict=True)) for c in range(len(x))]


def thresholded_step(
    z: Sequence[Number],
    x: Sequence[Number],
    rows: Sequence[Sequence[Number]],
    size: Number,
    k: int,
    *,
    ops: Ops = FLOAT,
) -> list[Number]:
    """One proximal gradient step of F under "at most k nonzeros": abs_top_k(z - size grad F).

    From z = 0 with size 1 it is the tied AbsTopK encoder without biases.

    Source: AbsTopK paper, unrolling; iterative hard thresholding, Blumensath and Davies (2009).
    """
    moved = [a - size * b for a, b in zip(z, coding_slope(z, x, rows), strict=True)]
    return abs_top_k(moved, k, ops=ops)


def step_gain(square: Number, curvature: Number, size: Number) -> Number:
    """Least fall of F in a step of this size from a k-sparse z: (1/size - L)/2 |z' - z|², at least 0 for size <= 1/L.

    Source: ours, majorise and minimise: F(z') <= Q(z') <= Q(z) = F(z) with Q's curvature 1/size in place of L.
    """
    return (1 / size - curvature) / 2 * square


def latents_for_axes(axes: Number, *, signed: bool) -> Number:
    """Latents for n axes that occur alone, with both signs and any size: n with signed codes, 2n with nonnegative ones.

    Source: ours, `claims/signed/two_latents_an_axis.py`. Fails when: an axis is always on with two values; the bias
    then takes up one of them.
    """
    return axes if signed else 2 * axes


def merged_pair(v: Sequence[Number], w: Sequence[Number], size: Number) -> tuple[list[Number], list[Number]]:
    """Bias and row with which one signed latent codes two exclusive features of one size, one of them always on.

    size v = bias + row, size w = bias - row: bias = size (v + w)/2, row = size (v - w)/2. Source: ours.
    """
    return [size * (a + b) / 2 for a, b in zip(v, w, strict=True)], [
        size * (a - b) / 2 for a, b in zip(v, w, strict=True)
    ]


def merged_cosine(product: Number, *, ops: Ops = FLOAT) -> Number:
    """|cos| of the merged row with either feature: sqrt((1 - <v, w>)/2); .71 for orthogonal ones. Source: ours."""
    return ops.sqrt((1 - product) / 2)


def bipolarity(positive: Number, negative: Number, *, ops: Ops = FLOAT) -> Number:
    """Share of a latent's firing that both signs have: 2 min(p+, p-) / (p+ + p-), in [0, 1]. Source: ours."""
    total, apart = positive + negative, ops.abs(positive - negative)
    return (total - apart) / total
