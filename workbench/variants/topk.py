"""TopK SAE: exactly the k largest pre-activations of a sample survive."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("topk", core=True)
def topk(stack: Stack, k: LatentCount = 4) -> SAE:
    """f = the k largest entries of relu((x - b_dec) W_enc + b_enc), k per sample; loss = |x - x_hat|^2.

    Args:
        stack: what it is made for.
        k: active latents a sample.

    Source: Makhzani and Frey (2013); Gao et al. (2024), arXiv 2406.04093. AuxK is an option of the training loop.
    """
    return stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), SquaredError())
