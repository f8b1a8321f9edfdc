"""Subspace SAE: latents stand in blocks that fire as wholes, so that one can hold a feature of several dimensions."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import BlockNuclear, SquaredError
from workbench.parts.selections import BlockTopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, NonNegative


@variant("subspace")
def subspace(stack: Stack, blocks: Count = 2, size: Count = 2, gamma: NonNegative = 0.1) -> SAE:
    """f = the `blocks` blocks of `size` latents of largest norm of z = (x - b_dec) W_enc + b_enc, signs kept.

    loss = |x - x_hat|^2 + gamma mean over blocks of |W_enc[:, block] W_dec[block]|_*, the nuclear norm of what a block
    does to x. Directions inside a block mean nothing: its subspace does.

    Args:
        stack: what it is made for.
        blocks: active blocks a sample.
        size: latents a block, a divisor of m; the same for all members.
        gamma: weight of the nuclear norm, in units where E|x|^2 = d.

    Source: Dalili and Mahdavi (2026), arXiv 2606.06333, as reported by readers. Differs: decoder rows have norm 1;
    settings are ours.
    """
    encoder = Affine(stack, BlockTopK(stack, blocks, size))
    return stack.sae(encoder, Rows(stack), SquaredError(), BlockNuclear(stack, gamma, size))
