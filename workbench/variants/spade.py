"""SpaDE: codes are convex combinations, of the prototypes that x is near to."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Prototypes
from workbench.parts.objectives import Distances, SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative


@variant("spade")
def spade(stack: Stack, sharpness: NonNegative = 0.0, gamma: NonNegative = 0.1) -> SAE:
    """f = argmin |f + lambda d(x)|^2 over f >= 0 with sum f = 1, d_i = |x - p_i|^2; x_hat = f W_dec; lambda trained.

    loss = |x - x_hat|^2 + gamma sum_i f_i |x - p_i|^2. Latents tile space around prototypes instead of cutting it by
    hyperplanes, so concepts need not be separable by one. Rows have lengths of their own, since latents sum to 1, and
    there is no b_dec, which they would carry.

    Args:
        stack: what it is made for.
        sharpness: lambda at the start; 0 for 1 / (2 d).
        gamma: weight of distances, in units where E|x|^2 = d.

    Source: Hindupur, Lubana, Fel, Ba (2025), arXiv 2503.01822, and its reference code. Differs: prototypes and rows
    start along random unit vectors, of length sqrt(d), in place of normal ones.
    """
    rows = Rows(stack, unit=False, start=stack.rows * stack.d**0.5, bias=False)
    return stack.sae(Prototypes(stack, sharpness), rows, SquaredError(), Distances(stack, gamma))
