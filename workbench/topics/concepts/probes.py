"""Supervised extractors of a binary concept, fitted to the whole population: what any latent can at most say of it.

Every activation is a function of the context s, so that no extractor's log-loss is below the conditional entropy
H(c|s), in nats; a logistic probe reaches it exactly where the log-odds of c are affine in the activations.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from synthetic.concepts.model import ConceptModel

_STEPS = 200
"""of Newton's method, at most"""


def logistic(
    x: Float[Tensor, "*b s q"], p: Float[Tensor, " s"], weights: Float[Tensor, " s"], ridge: float = 0.0
) -> Float[Tensor, "*b q1"]:
    """Coefficients, intercept last, with the least sum_s weights (log-loss of p at the logit) + ridge |beta|^2 / 2.

    Args:
        x: regressors; leading axes are problems of their own.
        p: probabilities of the label 1 given the context, 0 or 1 where labels are known.
        weights: of the contexts, summing to 1.
        ridge: weight of the penalty, which leaves the intercept alone; in scikit-learn's terms 1 / (C n).

    Newton's method with halved steps; where the minimum is at infinity (separable labels, no ridge) it stops short.
    """
    z = torch.cat((x, torch.ones_like(x[..., :1])), -1)
    size = (weights @ z.square()).sqrt()
    size = torch.where(size > 0, size, 1.0)
    z = z / size[..., None, :]
    held = ridge / size.square()
    held[..., -1] = 0.0
    beta = torch.zeros_like(size)

    def value(at: Tensor) -> Tensor:
        t = (z @ at[..., None]).squeeze(-1)
        return (F.softplus(t) - p * t) @ weights + (held * at.square()).sum(-1) / 2

    now = value(beta)
    for _ in range(_STEPS):
        t = (z @ beta[..., None]).squeeze(-1)
        share = t.sigmoid()
        slope = z.mT @ (weights * (share - p))[..., None] + (held * beta)[..., None]
        bend = (z * (weights * share * t.neg().sigmoid())[..., None]).mT @ z + torch.diag_embed(held)
        step = (torch.linalg.pinv(bend, hermitian=True, rtol=1e-14) @ slope).squeeze(-1)
        length, worse = torch.ones_like(now), torch.zeros_like(now, dtype=torch.bool)
        for _ in range(30):
            worse = value(beta - length[..., None] * step) > now
            if not bool(worse.any()):
                break
            length = torch.where(worse, length / 2, length)
        ahead = torch.where(worse, 0.0, length)
        beta = beta - ahead[..., None] * step
        before, now = now, value(beta)
        if bool((before - now <= 1e-15 * before.abs()).all()):
            break
    return beta / size


def logits(x: Float[Tensor, "*b s q"], coefficients: Float[Tensor, "*b q1"]) -> Float[Tensor, "*b s"]:
    """What a fitted probe says."""
    return (x @ coefficients[..., :-1, None]).squeeze(-1) + coefficients[..., -1:]


def log_loss(said: Float[Tensor, "*b s"], p: Float[Tensor, " s"], weights: Float[Tensor, " s"]) -> Float[Tensor, "*b"]:
    """E[-log q(c|s)], nats, of logits `said`."""
    return (F.softplus(said) - p * said) @ weights


def accuracy(said: Float[Tensor, "*b s"], p: Float[Tensor, " s"], weights: Float[Tensor, " s"]) -> Float[Tensor, "*b"]:
    """P(the label is the likelier one under the logits `said`)."""
    return torch.where(said > 0, p, 1 - p) @ weights


def auroc(score: Float[Tensor, "s m"], p: Float[Tensor, " s"], weights: Float[Tensor, " s"]) -> Float[Tensor, " m"]:
    """P(score of a context with c = 1 > score of one with c = 0), ties half, contexts and labels drawn by their law."""
    found = []
    for column in score.T:
        level, place = column.unique(return_inverse=True)
        ones = torch.zeros(len(level), dtype=p.dtype).index_add(0, place, weights * p)
        zeros = torch.zeros(len(level), dtype=p.dtype).index_add(0, place, weights * (1 - p))
        below = zeros.cumsum(0) - zeros / 2
        found.append((ones @ below) / (ones.sum() * zeros.sum()))
    return torch.stack(found)


def correlation(
    f: Float[Tensor, "s m"], target: Float[Tensor, "s q"], weights: Float[Tensor, " s"]
) -> Float[Tensor, "m q"]:
    """Pearson correlation of each column with each target under weights; 0 for constants."""
    w = weights / weights.sum()
    sides = []
    for side in (f, target):
        off = (side - w @ side) * w.sqrt()[:, None]
        size, most = off.norm(dim=0), (side * w.sqrt()[:, None]).norm(dim=0)
        sides.append(torch.where(size > 1e-12 * most, off / size, 0.0))
    return sides[0].T @ sides[1]


@dataclass(frozen=True)
class Extraction:
    """How well binary concepts are read, one number a concept; log-losses in nats."""

    accuracy: list[float]
    log_loss: list[float]
    correlation: list[float]
    """|correlation| with the true log-odds"""
    auroc: list[float]


def _tables(model: ConceptModel) -> tuple[Float[Tensor, "s k"], Float[Tensor, "s k"], Float[Tensor, " s"]]:
    return model.log_odds, model.log_odds.sigmoid(), model.weights / model.weights.sum()


def _scored(model: ConceptModel, said: list[Float[Tensor, " s"]]) -> Extraction:
    """Scores of one logit for each concept."""
    lam, p, w = _tables(model)
    each = list(enumerate(said))
    return Extraction(
        [float(accuracy(t, p[:, k], w)) for k, t in each],
        [float(log_loss(t, p[:, k], w)) for k, t in each],
        [float(correlation(t[:, None], lam[:, k, None], w).abs()) for k, t in each],
        [float(auroc(t[:, None], p[:, k], w)[0]) for k, t in each],
    )


def bayes(model: ConceptModel) -> Extraction:
    """The best that any function of the context does: the true log-odds."""
    return _scored(model, list(model.log_odds.T))


def probe(model: ConceptModel, x: Float[Tensor, "s d"]) -> Extraction:
    """The population's logistic probe on activations, concept by concept: the ceiling of a linear reading."""
    lam, p, w = _tables(model)
    return _scored(model, [logits(x, logistic(x, p[:, k], w)) for k in range(lam.shape[1])])


def best_latents(model: ConceptModel, f: Float[Tensor, "s m"]) -> Extraction:
    """The best single latent for each concept and score; log-loss and accuracy after a fit of slope and intercept.

    Args:
        model: the concepts.
        f: latents of each context, float64; the best one may differ from score to score.

    Source: Liu et al. (2025), arXiv 2503.08980, who score an SAE by max |corr|; AUROC and Platt's fit are ours.
    """
    lam, p, w = _tables(model)
    linked = correlation(f, lam, w).abs().amax(0)
    best = Extraction([], [], linked.tolist(), [])
    for k in range(lam.shape[1]):
        one = f.T[:, :, None]
        said = logits(one, logistic(one, p[:, k], w))
        best.accuracy.append(float(accuracy(said, p[:, k], w).max()))
        best.log_loss.append(float(log_loss(said, p[:, k], w).min()))
        area = auroc(f, p[:, k], w)
        best.auroc.append(float(torch.maximum(area, 1 - area).max()))
    return best
