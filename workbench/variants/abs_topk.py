"""AbsTopK SAE: the k pre-activations of largest magnitude survive, signs kept: one latent holds an axis."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import AbsTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("abs_topk")
def abs_topk(stack: Stack, k: LatentCount = 4) -> SAE:
    """f = the k entries of largest magnitude of (x - b_dec) W_enc + b_enc, signs kept; loss = |x - x_hat|^2.

    It is the proximal map of "at most k nonzeros" (claim AT-1). Flipping a column of W_enc, its b_enc and
    its row of W_dec flips that latent and leaves x_hat: signs of rows mean nothing, and "fires" is f != 0. With both
    biases 0, x_hat(-x) = -x_hat(x). Exactly k latents fire, where TopK's may be fewer.

    Args:
        stack: what it is made for.
        k: active latents a sample.

    Source: Zhu, Khalili, Zhu (2025), arXiv 2510.00404. Differs: decoder rows are renormalised after each step, where
    the reference chooses by |f| times the row's norm.
    """
    return stack.sae(Affine(stack, AbsTopK(stack, k)), Rows(stack), SquaredError())
