"""Checkpoints: everything a run needs to go on with the same bits, in one file that is replaced whole."""

import dataclasses
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.schema import NUMBER, OBJECT, checked_fields, list_of, parsed, shown, whole
from synthetic.base.storage import must_be_sound, read, read_tensors, tensor_sum, tensor_sums, write_tensors
from synthetic.base.streams import stream
from synthetic.rows import IteratorRows
from synthetic.source import Finite, Source
from workbench.sae import SAE
from workbench.training.config import OF_NO_BIT, TrainConfig
from workbench.training.optimiser import Adam

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_FORMAT = "2"
_PROBED = 8  # rows
_AS_STARTED = "resume with the settings it was started with, or start anew"
_ANEW = "delete it to start anew"


@dataclass(frozen=True)
class Identity:
    """What must agree for a checkpoint to be continued."""

    fields: dict[str, Any]
    """variant, settings, seeds, training, and the source as far as its class and fields say which it is"""
    source: Source
    seed: int
    batch: int

    @cached_property
    def probe(self) -> Tensor:
        """A few rows that the source gives for the run's seed: they tell apart what fields cannot."""
        return self._rows()

    def _rows(self) -> Tensor:
        if isinstance(self.source, Finite):
            drawn = self.source.batch(self.batch, self.seed, 0)
            rows = (drawn[0] if isinstance(drawn, tuple) else drawn)[:_PROBED]
        else:
            rows = self.source.sample(_PROBED, stream(self.seed, "identity")).x
        return rows.detach().float().cpu()

    @property
    def repeats(self) -> bool:
        """Whether the source gives the same rows again."""
        return torch.equal(self._rows(), self.probe)


def identity(sae: SAE, config: TrainConfig, world: Source, seed: int) -> Identity:
    """Who trains what on what."""
    plain = {"variant": sae.name, "d": sae.d, "m": sae.m, "init_seed": sae.seed, "settings": sae.settings_now()}
    plain |= {"frozen": list(sae.frozen), "config": dataclasses.asdict(config), "world": world, "seed": seed}
    return Identity({name: exact(value) for name, value in plain.items()}, world, int(seed), config.batch)


def exact(value: Any) -> Any:
    """A value as JSON that equals another's only if they are the same thing, as far as can be seen.

    Numbers are numbers, whoever's they are; tensors and arrays are checksums; a dataclass is its class and fields.
    Where a file lies says nothing of what is in it. Of anything else only the class is known, or a function's name.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return "nan"  # equals itself
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))
    if isinstance(value, Tensor):
        return {"tensor": tensor_sum("", value.to_dense())}
    if isinstance(value, Mapping):
        return {str(name): exact(value[name]) for name in sorted(value, key=str)}
    if isinstance(value, list | tuple | np.ndarray):
        return [exact(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted((exact(entry) for entry in value), key=json.dumps)
    if isinstance(value, PurePath):
        return "path"
    kind = value if hasattr(value, "__qualname__") else type(value)
    ours = (kind.__module__ or "").split(".")[0] == "synthetic"  # where names are unique, and modules may move
    known = {"class": kind.__qualname__ if ours else f"{kind.__module__}.{kind.__qualname__}"}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known |= {f.name: exact(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    return known


def save_checkpoint(
    path: Path,
    sae: SAE,
    adam: Adam,
    silent: Tensor,
    about: Identity,
    progress: dict[str, Any],
) -> None:
    """Write parameters, buffers, Adam's moments, dead counters and the place in every random stream.

    Streams are functions of (seed, name, step), so (seed, step) is the whole state of the random numbers. Texts are
    tensors of bytes: a safetensors header has a limit that the records of a large stack would reach.
    """
    tensors = {f"sae.{name}": value for name, value in sae.state_dict().items()} | {"silent": silent}
    for name, parameter in sae.named_parameters():
        for moment in _MOMENTS:
            if moment in adam.state.get(parameter, {}):
                tensors[f"adam.{name}.{moment}"] = adam.state[parameter][moment]
    tensors |= {"about": _bytes(about.fields), "progress": _bytes(progress), "probe": about.probe}
    write_tensors(path, tensors, {"format": _FORMAT, **tensor_sums(tensors)})


def started(path: Path) -> tuple[TrainConfig, int] | None:
    """The settings of the run that a checkpoint is of, and the steps it has done; None where there is none."""
    if not path.exists():
        return None
    tensors = _opened(path)
    config = checked_fields(_object(tensors, "about", path).get("config"), f"{path}: config", {}, _ANEW)
    progress = checked_fields(_object(tensors, "progress", path), f"{path}: progress", {"step": whole(1)}, _ANEW)
    return TrainConfig(**config), progress["step"]


def load_checkpoint(path: Path, sae: SAE, adam: Adam, about: Identity) -> tuple[Tensor, dict[str, Any]]:
    """Restore what `save_checkpoint` wrote.

    Raises:
        ValueError: the checkpoint is another run's, or damaged, or not of this SAE's shapes; the SAE is as it was.
    """
    tensors = _opened(path)
    saved, progress = (_object(tensors, name, path) for name in ("about", "progress"))
    _must_agree(saved, about)
    _must_fit(tensors, sae, path)
    _must_repeat(tensors["probe"], about)
    fields = {"step": whole(1, about.fields["config"]["steps"]), "seconds": NUMBER, "records": list_of(OBJECT)}
    checked_fields(progress, f"{path}: progress", fields, _ANEW)
    sae.load_state_dict({name[4:]: value for name, value in tensors.items() if name.startswith("sae.")})
    for name, parameter in sae.named_parameters():
        state = {m: tensors[f"adam.{name}.{m}"] for m in _MOMENTS if f"adam.{name}.{m}" in tensors}
        if state:
            adam.state[parameter] = {moment: _laid_out(value, parameter) for moment, value in state.items()}
    return tensors["silent"].to(sae.W_dec.device), progress


def _opened(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint of this version, with the sums that were written beside them."""
    tensors, metadata = read(path, read_tensors, "checkpoint")
    version = metadata.get("format", "1")
    must(version == _FORMAT, f"checkpoint {path}: format", _FORMAT, f"{version}, another version's", _ANEW)
    must_be_sound(tensors, metadata, path, f"it is damaged; {_ANEW}")
    return tensors


