"""Settings held against their annotations: what a dataclass says of its fields is the one schema of them."""

import dataclasses
import inspect
import math
import types
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from synthetic.base.errors import must, pick
from synthetic.base.schema import shown

_T = TypeVar("_T", bound=type)
_WIDEST = 2**63


class Range(NamedTuple):
    """Which numbers a setting may be, as `rate: Annotated[float, within(0, 1, "give a probability")]`."""

    rule: str
    holds: Callable[[float | int], bool]
    advice: str


def above(low: float | int, advice: str) -> Range:
    """Numbers x > low."""
    return Range(f"above {low:g}", lambda x: x > low, advice)


def at_least(low: float | int, advice: str) -> Range:
    """Numbers x >= low."""
    return Range(f"at least {low:g}", lambda x: x >= low, advice)


def within(low: float | int, high: float | int, advice: str, ends: str = "[]") -> Range:
    """Numbers between low and high; a round bracket in `ends` leaves that end out."""

    def holds(x: float | int) -> bool:
        return (x > low if ends[0] == "(" else x >= low) and (x < high if ends[1] == ")" else x <= high)

    return Range(f"in {ends[0]}{low:g}, {high:g}{ends[1]}", holds, advice)


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
            hints.update(get_type_hints(cls, include_extras=True))
        for name in named:
            pick(name, list(signature.parameters)[1:], f"setting of {cls.__name__}")
        try:
            given = signature.bind(self, *values, **named)
        except TypeError as error:  # too many, or one lacks that has no default
            name = cls.__name__
            raise ValueError(f"{name} must be given its settings; got {error}: help({name}) lists them.") from None
        for name in list(given.arguments)[1:]:
            given.arguments[name] = converted(f"{cls.__name__}.{name}", given.arguments[name], hints[name])
        make(*given.args, **given.kwargs)

    cls.__init__ = init  # type: ignore[method-assign]
    return cls


Count = Annotated[int, at_least(1, "raise it")]


def lacking(cls: type, names: set[str]) -> list[str]:
    """Fields that must be given and are not among the names."""
    fields = [f for f in dataclasses.fields(cls) if f.init and f.name not in names]
    return [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]


def converted(where: str, value: Any, hint: Any, advice: str = "give one") -> Any:
    """A value as its annotation has it: Python's own numbers, lists and arrays as tuples, texts as paths.

    Raises:
        ValueError: it is none that the annotation allows.
    """
    must(not isinstance(value, type), where, "an object", value, "call the class")
    kind, *ranges = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    try:
        value = _converted(value, kind)
    except _Misfit:
        choice = get_origin(kind) is Literal
        must(False, where, words(kind), shown(value), "choose one of these" if choice else advice)
    for rule, holds, remedy in ranges:
        must(holds(value), where, rule, value, remedy)
    return value


class _Misfit(Exception):  # noqa: N818
    """A value that its annotation does not allow."""


def _converted(value: Any, hint: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for part in parts:
            with suppress(_Misfit):
                return _converted(value, part)
        raise _Misfit
    if isinstance(value, np.generic) or (origin is tuple and isinstance(value, np.ndarray)):
        value = value.tolist()
    if origin is tuple and isinstance(value, list | tuple):
        inner = parts[:1] * len(value) if parts[1:] == (...,) else parts
        if len(value) == len(inner):
            return tuple(map(_converted, value, inner))
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif _fits(value, hint, origin, parts):
        return value
    raise _Misfit


def _fits(value: Any, hint: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        number = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
        return number and (-_WIDEST <= value < _WIDEST if isinstance(value, int) else math.isfinite(value))
    return origin is not tuple and (not isinstance(hint, type) or isinstance(value, hint))


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
    known[Path] = "a path"
    return known.get(hint) or f"of the kind {getattr(hint, '__name__', hint)}"
