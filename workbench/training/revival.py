"""Dead latents: noticing them, AuxK, resampling."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Codes
from workbench.sae import SAE, Pass, squared_error


def aux_k_loss(sae: SAE, out: Pass, dead: Bool[Tensor, "*s m"], k: int) -> Float[Tensor, "*s"]:
    """AuxK: squared error of the residual x - x_hat explained by its k largest dead pre-activations.

    sum_d, mean over rows, like the main error; 0 for members without dead latents. Where a variant selects signed
    latents: the k of largest magnitude. What they add is `sae.combine` of them, without b_dec.

    Source: Gao et al. (2024), arXiv 2406.04093, section 2.4 and appendix A.2.
    """
    residual = (out.x - out.x_hat).detach()
    with torch.no_grad():
        most = int(dead.sum(-1).max())
        order = dead.to(torch.uint8).sort(dim=-1, descending=True, stable=True).indices
        first = order[..., :most]  # dead latents, then others where a member has fewer
        size = out.pre.abs() if sae.selects and not sae.nonnegative else out.pre
        among = size.take_along_dim(first[..., None, :], -1)
        among = among.masked_fill(~dead.gather(-1, first)[..., None, :], -torch.inf)
        values, at = among.topk(min(k, most), dim=-1)
        indices = first[..., None, :].expand_as(among).gather(-1, at)
    codes = Codes(indices, torch.where(values > 0, out.pre.gather(-1, indices), 0.0), sae.m)
    if not out.pre.requires_grad:
        codes = sae.entries(out.seen, codes)
    return squared_error(residual, sae.combine(codes)) * dead.any(-1)


@torch.no_grad()
def resample(
    sae: SAE, out: Pass, dead: Bool[Tensor, "*s m"], adam: torch.optim.Optimizer, seed: int, step: int
) -> Int[Tensor, "*s"]:
    """Point dead latents at rows of the batch, drawn without replacement by the square of |x - x_hat|^2.

    Decoder row = the direction of the centred input; encoder column = .2 times the mean norm of live columns along it;
    biases 0, thresholds the mean of the live ones; Adam's moments cleared. More dead latents than rows: the rest wait,
    and so does a latent that drew an input equal to b_dec.
    A variant whose W_dec is made of other parameters keeps it. Returns how many each member resampled.

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
    norms = sae.W_enc.norm(dim=-2)
    mean_norm = (norms * ~dead).sum(-1, keepdim=True) / (~dead).sum(-1, keepdim=True).clamp_min(1)
    mean_norm = torch.where(mean_norm > 0, mean_norm, torch.ones_like(mean_norm))
    fresh = {"W_dec": (dead[..., None], target)}
    fresh["W_enc"] = (dead[..., None, :], (0.2 * mean_norm[..., None] * target).mT)
    for name in ("b_enc", "b_gate", "b_mag", "r_mag"):
        fresh[name] = (dead, torch.zeros_like(norms))
    if "threshold" in sae._parameters:
        live = torch.where(dead, 0.0, sae.get_parameter("threshold")).sum(-1, keepdim=True)
        fresh["threshold"] = (dead, (live / (~dead).sum(-1, keepdim=True).clamp_min(1)).expand_as(norms))
    for name, (mask, value) in fresh.items():
        if name in sae._parameters and name not in sae.frozen:
            _replace(adam, sae.get_parameter(name), mask, value)
    return dead.sum(-1)


def _replace(adam: torch.optim.Optimizer, parameter: Tensor, mask: Tensor, value: Tensor) -> None:
    parameter.copy_(torch.where(mask, value, parameter))
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in adam.state[parameter]:
            adam.state[parameter][moment].masked_fill_(mask, 0.0)
