"""Recovery curves as small multiples: one row a metric, one column an axis; more columns than fit make more figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.study.figure import MOST_PANELS, Figure
from workbench.study.panels import Axis, Lines


@dataclass(frozen=True)
class Column:
    """A column of panels: an axis across, and the rows of the table that lie on it."""

    across: Axis
    at: Mapping[str, Any] = field(default_factory=dict)


def curves(
    name: str,
    columns: Sequence[Column],
    metrics: Mapping[str, str],
    caption: str = "",
    ceiling: str = "ceiling: own encoder, true dictionary",
) -> list[Figure]:
    """Medians over seeds with the 10-90 % band and the points, chance, ceilings; `name`, `name`-2, ...

    Args:
        name: of the first figure.
        columns: left to right.
        metrics: metric -> label, top to bottom, all of them shares.
        caption: of all, as it stands.
        ceiling: what rows of that kind are.
    """
    text = caption.replace("{", "{{").replace("}", "}}")
    held = max(1, MOST_PANELS // len(metrics))
    figures = []
    for start in range(0, len(columns), held):
        group = columns[start : start + held]
        panels = [
            Lines(
                y=metric,
                at=column.at,
                course=True,
                across=column.across,
                up=Axis(label if column is group[0] or len(group) == 1 else " ", limits=(-0.03, 1.05)),
                ceiling=ceiling,
            )
            for metric, label in metrics.items()
            for column in group
        ]
        number = f"-{start // held + 1}" if start else ""
        shape = len(group) if len(group) > 1 else None
        figures.append(Figure(name + number, panels, text, columns=shape, size=(3.7, 2.5)))
    return figures
