"""The shelf of metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


METRICS: list[Metric] = []


def metric(**best: float | None) -> Callable[[Measure], Measure]:
    """Decorator: `@metric(name=best value or None, ...)` puts a function from evidence to scores on the shelf.

    The function's docstring is the definition. It is asked on worlds alone, unless `anywhere` says otherwise, and where
    the condition holds that `only_if` names.
    """

    def put(measure: Measure) -> Measure:
        known = {name: value for name, value in best.items() if value is not None}
        condition: Condition = getattr(measure, "condition", lambda evidence: True)
        free: bool = getattr(measure, "anywhere", False)

        def needs(evidence: Evidence) -> bool:
            return (free or evidence.on_world is not None) and bool(condition(evidence))

        METRICS.append(Metric(tuple(best), (measure.__doc__ or "").strip(), known, measure, needs))
        return measure

    return put


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
