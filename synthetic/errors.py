"""Bad input: one clear error at the boundary. Needs the standard library alone, so that configs load fast."""

import difflib
from collections.abc import Collection


def must(condition: object, where: str, rule: str, got: object, advice: str) -> None:
    """Raise `ValueError("<where> must be <rule>; got <got>: <advice>.")` unless the condition holds."""
    if not condition:
        raise ValueError(f"{where} must be {rule}; got {got}: {advice}.")


def pick(name: str, shelf: Collection[str], what: str) -> str:
    """The name itself if it is on the shelf; else an error that suggests the nearest ones."""
    if name in shelf:
        return name
    near = difflib.get_close_matches(name, shelf, n=1)
    hint = f"perhaps you meant {near[0]!r}" if near else "choose one of these"
    raise ValueError(f"{what} must be one of {sorted(shelf)}; got {name!r}: {hint}.")
