"""Shelves: things by name, put there by a decorator."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from synthetic.base.errors import must

_F = TypeVar("_F", bound=Callable[..., Any])


class Shelf(Mapping[str, _F], Generic[_F]):
    """Functions or classes by their own names, in the order in which they were put there."""

    def __init__(self, what: str) -> None:
        self.what = what
        """what one of them is, for messages"""
        self._things: dict[str, _F] = {}

    def put(self, thing: _F) -> _F:
        """Decorator: put a documented function or class on the shelf.

        Raises:
            ValueError: its name is taken by another one, or it has no docstring to be listed with.
        """
        name, other = thing.__name__, self._things.get(thing.__name__)
        free = other is None or (other.__module__, other.__qualname__) == (thing.__module__, thing.__qualname__)
        must(free, f"{self.what} {name!r}", "of a name that is not taken", other, "choose another name")
        must(thing.__doc__, f"{self.what} {name!r}", "documented", "no docstring", "its first line is what lists show")
        self._things[name] = thing
        return thing

    @property
    def about(self) -> dict[str, str]:
        """First docstring lines."""
        return {name: (thing.__doc__ or "").strip().splitlines()[0] for name, thing in self._things.items()}

    def __getitem__(self, name: str) -> _F:
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)
