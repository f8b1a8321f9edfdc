"""Studies: places x arms x seeds -> one table -> figures, tables, questions; and the one course that they all run."""

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must
from workbench.sae import SAE
from workbench.study import places as at_places
from workbench.study import tuning
from workbench.study.figure import MOST_PANELS, PAPER, SCREEN, Figure, save
from workbench.study.flags import RunFlags, TrainFlags, check_kept, config_of, opened, parsed, started
from workbench.study.panels import Heat
from workbench.study.places import Arm, Place, Scores, Stack, evaluated, stacks
from workbench.study.questions import answered
from workbench.study.run import Run
from workbench.study.runner import Work, finish_units, resumable
from workbench.study.table import best_table, setting_columns, swept_axes, tidy
from workbench.study.units import Report, Row, Unit, packing, setting_text, unpacked

S = TypeVar("S", bound=RunFlags)
SWEPT = ("mcc", "recall@.9", "f1", "fvu")
"""metrics by which settings of a sweep are compared, where a study has no choice of its own"""


@dataclass(frozen=True)
class Study(Generic[S]):
    """A question, what is done about it, and what is shown of the table that this gives."""

    name: str
    """of the folder of its runs, and in `python -m experiments NAME`"""
    question: str | None
    """what it asks, for --help"""
    settings: type[S]
    places: Callable[[S], Iterable[Place]] | None = None
    """where SAEs are trained"""
    arms: Callable[[S, Place], Sequence[Arm]] | None = None
    """what is trained at a place"""
    measure: Callable[[SAE, Place, S], Scores] | None = evaluated
    """scores of a trained stack; where `train.evaluations` are set, those during training come by themselves"""
    plan: Callable[[S], Iterable[Unit]] | None = None
    """units of its own, beside or in place of stacks trained at places"""
    work: Callable[[Any, Report], Iterable[Row]] | None = None
    """what is done with those: a function of a module"""
    derive: Callable[[pl.DataFrame, S], pl.DataFrame] | None = None
    """the table with rows that follow from others"""
    figures: Sequence[Any] | Callable[[S], Sequence[Any]] = ()
    tables: Sequence[Any] | Callable[[S], Sequence[Any]] = ()
    questions: Sequence[Any] | Callable[[S], Sequence[Any]] = ()
    headline: str = ""
    """the metric by which --tune chooses rates and a training counts as too short; without one it has neither"""
    keep: bool = False
    """whether worlds, SAEs and checkpoints stay in the run folder, so that a stopped training goes on where it was"""
    notes: Callable[[S], Iterable[str]] | None = None
    """lines to print before any work"""
    begin: Callable[[S, Path], None] | None = None
    """once, when the run folder is there and before any unit"""
    toy: S | None = None
    """settings that make it a matter of seconds"""
    refused: Callable[[S, Place, Any, Mapping[str, Any]], str] | None = None
    """why an arm cannot be at a place with what --set gives; empty if it can"""
    also: tuple[type[Exception], ...] = ()
    """errors beside ValueError and OSError that are the user's to mend"""

    def main(self, argv: Sequence[str] | None = None, default: S | None = None) -> int:
        """Run it as a command does, for its exit code; bad input ends with one line and exit code 2."""

        def body() -> int:
            settings = parsed(self.settings, self.name, self.question or "", argv, default)
            return run_study(self, settings, Console(highlight=False))

        return guarded(body, also=self.also)

    def units(self, settings: S) -> list[Unit]:
        """What is to be done for these settings."""
        found: list[Unit] = []
        if self.places is not None and self.arms is not None:
            found += stacks(list(self.places(settings)), self.arms, settings, self.refused)  # type: ignore[arg-type]
        if self.plan is not None:
            found += self.plan(settings)
        ids = [unit.id for unit in found]
        twice = next((id for i, id in enumerate(ids) if id in ids[:i]), None)
        must(twice is None, f"units of {self.name}", "named once", repr(twice), "drop what is given twice")
        return found

    def work_on(self, unit: Unit) -> Work:
        """What is done with a unit, as a pool takes it."""
        if isinstance(unit, Stack):
            return partial(packing, partial(at_places.trained, self.measure, self.keep))
        if isinstance(unit, tuning.Trial):
            return partial(packing, tuning.tried)
        if self.work is None:
            raise ValueError(f"Study.work must be given; got none for {type(unit).__name__}: name a function.")
        return partial(packing, self.work)


def grown_units(study: Study[S], stages: Sequence[S]) -> list[Unit]:
    """Units of a run that grew: those of its first settings, then of each later stage what the earlier ones lack."""
    done: dict[str, list[Unit]] = {}
    named: dict[str, list[str]] = {}
    for settings in stages:
        for unit in study.units(settings):
            key = unit.key
            had = done.setdefault(key, [])
            seeds = {seed for other in had for seed in other.seeds}
            missing = tuple(seed for seed in unit.seeds if seed not in seeds)
            if missing or not had:
                keys = named.setdefault(unit.label, [])
                keys += [key] if key not in keys else []
                had.append(replace(unit, seeds=missing, stage=keys.index(key)))
    return [unit for units in done.values() for unit in units]


