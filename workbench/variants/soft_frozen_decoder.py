"""Soft-frozen-decoder baseline: rows that may not turn far from the random ones they started as."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.rules import NearStart
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount, Share


@variant("soft_frozen_decoder")
def soft_frozen_decoder(stack: Stack, k: LatentCount = 4, cosine: Share = 0.8) -> SAE:
    """TopK's latents and loss; after each step rows of W_dec are brought back to a cosine >= `cosine` to their start.

    Not a chance level of MCC: a row that starts at cosine c to a feature can come to .8 c + .6 sqrt(1 - c^2), and all
    the way where c >= .8.

    Args:
        stack: what it is made for.
        k: active latents a sample.
        cosine: least cosine of a row to where it started; .8 lets it turn by 36.9 degrees.

    Source: Korznikov et al. (2026), arXiv 2602.14111. Differs: TopK in place of BatchTopK; rows that went too far are
    turned back to the nearest allowed ones.
    """
    return stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), SquaredError(), NearStart(stack, cosine))
