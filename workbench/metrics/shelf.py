"""The shelf of metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from workbench.metrics.evidence import Evidence

Values = dict[str, float]
Measure = Callable[[Evidence], Values]


@dataclass(frozen=True)
class Metric:
    """A family of scores read off the same evidence."""

    names: tuple[str, ...]
    definition: str
    best: dict[str, float]
    """value of a perfect SAE, for the scores that have one"""
    measure: Measure
    needs: Callable[[Evidence], bool]
    """whether the world and the stack define these scores at all"""


METRICS: list[Metric] = []


def metric(**best: float | None) -> Callable[[Measure], Measure]:
    """Decorator: `@metric(name=best value or None, ...)` puts a function from evidence to scores on the shelf.

    The function's docstring is the definition. It may carry an attribute `needs`, set by `only_if`.
    """

    def put(measure: Measure) -> Measure:
        known = {name: value for name, value in best.items() if value is not None}
        needs = getattr(measure, "needs", lambda evidence: True)
        METRICS.append(Metric(tuple(best), (measure.__doc__ or "").strip(), known, measure, needs))
        return measure

    return put


def only_if(
    condition: Callable[[Evidence], bool],
) -> Callable[[Callable[[Evidence], Values]], Callable[[Evidence], Values]]:
    """Decorator below `metric`: leave these scores out where they are not defined."""

    def put(measure: Measure) -> Measure:
        measure.needs = condition  # type: ignore[attr-defined]
        return measure

    return put
