"""The course of experiments whose work is cells, until they are studies: settings, cells, results."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must
from workbench.study.flags import anew, check_common, check_kept, of_config, started
from workbench.study.run import Run
from workbench.study.runner import finish_units
from workbench.study.units import Report, Unit

Cell = dict[str, Any]
"""plain settings of one piece of work, with a unique "id" and its "size" in samples"""
Work = Callable[[Cell, Report], Any]
"""a module-level function: cell, report -> JSON-able result"""
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class _Task(Unit):
    """A cell as the pool takes it; what its result depends on is in its run's config alone."""

    settings: Any = None
    work: Work
    cell: Cell

    @property
    def id(self) -> str:
        return self.cell["id"]

    @property
    def size(self) -> int:
        return self.cell["size"]

    @property
    def digest(self) -> Any:
        return None


def _done(task: _Task, report: Report) -> Any:
    return task.work(task.cell, report)


def finish_cells(
    work: Work, cells: list[Cell], run: Run, console: Console, again: str, *, jobs: int = 0, threads: int = 1
) -> tuple[dict[str, Any], dict[str, str]]:
    """As `workbench.study.runner.finish_units`, for cells."""
    tasks = [_Task(work=work, cell=cell) for cell in cells]
    return finish_units(lambda task: _done, tasks, run, console, again, jobs=jobs, threads=threads)


def write_table(run: Run, rows: Callable[[], Iterable[dict[str, Any]]]) -> pl.DataFrame:
    """Write a run's metrics.parquet; records that rows cannot be made of are refused.

    Raises:
        ValueError: a result among the records is not of this experiment.
    """
    with run.read_as_its_own():
        return run.write_table(list(rows()))


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
        settings: Any = parse()
        folder = getattr(settings, "resume", None)
        if folder is not None:  # a flag given now goes over the run's
            settings = parse(default=started(settings, Run(folder), name, "--resume"))
        return experiment(settings, Console(highlight=False))

    return guarded(body, also=also)


def opened(settings: Any, experiment: str) -> tuple[Any, Run | None]:
    """Settings that were checked, and the run to go on with where --resume names one; nothing is made or run yet.

    Args:
        settings: a frozen dataclass with `out` and a method `check`, and maybe `resume`, `plugin`, `jobs`, `threads`.
        experiment: its name, as in `python -m experiments NAME`.

    Returns:
        Those that a resumed run was started with, but for how and where to run; and the run, which no other process
        writes now.

    Raises:
        ValueError: settings out of range, a folder that is not one of this experiment's runs, or a setting that a
            resumed run has otherwise.
        FileNotFoundError: no such folder.
    """
    folder = getattr(settings, "resume", None)
    if folder is None:
        _check(settings)
        return settings, None
    _check(anew(settings))
    run = Run.open(folder, experiment)
    where = str(run.folder / "config.json")
    before = of_config(settings, run.config, where)
    try:
        _check(before)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    check_kept(settings, before, "--resume")
    return before, run


def _check(settings: Any) -> None:
    """Refuse what no experiment can run with, then what this one cannot."""
    check_common(settings)
    rates = getattr(getattr(settings, "train", None), "lr", 0.0)
    advice = "members of a stack differ in their seeds here; make a run for each rate"
    must(not isinstance(rates, tuple), "--train.lr", "one rate", rates, advice)
    settings.check()


def show_plan(console: Console, config: Mapping[str, Any], lines: Iterable[str]) -> int:
    """What a dry run prints: the settings, and a line a cell; returns the exit code."""
    console.print(json_text(config), soft_wrap=True)
    for line in lines:
        console.print(line)
    return 0
