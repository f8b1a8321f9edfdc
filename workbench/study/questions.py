"""Questions put to a study's table: intervals of means, paired by seed, what they say, where a lead changes sign."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float
from rich.table import Table
from scipy.stats import t as student

from synthetic.base.errors import must
from workbench.study.selection import Key, Pick, last_step, present, replicates, rows

CONFIRMED, REFUTED, UNDECIDED = "CONFIRMED", "REFUTED", "UNDECIDED"


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean, from low to high; printed as mean ± half."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {self.half:.3f}"


def interval(differences: Sequence[float] | Float[np.ndarray, " n"]) -> Interval:
    """Student's interval of the mean: its half-width is t_{.975, n-1} sd / sqrt(n).

    Args:
        differences: one a seed, such as score of one arm minus that of another; at least 2.

    Source: Student (1908). Of no width where all seeds agree: it then speaks of these seeds alone.
    """
    values = np.asarray(differences, dtype=np.float64)
    must(len(values) >= 2, "interval.differences", "at least 2", len(values), "a paired interval needs two seeds")
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return Interval(float(values.mean()), float(half))


def verdict(intervals: Iterable[Interval]) -> str:
    """On the claim that every mean is above 0: CONFIRMED, REFUTED by an interval without a number above 0, or neither.

    With several intervals CONFIRMED is the cautious side: each must lie above 0 on its own.
    """
    leads = list(intervals)
    must(leads, "verdict.intervals", "at least one", "none", "compare with something")
    if any(lead.high <= 0 for lead in leads):
        return REFUTED
    return CONFIRMED if all(lead.low > 0 for lead in leads) else UNDECIDED


def sign_change(x: Sequence[float], intervals: Sequence[Interval]) -> tuple[float, float, float]:
    """Where the mean last rises through 0 to stay above it, by straight lines, and where the upper and lower end do.

    The last two enclose the place: beyond the second of them the intervals lie above 0, and short of the first at least
    one of them lies under 0. The first x where a line is above 0 all along, NaN where it ends at 0 or below.
    """

    def rise(y: list[float]) -> float:
        low = [i for i, value in enumerate(y) if value <= 0]
        if not low:
            return x[0]
        i = low[-1]
        return math.nan if i == len(y) - 1 else x[i] + (x[i + 1] - x[i]) * y[i] / (y[i] - y[i + 1])

    return rise([lead.mean for lead in intervals]), rise([i.high for i in intervals]), rise([i.low for i in intervals])


class Absent(LookupError):  # noqa: N818
    """A table has no row of an arm or a place that a question names: that part of the study was not run."""


Numbers = dict[Key, float]


@dataclass(frozen=True)
class Quantity:
    """One number a replicate, read off a study's table; differences and the like are taken replicate by replicate."""

    label: str
    read: Callable[[pl.DataFrame], Numbers]

    def __sub__(self, other: "Quantity | float | int") -> "Quantity":
        return _together(lambda a, b: a - b, self, other, "{} less {}")

    def __truediv__(self, other: "Quantity | float | int") -> "Quantity":
        return _together(lambda a, b: a / b, self, other, "{} over {}")

    def __rsub__(self, other: float | int) -> "Quantity":
        return Quantity(f"{other:g} less {self.label}", lambda table: _mapped(lambda v: other - v, self.read(table)))

    def __abs__(self) -> "Quantity":
        return Quantity(f"|{self.label}|", lambda table: _mapped(abs, self.read(table)))

    def __neg__(self) -> "Quantity":
        return Quantity(self.label, lambda table: _mapped(lambda v: -v, self.read(table)))

    def named(self, label: str) -> "Quantity":
        """The same under another label."""
        return Quantity(label, self.read)

    def said(self, table: pl.DataFrame) -> str:
        """The median, in words."""
        return f"{self.label} {np.median(list(self.read(table).values())):.3f}".strip()


def _mapped(change: Callable[[float], float], numbers: Numbers) -> Numbers:
    return {key: change(value) for key, value in numbers.items()}


def _together(change: Callable[[float, float], float], a: Quantity, b: Quantity | float | int, words: str) -> Quantity:
    if isinstance(b, int | float):
        return Quantity(words.format(a.label, f"{b:g}"), lambda table: _mapped(lambda v: change(v, b), a.read(table)))

    def read(table: pl.DataFrame) -> Numbers:
        left, right = a.read(table), b.read(table)
        got = f"{a.label}: {len(left)}, {b.label}: {len(right)}"
        must(left.keys() == right.keys(), "a difference", "of the same seeds", got, "run both with the same seeds")
        return {key: change(value, right[key]) for key, value in left.items()}

    return Quantity(words.format(a.label, b.label), read)


