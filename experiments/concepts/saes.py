"""Do SAEs recover concepts that a perfect next-token predictor knows exactly, and does a structured SAE do so better?

Six binary concepts under a Potts prior, typed tokens: every concept's log-odds are affine in the activations, a linear
probe is Bayes, and so the ceiling of each score is 1 (DC-4, DC-13, DC-14). Arms: TopK, BatchTopK, ReLU, p-annealing and
the structured SAE of Liu et al. (2025) in its two readings (DC-17); penalties are chosen so that as many latents fire:
of the structured one in its sparse part, which is scored alone too, for its whole code is dense. Each seed draws world
and weights; differences are paired by seed. Run `python -m experiments concept_sae`; results go to
`runs/concept_sae/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # Ctrl-C from here on

# isort: split
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

import synthetic as S
from experiments.columns import drawn, tidied
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from workbench import TrainConfig, create, evaluate, train
from workbench.study.figure import Figure
from workbench.study.panels import COLOURS, Axis, Leads, Level, Lines, Look, look
from workbench.study.questions import Question, answered, lead, score
from workbench.study.runner import Cell, Report
from workbench.study.selection import nearest_l0
from workbench.study.study import carry_out, commanded
from workbench.study.tables import Medians
from workbench.topics.concepts.probes import bayes, best_latents
from workbench.variants.structured import Structured

SPARSE = "S alone"
"""the sparse part of the structured arm, not trained again"""
ARMS: dict[str, tuple[str, dict[str, Any], Look]] = {
    "TopK": ("topk", {}, look(1)),
    "BatchTopK": ("batch_topk", {}, look(4)),
    "ReLU": ("relu", {}, Look(COLOURS[7], "X", (0, (8, 2)))),
    "p-annealing": ("p_annealing", {}, look(2)),
    "structured": ("structured", {"reading": "latents"}, look(0)),
    "residual reading": ("structured", {"reading": "residual"}, look(5)),
    SPARSE: ("structured", {}, look(3)),
}
"""variant, settings, look"""
RIVALS = ("TopK", "BatchTopK", "p-annealing")
SCORES = {
    "correlation": "best |corr| with log-odds",
    "information": "information, share of Bayes",
    "mcc": "MCC",
}
"""score -> label"""


@dataclass(frozen=True)
class ConceptSae:
    """Settings."""

    strength: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """of the Potts couplings between concepts"""
    forms: tuple[Literal["exact", "softplus"], ...] = ("exact", "softplus")
    """activations of a perfect predictor; a dictionary of concepts in as many dimensions, at strength 1 alone"""
    concepts: int = 6
    """binary concepts; half as many latents are active"""
    contexts: int = 1024
    sharpness: float = 2.0
    """of contexts"""
    m: int = 24
    """latents"""
    l1: tuple[float, ...] = (0.03, 0.1, 0.2, 0.3, 1.0)
    """penalties tried where a variant has one"""
    gamma: float = 0.1
    """weight of the low-rank part's nuclear norm"""
    steps: int = 1500
    """training steps; p falls from a third of them on"""
    batch: int = 256
    """samples a step"""
    lr: float = 3e-3
    """Adam's step size"""
    seeds: int = 5
    """worlds, each with weights of its own"""
    jobs: int = 0
    """processes; 0 for one a core"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to continue, with the settings it was started with"""
    dry_run: bool = False
    """print the settings and the cells, and stop"""

    def check(self) -> None:
        """Refuse impossible settings before any work."""
        for name in ("batch", "m"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.forms, "--forms", "one or more", "none", "name one")
        must(self.steps >= 30, "--steps", "at least 30, for nine changes of p", self.steps, "raise it")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        must(2 <= self.concepts <= 10, "--concepts", "from 2 to 10", self.concepts, "all configurations are enumerated")
        must(self.m >= self.concepts // 2, "--m", "at least half the concepts", self.m, "raise it")
        least = 8 * self.concepts
        must(self.contexts >= least, "--contexts", f"at least {least}", self.contexts, "4 for each log-marginal")
        must(self.strength and min(self.strength) >= 0, "--strength", "at least 0", self.strength, "change it")
        must(self.l1 and min(self.l1) > 0, "--l1", "above 0", self.l1, "a penalty is needed")
        for name in ("gamma", "lr", "sharpness"):
            must(getattr(self, name) > 0, f"--{name}", "above 0", getattr(self, name), "raise it")


def plan(settings: ConceptSae) -> list[Cell]:
    """One cell an arm, world and form."""
    names = ("concepts", "contexts", "sharpness", "m", "gamma", "steps", "batch", "lr")
    common = {name: getattr(settings, name) for name in names} | {"l1": list(settings.l1)}
    places = [("exact", s) for s in settings.strength] if "exact" in settings.forms else []
    places += [("softplus", 1.0)] if "softplus" in settings.forms else []
    cells = []
    for form, strength in places:
        for arm in (arm for arm in ARMS if arm != SPARSE):
            for seed in range(settings.seeds):
                about = {"form": form, "strength": strength, "arm": arm, "seed": seed}
                size = settings.steps * settings.batch * (1 if "TopK" in arm else len(settings.l1))
                cells.append(common | about | {"id": f"{form}/{strength:g}/{arm}/{seed}", "size": size})
    return sorted(cells, key=lambda cell: -int(cell["size"]))


def world_of(cell: Cell) -> S.ConceptWorld:
    """The world of a cell."""
    concepts = S.LatentConcepts(
        sizes=(2,) * cell["concepts"],
        prior=S.Potts(cell["strength"]),
        contexts=S.Energy(cell["contexts"], cell["sharpness"]),
        tokens=S.ConceptTyped(),
        seed=cell["seed"],
    )
    return S.ConceptWorld(concepts=concepts, form=cell["form"], seed=cell["seed"])


def read(model: S.ConceptModel, f: torch.Tensor) -> dict[str, float]:
    """How well the best single latent of each concept tells it: mean over concepts, the probe's being 1."""
    found, best = best_latents(model, f), bayes(model)
    prior = torch.stack([model.weights @ model.log_odds[:, k].sigmoid() for k in range(model.log_odds.shape[1])])
    blind = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in prior.tolist()]
    each = zip(blind, found.log_loss, best.log_loss, strict=True)
    return {
        "correlation": float(np.mean(found.correlation)),
        "information": float(np.mean([(h - loss) / (h - least) for h, loss, least in each])),
    }


