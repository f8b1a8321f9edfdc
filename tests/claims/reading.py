"""Which attributes of an instance a function reads by itself, those that a property reads in turn left out."""

from typing import Any


def values_read(function: Any, instance: Any) -> dict[str, Any]:
    """Name -> value of the attributes that `function` reads of `instance`."""
    read: dict[str, Any] = {}
    depth = 0

    class Watched(type(instance)):
        def __getattribute__(self, name: str) -> Any:
            nonlocal depth
            depth += 1
            try:
                value = super().__getattribute__(name)
            finally:
                depth -= 1
            if not depth and not name.startswith("__"):
                read[name] = value
            return value

    twin = object.__new__(Watched)
    twin.__dict__.update(vars(instance))
    read.clear()
    function(twin)
    return read
