"""Independent units of work on a pool of processes or in this one, with one progress bar, resumable unit by unit."""

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from synthetic.base.console import Console
from synthetic.base.errors import Stopped, must
from synthetic.base.progress import progress_of
from workbench.plugins import load_plugin
from workbench.study.run import Run
from workbench.study.units import Report, Unit

Work = Callable[[Any, Report], Any]
"""a module-level function, or a partial of one: unit, report -> JSON-able result"""

_SPAWN = multiprocessing.get_context("spawn")
_outbox: Any = None
_loaded: set[str] = set()


def run_units(
    work: Callable[[Unit], Work],
    units: Sequence[Unit],
    run: Run,
    *,
    jobs: int = 0,
    threads: int = 1,
    plugin: Path | None = None,
    limit: int | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Do every unit whose result is not yet among the run's records; append results as they come.

    Ctrl-C stops all processes; what was recorded stays, and calling again with the same run continues.

    Args:
        work: what to do with a unit: a function importable by name.
        units: large ones are started first.
        run: where results are kept, one record a unit.
        jobs: processes; 1 for this one, 0 for as many as the cores can feed.
        threads: torch threads of each process. Sums depend on it, so it belongs to a run's config; jobs does not.
        plugin: a Python file that each process runs first.
        limit: units to do at most, the small ones first.

    Returns:
        unit id -> result, in the order of `units`; and unit id -> what went wrong, for units that raised. The others
        are done all the same, and failed ones are tried again by the next call.
    """
    done = _recorded(units, run)
    todo = sorted((unit for unit in units if unit.id not in done), key=lambda unit: unit.size, reverse=limit is None)
    jobs = min(jobs or max(1, (os.cpu_count() or 1) // threads), max(len(todo), 1))
    total, already = sum(unit.size for unit in units), sum(unit.size for unit in units if unit.id in done)
    failed: dict[str, str] = {}

    def keep(unit: Unit, result: Any) -> None:
        if isinstance(result, BaseException):
            failed[unit.id] = f"{type(result).__name__}: {result}"
        else:
            done[unit.id] = result
            run.append({"id": unit.id, "unit": unit.digest, "result": result})

    with _Bar(total, already) as bar:
        each = _each_here if jobs == 1 else partial(_each_in_a_pool, jobs, plugin)
        with closing(each(work, todo[:limit], run.folder, bar, threads)) as finished:
            for unit, result in finished:
                keep(unit, result)
                bar.show(unit.id, unit.size, "")
    return {unit.id: done[unit.id] for unit in units if unit.id in done}, failed


def _recorded(units: Sequence[Unit], run: Run) -> dict[str, Any]:
    """Results among a run's records.

    Raises:
        ValueError: one has the name of a unit, and was made with other settings.
    """
    named, done = {unit.id: unit for unit in units}, {}
    for record in run.records():
        unit = named.get(record["id"])
        if unit is not None:
            rule, where = f"of the settings in {run.folder / 'config.json'}", f"record of {unit.id}"
            must(record.get("unit") == unit.digest, where, rule, "another's", "start a new run, or take its line out")
            done[unit.id] = record["result"]
    return done


Done = Generator[tuple[Unit, Any], None, None]
"""units with their results, or with the errors they ended by"""


def _each_here(work: Callable[[Unit], Work], todo: Sequence[Unit], folder: Path, bar: "_Bar", threads: int) -> Done:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for unit in todo:
            try:
                yield unit, work(unit)(unit, Report(partial(bar.show, unit.id), folder))
            except Exception as error:  # the others are done all the same
                yield unit, error
    finally:
        torch.set_num_threads(before)


def _each_in_a_pool(
    jobs: int,
    plugin: Path | None,
    work: Callable[[Unit], Work],
    todo: Sequence[Unit],
    folder: Path,
    bar: "_Bar",
    threads: int,
) -> Done:
    outbox = _SPAWN.Queue()
    with process_pool(jobs, threads, outbox) as pool:
        waiting: dict[Future[Any], Unit] = {
            pool.submit(_one, pickle.dumps((work(unit), unit)), folder, plugin): unit for unit in todo
        }
        while waiting:
            ready, _ = wait(waiting, timeout=0.2)
            _drain(outbox, bar)
            for future in ready:
                unit = waiting.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise error
                yield unit, future.result() if error is None else error


def _one(task: bytes, folder: Path, plugin: Path | None) -> Any:
    if plugin is not None and str(plugin) not in _loaded:
        load_plugin(plugin)  # before anything of its classes is read
        _loaded.add(str(plugin))
    work, unit = pickle.loads(task)
    last = 0.0

    def show(samples: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.3:
            last = time.monotonic()
            _outbox.put((unit.id, samples, words))

    return work(unit, Report(show, folder))


def finish_units(
    work: Callable[[Unit], Work], units: Sequence[Unit], run: Run, console: Console, again: str, **how: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """As `run_units`, for a command: failed units are printed, a stop says how to go on; those to be alone come last.

    Raises:
        Stopped: by Ctrl-C, a dead process or a full disk; `again` is the command that --resume is added to.
    """
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    jobs, limit = how.pop("jobs", 0), how.pop("limit", None)
    with resumable(run, again):
        for alone in (False, True):
            own = [unit for unit in units if unit.alone == alone]
            if own:
                before = len(_recorded(own, run))
                done, wrong = run_units(work, own, run, jobs=1 if alone else jobs, limit=limit, **how)
                results, failed = results | done, failed | wrong
                limit = limit and max(0, limit - len(done) - len(wrong) + before)
    for name, why in failed.items():
        console.print(Text.assemble(("failed ", "bold red"), f"{name}: {why}"), soft_wrap=True)
    return {unit.id: results[unit.id] for unit in units if unit.id in results}, failed


@contextmanager
def resumable(run: Run, again: str) -> Iterator[None]:
    """Within the block a stop says how to go on: `again` is the command that --resume is added to.

    Raises:
        Stopped: by Ctrl-C, a dead process or a full disk.
    """
    try:
        yield
    except (KeyboardInterrupt, BrokenProcessPool, OSError) as error:
        by_hand = isinstance(error, KeyboardInterrupt)
        why = "stopped" if by_hand else f"stopped by {type(error).__name__}: {error}"
        raise Stopped(f"{why}; go on with: {again} --resume {run.folder}", 130 if by_hand else 1) from error


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


def _drain(outbox: Any, bar: "_Bar") -> None:
    while True:
        try:
            bar.show(*outbox.get_nowait())
        except queue.Empty:
            return


class _Bar:
    """One bar over the samples of all units; silent where nobody sees it."""

    def __init__(self, total: int, already: int) -> None:
        self._progress = progress_of(
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[rate]:,.0f} samples/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._task = self._progress.add_task("", total=total, completed=already, rate=0.0, words="starting")
        self._samples: dict[str, int] = {}
        self._words = "starting"
        self._already, self._start = already, time.monotonic()

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, unit: str, samples: int, words: str) -> None:
        """Take note of a unit's samples."""
        self._samples[unit] = samples
        now = sum(self._samples.values())
        rate = now / max(time.monotonic() - self._start, 1e-9)
        self._words = f"{unit} {words}" if words else self._words
        self._progress.update(self._task, completed=self._already + now, rate=rate, words=self._words)
