"""Progress of long work: shown on a terminal, silent elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress import track as rich_track

_T = TypeVar("_T")


def track(items: Iterable[_T], label: str) -> Iterable[_T]:
    """The items, with a progress bar on standard error where that is a terminal."""
    console = Console(stderr=True)
    return rich_track(items, label, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def counted(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Within the block, a function of how many units are done and of how many there are moves a progress bar."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} " + unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
