"""Studies in parts without training: each a function of settings and a seed, which draws its own dictionaries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.study.flags import RunFlags
from workbench.study.units import Report, Row, Unit


@dataclass(frozen=True, kw_only=True)
class Part(Unit):
    """One part with one seed."""

    part: str

    @property
    def size(self) -> int:
        """Samples of a point."""
        return self.settings.samples


def parts(names: Sequence[str], settings: RunFlags) -> Iterator[Part]:
    """Every part with every seed."""
    for seed in range(settings.seeds):
        for name in names:
            yield Part(settings=settings, seeds=(seed,), part=name)


def work(functions: Mapping[str, Callable[[Any, int], Iterator[Row]]], unit: Part, report: Report) -> Iterator[Row]:
    """Rows of a part, their seed beside them."""
    (seed,) = unit.seeds
    for row in functions[unit.part](unit.settings, seed):
        yield row | {"seed": seed}
