"""The folder a world is kept in."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from synthetic import actions, attention, concepts, worlds  # noqa: F401 (whose settings a folder may name)
from synthetic.base.errors import must
from synthetic.base.schema import read_json, shown
from synthetic.base.storage import (
    FIELD,
    OPTIONAL,
    from_json,
    knobs,
    must_be_sound,
    put_tensors,
    read,
    read_tensors,
    settled,
    tensor_sums,
    to_json,
    together,
    with_newlines,
)
from synthetic.laws.magnitudes import Drawn


def save_world(world: Any, folder: str | Path) -> Path:
    """Write `world.json` (settings) and `world.safetensors` (everything drawn once) into a folder.

    Whatever dataclass `knob` decorates can be saved; what it draws once is its `tensors`, where it has these, tensors
    among its fields, or follows from its settings.

    Raises:
        ValueError: the world's settings cannot be written down.
    """
    folder, name = Path(folder), type(world).__name__
    known = knobs().get(name) is type(world) and hasattr(world, "sample")
    rule = "of a class with a method `sample` that @synthetic.knob decorates"
    must(known, "save_world.world", rule, name, f"decorate it so; {OPTIONAL}")
    fields: Drawn = {}
    text = json.dumps(to_json(world, fields, name), indent=1) + "\n"
    drawn = {**getattr(world, "tensors", {}), **fields}
    tensors = {name: value.detach().clone() for name, value in drawn.items()}  # some may be parts of others
    with together(folder, "saving a world") as place:
        (place / "world.json").write_text(text, encoding="utf-8", newline="\n")
        marks = {"format": "2", "settings": _mark(text), **tensor_sums(tensors)}
        put_tensors(place / "world.safetensors", tensors, marks)
    return folder


def load_world(folder: str | Path) -> Any:
    """Read a world written by `save_world`: same settings, same drawn tensors to the last bit."""
    folder = Path(folder)
    return settled(folder, lambda: _load_world(folder))


def _load_world(folder: Path) -> Any:
    settings = read_json(folder / "world.json", "world folder", {})
    text = with_newlines((folder / "world.json").read_bytes()).decode("utf-8")
    tensors, about = read(folder / "world.safetensors", read_tensors, "world folder")
    try:
        world = from_json(settings, tensors)
    except ValueError as error:
        raise ValueError(f"{folder / 'world.json'}: {error}") from None
    must(hasattr(world, "sample"), "world.json", "settings of a world", type(world).__name__, "save the world again")
    must(
        about.get("settings") == _mark(text) and _are_of(tensors, world),
        "world.safetensors",
        "the one saved with world.json",
        "another world's, or edited settings",
        "save the world again",
    )
    if about.keys() != {"settings"}:  # older ones say no more
        known = about.keys() == {"format", "settings", "checksums"} and about["format"] == "2"
        path, again = folder / "world.safetensors", "save the world again"
        must(known, str(path), "of a known format", shown({name: about[name][:9] for name in about}), again)
        must_be_sound(tensors, about, path, again)
    if hasattr(type(world), "tensors"):  # fills the cached property: nothing is drawn anew
        world.__dict__["tensors"] = {k: v for k, v in tensors.items() if not k.startswith(FIELD)}
    return world


def _are_of(tensors: Mapping[str, Tensor], world: Any) -> bool:
    """Whether the features on disk are as many and as wide as the settings say, where these say it."""
    mixture = getattr(world, "inner", world)
    sizes = [getattr(mixture, name, None) for name in ("n_true", "d")] if hasattr(mixture, "directions") else None
    return sizes is None or ("features" in tensors and list(tensors["features"].shape) == sizes)


def _mark(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
