"""One writer a folder: a lock file that names its owner, and that a dead owner does not hold."""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from synthetic.base.errors import must

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
_ATTEMPTS = 5  # a reader that asks whether a lock is held holds it for an instant
_owners: dict[tuple[int, str], object] = {}
"""(process, folder) -> the thread that writes there"""
_shared: set[tuple[int, str]] = set()
"""folders that a process keeps to itself, whichever of its threads writes there"""
_own = threading.local()


@contextmanager
def locked(folder: Path, doing: str, *, shared: bool = False) -> Iterator[None]:
    """Keep other writers out of a folder within the block; the folder is made where it is missing.

    The operating system drops the lock when its owner dies, however it dies: what a dead owner left is taken over.
    A thread that holds the folder may lock it again. A file system that knows no locks keeps nobody out.

    Args:
        folder: what is written.
        doing: what this process does to it, for whoever is kept out.
        shared: keep out other processes alone; within the block any thread of this one may lock it, one at a time.

    Raises:
        ValueError: another process or thread writes there; says which.
    """
    key, thread = (os.getpid(), os.path.realpath(folder)), _this_thread()
    if _owners.get(key) is thread:
        yield
        return
    if key in _shared and _owners.setdefault(key, thread) is thread:
        try:
            yield
        finally:
            _owners.pop(key, None)
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = _taken(folder, doing)
    if shared:
        _shared.add(key)
    else:
        _owners[key] = thread
    try:
        yield
    finally:  # perhaps in another thread
        if shared:
            _shared.discard(key)
        else:
            _owners.pop(key, None)
        _let_go(folder / LOCK, handle, ours=os.getpid() == key[0])
        for path in made:  # where this block wrote nothing
            with suppress(OSError):
                path.rmdir()


def _this_thread() -> object:
    """What stands for this thread; the system gives its number to a later one."""
    if not hasattr(_own, "thread"):
        _own.thread = object()
    return _own.thread


def _let_go(path: Path, handle: int, ours: bool) -> None:
    """Remove a lock file, which a forked child leaves to its parent, and close it."""
    if fcntl is None:
        os.close(handle)  # Windows removes no open file
        with suppress(OSError):
            path.unlink()
        return
    try:
        with suppress(FileNotFoundError):
            if ours:
                path.unlink()
    finally:  # the lock goes with the handle, whatever became of the file
        os.close(handle)


def in_use(folder: Path) -> bool:
    """Whether somebody else is writing a folder; where locks cannot be asked, its lock file says so."""
    key, thread = (os.getpid(), os.path.realpath(folder)), _this_thread()
    if _owners.get(key, thread if key in _shared else None) is thread:
        return False
    if fcntl is None:
        return (folder / LOCK).exists()
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


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
                _sign(handle, doing)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _sign(handle: int, doing: str) -> None:
    """Name the owner, for whoever is kept out."""
    about = {"doing": doing, "process": os.getpid(), "host": socket.gethostname()}
    about["since"] = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}"
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(about).encode())


def _acquired(handle: int) -> bool:
    if fcntl is None:
        return True
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                return True
        time.sleep(0.002)
    return False


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
