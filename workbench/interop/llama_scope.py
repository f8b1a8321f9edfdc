"""Llama Scope: `hyperparams.json` and `checkpoints/final.safetensors`, SAEs on inputs of mean norm sqrt(d).

With s = sqrt(d) / average norm of the data set: z = s x W_enc + b_enc, x_hat = (f W_dec + b_dec) / s, and f = z where
z |row| / s > `jump_relu_threshold` (JumpReLU), z > 0 (ReLU), or among the k largest of z |row| (TopK), else 0. Rows'
norms count where `sparsity_include_decoder_norm` is set. b_dec is off the inputs only where
`apply_decoder_bias_to_pre_encoder` is set.

Source: He et al. (2024), arXiv 2410.20526; OpenMOSS's Language-Model-SAEs, `sae`; SAELens 6.54,
`llama_scope_sae_huggingface_loader`, for the threshold being in units of the activations.
"""

from pathlib import Path
from typing import Any

from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, OBJECT, SWITCH, TEXT, above, checked_fields, optional, read_json, whole
from workbench.interop.assembly import assembled, content_of, float_scale, floats, must_agree, shape_of
from workbench.sae import SAE

WEIGHTS, CONFIG = "checkpoints/final.safetensors", "hyperparams.json"
_FIELDS = {
    "act_fn": TEXT,
    "d_model": whole(1),
    "d_sae": optional(whole(1)),
    "jump_relu_threshold": optional(NUMBER),
    "top_k": optional(whole(1)),
    "dataset_average_activation_norm": optional(OBJECT),
    **dict.fromkeys(("norm_activation", "hook_point_in", "hook_point_out"), optional(TEXT)),
    **dict.fromkeys(
        ("use_glu_encoder", "apply_decoder_bias_to_pre_encoder", "sparsity_include_decoder_norm"), optional(SWITCH)
    ),
}
_ACTIVATIONS = ("jumprelu", "topk", "relu")
"""their names are those of our variants"""


def load(folder: Path) -> SAE:
    """The SAE with their latents on raw inputs, in units of the inputs: theirs over s."""
    content = content_of(folder / WEIGHTS)
    config = _config(folder / CONFIG)
    activation = pick(config["act_fn"].lower(), _ACTIVATIONS, f"{CONFIG}: act_fn")
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
    names |= {"b_dec": "decoder.bias"} if "decoder.bias" in content else {}
    state = floats(content, names, WEIGHTS)
    m, d = shape_of(state["W_dec"], f"{WEIGHTS}: decoder.weight")
    must_agree(CONFIG, {name: config.get(name) for name in ("d_model", "d_sae")}, d, m)
    scale, by_norm = _scale(config), bool(config.get("sparsity_include_decoder_norm"))
    settings: dict[str, Any] = {}
    if activation == "topk":
        settings["k"] = config.get("top_k")
    if activation == "jumprelu":
        threshold = config.get("jump_relu_threshold")
        must(threshold is not None, f"{CONFIG}: jump_relu_threshold", "a number", "none", "copy the folder whole")
        state["threshold"] = (
            scale * float(threshold or 0) / (state["W_dec"].norm(dim=1) if by_norm else state["W_dec"].new_ones(m))
        )
    about = {
        "model_name": "meta-llama/Llama-3.1-8B",
        "hook_name": config.get("hook_point_in"),
        "dataset_path": "cerebras/SlimPajama-627B",
    }
    return assembled(
        activation,
        state,
        WEIGHTS,
        settings=settings,
        applied=bool(config.get("apply_decoder_bias_to_pre_encoder")),
        rescaled=by_norm and activation == "topk",
        scale=scale,
        metadata={name: value for name, value in about.items() if value},
    )


def _config(path: Path) -> dict[str, Any]:
    """The fields of `hyperparams.json`; those of a transcoder or of a gated linear unit are refused."""
    config = read_json(path, "Llama Scope folder", _FIELDS, "copy the folder whole")
    advice = "SAEs are read, which reconstruct what they encode"
    places = config.get("hook_point_in"), config.get("hook_point_out")
    same = places[1] is None or places[0] == places[1]
    must(same, f"{CONFIG}: hook_point_out", f"hook_point_in, {places[0]}", places[1], advice)
    must(not config.get("use_glu_encoder"), f"{CONFIG}: use_glu_encoder", "false", True, "no variant of ours has one")
    return config


def _scale(config: dict[str, Any]) -> float:
    """What inputs are multiplied by."""
    kind = config.get("norm_activation") or "dataset-wise"
    if kind == "inference":  # folded already
        return 1.0
    advice = "other kinds divide each row by a number of its own, which no weights can"
    must(kind == "dataset-wise", f"{CONFIG}: norm_activation", "dataset-wise or inference", kind, advice)
    where = f"{CONFIG}: dataset_average_activation_norm"
    norms = config.get("dataset_average_activation_norm") or {}
    norms = checked_fields(norms, where, {"in": above(0.0), "out": optional(above(0.0))}, "copy the folder whole")
    same = norms.get("out") in (None, norms["in"])
    must(
        same, f"{where}: out", f"{norms['in']}, that of the inputs", norms.get("out"), "SAEs are read, not transcoders"
    )
    return float_scale(config["d_model"] ** 0.5 / norms["in"], where)
