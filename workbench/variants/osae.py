"""Ordered SAE: every prefix of the latents must reconstruct, so that latents have an order."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import Ordered
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount, PositiveShare


@variant("osae")
def osae(stack: Stack, k: LatentCount = 4, r: PositiveShare = 1.0) -> SAE:
    """TopK's latents; loss = sum_j p_j |x - b_dec - f[:j] W_dec[:j]|^2 over all m prefixes, p_j ~ r^(j / m).

    Matryoshka has a few prefixes; here each latent is the last of one, which takes away the freedom to permute latents.

    Args:
        stack: what it is made for.
        k: active latents a sample.
        r: weight of the longest prefix over that of the shortest, about.

    Source: Wang et al. (2025), arXiv 2512.02194. Differs: TopK encoder; the shape of p is ours.
    """
    return stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), Ordered(stack, r))
