"""Contracts: laws that are tested one by one, each with an outcome in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

_S = TypeVar("_S")
_L = TypeVar("_L", bound=Callable[..., Any])


@dataclass(frozen=True)
class Outcome:
    """One law, and whether it holds."""

    law: str
    passed: bool
    said: str = ""
    """what went wrong, or why the law, or a part of it, does not apply"""


class Broken(Exception):  # noqa: N818
    """A law does not hold; says how."""


class NotApplicable(Exception):  # noqa: N818
    """A law does not concern what is tested; says why."""


def demand(condition: object, said: str) -> None:
    """Raise `Broken` unless the condition holds."""
    if not condition:
        raise Broken(said)


def into(laws: dict[str, _L]) -> Callable[[str], Callable[[_L], _L]]:
    """Decorator of functions, `@law("what it states")`, that puts each among the laws."""

    def law(statement: str) -> Callable[[_L], _L]:
        def put(function: _L) -> _L:
            laws[statement] = function
            return function

        return put

    return law


def outcomes(laws: Mapping[str, Callable[[_S], str | None]], subject: _S) -> Iterator[Outcome]:
    """Test every law on a subject, in order; an error inside one is a failure of that law alone."""
    for statement, law in laws.items():
        yield outcome(statement, lambda law=law: law(subject))


def outcome(statement: str, test: Callable[[], str | None]) -> Outcome:
    """How one law fares; what its test returns is a remark."""
    try:
        return Outcome(statement, True, test() or "")
    except NotApplicable as reason:
        return Outcome(statement, True, f"does not apply: {reason}")
    except Broken as reason:
        return Outcome(statement, False, str(reason))
    except Exception as error:  # any error of a stranger's code is the finding
        return Outcome(statement, False, f"{type(error).__name__}: {error}")
