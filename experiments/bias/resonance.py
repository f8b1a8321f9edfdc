"""Neuron resonance: which target firing rates let bias adaptation find features, and do latents in tune point at them?

One group of latents, all steered to p, on a world whose features all fire at f = s/n_true; p/f is varied. Shows BA-10
(recovery depends on p/f, best from f to 2f, gone by 8f) and BA-15 (p as a ceiling against p as a set-point), beside
what the same SAE does without steering. Run `python -m experiments resonance`; results go to `runs/resonance/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.axes import Axes

from experiments.bias.settings import Resonance, training
from synthetic.worlds.bias import uniform
from workbench import SAE, evaluate
from workbench.metrics import collect
from workbench.metrics.matching import random_geometries
from workbench.metrics.resonance import tuning
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, GREY, Axis, Level, Lines, Scene, look
from workbench.study.places import Arm, Place, Scores
from workbench.study.selection import present, rows
from workbench.study.study import Study
from workbench.study.table import Medians

METRICS = (
    *("recall@.9", "recall@.8", "f1", "fvu", "l0", "dead", "above_target", "frequency_error", "resonance"),
    *("recall@.9_null", "f1_null"),
)
CONTROLS = {"ceiling": "p is a ceiling", "set-point": "p is a set-point"}
UNSTEERED = "unsteered"


def places(settings: Resonance) -> list[Place]:
    """One world, for every target and for none."""
    world = uniform(settings.n_true, settings.d, settings.s)
    return [Place("uniform", world, ratio) for ratio in (*settings.ratios, None)]


def arms(settings: Resonance, place: Place) -> list[Arm]:
    """Both readings of a target; without one, biases that stay."""
    own: dict[str, Any] = {"groups": 1, "period": settings.period}
    if place.x is None:
        return [steered(UNSTEERED, settings.m, own | {"low": 1.0, "down": 0.0, "up": 0.0})]
    own |= {"low": place.x * settings.rate, "down": settings.gamma, "up": settings.gamma}
    return [steered(control, settings.m, own | {"control": control}) for control in CONTROLS]


def steered(name: str, m: int, settings: dict[str, Any]) -> Arm:
    """An arm of bias adaptation."""
    return Arm(name, "group_bias_adaptation", m, settings)


def measure(sae: SAE, place: Place, settings: Resonance) -> Scores:
    """Scores of a stack; of every latent that fires its rate over that of its nearest feature, and their cosine."""
    world: Any = place.source
    scores = evaluate(sae, world, n=20_000, seed=1)
    pairs = [tuning(member) for member in collect(sae, world, 10_000, seed=1)]
    random = torch.cat([g.nearest_cosine for g in random_geometries(settings.m, world.truth.features)])
    rates, cosines = (np.array(list(zip_longest(*of, fillvalue=np.nan))).T for of in zip(*pairs, strict=True))
    chance = {"cosine_null": [float(random.median())] * len(pairs)}
    return {name: scores[name] for name in METRICS if name in scores} | chance | {"log2 rate": rates, "cosine": cosines}


class Tuning:
    """|cos| to the nearest feature against how often a latent fires, for up to four targets; medians of bins."""

    legend = "own"

    def draw(self, axes: Axes, scene: Scene) -> None:
        """Draw a point a latent, and the medians of bins."""
        own = rows(scene.table, arm="ceiling")
        ratios = present(own, "x")
        wanted = [ratio for ratio in (0.25, 1.0, 4.0, 8.0) if ratio in ratios] or ratios[:4]
        for i, ratio in enumerate(wanted):
            x, y = (self._values(rows(own, x=ratio), metric) for metric in ("log2 rate", "cosine"))
            how = look(i + 2)
            axes.plot(x, y, ".", color=how.colour, markersize=2, alpha=0.25, markeredgewidth=0)
            bin_of = np.round(2 * x) / 2
            bins = [b for b in np.unique(bin_of) if (bin_of == b).sum() >= 5]
            medians = [float(np.median(y[bin_of == b])) for b in bins]
            line = {"color": how.colour, "marker": how.marker, "linestyle": how.dash, "markersize": 3.5}
            axes.plot(bins, medians, label=f"p/f = {ratio:g}", **line)
        axes.axvline(0.0, color=GREY, linestyle=":", linewidth=1.2)
        Level("cosine", kind="null").draw(axes, scene)
        axes.set(xlabel="log₂ (latent's rate / nearest feature's rate)", ylabel="|cos| to the nearest feature")

    def _values(self, own: pl.DataFrame, metric: str) -> np.ndarray:
        found = rows(own, metric=metric, kind="score").sort("seed", "latent")
        return found["value"].to_numpy()


def _over_ratio(y: str, up: Axis, *marks: Level) -> Lines:
    """A metric over the targets, beside its value where biases stay."""
    always = (
        Level(y, "biases stay 0", {"arm": UNSTEERED}, colour=COLOURS[4], dash="-"),
        Level(1.0, "p = f", upright=True, dash=":"),
        Level(edge, "min(√f, f d), the theory's edge", upright=True, dash="-."),
    )
    across = Axis("target rate over the features' rate, p/f", log=2)
    return Lines(y=y, names=CONTROLS, across=across, up=up, marks=(*always, *marks), legend="shared")


def edge(scene: Scene) -> float:
    """Above which rates, over the features', the theory does not reach."""
    settings = scene.settings
    return min(settings.rate**0.5, settings.rate * settings.d) / settings.rate


FIGURES = (
    Figure(
        "resonance",
        [
            _over_ratio("recall@.9", Axis("share of features recovered, cos ≥ .9", limits=(-0.03, 1.05))),
            Tuning(),
            _over_ratio("fvu", Axis(log=True)),
            _over_ratio(
                "l0", Axis(log=True), Level(lambda scene: scene.settings.s, "features a sample", colour="black")
            ),
        ],
        "n_true = {n_true} Gaussian directions, d = {d}, {s} features a unit-norm sample, m = {m}; {steps} steps of "
        "{train[batch]}, Adam {train[lr]:g}, biases move by {gamma:g} every {period} steps; {seeds} seeds of weights: "
        "median, 10-90 % band, points. Top right: latents that fire where p is a ceiling, medians of bins over all "
        "seeds.",
        arms=tuple(CONTROLS),
        columns=2,
    ),
)
TABLES = (
    Medians(
        "medians over seeds",
        {name: name for name in ("recall@.9", "f1", "fvu", "l0", "resonance")} | {"above_target": "> p"},
        by=("arm", "x"),
        arms=(*CONTROLS, UNSTEERED),
        caption="x: p/f; unsteered: biases stay 0; resonance: |cos| of latents firing at f/2 to 2f, less that of "
        "others; > p: share of latents that fire more often",
    ),
)
STUDY = Study(
    name="resonance",
    question=__doc__,
    settings=Resonance,
    places=places,
    arms=arms,
    measure=measure,
    figures=FIGURES,
    tables=TABLES,
    toy=Resonance(n_true=32, d=24, s=2, m=64, ratios=(1.5, 8.0), gamma=0.05, seeds=2, train=training(500, 64, 6e-3)),
)
main = STUDY.main
