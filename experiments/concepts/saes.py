"""Do SAEs recover concepts that a perfect next-token predictor knows exactly, and does a structured SAE do so better?

Six binary concepts under a Potts prior, typed tokens: every concept's log-odds are affine in the activations, a linear
probe is Bayes, and so the ceiling of each score is 1 (DC-4, DC-13, DC-14). Arms: TopK, BatchTopK, ReLU, p-annealing and
the structured SAE of Liu et al. (2025) in its two readings (DC-17); penalties are chosen so that as many latents fire:
of the structured one in its sparse part, which is scored alone too, for its whole code is dense. Each seed draws world
and weights; differences are paired by seed. Run `python -m experiments concept_sae`; results go to
`runs/concept_sae/...`; `--resume FOLDER` goes on; `--help` lists the flags.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import torch

import synthetic as S
from experiments.concepts.settings import ConceptSae
from workbench import SAE, TrainConfig, evaluate, variant_shelf
from workbench.parts.encoders import LowRank
from workbench.study.figure import Figure
from workbench.study.panels import Axis, Leads, Level, Lines, look
from workbench.study.places import Arm, Place, Scores
from workbench.study.questions import Question, lead, score
from workbench.study.selection import nearest_l0
from workbench.study.study import Study
from workbench.study.table import TIMES, Medians
from workbench.topics.concepts.probes import bayes, best_latents

SPARSE = "S alone"
"""the sparse part of the structured arm, not trained again"""
OF_SPARSE = {"sparse_correlation": "correlation", "sparse_information": "information"}
"""scores of that part as they are measured -> as its own rows name them"""
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "TopK": ("topk", {}),
    "BatchTopK": ("batch_topk", {}),
    "ReLU": ("relu", {}),
    "p-annealing": ("p_annealing", {}),
    "structured": ("structured", {"reading": "latents"}),
    "residual reading": ("structured", {"reading": "residual"}),
}
"""variant, settings"""
RIVALS = ("TopK", "BatchTopK", "p-annealing")
SCORES = {"correlation": "best |corr| with log-odds", "information": "information, share of Bayes", "mcc": "MCC"}
"""score -> what axes say"""


def places(settings: ConceptSae) -> Iterator[Place]:
    """The activations of perfect predictors over the strength of dependence, then a dictionary at strength 1."""
    spots = [("exact", s) for s in settings.strength] if "exact" in settings.forms else []
    spots += [("softplus", 1.0)] if "softplus" in settings.forms else []
    for form, strength in spots:
        concepts = S.LatentConcepts(
            sizes=(2,) * settings.concepts,
            prior=S.Potts(strength),
            contexts=S.Energy(settings.contexts, settings.sharpness),
            tokens=S.ConceptTyped(),
        )
        yield Place(form, S.ConceptWorld(concepts=concepts, form=form), strength)  # type: ignore[arg-type]


def arms(settings: ConceptSae, place: Place) -> list[Arm]:
    """All arms, those with a penalty at all of them."""
    found, k, steps = [], settings.concepts / 2, settings.train.steps
    for name, (variant, own) in ARMS.items():
        grid: list[dict[str, Any]] = [{"l1": value} for value in settings.l1]
        known = variant_shelf()[variant].defaults
        if "k" in known:
            own = {"k": round(k) if isinstance(known["k"], int) else k}
            grid = [own]
        if "every" in known:
            own = own | {"start": max(10, steps // 3), "every": max(10, steps // 15)}
        if "rank" in known:
            own = own | {"rank": settings.concepts, "gamma": settings.gamma}
        found.append(Arm(name, variant, settings.m, own, grid))
    return found


def read(model: S.ConceptModel, latents: torch.Tensor) -> dict[str, list[float]]:
    """How well the best single latent of each concept tells it, by member: mean over concepts, the probe's being 1."""
    prior = torch.stack([model.weights @ model.log_odds[:, k].sigmoid() for k in range(model.log_odds.shape[1])])
    blind = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in prior.tolist()]
    least, members = bayes(model).log_loss, latents.double().reshape(-1, *latents.shape[-2:])
    seen = [best_latents(model, f) for f in members]
    shares = ([(h - loss) / (h - b) for h, loss, b in zip(blind, one.log_loss, least, strict=True)] for one in seen)
    return {
        "correlation": [float(np.mean(one.correlation)) for one in seen],
        "information": [float(np.mean(share)) for share in shares],
    }


def measure(sae: SAE, place: Place, settings: ConceptSae) -> Scores:
    """Scores of a stack; L0 of the structured SAE in its sparse part, which has scores of its own."""
    world: Any = place.source
    model, rng = world.model, S.stream(world.seed, "concept_sae/null")
    scores = evaluate(sae, world, n=5000, seed=1)
    chance = read(model, world.activations.double() @ torch.randn(world.d, sae.m, generator=rng).double())
    found: dict[str, Any] = {name: scores[name] for name in ("mcc", "mcc_null", "fvu", "l0")}
    found["whole_l0"] = found["l0"]
    with torch.no_grad():
        found |= read(model, sae.encode(world.activations))
        coded = sae.coded(world.activations * sae.scale)
        if isinstance(coded, LowRank):
            sparse = coded.sparse_part
            found["l0"] = ((sparse > 0).double().sum(-1) @ model.weights).numpy()
            found |= {f"sparse_{name}": values for name, values in read(model, sparse).items()}
    known = {f"{name}_null": values for name, values in chance.items()}
    return found | known | {"expected_l0": [settings.concepts / 2]}


