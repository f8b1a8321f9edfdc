"""Next-token prediction over latent discrete concepts: what log p(y|s) is linear in, and what is left over.

Notation: context s, next token y, configuration c of the concepts; given c, s and y are independent. One token and one
context at a time: `posterior` are the p(c|s), `emission` the p(y|c), `weights` the p(c|y) or any other distribution;
sequences run over configurations.

Source: Liu et al. (2025), arXiv 2503.08980, as reported by its readers; exact forms are ours.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Row = Sequence[Number]


def mean_log(weights: Row, values: Row, *, ops: Ops = FLOAT) -> Number:
    """sum_c w_c log v_c over the c with w_c > 0: linear in log-posteriors where v are those.

    Source: definition.
    """
    return sum(w * ops.log(v) for w, v in zip(weights, values, strict=True) if _there(w))


def kappa(weights: Row, emission: Row, *, ops: Ops = FLOAT) -> Number:
    """What of log p(y|s) does not depend on s: sum_c w_c log p(y|c) plus the entropy of w, nats.

    Source: ours, term of the identity DC-1.
    """
    return mean_log(weights, emission, ops=ops) - mean_log(weights, weights, ops=ops)


def divergence(weights: Row, other: Row, *, ops: Ops = FLOAT) -> Number:
    """KL(w || other) = sum_c w_c log(w_c / other_c), nats. Source: Kullback and Leibler (1951)."""
    return mean_log(weights, weights, ops=ops) - mean_log(weights, other, ops=ops)


def given_token(posterior: Row, emission: Row) -> list[Number]:
    """p(c|s, y), by Bayes. Source: conditional independence of s and y given c."""
    both = [p * e for p, e in zip(posterior, emission, strict=True)]
    total = sum(both)
    return [b / total for b in both]


def log_prediction(weights: Row, posterior: Row, emission: Row, *, ops: Ops = FLOAT) -> Number:
    """log p(y|s) in three parts: linear in log p(c|s), constant in s, and KL(w || p(c|s, y)), nats.

    log p(y|s) = sum_c w_c log p(c|s) + kappa_y + KL(w || p(.|s, y)) for every distribution w; p(c|y) is the paper's.

    Source: ours; p(y|s) = p(y|c) p(c|s) / p(c|s, y) for each c, logarithms, mean under w.
    """
    rest = divergence(weights, given_token(posterior, emission), ops=ops)
    return mean_log(weights, posterior, ops=ops) + kappa(weights, emission, ops=ops) + rest


def difference(one: Row, other: Row) -> list[Number]:
    """A column of the diversity matrix L: p(c|y_j) - p(c|y_0). Its sum is 0.

    Source: Liu et al. (2025), diversity condition, as reported by readers.
    """
    return [a - b for a, b in zip(one, other, strict=True)]


def largest_rank(configurations: int) -> int:
    """The largest rank that L can have: l - 1, for its columns sum to 0. Source: ours."""
    return configurations - 1


def event_prediction(share: Number, posterior: Row, *, ops: Ops = FLOAT) -> Number:
    """log p(y|s) of a token that means an event: p(y|c) = share on it, else 0; `posterior` is p(c|s) on the event.

    log share + log p(E_y|s): one configuration, one value of a concept, or any set.

    Source: ours; marginals: Liu et al. (2026), arXiv 2601.20420, as reported by readers.
    """
    return ops.log(share) + ops.log(sum(posterior))


def log_odds(posterior: Row, has: Sequence[bool], *, ops: Ops = FLOAT) -> Number:
    """log p(c_k = 1|s) / p(c_k = 0|s), `has` telling where c_k = 1. Source: definition."""
    pairs = list(zip(posterior, has, strict=True))
    return ops.log(sum(p for p, one in pairs if one)) - ops.log(sum(p for p, one in pairs if not one))


def weak_remainder(eta: Number) -> Number:
    """Largest |log(1 + u) - u| for |u| <= eta < 1: eta^2 / (2 (1 - eta)).

    What log p(y|s) of weak tokens has beyond log q_y + eta sum_c r_cy p(c|s). Source: ours, the logarithm's series.
    """
    return eta * eta / (2 * (1 - eta))


def coarse_divergence(weight: Number, share: Number, *, ops: Ops = FLOAT) -> Number:
    """KL of (weight, 1 - weight) from (share, 1 - share): what merging all other configurations leaves, nats.

    At most KL(w || p(.|s, y)) with w_c* = weight and p(c*|s, y) = share; grows as (1 - weight) log 1/(1 - share).

    Source: ours; data processing, Kullback and Leibler (1951).
    """
    return divergence([weight, 1 - weight], [share, 1 - share], ops=ops)


def leak_shift(eps: Number, posterior: Number) -> Number:
    """Most that a leak adds to log p(y|s) beyond log((1 - eps) p(c(y)|s)): eps / ((1 - eps) p(c(y)|s)), nats.

    Small only where eps << p(c|s) for the least likely configuration that matters. Source: ours, log(1 + u) <= u.
    """
    return eps / ((1 - eps) * posterior)


def _there(weight: Number) -> bool:
    """Whether a weight is not the number 0; symbols count as above it."""
    return not (isinstance(weight, int | float) and weight == 0)
