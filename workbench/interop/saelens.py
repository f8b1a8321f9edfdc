"""SAELens folders: `cfg.json` and `sae_weights.safetensors`, written and read.

Ours also holds `workbench.json` (variant, settings, seed, scale) and, where training keeps more than SAELens knows,
`workbench.safetensors`; SAELens ignores both and `load` uses them to give back the same object. Variants without a
SAELens architecture are saved whole under a name that SAELens refuses. `SAE.metadata` is the `metadata` of `cfg.json`,
and its `reshape_activations` and, for an SAE whose inputs are standardised beforehand, `normalize_activations`.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.schema import OBJECT, TEXT, Kind, above, list_of, optional, read_json, shown, whole
from synthetic.base.storage import file_sum, put_tensors, read_sealed, sealed, settled, together, unchanged
from workbench.interop.assembly import LENGTHS, content_of, fitted, float_scale, made
from workbench.interop.saelens_foreign import ARCHITECTURES, CONFIG, FIELDS, SCALINGS, WEIGHTS, foreign, metadata_of
from workbench.parts.base import Decoder, Encoder
from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine, Aligned, Gated, Pursuit
from workbench.parts.selections import AbsTopK, BatchTopK, FeatureChoice, Jump, ReLU, Selection, TopK
from workbench.sae import SAE
from workbench.variants import variant_shelf

_OURS, _EXTRA, _STACK = "workbench.json", "workbench.safetensors", "stack.json"
_FORMAT = 2
"""1 had no checksums"""
_SAVE_AGAIN = "save it again or copy it whole"
_GO_ON = f"{_SAVE_AGAIN}; without workbench.json the rest is read as a folder of SAELens"
_VERSION = "6.54.12"
"""SAELens whose format is written; folders without a version are older than 6, and lose their metadata there"""
_THEIRS = {"W_enc", "W_dec", "r_mag", *LENGTHS}
"""tensors that SAELens knows; what training keeps beside them goes into a file of its own"""
_FIELDS = {"format": whole(), "variant": TEXT, "d": whole(1), "m": whole(1), "seed": whole(), "settings": OBJECT}
_FIELDS |= {"scale": above(0.0)}
_STACK_FIELDS = {
    "shape": list_of(whole(1)),
    "seed": Kind("a whole number, or lists of them", lambda v: isinstance(v, int | list) and not isinstance(v, bool)),
    "settings": OBJECT,
    "members": whole(1),
}


_BY_PARTS: dict[tuple[type[Encoder], type[Selection] | None, type[Decoder]], str] = {
    (Affine, ReLU, Rows): "standard",
    (Affine, TopK, Rows): "topk",
    (Affine, AbsTopK, Rows): "abstopk",
    (Affine, BatchTopK, Rows): "jumprelu",
    (Affine, Jump, Rows): "jumprelu",
    (Affine, FeatureChoice, Rows): "jumprelu",
    (Aligned, TopK, Rows): "topk",
    (Gated, None, Rows): "gated",
    (Pursuit, None, Rows): "matching_pursuit",
}
"""SAELens architecture with the inference of these parts"""


def architecture_of(sae: SAE) -> str | None:
    """SAELens's architecture with the inference of an SAE, by its parts; None where there is none."""
    encoder = sae.encoder
    if isinstance(encoder, Pursuit) and encoder.select != "relu":  # SAELens knows the authors' rule alone
        return None
    selection = type(encoder.selection) if isinstance(encoder, Affine) else None
    return _BY_PARTS.get((type(encoder), selection, type(sae.decoder)))


def write(sae: SAE, folder: Path) -> Path:
    """One SAE as a folder, or a stack as `member-000`, ... and a `stack.json`; see `workbench.interop.save`."""
    names = (CONFIG, WEIGHTS, _OURS, _EXTRA, *SCALINGS)
    with together(folder, "saving an SAE", (*names, _STACK, *(f"member-*/{name}" for name in names))) as place:
        if not sae.shape:
            _save_member(sae, (), place)
            return folder
        ties = {}
        for number, index in enumerate(np.ndindex(sae.shape)):
            name = f"member-{number:03d}"
            ties[name] = _save_member(sae, index, place / name)
        about = {"format": _FORMAT, "shape": list(sae.shape), "seed": sae.seed, "settings": sae.settings_now()}
        _write(place / _STACK, sealed(about | {"members": len(ties), "ties": ties}))
    return folder


