"""Settings of a variant: what may be given, and what a stack keeps of it."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import seed_of


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
