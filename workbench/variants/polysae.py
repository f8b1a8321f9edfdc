"""PolySAE: a TopK encoder and a decoder that also adds products of latents, through one shared low-rank projection."""

from workbench.parts.decoders import Polynomial
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.polynomial import Terms
from workbench.parts.selections import TopK
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount, Whole


@variant("polysae")
def polysae(
    stack: Stack, k: LatentCount = 4, rank1: Whole = 0, rank2: Whole = 8, rank3: Whole = 0, terms: Terms = "full"
) -> SAE:
    """x_hat = b_dec + a C1 + a^2 C2 + a^3 C3, powers entry by entry, of a = f U: its first rank2 and rank3 entries.

    f as in TopK; see `parts.decoders.Polynomial`. C2, C3 start at 0: training starts as TopK's. Weights before C2, C3
    would only rescale them. Ranks are the same for all members.

    Args:
        stack: what it is made for.
        k: active latents a sample.
        rank1: columns of U, at most min(d, m), or 0 for that many.
        rank2: first columns of U whose squares enter, or all where there are fewer.
        rank3: first columns whose cubes enter, likewise.
        terms: all monomials, products of different latents alone, or powers of single ones alone (a control).

    Source: Koromilas et al. (2026), arXiv 2602.01322; terms "pure" and "self" are ours. Differs: C2, C3 start at 0,
    where theirs have signed weights before them; AuxK explains the residual without b_dec.
    """
    decoder = Polynomial(stack, rank1, rank2, rank3, terms)
    return stack.sae(Affine(stack, TopK(stack, k)), decoder, SquaredError())
