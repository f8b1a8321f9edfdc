"""Run-time type checks of the tests, at a fraction of their cost: each argument and result is looked at once.

`jaxtyping.jaxtyped` binds every call to its signature and has beartype check its arguments twice, which took almost
half the time of the tests. Here beartype decorates the function itself; sizes of axes are held where annotations name
some.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, config

SLOW = jaxtyping.jaxtyped
CHECK = beartype(conf=BeartypeConf(violation_type=TypeCheckError))


def has_axes(hint: Any) -> bool:
    """Whether an annotation names axes somewhere, in a union or a callable too."""
    if inspect.isclass(hint) and not get_args(hint):
        return issubclass(hint, AbstractArray)
    return any(map(has_axes, hint if isinstance(hint, list | tuple) else get_args(hint)))


def resolved(hint: Any, names: dict[str, Any]) -> Any:
    """An annotation without text in it; one of names that are there for type checkers alone says nothing."""

    def of(value: hint): ...

    try:
        return get_type_hints(of, names, include_extras=True)["value"]
    except Exception:  # whatever a name that is not there leads to
        return Any


def checked(function: Callable) -> Callable:
    """A function that checks its arguments and its result, but where `jaxtyping_disable` is set."""
    hints = {name: resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}
    twin = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__, twin.__annotations__ = function.__kwdefaults__, hints
    twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
    strict = CHECK(twin)
    if strict is twin:  # nothing is annotated
        return function
    if any(map(has_axes, hints.values())):

        @functools.wraps(function)
        def call(*args, **kwargs):
            if config.jaxtyping_disable:
                return function(*args, **kwargs)
            with SLOW("context"):
                return strict(*args, **kwargs)
    else:

        @functools.wraps(function)
        def call(*args, **kwargs):
            return (function if config.jaxtyping_disable else strict)(*args, **kwargs)

    return call


def jaxtyped(thing=None, *, typechecker):
    """What jaxtyping's import hook puts on each function and class."""
    if thing is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if isinstance(thing, classmethod | staticmethod):
        return type(thing)(jaxtyped(thing.__func__, typechecker=typechecker))
    if isinstance(thing, property):
        each = (thing.fget, thing.fset, thing.fdel)
        return property(*(of and jaxtyped(of, typechecker=typechecker) for of in each))
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = jaxtyped(thing.__init__, typechecker=typechecker)
        return thing
    if not isinstance(thing, types.FunctionType) or inspect.isgeneratorfunction(thing):
        return SLOW(thing, typechecker=typechecker)
    return checked(thing)


jaxtyping.jaxtyped = jaxtyped  # before the packages are imported
