"""Activations of a perfect next-token predictor, without training one: any factorisation of log p(y|s)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.concepts.model import ConceptModel

RANK = 1e-9
"""singular values below this share of the largest are 0"""


@dataclass(frozen=True, eq=False)
class Readout:
    """Activations and unembedding: softmax_y(x(s) . u_y) = p(y|s) for all contexts."""

    x: Float[Tensor, "s d"]
    """activation of each context"""
    u: Float[Tensor, "t d"]
    """unembedding"""

    @property
    def logits(self) -> Float[Tensor, "s t"]:
        """x U^T."""
        return self.x @ self.u.T


def centred(log_next: Float[Tensor, "s t"]) -> Float[Tensor, "s t"]:
    """log p(y|s) less its mean over tokens: the gauge in which no token stands out."""
    return log_next - log_next.mean(1, keepdim=True)


def numerical_rank(singular: Float[Tensor, " n"]) -> int:
    """Singular values above `RANK` times the largest."""
    return int((singular > RANK * singular[0]).sum())


def exact_activations(model: ConceptModel, rng: torch.Generator | None = None) -> Readout:
    """The optimum of next-token prediction in the smallest width d = rank of the token-centred log p(y|s).

    x(s) = U_r S_r G and u = V_r G^-T for a random G of condition number at most 1000, which no loss can see; G = 1
    where `rng` is None.

    Source: ours; the population optimum of any softmax readout is such a factorisation, up to a constant a context.
    """
    left, singular, right = torch.linalg.svd(centred(model.log_next), full_matrices=False)
    r = numerical_rank(singular)
    x, u = left[:, :r] * singular[:r], right[:r].T.contiguous()
    if rng is None:
        return Readout(x, u)
    turn = torch.randn(2, r, r, generator=rng, dtype=torch.float64)
    q, p = torch.linalg.qr(turn).Q
    stretch = 10 ** (3 * torch.rand(r, generator=rng, dtype=torch.float64) - 1.5)
    return Readout(x @ (q * stretch) @ p, u @ (q / stretch) @ p)