def _save_member(sae: SAE, at: tuple[int, ...], folder: Path) -> str:
    """Write one SAE's files; returns the checksum that ties them."""
    state = {name: (value if name == "scale" else value[at]).clone() for name, value in sae.state_dict().items()}
    settings = {name: _member(value, at, sae.shape) for name, value in sae.settings_now().items()}
    scale = float(state.pop("scale"))
    config, extra = _config(sae, at, scale), {}
    architecture = architecture_of(sae)
    if architecture is not None:
        extra = {name: value for name, value in state.items() if name not in _THEIRS}
        state = {name: value for name, value in state.items() if name in _THEIRS}
        if "W_enc" in state and not torch.equal(state["W_enc"], columns := sae.W_enc.detach()[at]):
            extra["W_enc"] = state["W_enc"]  # an encoder that makes its columns of a parameter: others get what is used
            state["W_enc"] = columns.clone()
        state = _to_saelens(architecture, state, scale, sae.m)
    folder.mkdir(exist_ok=True)
    put_tensors(folder / WEIGHTS, state)
    if extra:
        put_tensors(folder / _EXTRA, extra)
    _write(folder / CONFIG, json.dumps(config, indent=1) + "\n")
    ours = {
        "format": _FORMAT,
        "variant": sae.name,
        "d": sae.d,
        "m": sae.m,
        "seed": int(_member(sae.seed, at, sae.shape)),
        "settings": settings,
        "scale": scale,
        **sae.marks(at),
        "files": {path.name: file_sum(path) for path in sorted(folder.iterdir())},
    }
    text = sealed(ours)
    _write(folder / _OURS, text)
    return json.loads(text)["checksum"]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _member(value: Any, at: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A setting's value for one member."""
    return np.broadcast_to(np.asarray(value), shape)[at].item() if isinstance(value, list) else value


def _config(sae: SAE, at: tuple[int, ...], scale: float) -> dict[str, Any]:
    """What `cfg.json` says of one SAE."""
    about = _written(sae.metadata)
    heads = "hook_z" if str(about.get("hook_name", "")).endswith("hook_z") else "none"
    own = f"{sae.name}_workbench" if sae.name in ARCHITECTURES else sae.name  # SAELens must not take it for its own
    return {
        "architecture": architecture_of(sae) or own,
        "d_in": sae.d,
        "d_sae": sae.m,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": about.pop("normalize_activations", "none"),
        "reshape_activations": about.pop("reshape_activations", heads),
        **_selection(sae, at, scale),
        "metadata": {
            "training_architecture": sae.name,
            **about,
            "library": "sae-workbench",
            "sae_lens_version": _VERSION,
        },
    }


def _written(metadata: dict[str, Any]) -> dict[str, Any]:
    """A copy of what JSON can hold, numpy's numbers and arrays included."""
    try:
        return json.loads(json.dumps(metadata, default=_numpys))
    except TypeError as error:
        raise ValueError(f"SAE.metadata must be plain JSON values; got one that is not: {error}.") from None


def _numpys(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _selection(sae: SAE, at: tuple[int, ...], scale: float) -> dict[str, Any]:
    """How SAELens selects latents of one member, in raw units: by what its parts have, however settings are called."""
    architecture, encoder = architecture_of(sae), sae.encoder
    if architecture in ("topk", "abstopk"):
        return {"k": int(sae.as_set(encoder.get_buffer("selection.k"))[at]), "rescale_acts_by_decoder_norm": False}
    if isinstance(encoder, Pursuit) and architecture is not None:
        return {
            "max_iterations": encoder.steps or int(sae.as_set(encoder.k)[at]),
            "residual_threshold": float(encoder.tol[at]) / scale,
            "stop_on_duplicate_support": encoder.stop_on_repeat,
        }
    return {}


def _to_saelens(architecture: str, state: dict[str, Tensor], scale: float, m: int) -> dict[str, Tensor]:
    """Raw units: weights stay, biases and thresholds are divided by the scale. A latent is then ours over the scale."""
    out = {name: value / scale if name in LENGTHS else value for name, value in state.items()}
    if architecture == "jumprelu":
        out["threshold"] = out["threshold"].expand(m).clone()
    return out


def load(folder: Path) -> SAE:
    """Read a folder written by `save`, or by SAELens (`saelens_foreign.ARCHITECTURES`)."""
    return settled(folder, lambda: _load(folder))


def _load(folder: Path) -> SAE:
    must(folder.is_dir(), "load.folder", "an existing folder", folder, "check the path")
    if (folder / _STACK).exists():
        with _sound_stack(folder):
            return _load_stack(folder)
    if (folder / _OURS).exists():
        with _sound(folder):
            return _load_ours(folder).eval()
    return foreign(folder).eval()


@contextmanager
def _sound(folder: Path) -> Iterator[None]:
    """Within the block, an SAE's files are those that were saved together; older folders do not say which.

    Checksums are looked at last: what the block itself finds wrong says more.
    """
    there = {CONFIG, WEIGHTS, _OURS, _EXTRA} & {path.name for path in folder.iterdir()}
    with unchanged(folder, there) as sum_of:
        try:
            yield
        except ValueError as error:
            if str(folder) in str(error):
                raise
            raise ValueError(f"{folder}: {error}") from None
        except (LookupError, TypeError, RuntimeError, AttributeError):  # of a damaged file, most likely
            _must_be_sound(folder, there, sum_of)
            raise
        _must_be_sound(folder, there, sum_of)


def _must_be_sound(folder: Path, there: set[str], sum_of: Callable[[str], str]) -> None:
    ours = read_sealed(folder / _OURS, "SAE folder", {"files": optional(OBJECT)}, _GO_ON)
    if ours.get("format") == 1:
        return
    sums = ours.get("files", {})
    must(sums.keys() == there - {_OURS}, f"{folder / _OURS}: files", "those beside it", shown([*sums]), _GO_ON)
    for name, expected in sums.items():
        must(sum_of(name) == expected, str(folder / name), "as it was saved", "another checksum", _GO_ON)


@contextmanager
def _sound_stack(folder: Path) -> Iterator[None]:
    """Within the block, the members are those that were saved together; older folders do not say which."""
    with unchanged(folder, [_STACK]):
        try:
            yield
        except (LookupError, TypeError, RuntimeError, AttributeError):
            _must_be_tied(folder)
            raise
        _must_be_tied(folder)


def _must_be_tied(folder: Path) -> None:
    about = read_sealed(folder / _STACK, "SAE folder", {"ties": optional(OBJECT)}, _SAVE_AGAIN)
    for name, expected in about.get("ties", {}).items():
        member = folder / name / _OURS
        found = read_sealed(member, "SAE folder", {"checksum": TEXT}, _SAVE_AGAIN)["checksum"]
        must(found == expected, str(member), "as it was saved with its stack", "another member", _SAVE_AGAIN)


def _load_ours(folder: Path) -> SAE:
    state = content_of(folder / WEIGHTS)
    extra = content_of(folder / _EXTRA) if (folder / _EXTRA).exists() else {}
    config = read_json(folder / CONFIG, "SAE folder", FIELDS)
    ours = read_json(folder / _OURS, "SAE folder", _FIELDS)
    form = ours["format"]
    must(form in (1, _FORMAT), f"{_OURS}.format", f"at most {_FORMAT}", form, "update sae-workbench")
    shelf = variant_shelf()
    variant = shelf[pick(ours["variant"], shelf, "variant of the folder (import its plug-in first)")]
    d, m, scale = ours["d"], ours["m"], float_scale(float(ours["scale"]), f"{_OURS}: scale")
    everything = state | extra
    _must_be_stored(d, _width_out(ours), m, everything)
    sae = made(variant, d, m, ours["seed"], ours["settings"], everything, WEIGHTS)
    must(
        not sae.shape,
        f"{_OURS}: settings",
        "those of one SAE, not of a stack",
        shown(ours["settings"]),
        "save it again",
    )
    sae.metadata = metadata_of(config, sae.name)
    known = _selection(sae, (), scale).keys() <= config.keys()
    stated = config.get("architecture")
    in_own_units = stated not in ARCHITECTURES or (stated == sae.name and not known)  # once so
    sae.load_state_dict(fitted(sae, everything, scale, WEIGHTS, raw=not in_own_units))
    sae.set_marks(ours, str(folder / _OURS))
    return sae


def _width_out(ours: dict[str, Any]) -> int:
    """Width of what an SAE reconstructs, as its folder says."""
    said = ours["settings"].get("d_y")
    return said if isinstance(said, int) and said > 0 else ours["d"]


def _must_be_stored(d: int, d_out: int, m: int, state: dict[str, Tensor]) -> None:
    """Widths are those of the tensors, before anything of these sizes is made."""
    advice = "the folder's workbench.json and weights do not belong together"
    if "W_dec" in state:
        real = tuple(state["W_dec"].shape)
        must(real == (m, d_out), f"{WEIGHTS}.W_dec", f"of shape {(m, d_out)}", real, advice)
    axes = {size for value in state.values() for size in value.shape}
    must({d, m} <= axes, f"{_OURS}: d and m", "widths of the tensors", (d, m), advice)


def _load_stack(folder: Path) -> SAE:
    about = read_json(folder / _STACK, "SAE folder", _STACK_FIELDS)
    count, shape = about["members"], tuple(about["shape"])
    whole_stack = math.prod(shape) == count and bool(shape)
    must(whole_stack, f"{_STACK}: members", f"the number in a stack of shape {list(shape)}", count, "save it again")
    members = [_load(folder / f"member-{i:03d}") for i in range(count)]
    first = members[0]
    for number, member in enumerate(members):
        kind, own = ((one.name, one.d, one.m, one.scale, one.out_scale) for one in (first, member))
        where = f"member-{number:03d}"
        must(own == kind, where, "of the variant, widths and scale of member-000", member.name, "save the stack again")
    state = {name: torch.stack([member.state_dict()[name] for member in members]) for name in first.state_dict()}
    state = {name: v[0] if name == "scale" else v.reshape(*shape, *v.shape[1:]) for name, v in state.items()}
    sae = made(variant_shelf()[first.name], first.d, first.m, about["seed"], about["settings"], state, _STACK)
    must(
        sae.shape == shape, f"{_STACK}: shape", f"that of its settings, {list(sae.shape)}", list(shape), "save it again"
    )
    for member, at in zip(members, np.ndindex(shape), strict=True):
        settings = {name: _member(value, at, shape) for name, value in sae.settings.items()}
        must(
            member.settings == settings, f"{_STACK}: settings", "those of its members", settings, "save the stack again"
        )
    sae.load_state_dict(state)
    sae.metadata = first.metadata
    rates = [rate for member in members for rate in member.rates or ()]
    sae.set_marks(first.marks() | {"rates": rates if len(rates) == len(members) else None}, str(folder / _STACK))
    return sae.eval()
