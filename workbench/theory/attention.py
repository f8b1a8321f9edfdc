"""SAEs on attention outputs: attribution to heads and sources, shares of decoder rows, what W_O changes.

Notation: z is the concatenation over heads of z_h(t) = sum_s A_h(t, s) v_h(s), attention patterns A_h held fixed;
pre = <z - b_dec, w> + b_enc for the encoder's column w of one latent; blocks of a vector are its entries by head.

Source: Kissane et al. (2024), arXiv 2406.17759, where marked; the rest is ours.
"""

import math
from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Row = Sequence[Number]


def source_part(weight: Number, value: Row, column: Row) -> Number:
    """What a source adds to a pre-activation through a head: A_h(t, s) <v_h(s), w_h>. Source: Kissane et al. (2024)."""
    return weight * sum(a * b for a, b in zip(value, column, strict=True))


def head_part(weights: Row, values: Sequence[Row], column: Row) -> Number:
    """Direct feature attribution (DFA) of a head, <z_h, w_h>, the sum over sources. Source: Kissane et al. (2024)."""
    return sum(source_part(a, v, column) for a, v in zip(weights, values, strict=True))


def constant_part(b_enc: Number, b_dec: Row, column: Row) -> Number:
    """What no head adds: b_enc - <b_dec, w>, w whole. Source: ours, expand."""
    return b_enc - sum(a * b for a, b in zip(b_dec, column, strict=True))


def ablation_effect(pre: Number, part: Number, *, ops: Ops = FLOAT) -> Number:
    """By how much f = max(pre, 0) falls when a part of pre is taken away; of an active latent min(part, f).

    For TopK as well, as long as the set of kept latents stays.

    Source: ours; Kissane et al. (2024) take the part itself.
    """
    zero = ops.num("0")
    return ops.larger(pre, zero) - ops.larger(pre - part, zero)


def head_share(blocks: Sequence[Row], *, ops: Ops = FLOAT) -> list[Number]:
    """Norms of a decoder row's blocks over their sum. Source: Kissane et al. (2024), weight-based head attribution."""
    norms = [ops.sqrt(sum(a * a for a in block)) for block in blocks]
    return [norm / sum(norms) for norm in norms]


def ranking_cosine(amplitude: Number, *, ops: Ops = FLOAT) -> Number:
    """Cosine to a planted direction above which a decoder row's shares rank its writers first: sqrt(1 - a² / 2).

    The least c for which c a >= sqrt(1 - c²) sqrt(2 - a²): off the direction V, the unit vector that lowers one
    writer's block and raises another head's by most is worth sqrt(2 - a²). Tight.

    Args:
        amplitude: a, the least norm of a writer's block in V, |V| = 1; in (0, 1].
        ops: the number system.

    Source: ours.
    """
    return ops.sqrt(1 - amplitude**2 / 2)


def output_error(residual: Row, W: Sequence[Row]) -> Number:
    """|r W|² = sum_ij r_i (W W^T)_ij r_j: squared error on z W of a dictionary that leaves r of z. Source: ours."""
    size = range(len(residual))
    gram = [[sum(a * b for a, b in zip(W[i], W[j], strict=True)) for j in size] for i in size]
    return sum(residual[i] * gram[i][j] * residual[j] for i in size for j in size)


def error_ratio(condition: Number) -> Number:
    """Largest factor by which |r W|² / |r|² differs between two residuals: cond(W)². Source: ours, singular values.

    Of two dictionaries whose errors on z differ by more, W cannot exchange the order.
    """
    return condition**2


def one_role_chance(sizes: Sequence[int], count: int = 10, *, sure: int = 0, ops: Ops = FLOAT) -> Number:
    """P(the `count` latents of largest share are of one role): sum_r C(n_r, c) / C(n, c), n = sum n_r.

    Args:
        sizes: n_r, latents of each role that compete for the places, their shares in random order.
        count: c, latents read; at most n + sure.
        sure: latents of the first role above all these: c - sure places are left, for its others alone.
        ops: the number system.

    Source: ours, the hypergeometric law; the rule of ten is that of Kissane et al. (2024).
    """
    left = max(count - sure, 0)
    ways = math.comb(sizes[0], left) if sure else sum(math.comb(n, left) for n in sizes)
    return ops.num(f"{ways}/{math.comb(sum(sizes), left)}")
