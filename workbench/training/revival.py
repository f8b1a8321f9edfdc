"""Latents pointed at activations: dead ones by resampling, fresh ones at the start."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Source, must_be_finite, pairs_given
from workbench.parts.base import Pass, drawn
from workbench.parts.decoders import Rows
from workbench.ratios import unit_rows
from workbench.sae import SAE
from workbench.training.optimiser import Adam

OFF = 0.1
"""length of the random direction beside each activation: equal activations do not make equal latents"""


def movable(sae: SAE) -> bool:
    """Whether latents can be pointed anywhere: they have rows of their own, and neither these nor columns are held."""
    held = any(part.confines for part in sae.parts) or {"W_dec", "W_enc"} & {*sae.frozen}
    return isinstance(sae.decoder, Rows) and not held


@torch.no_grad()
def start_at_data(sae: SAE, source: Source, seed: int) -> None:
    """Point each latent along a centred activation: rows of W_dec and columns of W_enc, which keep their lengths.

    Each member takes m of 2 m activations, in an order of its own seed, and stands off by `OFF` of the row it had. In
    many dimensions a random direction is nearly orthogonal to every feature, so that most latents are never chosen;
    an activation has cosine near 1/sqrt(s) with each of its s features. Where the decoder maps, rows go along targets.

    A source that draws with replacement may give an activation twice, one of few rows often: such latents differ by
    `OFF` alone.
    """
    given = pairs_given(source.sample(2 * sae.m, stream(seed, "start", 0, sae.W_dec.device)), 2 * sae.m, source)
    x, y = sae.scaled_pair(*(rows.to(sae.W_dec.device, sae.W_dec.dtype) for rows in given))
    must_be_finite(x)
    must_be_finite(y, "world.y")
    order = drawn(sae.seed, sae.shape, "start", lambda rng: torch.randperm(len(x), generator=rng)[: sae.m]).to(x.device)
    seen, clear = _directions(x, sae.decoder.centre, order)
    wanted, far = _directions(y, sae.b_dec, order) if sae.decoder.maps else (seen, clear)
    moved: list[tuple[Tensor, Tensor]] = [(sae.W_dec, wanted)]
    moved += [(p.mT, seen) for name, p in sae.encoder.named_parameters() if name == "W_enc"]
    for rows, along in moved:
        lengths = rows.norm(dim=-1, keepdim=True)
        there = unit_rows(along + OFF * unit_rows(rows)) * lengths
        rows.copy_(torch.where((clear & far)[..., None], there, rows))
    sae.settle()


@torch.no_grad()
def resample(sae: SAE, out: Pass, dead: Bool[Tensor, "*s m"], adam: Adam, seed: int, step: int) -> Int[Tensor, "*s"]:
    """Point dead latents at rows of the batch, drawn without replacement by the square of |x - x_hat|^2.

    Decoder and encoder say what they make of a direction to look at, that of the centred input (`renewed`): rows along
    it, of the mean norm of live ones, columns of .2 times that of theirs, biases 0, thresholds the mean of the live
    ones. Adam's moments are cleared, and what parts hold in place goes back there. More dead latents than rows: the
    rest wait, and so does a latent that drew an input equal to b_dec.
    Returns how many each member resampled.

    Source: Bricken et al. (2023), Towards Monosemanticity, appendix "Neuron Resampling".
    """
    error = (out.target - out.x_hat).square().sum(-1)
    uniform = torch.rand(error.shape[-1], generator=stream(seed, "resample", step), dtype=torch.float32, device="cpu")
    uniform = uniform.to(error)
    gumbel = -(-uniform.clamp_min(1e-30).log()).clamp_min(1e-30).log()
    order = (2 * error.clamp_min(1e-30).log() + gumbel).argsort(-1, descending=True)
    turn = dead.cumsum(-1) - 1  # the i-th dead latent takes the i-th row drawn
    dead = dead & (turn < error.shape[-1])
    chosen = order.gather(-1, turn.clamp(0, error.shape[-1] - 1))
    seen, clear = _directions(out.x, sae.decoder.centre, chosen)
    wanted, far = _directions(out.target, sae.b_dec, chosen) if sae.decoder.maps else (seen, clear)
    dead = dead & clear & far
    for parameter, (mask, value) in (sae.decoder.renewed(dead, wanted) | sae.encoder.renewed(dead, seen)).items():
        if parameter.requires_grad:
            _replace(adam, parameter, mask, value)
    sae.settle()
    return dead.sum(-1)


def _directions(
    x: Float[Tensor, "*b n d"], centre: Float[Tensor, "*s d"], chosen: Int[Tensor, "*s m"]
) -> tuple[Float[Tensor, "*s m d"], Bool[Tensor, "*s m"]]:
    """Unit vectors along the chosen rows of x less a centre, and where a row is not the centre, but for round-off."""
    rows = x - centre[..., None, :]
    found = rows.gather(-2, chosen[..., None].expand(*chosen.shape, x.shape[-1]))
    length = found.norm(dim=-1)
    low = 16 * torch.finfo(rows.dtype).eps * x.norm(dim=-1).amax(-1).expand(chosen.shape[:-1])[..., None]
    return found / length.clamp_min(1e-30)[..., None], length > low


def _replace(adam: Adam, parameter: Tensor, mask: Tensor, value: Tensor) -> None:
    parameter.copy_(torch.where(mask, value, parameter))
    for moment in ("exp_avg", "exp_avg_sq"):
        if moment in adam.state.get(parameter, {}):
            adam.state[parameter][moment].masked_fill_(mask, 0.0)
