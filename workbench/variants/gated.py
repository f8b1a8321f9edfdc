"""Gated SAE: one path decides which latents fire, the other how strongly."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Gated
from workbench.parts.objectives import L1, GateError, SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative, Real


@variant("gated")
def gated(stack: Stack, l1: Real = 3.0, target_l0: NonNegative = 0.0, gain: NonNegative = 0.0) -> SAE:
    """f = 1[z + b_gate > 0] relu(e^r_mag z + b_mag), z = (x - b_dec) W_enc.

    loss = |x - x_hat|^2 + l1 |relu(z + b_gate)|_1 + |x - relu(z + b_gate) W_dec - b_dec|^2, decoder frozen in the last.

    Args:
        stack: what it is made for.
        l1: weight of the gates' L1, in units where E|x|^2 = d.
        target_l0: mean active latents a sample that the weight is steered to (`parts.objectives.Steered`); 0 leaves it.
        gain: largest change of the log-weight in a step; 0 for 20 over the steps of training, within [3e-4, .01].

    Source: Rajamanoharan et al. (2024), arXiv 2404.16014.
    """
    return stack.sae(
        Gated(stack), Rows(stack), SquaredError(), L1(stack, l1, target_l0=target_l0, gain=gain), GateError()
    )
