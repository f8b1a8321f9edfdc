"""Can a representation predict interventions beyond those seen, and what does the control function add?

Linear part: x = hV, Gaussian actions and noise: prediction with and without the control function, along actions from
inside the training range to three times beyond it, against E[y | do(a)] and the closed form of the bias (R-4, R-5).
Learned part: nonlinear x, autoencoders with and without the moment restriction of Saengkyongam et al. (2024), against
the latents themselves and y ~ a; over the strength of the noise and the share of zeros (R-8, R-9, R-10). Run
`python -m experiments interventions`; results go to `runs/interventions/...`; `--resume FOLDER` goes on; `--help` lists
the flags.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.actions.figures import TABLES, figures, questions
from experiments.actions.settings import Extrapolate
from synthetic.actions import Interventions
from synthetic.base.streams import stream
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit
from workbench.theory.actions import naive_bias
from workbench.topics.actions.autoencoder import PENALTIES, AutoencoderConfig, chosen, fit_autoencoder
from workbench.topics.actions.baselines import fit_network, fit_polynomial
from workbench.topics.actions.control_function import ControlFunction
from workbench.topics.actions.mmr import linear_part, median_width, mmr
from workbench.topics.concepts.regression import r_squared

REACH = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""|a*| along the diagonal, on [-1, 1]^2 up to 1"""
LINE = torch.linspace(-3, 3, 7, dtype=torch.float64)
GRID = torch.cartesian_prod(LINE, LINE)
"""actions that are asked for"""
LINES = ("(r, r)", "(-r, r/2)")
"""actions along which the linear part predicts"""


@dataclass(frozen=True, kw_only=True)
class Drawn(Unit):
    """A world, its samples and weights, of one seed."""

    settings: Extrapolate
    part: str
    noise: float
    zero: float

    @property
    def size(self) -> int:
        """Samples."""
        config = self.settings.train
        return config.steps * config.batch if self.part == "learned" else self.settings.samples

    @property
    def world(self) -> Interventions:
        """What is drawn."""
        scale, linear = self.noise, self.part == "linear"
        return Interventions(
            noise=((0.6 * scale, 0.2 * scale), (0.2 * scale, 0.5 * scale)),
            action="gaussian" if linear else "uniform",
            zero=self.zero,
            mixing="linear" if linear else "leaky",
            seed=self.seed,
        )


def plan(settings: Extrapolate) -> Iterator[Drawn]:
    """One unit a seed and place."""
    places = [("learned", noise, 0.0) for noise in settings.noise]
    places += [("learned", settings.base, zero) for zero in settings.zero if zero]
    places += [("linear", 1.0, 0.0)]
    for part, noise, zero in places:
        for seed in range(settings.seeds):
            yield Drawn(settings=settings, part=part, noise=noise, zero=zero, seeds=(seed,))


