"""Tensors out of a folder's files, held against what they must be; and an SAE put together from them.

Nothing is made at a size that a configuration states alone: sizes are those of tensors that are there.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from synthetic.base.errors import must
from synthetic.base.schema import shown
from synthetic.base.storage import read
from workbench.sae import SAE, Variant
from workbench.variants import variant_shelf

LENGTHS = ("b_enc", "b_dec", "threshold", "b_gate", "b_mag")
"""tensors measured in units of x"""
_WEIGHTS = ("W_enc", "W_dec", "b_enc", "b_dec", "b_gate", "b_mag", "r_mag")
"""tensors that no infinite entry makes sense in; an infinite threshold silences its latent"""
_INFLATION = 64
"""how many times its own size an archive may unpack to"""


# --- files ------------------------------------------------------------------------------------------------------------


def content_of(path: Path) -> dict[str, Any]:
    """What a .safetensors, .npz, .pt or .pth file holds, by name; no code of the file's runs.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, no such table, or a torch file that more than tensors and plain values went into.
    """
    reader = {".npz": _npz, ".pt": _torch, ".pth": _torch}.get(path.suffix, load_file)
    content = read(path, reader, "SAE folder")
    named = isinstance(content, dict) and all(isinstance(name, str) for name in content)
    must(named, str(path), "a table of tensors by name", shown(type(content).__name__), "save the state dict")
    for name, value in content.items():
        if isinstance(value, Tensor):
            _must_be_stored(value, f"{path}: {name}")
    return content


def _torch(path: Path) -> Any:
    advice = "save a state dict with torch.save; anything else could run code and is not opened"
    with _damage_told(path, "a torch file of tensors and plain values", advice):
        return torch.load(path, map_location="cpu", weights_only=True)


def _npz(path: Path) -> dict[str, Tensor]:
    with _damage_told(path, "a readable .npz of numbers", "copy it again"), zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    most = _INFLATION * path.stat().st_size
    must(size <= most, str(path), f"at most {_INFLATION} times its size unpacked, {most} bytes", size, "pack it anew")
    with (
        _damage_told(path, "a readable .npz of numbers", "copy it again"),
        np.load(path, allow_pickle=False) as arrays,
    ):
        return {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays}


@contextmanager
def _damage_told(path: Path, rule: str, advice: str) -> Iterator[None]:
    """A damaged or hostile file raises whatever its bytes lead to; here it is one line."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise ValueError(f"{path} must be {rule}; got {said}: {advice}.") from None


def _must_be_stored(value: Tensor, where: str) -> None:
    """Refuse a tensor whose shape says more than the file holds of it, as strides of 0 do."""
    plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
    whole = plain and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    must(whole, where, "a dense tensor, stored whole", f"{value.layout} of shape {tuple(value.shape)}", "save a clone")


def floats(content: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Tensor]:
    """Tensors of a file under our names, float32; of a linear layer's `weight`, the transpose.

    Args:
        content: what `content_of` returned.
        names: our name -> theirs.
        where: the file, for errors.
    """
    out = {}
    for ours, theirs in names.items():
        value, place = content.get(theirs), f"{where}: {theirs}"
        if not isinstance(value, Tensor):
            known = f"the file holds {shown(sorted(content))}; copy it again"
            raise ValueError(f"{place} must be a tensor; got {shown(value) if theirs in content else 'none'}: {known}.")
        out[ours] = floating(value, place)
        out[ours] = out[ours].mT if theirs.endswith(".weight") and out[ours].ndim == 2 else out[ours]
    return out


def floating(value: Tensor, where: str) -> Tensor:
    """A tensor of any floating precision as float32, without NaN.

    Raises:
        ValueError: whole numbers or booleans, or NaN.
    """
    must(value.is_floating_point(), where, "of a floating-point type", value.dtype, "save the weights as floats")
    value = value.float()
    must(not bool(value.isnan().any()), where, "free of NaN", f"{int(value.isnan().sum())} NaN", "save finite weights")
    return value


# --- SAEs -------------------------------------------------------------------------------------------------------------


