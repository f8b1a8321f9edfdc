"""One lookup of sources by name: named worlds, saved ones, and whatever else registers an opener."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synthetic.base.errors import must, pick
from synthetic.base.storage import knobs
from synthetic.folder import load_world
from synthetic.source import Source
from synthetic.worlds import worlds

Opener = Callable[[str], Source | None]
_OPENERS: list[Opener] = []


def opener(function: Opener) -> Opener:
    """Decorator: have `find_source` ask a function, which opens what a name stands for, or returns None."""
    _OPENERS.append(function)
    return function


def find_source(name: str, **settings: Any) -> Source:
    """A source of activations by name.

    Args:
        name: a world on the shelf (`synthetic.worlds.worlds()`), a world's class that `knob` decorates, a saved world's
            folder, or a name of another kind that registered an opener, such as an activation store's folder.
        settings: of a world that has a name; the signature of its function.

    Raises:
        ValueError: none of these, and the nearest name is suggested; or settings that the world does not have.
        FileNotFoundError: a folder that holds no world.
    """
    for opens in _OPENERS:
        source = opens(name)
        if source is not None:
            _must_be_bare(name, settings)
            return source
    file = Path(name).suffix == ".py"
    must(not file, "world", "a name or a folder", name, "give the file by --plugin, and its world's name here")
    if (Path(name) / "world.json").exists() or "/" in name:
        _must_be_bare(name, settings)
        return load_world(name)
    makers = dict(worlds()) | ({name: knobs()[name]} if name in knobs() and is_source_class(knobs()[name]) else {})
    maker = makers[pick(name, makers, "world")]
    try:
        inspect.signature(maker).bind(**settings)
    except TypeError as error:
        must(False, f"world {name}", "given the settings of its function", error, "see its signature")
    world = maker(**settings)
    good = hasattr(type(world), "sample") and hasattr(world, "d")
    must(good, f"world {name}", "a source, with d and sample", type(world).__name__, "return one from its function")
    return world


def _must_be_bare(name: str, settings: dict[str, Any]) -> None:
    must(not settings, f"find_source.{next(iter(settings), '')}", "absent where a folder is named", name, "drop it")


def is_source_class(cls: type) -> bool:
    """Whether a settings class is a source's."""
    return hasattr(cls, "sample") and (hasattr(cls, "d") or "d" in {f.name for f in dataclasses.fields(cls)})
