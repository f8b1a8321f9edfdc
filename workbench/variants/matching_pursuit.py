"""Matching-pursuit SAE: latents are picked one after another, each for what the earlier ones leave over."""

from typing import Literal

from workbench.parts.decoders import Rows
from workbench.parts.encoders import Pursuit
from workbench.parts.objectives import SquaredError
from workbench.sae import SAE, Stack, variant
from workbench.settings import Count, NonNegative


@variant("matching_pursuit")
def matching_pursuit(
    stack: Stack,
    k: Count = 4,
    select: Literal["abs", "relu", "max"] = "abs",
    tol: NonNegative = 0.0,
    stop_on_repeat: bool = False,
) -> SAE:
    """k steps of matching pursuit on r = x - b_dec: best row w_j of W_dec for r, f_j += <w_j, r>, r -= <w_j, r> w_j.

    loss = |x - x_hat|^2 = |r|^2 after the last step. W_enc is W_dec^T, there is no b_enc, and gradients go through all
    steps; the picks get none. Latents have both signs with "abs" and "max". Error falls with every step for unit rows,
    whatever the rule, so at inference `sae.encoder.steps` may be any number; error is no guide to the right one, since
    steps beyond the true number explain interference between features. "relu", the rule of the authors and of SAELens,
    and "max" may stall before the error is 0 where "abs" converges.

    Args:
        stack: what it is made for.
        k: steps.
        select: what makes a row best: |<w_j, r>|, <w_j, r> where positive, or <w_j, r>.
        tol: a sample stops once |r| < tol, in units where E|x|^2 = d; the same for all members.
        stop_on_repeat: a sample stops after a step that took a latent it already had.

    Source: Costa et al. (2025), arXiv 2506.03093; steps of Mallat and Zhang (1993). Differs: rows are kept at norm 1
    in training (the authors' code normalises the first ones alone), `tol` and `stop_on_repeat` are off.
    """
    return stack.sae(Pursuit(stack, k, select, tol, stop_on_repeat=stop_on_repeat), Rows(stack), SquaredError())
