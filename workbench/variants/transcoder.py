"""Transcoder: latents of x reconstruct y, as what a layer writes from what it reads."""

from workbench.parts.decoders import Onto
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.selections import TopK, same_count
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount, Natural


@variant("transcoder")
def transcoder(stack: Stack, k: LatentCount = 4, d_y: Natural = 0, skip: bool = False) -> SAE:
    """f = the k largest entries of relu(x W_enc + b_enc); loss = |y - f W_dec - b_dec (- x W_skip)|^2.

    It is trained on pairs (x, y), such as `workbench.pairs` and the world `sparse_map` give; on activations alone y is
    x. Others are made as this one is: any encoder that reads x alone, such as `Affine`, and `Onto`.

    Args:
        stack: what it is made for.
        k: active latents a sample.
        d_y: width of y; 0 for that of x. `create` with a source of pairs in place of d knows it.
        skip: add a linear map of x, which takes over what is linear in y, so that codes hold the rest.

    Source: Dunefsky et al. (2024), arXiv 2406.11944; skip: Paulo et al. (2025), arXiv 2501.18823. Differs: TopK, rows
    of norm 1, and x, y each in units where the mean square of an entry is 1.
    """
    width = same_count(stack, "d_y", d_y) or stack.d
    return stack.sae(Affine(stack, TopK(stack, k)), Onto(stack, width, skip=skip), SquaredError())