def score(arm: str | None, metric: str, *, kind: str = "score", **where: Any) -> Quantity:
    """A metric of an arm at the last step, where columns (place, x, k, ...) hold a value or what a function picks."""

    def read(table: pl.DataFrame) -> Numbers:
        there = rows(table, arm=arm, **where)
        if there.is_empty():
            raise Absent(f"{arm}, {where}")
        known = there if where.get("step") is not None else last_step(there)
        numbers = replicates(known, metric, kind, f"score({arm!r}, {metric!r})")
        advice = f"it has {', '.join(present(there, 'metric'))}"
        must(numbers, f"score({arm!r}).metric", "one in the table", f"{metric!r}, {kind}", advice)
        return numbers

    return Quantity(arm or metric, read)


def lead(of: str, on: str | Sequence[str], metric: str, **where: Any) -> tuple[Quantity, ...]:
    """How much higher a metric is of one arm than of each rival, replicate by replicate."""
    rivals = (on,) if isinstance(on, str) else on
    return tuple(score(of, metric, **where) - score(rival, metric, **where) for rival in rivals)


def most(*parts: Quantity, label: str = "largest") -> Quantity:
    """The largest of several, replicate by replicate."""

    def read(table: pl.DataFrame) -> Numbers:
        first, *others = numbers = [part.read(table) for part in parts]
        shared = [key for key in first if all(key in other for other in others)]
        return {key: max(one[key] for one in numbers) for key in shared}

    return Quantity(label, read)


def over(column: str, fold: Callable[[list[float]], Any], quantity: Quantity, label: str = "") -> Quantity:
    """A quantity at every value of a column, folded replicate by replicate: `over("n_true", min, score(...))`."""

    def read(table: pl.DataFrame) -> Numbers:
        collected: dict[Key, list[float]] = {}
        for value in present(table, column):
            try:
                numbers = quantity.read(rows(table, **{column: value}))
            except Absent:
                continue
            for key, number in numbers.items():
                collected.setdefault(key, []).append(number)
        if not collected:
            raise Absent(quantity.label)
        return {key: fold(values) for key, values in collected.items()}

    return Quantity(label or quantity.label, read)


@runtime_checkable
class Said(Protocol):
    """What may stand beside an answer: a `Quantity`, a `Crossing`, or a class with this one method."""

    def said(self, table: pl.DataFrame) -> str:
        """A few words."""
        ...


@dataclass(frozen=True)
class Crossing:
    """Where the lead of an arm on another last changes sign as a column grows, between the ends of its intervals."""

    of: str
    on: str
    metric: str
    over: str = "x"
    symbol: str = ""
    """what the column is called in words"""

    def place(self, table: pl.DataFrame) -> tuple[float, float, float]:
        """See `sign_change`."""
        (difference,) = lead(self.of, self.on, self.metric)
        at = present(rows(table, arm=self.of), self.over)
        return sign_change(at, [interval_of(difference.read(rows(table, **{self.over: x})))[0] for x in at])

    def said(self, table: pl.DataFrame) -> str:
        """The place and what encloses it, in words."""
        at, first, last = self.place(table)
        words = f"ahead from {self.symbol or self.over} = {at:.2f} on" if math.isfinite(at) else "not ahead at the end"
        enclosed = f", between {first:.2f} and {last:.2f}" if math.isfinite(last) else f", beyond {first:.2f}"
        return words + (enclosed if math.isfinite(first) else "")


def interval_of(numbers: Numbers) -> tuple[Interval, int, str]:
    """The interval of the mean, how many independent numbers it rests on, and what it is over.

    Where worlds and weights both vary and a world has several seeds, its mean over them is one number: weights on one
    world are no replicates of the world. A lone seed leaves the mean open; where nothing is drawn it is exact.
    """
    worlds, seeds = ({drawn for key in numbers if (drawn := key[i]) is not None} for i in (0, 1))
    what = " and ".join(name for name, vary in (("worlds", len(worlds) > 1), ("weights", len(seeds) > 1)) if vary)
    values = list(numbers.values())
    if len(worlds) > 1 and len(values) > len(worlds):
        values = [float(np.mean([v for key, v in numbers.items() if key[0] == world])) for world in sorted(worlds)]
        what = f"worlds, each the mean of {len(numbers) // len(worlds)} weights"
    if len(values) < 2:
        drawn = bool(worlds or seeds)
        return Interval(values[0], math.inf if drawn else 0.0), 1, "one draw" if drawn else "nothing drawn"
    return interval(values), len(values), what


