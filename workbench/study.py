"""The course of an experiment: settings, cells, a run folder that is new or resumed, results."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from workbench.results import Run, revived
from workbench.sweep import Cell, Work, finish_cells


@dataclass(frozen=True)
class Study:
    """An experiment whose cells are done."""

    settings: Any
    """those the run was started with"""
    run: Run
    cells: list[Cell]
    results: dict[str, Any]
    """by the cells' ids"""


def carry_out(
    settings: Any,
    name: str,
    plan: Callable[[Any], list[Cell]],
    work: Work,
    console: Console,
    told: Callable[[Cell], str],
    *,
    convert: Mapping[str, Callable[[Any], Any]] | None = None,
    alone: Callable[[Cell], bool] = lambda cell: False,
) -> Study | int:
    """Check, start a run or resume it, do its cells; an exit code in their place where there is nothing to show.

    Args:
        settings: a frozen dataclass with `jobs`, `out`, `resume`, `dry_run` and a method `check`.
        name: of the experiment, the file `experiments/<name>.py`.
        plan: settings -> cells.
        work: what to do with a cell.
        console: where to print.
        told: a cell in one line, for a dry run.
        convert: see `workbench.results.revived`.
        alone: cells that come last, one at a time, such as those that take times.
    """
    settings.check()
    run = Run(settings.resume) if settings.resume else None
    settings = revived(settings, run.config, convert) if run else settings
    cells = plan(settings)
    config = json.loads(json.dumps(asdict(settings), default=str))
    if settings.dry_run:
        console.print_json(json.dumps(config))
        for cell in cells:
            console.print(told(cell), highlight=False)
        return 0
    run = run or Run.start(settings.out, name, config)
    results: dict[str, Any] = {}
    for last, jobs in ((False, settings.jobs), (True, 1)):
        own = [cell for cell in cells if alone(cell) == last]
        if own:
            done, failed = finish_cells(work, own, run, console, f"python experiments/{name}.py", jobs=jobs)
            if failed:
                return 1
            results |= done
    return Study(settings, run, cells, results)
