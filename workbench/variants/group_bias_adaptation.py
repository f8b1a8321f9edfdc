"""Group bias adaptation: no sparsity term; encoder biases are steered until latents fire rarely enough."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Steered
from workbench.parts.objectives import SquaredError
from workbench.parts.rules import BiasControl
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, LatentCount, Natural, NonNegative, Positive, PositiveShare


@variant("group_bias_adaptation")
def group_bias_adaptation(
    stack: Stack,
    groups: LatentCount = 3,
    high: PositiveShare = 0.1,
    low: PositiveShare = 0.02,
    down: NonNegative = 0.03,
    up: NonNegative = 0.03,
    period: Count = 10,
    buffer: Natural = 0,
    eps: NonNegative = 1e-6,
    clamp: Positive = 1.0,
    output: Literal["jump", "relu"] = "jump",
    control: Literal["ceiling", "set-point"] = "ceiling",
    tied: bool = True,
    trained_scale: bool = True,
) -> SAE:
    """f_j = a_j phi(y_j), y = (x - b_dec) W^T + b_enc; x_hat = f W + b_dec; a controller alone moves b_enc.

    phi(y) = y - b_enc where y > 0 ("jump": no shrinkage) or relu(y). The controller is `parts.rules.BiasControl`;
    groups = 1 is bias adaptation (BA).

    Args:
        stack: what it is made for.
        groups: K.
        high: ceiling of the first group's firing rates (HTF).
        low: ceiling of the last group's (LTF); of the only group where K = 1.
        down: share of its largest pre-activation by which a bias falls.
        up: share of its group's by which a bias rises.
        period: least training steps between two adaptations.
        buffer: least rows between two adaptations.
        eps: latents that fire less are raised.
        clamp: largest -b_enc, as a multiple of the root mean square of the adapting batch's |x|.
        output: what a firing latent passes on.
        control: set-point: biases rise wherever q_j < p_k.
        tied: encoder = transposed decoder.
        trained_scale: train a; else a = 1.

    Source: Chen et al. (2025), arXiv 2506.14002, algorithms 1 and 2. Differs: rows of W start at norm 1.
    """
    pace = {"down": down, "up": up, "period": period, "buffer": buffer, "eps": eps, "clamp": clamp}
    encoder = Steered(stack, output, tied=tied, trained_scale=trained_scale)
    return stack.sae(
        encoder, Rows(stack, unit=False), SquaredError(), BiasControl(stack, groups, high, low, control=control, **pace)
    )
