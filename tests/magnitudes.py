"""Do magnitudes that spread widely hurt recovery, and whom? A study written from nothing."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from synthetic.folder import find_world
from synthetic.laws.magnitudes import Uniform
from workbench.study.figure import Figure
from workbench.study.flags import TrainFlags
from workbench.study.panels import Lines
from workbench.study.places import Arm, Place
from workbench.study.questions import Question, lead
from workbench.study.selection import nearest_l0
from workbench.study.study import Study
from workbench.training.config import TrainConfig

WORLDS = ("superposition", "correlated")


@dataclass(frozen=True)
class Magnitudes(TrainFlags):
    """Settings."""

    spread: tuple[float, ...] = (0.1, 0.5, 0.9)
    """half-widths of the magnitudes, whose mean is 1"""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=2000))
    """training"""

    adds = ("seeds", "spread")
    least_seeds = 2


def places(settings: Magnitudes) -> Iterator[Place]:
    """Two worlds, over the spread."""
    for name in WORLDS:
        for w in settings.spread:
            yield Place(name, replace(find_world(name), magnitudes=Uniform(1 - w, 1 + w)), w, world=name)


def arms(settings: Magnitudes, place: Place) -> list[Arm]:
    """Three variants of as many latents; ReLU at the penalty of nearest L0."""
    few = [Arm(name, name, 128, {"k": 4}) for name in ("topk", "batch_topk")]
    return [*few, Arm("relu", "relu", 128, grid=[{"l1": v} for v in (0.5, 2.0)])]


PANELS = [Lines(y="mcc", place=name, across="half-width of magnitudes", title=name) for name in WORLDS]
AHEAD = {"of": lead("topk", "relu", "mcc"), "each": "x", "where": {"place": WORLDS[0]}, "pick": nearest_l0}
STUDY = Study(
    "magnitudes", __doc__, Magnitudes, places, arms,
    figures=(Figure("magnitudes", PANELS, pick=nearest_l0),),
    questions=(Question("TopK ahead of ReLU at {x:g}", **AHEAD),),
    toy=Magnitudes(seeds=2, spread=(0.1, 0.9), train=TrainConfig(steps=20, batch=32, evaluation_samples=500)),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(STUDY.main())
