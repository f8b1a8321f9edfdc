"""The top-AFA rule: keep the k* largest contributions whose norm comes nearest to a target tau.

Notation: a_1 >= a_2 >= ... >= 0 are contributions latent times row norm, C_k = sqrt(a_1² + ... + a_k²).

Source: Lee et al. (2025), arXiv 2503.24277, for the rule; its properties are ours.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops


def prefix_norms(contributions: Sequence[Number], *, ops: Ops = FLOAT) -> list[Number]:
    """C_1, C_2, ... of contributions in falling order. Source: definition."""
    norms, square = [], 0
    for value in contributions:
        square = square + value * value
        norms.append(ops.sqrt(square))
    return norms


def nearest_prefix(norms: Sequence[Number], tau: Number, *, ops: Ops = FLOAT) -> Number:
    """k* = the first k with the least |C_k - tau|, at least 1. Source: Lee et al. (2025), reference code."""
    best, least = 1, ops.abs(norms[0] - tau)
    for k, norm in enumerate(norms[1:], 2):
        gap = ops.abs(norm - tau)
        closer = gap < least
        best, least = ops.where(closer, k, best), ops.where(closer, gap, least)
    return best


def half_gap(below: Number, above: Number) -> Number:
    """Largest ||f| - tau| after selection, for C_j = below <= tau <= above = C_{j+1}. Source: ours."""
    return (above - below) / 2


def half_gap_bound(first: Number, second: Number, *, ops: Ops = FLOAT) -> Number:
    """Bound on every half gap from the two largest contributions: a_2² / (2 (C_1 + C_2)), itself at most a_2 / 4.

    Source: ours; C_{j+1} - C_j = a_{j+1}² / (C_j + C_{j+1}).
    """
    return second * second / (2 * (first + ops.sqrt(first * first + second * second)))


def exact_count_above(before: Number, full: Number) -> Number:
    """The tau above which the rule keeps all K entries of a true code: (C_{K-1} + C_K) / 2, K >= 2.

    At this very tau both prefixes are equally near and the first, K - 1, is kept.

    Source: ours.
    """
    return (before + full) / 2


def missed_at_most(h2: Number, tau2: Number, least2: Number, *, ops: Ops = FLOAT) -> Number:
    """Bound on K - k*, the true entries the rule drops: 1 + max(0, |h|² - tau²) / min h_i². Source: ours.

    Strict. C_{k*+1} > tau, so the entries after it carry less than |h|² - tau².
    """
    return 1 + ops.larger(ops.num("0"), h2 - tau2) / least2


def norm_loss_bound(below: Number, above: Number, bias: Number) -> Number:
    """Largest ||f| - |x|| after selection with tau = |x - b|: half gap + |b|, where C_j <= tau <= C_{j+1}.

    Source: ours, triangle inequality. Fails when: the layer is saturated (tau above all contributions together).
    """
    return half_gap(below, above) + bias


def norm_loss_gradient(f: Sequence[Number], x_norm: Number, *, ops: Ops = FLOAT) -> list[Number]:
    """Gradient in f of (|f| - |x|)²: 2 (|f| - |x|) f / |f|, radial. It rescales active latents and chooses none.

    Source: ours.
    """
    norm = ops.sqrt(sum(value * value for value in f))
    return [2 * (norm - x_norm) * value / norm for value in f]


def tied_energy_range(lowest: Number, highest: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """Range of C_K / tau for contributions a = G_S h of a true code: square roots of G_S's extreme eigenvalues.

    Source: ours; C_K² / tau² = h G_S² h^T / h G_S h^T.
    """
    return ops.sqrt(lowest), ops.sqrt(highest)


def initial_energy(x2: Number, m: Number, limit: Number) -> Number:
    """E|relu(x W)|² for W of m columns with entries uniform on +-limit: m limit² / 6 |x|².

    It is |x|² at Kaiming's limit sqrt(6 / m), so about half of all inputs start saturated: the starting density of
    top-AFA is an artefact of its initialisation.

    Source: ours; symmetry halves E(x w)² = |x|² limit² / 3.
    """
    return m * limit * limit / 6 * x2


def sign_split(z: Number, *, ops: Ops = FLOAT) -> tuple[Number, Number]:
    """relu(z) and relu(-z): the latents of z under the encoder [A, -A].

    They give back z and its square, so [A, -A] with orthogonal A reconstructs every x with |f| = |x|: the trivial
    optimum of the top-AFA objective.

    Source: ours.
    """
    zero = ops.num("0")
    return ops.larger(z, zero), ops.larger(-z, zero)


def standardised_norm(d: Number, sd: Number, eps: Number, *, ops: Ops = FLOAT) -> Number:
    """|x| of an input standardised over its d entries: sqrt(d - 1) s / (s + eps), the same for every input as eps -> 0.

    Args:
        d: entries.
        sd: unbiased standard deviation s of the raw entries.
        eps: added to s before dividing.

    Source: ours; Lee et al. (2025) train on inputs standardised so, with eps 1e-5.
    """
    return ops.sqrt(d - 1) * sd / (sd + eps)
