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
    design = torch.cat((a, torch.ones_like(a[:, :1])), 1)
    inverse = torch.linalg.pinv(design)
    beta = inverse @ z
    return beta[..., :-1, :], beta[..., -1, :], z - design @ beta


def median_width(a: Float[Tensor, "n q"], most: int = 1000) -> float:
    """Median distance of two actions, among the first `most`: the usual width of the kernel."""
    return float(torch.pdist(a[:most]).median())


def mmr(
    residual: Float[Tensor, "*s n p"], a: Float[Tensor, "n q"], width: float, *, unbiased: bool = False
) -> Float[Tensor, "*s"]:
    """E[r . r' exp(-|a - a'|^2 / 2 width^2)] over pairs of samples, at least 0; 0 iff E[r | a] = 0, in units of z^2.

    Args:
        residual: r = z - a W - alpha; by held-out W and alpha where the value is reported.
        a: actions.
        width: of the Gaussian kernel.
        unbiased: leave out pairs of a sample with itself, which add E|r|^2 / n; the estimate can then be negative.

    Source: Muandet, Jitkrittum, Kübler (2020); Saengkyongam et al. (2024), arXiv 2310.04295, the regulariser.
    """
    kernel = torch.exp(-torch.cdist(a, a).square() / (2 * width**2))
    n = len(a)
    pairs = n * n
    if unbiased:
        kernel = kernel - torch.diag(kernel.diagonal())
        pairs = n * (n - 1)
    return (residual * (kernel @ residual)).sum((-1, -2)) / pairs


def relative_mmr(
    z: Float[Tensor, "*s n p"], a: Float[Tensor, "n q"], width: float, *, unbiased: bool = False
) -> Float[Tensor, "*s"]:
    """MMR of a representation over the trace of its covariance: unlike MMR itself it does not fall as z shrinks.

    Source: ours; MMR(c z) = c^2 MMR(z), which a decoder can undo.
    """
    residual = linear_part(z, a)[2]
    return mmr(residual, a, width, unbiased=unbiased) / z.var(-2, correction=0).sum(-1)
