"""SAELens folders: `cfg.json` and `sae_weights.safetensors`, written and read.

Ours also holds `workbench.json` (variant, settings, seed, scale) and, where training keeps more than SAELens knows,
`workbench.safetensors`; SAELens ignores both and `load` uses them to give back the same object. Variants without a
SAELens architecture are saved whole under their own name.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from synthetic.errors import must, pick
from synthetic.storage import read, replacing, write_tensors, write_text
from workbench.sae import SAE, variant_shelf

_WEIGHTS, _CONFIG, _OURS, _STACK = "sae_weights.safetensors", "cfg.json", "workbench.json", "stack.json"
_EXTRA = "workbench.safetensors"
_FORMAT = 1
_LENGTHS = ("b_enc", "b_dec", "threshold", "b_gate", "b_mag")
"""tensors measured in units of x"""
_THEIRS = {"W_enc", "W_dec", "r_mag", *_LENGTHS}
"""tensors that SAELens knows; what training keeps beside them goes into a file of its own"""


def save(sae: SAE, folder: Path) -> Path:
    """Write one SAE as a SAELens folder; a stack as `member-000`, ... and a `stack.json` that names them.

    All files are written beside their places first, so that a failure leaves an earlier folder as it was.
    """
    places = {folder / f"member-{number:03d}": index for number, index in enumerate(np.ndindex(sae.shape))}
    places = places if sae.shape else {folder: ()}
    with ExitStack() as written:

        def put(path: Path) -> Path:
            return written.enter_context(replacing(path))

        for place, index in places.items():
            _save_member(sae, index, place, put)
        if sae.shape:
            about = {"shape": list(sae.shape), "seed": sae.seed, "settings": sae.settings, "members": len(places)}
            write_text(put(folder / _STACK), json.dumps(about, indent=1) + "\n")
    stale = [folder / name for name in ((_CONFIG, _WEIGHTS, _OURS, _EXTRA) if sae.shape else (_STACK,))]  # other kind
    if sae.architecture is None or not set(sae.state_dict()) - _THEIRS - {"scale"}:
        stale += [place / _EXTRA for place in places]
    for path in stale:
        path.unlink(missing_ok=True)
    return folder


def _save_member(sae: SAE, at: tuple[int, ...], folder: Path, put: Callable[[Path], Path]) -> None:
    state = {name: (value if name == "scale" else value[at]).clone() for name, value in sae.state_dict().items()}
    settings = {name: _member(value, at, sae.shape) for name, value in sae.settings.items()}
    scale = float(state.pop("scale"))
    config = {
        "architecture": sae.architecture or sae.name,
        "d_in": sae.d,
        "d_sae": sae.m,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"training_architecture": sae.name, "library": "sae-workbench"},
    }
    extra = {}
    if sae.architecture is not None:
        extra = {name: value for name, value in state.items() if name not in _THEIRS}
        state = _to_saelens(sae, {name: value for name, value in state.items() if name in _THEIRS}, scale)
        if sae.architecture == "topk":
            config |= {"k": int(settings["k"]), "rescale_acts_by_decoder_norm": False}
    ours = {
        "format": _FORMAT,
        "variant": sae.name,
        "d": sae.d,
        "m": sae.m,
        "seed": int(_member(sae.seed, at, sae.shape)),
        "settings": settings,
        "scale": scale,
    }
    write_tensors(put(folder / _WEIGHTS), state)
    if extra:
        write_tensors(put(folder / _EXTRA), extra)
    write_text(put(folder / _CONFIG), json.dumps(config, indent=1) + "\n")
    write_text(put(folder / _OURS), json.dumps(ours, indent=1) + "\n")


def _member(value: Any, at: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A setting's value for one member."""
    return np.broadcast_to(np.asarray(value), shape)[at].item() if isinstance(value, list) else value


