"""An engine remembers what it refused, since a formula may catch the error and go on to a value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_WATCHING: list[list[Exception]] = []


@contextmanager
def refusals() -> Iterator[list[Exception]]:
    """What is refused within the block; a value that was found in spite of it is no value of the formula."""
    seen: list[Exception] = []
    _WATCHING.append(seen)
    try:
        yield seen
    finally:
        _WATCHING[:] = [each for each in _WATCHING if each is not seen]


def record(error: Exception) -> None:
    """Remember a refusal that Python is about to raise."""
    for seen in _WATCHING:
        seen.append(error)


def refuse(error: Exception) -> NoReturn:
    """Remember a refusal, and raise it."""
    record(error)
    raise error


class Refusing:
    """What depends on unknowns: no float, no whole number and no hash, and other libraries have no function of it."""

    __slots__ = ()
    __array_priority__ = float("inf")  # NumPy's numbers leave their operators to it

    def _error(self) -> Exception:
        return TypeError("what depends on unknowns is no float, no whole number and no key")

    def refuse(self, *_: Any, **__: Any) -> Any:
        """Stands for every operation that is not defined."""
        refuse(self._error())

    __float__ = __int__ = __complex__ = __index__ = __round__ = __trunc__ = __floor__ = __ceil__ = refuse
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = refuse
    __hash__ = __iter__ = __array__ = refuse

    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        refuse(TypeError("what depends on unknowns is no tensor"))


def no_number(value: Any) -> TypeError:
    """What is said of something that stands where a number must."""
    return TypeError(f"a value must be a number; got {type(value).__name__}")
