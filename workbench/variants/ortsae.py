"""OrtSAE: rows of the decoder are pushed apart, against absorption and composed features."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import Orthogonality, SquaredError
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, MeanCount, NonNegative, Real


@variant("ortsae")
def ortsae(
    stack: Stack, k: MeanCount = 4.0, weight: NonNegative = 1.0, size: Count = 4096, threshold_rate: Real = 0.05
) -> SAE:
    """BatchTopK's latents; loss = |x - x_hat|^2 + weight mean_i max_j cos(w_i, w_j)^2, j in the chunk of i.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        weight: of the penalty, in units where E|x|^2 = d.
        size: latents a chunk, at most, and two at least; chunks are drawn anew every step.
        threshold_rate: weight of the newest batch in the running threshold.

    Source: Korznikov et al. (2025), arXiv 2509.22033, as reported by readers. Differs: the penalty is in every step's
    loss; weight and size are ours.
    """
    encoder = Affine(stack, BatchTopK(stack, k, threshold_rate))
    return stack.sae(encoder, Rows(stack), SquaredError(), Orthogonality(stack, weight, size))
