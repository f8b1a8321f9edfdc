"""Does next-token prediction learn log-posteriors of concepts? Exact answers on enumerated latent concept models.

R² of a perfect predictor's logits against log p(c|s) and p(c|s) over the sharpness of contexts (DC-7, DC-19, beside the
figures of a reference run), leaks (DC-9), weak tokens (DC-6), observed tokens with accuracy and Bayes beside them
(DC-10, DC-20; the ER priors of the paper with the controls it lacks), dependence (DC-4, DC-5, DC-13); and trained
predictors against one another (DC-1, DC-11). Run `python -m experiments concepts`; results go to `runs/concepts/...`;
`--resume FOLDER` goes on; `--help` lists the flags.
"""

import synthetic.base.terminal  # Ctrl-C from here on

# isort: split
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.table import Table

import synthetic as S
from experiments.cells import Cell, Report, carry_out, commanded
from experiments.concepts.figures import draw_concepts, values
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.concepts.activations import centred, exact_activations
from workbench.topics.concepts import probes
from workbench.topics.concepts.gauge import align
from workbench.topics.concepts.regression import r_squared
from workbench.topics.concepts.report import residual_size
from workbench.topics.concepts.trained import PredictorConfig, train_predictor

REFERENCE = {
    "ambiguity": {1.0: 0.58, 8.0: 0.11, 32.0: 0.025},
    "|h|": {1.0: 0.15, 8.0: 1.70, 32.0: 7.63},
    "R2_log": {1.0: 0.84, 8.0: 0.43, 32.0: 0.37},
    "R2_prob": {1.0: 0.98, 8.0: 0.986, 32.0: 0.997},
}
"""figures of an independent run, generic tokens, l = 8, by sharpness; how many tokens and contexts is not recorded"""
UNIFORM = S.Potts(0.0, 0.0)
MODES = {"revealing": S.JointRevealing(), "typed": S.ConceptTyped(), "generic": S.Generic(9)}


@dataclass(frozen=True)
class Concepts:
    """Settings."""

    sharpness: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    """of contexts, p(c|s) ~ exp(t W)"""
    leaks: tuple[float, ...] = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    """share of tokens that do not reveal the configuration"""
    weak: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.9)
    """how much a configuration moves a token's probability"""
    observed: tuple[int, ...] = (7, 8, 10, 12)
    """observed tokens of a context, of 6 kinds, with seven concepts"""
    strength: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """of a Potts prior"""
    tokens: int = 4
    """next tokens where they are generic"""
    contexts: int = 200
    """contexts where their number is free"""
    models: int = 20
    """random models of each kind"""
    trained: int = 3
    """of them, those that predictors are trained on"""
    polish: int = 2000
    """steps of L-BFGS behind Adam's, at most"""
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
        for name in ("sharpness", "leaks", "weak", "observed", "strength"):
            value = getattr(self, name)
            must(value and list(value) == sorted(value), f"--{name}", "ascending, one at least", value, "sort them")
        must(self.sharpness[0] > 0, "--sharpness", "above 0", self.sharpness[0], "0 says nothing of c")
        must(self.leaks[0] > 0 and self.leaks[-1] <= 1, "--leaks", "in (0, 1]", self.leaks, "they are shares")
        must(self.strength[0] >= 0, "--strength", "at least 0", self.strength[0], "raise it")
        must(self.weak[0] > 0 and self.weak[-1] < 1, "--weak", "in (0, 1)", self.weak, "they are shares")
        good = self.observed[0] >= 7 and self.observed[-1] <= 24
        must(good, "--observed", "from 7, for contexts enough, to 24", self.observed, "change them")
        must(self.tokens >= 2, "--tokens", "at least 2", self.tokens, "add tokens")
        must(self.contexts >= 32, "--contexts", "at least 32, 4 a configuration", self.contexts, "add contexts")
        for name in ("trained", "polish"):
            must(getattr(self, name) >= 1, f"--{name}", "at least 1", getattr(self, name), "raise it")
        must(self.models >= 2, "--models", "at least 2", self.models, "a spread needs two")


def plan(settings: Concepts) -> list[Cell]:
    """One cell a point of each axis."""
    common = {name: getattr(settings, name) for name in ("models", "tokens", "contexts", "trained", "polish")}
    points: list[tuple[str, float, float]] = [("sharpness", t, 0.0) for t in settings.sharpness]
    points += [("leak", eps, t) for eps in settings.leaks for t in settings.sharpness]
    points += [("weak", eta, 0.0) for eta in settings.weak]
    points += [("observed", n, r) for n in settings.observed for r in (1.0, 2.0, 3.0)]
    points += [("strength", s, 0.0) for s in settings.strength]
    points += [("trained", i, 0.0) for i in range(len(MODES))]
    size = {"observed": 100, "trained": 30}
    cells: list[Cell] = []
    for part, x, y in sorted(points, key=lambda point: -size.get(point[0], 1)):
        about = {"id": f"{part}/{x:g}/{y:g}", "part": part, "x": x, "y": y}
        cells.append(common | about | {"size": settings.models * size.get(part, 1)})
    return cells


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
        "Bayes accuracy": float(np.mean(best.accuracy)),
        "log-loss gap": float(np.mean(found.log_loss) - np.mean(best.log_loss)),
    }


