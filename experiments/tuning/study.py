"""What training does by itself: which of its parts matter, what they leave dead, and how far they carry beside SAELens.

Run `python -m experiments tuning`; `--parts saelens` needs SAELens beside it (pip install 'sae-lens==6.54.12').
Results go to a folder `runs/tuning/...`; `--help` lists the flags.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from experiments.tuning.defaults import defaults, left_out, missed_table
from experiments.tuning.factorial import effect_table, factorials
from experiments.tuning.saelens import cells, comparison
from experiments.tuning.settings import Tuning
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit

PARTS: dict[str, tuple[Any, Any]] = {
    "factorial": (factorials, effect_table),
    "defaults": (defaults, missed_table),
    "saelens": (cells, comparison),
}
"""part -> its units and what it shows"""


def plan(settings: Tuning) -> Iterator[Unit]:
    """Units of the parts that are asked for."""
    for name in settings.parts:
        yield from PARTS[name][0](settings)


def work(unit: Any, report: Report) -> Iterable[Row]:
    """What is done with a unit of any part."""
    return unit.rows(report)


def tables(settings: Tuning) -> list[Any]:
    """What each part found."""

    def of(name: str) -> Any:
        def shown(table: pl.DataFrame) -> Any:
            return PARTS[name][1](table, settings)

        return shown

    return [of(name) for name in settings.parts]


def notes(settings: Tuning) -> Iterator[str]:
    """What cannot be trained."""
    yield from left_out(settings) if "defaults" in settings.parts else ()


STUDY = Study(
    name="tuning",
    question=__doc__,
    settings=Tuning,
    plan=plan,
    work=work,
    tables=tables,
    notes=notes,
    toy=Tuning(seeds=2, samples=256, evaluation_samples=200, variants=("topk", "relu")),
)
main = STUDY.main
