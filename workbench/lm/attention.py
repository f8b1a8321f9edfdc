"""What a head's output is made of, patterns times values, and what a latent that reads it owes to each part."""

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synthetic.base.errors import must
from workbench.lm.hooks import HookPoint, capture
from workbench.lm.models import LanguageModel
from workbench.lm.store import ActivationStore
from workbench.metrics.attribution import by_source, constant, head_share
from workbench.parts.encoders import Affine
from workbench.ratios import difference, ratio
from workbench.sae import SAE, must_be_single


@torch.no_grad()
def attention_parts(
    lm: LanguageModel, ids: Int[Tensor, "b t"], layer: int
) -> tuple[Float[Tensor, "b h t t"], Float[Tensor, "b h t e"]]:
    """Attention pattern (b, heads, t, source) and values (b, heads, source, width of a head) of a layer.

    hook_z at position t is, head by head, sum_s pattern[t, s] values[s]; heads that share keys and values have them
    repeated.

    Raises:
        ValueError: that sum is not the model's own hook_z to 1e-4.
    """
    attention = lm.blocks[layer].attention
    kept: dict[str, Tensor] = {}

    def pattern(_: nn.Module, args: Any, out: Any) -> None:
        kept["pattern"] = out[1]

    def values(module: nn.Module, args: Any, out: Tensor) -> None:
        kept["values"] = out

    own = lm.model.config._attn_implementation
    lm.model.set_attn_implementation("eager")  # the only one that gives its weights away
    try:
        with ExitStack() as hooked:
            hooked.callback(attention.register_forward_hook(pattern).remove)
            hooked.callback(_projection_of_values(attention).register_forward_hook(values).remove)
            last = HookPoint(layer, "resid_post")
            z = capture(lm, ids, [HookPoint(layer, "hook_z"), last])[HookPoint(layer, "hook_z")]
    finally:
        lm.model.set_attn_implementation(own)
    weights, v = kept["pattern"], _by_head(attention, kept["values"], lm.heads)
    built = (weights @ v).transpose(1, 2).flatten(2)
    off = difference(built, z)
    must(off <= 1e-4, "pattern times values", "hook_z to 1e-4", f"{off:.1e} off", "this attention is not supported")
    return weights, v


def _projection_of_values(attention: nn.Module) -> nn.Module:
    """The product whose output holds the values: their own, or one for queries, keys and values."""
    for name in ("v_proj", "c_attn", "query_key_value"):
        if hasattr(attention, name):
            return getattr(attention, name)
    raise ValueError(f"attention must have v_proj, c_attn or query_key_value; got {attention}: not supported.")


def _by_head(attention: nn.Module, out: Tensor, heads: int) -> Float[Tensor, "b h t e"]:
    if hasattr(attention, "query_key_value"):  # queries, keys and values of a head lie together
        out = out.unflatten(-1, (heads, 3, -1))[..., 2, :]
    elif hasattr(attention, "c_attn"):
        out = out.chunk(3, -1)[2].unflatten(-1, (heads, -1))
    else:
        weight: Any = attention.get_parameter("o_proj.weight")
        out = out.unflatten(-1, (-1, weight.shape[1] // heads))
    v = out.transpose(1, 2)
    return v.repeat_interleave(heads // v.shape[1], 1)


@torch.no_grad()
def attributed(
    lm: LanguageModel, sae: SAE, ids: Int[Tensor, "b t"], layer: int, latents: Int[Tensor, " l"]
) -> tuple[Float[Tensor, "b h t t l"], float]:
    """Direct feature attribution of an attention-output SAE on text, by head and source position.

    Args:
        lm: the model.
        sae: a single SAE on raw hook_z of the layer, with pre-activations (x - b_dec) W_enc + b_enc.
        ids: tokens.
        layer: of the SAE.
        latents: some of its latents.

    Returns:
        parts (b, heads, t, source, latents) in the SAE's own units; and by how much their sum over heads and sources,
        with the constant, misses the pre-activation, in units of the largest of them.
    """
    must_be_single(sae, "attributed.sae")
    rule, encoder = "one whose pre-activations are (x - b_dec) W_enc + b_enc", sae.encoder
    if not isinstance(encoder, Affine):
        must(False, "attributed.sae", rule, sae.name, "use topk or relu")
        raise AssertionError
    patterns, values = attention_parts(lm, ids, layer)
    columns = sae.W_enc[:, latents]
    parts = by_source(patterns, values, columns, sae.scale)
    z = capture(lm, ids, [point := HookPoint(layer, "hook_z")])[point]
    pre = encoder.product(sae.own_units(z.flatten(0, 1)), sae.decoder)[:, latents]
    total = parts.sum((1, 3)).flatten(0, 1) + constant(columns, sae.b_enc[latents], sae.decoder.centre)
    return parts, ratio(float((total - pre).abs().max()), float(pre.abs().max()))


@torch.no_grad()
def summed_attribution(
    sae: SAE, lm: LanguageModel, store: ActivationStore, hook: str, count: int = 32
) -> tuple[float, float]:
    """Whether attributions to heads and sources add up on a real model, and how far latents keep to one head.

    Args:
        sae: a single one on raw hook_z, on the model's device.
        lm: the model.
        store: its first two sequences are looked at.
        hook: the hook point, hook_z of a layer.
        count: latents attributed.

    Returns:
        by how much the attributions' sum misses the pre-activation, see `attributed`; and the share that one head has
        of the norms of the median latent's decoder row, 1/heads at least.
    """
    layer, ids = HookPoint.of(hook).layer, next(store.sequences()).ids[:2].clamp_min(0)
    latents = torch.arange(0, sae.m, max(1, sae.m // count), device=lm.device)[:count]
    missed = attributed(lm, sae, ids, layer, latents)[1]
    return missed, float(head_share(sae.W_dec, lm.heads).amax(-1).median())
