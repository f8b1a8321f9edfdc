"""Gated SAE: one path decides which latents fire, the other how strongly."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Gated
from workbench.parts.objectives import L1, GateError, SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import Real


@variant("gated")
def gated(stack: Stack, l1: Real = 3.0) -> SAE:
    """f = 1[z + b_gate > 0] relu(e^r_mag z + b_mag), z = (x - b_dec) W_enc.

    loss = |x - x_hat|^2 + l1 |relu(z + b_gate)|_1 + |x - relu(z + b_gate) W_dec - b_dec|^2, decoder frozen in the last.

    Args:
        stack: what it is made for.
        l1: weight of the gates' L1, in units where E|x|^2 = d.

    Source: Rajamanoharan et al. (2024), arXiv 2404.16014.
    """
    return stack.sae(Gated(stack), Rows(stack), SquaredError(), L1(stack, l1), GateError())
