"""Do one-pass encoders miss features of conceptual levels that matching pursuit (MP) recovers?

The claim of Costa et al. (2025), arXiv 2506.03093, on their tree of concepts over the cosine of siblings, where rows
are independent, so that a linear map does read the codes; on a tree with more features than dimensions, where none
does; on weak children; on a graph of concepts with several parents. Differences are paired by seed. Also what one pass
and MP do with the true rows. Run `python -m experiments hierarchy`; results go to `runs/hierarchy/...`;
`--resume FOLDER` goes on, or adds seeds and worlds; `--help` lists the flags.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import torch

from experiments.hierarchy.figures import ARMS, FIGURES, ONE_PASS, QUESTIONS, TABLES, TRUE_ROWS
from experiments.hierarchy.settings import Hierarchy, training
from synthetic.base.streams import stream
from synthetic.mixture import SparseMixture
from synthetic.worlds.hierarchy import concept_dag, concept_tree, crowded_tree
from workbench.metrics import evaluate
from workbench.parts.pursuit import matching_pursuit
from workbench.sae import SAE
from workbench.study.places import Arm, Place, Scores, without_bias
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit
from workbench.theory.pursuit import one_shot_margin

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


def world_of(part: str, x: float) -> SparseMixture:
    """The world of a part at x."""
    if part == "tree":
        return concept_tree(rho=x)
    if part == "absorption":
        return concept_tree(child_mean=x, parent_mean=1.0, sd=0.25, child_sd=0.025)
    return crowded_tree(child_dims=4) if part == "crowded" else concept_dag(rho=x)


def places(settings: Hierarchy) -> list[Place]:
    """Every part at each of its x."""
    at = {"tree": settings.rho, "absorption": settings.child_mean, "crowded": (0.0,), "graph": (GRAPH_COSINE,)}
    return [Place(part, world_of(part, x), x) for part in settings.parts for x in at[part]]


def arms(settings: Hierarchy, place: Place) -> list[Arm]:
    """As many latents as features, as many active as features fire, on average or at most."""
    world: Any = place.source
    m, l0 = world.truth.n_true, round(world.truth.expected_l0, 3)
    k = math.ceil(l0 - 1e-9)
    own: dict[str, dict[str, Any]] = {name: {"k": k} for name in ARMS} | {"ReLU": {}}
    own |= {name: {"k": l0} for name in ("BatchTopK", "Matryoshka")}
    own["OMP"]["select"] = "positive"
    own["MP that stops"] = {"k": settings.most, "select": "relu", "tol": settings.tol, "stop_on_repeat": True}
    found = []
    for name in ARMS:
        grid = [{"l1": value} for value in settings.l1] if name == "ReLU" else ({},)
        annealed = name in ONE_PASS and "k" in own[name]
        train = {"k_start": min(2 * own[name]["k"], m), "k_anneal": 0.2} if annealed else {}
        found.append(Arm(name, VARIANT[name], m, own[name], grid, train, without_bias))
    return found


def measure(sae: SAE, place: Place, settings: Hierarchy) -> Scores:
    """Scores of a stack."""
    scores = evaluate(sae, place.source, settings.samples, seed=1)
    found = {f"found{end}": scores[f"matched_recall@.9{end}"] for end in ("", "_null")}
    return {name: scores[name] for name in METRICS} | found


@dataclass(frozen=True, kw_only=True)
class Exact(Unit):
    """What needs no training: codes with the true rows at a cosine of siblings, or what a linear map leaves."""

    part: str
    x: float

    @property
    def size(self) -> int:
        """Samples."""
        return self.settings.samples


def exact(settings: Hierarchy) -> Iterator[Exact]:
    """Every cosine, and every world but those on absorption, which have the directions of the tree."""
    for place in places(settings):
        if place.label != "absorption":
            yield Exact(settings=settings, part=place.label, x=place.x or 0.0)
    for g in settings.g:
        yield Exact(settings=settings, part=TRUE_ROWS, x=g)


def work(unit: Exact, report: Report) -> Iterator[Row]:
    """Count failures with the true rows, or fit the best linear map."""
    samples, about = unit.settings.samples, {"place": unit.part, "x": unit.x}
    if unit.part == TRUE_ROWS:
        found = true_rows(unit.x, samples)
    else:
        found = {"linear floor": linear_floor(world_of(unit.part, unit.x), samples)}
    for metric, value in found.items():
        yield about | {"metric": metric, "value": value}


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


STUDY = Study(
    name="hierarchy",
    question=__doc__,
    settings=Hierarchy,
    places=places,
    arms=arms,
    measure=measure,
    plan=exact,
    work=work,
    figures=FIGURES,
    tables=TABLES,
    questions=QUESTIONS,
    toy=Hierarchy(
        parts=("tree",), rho=(0.0,), g=(0.0, 0.9), l1=(0.1, 0.4), samples=500, seeds=2, train=training(120, 100)
    ),
)
main = STUDY.main
