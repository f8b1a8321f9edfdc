"""Settings of a variant: what may be given, and what a stack keeps of it."""

import inspect
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import seed_of


@dataclass(frozen=True)
class Within:
    """The interval that every member's number has to lie in."""

    low: float
    high: float = math.inf
    above: bool = False
    """the lowest number itself is out"""
    below: bool = False
    """the highest number itself is out"""
    latents: bool = False
    """the highest number is m"""

    def rule(self, m: int) -> str:
        """In words."""
        low = f"{self.low:g}"
        if self.latents:
            return f"in {'(' if self.above else '['}{low}, m={m}]"
        if self.high < math.inf:
            return f"in {'(' if self.above else '['}{low}, {self.high:g}{')' if self.below else ']'}"
        return f"above {low}" if self.above else f"at least {low}"

    def holds(self, value: Tensor, m: int) -> bool:
        """Whether all entries lie in it."""
        high = m if self.latents else self.high
        good = (value > self.low if self.above else value >= self.low) & (value < high if self.below else value <= high)
        return bool(good.all())

    def advice(self, value: Tensor) -> str:
        """What to do about a value that does not."""
        low = bool((value <= self.low if self.above else value < self.low).any())
        return "lower k or raise m" if self.latents else "raise it" if low else "lower it"

    def outside(self, m: int) -> list[float]:
        """Numbers that are refused, for tests."""
        high = float(m) if self.latents else self.high
        beyond = [] if high == math.inf else [high if self.below else high + 1]
        return [self.low if self.above else self.low - 1, *beyond]


Whole = int | Tensor
"""a whole number, or one for each member of a stack"""
Real = float | int | Tensor
"""a number, or one for each member of a stack"""
Count = Annotated[Whole, Within(1.0)]
Natural = Annotated[Whole, Within(0.0)]
LatentCount = Annotated[Whole, Within(1.0, latents=True)]
"""a number of latents"""
MeanCount = Annotated[Real, Within(0.0, above=True, latents=True)]
"""a number of latents on average"""
Positive = Annotated[Real, Within(0.0, above=True)]
NonNegative = Annotated[Real, Within(0.0)]
Share = Annotated[Real, Within(0.0, 1.0)]
PositiveShare = Annotated[Real, Within(0.0, 1.0, above=True)]
Probability = Annotated[Real, Within(0.0, 1.0, above=True, below=True)]


@dataclass(frozen=True)
class Setting:
    """What a signature says of one setting: its default, its type, and the interval of its numbers."""

    default: Any
    hint: Any
    within: Within | None = None

    @property
    def is_number(self) -> bool:
        """Whether each member may have a number of its own."""
        return isinstance(self.default, int | float) and not isinstance(self.default, bool)

    def held(self, where: str, value: Any, shape: tuple[int, ...], m: int) -> Any:
        """The value as a stack keeps it, see `checked`.

        Raises:
            ValueError: it is not what the annotation allows.
        """
        kept = checked(where, value, self.default, self.hint, shape)
        if self.within is not None and isinstance(kept, Tensor):
            must(self.within.holds(kept, m), where, self.within.rule(m), value, self.within.advice(kept))
        return kept


def settings_of_signature(function: Callable[..., Any], where: str) -> dict[str, Setting]:
    """The settings of a variant or an objective: its parameters after the first, the stack, each with a default.

    Raises:
        ValueError: a setting without a default, or parameters that have no names.
    """
    parameters = list(inspect.signature(function).parameters.values())
    hints = get_type_hints(function if not inspect.isclass(function) else function.__init__, include_extras=True)
    advice = "write def name(stack, weight: NonNegative = 0.5): ..."
    must(parameters, where, "a function of a stack and settings", "one without parameters", advice)
    found = {}
    for parameter in parameters[1:]:
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        bare = parameter.default is inspect.Parameter.empty
        must(named and not bare, where, "a function whose settings have defaults", parameter.name, advice)
        hint = hints.get(parameter.name, type(parameter.default))
        annotated = get_origin(hint) is Annotated
        more = get_args(hint)[1:] if annotated else ()
        within = next((entry for entry in more if isinstance(entry, Within)), None)
        found[parameter.name] = Setting(parameter.default, get_args(hint)[0] if annotated else hint, within)
    return found


def plain(value: Any) -> Any:
    """Numbers, lists, tuples and dictionaries of Python's own in place of numpy's and torch's, however nested."""
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def whole_number(where: str, value: Any, advice: str, least: int = 1) -> int:
    """A size as Python's integer.

    Raises:
        ValueError: no whole number of at least `least`.
    """
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    must(number, where, f"a whole number of at least {least}", repr(value), advice)
    must(value >= least, where, f"at least {least}", value, advice)
    return int(value)


def must_be_seeds(where: str, value: Any) -> None:
    """Refuse what is neither a seed nor a (nested) list of seeds."""
    if isinstance(value, list):
        for entry in value:
            must_be_seeds(where, entry)
    else:
        seed_of(where, value)


_FITS, _SMALLER = "such that its weights fit into memory", "lower d, m or the number of members"


def must_fit(owner: str, d: int, m: int, shape: tuple[int, ...]) -> str:
    """Refuse weights that this machine's memory cannot hold; the sizes in words.

    Raises:
        ValueError: W_enc and W_dec of all members are larger than the memory.
    """
    numbers = 2 * d * m * math.prod(shape)
    names = getattr(os, "sysconf_names", {})
    known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 if known else 2**46
    size = f"d={d} x m={m} x {math.prod(shape)} members"
    must(numbers <= most, f"{owner}'s size", _FITS, f"{size}, {4e-9 * numbers:.3g} GB", _SMALLER)
    return size


@contextmanager
def memory_for(owner: str, d: int, m: int, shape: tuple[int, ...]) -> Iterator[None]:
    """Refuse, before anything is allocated, weights that do not fit into memory, and tell where it runs out inside.

    Raises:
        ValueError: see `must_fit`, or memory ran out inside the block.
    """
    size = must_fit(owner, d, m, shape)
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            must(False, f"{owner}'s size", _FITS, f"{size}, and no memory was left", _SMALLER)
        raise


def given(value: Any, default: Any) -> Any:
    """A setting's value; a list stands for a tuple where the default is one."""
    value = plain(value)
    return tuple(value) if isinstance(default, tuple) and isinstance(value, list) else value


def checked(where: str, value: Any, default: Any, hint: Any, shape: tuple[int, ...]) -> Any:
    """A setting as a stack keeps it: numbers as a tensor of the stack's shape, anything else as it is.

    Raises:
        ValueError: no such choice, not a number, not whole, or a list where all members share one.
    """
    named = get_origin(hint) is not Literal or isinstance(value, list) or value in get_args(hint)
    must(named, where, f"one of {get_args(hint)}", repr(value), "choose one")
    switch = not isinstance(default, bool) or isinstance(value, bool)
    must(switch, where, "the same for all members, True or False", value, "give one")
    array = np.asarray(value)
    number = isinstance(default, int | float) and not isinstance(default, bool)
    must(not number or array.dtype.kind in "iuf", where, "a number", value, "give one")
    if array.dtype.kind in "iuf" and not isinstance(value, tuple):
        real = array.dtype.kind == "f" or isinstance(default, float)  # k=4 where a float is meant is 4.0
        dtype = torch.float32 if real else torch.int64
        whole = not isinstance(default, int) or bool((array == array.round()).all())
        must(whole, where, "a whole number", value, "round it")
        return torch.from_numpy(np.broadcast_to(array, shape).copy()).to(dtype)
    must(not isinstance(value, list), where, "the same for all members", value, "use a tuple")
    return value
