"""Aligned SAE: each column of the encoder has inner product 1 with its row of the decoder."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Aligned
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("aligned")
def aligned(stack: Stack, k: LatentCount = 4) -> SAE:
    """TopK's latents of (x - b_dec) E + b_enc with <e_i, w_i> = 1 for every latent; loss = |x - x_hat|^2.

    E is parametrised (see `parts.encoders.Aligned`), so that no step leaves the constraint. A latent can then not
    shrink what lies along its own row, and no column can fade.

    Args:
        stack: what it is made for.
        k: active latents a sample.

    Source: arXiv 2605.18629, as reported by readers. Differs: which parametrisation the paper takes is not known.
    """
    return stack.sae(Aligned(stack, TopK(stack, k)), Rows(stack), SquaredError())