@dataclass(frozen=True)
class Answer:
    """What a study's table says to a question."""

    question: str
    verdict: str
    """CONFIRMED, REFUTED or UNDECIDED"""
    intervals: Mapping[str, Interval]
    """quantity -> 95 % interval of its mean"""
    level: str
    """what was asked, such as "> 0" """
    n: int
    """replicates that the intervals rest on"""
    over: str
    """weights, worlds, or worlds and weights"""
    beside: str = ""

    @property
    def measured(self) -> str:
        """The intervals in words."""
        shown = (f"{name} {_shown(one)}".strip() for name, one in self.intervals.items())
        return "; ".join(filter(None, [*shown, self.beside]))

    @property
    def basis(self) -> str:
        """How many replicates of what."""
        return self.over if self.n == 1 else f"{self.over}, n = {self.n}"


def _shown(one: Interval) -> str:
    """Three decimals, or three digits where these would show nothing."""
    if math.isinf(one.half):
        return f"{one.mean:+.3g}, no interval"
    small = 0 < max(abs(one.mean), one.half) < 0.01
    return f"{one.mean:+.3g} ± {one.half:.2g}" if small else str(one)


@dataclass(frozen=True)
class Question:
    """Does a mean over replicates lie above a level (or below it)? Of several quantities: does each of them?

    `Question("AbsTopK ahead of TopK, MCC", lead("AbsTopK", "TopK", "mcc", place="signed"))`
    """

    text: str
    """with `each`, a format of that column's value"""
    of: Quantity | Sequence[Quantity]
    above: float | int | None = None
    """0 where neither level is given"""
    below: float | int | None = None
    beside: Sequence[Said] = ()
    """what else to print"""
    each: str | None = None
    """a column: one answer for each of its values"""
    where: Mapping[str, Any] = field(default_factory=dict)
    """rows that are asked, as for `rows`"""
    pick: Pick | None = None
    """table -> table with one setting an arm; for arms with several"""

    def __post_init__(self) -> None:
        both = self.above is not None and self.below is not None
        must(not both, "Question", "about one level", f"above {self.above} and below {self.below}", "ask two questions")

    def answers(self, table: pl.DataFrame) -> Iterator[Answer]:
        """One answer, or one for each value; none where a part of the study was not run."""
        asked = rows(self.pick(table) if self.pick else table, **self.where)
        for value in present(asked, self.each) if self.each else (None,):
            part = rows(asked, **{self.each: value}) if self.each else asked
            text = self.text.format(**{self.each: value}) if self.each else self.text
            try:
                yield self._answer(text, part)
            except Absent:
                continue

    def _answer(self, text: str, table: pl.DataFrame) -> Answer:
        quantities = (self.of,) if isinstance(self.of, Quantity) else self.of
        intervals, leads, n, what = {}, [], 0, ""
        for quantity in quantities:
            one, n, what = interval_of(quantity.read(table))
            intervals[quantity.label] = one
            shift = one.mean - (self.above or 0.0) if self.below is None else self.below - one.mean
            leads.append(Interval(shift, one.half))
        if len(intervals) == 1:  # the question says what it is
            intervals = {"": next(iter(intervals.values()))}
        level = f"> {self.above or 0.0:g}" if self.below is None else f"< {self.below:g}"
        beside = "; ".join(words.said(table) for words in self.beside)
        return Answer(text, verdict(leads), intervals, level, n, what, beside)


@runtime_checkable
class Asked(Protocol):
    """A `Question`, or a class of a study with this one method."""

    def answers(self, table: pl.DataFrame) -> Iterator[Answer]:
        """What the table says; nothing where a part of the study was not run."""
        ...


def answered(questions: Sequence[Asked], table: pl.DataFrame, title: str = "") -> Table:
    """All answers as a table to print; what the intervals are over is a column where it is not the same for all."""
    answers = [answer for question in questions for answer in question.answers(table)]
    bases = list(dict.fromkeys(answer.basis for answer in answers))
    shown = Table("question", "verdict", "mean ± 95 %", *(["over"] if len(bases) > 1 else []), title=title or None)
    for answer in answers:
        asked = "" if answer.level == "> 0" else f" ({answer.level})"
        cells = [answer.question, answer.verdict, answer.measured + asked]
        shown.add_row(*cells, *([answer.basis] if len(bases) > 1 else []))
    over = "" if len(bases) > 1 else f" Over {bases[0]}." if bases else ""
    shown.caption = (
        "Paired by seed. CONFIRMED: each interval lies above 0, or on the side in brackets; REFUTED: one has no number "
        "there; UNDECIDED: else." + over
    )
    return shown
