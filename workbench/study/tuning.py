"""Whether arms are trained as well as they could be: a learning rate for each, and a word where training was too short.

Rates are chosen on worlds, samples and weights that nobody is judged on.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.schema import NUMBER, OBJECT, TEXT, Kind, checked_fields, list_of, read_json
from synthetic.base.storage import write_text
from synthetic.source import Source, World
from workbench.metrics import evaluate
from workbench.study.places import Stack, fresh, seed_of_world, with_seed
from workbench.study.questions import interval
from workbench.study.selection import replicates
from workbench.study.table import LOW_IS_BETTER
from workbench.study.units import Report, Row, Unit, unpacked
from workbench.training.config import Diverged
from workbench.training.scored import train

Key = tuple[str, str, str, int]
"""what stacks share their rate by: world, arm, setting, stage of the run"""
FACTORS = (1 / 3, 1.0, 3.0)
"""learning rates to try, as multiples of the arm's own"""
FIRST, WORLDS = 1_000_000, 3
"""seeds of tuning begin here, above all that --seeds can give; so many worlds, with samples and weights of their own"""
FILE = "tuned.json"
"""in a run's folder: what was tried, and what was chosen"""


@dataclass(frozen=True, kw_only=True)
class Trial(Unit):
    """An arm at its learning rates, on one world of tuning: a stack along the rates, of equal initial weights."""

    stack: Stack
    """what is judged, without seeds"""
    metric: str

    @property
    def label(self) -> str:
        """The stack's, marked."""
        return f"{self.stack.label}/tuning"

    @property
    def size(self) -> int:
        """Samples that it sees."""
        return self.stack.size


@dataclass(frozen=True)
class Choice:
    """What was tried for an arm, and the rate that won."""

    arm: str
    world: str
    """name of the world, of which others were drawn"""
    setting: str
    metric: str
    rates: tuple[float, ...]
    means: tuple[float | None, ...]
    """of the metric over worlds; None of a rate that diverged"""
    chosen: float

    @property
    def at_edge(self) -> bool:
        """Whether a rate beyond those tried may be better still."""
        return self.chosen in (min(self.rates), max(self.rates))

    def __str__(self) -> str:
        name = " ".join(filter(None, (self.arm, self.setting)))
        means = ["diverged" if mean is None else f"{mean:.3f}" for mean in self.means]
        tried = ", ".join(f"{mean} at {rate:g}" for rate, mean in zip(self.rates, means, strict=True))
        edge = "; WARNING: at the edge of the grid, so that one beyond may be better" if self.at_edge else ""
        return f"tuned {name} on {self.world}: lr {self.chosen:g} ({self.metric} {tried}){edge}"


def groups(units: Iterable[Unit]) -> Iterator[tuple[Key, Stack]]:
    """Stacks that are judged, each with what it shares its learning rate with: world, arm, setting."""
    for unit in units:
        if isinstance(unit, Stack):
            world = unit.place.world or unit.place.label
            yield (world, unit.arm.name, unit.setting, unit.stage), unit


def trials(units: Iterable[Unit], metric: str) -> dict[Key, list[Trial]]:
    """For each arm and world the stacks to tune with, as they would stand at its first place.

    Raises:
        ValueError: a place whose truth is not known, or that is drawn from no seed.
    """
    found: dict[Key, list[Trial]] = {}
    for key, unit in groups(units):
        if key in found:
            continue
        source = unit.place.source
        known, kind = isinstance(source, World) and seed_of_world(source) is not None, type(source).__name__
        must(known, "--tune", "used on worlds of known truth that are drawn from a seed", kind, "drop it")
        judged, free = seed_of_world(source), (seed for seed in count(FIRST))
        stack = replace(unit, seeds=(), stage=0)
        found[key] = [
            Trial(settings=unit.settings, seeds=(seed,), stage=unit.stage, stack=stack, metric=metric)
            for seed in islice((seed for seed in free if seed != judged), WORLDS)
        ]
    return found


def rates_of(stack: Stack) -> tuple[float, ...]:
    """The learning rates to try, to four digits."""
    own: Any = stack.train.lr
    return tuple(own if factor == 1 else float(f"{factor * own:.4g}") for factor in FACTORS)


def tried(trial: Trial, report: Report) -> Iterator[Row]:
    """The metric of an arm at each rate, a mean over the settings of its stack; None of a rate that diverged."""
    source, rates = with_seed(trial.stack.place.source, trial.seed), rates_of(trial.stack)
    values = dict.fromkeys(rates) | _scored(trial, source, rates, report)
    yield from ({"lr": rate, "metric": trial.metric, "value": value} for rate, value in values.items())


def _scored(trial: Trial, source: Source, rates: tuple[float, ...], report: Report) -> dict[float, float]:
    """Scores of the rates that do not diverge; where one does, the others are trained again without it."""
    stack, seed = trial.stack, trial.seed
    apart = replace(stack, seeds=(seed,) * len(rates), settings=replace(stack.settings, over="weights"))
    config = replace(stack.train, lr=rates, evaluations=0, checkpoint_every=0)
    sae = fresh(apart, source)
    try:
        train(sae, source, config, seed=seed, on_step=lambda now: report(now.step * config.batch, "tuning"))
    except Diverged as error:
        left = tuple(rate for rate, broken in zip(rates, _any_row(error.members), strict=True) if not broken)
        return _scored(trial, source, left, report) if left else {}
    scores = evaluate(sae, source, n=config.evaluation_samples, seed=seed)
    must(trial.metric in scores, "--tune", f"used where {trial.metric} can be told", "a world without", "drop it")
    values = np.asarray(scores[trial.metric], dtype=np.float64).reshape(-1, len(rates)).mean(0)
    return dict(zip(rates, values.tolist(), strict=True))