def _bytes(content: dict[str, Any]) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)


def _object(tensors: dict[str, Tensor], name: str, path: Path) -> dict[str, Any]:
    told = tensors.get(name, torch.zeros(()))
    must(told.dtype == torch.uint8, f"{path}: {name}", "a text", _form(told.shape, told.dtype), _ANEW)
    text = told.numpy().tobytes().decode("utf-8", "replace")
    return checked_fields(parsed(text, f"{path}: {name}", _ANEW), f"{path}: {name}", {}, _ANEW)


def _must_agree(saved: dict[str, Any], about: Identity) -> None:
    """Refuse the checkpoint of a run of other settings, by the first that differs; this run may be a longer one."""
    for name, value in about.fields.items():
        wanted, found = value, _renamed(saved.get(name))
        if name == "config" and isinstance(found, dict):
            if _lengthens(wanted, found):
                continue
            found = found | {name: wanted[name] for name in OF_NO_BIT}
        if found != wanted:
            wanted, found = _difference(wanted, found)
            raise ValueError(f"checkpoint.{name} must be that of the run, {wanted}; got {found}: {_AS_STARTED}.")


def _renamed(value: Any) -> Any:
    """What an older version wrote, whose classes of ours have the modules where they stood before their names."""
    if isinstance(value, dict):
        kind = value.get("class")
        named = {"class": kind.rpartition(".")[2]} if isinstance(kind, str) and kind.startswith("synthetic.") else {}
        return {name: _renamed(entry) for name, entry in value.items()} | named
    return [_renamed(entry) for entry in value] if isinstance(value, list) else value


def _lengthens(config: dict[str, Any], saved: dict[str, Any]) -> bool:
    with suppress(ValueError):  # of another version's settings
        return TrainConfig(**config).lengthens(TrainConfig(**saved))
    return False


def _difference(one: Any, other: Any, where: str = "") -> tuple[str, str]:
    """The first place where two values differ, and what stands there in each."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        name = next(name for name in one if one[name] != other[name])
        if name != "class":
            return _difference(one[name], other[name], f"{where}.{name}" if where else name)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        at = next(at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        return _difference(one[at], other[at], f"{where}[{at}]")
    named = (v["class"] if isinstance(v, dict) and "class" in v else shown(v) for v in (one, other))
    return tuple(f"{where} = {value}" if where else value for value in named)  # type: ignore[return-value]


def _must_repeat(probe: Tensor, about: Identity) -> None:
    """Refuse to go on with a source that gives other rows than the checkpoint's did."""
    if probe.shape == about.probe.shape:
        size = float(probe.square().mean().sqrt())
        if torch.allclose(probe, about.probe, rtol=1e-4, atol=1e-4 * size, equal_nan=True):
            return
    name = type(about.source).__name__
    if isinstance(about.source, IteratorRows):
        advice = "an iterator cannot be rewound: pass one made anew, or a function that returns one"
        must(False, "checkpoint.world", "an iterator that starts as the run's did", "one with other rows", advice)
    advice = "a run on a source that goes on by itself cannot be resumed; start anew"
    must(about.repeats, "checkpoint.world", "one that gives the same rows for the same seed", f"{name}, others", advice)
    must(False, "checkpoint.world", "that of the run", f"{name}, which gives other activations", _AS_STARTED)


def _must_fit(tensors: dict[str, Tensor], sae: SAE, path: Path) -> None:
    """Every tensor is there in the shape and type that the SAE and Adam take; fused Adam does not look."""
    whole_ones = {f"sae.{name}": (value.shape, value.dtype) for name, value in sae.state_dict().items()}
    whole_ones["silent"] = (torch.Size((*sae.shape, sae.m)), torch.int64)
    byte_texts = {name: (tensors[name].shape, torch.uint8) for name in ("about", "progress")}
    whole_ones |= byte_texts | {"probe": (torch.Size((len(tensors.get("probe", ())), sae.d)), torch.float32)}
    for name, parameter in sae.named_parameters():
        names = [f"adam.{name}.{moment}" for moment in _MOMENTS]
        if parameter.requires_grad and any(moment in tensors for moment in names):
            whole_ones |= dict.fromkeys(names[:2], (parameter.shape, parameter.dtype))
            whole_ones[names[2]] = (torch.Size(()), torch.float32)
    for name in sorted(whole_ones.keys() | tensors.keys()):
        found = _form(tensors[name].shape, tensors[name].dtype) if name in tensors else "none"
        wanted = _form(*whole_ones[name]) if name in whole_ones else "absent"
        must(found == wanted, f"checkpoint {path}: {name}", wanted, found, f"it is another SAE's; {_ANEW}")


def _form(shape: torch.Size, dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} of shape {tuple(shape)}"


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """A moment in its parameter's own memory order, which fused Adam takes for granted; the step count as it is."""
    return torch.empty_like(like).copy_(value) if value.shape == like.shape and value.ndim else value.to(like.device)
