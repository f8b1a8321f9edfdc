"""Top-AFA SAE: each sample keeps as many latents as it takes for their norm to come nearest that of the input."""

from typing import Literal

import torch

from workbench.parts.decoders import Rows
from workbench.parts.encoders import NormMatched
from workbench.parts.objectives import DeadGuess, NormGap, SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import Natural, NonNegative


@variant("top_afa")
def top_afa(
    stack: Stack,
    afa: NonNegative = 1 / 32,
    aux: NonNegative = 1 / 32,
    aux_latents: Natural = 512,
    rule: Literal["norm", "square", "reach"] = "norm",
    target: Literal["centred", "raw"] = "centred",
    sentinel: bool = True,
    least: Natural = 1,
    most: Natural = 0,
    init: Literal["kaiming", "tied"] = "kaiming",
    precise: bool = False,
) -> SAE:
    """f = the k* largest a_i |w_i| of a = relu((x - b_dec) W_enc), their norm nearest |x - b_dec|; no b_enc.

    loss = |x - x_hat|² + d afa (|f| - |x|)² + aux |x - x_hat - guess by dead latents|², d times the reference's.

    Nothing in it prefers sparse codes: [A, -A] with orthogonal A is a global optimum on all data (claim AFA-16).

    Args:
        stack: what it is made for.
        afa: weight of (|f| - |x|)², beside a squared error averaged over dimensions.
        aux: weight of the residual's reconstruction by latents silent for 5 batches.
        aux_latents: most of them used for a sample.
        rule: nearest in norm or squared norm, or the first norm to reach the target.
        target: |x - b_dec| or |x|.
        sentinel: let 1e4 stand in for the norm of all m latents, as the reference does.
        least: fewest latents kept; 0 allows silence.
        most: most latents kept; 0 for no limit.
        init: encoder uniform on +-sqrt(6/m), as the reference, or the transposed decoder.
        precise: select in float64.

    Source: Lee et al. (2025), arXiv 2503.24277, and its reference code. Differs: decoder rows are renormalised after
    each step, not before the next.
    """
    columns, rows = None, None
    if init == "kaiming":
        unit = stack.drawn("init/kaiming", lambda rng: torch.rand(stack.d, stack.m, generator=rng, dtype=torch.float32))
        columns = (6 / stack.m) ** 0.5 * (2 * unit - 1)
        rows = columns.mT.contiguous()
        rows = rows / rows.norm(dim=-1, keepdim=True)
    choice = {"least": least, "most": most, "start": columns}
    encoder = NormMatched(stack, rule=rule, target=target, sentinel=sentinel, precise=precise, **choice)
    loss = NormGap(stack, afa), DeadGuess(stack, aux, aux_latents)
    return stack.sae(encoder, Rows(stack, start=rows), SquaredError(), *loss)
