"""SAELens folders: `cfg.json` and `sae_weights.safetensors`, written and read.

Ours also holds `workbench.json` (variant, settings, seed, scale) and, where training keeps more than SAELens knows,
`workbench.safetensors`; SAELens ignores both and `load` uses them to give back the same object. Variants without a
SAELens architecture are saved whole under a name that SAELens refuses. `SAE.metadata` is the `metadata` of `cfg.json`,
and its `reshape_activations` and, for an SAE whose inputs are standardised beforehand, `normalize_activations`.
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
from workbench.interop.saelens_foreign import ARCHITECTURES, CONFIG, LENGTHS, WEIGHTS, fitted, foreign, metadata_of
from workbench.sae import SAE, variant_shelf

_OURS, _EXTRA, _STACK = "workbench.json", "workbench.safetensors", "stack.json"
_FORMAT = 1
_VERSION = "6.54.12"
"""SAELens whose format is written; folders without a version are older than 6, and lose their metadata there"""
_THEIRS = {"W_enc", "W_dec", "r_mag", *LENGTHS}
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
            about = {"shape": list(sae.shape), "seed": sae.seed, "settings": sae.settings_now(), "members": len(places)}
            write_text(put(folder / _STACK), json.dumps(about, indent=1) + "\n")
    stale = [folder / name for name in ((CONFIG, WEIGHTS, _OURS, _EXTRA) if sae.shape else (_STACK,))]  # other kind
    if sae.architecture is None or not set(sae.state_dict()) - _THEIRS - {"scale"}:
        stale += [place / _EXTRA for place in places]
    for path in stale:
        path.unlink(missing_ok=True)
    return folder


def _save_member(sae: SAE, at: tuple[int, ...], folder: Path, put: Callable[[Path], Path]) -> None:
    state = {name: (value if name == "scale" else value[at]).clone() for name, value in sae.state_dict().items()}
    settings = {name: _member(value, at, sae.shape) for name, value in sae.settings_now().items()}
    scale = float(state.pop("scale"))
    config, extra = _config(sae, settings, scale), {}
    if sae.architecture is not None:
        extra = {name: value for name, value in state.items() if name not in _THEIRS}
        state = _to_saelens(sae, {name: value for name, value in state.items() if name in _THEIRS}, scale)
    ours = {
        "format": _FORMAT,
        "variant": sae.name,
        "d": sae.d,
        "m": sae.m,
        "seed": int(_member(sae.seed, at, sae.shape)),
        "settings": settings,
        "scale": scale,
        **sae.marks(at),
    }
    write_tensors(put(folder / WEIGHTS), state)
    if extra:
        write_tensors(put(folder / _EXTRA), extra)
    write_text(put(folder / CONFIG), json.dumps(config, indent=1) + "\n")
    write_text(put(folder / _OURS), json.dumps(ours, indent=1) + "\n")


def _member(value: Any, at: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A setting's value for one member."""
    return np.broadcast_to(np.asarray(value), shape)[at].item() if isinstance(value, list) else value


def _config(sae: SAE, settings: dict[str, Any], scale: float) -> dict[str, Any]:
    """What `cfg.json` says of one SAE."""
    about = _written(sae.metadata)
    heads = "hook_z" if str(about.get("hook_name", "")).endswith("hook_z") else "none"
    own = f"{sae.name}_workbench" if sae.name in ARCHITECTURES else sae.name  # SAELens must not take it for its own
    return {
        "architecture": sae.architecture or own,
        "d_in": sae.d,
        "d_sae": sae.m,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": about.pop("normalize_activations", "none"),
        "reshape_activations": about.pop("reshape_activations", heads),
        **_selection(sae, settings, scale),
        "metadata": {
            "training_architecture": sae.name,
            **about,
            "library": "sae-workbench",
            "sae_lens_version": _VERSION,
        },
    }


def _written(metadata: dict[str, Any]) -> dict[str, Any]:
    """A copy of what JSON can hold."""
    try:
        return json.loads(json.dumps(metadata, default=_numpys))
    except TypeError as error:
        raise ValueError(f"SAE.metadata must be plain JSON values; got one that is not: {error}.") from None


def _numpys(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _selection(sae: SAE, settings: dict[str, Any], scale: float) -> dict[str, Any]:
    """How SAELens selects latents, in raw units."""
    if sae.architecture in ("topk", "abstopk"):
        return {"k": int(settings["k"]), "rescale_acts_by_decoder_norm": False}
    if sae.architecture == "matching_pursuit":
        return {
            "max_iterations": int(sae.marks()["steps"] or settings["k"]),
            "residual_threshold": settings["tol"] / scale,
            "stop_on_duplicate_support": settings["stop_on_repeat"],
        }
    return {}


def _to_saelens(sae: SAE, state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Raw units: weights stay, biases and thresholds are divided by the scale. A latent is then ours over the scale."""
    must(
        type(sae).unit_decoder,
        f"{type(sae).__name__}.unit_decoder",
        "True where `architecture` is set",
        False,
        "unset one",
    )
    out = {name: value / scale if name in LENGTHS else value for name, value in state.items()}
    if sae.architecture == "jumprelu":
        out["threshold"] = out["threshold"].expand(sae.m).clone()
    return out


def load(folder: Path) -> SAE:
    """Read a folder written by `save`, or by SAELens (`saelens_foreign.ARCHITECTURES`)."""
    must(folder.is_dir(), "load.folder", "an existing folder", folder, "check the path")
    if (folder / _STACK).exists():
        return _load_stack(folder)
    state = read(folder / WEIGHTS, load_file, "SAE folder")
    extra = read(folder / _EXTRA, load_file, "SAE folder") if (folder / _EXTRA).exists() else {}
    config = _json(folder / CONFIG)
    if not (folder / _OURS).exists():
        sae = foreign(config, state, folder).eval()
        sae.fresh = False
        return sae
    ours = _json(folder / _OURS)
    must(ours.get("format") == _FORMAT, f"{_OURS}.format", str(_FORMAT), ours.get("format"), "update sae-workbench")
    shelf = variant_shelf()
    cls = shelf[pick(ours["variant"], shelf, "variant of the folder (import its plug-in first)")]
    sae = cls(ours["d"], ours["m"], seed=ours["seed"], **ours["settings"])
    sae.metadata = metadata_of(config, sae.name)
    sae.set_marks(ours, str(folder / _OURS))
    scale = ours["scale"]
    known = _selection(sae, ours["settings"], scale).keys() <= config.keys()
    whole = sae.architecture is None or (config.get("architecture") == sae.name and not known)  # the latter: once so
    sae.load_state_dict({**state, "scale": torch.tensor(scale)} if whole else fitted(sae, state | extra, scale))
    return sae.eval()


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
    sae.metadata = first.metadata
    rates = [rate for member in members for rate in member.rates or ()]
    sae.set_marks(first.marks() | {"rates": rates if len(rates) == len(members) else None}, str(folder / _STACK))
    return sae.eval()


def _json(path: Path) -> dict[str, Any]:
    return read(path, lambda p: json.loads(p.read_text()), "SAE folder")
