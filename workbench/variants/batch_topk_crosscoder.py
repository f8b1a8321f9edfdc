"""BatchTopK crosscoder: one code for several views, its latents chosen by what they contribute to all of them."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import ByContribution
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, MeanCount, Real


@variant("batch_topk_crosscoder")
def batch_topk_crosscoder(stack: Stack, k: MeanCount = 4.0, views: Count = 2, threshold_rate: Real = 0.05) -> SAE:
    """As `crosscoder`, with the n k largest f_i sum_v |w_i^v| of a batch of n in place of a price on them.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        views: equally wide parts of x; the same for all members.
        threshold_rate: weight of the newest batch in the running threshold of inference.

    Source: Minder et al. (2025), arXiv 2504.02922.
    """
    encoder = ByContribution(stack, BatchTopK(stack, k, threshold_rate), views)
    return stack.sae(encoder, Rows(stack, unit=False), SquaredError())