def linear(unit: Drawn) -> Iterator[Row]:
    """With and without the control function on an arbitrary affine reading of x, along a line of actions."""
    world, rng = unit.world, stream(unit.seed, "interventions/linear")
    data = world.draw(unit.settings.samples, rng)
    turn = torch.randn(2, 2, generator=rng, dtype=torch.float64) + 2 * torch.eye(2, dtype=torch.float64)
    z = data.x @ torch.linalg.pinv(world.tensors["features"]) @ turn + 1.0
    at = torch.tensor([[r, r] for r in REACH] + [[-r, r / 2] for r in REACH], dtype=torch.float64)
    truth = world.expected(at)
    effect, noise = [list(row) for row in world.effect], [list(row) for row in world.noise]
    variance = [[1 / 3, 0.0], [0.0, 1 / 3]]
    bias = [naive_bias(list(world.confounding), noise, effect, variance, row) for row in at.tolist()]
    fits = {name: ControlFunction.fit(z, data.a, data.y, control=name == "control") for name in ("control", "none")}
    effective = torch.tensor([fits["control"].effective_samples(row) for row in at], dtype=torch.float64)
    numbers: dict[tuple[str | None, str], Tensor] = {}
    for name, fit in fits.items():
        predicted = fit.predict(at)
        numbers |= {(name, "prediction"): predicted, (name, "bias"): predicted - truth}
    biased = truth + torch.tensor(bias, dtype=torch.float64)
    numbers |= {(None, "truth"): truth, (None, "closed_form"): biased, (None, "closed_form_bias"): biased - truth}
    numbers[None, "effective_samples"] = effective
    for (arm, metric), values in numbers.items():
        for i, value in enumerate(values.tolist()):
            about = {"line": LINES[i // len(REACH)], "x": REACH[i % len(REACH)]}
            yield about | {"arm": arm, "metric": metric, "value": value}


Reading = tuple[str, float | None, Tensor, dict[str, float]]
"""arm, penalty where it is one of several, predictions on the grid, other scores"""


def learned(unit: Drawn, report: Report) -> Iterator[Reading]:
    """Predictions of autoencoders at all penalties, of the latents themselves, of y ~ a."""
    world, config = unit.world, unit.settings.train
    data = world.draw(unit.settings.samples, stream(unit.seed, "interventions/train"))
    test = world.draw(4000, stream(unit.seed, "interventions/test"))
    fitted = fit_autoencoder(
        data.x,
        data.a,
        world.n_true,
        config,
        seeds=[unit.seed] * len(PENALTIES),
        penalties=PENALTIES,
        on_step=lambda step: report(step * config.batch, "training"),
    )
    codes, fresh = fitted.encode(data.x).detach().double(), fitted.encode(test.x).detach().double()
    errors, width = fitted.error(test.x), median_width(data.a)
    weights = torch.full((len(test.h),), 1 / len(test.h), dtype=torch.float64)
    best = chosen(errors.tolist(), PENALTIES)
    for i, penalty in enumerate(PENALTIES):
        W, alpha, _ = linear_part(codes[i], data.a)
        left = mmr(fresh[i] - test.a @ W - alpha, test.a, width, unbiased=True) / fresh[i].var(0, correction=0).sum()
        scores = {"R2": r_squared(fresh[i], test.h, weights), "error": float(errors[i]), "mmr": float(left)}
        predicted = ControlFunction.fit(codes[i], data.a, data.y).predict(GRID)
        yield "penalty", penalty, predicted, scores
        if penalty == 0:
            yield "autoencoder", None, predicted, scores
        if i == best:
            yield "restricted", None, predicted, scores
            naive = ControlFunction.fit(codes[i], data.a, data.y, control=False).predict(GRID)
            yield "restricted_no_control", None, naive, {}
    yield "latents", None, ControlFunction.fit(data.h, data.a, data.y).predict(GRID), {}
    yield "network", None, fit_network(data.a, data.y, seed=unit.seed, steps=config.steps)(GRID), {}
    yield "quadratic", None, fit_polynomial(data.a, data.y)(GRID), {}


def judged(reading: Reading, truth: Tensor) -> Iterator[Row]:
    """Errors of predictions inside and outside of the actions seen, and at each action of the grid."""
    arm, penalty, predicted, scores = reading
    about: Row = {"arm": arm}
    if penalty is not None:
        about |= {"penalty": penalty, "setting": f"penalty={penalty:g}", "x": max(penalty, PENALTIES[1] / 10)}
    outside = GRID.abs().amax(1) > 1
    for metric, where in (("inside", ~outside), ("outside", outside)):
        spread = (truth[where] - truth[where].mean()).square().mean()
        yield about | {"metric": metric, "value": float((predicted[where] - truth[where]).square().mean() / spread)}
    for metric, value in scores.items():
        yield about | {"metric": metric, "value": value}
    if penalty is None:
        off = (predicted - truth).abs() / float(truth.std())
        for (a1, a2), value in zip(GRID.tolist(), off.tolist(), strict=True):
            yield about | {"a1": a1, "a2": a2, "metric": "off", "value": value}


def work(unit: Drawn, report: Report) -> Iterator[Row]:
    """Rows of either part; a seed draws world, samples and weights."""
    about = {"place": unit.part, "noise": unit.noise, "zero": unit.zero, "world_seed": unit.seed, "seed": unit.seed}
    if unit.part == "linear":
        rows = linear(unit)
    else:
        truth = unit.world.expected(GRID)
        rows = (row for reading in learned(unit, report) for row in judged(reading, truth))
    for row in rows:
        yield about | row


STUDY = Study(
    name="interventions",
    question=__doc__,
    settings=Extrapolate,
    plan=plan,
    work=work,
    figures=figures,
    tables=TABLES,
    questions=questions,
    toy=Extrapolate(
        seeds=2, samples=8000, noise=(0.11,), zero=(0.0, 0.5), train=AutoencoderConfig(steps=40, batch=512, lr=5e-3)
    ),
)
main = STUDY.main
