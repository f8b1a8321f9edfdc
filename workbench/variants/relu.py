"""ReLU SAE with an L1 penalty."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import L1, SquaredError
from workbench.parts.selections import ReLU
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative


@variant("relu", core=True)
def relu(stack: Stack, l1: NonNegative = 2.0, target_l0: NonNegative = 0.0, gain: NonNegative = 0.0) -> SAE:
    """Rectified (x - b_dec) W_enc + b_enc under |x - x_hat|^2 + l1 |f|_1, unit decoder rows.

    Args:
        stack: what it is made for.
        l1: weight of |f|_1, in units where E|x|^2 = d.
        target_l0: mean active latents a sample that the weight is steered to (`parts.objectives.Steered`); 0 leaves it.
        gain: largest change of the log-weight in a step; 0 for 20 over the steps of training, within [3e-4, .01].

    Source: Bricken et al. (2023), Towards Monosemanticity; Cunningham et al. (2023), arXiv 2309.08600.
    """
    return stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError(), L1(stack, l1, target_l0=target_l0, gain=gain))
