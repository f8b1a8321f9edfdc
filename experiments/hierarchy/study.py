"""Do one-pass encoders miss features of conceptual levels that matching pursuit (MP) recovers?

The claim of Costa et al. (2025), arXiv 2506.03093, on their tree of concepts over the cosine of siblings, where rows
are independent, so that a linear map does read the codes; on a tree with more features than dimensions, where none
does; on weak children; on a graph of concepts with several parents. Differences are paired by seed. Also what one pass
and MP do with the true rows. Run `python -m experiments hierarchy`; results go to `runs/hierarchy/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import torch

from experiments.hierarchy.figures import COLOUR, ONE_PASS, draw, medians, verdicts
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.streams import stream
from synthetic.mixture import SparseMixture
from synthetic.worlds.hierarchy import concept_dag, concept_tree, crowded_tree
from workbench import TrainConfig, create, evaluate, train
from workbench.parts.pursuit import matching_pursuit
from workbench.study.runner import Cell, Report
from workbench.study.study import carry_out, commanded
from workbench.theory.pursuit import one_shot_margin

Part = Literal["tree", "absorption", "crowded", "graph"]
METRICS = (
    *("mcc", "mcc_null", "worst_level_recall@.9", "flat_mse", "hier_mse", "absorption_cosine", "edge_recall@.9"),
    *("fvu", "l0", "expected_l0", "dead", "two_signed"),
)
VARIANT = {
    **{"ReLU": "relu", "TopK": "topk", "BatchTopK": "batch_topk", "Matryoshka": "matryoshka", "OMP": "omp"},
    **{"MP that stops": "matching_pursuit", "MP": "matching_pursuit"},
}
GRAPH_COSINE = 0.3
EXACT = 1e-5
"""largest error of an exact code; rows are orthogonal to 1e-7"""


@dataclass(frozen=True)
class Hierarchy:
    """Settings."""

    parts: tuple[Part, ...] = ("tree", "absorption", "crowded", "graph")
    """which worlds"""
    rho: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9)
    """cosines of siblings in the tree"""
    child_mean: tuple[float, ...] = (0.1, 0.5, 1.0)
    """mean magnitudes of children in the part on absorption, where parents' is 1"""
    g: tuple[float, ...] = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """cosines of siblings with the true rows"""
    l1: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    """penalties of ReLU; the one of nearest L0 counts"""
    most: int = 6
    """most steps of the MP that stops by itself; the authors allow d"""
    tol: float = 0.05
    """residual at which it stops"""
    steps: int = 2000
    """training steps; the authors take 15,000"""
    batch: int = 200
    """samples a step"""
    lr: float = 3e-2
    """Adam's step size, with betas .5 and .9375 as the authors have it"""
    samples: int = 5000
    """samples of an evaluation"""
    seeds: int = 5
    """members of each stack, which differ in initial weights"""
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
        for name in ("steps", "batch", "most", "samples"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        must(self.lr > 0, "--lr", "above 0", self.lr, "raise it")
        must(self.tol >= 0, "--tol", "at least 0", self.tol, "use 0 for no tolerance")
        must(self.parts, "--parts", "at least one", self.parts, "name one")
        must(self.l1 and min(self.l1) >= 0, "--l1", "numbers of at least 0", self.l1, "give ReLU a penalty")
        must(self.child_mean and min(self.child_mean) > 0, "--child-mean", "above 0", self.child_mean, "raise them")
        for name in ("rho", "g"):
            given = getattr(self, name)
            fits = given and min(given) >= 0 and max(given) < 1
            must(fits, f"--{name}", "cosines in [0, 1)", given, "siblings must differ")


def world_of(part: str, x: float) -> SparseMixture:
    """The world of a part at x."""
    if part == "tree":
        return concept_tree(rho=x)
    if part == "absorption":
        return concept_tree(child_mean=x, parent_mean=1.0, sd=0.25, child_sd=0.025)
    return crowded_tree(child_dims=4) if part == "crowded" else concept_dag(rho=x)


def plan(settings: Hierarchy) -> list[Cell]:
    """One cell a world and arm, the seeds (and ReLU's penalties) in one stack; first what needs no training."""
    names = ("steps", "batch", "lr", "samples", "most", "tol")
    common = {name: getattr(settings, name) for name in names} | {"seeds": list(range(settings.seeds))}
    places = {"tree": settings.rho, "absorption": settings.child_mean, "crowded": (0.0,), "graph": (GRAPH_COSINE,)}
    worlds = [(part, x) for part in settings.parts for x in places[part]]
    exact = {"id": "true rows", "arm": None, "g": settings.g, "worlds": [w for w in worlds if w[0] != "absorption"]}
    cells: list[Cell] = [common | exact | {"size": settings.samples * len(settings.g)}]
    for part, x in worlds:
        for arm in COLOUR:
            about = {"id": f"{part}/{x:g}/{arm}", "part": part, "x": x, "arm": arm, "l1": settings.l1}
            cells.append(common | about | {"size": settings.steps * settings.batch})
    return cells


def settings_of(cell: Cell, l0: float) -> dict[str, Any]:
    """An arm's own settings: as many latents as features fire, on average or at most."""
    arm, k = cell["arm"], math.ceil(l0 - 1e-9)
    if arm == "ReLU":
        return {"l1": [[value] for value in cell["l1"]]}
    if arm in ("BatchTopK", "Matryoshka"):
        return {"k": l0}
    if arm == "MP that stops":
        return {"k": cell["most"], "select": "relu", "tol": cell["tol"], "stop_on_repeat": True}
    return {"k": k} | ({"select": "positive"} if arm == "OMP" else {})


def work(cell: Cell, report: Report) -> dict[str, Any]:
    """Train and score one stack, or look at the true rows; runs in a process of the pool."""
    if cell["arm"] is None:
        return {"g": [true_rows(g, cell["samples"]) for g in cell["g"]]} | {
            "floors": [linear_floor(world_of(part, x), cell["samples"]) for part, x in cell["worlds"]]
        }
    world = world_of(cell["part"], cell["x"])
    m, l0 = world.truth.n_true, round(world.truth.expected_l0, 3)
    own = settings_of(cell, l0)
    sae = create(VARIANT[cell["arm"]], world.d, m, seed=cell["seeds"], **own)
    sae.frozen = ("b_dec",)  # at 0, as in the world
    annealed = {"k_start": min(2 * own["k"], m), "k_anneal": 0.2} if "k" in own and cell["arm"] in ONE_PASS else {}
    config = TrainConfig(
        **{name: cell[name] for name in ("steps", "batch", "lr")},
        betas=(0.5, 0.9375),
        warm_up=min(0.2, 100 / cell["steps"]),
        centre=False,
        normalise=False,
        **annealed,
    )
    train(sae, world, config, on_step=lambda now: report(now.step * cell["batch"], "training"))
    found = {name: np.asarray(v) for name, v in evaluate(sae, world, cell["samples"], seed=1).items()}
    scores = {name: found[name] for name in METRICS}
    scores |= {name: found[f"matched_recall@.9{end}"] for name, end in (("found", ""), ("found_null", "_null"))}
    return {name: np.broadcast_to(values, sae.shape).tolist() for name, values in scores.items()}


def features_of(world: SparseMixture) -> torch.Tensor:
    """True rows, float64."""
    return world.truth.features.double()


def true_rows(g: float, n: int) -> dict[str, float]:
    """Failures of one pass of tied TopK and of MP with W = V on samples of the tree with two active features.

    Predicted is P(min h <= g max h) = 2 Phi(-(1 - g) mean / (sd sqrt(1 + g^2))) of two independent N(mean, sd^2).
    """
    world = concept_tree(rho=g)
    V, h = features_of(world), world.sample(n, stream(1, "true rows")).h.dense().double()
    h = h[(h != 0).sum(1) == 2]
    x, active = h @ V, h != 0
    picked = torch.zeros_like(active).scatter_(1, (x @ V.T).topk(2).indices, True)
    fails = (picked != active).any(1)
    values = h.masked_fill(~active, math.inf).amin(1), h.amax(1)
    mean, sd = 1.5, 0.25
    wrong = {}
    for rule in ("abs", "relu"):
        codes = matching_pursuit(x, V, 2, select=rule).codes(len(V)).dense()
        wrong[f"{rule} fails"] = float(((codes - h).abs().amax(1) > EXACT).sum())
    return wrong | {
        "g": g,
        "two active": float(len(h)),
        "one pass fails": float(fails.sum()),
        "differs": float((fails != (one_shot_margin(*values, g) <= 0)).sum()),
        "predicted": 2 * NormalDist().cdf(-(1 - g) * mean / (sd * (1 + g * g) ** 0.5)),
    }


def linear_floor(world: SparseMixture, n: int) -> float:
    """Share of the variance of the codes that the best affine map of x leaves, over features and n samples."""
    batch = world.sample(n, stream(1, "linear floor"))
    h = batch.h.dense().double()
    x = torch.cat((h @ features_of(world), torch.ones(n, 1, dtype=torch.float64)), 1)
    left = h - x @ torch.linalg.lstsq(x, h, driver="gelsd").solution
    return float(left.square().sum() / (h - h.mean(0)).square().sum())


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a member and metric; those without a seed need no training."""
    for cell in cells:
        result = results[cell["id"]]
        if cell["arm"] is None:
            blank = {"arm": None, "l1": None, "seed": None}
            for (part, x), value in zip(cell["worlds"], result["floors"], strict=True):
                yield {"part": part, "x": x} | blank | {"metric": "linear floor", "value": value}
            for own in result["g"]:
                for metric in [name for name in own if name != "g"]:
                    yield {"part": "true rows", "x": own["g"]} | blank | {"metric": metric, "value": own[metric]}
            continue
        about = {name: cell[name] for name in ("part", "x", "arm")}
        penalties = list(cell["l1"]) if cell["arm"] == "ReLU" else [None]
        for metric, values in result.items():
            for l1, members in zip(penalties, np.reshape(values, (len(penalties), -1)), strict=True):
                for seed, value in zip(cell["seeds"], members, strict=True):
                    yield about | {"l1": l1, "seed": seed, "metric": metric, "value": float(value)}


def caption(settings: Hierarchy) -> str:
    """What the figure states."""
    return (
        "Tree: n_true = d = m = 20, E L0 = 1.36; n_true > d: 28 features in d = 19, m = 28, E L0 = 1.8; graph: n_true "
        "= m = 12, d = 16, E L0 = 3.06. {steps} steps of {batch}, Adam {lr:g}; {seeds} seeds of weights: median, 10-90 "
        "% band, points. One pass: L0 as the world's; TopK, OMP and MP (abs rule) take its ceiling; MP that stops: "
        "relu rule, residual below {tol:g}, a repeat, or {most} steps. Squared cosines below 1e-5 are drawn there."
    ).format(**asdict(settings))


def told(cell: Cell) -> str:
    """A cell in one line."""
    return f"{cell['id']:32} {cell['size']:,} samples x {len(cell['seeds'])} seeds"


def experiment(settings: Hierarchy, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "hierarchy", plan, work, console, told)
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw(frame, caption(settings), run.folder / "figures/hierarchy")
    for table in (medians(frame), verdicts(frame)):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("hierarchy", partial(read_flags, Hierarchy, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
