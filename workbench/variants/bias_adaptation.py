"""Bias adaptation as its theorem analyses it: one fixed bias, spherical steps, outputs too small to interact."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Spherical
from workbench.parts.objectives import SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import NonNegative, Positive, Probability


@variant("bias_adaptation")
def bias_adaptation(
    stack: Stack,
    rate: Probability = 0.05,
    step: NonNegative = 0.0,
    a: Positive = 1e-3,
    output: Literal["jump", "relu"] = "jump",
) -> SAE:
    """f = a phi(u - t), u = x W^T, x_hat = f W, unit rows w, t fixed; a batch takes w to (w + step G) / |w + step G|.

    G = mean over rows of g(u) x is minus the gradient of |x - x_hat|^2 / 2 over a as a -> 0, when latents no longer see
    one another (see `parts.encoders.Spherical`). t is the Gaussian quantile P(N(0, 1) > t) = rate: where E|x|^2 = d a
    random row fires at about `rate`. Nothing but their start spreads latents over features, so m must be large.

    Args:
        stack: what it is made for.
        rate: p.
        step: length of the spherical step; 0 for infinitely long.
        a: scale of the output.
        output: phi.

    Source: Chen et al. (2025), arXiv 2506.14002, section 6 (as reported by readers: their update's step is unverified).
    """
    return stack.sae(Spherical(stack, rate, step, a, output), Rows(stack, bias=False), SquaredError())
