"""Maximum moment restriction: how far the part of a representation that actions do not explain depends on them."""

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must


def linear_part(
    z: Float[Tensor, "*s n p"], a: Float[Tensor, "n q"]
) -> tuple[Float[Tensor, "*s q p"], Float[Tensor, "*s p"], Float[Tensor, "*s n p"]]:
    """Least squares z ~ a W + alpha: W, alpha and the residuals, differentiable in z."""
    n, q = a.shape
    must(n > q + 1, "linear_part.a", f"more than {q + 1} samples", n, "draw more")
    design, inverse = _design(a)
    beta = inverse @ z
    return beta[..., :-1, :], beta[..., -1, :], z - design @ beta


def median_width(a: Float[Tensor, "n q"], most: int = 1000) -> float:
    """Median distance of two actions, among the first `most`: the usual width of the kernel."""
    return float(torch.pdist(a[:most]).median())


def mmr(
    residual: Float[Tensor, "*s n p"],
    a: Float[Tensor, "n q"],
    width: float,
    *,
    unbiased: bool = False,
    fitted: bool = False,
) -> Float[Tensor, "*s"]:
    """E[r . r' exp(-|a - a'|^2 / 2 width^2)] over pairs of samples, at least 0; 0 iff E[r | a] = 0, in units of z^2.

    Args:
        residual: r = z - a W - alpha; by held-out W and alpha where the value is reported.
        a: actions.
        width: of the Gaussian kernel.
        unbiased: leave out pairs of a sample with itself, which add E|r|^2 / n; the estimate can then be negative.
        fitted: W and alpha are least squares on these very samples. Then r = (I - H) z, H = D D^+, D = [a, 1], and for
            z affine in a, up to noise that does not depend on it, the sum over pairs is -E|noise|^2 tr(H K_0) on
            average, K_0 the kernel without its diagonal, where it should be 0: tr(H K_0) |r|^2 / tr(I - H) is added.

    Source: Muandet, Jitkrittum, Kübler (2020); Saengkyongam et al. (2024), arXiv 2310.04295, the regulariser; `fitted`
    ours.
    """
    must(unbiased or not fitted, "mmr.fitted", "False without `unbiased`", fitted, "give both")
    kernel = torch.exp(-torch.cdist(a, a).square() / (2 * width**2))
    n = len(a)
    pairs = n * n
    if unbiased:
        kernel = kernel - torch.diag(kernel.diagonal())
        pairs = n * (n - 1)
    if fitted:
        design, inverse = _design(a)
        lost, free = (kernel @ design * inverse.mT).sum(), n - (design * inverse.mT).sum()
        kernel = kernel + torch.eye(n).to(kernel) * lost / free
    return (residual * (kernel @ residual)).sum((-1, -2)) / pairs


def _design(a: Float[Tensor, "n q"]) -> tuple[Float[Tensor, "n q1"], Float[Tensor, "q1 n"]]:
    """D = [a, 1] and its pseudo-inverse."""
    design = torch.cat((a, torch.ones_like(a[:, :1])), 1)
    return design, torch.linalg.pinv(design)


def relative_mmr(
    z: Float[Tensor, "*s n p"], a: Float[Tensor, "n q"], width: float, *, unbiased: bool = False
) -> Float[Tensor, "*s"]:
    """MMR of a representation over the trace of its covariance: unlike MMR itself it does not fall as z shrinks.

    Source: ours; MMR(c z) = c^2 MMR(z), which a decoder can undo.
    """
    residual = linear_part(z, a)[2]
    return mmr(residual, a, width, unbiased=unbiased, fitted=unbiased) / z.var(-2, correction=0).sum(-1)
