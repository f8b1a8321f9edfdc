"""Dead latents: resampling."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from synthetic.base.streams import stream
from workbench.parts.base import Pass
from workbench.sae import SAE


@torch.no_grad()
def resample(
    sae: SAE, out: Pass, dead: Bool[Tensor, "*s m"], adam: torch.optim.Optimizer, seed: int, step: int
) -> Int[Tensor, "*s"]:
    """Point dead latents at rows of the batch, drawn without replacement by the square of |x - x_hat|^2.

    Decoder and encoder say what they make of a direction to look at, that of the centred input (`renewed`): rows along
    it, columns of .2 times the mean norm of live ones, biases 0, thresholds the mean of the live ones. Adam's moments
    are cleared. More dead latents than rows: the rest wait, and so does a latent that drew an input equal to b_dec.
    Returns how many each member resampled.

    Source: Bricken et al. (2023), Towards Monosemanticity, appendix "Neuron Resampling".
    """
    error = (out.x - out.x_hat).square().sum(-1)
    uniform = torch.rand(error.shape[-1], generator=stream(seed, "resample", step), dtype=torch.float32, device="cpu")
    uniform = uniform.to(error)
    gumbel = -(-uniform.clamp_min(1e-30).log()).clamp_min(1e-30).log()
    order = (2 * error.clamp_min(1e-30).log() + gumbel).argsort(-1, descending=True)
    turn = dead.cumsum(-1) - 1  # the i-th dead latent takes the i-th row drawn
    dead = dead & (turn < error.shape[-1])
    chosen = order.gather(-1, turn.clamp(0, error.shape[-1] - 1))
    rows = out.x.expand_as(out.x_hat) - sae.b_dec[..., None, :]
    target = rows.gather(-2, chosen[..., None].expand(*chosen.shape, sae.d))
    length = target.norm(dim=-1)
    low = 16 * torch.finfo(rows.dtype).eps * out.x.norm(dim=-1).amax(-1).expand(sae.shape)[..., None]
    dead = dead & (length > low)  # a row that is b_dec, but for round-off, has no direction
    target = target / length.clamp_min(1e-30)[..., None]
    for parameter, (mask, value) in (sae.decoder.renewed(dead, target) | sae.encoder.renewed(dead, target)).items():
        if parameter.requires_grad:
            _replace(adam, parameter, mask, value)
    return dead.sum(-1)


def _replace(adam: torch.optim.Optimizer, parameter: Tensor, mask: Tensor, value: Tensor) -> None:
    parameter.copy_(torch.where(mask, value, parameter))
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in adam.state[parameter]:
            adam.state[parameter][moment].masked_fill_(mask, 0.0)
