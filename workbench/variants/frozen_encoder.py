"""Frozen-encoder baseline: latents of random directions that are never trained, and rows that make the best of them."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("frozen_encoder")
def frozen_encoder(stack: Stack, k: LatentCount = 4) -> SAE:
    """TopK's latents and loss; W_enc stays the random columns of its seed and b_enc 0, W_dec and b_dec are trained.

    So supports are random: which latents fire is the k largest random projections of x - b_dec. A baseline, which a
    method should beat.

    Args:
        stack: what it is made for.
        k: active latents a sample.

    Source: Korznikov et al. (2026), arXiv 2602.14111. Differs: TopK in place of BatchTopK.
    """
    sae = stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), SquaredError())
    sae.frozen = ("W_enc", "b_enc")
    return sae
