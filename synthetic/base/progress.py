"""Progress of long work: shown on a terminal and in a notebook, silent elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from synthetic.base.console import Console

_T = TypeVar("_T")


def track(items: Iterable[_T], label: str) -> Iterator[_T]:
    """The items, with a progress bar where somebody sees it."""
    name = TextColumn("{task.description}", markup=False)
    with progress_of(name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) as bar:
        yield from bar.track(items, description=label)


@contextmanager
def counted(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Within the block, a function of how many units are done and of how many there are moves a progress bar."""
    number = TextColumn("{task.completed} of {task.total} " + unit, markup=False)
    name = TextColumn("{task.description}", markup=False)
    with progress_of(name, BarColumn(), number, TimeRemainingColumn()) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def progress_of(*columns: ProgressColumn) -> Progress:
    """A bar of these columns, gone when it ends."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return _InNotebook(*columns, console=console, disable=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class _InNotebook(Progress):
    """One line below the cell, replaced as it changes, which needs no widgets."""

    _line: Any = None
    _shown = 0.0

    def update(self, *task: Any, **changes: Any) -> None:
        """Move the bar; the line follows at most twice a second, from the second second on."""
        super().update(*task, **changes)
        now = self.get_time()
        begun = min((task.start_time for task in self.tasks if task.start_time is not None), default=now)
        if now - begun > 2 and now - self._shown > 0.5:
            self._shown = now
            self._show(" ".join(self._words()))

    def stop(self) -> None:
        """Take the line away."""
        super().stop()
        if self._line is not None:
            self._show("")

    def _words(self) -> Iterator[str]:
        for task in self.tasks:
            share = f"{task.percentage:.0f} %" if task.total else f"{task.completed:g}"
            left = "" if task.time_remaining is None else f"{task.time_remaining:.0f} s left"
            yield " ".join(filter(None, (task.description, share, left, str(task.fields.get("words", "")))))

    def _show(self, text: str) -> None:
        from IPython.display import display  # a notebook has it

        if self._line is None:
            self._line = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._line.update({"text/plain": text}, raw=True)