def measure(cell: Cell, seed: int) -> dict[str, float]:
    """One random model at a point."""
    x, y, generic = cell["x"], cell["y"], S.Generic(cell["tokens"])
    match cell["part"]:
        case "sharpness":
            model = _model(seed, UNIFORM, S.Energy(cell["contexts"], x), generic)
            return _fits(model) | {"ambiguity": model.ambiguity, "|h|": residual_size(model)}
        case "leak":
            model = _model(seed, UNIFORM, S.Energy(cell["contexts"], y), S.Leak(x))
            return {"R2_log": _fits(model)["R2_log"], "least": float(model.log_posterior.min()) / math.log(10)}
        case "weak":
            return _fits(_model(seed, UNIFORM, S.Energy(cell["contexts"], 1.0), S.Weak(x, 16)))
        case "observed":
            contexts = S.Observations(int(x), 6)
            model, typed = (_model(seed, S.ErDag(y), contexts, t, (2,) * 7) for t in (S.Generic(160), S.ConceptTyped()))
            return _fits(model) | _probes(model) | {"typed: R2_marg": _fits(typed)["R2_marg"]}
        case _:
            found: dict[str, float] = {}
            for name in ("revealing", "typed"):
                model = _model(seed, S.Potts(x), S.Energy(cell["contexts"], 1.0, factorised=True), MODES[name])
                r2 = r_squared(model.log_posterior, model.log_odds, model.weights)
                found |= {f"{name}: {k}": v for k, v in _probes(model).items()} | {"log-odds ~ log p(c|s)": r2}
            return found


def trained(cell: Cell, seed: int) -> dict[str, float]:
    """Two predictors trained from different weights, against each other and the exact optimum."""
    model = _model(seed, S.Potts(1.0), S.Energy(64, 1.0), list(MODES.values())[int(cell["x"])])
    config = PredictorConfig(d=exact_activations(model).x.shape[1], polish=cell["polish"])
    (one, loss), (other, again) = (train_predictor(model, config, seed=s) for s in (0, 1))
    aligned = align(one, other, model.weights)
    forms = {"joint": model.log_posterior, "marginal": model.log_marginals}
    fits = {
        f"{form} {i}": r_squared(t, r.x, model.weights) for i, r in enumerate((one, other)) for form, t in forms.items()
    }
    return {"divergence": max(loss, again), "x' ~ x": aligned.forward} | fits


def work(cell: Cell, report: Report) -> list[dict[str, float]]:
    """All models of a cell; runs in a process of the pool."""
    few = min({"trained": cell["trained"], "observed": 6}.get(cell["part"], cell["models"]), cell["models"])
    found = []
    for seed in range(few):
        found.append((trained if cell["part"] == "trained" else measure)(cell, seed))
        report((seed + 1) * cell["size"] // few, f"model {seed}")
    return found


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a model and metric."""
    for cell in cells:
        for seed, found in enumerate(results[cell["id"]]):
            for metric, value in found.items():
                about = {name: cell[name] for name in ("part", "x", "y")}
                yield about | {"x": float(cell["x"]), "seed": seed, "metric": metric, "value": value}


def tables_of(frame: pl.DataFrame, settings: Concepts) -> Iterator[Table]:
    """The sharpness table beside a reference run; observed tokens; trained predictors."""
    table = Table("t", *REFERENCE, title="mean ± sd over models; a reference run, and its distance in sd")
    for t in settings.sharpness:
        cells = []
        for metric, known in REFERENCE.items():
            own = values(frame, "sharpness", metric, t)
            mean, sd = float(np.mean(own)), float(np.std(own, ddof=1))
            said = f"; {known[t]:g}, {(known[t] - mean) / sd:+.1f}" if t in known else ""
            cells.append(f"{mean:.3g} ± {sd:.2g}{said}")
        table.add_row(f"{t:g}", *cells)
    yield table
    names = ("accuracy", "Bayes accuracy", "R2_log", "R2_prob", "typed: R2_marg")
    table = Table("prior", "N", *names, title="observed tokens: medians")
    for r in (1.0, 2.0, 3.0):
        for n in settings.observed:
            table.add_row(f"ER-{r:g}", str(n), *(f"{np.median(values(frame, 'observed', m, n, r)):.3f}" for m in names))
    yield table
    names = ("divergence", "x' ~ x", "joint 0", "joint 1", "marginal 0", "marginal 1")
    table = Table("tokens", *names, title="trained predictors, two seeds: medians; short of 1, R² of x knows the gauge")
    for i, name in enumerate(MODES):
        table.add_row(name, *(f"{np.median(values(frame, 'trained', m, i)):.4g}" for m in names))
    yield table


def experiment(settings: Concepts, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "concepts", plan, work, console, lambda cell: f"{cell['id']:24} {cell['models']} models")
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw_concepts(frame, settings, REFERENCE, run.folder / "figures/concepts")
    for table in tables_of(frame, settings):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("concepts", partial(read_flags, Concepts, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