def trained_alone(units: Sequence[Unit]) -> Iterator[str]:
    """A line where a run grows by one seed: scores between seeds are of those of a stack."""
    stacked = [unit for unit in units if isinstance(unit, Stack) and unit.settings.over == "weights"]
    alone = {unit.seeds[0] for unit in stacked if len(unit.seeds) == 1 and unit.seeds[0] > 0}
    for seed in sorted(alone):
        yield (
            f"seed {seed} is trained alone: scores between seeds, such as consistency, are of seeds that are trained "
            "together, and it has none; add two or more at a time to have them"
        )


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """A study carried out."""

    table: pl.DataFrame
    run: Run
    settings: S
    failed: Mapping[str, str]
    """unit -> what went wrong"""


def carry_out(
    study: Study[S], settings: S, console: Console | None = None, limit: int | None = None
) -> Outcome[S] | None:
    """Check, start a run or go on with one, do its units, write its table; nothing but the plan on a dry run.

    Args:
        study: what to do.
        settings: with `resume` and `dry_run` among them.
        console: where to print; none prints nothing.
        limit: units to do at most, the small ones first.

    Raises:
        ValueError: settings that cannot be run with.
        Stopped: by Ctrl-C, a dead process or a full disk.
    """
    console = console or Console(quiet=True)
    settings, run, stages = opened(settings, study.name)
    advice = f"{study.name} has no metric to choose by"
    must(not tuned(settings) or study.headline, "--tune", "left out", "given", advice)
    for line in study.notes(settings) if study.notes is not None else ():
        console.print(line, style="dim", highlight=False, soft_wrap=True)
    for line in trained_alone(grown_units(study, stages)):
        console.print(line, style="dim", highlight=False, soft_wrap=True)
    if settings.dry_run:
        show_plan(console, settings, with_trials(study, grown_units(study, stages)))
        return None
    settings = settings.resolved()
    stages = [*stages[:-1], settings]
    units, config = grown_units(study, stages), config_of(replace(settings, resume=None))
    with_trials(study, units)  # refuses places where nothing can be tuned
    if run is None:
        run = Run.start(settings.out, study.name, config)
    elif any(run.config.get(name) != config[name] for name in settings.adds):
        run.grow(config)
    if study.keep and study.places is not None:
        at_places.saved(run.folder, list(study.places(settings)))
    if study.begin is not None:
        with resumable(run, again(study.name, settings)):
            study.begin(settings, run.folder)
    how = {"jobs": settings.jobs, "limit": limit, "plugin": getattr(settings, "plugin", None)}
    how["threads"] = getattr(settings, "threads", 1)
    finish = partial(finish_units, study.work_on, run=run, console=console, again=again(study.name, settings), **how)
    judged, wrong = rated(study, units, run, partial(finish, limit=None)) if tuned(settings) else (units, {})
    results, failed = finish(judged)
    failed = wrong | failed
    if not results and failed:
        return Outcome(tidy([], study.name), run, settings, failed)
    table = write_table(study, settings, run, [unit for unit in units if unit.id in results], results)
    return Outcome(table, run, settings, failed)


def tuned(settings: RunFlags) -> bool:
    """Whether arms are given learning rates of their own."""
    return isinstance(settings, TrainFlags) and settings.tune


def with_trials(study: Study[S], units: Sequence[Unit]) -> list[Unit]:
    """Units with those before them by which they are tuned."""
    asked = [unit for unit in units if tuned(unit.settings)]
    return [*(trial for own in tuning.trials(asked, study.headline).values() for trial in own), *units]


def rated(
    study: Study[S], units: Sequence[Unit], run: Run, finish: Callable[[Sequence[Unit]], Any]
) -> tuple[list[Unit], dict[str, str]]:
    """Units at the rates that tuning chose, which the run's folder then says; and the trials that failed."""
    trials = tuning.trials(units, study.headline)
    results, failed = finish([trial for own in trials.values() for trial in own])
    choices = tuning.chosen(trials, results)
    tuning.keep(run.folder, choices.values())
    return list(tuning.rated(units, choices)), failed


def write_table(
    study: Study[S], settings: S, run: Run, units: Sequence[Unit], results: Mapping[str, Any]
) -> pl.DataFrame:
    """Write a run's metrics.parquet; records that no rows can be made of are refused.

    Raises:
        ValueError: a result among the records is not of this study.
    """
    with run.read_as_its_own():
        table = tidy(_rows(study, settings, units, results), study.name)
        table = table if study.derive is None else study.derive(table, settings)
        return run.write_table(table)