def _any_row(members: Tensor) -> list[bool]:
    return members.reshape(-1, members.shape[-1]).any(0).tolist()


def chosen(found: Mapping[Key, Sequence[Trial]], results: Mapping[str, Any]) -> dict[Key, Choice]:
    """The rate of the best mean for each arm whose trials are done, its own where two are equal."""
    choices = {}
    for key, units in found.items():
        if all(unit.id in results for unit in units):
            world, arm, setting, _ = key
            metric, rates = units[0].metric, rates_of(units[0].stack)
            rows = [{row["lr"]: row["value"] for row in unpacked(results[unit.id])} for unit in units]
            values = [[row[rate] for row in rows] for rate in rates]
            means = tuple(None if None in own else float(np.mean(own)) for own in values)
            merits = [-math.inf if v is None else -v if metric in LOW_IS_BETTER else v for v in means]
            stands = max(merits) > -math.inf
            must(stands, f"--tune: {arm}", "trained at some rate without diverging", rates, "lower --train.lr")
            own = units[0].stack.train.lr
            best = max(zip(merits, rates, strict=True), key=lambda pair: (pair[0], pair[1] == own))[1]
            choices[key] = Choice(arm, world, setting, metric, rates, means, best)
    return choices


def rated(units: Sequence[Unit], choices: Mapping[Key, Choice]) -> Iterator[Unit]:
    """The units with the rates chosen; stacks without a choice are left out."""
    keys = {unit.id: key for key, unit in groups(units)}
    for unit in units:
        if not isinstance(unit, Stack):
            yield unit
        elif keys[unit.id] in choices:
            yield replace(unit, train=replace(unit.train, lr=choices[keys[unit.id]].chosen))


def keep(folder: Path, choices: Iterable[Choice]) -> None:
    """Write choices to a run's folder."""
    write_text(folder / FILE, json.dumps({"choices": [vars(choice) for choice in choices]}, indent=1) + "\n")


def kept(folder: Path) -> list[Choice]:
    """The choices of a run's folder; none where nothing was tuned."""
    if not (folder / FILE).exists():
        return []
    content = read_json(folder / FILE, "run folder", {"choices": list_of(OBJECT)}, _AGAIN)
    choices: list[Any] = [
        checked_fields(own, f"{folder / FILE}: choices", _FIELDS, _AGAIN) for own in content["choices"]
    ]
    return [Choice(**own | {name: tuple(own[name]) for name in ("rates", "means")}) for own in choices]


def said_below(figure: Any, choices: Sequence[Choice]) -> Any:
    """A figure whose caption says the rates chosen."""
    if not choices or not hasattr(figure, "caption"):
        return figure
    worlds = len({choice.world for choice in choices}) > 1
    names = [" ".join(filter(None, (c.arm, c.setting, f"on {c.world}" * worlds))) for c in choices]
    said = ", ".join(f"{name} {choice.chosen:g}" for name, choice in zip(names, choices, strict=True))
    text = f"learning rates by {choices[0].metric} on {WORLDS} other worlds: {said}".replace("{", "{{").replace(
        "}", "}}"
    )
    return replace(figure, caption="; ".join(filter(None, (figure.caption.rstrip(".; "), text))))


_AGAIN = "go on with --resume, and it is written again"
_MEANS = list_of(Kind("a number or null", lambda v: v is None or NUMBER.holds(v)))
_FIELDS = {"arm": TEXT, "world": TEXT, "setting": TEXT, "metric": TEXT}
_FIELDS |= {"chosen": NUMBER, "rates": list_of(NUMBER), "means": _MEANS}


# --- length ---------------------------------------------------------------------------------------------------------

RISE = 0.01
"""of a score, with every doubling of samples, from which a training counts as too short"""


def still_rising(table: pl.DataFrame, metric: str) -> Iterator[str]:
    """A line for each arm whose training was too short, by its curve between the last two evaluations.

    Its rise, over log2 of the ratio of their steps, is a number a replicate. A training was too short where this rise
    is above `RISE` by more than its 95 % interval; of a single replicate, which has none, where it is above `RISE`.
    The fall of the learning rate at the end is part of the rise: more steps may help, they need not.
    """
    course = table.filter(pl.col("metric") == metric, pl.col("kind") == "score", pl.col("seed").is_not_null())
    keys, at = ["place", "arm", "setting"], ["step", "world_seed", "seed"]
    course = course.drop_nulls("step").unique([*keys, *at], maintain_order=True)
    for (place, arm, setting), own in course.group_by(keys, maintain_order=True):
        steps = sorted(own["step"].unique())[-2:]
        if len(steps) == 2 and (rise := _rise(own, metric, *steps)) is not None:
            name = " ".join(filter(None, (str(arm), setting)))
            yield (
                f"{name} at {place}: WARNING: trained too short, {metric} still rises by {rise} with every doubling of "
                "samples; raise --samples or --train.steps"
            )


def _rise(own: pl.DataFrame, metric: str, before: int, last: int) -> str | None:
    """By how much a curve still rises between two steps, where that is too much."""
    first, then = (replicates(own.filter(pl.col("step") == step), metric) for step in (before, last))
    sign, octaves = -1 if metric in LOW_IS_BETTER else 1, math.log2(last / before)
    rises = [sign * (then[key] - first[key]) / octaves for key in then if key in first]
    if len(rises) < 2:
        return f"{rises[0]:.3f}" if rises and rises[0] > RISE else None
    mean = interval(rises)
    return f"{mean.mean:.3f} ± {mean.half:.3f}" if mean.low > RISE else None
