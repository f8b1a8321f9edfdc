"""Settings of a variant: what may be given, and what a stack keeps of it."""

from typing import Any, Literal, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

from synthetic.errors import must


def plain(value: Any) -> Any:
    """Numbers and lists of Python's own in place of numpy's and torch's."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | Tensor) else value


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
