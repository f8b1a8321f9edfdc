"""Trainings that claims ask for: each done once in a process for the mutants at work, and noted for the ledger."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch

from proofs_check.claim import Mutant

Training = dict[str, Any]
"""what the ledger says of one: its world, world seed, seeds and steps at least"""


class Member(NamedTuple):
    """What a part of a conclusion came to of one member of trained stacks: its sample nearest to a violation."""

    name: str
    measured: float
    bound: float
    equality: bool
    holds: bool


P = ParamSpec("P")
R = TypeVar("R")
_MUTANTS: list[Mutant] = []
_NOTES: list[list[Training]] = []
_MEASURES = ("proofs_check", "workbench.metrics", "workbench.theory", "workbench.topics.actions.control_function")
"""where a function judges what was trained: its mutants train nothing anew"""
_CLAIMS = ("proofs_check",)
"""where a function judges what was measured"""


def once(of: Callable[P, Training], *, measures: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: keep what a training returns, by its arguments and the mutants of what it runs; it has one thread.

    Args:
        of: what the ledger says of the training with these arguments.
        measures: whether it runs metrics as well, so that their mutants make it anew.
    """
    elsewhere = _CLAIMS if measures else _MEASURES

    def decorator(train: Callable[P, R]) -> Callable[P, R]:
        @lru_cache(maxsize=256)
        def kept(mutants: tuple[Mutant, ...], *args: P.args, **named: P.kwargs) -> R:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                return train(*args, **named)
            finally:
                torch.set_num_threads(threads)

        @wraps(train)
        def trained(*args: P.args, **named: P.kwargs) -> R:
            note([of(*args, **named)])
            mutants = tuple(mutant for mutant in _MUTANTS if not mutant.of.__module__.startswith(elsewhere))
            return kept(mutants, *args, **named)

        return trained

    return decorator


@contextmanager
def noted() -> Iterator[list[Training]]:
    """The trainings that are asked for in the block, done before or not."""
    notes: list[Training] = []
    _NOTES.append(notes)
    try:
        yield notes
    finally:
        _NOTES[:] = [other for other in _NOTES if other is not notes]  # of equal lists this one


def note(trainings: Iterable[Training]) -> None:
    """Enter trainings that were done elsewhere."""
    for notes in _NOTES:
        notes.extend(trainings)


@contextmanager
def in_place(mutant: Mutant) -> Iterator[None]:
    """The mutant under the name of the function it replaces."""
    module, name = sys.modules[mutant.of.__module__], mutant.of.__name__
    original = getattr(module, name)
    setattr(module, name, mutant.by)
    _MUTANTS.append(mutant)
    try:
        yield
    finally:
        setattr(module, name, original)
        _MUTANTS.remove(mutant)


@contextmanager
def watched(mutants: Iterable[Mutant]) -> Iterator[set[Callable[..., Any]]]:
    """Which of the functions that mutants replace are called in the block."""
    called: set[Callable[..., Any]] = set()

    def noting(of: Callable[..., Any], placed: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(of)
        def noted(*args: Any, **named: Any) -> Any:
            called.add(of)
            return placed(*args, **named)

        return noted

    with ExitStack() as stack:
        for of in dict.fromkeys(mutant.of for mutant in mutants):
            module = sys.modules[of.__module__]
            stack.callback(setattr, module, of.__name__, getattr(module, of.__name__))
            setattr(module, of.__name__, noting(of, getattr(module, of.__name__)))
        yield called