def _to_saelens(sae: SAE, state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Raw units. Decoder rows are unit, so only lengths change: biases and thresholds are divided by the scale.

    A latent is then its contribution along its row in units of x, our latent over the scale.
    """
    must(sae.unit_decoder, f"{type(sae).__name__}.unit_decoder", "True where `architecture` is set", False, "unset one")
    out = {name: value / scale if name in _LENGTHS else value for name, value in state.items()}
    if sae.architecture == "jumprelu":
        out["threshold"] = out["threshold"].expand(sae.m).clone()
    return out


def _from_saelens(sae: SAE, state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Inverse of `_to_saelens`, onto the shapes of an SAE of ours."""
    out = {}
    for name, target in sae.state_dict().items():
        if name == "scale":
            out[name] = torch.tensor(scale)
            continue
        if name not in state:
            raise ValueError(f"{_WEIGHTS} must hold {name}; got {sorted(state)}: save the SAE again.")
        value = state[name].float()
        if target.ndim == 0 and value.ndim == 1:
            value = value[0]
        if value.shape != target.shape:
            raise ValueError(
                f"{_WEIGHTS}.{name} must be of shape {tuple(target.shape)}; got {tuple(value.shape)}: "
                "the folder's cfg.json and weights do not belong together."
            )
        out[name] = value * scale if name in _LENGTHS else value
    return out


def load(folder: Path) -> SAE:
    """Read a folder written by `save`, or by SAELens (standard, topk, jumprelu, gated; batchtopk as jumprelu)."""
    must(folder.is_dir(), "load.folder", "an existing folder", folder, "check the path")
    if (folder / _STACK).exists():
        return _load_stack(folder)
    state = read(folder / _WEIGHTS, load_file, "SAE folder")
    extra = read(folder / _EXTRA, load_file, "SAE folder") if (folder / _EXTRA).exists() else {}
    config = _json(folder / _CONFIG)
    if (folder / _OURS).exists():
        ours = _json(folder / _OURS)
        must(ours.get("format") == _FORMAT, f"{_OURS}.format", str(_FORMAT), ours.get("format"), "update sae-workbench")
        shelf = variant_shelf()
        cls = shelf[pick(ours["variant"], shelf, "variant of the folder (import its plug-in first)")]
        sae = cls(ours["d"], ours["m"], seed=ours["seed"], **ours["settings"])
        exact = cls.architecture is None
        sae.load_state_dict(
            {**state, "scale": torch.tensor(ours["scale"])}
            if exact
            else _from_saelens(sae, state | extra, ours["scale"])
        )
        return sae.eval()
    return _foreign(config, state).eval()


def _load_stack(folder: Path) -> SAE:
    about = _json(folder / _STACK)
    members = [load(folder / f"member-{i:03d}") for i in range(about["members"])]
    first = members[0]
    sae = type(first)(first.d, first.m, seed=about["seed"], **about["settings"])
    states = [member.state_dict() for member in members]
    stacked = {
        name: states[0][name]
        if name == "scale"
        else torch.stack([state[name] for state in states]).reshape(target.shape)
        for name, target in sae.state_dict().items()
    }
    sae.load_state_dict(stacked)
    return sae.eval()


def _foreign(config: dict[str, Any], state: dict[str, Tensor]) -> SAE:
    """An SAE that SAELens wrote, as the variant of ours with the same inference."""
    makers: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
        "standard": lambda: ("relu", {}),
        "topk": lambda: ("topk", {"k": int(config["k"])}),
        "jumprelu": lambda: ("jumprelu", {}),
        "gated": lambda: ("gated", {}),
    }
    name, settings = makers[pick(config.get("architecture", "standard"), makers, "cfg.json.architecture")]()
    applied = config.get("apply_b_dec_to_input", True)
    normalised = config.get("normalize_activations", "none")
    must(normalised == "none", "cfg.json.normalize_activations", "'none'", normalised, "fold it into the weights first")
    state = {k: v.float() for k, v in state.items()}
    if "threshold" in state:  # SAELens rectifies first, so that a threshold below 0 acts as 0
        state["threshold"] = state["threshold"].clamp_min(0.0)
    if not applied:  # x W + b = (x - b_dec) W + (b + b_dec W)
        shift = state["b_dec"] @ state["W_enc"]
        for bias, factor in (("b_enc", 1.0), ("b_gate", 1.0), ("b_mag", state.get("r_mag", torch.zeros(())).exp())):
            if bias in state:
                state[bias] = state[bias] + shift * factor
    if config.get("rescale_acts_by_decoder_norm", False) and name == "topk":
        norm = state["W_dec"].norm(dim=1)  # select by f |row|: move the norm into the encoder
        state |= {
            "W_enc": state["W_enc"] * norm,
            "b_enc": state["b_enc"] * norm,
            "W_dec": state["W_dec"] / norm[:, None],
        }
    sae = variant_shelf()[name](int(config["d_in"]), int(config["d_sae"]), **settings)
    sae.load_state_dict(_from_saelens(sae, state, 1.0))
    return sae


def _json(path: Path) -> dict[str, Any]:
    return read(path, lambda p: json.loads(p.read_text()), "SAE folder")
