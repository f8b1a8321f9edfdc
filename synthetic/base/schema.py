"""JSON files of a saved folder: each is read once, at its door, and held against what it must say."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic.base.errors import must


@dataclass(frozen=True)
class Kind:
    """What a value must be, in words and as a test; an optional one may be missing or null."""

    rule: str
    holds: Callable[[Any], bool]
    optional: bool = False


def whole(least: int = 0, most: int = 2**63 - 1) -> Kind:
    """A whole number in [least, most]."""
    rule = f"a whole number of at least {least}" if most == 2**63 - 1 else f"a whole number in [{least}, {most}]"
    return Kind(rule, lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v <= most)


def above(low: float) -> Kind:
    """A finite number above `low`."""
    return Kind(f"a number above {low:g}", lambda v: NUMBER.holds(v) and v > low)


def list_of(kind: Kind) -> Kind:
    """A list whose every entry is of one kind."""
    return Kind(f"a list, each entry {kind.rule}", lambda v: isinstance(v, list) and all(map(kind.holds, v)))


def optional(kind: Kind) -> Kind:
    """The same, or missing, or null."""
    return Kind(kind.rule, kind.holds, optional=True)


NUMBER = Kind(
    "a finite number", lambda v: isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= sys.float_info.max
)
TEXT = Kind("a text", lambda v: isinstance(v, str))
OBJECT = Kind("an object", lambda v: isinstance(v, dict))
SWITCH = Kind("true or false", lambda v: isinstance(v, bool))


def checked_fields(content: Any, where: str, fields: Mapping[str, Kind], advice: str) -> dict[str, Any]:
    """An object whose named fields are of their kinds; fields that are not named pass as they are.

    Raises:
        ValueError: no object, or a field is missing or of another kind.
    """
    if not isinstance(content, dict):
        must(False, where, "a JSON object", shown(content), advice)
    for name, kind in fields.items():
        value = content.get(name)
        if not (kind.optional and value is None) and not kind.holds(value):  # a value is shown only where it is wrong
            must(False, f"{where}: {name}", kind.rule, shown(value) if name in content else "none", advice)
    return content


def parsed(text: str, where: str, advice: str) -> Any:
    """A JSON text's value.

    Raises:
        ValueError: no JSON, or nested too deep to read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        must(False, where, "JSON of a moderate depth", "brackets nested too deep to read", advice)
    except ValueError as error:  # no JSON, or a number of thousands of digits
        must(False, where, "readable JSON", error, advice)


def read_json(path: Path, owner: str, fields: Mapping[str, Kind], advice: str = "save it again") -> dict[str, Any]:
    """The JSON object in a file of a saved folder, checked; `owner` names the folder in errors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not UTF-8, no JSON object, or a field is missing or of another kind.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        message = f"{owner} must hold {path.name}; got no such file in {path.parent}: save it again or copy it whole."
        raise FileNotFoundError(message) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text; got {error}: {advice}.") from None
    return checked_fields(parsed(text, str(path), advice), str(path), fields, advice)


def shown(value: Any) -> str:
    """A stranger's value, short enough for one line."""
    try:
        text = repr(value)
    except RecursionError:
        return "brackets nested too deep to show"
    return text if len(text) <= 80 else f"{text[:77]}..."
