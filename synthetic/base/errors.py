"""Bad input: one clear error at the boundary. Needs the standard library alone, so that configs load fast."""

import difflib
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from synthetic.base.terminal import drop, flush, interruptible, visible

TRACEBACK = "WORKBENCH_TRACEBACK"
"""environment variable; set to 1, it has a command print the traceback of whatever ends it"""
INTERNAL = 70
"""exit code of a fault of this program's own, which sysexits.h calls EX_SOFTWARE"""
PLUGINS: set[str] = set()
"""Python files of users that this process runs"""
_PACKAGES = tuple(
    str(Path(__file__).parents[2] / name) + os.sep for name in ("synthetic", "workbench", "proofs_check", "experiments")
)
_FILES = {
    errno.ENOENT: ("there", "check the path"),
    errno.EEXIST: ("free", "choose another name"),
    errno.EACCES: ("open to this user", "change its rights or choose another place"),
    errno.EPERM: ("open to this user", "change its rights or choose another place"),
    errno.EROFS: ("on a disk that can be written", "choose another place"),
    errno.ENOSPC: ("on a disk with room", "make room and run it again"),
    errno.EDQUOT: ("on a disk with room", "make room and run it again"),
    errno.EISDIR: ("a file", "check the path"),
    errno.ENOTDIR: ("a path whose parents are folders", "check the path"),
    errno.ENAMETOOLONG: ("of a length that the disk takes", "choose a shorter name"),
    errno.ELOOP: ("free of links that go in a circle", "check the links"),
}


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


def must_be_whole(where: str, got: int, least: int, most: int = 2**31 - 1) -> None:
    """Refuse a number out of [least, most]."""
    must(least <= got <= most, where, f"a whole number in [{least}, {most}]", got, "give one in that range")


def must_be_writable(where: str, path: Path) -> None:
    """Refuse the path of a file to be written that cannot be, before the work for it is done."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    must(not path.is_dir(), where, "a file", f"{path}, a folder", "name a file in it")
    good = above.is_dir() and os.access(above, os.W_OK)
    must(good, where, "in a folder that can be written", path, "choose another place")


class Stopped(Exception):  # noqa: N818
    """Ends a command early: what to say, and the exit code."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.code = code


def guarded(
    body: Callable[[], int],
    *,
    also: tuple[type[Exception], ...] = (),
    stopped: Callable[[], str] = lambda: "stopped",
    sizes: str = "the sizes asked for",
) -> int:
    """Run a command's body for its exit code; whatever ends it early is told in one line.

    Bad input, a file that a user brought and too little memory end it with 2, Ctrl-C with 130, a reader of its output
    that left with 1. Any other error is a fault of this program's own: 70, and how to report it. With
    WORKBENCH_TRACEBACK=1 in the environment the traceback is printed before the line.

    Args:
        body: the command.
        also: errors beside ValueError and OSError that are the user's to mend.
        stopped: what to say after Ctrl-C.
        sizes: what to lower where memory runs out.
    """
    pressed: Callable[[], bool] = lambda: False  # noqa: E731
    try:
        with interruptible(stopped) as pressed:
            code = body()
            return code if flush() else 1
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if os.environ.get(TRACEBACK) == "1":
            traceback.print_exception(error)
        if isinstance(error, Stopped):  # how to go on belongs to what the command says
            _say(str(error), sys.stdout)
            return error.code
        if isinstance(error, KeyboardInterrupt) or pressed():  # an import may turn Ctrl-C into an error of its own
            _say(stopped(), sys.stderr)
            return 130
        if isinstance(error, BrokenPipeError):
            drop()
            return 1
        said, code = _told(error, also, sizes)
        if said:
            _say(said, sys.stderr, "error: ")
        if isinstance(error, OSError) and not _is_handed_on():
            drop()
        return code


def _is_handed_on() -> bool:
    """Whether standard output is taken, which a full disk does not."""
    try:
        return flush()
    except OSError:
        return False


def _say(text: str, stream: Any, mark: str = "") -> None:
    terminal = stream is not None and stream.isatty()
    start = f"\x1b[1;31m{mark}\x1b[0m" if terminal and mark else mark
    newline = "\n" if terminal and not mark else ""  # a terminal shows ^C before
    with suppress(BrokenPipeError):
        print(f"{newline}{start}{visible(text)}", file=stream, flush=True)


def _told(error: BaseException, also: tuple[type[Exception], ...], sizes: str) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    culprit = blamed(error)
    if culprit:
        return culprit, 2
    if isinstance(error, SystemExit):
        return "", error.code if isinstance(error.code, int) else int(error.code is not None)
    if _lacks_memory(error):
        need = re.search(r"allocate ([\d.]+ \w+)", str(error))
        got = f"a need for {need[1]} more" if need else str(error).split("\n")[0] or type(error).__name__
        return f"sizes must fit into memory; got {got}: lower {sizes}.", 2
    if isinstance(error, OSError) and error.errno is not None:
        return of_file(error), 2
    if isinstance(error, (ValueError, OSError, *also)):
        if in_our_words(error):
            return str(error), 2
        advice = f"check flags and files; {TRACEBACK}=1 shows where"
        return f"{_program()} must be given what it can use; got {type(error).__name__}: {error}: {advice}.", 2
    frame = traceback.extract_tb(error.__traceback__)[-1]
    got = f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}: {error}"
    advice = f"this is a fault of the program; run it again with {TRACEBACK}=1 and report what it prints"
    return f"{_program()} must not end so; got {got}: {advice}.", INTERNAL


def in_our_words(error: BaseException) -> bool:
    """Whether this program's own code raised an error, and no library that it called."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return frame.filename.startswith(_PACKAGES) and (frame.name in ("must", "pick") or str(frame.line)[:5] == "raise")


def blamed(error: BaseException) -> str:
    """One line that names the line and function of a user's file which an error comes from; empty where none does.

    A refusal in this program's own words is not the file's fault, though its code asked for what is refused.
    """
    if isinstance(error, ValueError | OSError) and in_our_words(error):
        return ""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    frame = next((frame for frame in frames if frame.filename in PLUGINS), None)
    if frame is None:
        return ""
    where = f"{frame.filename}, line {frame.lineno}" + f" ({frame.name})" * (frame.name != "<module>")
    if isinstance(error, SystemExit):
        return f"plugin must run to its end; got exit code {error.code} in {where}: take the exit out."
    return f"plugin must run; got {type(error).__name__} in {where}: {error}: mend it there."


def of_file(error: OSError) -> str:
    """The operating system's refusal of a file in one line, with what to do."""
    rule, advice = _FILES.get(error.errno or 0, ("usable", "check the path and its disk"))
    name = error.filename if error.filename is not None else "a file or the output"
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name} must be {rule}; got {error.strerror}: {advice}."


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's, numpy's, and torch's allocators on CPUs and cards."""
    words = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _program() -> str:
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}" if path.name == "__main__.py" else f"python {path}"
