"""Settings to JSON and back, and the folder a world is kept in."""

import dataclasses
import hashlib
import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from synthetic.annotations import annotated, lacking
from synthetic.errors import must, pick
from synthetic.schema import read_json, shown

_T = TypeVar("_T", bound=type)
_KNOBS: dict[str, type] = {}


def knob(cls: _T) -> _T:
    """Hold a settings dataclass against its annotations, and shelve its name, which a saved world may mention."""
    _KNOBS[cls.__name__] = annotated(cls)
    return cls


def to_json(value: Any) -> Any:
    """Settings as plain JSON values; a dataclass becomes {"class": its name, field: value, ...}."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"class": type(value).__name__, **fields}  # no field can have a keyword's name
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    return value


def from_json(value: Any) -> Any:
    """Inverse of `to_json`; refuses what is no settings of ours, field by field."""
    if isinstance(value, dict):
        fields = dict(value)
        name = fields.pop("class", "?")
        must(isinstance(name, str), "class in a world's settings", "a text", shown(name), "save the world again")
        cls = _KNOBS[pick(name, _KNOBS, "class in a world's settings")]
        known = {f.name for f in dataclasses.fields(cls)}
        for name in fields:
            pick(name, known, f"field of {cls.__name__} in a world's settings")
        none = lacking(cls, set(fields))
        must(not none, f"{cls.__name__} in a world's settings", f"given with {none}", "none", "save the world again")
        return cls(**{name: from_json(v) for name, v in fields.items()})
    if isinstance(value, list):
        return tuple(from_json(v) for v in value)
    return value


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling to write; it takes the place of `path` only if the block ends well.

    A full disk, an error or Ctrl-C inside the block leaves an earlier `path` as it was, and no litter.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all; a full disk is an OSError."""
    with replacing(path) as temporary:
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)
        except SafetensorError as error:
            raise OSError(f"{path} must fit on its disk; got {error}: make room and run it again.") from error


def read(path: Path, reader: Callable[[Path], Any], owner: str) -> Any:
    """Read one file of a saved folder, or say which file is missing or damaged."""
    try:
        return reader(path)
    except FileNotFoundError:
        message = f"{owner} must hold {path.name}; got no such file in {path.parent}: save it again or copy it whole."
        raise FileNotFoundError(message) from None
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{owner} must hold a readable {path.name}; got {error}: save it again.") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    if not path.exists():
        raise FileNotFoundError(path)
    with safe_open(path, "pt") as stored:
        # copied: sums over unaligned, mapped memory differ in the last bit
        tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118
        return tensors, stored.metadata() or {}


def save_world(world: Any, folder: str | Path) -> Path:
    """Write `world.json` (settings) and `world.safetensors` (everything drawn once) into a folder."""
    folder = Path(folder)
    text = json.dumps(to_json(world), indent=1) + "\n"
    with replacing(folder / "world.json") as settings:  # in place last; the mark tells a mixture of two worlds
        settings.write_text(text, encoding="utf-8", newline="\n")
        write_tensors(folder / "world.safetensors", world.tensors, {"settings": _mark(text)})
    return folder


def load_world(folder: str | Path) -> Any:
    """Read a world written by `save_world`: same settings, same drawn tensors to the last bit."""
    for name in (
        "presets",
        "standardised",
        "bias_worlds",
        "concept_world",
        "interventions",
        "attention",
    ):  # put every knob of ours on the shelf
        importlib.import_module(f"synthetic.{name}")
    folder = Path(folder)
    settings = read_json(folder / "world.json", "world folder", {})
    text = (folder / "world.json").read_text("utf-8")
    tensors, about = read(folder / "world.safetensors", read_tensors, "world folder")
    world = from_json(settings)
    must(hasattr(world, "sample"), "world.json", "settings of a world", type(world).__name__, "save the world again")
    must(
        about.get("settings") == _mark(text) and _are_of(tensors, world),
        "world.safetensors",
        "the one saved with world.json",
        "another world's, or edited settings",
        "save the world again",
    )
    world.__dict__["tensors"] = tensors  # fills the cached property: nothing is drawn anew
    return world


def _are_of(tensors: Mapping[str, Tensor], world: Any) -> bool:
    """Whether the features on disk are as many and as wide as the settings say, where these say it."""
    mixture = getattr(world, "inner", world)
    sizes = [getattr(mixture, name, None) for name in ("n_true", "d")] if hasattr(mixture, "directions") else None
    return sizes is None or ("features" in tensors and list(tensors["features"].shape) == sizes)


def _mark(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
