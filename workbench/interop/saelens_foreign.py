"""Folders that SAELens wrote: the variant of ours with the same latents, its tensors, and what is said about it.

Saves for inference and of training, and checkpoints whose inputs' scale or whitening lies beside the weights, are read
as the SAE that SAELens would save for inference in the end: for raw inputs, heads of `hook_z` flattened to one axis.

Source: SAELens 6.54, `saes`, `training.activation_scaler` and `loading.pretrained_sae_loaders`, whose defaults for
older folders are kept. Differs: everything is computed in float32, whatever precision the weights are kept in.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from synthetic.errors import must, pick
from synthetic.storage import read
from workbench.sae import SAE, variant_shelf

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"
LENGTHS = ("b_enc", "b_dec", "threshold", "b_gate", "b_mag")
"""tensors measured in units of x"""
_SCALE, _WHITENING = "activation_scaler.json", "activation_whitening.safetensors"
"""what a checkpoint in the middle of training keeps beside weights that its inputs' units are not yet folded into"""
_RENAMED = {"hook_point": "hook_name", "hook_point_head_index": "hook_head_index", "activation_fn_str": "activation_fn"}
_ABOUT = ("model_name", "model_class_name", "model_from_pretrained_kwargs", "hook_name", "hook_head_index")
_ABOUT += ("dataset_path", "context_size", "prepend_bos", "exclude_special_tokens", "seqpos_slice", "neuronpedia_id")
_ABOUT += ("hook_name_out", "hook_head_index_out", "sae_lens_training_version")
"""metadata that folders older than SAELens 6 hold at the top level"""


def _k(config: dict[str, Any]) -> Any:
    must(config.get("k") is not None, f"{CONFIG}.k", "given for this architecture", None, "save the SAE again")
    return config["k"]


def _batch(config: dict[str, Any]) -> dict[str, Any]:
    return {"k": float(_k(config)), "threshold_rate": float(config.get("topk_threshold_lr", 0.01))}


def _nested(config: dict[str, Any]) -> dict[str, Any]:
    m = int(config["d_sae"])
    widths = [int(width) for width in config.get("matryoshka_widths", ())]
    widths += [m] * (widths[-1:] != [m])  # SAELens adds it too
    return _batch(config) | {"prefixes": tuple(width / m for width in widths)}


def _pursuit(config: dict[str, Any]) -> dict[str, Any]:
    steps = config.get("max_iterations")
    return {
        "k": int(config["d_in"] if steps is None else steps),
        "select": "relu",
        "tol": float(config.get("residual_threshold", 1e-2)),
        "stop_on_repeat": bool(config.get("stop_on_duplicate_support", True)),
    }


ARCHITECTURES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "standard": ("relu", lambda config: {}),
    "topk": ("topk", lambda config: {"k": int(_k(config))}),
    "abstopk": ("abs_topk", lambda config: {"k": int(_k(config))}),
    "jumprelu": ("jumprelu", lambda config: {}),
    "batchtopk": ("batch_topk", _batch),
    "matryoshka_batchtopk": ("matryoshka", _nested),
    "gated": ("gated", lambda config: {}),
    "matching_pursuit": ("matching_pursuit", _pursuit),
}
"""SAELens architecture -> variant of ours, its settings from `cfg.json`"""
_BATCHED = ("batchtopk", "matryoshka_batchtopk")
_RESCALED = ("topk", "abstopk", *_BATCHED)


def foreign(config: dict[str, Any], state: dict[str, Tensor], folder: Path) -> SAE:
    """The variant of ours with the latents that SAELens's SAE for inference would have, for raw inputs."""
    config = _modern(config)
    architecture = pick(config["architecture"], ARCHITECTURES, f"{CONFIG}.architecture")
    for name in ("d_in", "d_sae"):
        must(name in config, f"{CONFIG}.{name}", "given", None, "copy the folder whole")
    scale, whitening = _input_units(config, folder)
    variant, settings_of = ARCHITECTURES[architecture]
    settings = settings_of(config)
    if "tol" in settings:
        settings["tol"] /= scale
    sae = variant_shelf()[variant](int(config["d_in"]), int(config["d_sae"]), **settings)
    state, names = _renamed(state), set(sae.state_dict()) - {"scale"}
    must(set(state) == names, f"{WEIGHTS} of a {architecture} SAE", f"{sorted(names)}", sorted(state), "copy it whole")
    sae.load_state_dict(fitted(sae, state, 1.0))
    rescaled = architecture in _RESCALED and config.get("rescale_acts_by_decoder_norm", architecture in _BATCHED)
    _fold(sae, config.get("apply_b_dec_to_input", True), bool(rescaled), scale, whitening)
    sae.metadata = metadata_of(config, sae.name)
    return sae


