"""Structured SAE: a sparse part for single concepts, a low-rank part for what concepts share."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import PlusLowRank
from workbench.parts.objectives import Nuclear, Power, SquaredError
from workbench.parts.selections import ReLU
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, NonNegative


@variant("structured")
def structured(
    stack: Stack,
    l1: NonNegative = 2.0,
    gamma: NonNegative = 3.0,
    rank: Count = 4,
    start: Count = 1000,
    every: Count = 200,
    reading: Literal["latents", "residual"] = "latents",
    norm: Literal["nuclear", "factored"] = "nuclear",
) -> SAE:
    """loss = |x - x_hat|^2 + weight |S|_p^p + gamma |R|_* / sqrt(n): S sparse, R of rank at most `rank`, p annealed.

        S = relu((x - b_dec) W_enc + b_enc),    R = (x - b_dec) P Q
        reading "latents":   f = S + R,  x_hat = f W_dec + b_dec
        reading "residual":  f = S,      x_hat = f W_dec + b_dec + R

    |R|_* is the nuclear norm of the batch, n rows; `norm` "factored" takes (|(x - b_dec) P|_F^2 / n + |Q|_F^2) / 2 in
    its place, which is at least as large. Latents S + R are dense and signed. Under "residual" what `decode` gives
    lacks R, which no latent carries.

    Args:
        stack: what it is made for.
        l1: weight of |S|_p^p while p = 1, in units where E|x|^2 = d.
        gamma: weight of the low-rank part's norm, in these units.
        rank: of R, at most; the same for all members.
        start: training step at which p first falls.
        every: steps between its nine changes.
        reading: where R enters.
        norm: what gamma weighs.

    Source: Liu et al. (2025), arXiv 2503.08980, the loss as reported by readers; which reading is theirs is not known.
    Differs: |R|_* over sqrt(n), so that gamma does not depend on the batch; all settings are ours.
    """
    encoder = PlusLowRank(stack, ReLU(), rank, reading)
    return stack.sae(encoder, Rows(stack), SquaredError(), Power(stack, l1, start, every), Nuclear(stack, gamma, norm))
