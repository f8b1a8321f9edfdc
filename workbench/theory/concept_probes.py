"""What probes, directions and latents can say of a concept: losses, first orders, ranks, steering.

Notation: a binary concept with probability p in a context; a logit t says sigmoid(t). All logarithms are natural.

Source: Liu et al. (2025), arXiv 2503.08980, and their public code, as reported by readers; or ours, as marked.
"""

from collections.abc import Sequence

from workbench.theory.ops import FLOAT, Number, Ops

Row = Sequence[Number]


def log_loss(t: Number, p: Number, *, ops: Ops = FLOAT) -> Number:
    """E[-log q(c)] of a logit: log(1 + e^t) - p t, nats; convex in t, least at t = log p / (1 - p).

    Source: definition of logistic loss.
    """
    return ops.log(1 + ops.exp(t)) - p * t


def entropy(p: Number, *, ops: Ops = FLOAT) -> Number:
    """H(c|s) of one context, nats: no prediction from the context has a smaller expected log-loss.

    Source: Shannon (1948).
    """
    return -p * ops.log(p) - (1 - p) * ops.log(1 - p)


def products(differences: Sequence[Row], x: Row) -> list[Number]:
    """(u_j - u_0) . x for each token but the first: all that softmax sees of x. Source: definition."""
    return [sum(a * b for a, b in zip(row, x, strict=True)) for row in differences]


def change_rank(values: int, *, revealing: bool) -> int:
    """Dimension of the activations' changes under evidence on one concept of so many values.

    values - 1 where tokens reveal configurations; values where each value has a token and p(c|s) factorises, for the
    log-normaliser of the concept's own posterior moves too.

    Source: ours; Liu et al. (2025), corollary 4.2, has n_k columns, as reported by readers.
    """
    return values - 1 if revealing else values


def pull(labels: Row, values: Row) -> Number:
    """sum_i (y_i - mean y) x_i of one coordinate: the direction of a logistic fit as its inverse penalty C goes to 0.

    It is n_1 n_0 / n times the difference of class means, for any labels whatever.

    Source: ours; the slope of the loss at w = 0 with a free intercept.
    """
    mean = sum(labels) / len(labels)
    return sum((y - mean) * x for y, x in zip(labels, values, strict=True))


def steered(posterior: Row, has: Sequence[bool], factor: Number) -> list[Number]:
    """p(c) after the log-posterior of every c with c_k = 1 is raised by log factor: odds of c_k times factor.

    p(c_-k | c_k) stays; marginals of other concepts stay only where they are independent of c_k.

    Source: ours, of the steering test of linear concept directions.
    """
    raised = [p * factor if one else p for p, one in zip(posterior, has, strict=True)]
    total = sum(raised)
    return [p / total for p in raised]


def factored(left2: Number, right2: Number) -> Number:
    """(|P|_F^2 + |Q|_F^2) / 2 >= |PQ|_*, from squared norms. Source: Srebro, Rennie, Jaakkola (2004)."""
    return (left2 + right2) / 2