def assembled(
    variant: str,
    state: Mapping[str, Tensor],
    where: str,
    *,
    settings: Mapping[str, Any] | None = None,
    applied: bool = True,
    rescaled: bool = False,
    scale: float = 1.0,
    whitening: Mapping[str, Tensor] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> SAE:
    """An SAE of a variant of ours for raw inputs, from tensors as another library holds them.

    Args:
        variant: of ours.
        state: tensors by our names, W_enc (d, m) and W_dec (m, d); none for what starts at 0.
        where: the file they come from, for errors.
        settings: of the variant.
        applied: the encoder takes inputs less b_dec.
        rescaled: latents are selected by f |row|, not by f.
        scale: what inputs were multiplied by, and outputs divided by.
        whitening: mean, matrix and inverse_matrix of an affine map that inputs then went through.
        metadata: what is known of the SAE, under SAELens's names.
    """
    m, d = shape_of(state.get("W_dec"), f"{where}: W_dec")
    sae = made(variant_shelf()[variant], d, m, 0, dict(settings or {}), state, where)
    state = dict(state)
    for bias in ("b_enc", "b_dec"):
        if bias in sae.state_dict():
            state.setdefault(bias, torch.zeros(m if bias == "b_enc" else d))
    if "threshold" in state:  # other libraries rectify first, so that a threshold below 0 acts as 0
        state["threshold"] = state["threshold"].clamp_min(0.0)
    sae.load_state_dict(fitted(sae, state, 1.0, where))
    fold_inputs(sae, applied, rescaled, scale, whitening)
    sae.metadata = dict(metadata or {})
    sae.fresh = False
    return sae


def shape_of(rows: Tensor | None, where: str) -> tuple[int, int]:
    """m and d of decoder rows."""
    shape = [] if rows is None else list(rows.shape)
    must(len(shape) == 2 and min(shape) >= 1, where, "of shape (m, d)", shape or "none", "copy the file again")
    m, d = shape
    return m, d


def must_agree(where: str, stated: Mapping[str, Any], d: int, m: int) -> None:
    """Widths that a configuration states, where it does, are those of the weights."""
    for name, value in stated.items():
        real = d if name in ("d_in", "activation_dim", "d_model", "act_size") else m
        advice = "the configuration and the weights do not belong together"
        must(value is None or value == real, f"{where}: {name}", f"{real}, that of the weights", value, advice)


class _Bounded(TorchFunctionMode):
    """Refuses to make tensors of more numbers than there is reason for; shapes are found without memory."""

    def __init__(self, most: int, where: str) -> None:
        super().__init__()
        self.most, self.where = most, where

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS:
            shape = func(
                *args, **{name: v for name, v in kwargs.items() if name != "generator"} | {"device": "meta"}
            ).shape
            advice = "the folder's settings and weights do not belong together"
            must(
                shape.numel() <= self.most, self.where, f"of at most {self.most} numbers a tensor", tuple(shape), advice
            )
        return func(*args, **kwargs)


_MAKERS = {torch.randn, torch.rand, torch.zeros, torch.ones, torch.empty, torch.full, torch.eye, torch.arange}


def made(
    variant: Variant, d: int, m: int, seed: Any, settings: dict[str, Any], state: Mapping[str, Tensor], where: str
) -> SAE:
    """A new SAE whose settings come from a file, and which makes no tensor beyond what `state` holds, or (m, d).

    Raises:
        ValueError: settings of another kind, or that ask for more than the tensors are.
    """
    most = max(d * m, *(value.numel() for value in state.values()), 1024)
    try:
        with _Bounded(most, f"settings in {where}"):
            return variant(d, m, seed=seed, **settings)
    except (TypeError, RuntimeError, OverflowError, MemoryError, IndexError, KeyError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        advice = "copy the folder again, or save the SAE again"
        raise ValueError(f"settings in {where} must be those of {variant.name}; got {said}: {advice}.") from None


def must_match(shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], where: str) -> None:
    """Refuse tensors that are missing, beyond what is needed, or of other shapes."""
    for name, shape in shapes.items():
        if name == "scale":
            continue
        if name not in state:
            raise ValueError(f"{where} must hold {name}; got {shown(sorted(state))}: save the SAE again.")
        real = tuple(state[name].shape)
        single = shape == () and len(real) == 1 and real[0] >= 1  # a threshold that SAELens wants once a latent
        advice = "the folder's cfg.json and weights do not belong together"
        must(single or real == shape, f"{where}.{name}", f"of shape {shape}", real, advice)
    extra = sorted(set(state) - set(shapes))
    must(not extra, where, f"of {sorted(set(shapes) - {'scale'})} alone", shown(extra), "copy the folder again")


def fitted(sae: SAE, state: Mapping[str, Tensor], scale: float, where: str, *, raw: bool = True) -> dict[str, Tensor]:
    """A state of `sae`, whose inputs are multiplied by `scale`, from tensors in raw units or in the SAE's own."""
    targets = sae.state_dict()
    must_match({name: tuple(target.shape) for name, target in targets.items()}, state, where)
    out = {}
    for name, target in targets.items():
        if name == "scale":
            out[name] = torch.tensor(scale)
            continue
        value = state[name] if state[name].dtype == target.dtype else floating(state[name], f"{where}: {name}")
        must_be_finite(name, value, where)
        if target.ndim == 0 and value.ndim == 1:
            once = bool((value == value[0]).all())
            must(once, f"{where}: {name}", "the same for all latents", "several values", "save the SAE again")
            value = value[0]
        out[name] = value * scale if raw and name in LENGTHS else value
    return out


def must_be_finite(name: str, value: Tensor, where: str) -> None:
    """Refuse NaN anywhere, and infinite weights."""
    if value.is_floating_point():
        good = value.isfinite() if name in _WEIGHTS else ~value.isnan()
        wrong = int((~good).sum())
        must(not wrong, f"{where}: {name}", "finite", f"{wrong} NaN or infinite entries", "save finite weights")


def float_scale(value: float, where: str) -> float:
    """A factor that float32 can hold.

    Raises:
        ValueError: it overflows there, or vanishes.
    """
    real = float(np.float32(value)) if abs(value) < 1e300 else math.inf
    must(0 < real < math.inf, where, "a number above 0 that float32 holds", value, "save the SAE again")
    return value


@torch.no_grad()
def fold_inputs(sae: SAE, applied: bool, rescaled: bool, scale: float, whitening: Mapping[str, Tensor] | None) -> None:
    """Bring parameters, in place, to raw inputs less b_dec and to latents as the library's own decoder takes them."""
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
        norm = sae.W_dec.norm(dim=1)
        sae.W_enc.mul_(norm)
        sae.b_enc.mul_(norm)
        sae.W_dec.div_(norm.where(norm > 0, 1.0)[:, None])
        sae.W_dec[norm == 0, 0] = 1.0  # silent now, whatever its row
    if whitening is not None:  # inputs (x - mean) M
        mean, M, back = (whitening[name].double() for name in ("mean", "matrix", "inverse_matrix"))
        sae.W_enc.copy_(M @ sae.W_enc.double())
        sae.W_dec.copy_(sae.W_dec.double() @ back)
        sae.b_dec.copy_(sae.b_dec.double() @ back + mean)
