"""Independent cells of work on a pool of processes, with one progress bar, resumable cell by cell."""

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from synthetic.base.console import Console
from synthetic.base.errors import Stopped
from workbench.study.run import Run

Cell = dict[str, Any]
"""plain settings of one piece of work, with a unique "id" and its "size" in samples"""
Report = Callable[[int, str], None]
"""called by a cell with samples done so far and a few words to show"""
Work = Callable[[Cell, Report], Any]
"""a module-level function: cell, report -> JSON-able result"""

_SPAWN = multiprocessing.get_context("spawn")
_outbox: Any = None


def run_cells(
    work: Work, cells: list[Cell], run: Run, *, jobs: int = 0, threads: int = 1
) -> tuple[dict[str, Any], dict[str, str]]:
    """Do every cell whose result is not yet among the run's records; append results as they come.

    Ctrl-C stops all processes; what was recorded stays, and calling again with the same run continues.

    Args:
        work: what to do with a cell, importable by name.
        cells: the work, in the order it should start.
        run: where results are kept, one record a cell.
        jobs: processes; 0 for as many as the cores can feed.
        threads: torch threads of each process. Sums depend on it, so it belongs to a run's config; jobs does not.

    Returns:
        cell id -> result, in the order of `cells`; and cell id -> what went wrong, for cells that raised. The others
        are done all the same, and failed ones are tried again by the next call.
    """
    failed: dict[str, str] = {}
    done = {record["id"]: record["result"] for record in run.records() if "id" in record}
    todo = [cell for cell in cells if cell["id"] not in done]
    jobs = min(jobs or max(1, (os.cpu_count() or 1) // threads), max(len(todo), 1))
    outbox = _SPAWN.Queue()
    total, already = sum(c["size"] for c in cells), sum(c["size"] for c in cells if c["id"] in done)
    with _Bar(total, already) as bar, process_pool(jobs, threads, outbox) as pool:
        waiting: dict[Future[Any], Cell] = {pool.submit(_one, work, cell): cell for cell in todo}
        while waiting:
            ready, _ = wait(waiting, timeout=0.2)
            _drain(outbox, bar)
            for future in ready:
                cell = waiting.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                if error is not None:
                    failed[cell["id"]] = f"{type(error).__name__}: {error}"
                else:
                    done[cell["id"]] = future.result()
                    run.append({"id": cell["id"], "result": done[cell["id"]]})
                bar.show(cell["id"], cell["size"], "")
    return {cell["id"]: done[cell["id"]] for cell in cells if cell["id"] in done}, failed


def finish_cells(
    work: Work, cells: list[Cell], run: Run, console: Console, again: str, *, jobs: int = 0, threads: int = 1
) -> tuple[dict[str, Any], dict[str, str]]:
    """As `run_cells`, for a command: failed cells are printed, a stop says how to go on.

    Raises:
        Stopped: by Ctrl-C, a dead process or a full disk; `again` is the command that --resume is added to.
    """
    try:
        results, failed = run_cells(work, cells, run, jobs=jobs, threads=threads)
    except (KeyboardInterrupt, BrokenProcessPool, OSError) as error:
        by_hand = isinstance(error, KeyboardInterrupt)
        why = "stopped" if by_hand else f"stopped by {type(error).__name__}: {error}"
        raise Stopped(f"{why}; go on with: {again} --resume {run.folder}", 130 if by_hand else 1) from error
    for name, why in failed.items():
        console.print(Text.assemble(("failed ", "bold red"), f"{name}: {why}"), soft_wrap=True)
    return results, failed


@contextmanager
def process_pool(jobs: int, threads: int, outbox: Any = None) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that leave Ctrl-C to the parent, end with it, and are ended at once where the block raises."""
    pool = _Pool(jobs, mp_context=_SPAWN, initializer=_begin, initargs=(outbox, threads))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """Processes that Ctrl-C does not reach from their first instruction on; it reaches this one a moment later."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a call, which may start a process."""
        masked = hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else set()
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            if masked:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(outbox: Any, threads: int) -> None:
    global _outbox
    _outbox = outbox
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    """End this process when its parent is gone, even by a kill."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # unwinds the cell; the pool's own loop would then wait for ever
        time.sleep(10)
        os._exit(1)


def _leave(*_: object) -> None:
    sys.unraisablehook = lambda _: None  # destructors of what this leaves half made
    raise SystemExit(1)  # unwinds, so that a half-written temporary file is removed


def _one(work: Work, cell: Cell) -> Any:
    last = 0.0

    def report(samples: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.3:
            last = time.monotonic()
            _outbox.put((cell["id"], samples, words))

    return work(cell, report)


def _drain(outbox: Any, bar: "_Bar") -> None:
    while True:
        try:
            bar.show(*outbox.get_nowait())
        except queue.Empty:
            return


class _Bar:
    """One bar over the samples of all cells; silent where standard error is no terminal."""

    def __init__(self, total: int, already: int) -> None:
        console = Console(stderr=True)
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[rate]:,.0f} samples/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=total, completed=already, rate=0.0, words="starting")
        self._samples: dict[str, int] = {}
        self._words = "starting"
        self._already, self._start = already, time.monotonic()

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, cell: str, samples: int, words: str) -> None:
        """Take note of a cell's samples."""
        self._samples[cell] = samples
        now = sum(self._samples.values())
        rate = now / max(time.monotonic() - self._start, 1e-9)
        self._words = f"{cell} {words}" if words else self._words
        self._progress.update(self._task, completed=self._already + now, rate=rate, words=self._words)
