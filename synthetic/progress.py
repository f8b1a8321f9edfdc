"""Progress of long work: shown on a terminal, silent elsewhere."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

_T = TypeVar("_T")


def track(items: Iterable[_T], label: str) -> Iterable[_T]:
    """The items, with a progress bar on standard error where that is a terminal."""
    console = Console(stderr=True)
    return rich_track(items, label, console=console, transient=True, disable=not console.is_terminal)
