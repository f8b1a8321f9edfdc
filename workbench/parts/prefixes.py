"""Nested dictionaries: reconstructions from ever longer prefixes of the latents, each latent decoded once."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.base import Latents, Pass, squared_error

Detach = Literal["none", "inner", "all"]
"""which losses leave the latents of shorter prefixes alone: none, those of proper prefixes, the full one too"""


def widths_of(owner: str, prefixes: tuple[float, ...], m: int) -> list[int]:
    """Prefix widths in latents from fractions of m; refuses fractions that do not increase to 1."""
    ordered = bool(prefixes) and all(0 < a < b for a, b in zip((1e-9, *prefixes), prefixes, strict=False))
    must(ordered and prefixes[-1] == 1, f"{owner}.prefixes", "increasing to 1", prefixes, "sort them")
    return [max(1, round(share * m)) for share in prefixes]


def levels_of(frequency: Float[Tensor, "*s m"], widths: list[int]) -> Int[Tensor, "*s m"]:
    """Number of the shortest prefix that holds each latent, most frequent first; equals keep their order."""
    ranks = torch.arange(frequency.shape[-1], device=frequency.device)
    level = torch.bucketize(ranks, torch.tensor(widths, device=frequency.device), right=True)
    order = frequency.argsort(dim=-1, descending=True, stable=True)
    return torch.empty_like(order).scatter_(-1, order, level.expand_as(order))


def track_frequency(frequency: Float[Tensor, "*s m"], codes: Latents, rate: float = 0.01) -> None:
    """Running mean, in place, of each latent's share of samples on which it fires."""
    if isinstance(codes, Tensor):
        share = (codes.detach() != 0).to(frequency.dtype).mean(-2)
    else:
        share = torch.zeros_like(frequency)
        share.scatter_add_(-1, codes.indices.flatten(-2), (codes.values != 0).flatten(-2).to(share.dtype))
        share /= codes.values.shape[-2]
    frequency.lerp_(share, rate)


def prefix_loss(
    W_dec: Float[Tensor, "*s m d"],
    b_dec: Float[Tensor, "*s d"],
    out: Pass,
    widths: list[int],
    frequency: Float[Tensor, "*s m"] | None,
    detach: Detach,
    inner_weight: Float[Tensor, "*s"],
) -> Float[Tensor, "*s"]:
    """Weighted mean over prefixes of |x - b_dec - f W_dec restricted to the prefix|^2; the full one has weight 1.

    Levels add up, so all of them cost one decode. With `detach` a shorter prefix enters the losses it names as a
    constant; b_dec is then trained by the shortest prefix and the full one.

    Args:
        W_dec: rows of the decoder.
        b_dec: its bias.
        out: forward pass.
        widths: prefix lengths, the last m.
        frequency: latents are ranked by it; None for the order they have.
        detach: see `Detach`.
        inner_weight: weight of each proper prefix.

    Source: Bussmann et al. (2025), arXiv 2503.17547; options from the LISTA-Matryoshka recipe (github.com/chanind/
    claude-auto-research-synthsaebench). Differs: averaged, not summed; "all" is ours.
    """
    errors, inner, x = [], b_dec[..., None, :], out.x
    if len(widths) > 1:
        parts = _decoded(out.codes, W_dec, widths, frequency, len(widths) - (detach != "all"))
        for level in range(len(widths) - 1):
            inner = (inner.detach() if detach != "none" and level else inner) + next(parts)
            errors.append(squared_error(x, inner))
        if detach == "all":
            bias = (b_dec - b_dec.detach())[..., None, :]
            full = squared_error(x, inner.detach() + next(parts) + bias)
            return _mean(errors, full, inner_weight)
    return _mean(errors, squared_error(x, out.x_hat), inner_weight)


def _mean(errors: list[Tensor], full: Tensor, inner_weight: Tensor) -> Tensor:
    return (sum(errors, torch.zeros_like(full)) * inner_weight + full) / (1 + len(errors) * inner_weight)


def _decoded(
    codes: Latents, W_dec: Tensor, widths: list[int], frequency: Tensor | None, count: int
) -> Iterator[Float[Tensor, "*s n d"]]:
    """What each of the first `count` levels adds to the reconstruction."""
    if isinstance(codes, Codes):
        level = levels_of(W_dec.new_zeros(W_dec.shape[:-1]) if frequency is None else frequency, widths)
        for part in split(codes, level, count):
            yield kernels.decode(part, W_dec)
        return
    if frequency is not None:
        order = frequency.argsort(dim=-1, descending=True, stable=True)
        codes = codes.gather(-1, order[..., None, :].expand_as(codes))
        W_dec = W_dec.gather(-2, order[..., None].expand_as(W_dec))
    for start, stop in zip([0, *widths], widths[:count], strict=False):
        yield codes[..., start:stop] @ W_dec[..., start:stop, :]


def split(codes: Codes, level: Int[Tensor, "*s m"], count: int) -> list[Codes]:
    """The codes of each of the levels 0 ... count - 1, packed into as few slots as their fullest row needs."""
    *stack, n, k = codes.indices.shape
    own = level[..., None, :].expand(*stack, n, level.shape[-1]).gather(-1, codes.indices)
    own = own.masked_fill(codes.values == 0, level.shape[-1])  # unused slots last
    own, order = own.sort(stable=True)
    indices, values = codes.indices.gather(-1, order), codes.values.gather(-1, order)
    sizes = (own[..., None] == torch.arange(count, device=own.device)).sum(-2)
    starts = sizes.cumsum(-1) - sizes
    parts = []
    for number, slots in enumerate(sizes.reshape(-1, count).amax(0).clamp_min(1).tolist()):
        slot = torch.arange(slots, device=own.device)
        used = slot < sizes[..., number, None]
        at = (starts[..., number, None] + slot).clamp_max(k - 1)
        parts.append(Codes(indices.gather(-1, at), values.gather(-1, at) * used, codes.width))
    return parts
