"""Does next-token prediction learn log-posteriors of concepts? Exact answers on enumerated latent concept models.

R² of a perfect predictor's logits against log p(c|s) and p(c|s) over the sharpness of contexts (DC-7, DC-19, beside the
figures of a reference run), leaks (DC-9), weak tokens (DC-6), observed tokens with accuracy and Bayes beside them
(DC-10, DC-20; the ER priors of the paper with the controls it lacks), dependence (DC-4, DC-5, DC-13); and trained
predictors against one another (DC-1, DC-11). Run `python -m experiments concepts`; results go to `runs/concepts/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import synthetic as S
from experiments.concepts.figures import FIGURES, TABLES
from experiments.concepts.settings import Concepts
from synthetic.concepts.activations import centred, exact_activations
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit
from workbench.topics.concepts import probes
from workbench.topics.concepts.gauge import align
from workbench.topics.concepts.regression import r_squared
from workbench.topics.concepts.report import residual_size
from workbench.topics.concepts.trained import PredictorConfig, train_predictor

UNIFORM = S.Potts(0.0, 0.0)
MODES = {"revealing": S.JointRevealing(), "typed": S.ConceptTyped(), "generic": S.Generic(9)}


FEW = 6
"""models, at most, over observed tokens, which cost most"""
COST = {"observed": 100, "trained": 30}
"""of a model, in those of other parts"""


@dataclass(frozen=True, kw_only=True)
class Point(Unit):
    """Random models at a point of an axis."""

    settings: Concepts
    part: str
    x: float
    y: float = 0.0
    """sharpness where x is a leak, the prior's mean number of parents where x counts tokens"""

    @property
    def size(self) -> int:
        """Models, in those of a cheap part."""
        return len(self.seeds) * COST.get(self.part, 1)


def plan(settings: Concepts) -> Iterator[Point]:
    """One unit a point of each axis."""
    points: list[tuple[str, float, float]] = [("sharpness", t, 0.0) for t in settings.sharpness]
    points += [("leak", eps, t) for eps in settings.leaks for t in settings.sharpness]
    points += [("weak", eta, 0.0) for eta in settings.weak]
    points += [("observed", n, r) for n in settings.observed for r in (1.0, 2.0, 3.0)]
    points += [("strength", s, 0.0) for s in settings.strength]
    points += [("trained", i, 0.0) for i in range(len(MODES))]
    for part, x, y in points:
        few = min({"trained": settings.trained, "observed": FEW}.get(part, settings.seeds), settings.seeds)
        yield Point(settings=settings, part=part, x=float(x), y=y, seeds=tuple(range(few)))


def _model(seed: int, prior: Any, contexts: Any, tokens: Any, sizes: tuple[int, ...] = (2, 2, 2)) -> S.ConceptModel:
    return S.LatentConcepts(sizes=sizes, prior=prior, contexts=contexts, tokens=tokens, seed=seed).model


def _fits(model: S.ConceptModel) -> dict[str, float]:
    """R² of logits, which no gauge changes."""
    y, w = centred(model.log_next), model.weights
    regressors = {"R2_log": model.log_posterior, "R2_prob": model.log_posterior.exp(), "R2_marg": model.log_marginals}
    return {name: r_squared(x, y, w, name) for name, x in regressors.items()}


def _probes(model: S.ConceptModel) -> dict[str, float]:
    """Of the population's probe on activations, and of Bayes; mean over concepts."""
    best, found = probes.bayes(model), probes.probe(model, exact_activations(model).x)
    return {
        "accuracy": float(np.mean(found.accuracy)),
        "bayes_accuracy": float(np.mean(best.accuracy)),
        "log_loss_gap": float(np.mean(found.log_loss) - np.mean(best.log_loss)),
    }


def measure(point: Point, seed: int) -> Iterator[tuple[str | None, dict[str, float]]]:
    """Scores of one random model at a point, by kind of prior or of tokens."""
    x, y, contexts, generic = point.x, point.y, point.settings.contexts, S.Generic(point.settings.tokens)
    match point.part:
        case "sharpness":
            model = _model(seed, UNIFORM, S.Energy(contexts, x), generic)
            yield None, _fits(model) | {"ambiguity": model.ambiguity, "residual_size": residual_size(model)}
        case "leak":
            model = _model(seed, UNIFORM, S.Energy(contexts, y), S.Leak(x))
            least = float(model.log_posterior.min()) / math.log(10)
            yield None, {"R2_log": _fits(model)["R2_log"], "least_log10_posterior": least}
        case "weak":
            yield None, _fits(_model(seed, UNIFORM, S.Energy(contexts, 1.0), S.Weak(x, 16)))
        case "observed":
            seen = S.Observations(int(x), 6)
            model, typed = (_model(seed, S.ErDag(y), seen, t, (2,) * 7) for t in (S.Generic(160), S.ConceptTyped()))
            yield f"ER-{y:g}", _fits(model) | _probes(model) | {"typed_R2_marg": _fits(typed)["R2_marg"]}
        case _:
            for name in ("revealing", "typed"):
                model = _model(seed, S.Potts(x), S.Energy(contexts, 1.0, factorised=True), MODES[name])
                yield name, _probes(model)
            yield None, {"R2_log_odds": r_squared(model.log_posterior, model.log_odds, model.weights)}


def trained(point: Point, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Two predictors trained from different weights, against each other and the exact optimum."""
    name = list(MODES)[int(point.x)]
    model = _model(seed, S.Potts(1.0), S.Energy(64, 1.0), MODES[name])
    config = PredictorConfig(d=exact_activations(model).x.shape[1], polish=point.settings.polish)
    (one, loss), (other, again) = (train_predictor(model, config, seed=s) for s in (0, 1))
    aligned = align(one, other, model.weights)
    forms = {"joint": model.log_posterior, "marginal": model.log_marginals}
    fits = {
        f"{form}_{i}": r_squared(t, r.x, model.weights) for i, r in enumerate((one, other)) for form, t in forms.items()
    }
    yield name, {"divergence": max(loss, again), "R2_aligned": aligned.forward} | fits


def work(point: Point, report: Report) -> Iterator[Row]:
    """All models at a point; a random model is a world."""
    about: dict[str, Any] = {"place": point.part, "x": None if point.part == "trained" else point.x}
    if point.part == "leak":
        about |= {"x": point.y, "leak": point.x}
    for i, seed in enumerate(point.seeds):
        for arm, scores in (trained if point.part == "trained" else measure)(point, seed):
            for metric, value in scores.items():
                yield about | {"arm": arm, "world_seed": seed, "metric": metric, "value": value}
        report((i + 1) * COST.get(point.part, 1), f"model {seed}")


STUDY = Study(
    name="concepts",
    question=__doc__,
    settings=Concepts,
    plan=plan,
    work=work,
    figures=FIGURES,
    tables=TABLES,
    toy=Concepts(
        seeds=2, sharpness=(1.0, 16.0), leaks=(1e-4, 0.1), weak=(0.03, 0.3), observed=(7,), strength=(0.0, 2.0),
        contexts=64, trained=1, polish=200,
    ),
)  # fmt: skip
main = STUDY.main
