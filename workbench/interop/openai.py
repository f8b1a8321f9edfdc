"""OpenAI's SAEs of GPT-2 small: a torch file with pre_bias, latent_bias, encoder.weight, decoder.weight, activation.

f = activation((x - pre_bias) W_enc + latent_bias), x_hat = f W_dec + pre_bias. Those with TopK take rows less their
mean, over their standard deviation + 1e-5, and their outputs are brought back; which the SAE here does not do itself:
`metadata["normalize_activations"]` is "layer_norm", and a source that standardises its rows gives it what it takes.

Source: Gao et al. (2024), arXiv 2406.04093; openai/sparse_autoencoder, `model.Autoencoder.from_state_dict` and `paths`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthetic.base.errors import must, pick
from synthetic.base.schema import OBJECT, TEXT, checked_fields, optional, whole
from workbench.interop.assembly import assembled, content_of, floats
from workbench.sae import SAE

KEYS = frozenset({"pre_bias", "latent_bias", "encoder.weight", "decoder.weight"})
_NAMES = {"W_enc": "encoder.weight", "b_enc": "latent_bias", "W_dec": "decoder.weight", "b_dec": "pre_bias"}
_PLACES = {
    "mlp_post_act": "blocks.{}.mlp.hook_post",
    "resid_delta_attn": "blocks.{}.hook_attn_out",
    "resid_post_attn": "blocks.{}.hook_resid_mid",
    "resid_delta_mlp": "blocks.{}.hook_mlp_out",
    "resid_post_mlp": "blocks.{}.hook_resid_post",
}
"""how a published folder's name begins -> TransformerLens's hook point"""


def load(file: Path) -> SAE:
    """The TopK SAE of standardised rows, or the ReLU SAE of raw ones, with their latents."""
    content = content_of(file)
    fields = {"activation": optional(TEXT), "activation_state_dict": optional(OBJECT)}
    checked_fields(content, str(file), fields, "copy the file again")
    kind = pick(content.get("activation") or "ReLU", ("TopK", "ReLU"), f"{file.name}: activation")
    settings, about = {}, _metadata(file)
    if kind == "TopK":
        settings = _top_k(content.get("activation_state_dict") or {}, file)
        about["normalize_activations"] = "layer_norm"
    state = floats(content, _NAMES, file.name)
    return assembled("topk" if settings else "relu", state, file.name, settings=settings, metadata=about)


def _top_k(stored: Mapping[str, Any], file: Path) -> dict[str, int]:
    where = f"{file.name}: activation_state_dict"
    fields = {"k": whole(1), "postact_fn": optional(TEXT)}
    stored = checked_fields(dict(stored), where, fields, "copy the file again")
    after = stored.get("postact_fn") or "ReLU"
    must(
        after == "ReLU", f"{where}: postact_fn", "ReLU", after, "no variant of ours keeps negative ones of the largest"
    )
    return {"k": stored["k"]}


def _metadata(file: Path) -> dict[str, Any]:
    """Model and hook point, where the path is one of the published ones, `resid_post_mlp_v5_32k/autoencoders/6.pt`."""
    found = re.search(r"([a-z_]+?)(?:_v\d+(?:_\w+)?)?/autoencoders/(\d+)\.pt$", file.resolve().as_posix())
    if not found or found[1] not in _PLACES:
        return {}
    return {
        "model_name": "gpt2-small",
        "hook_name": _PLACES[found[1]].format(found[2]),
        "model_from_pretrained_kwargs": {"center_writing_weights": False},
    }