def fitted(sae: SAE, state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A state of `sae`, whose inputs are multiplied by `scale`, from tensors in raw units."""
    out = {}
    for name, target in sae.state_dict().items():
        if name == "scale":
            out[name] = torch.tensor(scale)
            continue
        if name not in state:
            raise ValueError(f"{WEIGHTS} must hold {name}; got {sorted(state)}: save the SAE again.")
        value = state[name].float()
        if target.ndim == 0 and value.ndim == 1:
            value = value[0]
        if value.shape != target.shape:
            raise ValueError(
                f"{WEIGHTS}.{name} must be of shape {tuple(target.shape)}; got {tuple(value.shape)}: "
                "the folder's cfg.json and weights do not belong together."
            )
        out[name] = value * scale if name in LENGTHS else value
    return out


def metadata_of(config: dict[str, Any], variant: str) -> dict[str, Any]:
    """What a configuration says about its SAE, without what `save` says by itself."""
    config = _modern(config)
    about = {name: config[name] for name in _ABOUT if name in config} | (config.get("metadata") or {})
    ours = {"library": "sae-workbench", "training_architecture": variant}
    about = {name: v for name, v in about.items() if v != ours.get(name) and name != "sae_lens_version"}
    if config["normalize_activations"] == "layer_norm":  # of ours: done before the SAE, not by it
        about["normalize_activations"] = "layer_norm"
    shape = config.get("reshape_activations", "none")
    return about if shape == "none" else about | {"reshape_activations": shape}


def _modern(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of any version in the terms of SAELens 6."""
    config = {_RENAMED.get(name, name): value for name, value in config.items()}
    config["architecture"] = config.get("architecture") or "standard"
    if pick(config.get("activation_fn") or "relu", ("relu", "topk"), f"{CONFIG}.activation_fn") == "topk":
        config |= {"architecture": "topk", "k": (config.get("activation_fn_kwargs") or {}).get("k")}
    units = config.get("normalize_activations") or "none"
    config["normalize_activations"] = "expected_average_only_in" if units is True else units
    if "hook_z" in (config.get("hook_name") or ""):
        config.setdefault("reshape_activations", "hook_z")
    return config


def _input_units(config: dict[str, Any], folder: Path) -> tuple[float, dict[str, Tensor] | None]:
    """What inputs are multiplied by, and the affine map they then go through."""
    kind = config["normalize_activations"]
    linear = ("none", "expected_average_only_in", "covariance_whitening")
    advice = "it divides each row by a number of its own, which no weights can; encode rows that are normalised already"
    must(kind in linear, f"{CONFIG}.normalize_activations", f"one of {list(linear)}", kind, advice)
    if kind == "none":
        return 1.0, None
    if kind == "covariance_whitening":
        tied = config["architecture"] == "matching_pursuit"
        must(not tied, f"{CONFIG}.normalize_activations", "linear in a tied SAE", kind, "whiten the inputs")
        return 1.0, read(folder / _WHITENING, load_file, "SAE folder with whitened inputs")
    stored = folder / _SCALE
    scale = (
        read(stored, lambda path: json.loads(path.read_text()), "SAE folder")["scaling_factor"]
        if stored.exists()
        else 0
    )
    rule = f"folded into the weights, or its scaling_factor kept in {_SCALE}"
    must(scale, f"{CONFIG}.normalize_activations", rule, kind, "fold_activation_norm_scaling_factor folds it")
    return float(scale), None


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our names."""
    state = {name: value.float() for name, value in state.items()}
    factor = state.pop("scaling_factor", torch.ones(()))
    one = torch.allclose(factor, torch.ones_like(factor))
    must(one, f"{WEIGHTS}.scaling_factor", "1", "a fine-tuned one", "multiply the rows of W_dec by it and take it out")
    if "log_threshold" in state:
        state["threshold"] = state.pop("log_threshold").exp()
    if "topk_threshold" in state:
        state["threshold"] = state.pop("topk_threshold")
    if "threshold" in state:  # SAELens rectifies first, so that a threshold below 0 acts as 0
        state["threshold"] = state["threshold"].clamp_min(0.0)
    return state


@torch.no_grad()
def _fold(sae: SAE, applied: bool, rescaled: bool, scale: float, whitening: dict[str, Tensor] | None) -> None:
    """Bring an SAE's parameters, in place, to raw inputs less b_dec and to latents as SAELens's decoder takes them."""
    own = dict(sae.named_parameters()) | dict(sae.named_buffers())
    if scale != 1:  # inputs s x
        sae.b_dec.div_(scale)
        if "W_enc" in own:
            own["W_enc"].mul_(scale)
            sae.W_dec.div_(scale)
            if rescaled and "threshold" in own:
                own["threshold"].div_(scale)
    if "W_enc" not in own:  # tied: no bias in, no bias out
        sae.b_dec.mul_(float(applied))
        return
    if not applied:  # x W + b = (x - b_dec) W + (b + b_dec W)
        shift = sae.b_dec @ sae.W_enc
        for bias, factor in (("b_enc", 1.0), ("b_gate", 1.0), ("b_mag", own["r_mag"].exp() if "r_mag" in own else 1.0)):
            if bias in own:
                own[bias].add_(shift * factor)
    if rescaled:  # select by f |row|: move the norm into the encoder
        norm = sae.W_dec.norm(dim=1).clamp_min(1e-8)
        sae.W_enc.mul_(norm)
        sae.b_enc.mul_(norm)
        sae.W_dec.div_(norm[:, None])
    if whitening is not None:  # inputs (x - mean) M
        mean, M, back = (whitening[name].double() for name in ("mean", "matrix", "inverse_matrix"))
        sae.W_enc.copy_(M @ sae.W_enc.double())
        sae.W_dec.copy_(sae.W_dec.double() @ back)
        sae.b_dec.copy_(sae.b_dec.double() @ back + mean)
