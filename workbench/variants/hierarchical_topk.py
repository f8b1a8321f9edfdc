"""HierarchicalTopK SAE: one SAE for all budgets, the k largest latents reconstructing well for every k up to K."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import Hierarchical
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("hierarchical_topk")
def hierarchical_topk(stack: Stack, k: LatentCount = 4, budgets: Literal["all", "powers"] = "all") -> SAE:
    """TopK's latents; loss = mean over j = 1, ..., k of |x - b_dec - the j largest latents' f_i w_i|^2.

    Any j <= k can be used at inference (`sae.k[...] = j`). Of SAEs that we trained mean errors fall with j; those of a
    row may rise (claim AUX-3).

    Args:
        stack: what it is made for.
        k: active latents a sample, K.
        budgets: the j that the mean is over: all, or 1, 2, 4, ... and k.

    Source: Balagansky et al. (2025), arXiv 2505.24473. Differs: which subset of budgets the paper takes is not known,
    powers of 2 are ours.
    """
    return stack.sae(Affine(stack, TopK(stack, k)), Rows(stack), Hierarchical(stack, k, budgets))
