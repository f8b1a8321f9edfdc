"""Folders that SAELens wrote: the variant of ours with the same latents, its tensors, and what is said about it.

Saves for inference and of training, and checkpoints whose inputs' scale or whitening lies beside the weights, are read
as the SAE that SAELens would save for inference in the end: for raw inputs, heads of `hook_z` flattened to one axis.

Source: SAELens 6.54, `saes`, `training.activation_scaler` and `loading.pretrained_sae_loaders`, whose defaults for
older folders are kept. Differs: everything is computed in float32, whatever precision the weights are kept in.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.schema import NUMBER, OBJECT, SWITCH, TEXT, Kind, above, list_of, optional, read_json, whole
from workbench.interop.assembly import assembled, content_of, float_scale, floating, floats, must_agree, shape_of
from workbench.sae import SAE

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"
SCALINGS = _SCALE, _WHITENING = "activation_scaler.json", "activation_whitening.safetensors"
"""what a checkpoint in the middle of training keeps beside weights that its inputs' units are not yet folded into"""
_RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
_ABOUT = ("model_name", "model_class_name", "model_from_pretrained_kwargs", "hook_name", "hook_head_index")
_ABOUT += ("dataset_path", "context_size", "prepend_bos", "exclude_special_tokens", "seqpos_slice", "neuronpedia_id")
_ABOUT += ("hook_name_out", "hook_head_index_out", "sae_lens_training_version")
"""metadata that folders older than SAELens 6 hold at the top level"""
FIELDS: dict[str, Kind] = {
    "d_in": whole(1),
    "d_sae": whole(1),
    **dict.fromkeys(
        ("architecture", "activation_fn", "activation_fn_str", "hook_name", "hook_point", "reshape_activations"),
        optional(TEXT),
    ),
    **dict.fromkeys(("k", "topk_threshold_lr", "residual_threshold"), optional(NUMBER)),
    **dict.fromkeys(
        ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm", "stop_on_duplicate_support"), optional(SWITCH)
    ),
    "normalize_activations": optional(Kind("a text or a switch", lambda v: isinstance(v, str | bool))),
    "activation_fn_kwargs": optional(OBJECT),
    "matryoshka_widths": optional(list_of(whole(1))),
    "max_iterations": optional(whole(1)),
    "metadata": optional(OBJECT),
}
"""what `cfg.json` must say of what is read out of it"""


def _k(config: dict[str, Any]) -> Any:
    must(config.get("k") is not None, f"{CONFIG}.k", "given for this architecture", None, "save the SAE again")
    return config["k"]


def _whole_k(config: dict[str, Any]) -> dict[str, Any]:
    k = _k(config)
    must(k == int(k), f"{CONFIG}.k", "a whole number for this architecture", k, "save the SAE again")
    return {"k": int(k)}


def _batch(config: dict[str, Any]) -> dict[str, Any]:
    rate = config.get("topk_threshold_lr")
    return {"k": float(_k(config)), "threshold_rate": 0.01 if rate is None else float(rate)}


def _nested(config: dict[str, Any]) -> dict[str, Any]:
    m, widths = config["d_sae"], list(config.get("matryoshka_widths") or ())
    widths += [m] * (widths[-1:] != [m])  # SAELens adds it too
    return _batch(config) | {"prefixes": tuple(width / m for width in widths)}


def _pursuit(config: dict[str, Any]) -> dict[str, Any]:
    steps, least, once = (config.get(f) for f in ("max_iterations", "residual_threshold", "stop_on_duplicate_support"))
    return {
        "k": config["d_in"] if steps is None else steps,
        "select": "relu",
        "tol": 1e-2 if least is None else float(least),
        "stop_on_repeat": True if once is None else once,
    }


ARCHITECTURES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "standard": ("relu", lambda config: {}),
    "topk": ("topk", _whole_k),
    "abstopk": ("abs_topk", _whole_k),
    "jumprelu": ("jumprelu", lambda config: {}),
    "batchtopk": ("batch_topk", _batch),
    "matryoshka_batchtopk": ("matryoshka", _nested),
    "gated": ("gated", lambda config: {}),
    "matching_pursuit": ("matching_pursuit", _pursuit),
}
"""SAELens architecture -> variant of ours, its settings from `cfg.json`"""
_NAMES: dict[str, set[str]] = {
    "batchtopk": {"threshold"},
    "matryoshka_batchtopk": {"threshold"},
    "jumprelu": {"threshold"},
    "gated": {"b_gate", "b_mag", "r_mag"},
}
_TIED = ("matching_pursuit",)
_BATCHED = ("batchtopk", "matryoshka_batchtopk")
_RESCALED = ("topk", "abstopk", *_BATCHED)


