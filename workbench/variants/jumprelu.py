"""JumpReLU SAE: a learned threshold for each latent, trained through straight-through estimates."""

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import L0, SquaredError
from workbench.parts.selections import Jump
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative, Positive, Real


@variant("jumprelu", core=True)
def jumprelu(
    stack: Stack,
    l0: Real = 1.0,
    bandwidth: Positive = 1.0,
    start: NonNegative = 1.0,
    through: bool = True,
    target_l0: NonNegative = 0.0,
    gain: NonNegative = 0.0,
) -> SAE:
    """f = pre 1[pre > threshold]; loss = |x - x_hat|^2 + l0 |f|_0, gradients of the step by a rectangle kernel.

    Lengths are in units where E|x|^2 = d.

    Args:
        stack: what it is made for.
        l0: weight of |f|_0.
        bandwidth: width of the estimator's kernel.
        start: initial threshold.
        through: send the estimate to the encoder as well (Anthropic's choice).
        target_l0: mean active latents a sample that the weight is steered to (`parts.objectives.Steered`); 0 leaves it.
        gain: largest change of the log-weight in a step; 0 for 20 over the steps of training, within [3e-4, .01].

    Source: Rajamanoharan et al. (2024), arXiv 2407.14435; the controller after SynthSAEBench's, arXiv 2602.14687.
    Differs: the threshold itself is trained, not its log; the controller looks ahead, theirs rests while L0 nears the
    target.
    """
    selection = Jump(stack, start, bandwidth, through=through)
    return stack.sae(Affine(stack, selection), Rows(stack), SquaredError(), L0(stack, l0, target_l0, gain))
