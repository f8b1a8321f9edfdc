"""LISTA SAE: a few learned steps of iterative soft thresholding in place of one look at the input."""

from typing import Annotated

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Unrolled
from workbench.parts.objectives import L1, SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, Positive, Real, Within


@variant("lista")
def lista(
    stack: Stack,
    steps: Count = 5,
    l1: Positive = 2.0,
    step: Annotated[Real, Within(0.0, 2.0, above=True)] = 1.0,
    signed: bool = False,
) -> SAE:
    """f <- soft(f + s (x - b_dec - f W_dec) W_enc, s theta), `steps` times from f = 0; theta learned, one a latent.

    loss = |x - x_hat|^2 + l1 |f|_1. At the start W_enc = W_dec^T and theta = l1 / 2: the unrolled ISTA of the very
    loss, which falls at each step since s = step / L, L = lam_max(W_dec W_dec^T), step <= 1. With one step this is a
    ReLU SAE whose encoder is scaled by s; each further one subtracts what latents explain of one another's products.

    Args:
        stack: what it is made for.
        steps: thresholding steps, at least 1.
        l1: weight of |f|_1, in units where E|x|^2 = d.
        step: length of a step over 1/L, in (0, 2].
        signed: allow negative latents.

    Source: Gregor and LeCun (2010), LISTA; Daubechies, Defrise, De Mol (2004), ISTA. Differs: encoder, decoder and
    thresholds are shared by all steps.
    """
    encoder = Unrolled(stack, l1 / 2, steps, step, signed=signed)
    return stack.sae(encoder, Rows(stack), SquaredError(), L1(stack, l1))