def work(cell: Cell, report: Report) -> dict[str, list[float]]:
    """Train an arm at all its penalties and score it; runs in a process of the pool."""
    world, (variant, own, _) = world_of(cell), ARMS[cell["arm"]]
    model, k = world.model, cell["concepts"] / 2
    grid = [0.0] if "TopK" in cell["arm"] else cell["l1"]
    settings: dict[str, Any] = dict(own)
    if grid == [0.0]:
        settings["k"] = [round(k)] if variant == "topk" else [k]
    else:
        settings["l1"] = grid
    if variant in ("p_annealing", "structured"):
        settings |= {"start": max(10, cell["steps"] // 3), "every": max(10, cell["steps"] // 15)}
    if variant == "structured":
        settings |= {"rank": cell["concepts"], "gamma": cell["gamma"]}
    sae = create(variant, world.d, cell["m"], seed=cell["seed"], **settings)
    config = TrainConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"])
    train(sae, world, config, seed=cell["seed"], on_step=lambda now: report(now.step * cell["batch"], "training"))
    scores = evaluate(sae, world, n=5000, seed=1)
    rng = S.stream(cell["seed"], "concept_sae/null")
    chance = read(model, world.activations.double() @ torch.randn(world.d, cell["m"], generator=rng).double())
    found: dict[str, list[float]] = {name: list(scores[name]) for name in ("mcc", "mcc_null", "fvu", "l0")}
    with torch.no_grad():
        latents = sae.encode(world.activations).double()
        if isinstance(sae, Structured):
            sparse = sae.sparse_part(sae.pre(world.activations * sae.scale))
            found["whole_l0"] = found["l0"]
            found["l0"] = ((sparse > 0).double().sum(-1) @ model.weights).tolist()
            for one in sparse:
                for name, value in read(model, one.double()).items():
                    found.setdefault(f"S/{name}", []).append(value)
    for one in latents:
        for name, value in read(model, one).items():
            found.setdefault(name, []).append(value)
    found.setdefault("whole_l0", found["l0"])
    known = {"l1": grid, "expected_l0": [k] * len(grid)}
    return found | known | {f"{name}_null": [value] * len(grid) for name, value in chance.items()}


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a seed, penalty and metric."""
    for cell in cells:
        about = {"part": cell["form"], "x": float(cell["strength"]), "arm": cell["arm"], "seed": cell["seed"]}
        found = dict(results[cell["id"]])
        grid, alone = found.pop("l1"), {name: found.pop(f"S/{name}", None) for name in ("correlation", "information")}
        arms = {cell["arm"]: found}
        if cell["arm"] == "structured":
            arms[SPARSE] = found | alone | {"whole_l0": found["l0"]}
        for arm, own in arms.items():
            for metric, values in own.items():
                for l1, value in zip(grid, values, strict=True):
                    yield about | {"arm": arm, "l1": l1, "metric": metric, "value": value}


def placed(frame: pl.DataFrame) -> pl.DataFrame:
    """The table in the fixed columns; x is the strength of the couplings."""
    table = frame.with_columns(world_seed=pl.col("seed"))
    return tidied(table, {"place": "part", "setting": "l1"}, study="concept_sae")


def figures(settings: ConceptSae) -> list[Figure]:
    """Scores over the strength of dependence, and the structured SAE's leads at strength 1; then its other readings."""
    form = "exact" if "exact" in settings.forms else settings.forms[0]
    at = 1.0 if 1.0 in settings.strength else settings.strength[-1]
    lines = [
        Lines(
            y=score,
            place=form,
            across="strength of Potts couplings",
            up=Axis(label, limits=(0, 1.04)),
            marks=() if score == "mcc" else (Level(1.0, "supervised probe", colour="black", dash=":"),),
        )
        for score, label in SCORES.items()
    ]
    leads = Leads(
        of="structured",
        on=RIVALS,
        y=tuple(SCORES),
        over="metric",
        place=form,
        at={"x": at},
        up=f"structured less rival at strength {at:g}, 95 %",
        legend="none",
    )
    caption = (
        "{concepts} binary concepts, activations of a perfect predictor with typed tokens, d = {size}; {contexts} "
        "contexts, m = {m}; as many active latents as half the concepts, of the structured SAE in its sparse part: "
        "its whole code is dense. Chance: random linear latents, which are dense; random rows. {steps} steps of "
        "{batch}; {seeds} worlds and seeds: median, 10-90 % band, points."
    ).replace("{size}", str(2 * settings.concepts - 1))
    looks = {arm: one for arm, (_, _, one) in ARMS.items()}
    main = {arm: looks[arm] for arm in ("TopK", "BatchTopK", "ReLU", "p-annealing", "structured")}
    readings = {arm: looks[arm] for arm in ("structured", "residual reading", SPARSE)}
    return [
        Figure("concept_sae", [*lines, leads], caption, main, pick=nearest_l0),
        Figure("concept_sae-readings", lines, caption, readings, pick=nearest_l0),
    ]


TABLES = (
    Medians(
        "medians over seeds",
        {"correlation": "corr", "information": "info", "mcc": "MCC", "l0": "L0 of S", "whole_l0": "of f", "fvu": "FVU"},
        by=("place", "x", "arm"),
        arms=tuple(ARMS),
        pick=nearest_l0,
    ),
)


def questions(settings: ConceptSae) -> Iterator[Question]:
    """The structured SAE's leads on its rivals, and on chance."""
    both = [("structured", name) for name in SCORES] + [(SPARSE, name) for name in tuple(SCORES)[:2]]
    for form in settings.forms:
        for arm, name in both:
            over_null = score(arm, name) - score(arm, name, kind="null")
            where: dict[str, Any] = {"where": {"place": form}, "each": "x", "pick": nearest_l0}
            yield Question(
                f"{form}, strength {{x:g}}: {arm} ahead of all rivals, {name}", lead(arm, RIVALS, name), **where
            )
            yield Question(f"{form}, strength {{x:g}}: {arm} above chance, {name}", over_null, **where)


def experiment(settings: ConceptSae, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(
        settings, "concept_sae", plan, work, console, lambda cell: f"{cell['id']:36} {cell['size']:,} samples"
    )
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    table = placed(frame)
    paths = drawn(figures(settings), table, settings, run.folder / "figures")
    for shown in (*(medians.of(table) for medians in TABLES), answered(list(questions(settings)), table)):
        console.print(shown)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("concept_sae", partial(read_flags, ConceptSae, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