def derive(table: pl.DataFrame, settings: ConceptSae) -> pl.DataFrame:
    """The table with the sparse part of the structured SAE as an arm."""
    metric = pl.col("metric")
    own = table.filter(pl.col("arm") == "structured", ~metric.is_in((*TIMES, "whole_l0")))
    own = own.filter((pl.col("kind") != "score") | ~metric.is_in(tuple(OF_SPARSE.values())))
    own = own.with_columns(metric.replace(OF_SPARSE), arm=pl.lit(SPARSE))
    whole = own.filter(metric == "l0").with_columns(metric=pl.lit("whole_l0"))
    return pl.concat([table.filter(~metric.is_in(tuple(OF_SPARSE))), own, whole])


LOOKS = {"TopK": 1, "BatchTopK": 4, "ReLU": 7, "p-annealing": 2, "structured": 0, "residual reading": 5, SPARSE: 3}
_CURVES = [
    Lines(
        y=name,
        place=lambda forms: forms[0],
        across="strength of Potts couplings",
        up=Axis(label, limits=(0, 1.04)),
        marks=() if name == "mcc" else (Level(1.0, "supervised probe", colour="black", dash=":"),),
        legend="shared",
    )
    for name, label in SCORES.items()
]


def nearest_to_one(strengths: list[float]) -> float:
    """Strength 1, or what is nearest to it."""
    return min(strengths, key=lambda strength: abs(strength - 1))


_LEADS = Leads(
    of="structured",
    on=RIVALS,
    y=tuple(SCORES),
    over="metric",
    place=lambda forms: forms[0],
    at={"x": nearest_to_one},
    up="structured less rival, 95 %",
    title="at strength 1",
)
_CAPTION = (
    "{concepts} binary concepts (n_true counts their values), activations of a perfect predictor with typed tokens, "
    "d = {d}; {contexts} contexts, m = {m}; k, the active latents, half the concepts, of the structured SAE in its "
    "sparse part: its whole code is dense. Chance: random linear latents, which are dense; random rows. {steps} steps "
    "of {train[batch]}; {seeds} seeds of worlds and weights: median, 10-90 % band, points."
)
_COMPARED = ("TopK", "BatchTopK", "p-annealing", "structured", SPARSE)
_READINGS = ("ReLU", "structured", "residual reading", SPARSE)
FIGURES = tuple(
    Figure(name, panels, _CAPTION, arms={arm: look(LOOKS[arm]) for arm in shown}, pick=nearest_l0)
    for name, shown, panels in (
        ("concept_sae", _COMPARED, [*_CURVES, _LEADS]),
        ("concept_sae-readings", _READINGS, _CURVES),
    )
)
TABLES = (
    Medians(
        "medians over seeds",
        {"correlation": "corr", "information": "info", "mcc": "MCC", "l0": "L0 of S", "whole_l0": "of f", "fvu": "FVU"},
        by=("place", "x", "arm"),
        arms=(*ARMS, SPARSE),
        beside=("chance",),
        formats={"l0": "{:.1f}", "whole_l0": "{:.1f}"},
        caption="corr, info: of the best latent of a concept, the supervised probe's being 1",
        pick=nearest_l0,
    ),
)


def _questions() -> Iterator[Question]:
    for form in ("exact", "softplus"):
        for arm, shown in (("structured", tuple(SCORES)), (SPARSE, tuple(OF_SPARSE.values()))):
            for name in shown:
                asked: dict[str, Any] = {"each": "x", "where": {"place": form}, "pick": nearest_l0}
                where = f"{form}, strength {{x:g}}, {name}: {arm}"
                leads = [one.named(f"on {rival}") for one, rival in zip(lead(arm, RIVALS, name), RIVALS, strict=True)]
                yield Question(f"{where} ahead of all rivals", leads, **asked)
                yield Question(f"{where} above chance", score(arm, name) - score(arm, name, kind="null"), **asked)


STUDY = Study(
    name="concept_sae",
    question=__doc__,
    settings=ConceptSae,
    places=places,
    arms=arms,
    measure=measure,
    derive=derive,
    figures=FIGURES,
    tables=TABLES,
    questions=tuple(_questions()),
    toy=ConceptSae(
        seeds=2, strength=(1.0,), concepts=3, contexts=64, l1=(0.1, 1.0), forms=("exact",),
        train=TrainConfig(steps=40, batch=256, lr=3e-3),
    ),
)  # fmt: skip
main = STUDY.main
