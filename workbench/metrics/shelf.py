"""The shelf of metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthetic.base.errors import must
from synthetic.base.schema import shown
from workbench.metrics.evidence import Evidence

Values = dict[str, float]
Measure = Callable[[Evidence], Values]
Condition = Callable[[Evidence], Any]


@dataclass(frozen=True)
class Metric:
    """A family of scores read off the same evidence."""

    names: tuple[str, ...]
    definition: str
    best: dict[str, float]
    """value of a perfect SAE, for the scores that have one"""
    measure: Measure
    needs: Condition
    """whether the activations and the stack define these scores at all"""

    def scores(self, evidence: Evidence) -> Values:
        """What `measure` gives, checked: a plug-in's may return anything."""
        where, values = f"metric {self.measure.__name__}", self.measure(evidence)
        names = set(self.names)
        if evidence.on_world is None and isinstance(values, dict):
            names &= set(values)  # a family may lack what only a world defines
        if not isinstance(values, dict) or values.keys() != names:
            got = sorted(map(str, values)) if isinstance(values, dict) else shown(values)
            must(False, where, f"a function that returns a dictionary of {list(self.names)}", got, "return them all")
        for name, value in values.items():
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            must(number, f"{where}: {name}", "a number", shown(value), "take its float(...)")
        return values


METRICS: list[Metric] = []


def metric(**best: float | None) -> Callable[[Measure], Measure]:
    """Decorator: `@metric(name=best value or None, ...)` puts a function from evidence to scores on the shelf.

    The function's docstring is the definition. It is asked on worlds alone, unless `anywhere` says otherwise, and where
    the condition holds that `only_if` names.
    """

    def put(measure: Measure) -> Measure:
        _must_be_free(measure, set(best))
        known = {name: value for name, value in best.items() if value is not None}

        def needs(evidence: Evidence) -> bool:  # asked of the function, so that decorators may stand in any order
            condition: Condition = getattr(measure, "condition", lambda evidence: True)
            return (getattr(measure, "anywhere", False) or evidence.on_world is not None) and bool(condition(evidence))

        METRICS.append(Metric(tuple(best), (measure.__doc__ or "").strip(), known, measure, needs))
        return measure

    return put


def _must_be_free(measure: Measure, names: set[str]) -> None:
    """Refuse names that another metric has; the same function, run again, takes its own place."""
    rule, advice = "a function below @metric(name=best value or None, ...)", "name its scores in the brackets"
    must(names and callable(measure), "metric", rule, shown(measure), advice)
    for other in [kind for kind in METRICS if names & set(kind.names)]:
        same = (measure.__module__, measure.__qualname__) == (other.measure.__module__, other.measure.__qualname__)
        taken = sorted(names & set(other.names))
        must(same, f"metric {measure.__name__}", "of names that are not taken", taken, "choose other names")
        METRICS.remove(other)


def only_if(condition: Condition) -> Callable[[Measure], Measure]:
    """Decorator below `metric`: leave these scores out where they are not defined."""

    def put(measure: Measure) -> Measure:
        measure.condition = condition  # type: ignore[attr-defined]
        return measure

    return put


def anywhere(measure: Measure) -> Measure:
    """Decorator below `metric`: these scores need no true features, so that any activations have them."""
    measure.anywhere = True  # type: ignore[attr-defined]
    return measure
