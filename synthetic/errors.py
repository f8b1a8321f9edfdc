"""Bad input: one clear error at the boundary. Needs the standard library alone, so that configs load fast."""

import difflib
import os
import sys
from collections.abc import Callable, Collection


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


class Stopped(Exception):  # noqa: N818
    """Ends a command early: what to say, and the exit code."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.code = code


def guarded(
    body: Callable[[], int], *, also: tuple[type[Exception], ...] = (), stopped: Callable[[], str] = lambda: "stopped"
) -> int:
    """Run a command's body for its exit code; bad input ends with one line and 2, Ctrl-C with `stopped()` and 130.

    Args:
        body: the command.
        also: errors beside ValueError and OSError that are the user's to mend.
        stopped: what to say after Ctrl-C.
    """
    from rich.console import Console
    from rich.text import Text

    try:
        return body()
    except (KeyboardInterrupt, Stopped) as ended:
        said, code = (str(ended), ended.code) if isinstance(ended, Stopped) else (stopped(), 130)
        aside = not isinstance(ended, Stopped)  # how to go on belongs to what the command says
        Console(stderr=aside).print(f"\n{said}", highlight=False, markup=False, soft_wrap=True)
        return code
    except BrokenPipeError:  # whoever read our output has left; nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, *also) as error:
        Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return 2
