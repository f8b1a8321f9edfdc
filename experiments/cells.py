"""The course of experiments whose work is cells, until they are studies: settings, cells, results."""

import hashlib
import json
import math
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import torch
from rich.text import Text

from synthetic.base.console import Console, json_text
from synthetic.base.errors import Stopped, guarded, must
from synthetic.base.schema import TEXT, checked_fields, shown
from workbench.study import runner
from workbench.study.run import Run, revived
from workbench.study.runner import _SPAWN, _Bar, _drain, process_pool

Cell = dict[str, Any]
"""plain settings of one piece of work, with a unique "id" and its "size" in samples"""
Report = Callable[[int, str], None]
"""called by a cell with samples done so far and a few words to show"""
Work = Callable[[Cell, Report], Any]
"""a module-level function: cell, report -> JSON-able result"""


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


def _one(work: Work, cell: Cell) -> Any:
    last = 0.0

    def report(samples: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last > 0.3:
            last = time.monotonic()
            runner._outbox.put((cell["id"], samples, words))

    return work(cell, report)


S = TypeVar("S")
_MOST: dict[str, int] = {"--seeds": 10_000, "--toy-seeds": 10_000, "--threads": 256}
_MOST |= dict.fromkeys(("--samples", "--tokens"), 2**63 - 1)
"""largest values of whole numbers; 2^31 - 1 of all others"""
HOW = ("jobs", "out", "data", "plugin", "resume", "dry_run")
"""settings that say how and where to run: a resumed run takes them from its command line, the others from its folder"""


@dataclass(frozen=True)
class Study:
    """An experiment whose cells are done."""

    settings: Any
    """those the run was started with"""
    run: Run
    cells: list[Cell]
    results: dict[str, Any]
    """by the cells' ids"""

    def table(self, rows: Callable[[list[Cell], dict[str, Any]], Iterable[dict[str, Any]]]) -> pl.DataFrame:
        """Write metrics.parquet from the results, and return it.

        Raises:
            ValueError: a result among the records is not of this experiment.
        """
        return write_table(self.run, lambda: rows(self.cells, self.results))


def write_table(run: Run, rows: Callable[[], Iterable[dict[str, Any]]]) -> pl.DataFrame:
    """Write a run's metrics.parquet; records that rows cannot be made of are refused.

    Raises:
        ValueError: a result among the records is not of this experiment.
    """
    try:
        return run.write_table(list(rows()))
    except (LookupError, TypeError, AttributeError, ValueError, pl.exceptions.PolarsError) as error:
        got = f"{type(error).__name__}: {error}"
        advice = "start a new run, or take out the lines that were changed"
        raise ValueError(f"{run.folder}: records.jsonl must hold its results; got {got}: {advice}.") from error


def commanded(
    name: str,
    parse: Callable[..., S],
    experiment: Callable[[S, Console], int],
    *,
    also: tuple[type[Exception], ...] = (),
) -> int:
    """Parse and run; bad input ends with one line and exit code 2.

    Args:
        name: of the experiment, as in `python -m experiments NAME`.
        parse: settings from the command line, over those it is handed as `default`.
        experiment: what to do with them.
        also: errors beside ValueError and OSError that are the user's to mend.
    """

    def body() -> int:
        settings = parse()
        folder = getattr(settings, "resume", None)
        if folder is not None:
            settings = parse(default=_started(settings, Run(folder)))  # a flag given now goes over the run's
        return experiment(settings, Console(highlight=False))

    return guarded(body, also=also)


def opened(settings: S, experiment: str) -> tuple[S, Run | None]:
    """Settings that were checked, and the run to go on with where --resume names one; nothing is made or run yet.

    Args:
        settings: a frozen dataclass with `out` and a method `check`, and maybe `resume`, `plugin`, `jobs`, `threads`.
        experiment: its name, as in `python -m experiments NAME`.

    Returns:
        Those that a resumed run was started with, but for `HOW`; and the run, which no other process writes now.

    Raises:
        ValueError: settings out of range, a folder that is not one of this experiment's runs, or a setting that a
            resumed run has otherwise.
        FileNotFoundError: no such folder.
    """
    folder = getattr(settings, "resume", None)
    if folder is None:
        _check(settings)
        return settings, None
    _check(_anew(settings))
    run = Run.open(folder, experiment)
    started = _started(settings, run)
    try:
        _check(started)
    except ValueError as error:
        raise ValueError(f"{run.folder / 'config.json'}: {error}") from None
    kept = dict(_leaves(started))
    for flag, value in _leaves(settings):
        advice = f"a run keeps its settings, here {kept[flag]}; start a new one"
        must(value == kept[flag], flag, "left alone with --resume", value, advice)
    return started, run


def _anew(given: S) -> S:
    """The present defaults, with `HOW` as given."""
    return replace(type(given)(), **{f.name: getattr(given, f.name) for f in fields(given) if f.name in HOW})  # type: ignore[arg-type,type-var]


def _started(given: Any, run: Run) -> Any:
    """The settings of a run, with `HOW` of the command line."""
    must(run.folder.is_dir(), "--resume", "a run folder", run.folder, "check the path")
    where = str(run.folder / "config.json")
    config = dict(checked_fields(run.config, where, {}, "start a new run"))
    _check_plugin(getattr(given, "plugin", None), config.get("plugin"), where)
    stored = {name: value for name, value in config.items() if not (name in HOW and hasattr(given, name))}
    return revived(_anew(given), stored, where)


def _check_plugin(given: Path | None, started: Any, where: str) -> None:
    """Refuse another plug-in than a run was started with; one that only its folder names is neither run nor read."""
    if started is None:
        must(given is None, "--plugin", "left alone with --resume", given, "this run was started without one")
        return
    about = {"path": started} if isinstance(started, str) else started  # as older versions kept it
    checked_fields(about, f"{where}: plugin", {"path": TEXT}, "start a new run")
    code = about.get("blake2b")
    named = shown(about["path"]) + (f", blake2b {shown(code)}" if code else "")
    rule = f"the file that this run was started with, {named}"
    must(given is not None, "--plugin", rule, "none", "add --plugin PATH, and it is run")
    same = given is None or code is None or _blake2b(given) == code
    must(same, "--plugin", rule, f"{given}, another content", "undo its changes, or start a new run")


def _blake2b(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def config_of(settings: Any) -> dict[str, Any]:
    """Settings as a run's config keeps them: JSON values, a plug-in with the hash of its file."""
    config = json.loads(json.dumps(asdict(settings), default=str))
    if getattr(settings, "plugin", None) is not None:
        config["plugin"] = {"path": str(settings.plugin), "blake2b": _blake2b(settings.plugin)}
    return config


def _leaves(settings: Any, prefix: str = "--") -> Iterator[tuple[str, Any]]:
    """Flags and values, those of dataclasses in dataclasses too."""
    for field in fields(settings):
        value, flag = getattr(settings, field.name), prefix + field.name.replace("_", "-")
        if is_dataclass(value):
            yield from _leaves(value, f"{flag}.")
        else:
            yield flag, value


def _check(settings: Any) -> None:
    """Refuse what no experiment can run with, then what this one cannot."""
    for flag, value in _leaves(settings):
        for each in value if isinstance(value, tuple) else (value,):
            finite = not isinstance(each, float) or math.isfinite(each)
            must(finite, flag, "a finite number", value, "change it")
            most = _MOST[flag] if flag in _MOST else 2**31 - 1
            fits = not isinstance(each, int) or each <= most
            must(fits, flag, f"at most {most:,}", shown(value), "lower it")
        if flag == "--train.lr":
            advice = "members of a stack differ in their seeds here; make a run for each rate"
            must(not isinstance(value, tuple), flag, "one rate", value, advice)
    for name in ("jobs", "threads"):
        value = getattr(settings, name, 1)
        must(value >= 0, f"--{name}", "at least 0", value, "0 takes all cores")
    plugin = getattr(settings, "plugin", None)
    must(plugin is None or plugin.is_file(), "--plugin", "a Python file", plugin, "check the path")
    above = next(path for path in (settings.out, *settings.out.absolute().parents) if path.exists())
    must(above.is_dir(), "--out", "a folder, or one that can be made", settings.out, f"{above} is a file")
    must(os.access(above, os.W_OK), "--out", "a folder that you may write in", settings.out, "choose another")
    device = str(getattr(settings, "device", "cpu"))
    usable = device in ("auto", "cpu") or (device.split(":")[0] == "cuda" and torch.cuda.is_available())
    must(usable, "--device", "cpu, or cuda where there is one", device, "choose one that is here")
    settings.check()


def show_plan(console: Console, config: Mapping[str, Any], lines: Iterable[str]) -> int:
    """What a dry run prints: the settings, and a line a cell; returns the exit code."""
    console.print(json_text(config), soft_wrap=True)
    for line in lines:
        console.print(line)
    return 0


def again(experiment: str, settings: Any) -> str:
    """The command that goes on with a run once --resume and its folder are added."""
    plugin = getattr(settings, "plugin", None)
    return f"python -m experiments {experiment}" + (f" --plugin {shlex.quote(str(plugin))}" if plugin else "")


def carry_out(
    settings: Any,
    name: str,
    plan: Callable[[Any], list[Cell]],
    work: Work,
    console: Console,
    told: Callable[[Cell], str],
    *,
    alone: Callable[[Cell], bool] = lambda cell: False,
) -> Study | int:
    """Check, start a run or resume it, do its cells; an exit code in their place where there is nothing to show.

    Args:
        settings: see `opened`; with `jobs`, `resume` and `dry_run`.
        name: of the experiment, as in `python -m experiments NAME`.
        plan: settings -> cells.
        work: what to do with a cell.
        console: where to print.
        told: a cell in one line, for a dry run.
        alone: cells that come last, one at a time, such as those that take times.
    """
    settings, run = opened(settings, name)
    cells, config = plan(settings), config_of(settings)
    if settings.dry_run:
        return show_plan(console, config, map(told, cells))
    run = run or Run.start(settings.out, name, config)
    results: dict[str, Any] = {}
    for last, jobs in ((False, settings.jobs), (True, 1)):
        own = [cell for cell in cells if alone(cell) == last]
        if own:
            done, failed = finish_cells(work, own, run, console, again(name, settings), jobs=jobs)
            if failed:
                return 1
            results |= done
    return Study(settings, run, cells, results)
