"""GroupMax SAE: latents stand in k groups, and the largest of each group fires."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import GroupMax
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("groupmax")
def groupmax(stack: Stack, k: LatentCount = 4) -> SAE:
    """f = of each of k groups of consecutive latents the largest of relu((x - b_dec) W_enc + b_enc).

    A cheap stand-in for TopK that cannot fire two latents of one group: of k features in groups at random a share
    1 - (1 - 1/k)^k finds a place, 63 % for large k.

    Args:
        stack: what it is made for.
        k: groups, and so active latents a sample.

    Source: EleutherAI's sparsify, activation "groupmax". Differs: k need not divide m; decoder rows are renormalised.
    """
    return stack.sae(Affine(stack, GroupMax(stack, k)), Rows(stack), SquaredError())
