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
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from rich.box import SIMPLE
from rich.table import Table

import synthetic as S
from experiments.cells import Cell, Report, carry_out, commanded
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from workbench import TrainConfig, create, evaluate, train
from workbench.study.figure import finish, shared_legend, styled, subplots
from workbench.study.panels import COLOURS, draw_band
from workbench.study.questions import interval, verdict
from workbench.study.tables import Runs, places_of, runs_of, short
from workbench.topics.concepts.probes import bayes, best_latents
from workbench.variants.structured import Structured

SPARSE = "S alone"
"""the sparse part of the structured arm, not trained again"""
ARMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "TopK": ("topk", {}, COLOURS[1]),
    "BatchTopK": ("batch_topk", {}, COLOURS[4]),
    "ReLU": ("relu", {}, COLOURS[7]),
    "p-annealing": ("p_annealing", {}, COLOURS[2]),
    "structured": ("structured", {"reading": "latents"}, COLOURS[0]),
    "residual reading": ("structured", {"reading": "residual"}, COLOURS[5]),
    SPARSE: ("structured", {}, COLOURS[3]),
}
"""variant, settings, colour"""
RIVALS = ("TopK", "BatchTopK", "p-annealing")
SHOWN = {"correlation": "corr (null)", "information": "info (null)", "mcc": "MCC (null)"}
"""score -> heading"""
SCORES = ("correlation", "information", "mcc")


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


def draw(frame: pl.DataFrame, settings: ConceptSae, stem: Path) -> list[Path]:
    """Scores over the strength of dependence, and the structured SAE's leads at strength 1; from the table alone."""
    runs = runs_of(frame)
    part = "exact" if "exact" in settings.forms else settings.forms[0]
    places = places_of(runs, part)
    labels = {"correlation": "best |corr| with log-odds", "information": "information, share of Bayes", "mcc": "MCC"}
    with styled():
        figure, panels = subplots(2, 2, figsize=(8.6, 7.2))
        for panel, score in zip(panels.flat, SCORES, strict=False):
            for arm, (_, _, colour) in ARMS.items():
                values = [runs[part, x, arm][score] for x in places]
                draw_band(panel, places, values, colour, arm, marker="o", markersize=3)
            null = [float(np.mean(runs[part, x, "TopK"][f"{score}_null"])) for x in places]
            panel.plot(places, null, "--", color="0.45", linewidth=1.2, label="chance")
            if score != "mcc":
                panel.axhline(1.0, color="black", linestyle=":", linewidth=1.2, label="supervised probe")
            panel.set(xlabel="strength of Potts couplings", ylabel=labels[score], ylim=(0, 1.04))
        leads = panels.flat[3]
        at = 1.0 if 1.0 in places else places[-1]
        for i, score in enumerate(SCORES):
            for j, rival in enumerate(RIVALS):
                lead = interval(np.subtract(runs[part, at, "structured"][score], runs[part, at, rival][score]))
                place = i + (j - 1) / 6
                leads.errorbar(place, lead.mean, lead.half, fmt="o", color=ARMS[rival][2], capsize=3, markersize=4)
        leads.axhline(0, color="black", linewidth=0.8)
        leads.set_xticks(range(len(SCORES)), list(SCORES))
        leads.set_ylabel(f"structured less rival at strength {at:g}, 95 %")
        shared_legend(figure, list(panels.flat)[:3], columns=4)
        caption = (
            "{concepts} binary concepts, activations of a perfect predictor with typed tokens, d = {d}; {contexts} "
            "contexts, m = {m}; as many active latents as half the concepts, of the structured SAE in its sparse part: "
            "its whole code is dense. Chance: random linear latents, which are dense; random rows. {steps} steps of "
            "{batch}; {seeds} worlds and seeds: median, 10-90 % band, points."
        ).format(**asdict(settings), d=2 * settings.concepts - 1)
        return finish(figure, caption, stem)


def tables_of(runs: Runs, settings: ConceptSae) -> Iterator[Table]:
    """For each world the medians of every arm; then the structured SAE's leads, paired by seed, and what they say."""
    look: dict[str, Any] = {"box": SIMPLE, "collapse_padding": True, "pad_edge": False}
    both = [("structured", score) for score in SCORES] + [(SPARSE, score) for score in SCORES[:2]]
    for part, x in dict.fromkeys(key[:2] for key in sorted(runs)):
        where = f"{part}, strength {x:g}"
        table = Table("arm", *SHOWN.values(), "L0 of S", "of f", "FVU", title=f"{where}: medians over seeds", **look)
        for arm in ARMS:
            middle = {name: float(np.median(values)) for name, values in runs[part, x, arm].items()}
            beside = [f"{short(middle[name])} ({short(middle[f'{name}_null'])})" for name in SHOWN]
            active = (f"{middle[name]:.1f}" for name in ("l0", "whole_l0"))
            table.add_row(arm, *beside, *active, short(middle["fvu"]))
        yield table
        title = f"{where}: structured less rival, mean ± 95 %, paired by seed"
        table = Table("", *RIVALS, "null", "of all", "of null", title=title, **look)
        for arm, score in both:
            own = runs[part, x, arm]
            leads = [interval(np.subtract(own[score], runs[part, x, rival][score])) for rival in RIVALS]
            over = interval(np.subtract(own[score], own[f"{score}_null"]))
            cells = (f"{short(one.mean)} ± {short(one.half)}" for one in (*leads, over))
            name = SHOWN[score].split()[0] + (" of S" if arm == SPARSE else "")
            table.add_row(name, *cells, verdict(leads), verdict([over]))
        yield table


def experiment(settings: ConceptSae, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(
        settings, "concept_sae", plan, work, console, lambda cell: f"{cell['id']:36} {cell['size']:,} samples"
    )
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, settings, run.folder / "figures/concept_sae")
    for table in tables_of(runs_of(frame), settings):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("concept_sae", partial(read_flags, ConceptSae, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
