"""Elastic-net SAE: ReLU latents under an L1 and a squared L2 penalty."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import ElasticNet, SquaredError
from workbench.parts.selections import ReLU
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative


@variant("elastic_net")
def elastic_net(
    stack: Stack,
    l1: NonNegative = 2.0,
    l2: NonNegative = 0.1,
    target_l0: NonNegative = 0.0,
    gain: NonNegative = 0.0,
) -> SAE:
    """f = relu((x - b_dec) W_enc + b_enc); loss = |x - x_hat|^2 + l1 |f|_1 + l2 |f|_2^2, unit decoder rows.

    Of latents with equal rows L1 alone lets any share the load, l2 > 0 makes them share it equally.

    Args:
        stack: what it is made for.
        l1: weight of |f|_1, in units where E|x|^2 = d.
        l2: weight of |f|_2^2; a lone latent shrinks by 1 / (1 + l2).
        target_l0: mean active latents a sample that the weight is steered to (`parts.objectives.Steered`); 0 leaves it.
        gain: largest change of the log-weight in a step; 0 for 20 over the steps of training, within [3e-4, .01].

    Source: Zou and Hastie (2005); arXiv 2605.05341 for SAEs. Differs: that one weighs |f_i| by a running pilot
    (adaptive lasso), here all latents weigh alike.
    """
    return stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError(), ElasticNet(stack, l1, l2, target_l0, gain))
