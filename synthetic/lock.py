"""One writer a folder: a lock file that names its owner, and that a dead owner does not hold."""

import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from synthetic.errors import must

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
_held: set[tuple[int, int, str]] = set()  # (process, thread, folder)


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Keep other writers out of a folder within the block; the folder is made where it is missing.

    The operating system drops the lock when its owner dies, however it dies: what a dead owner left is taken over.
    A thread that holds the folder may lock it again. A file system that knows no locks keeps nobody out.

    Args:
        folder: what is written.
        doing: what this process does to it, for whoever is kept out.

    Raises:
        ValueError: another process or thread writes there; says which.
    """
    key = (os.getpid(), threading.get_ident(), str(folder.resolve()))
    if key in _held:
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = _taken(folder, doing)
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        try:
            with suppress(FileNotFoundError):
                if os.getpid() == key[0]:  # a forked child leaves the file to its parent
                    (folder / LOCK).unlink()
        finally:  # the lock goes with the handle, whatever became of the file
            os.close(handle)
        for path in made:  # where this block wrote nothing
            with suppress(OSError):
                path.rmdir()


def in_use(folder: Path) -> bool:
    """Whether somebody else may be writing a folder: its lock is there, perhaps a dead owner's."""
    key = (os.getpid(), threading.get_ident(), str(folder.resolve()))
    return key not in _held and (folder / LOCK).exists()


def claimed(folder: Path) -> int | None:
    """A handle that holds a folder until it is closed or its process is dead; None where another process holds it.

    None as well where nothing can be held: the folder is gone, or its file system knows no locks.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, folder):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _taken(folder: Path, doing: str) -> int:
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if not _acquired(handle):
                owner = os.pread(handle, 1000, 0).decode("utf-8", "replace") or "another process"
                advice = "wait for it, or choose another folder"
                must(False, f"folder {folder}", "written by one process at a time", owner, advice)
            if _is_at(handle, path):  # else its last owner has just taken it away
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    about = {"doing": doing, "process": os.getpid(), "host": socket.gethostname()}
    about["since"] = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}"
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(about).encode())
    return handle


def _acquired(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
