"""dictionary_learning folders: `ae.pt`, the state of one of its classes, and `config.json`.

Source: dictionary_learning 0.1 (Marks, Karvonen, Mueller), `dictionary`, `trainers.top_k`, `trainers.batch_top_k`,
`trainers.matryoshka_batch_top_k` and `utils.load_dictionary`. Differs: nothing is normalised beyond what leaves x_hat
as it is; their `AutoEncoder.from_pretrained` does the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, OBJECT, TEXT, checked_fields, optional, read_json, shown, whole
from workbench.interop.assembly import assembled, content_of, floats, must_agree, shape_of
from workbench.sae import SAE
from workbench.variants import variant_shelf

WEIGHTS, CONFIG = "ae.pt", "config.json"
_LINEAR = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
_PLAIN = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}


@dataclass(frozen=True)
class _Class:
    """A class of theirs: our variant, our names -> theirs, whether the encoder takes inputs less b_dec."""

    variant: str
    names: dict[str, str]
    applied: bool = True


CLASSES: dict[str, _Class] = {
    "AutoEncoder": _Class("relu", _LINEAR | {"b_dec": "bias"}),
    "AutoEncoderNew": _Class("relu", _LINEAR | {"b_dec": "decoder.bias"}, applied=False),
    "AutoEncoderTopK": _Class("topk", _LINEAR | {"b_dec": "b_dec"}),
    "BatchTopKSAE": _Class("batch_topk", _LINEAR | {"b_dec": "b_dec", "threshold": "threshold"}),
    "GatedAutoEncoder": _Class(
        "gated",
        {
            "W_enc": "encoder.weight",
            "W_dec": "decoder.weight",
            "b_dec": "decoder_bias",
            "b_gate": "gate_bias",
            "b_mag": "mag_bias",
            "r_mag": "r_mag",
        },
    ),
    "JumpReluAutoEncoder": _Class("jumprelu", _PLAIN, applied=False),
    "MatryoshkaBatchTopKSAE": _Class("matryoshka", _PLAIN),
}
"""every class that their `load_dictionary` reads"""
_TRAINER = {
    "dict_class": TEXT,
    **dict.fromkeys(("activation_dim", "dict_size", "k"), optional(whole(1))),
    "threshold_beta": optional(NUMBER),
    "layer": optional(whole()),
    **dict.fromkeys(("lm_name", "submodule_name"), optional(TEXT)),
}
_HOOKS = {"resid_pre": "resid_pre", "resid_post": "resid_post", "mlp": "mlp_out", "att": "attn_out"}
"""how a submodule's name begins -> a hook point of TransformerLens's"""


def load(folder: Path) -> SAE:
    """The variant of ours with the latents of their class, up to the norms of decoder rows."""
    content = content_of(folder / WEIGHTS)
    config = read_json(folder / CONFIG, "dictionary_learning folder", {"trainer": OBJECT, "buffer": optional(OBJECT)})
    trainer = checked_fields(config["trainer"], f"{CONFIG}: trainer", _TRAINER, "copy the folder whole")
    kind = CLASSES[pick(trainer["dict_class"], CLASSES, f"{CONFIG}: trainer.dict_class")]
    state = floats(content, kind.names, WEIGHTS)
    m, d = shape_of(state["W_dec"], f"{WEIGHTS}: W_dec")
    must_agree(f"{CONFIG}: trainer", {name: trainer.get(name) for name in ("activation_dim", "dict_size")}, d, m)
    settings = _settings(kind.variant, trainer, content, m)
    about = _metadata(trainer, config.get("buffer") or {})
    return assembled(kind.variant, state, WEIGHTS, settings=settings, applied=kind.applied, metadata=about)


def _settings(variant: str, trainer: dict[str, Any], content: dict[str, Any], m: int) -> dict[str, Any]:
    """k, where latents are selected, and what training would go on with."""
    known = variant_shelf()[variant].defaults
    if "k" not in known:
        return {}
    stored = content.get("k")
    own = int(stored) if isinstance(stored, Tensor) and stored.numel() == 1 else None
    k = trainer.get("k") if own is None else own
    must(k is not None, f"{CONFIG}: trainer.k", "given for this class", "none", "copy the folder whole")
    agree = own is None or trainer.get("k") in (None, own)
    must(agree, f"{CONFIG}: trainer.k", f"{own}, that of {WEIGHTS}", trainer.get("k"), "copy the folder whole")
    if "threshold_rate" not in known:
        return {"k": k}
    beta = trainer.get("threshold_beta")
    settings: dict[str, Any] = {"k": float(k or 0), "threshold_rate": 1 - (0.999 if beta is None else float(beta))}
    return settings | ({"prefixes": _prefixes(content.get("group_sizes"), m)} if "prefixes" in known else {})


def _prefixes(sizes: Any, m: int) -> tuple[float, ...]:
    """Prefix widths as shares of m, from the sizes of groups."""
    where, advice = f"{WEIGHTS}: group_sizes", "copy the file again"
    good = isinstance(sizes, Tensor) and sizes.ndim == 1 and not sizes.is_floating_point() and bool((sizes > 0).all())
    must(good and int(sizes.sum()) == m, where, f"sizes above 0 that sum to {m}", shown(sizes), advice)
    return tuple(int(width) / m for width in sizes.cumsum(0))


def _metadata(trainer: dict[str, Any], buffer: dict[str, Any]) -> dict[str, Any]:
    """Model and hook point under SAELens's names; a submodule without a name is the residual stream after the layer."""
    about = {"model_name": trainer.get("lm_name"), "context_size": buffer.get("ctx_len")}
    layer, place = trainer.get("layer"), trainer.get("submodule_name") or "resid_post"
    kind = next((hook for start, hook in _HOOKS.items() if re.match(start, place)), None)
    if layer is not None and kind is not None:
        about["hook_name"] = f"blocks.{layer}.hook_{kind}"
    else:
        about["submodule_name"] = trainer.get("submodule_name")
    return {name: value for name, value in about.items() if value is not None}