def foreign(folder: Path) -> SAE:
    """The variant of ours with the latents that SAELens's SAE for inference would have, for raw inputs."""
    state = content_of(folder / WEIGHTS)
    config = modern(read_json(folder / CONFIG, "SAE folder", FIELDS, "copy the folder whole"))
    architecture = pick(config["architecture"], ARCHITECTURES, f"{CONFIG}.architecture")
    scale, whitening = _input_units(config, folder)
    variant, settings_of = ARCHITECTURES[architecture]
    state = _renamed(state)
    names = {"W_dec", "b_dec"} | (set() if architecture in _TIED else {"W_enc"})
    names |= _NAMES.get(architecture, set()) | (set() if architecture in ("gated", *_TIED) else {"b_enc"})
    must(set(state) == names, f"{WEIGHTS} of a {architecture} SAE", f"{sorted(names)}", sorted(state), "copy it whole")
    m, d = shape_of(state["W_dec"], f"{WEIGHTS}: W_dec")
    must_agree(CONFIG, {name: config[name] for name in ("d_in", "d_sae")}, d, m)
    settings = settings_of(config)
    if "tol" in settings:
        settings["tol"] /= scale
    applied = config.get("apply_b_dec_to_input")
    rescaled = config.get("rescale_acts_by_decoder_norm")
    return assembled(
        variant,
        state,
        WEIGHTS,
        settings=settings,
        applied=applied is not False,
        rescaled=architecture in _RESCALED and (architecture in _BATCHED if rescaled is None else rescaled),
        scale=scale,
        whitening=whitening,
        metadata=metadata_of(config, variant),
    )


def metadata_of(config: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What a configuration says about its SAE, without what `save` says by itself."""
    config = modern(config)
    about = {name: config[name] for name in _ABOUT if name in config} | (config.get("metadata") or {})
    ours = {"library": "sae-workbench", "training_architecture": variant}
    about = {name: v for name, v in about.items() if v != ours.get(name) and name != "sae_lens_version"}
    if config["normalize_activations"] == "layer_norm":  # done before the SAE, not by it
        about["normalize_activations"] = "layer_norm"
    shape = config.get("reshape_activations") or "none"
    return about if shape == "none" else about | {"reshape_activations": shape}


def modern(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of any version in the terms of SAELens 6."""
    config = {_RENAMED.get(name, name): value for name, value in config.items()}
    config["architecture"] = config.get("architecture") or "standard"
    if pick(config.get("activation_fn") or "relu", ("relu", "topk"), f"{CONFIG}.activation_fn") == "topk":
        config |= {"architecture": "topk", "k": (config.get("activation_fn_kwargs") or {}).get("k")}
        must(config["k"] is None or NUMBER.holds(config["k"]), f"{CONFIG}.k", NUMBER.rule, config["k"], "save it again")
    units = config.get("normalize_activations") or "none"
    config["normalize_activations"] = "expected_average_only_in" if units is True else units
    if "hook_z" in (config.get("hook_name") or ""):
        config.setdefault("reshape_activations", "hook_z")
    return config


def _input_units(config: dict[str, Any], folder: Path) -> tuple[float, dict[str, Tensor] | None]:
    """What inputs are multiplied by, and the affine map they then go through."""
    kind = config["normalize_activations"]
    known = ("none", "layer_norm", "expected_average_only_in", "covariance_whitening")
    advice = "it divides each row by a number of its own, which no weights can; encode rows that are normalised already"
    must(kind in known, f"{CONFIG}.normalize_activations", f"one of {list(known)}", kind, advice)
    if kind in ("none", "layer_norm"):
        return 1.0, None
    if kind == "covariance_whitening":
        tied = config["architecture"] in _TIED
        must(not tied, f"{CONFIG}.normalize_activations", "linear in a tied SAE", kind, "whiten the inputs")
        return 1.0, _whitening(folder, config["d_in"])
    stored, scale = folder / _SCALE, None
    if stored.exists():
        scale = read_json(stored, "SAE folder", {"scaling_factor": optional(above(0.0))}).get("scaling_factor")
    rule = f"folded into the weights, or its scaling_factor kept in {_SCALE}"
    must(scale, f"{CONFIG}.normalize_activations", rule, kind, "fold_activation_norm_scaling_factor folds it")
    return float_scale(float(scale or 0), f"{_SCALE}: scaling_factor"), None


def _whitening(folder: Path, d: int) -> dict[str, Tensor]:
    """Mean, matrix and its inverse, in the precision they are kept in."""
    found, shapes = content_of(folder / _WHITENING), {"mean": (d,), "matrix": (d, d), "inverse_matrix": (d, d)}
    kept = floats(found, {name: name for name in shapes}, _WHITENING)
    for name, shape in shapes.items():
        real = tuple(kept[name].shape)
        must(real == shape, f"{_WHITENING}: {name}", f"of shape {shape}", real, "copy the folder whole")
    return {name: found[name] for name in shapes}


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our names."""
    state = {name: floating(value, f"{WEIGHTS}: {name}") for name, value in state.items()}
    factor = state.pop("scaling_factor", torch.ones(()))
    one = torch.allclose(factor, torch.ones_like(factor))
    must(one, f"{WEIGHTS}.scaling_factor", "1", "a fine-tuned one", "multiply the rows of W_dec by it and take it out")
    if "log_threshold" in state:
        state["threshold"] = state.pop("log_threshold").exp()
    if "topk_threshold" in state:
        state["threshold"] = state.pop("topk_threshold")
    return state
