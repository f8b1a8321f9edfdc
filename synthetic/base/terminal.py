"""A program's manners at its terminal; each entry point imports this first, and it needs the standard library alone.

Where the main module of a program imports it, and only there, it sees to three things from that line on. Ctrl-C ends
the program with one line and exit code 130, amid imports too; `synthetic.base.errors.guarded` takes over where there is
something to unwind. A reader that leaves early, as `head` does, is no error. Characters that the terminal's encoding
lacks are written as escapes.
"""

import _thread
import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType


def visible(text: str) -> str:
    """A stranger's text on one line: control characters, line ends and what turns writing round become escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def leave(*_: object, said: str = "stopped") -> None:
    """End the program as Ctrl-C does where nothing has to be unwound."""
    start = "\n" if os.isatty(2) else ""  # a terminal shows ^C before
    os.write(2, f"{start}{visible(said)}\n".encode(errors="backslashreplace"))
    os._exit(130)


def flush() -> bool:
    """Hand on what was printed; whether somebody took it. What nobody takes is dropped, at the program's end too."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return True
    except BrokenPipeError:
        drop()
        return False


def drop() -> None:
    """Let standard output go nowhere from now on."""
    with suppress(OSError, ValueError):  # a stand-in of tests has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def interruptible(stopped: Callable[[], str]) -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C raises KeyboardInterrupt in the main thread; yields a function: was it pressed?

    Amid an import it ends the program, for extension modules abort where one is raised in them. Python swallows what a
    destructor raises; Ctrl-C then comes again, and what destructors say of things left half made is not heard. A
    handler that somebody else has set is left alone, and so is a process that ignores Ctrl-C.
    """
    import threading  # not among the first imports, which have to be quick
    import traceback

    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    ours = before in (signal.default_int_handler, leave) and threading.current_thread() is threading.main_thread()

    def stop(_: int, frame: FrameType | None) -> None:
        pressed.set()
        if before is leave and _imports(frame):
            leave(said=stopped())
        raise KeyboardInterrupt

    def unraised(event: "sys.UnraisableHookArgs") -> None:
        if issubclass(event.exc_type, KeyboardInterrupt):
            again = threading.Timer(0.02, _press)
            again.daemon = True
            again.start()
        elif not pressed.is_set():  # else what was half made is torn down
            hook(event)

    hook = sys.unraisablehook
    if ours:
        signal.signal(signal.SIGINT, stop)
        sys.unraisablehook = unraised
    try:
        yield pressed.is_set
    except BaseException as error:
        if pressed.is_set():
            traceback.clear_frames(error.__traceback__)  # what was left half made goes now
        raise
    finally:
        if ours:
            sys.unraisablehook = hook
            signal.signal(signal.SIGINT, before)


@contextmanager
def unbroken() -> Iterator[None]:
    """Within the block Ctrl-C waits until its end; for a few operations that belong together, in the main thread."""
    before, pressed = signal.getsignal(signal.SIGINT), []
    try:
        if callable(before):
            signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    except ValueError:  # another thread, where Ctrl-C does not come
        before = None
    if not callable(before):
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _press() -> None:
    """Ctrl-C once more, for the main thread."""
    import threading

    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes it, too
    else:
        _thread.interrupt_main()


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _behave() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    atexit.register(flush)


_importer = sys._getframe(1)
while _importer.f_back is not None and _importer.f_code.co_filename.startswith("<frozen importlib"):
    _importer = _importer.f_back
if _importer.f_globals.get("__name__") == "__main__":
    _behave()
