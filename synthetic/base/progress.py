"""Progress of long work: shown on a terminal, silent elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from synthetic.base.console import Console

_T = TypeVar("_T")


def track(items: Iterable[_T], label: str) -> Iterator[_T]:
    """The items, with a progress bar on standard error where that is a terminal."""
    with _bar(TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()) as bar:
        yield from bar.track(items, description=label)


@contextmanager
def counted(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Within the block, a function of how many units are done and of how many there are moves a progress bar."""
    number = TextColumn("{task.completed} of {task.total} " + unit, markup=False)
    with _bar(TextColumn("{task.description}", markup=False), BarColumn(), number) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar(*columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
