"""p-annealing SAE: ReLU latents under |f|_p^p, p falling from 1 to .1 in training."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import Power, SquaredError
from workbench.parts.selections import ReLU
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, NonNegative


@variant("p_annealing")
def p_annealing(stack: Stack, l1: NonNegative = 2.0, start: Count = 1000, every: Count = 200) -> SAE:
    """f = relu((x - b_dec) W_enc + b_enc); loss = |x - x_hat|^2 + weight |f|_p^p, unit decoder rows.

    At p = 1 this is the ReLU SAE; as p falls large latents are shrunk less and small ones are driven to 0.

    Args:
        stack: what it is made for.
        l1: weight of the penalty while p = 1, in units where E|x|^2 = d.
        start: training step at which p first falls, at least 10.
        every: steps between its nine changes, at least 10.

    Source: Karvonen et al. (2024), arXiv 2408.00113. Differs: start and pace are settings, in place of steps 15,000 on.
    """
    return stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError(), Power(stack, l1, start, every))
