"""Settings held against their annotations: what a dataclass says of its fields is the one schema of them."""

import dataclasses
import inspect
import math
import types
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from synthetic.errors import must
from synthetic.schema import shown

_T = TypeVar("_T", bound=type)
_WIDEST = 2**63


def annotated(cls: _T) -> _T:
    """Have a dataclass refuse values that its annotations do not allow, before its own checks run.

    Numbers of numpy become Python's, lists and arrays become tuples where a tuple is meant. Numbers are finite, whole
    ones below 2^63 in size.
    """
    make: Callable[..., None] = cls.__init__
    signature = inspect.signature(make)
    hints: dict[str, Any] = {}

    @wraps(make)
    def init(self: Any, *values: Any, **named: Any) -> None:
        if not hints:
            hints.update(get_type_hints(cls))
        given = signature.bind(self, *values, **named)
        for name in list(given.arguments)[1:]:
            given.arguments[name] = _checked(f"{cls.__name__}.{name}", given.arguments[name], hints[name])
        make(*given.args, **given.kwargs)

    cls.__init__ = init  # type: ignore[method-assign]
    return cls


def lacking(cls: type, names: set[str]) -> list[str]:
    """Fields that must be given and are not among the names."""
    fields = [f for f in dataclasses.fields(cls) if f.init and f.name not in names]
    return [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]


def _checked(where: str, value: Any, hint: Any) -> Any:
    must(not isinstance(value, type), where, "an object", value, "call the class")
    value = _plain(value, hint)
    choice = get_origin(hint) is Literal
    must(_fits(value, hint), where, words(hint), shown(value), "choose one of these" if choice else "give one")
    return value


def _plain(value: Any, hint: Any) -> Any:
    """Python's own numbers, and tuples where the annotation has a tuple."""
    if isinstance(value, np.generic):
        return value.item()
    return _tuples(value) if tuple in {get_origin(part) for part in (hint, *get_args(hint))} else value


def _tuples(value: Any) -> Any:
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        inner = parts[:1] * len(value) if isinstance(value, tuple) and parts[1:] == (...,) else parts
        good = isinstance(value, tuple) and len(value) == len(inner)
        return good and all(map(_fits, value, inner))
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        number = isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
        return number and (-_WIDEST <= value < _WIDEST if isinstance(value, Integral) else math.isfinite(value))
    return not isinstance(hint, type) or isinstance(value, hint)


def words(hint: Any) -> str:
    """What an annotation allows, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {parts}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(words, parts)))
    if origin is tuple:
        inner = parts[:1] if parts[1:] == (...,) else parts
        return f"a list of {'any number of ' * (len(parts) > len(inner))}{', '.join(map(words, inner))}"
    known = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text", type(None): "none"}
    return known.get(hint) or f"of the kind {getattr(hint, '__name__', hint)}"
