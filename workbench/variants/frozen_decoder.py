"""Frozen-decoder baseline: random rows that are never trained, and an encoder that makes the best of them."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("frozen_decoder")
def frozen_decoder(stack: Stack, k: LatentCount = 4) -> SAE:
    """TopK's latents and loss; W_dec stays the random unit rows of its seed, W_enc, b_enc and b_dec are trained.

    Its MCC is the chance level of random rows, its other scores are what training the encoder alone achieves: a
    baseline, which a method should beat.

    Args:
        stack: what it is made for.
        k: active latents a sample.

    Source: Korznikov et al. (2026), arXiv 2602.14111. Differs: TopK in place of BatchTopK.
    """
    sae = stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), SquaredError())
    sae.frozen = ("W_dec",)
    return sae