def _rows(study: Study[S], settings: S, units: Sequence[Unit], results: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of all units; those of a stage that later settings replaced say by which setting they differ."""
    present = {unit.key for unit in study.units(settings)} if any(u.settings != settings for u in units) else None
    for unit in units:
        words = ""
        if present is not None and unit.key not in present:
            values = {name: (getattr(unit.settings, name), getattr(settings, name)) for name in settings.adds}
            changed = {n: a for n, (a, b) in values.items() if a != b and n != "seeds" and not isinstance(a, tuple)}
            words = " ".join(f"{name}={setting_text(value)}" for name, value in changed.items())
        for row in unpacked(results[unit.id]):
            setting = " ".join(filter(None, (words, row.get("setting"))))
            yield row | {"setting": setting or None}


def run_study(study: Study[S], settings: S, console: Console) -> int:
    """Carry a study out or draw one again, and show what it gave; the exit code."""
    if settings.redraw is not None:
        run = Run.open(settings.redraw, study.name)
        before = started(settings, run, study.name, "--redraw")
        check_kept(settings, before, "--redraw")
        advice = "the run has those; --resume adds more"
        must(settings.seeds == before.seeds, "--seeds", "left alone with --redraw", settings.seeds, advice)
        show(study, settings, run.table(), run, console)
        return 0
    outcome = carry_out(study, settings, console)
    if outcome is None:
        return 0
    if outcome.failed:
        folder = outcome.run.folder
        more = f"; --redraw {folder} shows what there is" if outcome.table.height else ""
        console.print(f"results {folder}{more}", soft_wrap=True)
        return 1
    show(study, outcome.settings, outcome.table, outcome.run, console)
    return 0


def show(study: Study[S], settings: S, table: pl.DataFrame, run: Run, console: Console) -> None:
    """Draw the figures, print the tables and the answers; last, where everything lies."""
    choices = tuning.kept(run.folder)
    figures = [tuning.said_below(figure, choices) for figure in declared(study.figures, settings)]
    paths = [path for figure in figures for path in drawn(figure, table, settings, run.folder)]
    for item in declared(study.tables, settings):
        shown = item.of(table) if hasattr(item, "of") else item(table)
        for each in shown if isinstance(shown, Iterator | list | tuple) else (shown,):
            console.print(each)
    questions = declared(study.questions, settings)
    if questions:
        console.print(answered(questions, table, title=study.name))
    paths += list(show_sweep(table, settings, run.folder, console))
    for line in (*map(str, choices), *(tuning.still_rising(table, study.headline) if study.headline else ())):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for path in paths:
        console.print(f"figure {path}", soft_wrap=True, highlight=False)
    console.print(f"results {run.folder}", soft_wrap=True, highlight=False)


def show_sweep(table: pl.DataFrame, settings: RunFlags, folder: Path, console: Console) -> Iterator[Path]:
    """Of what --set varies: each arm at its best, and over two axes a map of each arm at each place."""
    named = isinstance(settings, TrainFlags) and {text.partition("=")[0] for text in settings.set}
    axes = [name for name in swept_axes(table) if named and name in named]
    metrics = getattr(settings, "metrics", ()) or tuple(name for name in SWEPT if name in set(table["metric"]))
    if not axes or not metrics:
        return
    console.print(best_table(table, metrics))
    if len(axes) == 2:
        table, over = setting_columns(table).drop_nulls(axes), (axes[0], axes[1])
        spots = table.select("place", "arm").unique(maintain_order=True).rows()
        for i in range(0, len(spots), MOST_PANELS):
            few = spots[i : i + MOST_PANELS]
            panels = [Heat(y=metrics[0], over=over, place=p, arms=(a,), title=f"{a}, {p}") for p, a in few]
            figure = Figure(f"sweep-{i // MOST_PANELS + 1}" if i else "sweep", panels, caption=f"{metrics[0]}: medians")
            yield from drawn(figure, table, settings, folder)


def drawn(figure: Any, table: pl.DataFrame, settings: RunFlags, folder: Path) -> Iterator[Path]:
    """Draw a figure, of which there may be several parts, into a run folder; the first file of each."""
    style, formats = (PAPER, ("png", "svg", "pdf")) if settings.paper else (SCREEN, ("png", "svg"))
    for part in figure.parts(table):
        picture = part.draw(table, settings=settings, style=style)
        yield save(picture, folder / "figures" / part.name, formats)[0]


def declared(items: Sequence[Any] | Callable[[S], Sequence[Any]], settings: S) -> Sequence[Any]:
    """Figures, tables or questions for these settings."""
    return items(settings) if callable(items) else items


def show_plan(console: Console, settings: RunFlags, units: Iterable[Unit]) -> None:
    """What a dry run prints: the settings, and a line a unit."""
    console.print(json_text(config_of(settings)), soft_wrap=True)
    for unit in units:
        members = f" x {len(unit.seeds)} seeds" if len(unit.seeds) > 1 else ""
        console.print(f"{unit.id:32} {unit.size:,} samples{members}")


def again(name: str, settings: Any) -> str:
    """The command that goes on with a run once --resume and its folder are added."""
    script = sys.argv[0].endswith(f"{name}.py")
    plugin = getattr(settings, "plugin", None)
    start = f"python {shlex.quote(sys.argv[0])}" if script else f"python -m experiments {name}"
    return start + (f" --plugin {shlex.quote(str(plugin))}" if plugin else "")
