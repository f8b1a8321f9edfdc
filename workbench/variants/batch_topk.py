"""BatchTopK SAE: k latents a sample on average over the batch; a fixed threshold at inference."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import BatchTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import MeanCount, Real


@variant("batch_topk", core=True)
def batch_topk(stack: Stack, k: MeanCount = 4.0, threshold_rate: Real = 0.05) -> SAE:
    """Training keeps the n k largest pre-activations of a batch of n; inference keeps those above `threshold`.

    `threshold` follows the smallest value kept in training with rate `threshold_rate`.

    Args:
        stack: what it is made for.
        k: mean active latents a sample.
        threshold_rate: weight of the newest batch in the running threshold.

    Source: Bussmann, Leask, Nanda (2024), arXiv 2412.06410.
    """
    return stack.sae(Affine(stack, BatchTopK(stack, k, threshold_rate)), Rows(stack), SquaredError())
