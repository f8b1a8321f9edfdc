"""Can a representation predict interventions beyond those seen, and what does the control function add?

Linear part: x = hV, Gaussian actions and noise: prediction with and without the control function, along actions from
inside the training range to three times beyond it, against E[y | do(a)] and the closed form of the bias (R-4, R-5).
Learned part: nonlinear x, autoencoders with and without the moment restriction of Saengkyongam et al. (2024), against
the latents themselves and y ~ a; over the strength of the noise and the share of zeros (R-8, R-9, R-10). Run
`python -m experiments interventions`; results go to `runs/interventions/...`; `--resume FOLDER` goes on; `--help` lists
the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from rich.table import Table

from experiments.actions.figures import LEARNED, draw_extrapolation
from experiments.cells import Cell, Report, carry_out, commanded
from synthetic.actions import Interventions
from synthetic.base.console import Console
from synthetic.base.errors import must
from synthetic.base.flags import read_flags
from synthetic.base.streams import stream
from workbench.study.figure import numbers
from workbench.study.questions import interval, verdict
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


@dataclass(frozen=True)
class Extrapolate:
    """Settings."""

    noise: tuple[float, ...] = (0.05, 0.11, 0.33, 1.0)
    """covariance of the latents' noise over [[.6, .2], [.2, .5]]"""
    zero: tuple[float, ...] = (0.0, 0.2, 0.5)
    """P(h_i = 0)"""
    base: float = 0.11
    """noise where zeros vary, and in the map"""
    samples: int = 20_000
    """training samples"""
    steps: int = 1000
    """training steps of the autoencoders"""
    batch: int = 512
    """samples a step"""
    lr: float = 5e-3
    """Adam's step size"""
    seeds: int = 5
    """worlds, each with weights and samples of its own"""
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
        must(self.noise and min(self.noise) > 0, "--noise", "above 0", self.noise, "its support must be full")
        must(self.base in self.noise, "--base", f"one of the noises {self.noise}", self.base, "add it to --noise")
        must(
            self.zero and self.zero[0] == 0 and max(self.zero) < 1, "--zero", "0 first, below 1", self.zero, "change it"
        )
        must(self.samples >= 1000, "--samples", "at least 1000", self.samples, "raise it")
        must(self.seeds >= 2, "--seeds", "at least 2", self.seeds, "a paired interval needs two differences")
        AutoencoderConfig(steps=self.steps, batch=self.batch, lr=self.lr)


def plan(settings: Extrapolate) -> list[Cell]:
    """One cell a seed and place."""
    common = {name: getattr(settings, name) for name in ("samples", "steps", "batch", "lr")}
    places = [("learned", noise, 0.0) for noise in settings.noise]
    places += [("learned", settings.base, zero) for zero in settings.zero if zero]
    places += [("linear", 1.0, 0.0)]
    cells = []
    for part, noise, zero in places:
        for seed in range(settings.seeds):
            about = {
                "id": f"{part}/{noise:g}/{zero:g}/{seed}",
                "part": part,
                "noise": noise,
                "zero": zero,
                "seed": seed,
            }
            size = settings.steps * settings.batch if part == "learned" else settings.samples
            cells.append(common | about | {"size": size})
    return cells


def world_of(cell: Cell) -> Interventions:
    """The world of a cell."""
    scale, linear = cell["noise"], cell["part"] == "linear"
    return Interventions(
        noise=((0.6 * scale, 0.2 * scale), (0.2 * scale, 0.5 * scale)),
        action="gaussian" if linear else "uniform",
        zero=cell["zero"],
        mixing="linear" if linear else "leaky",
        seed=cell["seed"],
    )


def linear(cell: Cell) -> list[dict[str, Any]]:
    """With and without the control function on an arbitrary affine reading of x, along a line of actions."""
    world, rng = world_of(cell), stream(cell["seed"], "interventions/linear")
    data = world.draw(cell["samples"], rng)
    turn = torch.randn(2, 2, generator=rng, dtype=torch.float64) + 2 * torch.eye(2, dtype=torch.float64)
    z = data.x @ torch.linalg.pinv(world.tensors["features"]) @ turn + 1.0
    at = torch.tensor([[r, r] for r in REACH] + [[-r, r / 2] for r in REACH], dtype=torch.float64)
    truth = world.expected(at)
    effect, noise = [list(row) for row in world.effect], [list(row) for row in world.noise]
    variance = [[1 / 3, 0.0], [0.0, 1 / 3]]
    bias = [naive_bias(list(world.confounding), noise, effect, variance, row) for row in at.tolist()]
    made = {name: ControlFunction.fit(z, data.a, data.y, control=name == "control") for name in ("control", "none")}
    found = {name: one.predict(at) for name, one in made.items()}
    found |= {"truth": truth, "truth + bias": truth + torch.tensor(bias, dtype=torch.float64)}
    found["effective"] = torch.tensor([made["control"].effective_samples(row) for row in at], dtype=torch.float64)
    half = len(REACH)
    lines = (("(r, r)", slice(0, half)), ("(-r, r/2)", slice(half, None)))
    return [
        {"line": line, "reach": reach, "what": what, "value": float(value)}
        for line, where in lines
        for what, values in found.items()
        for reach, value in zip(REACH, values[where], strict=True)
    ]


def learned(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Autoencoders at all penalties; errors of prediction inside and outside of the actions seen."""
    world = world_of(cell)
    data = world.draw(cell["samples"], stream(cell["seed"], "interventions/train"))
    test = world.draw(4000, stream(cell["seed"], "interventions/test"))
    config = AutoencoderConfig(steps=cell["steps"], batch=cell["batch"], lr=cell["lr"])
    made = fit_autoencoder(
        data.x,
        data.a,
        world.n_true,
        config,
        seeds=[cell["seed"]] * len(PENALTIES),
        penalties=PENALTIES,
        on_step=lambda step: report(step * cell["batch"], "training"),
    )
    codes, fresh, errors = (
        made.encode(data.x).detach().double(),
        made.encode(test.x).detach().double(),
        made.error(test.x),
    )
    truth, width = world.expected(GRID), median_width(data.a)
    outside = GRID.abs().amax(1) > 1
    weights = torch.full((len(test.h),), 1 / len(test.h), dtype=torch.float64)
    best = chosen(errors.tolist(), PENALTIES)
    found: list[dict[str, Any]] = []

    def judge(method: str, predicted: torch.Tensor, penalty: float | None = None, **more: float) -> None:
        for place, where in (("inside", ~outside), ("outside", outside)):
            spread = (truth[where] - truth[where].mean()).square().mean()
            error = float((predicted[where] - truth[where]).square().mean() / spread)
            found.append({"method": method, "penalty": penalty, "what": place, "value": error})
        found.extend({"method": method, "penalty": penalty, "what": k, "value": v} for k, v in more.items())
        if penalty is None:
            size = float(truth.std())
            off = ((predicted - truth).abs() / size).tolist()
            found.extend({"method": method, "penalty": None, "what": f"off/{i}", "value": v} for i, v in enumerate(off))

    for i, penalty in enumerate(PENALTIES):
        W, alpha, _ = linear_part(codes[i], data.a)
        left = mmr(fresh[i] - test.a @ W - alpha, test.a, width, unbiased=True) / fresh[i].var(0, correction=0).sum()
        more = {"R2": r_squared(fresh[i], test.h, weights), "error": float(errors[i]), "mmr": float(left)}
        predicted = ControlFunction.fit(codes[i], data.a, data.y).predict(GRID)
        judge("penalty", predicted, penalty, **more)
        if penalty == 0:
            judge("autoencoder", predicted, **more)
        if i == best:
            naive = ControlFunction.fit(codes[i], data.a, data.y, control=False).predict(GRID)
            judge("restricted", predicted, **more)
            judge("restricted, no control", naive)
    judge("latents", ControlFunction.fit(data.h, data.a, data.y).predict(GRID))
    judge("y ~ a, network", fit_network(data.a, data.y, seed=cell["seed"], steps=cell["steps"])(GRID))
    judge("y ~ a, quadratic", fit_polynomial(data.a, data.y)(GRID))
    return found


def work(cell: Cell, report: Report) -> list[dict[str, Any]]:
    """Either part; runs in a process of the pool."""
    return linear(cell) if cell["part"] == "linear" else learned(cell, report)


def rows(cells: list[Cell], results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tidy rows: one number a seed."""
    blank = {"line": None, "reach": None, "method": None, "penalty": None}
    for cell in cells:
        about = {name: cell[name] for name in ("part", "noise", "zero", "seed")}
        for row in results[cell["id"]]:
            yield about | blank | row


def tables_of(frame: pl.DataFrame, settings: Extrapolate) -> Iterator[Table]:
    """The linear case against its closed form; the learned ones, and the restriction's leads paired by seed."""
    names = ("E[y|do(a*)]", "control", "none", "truth + bias", "effective samples")
    table = Table("a*", "r", *names, title="linear: means over seeds ± sd")
    for line in ("(r, r)", "(-r, r/2)"):
        for reach in REACH:
            at = {"part": "linear", "line": line, "reach": reach}
            own = {w: numbers(frame, **at, what=w) for w in ("truth", "control", "none", "truth + bias", "effective")}
            shown = [f"{np.mean(own[w]):.3f} ± {np.std(own[w], ddof=1):.3f}" for w in ("control", "none")]
            exact = [f"{np.mean(own[w]):.3f}" for w in ("truth", "truth + bias")]
            table.add_row(line, f"{reach:g}", exact[0], *shown, exact[1], f"{np.median(own['effective']):,.0f}")
    yield table
    title = "learned: medians over seeds; squared error over the variance of E[y|do(a*)]"
    table = Table("noise", "P(h = 0)", "method", "R²(h ~ z)", "inside", "outside", title=title)
    for noise, zero in places_of(settings):
        for method in LEARNED:
            at = {"part": "learned", "noise": noise, "zero": zero, "method": method}
            own = [numbers(frame, **at, what=w) for w in ("R2", "inside", "outside")]
            table.add_row(f"{noise:g}", f"{zero:g}", method, *(f"{np.median(v):.3g}" if v else "" for v in own))
    yield table
    rivals = ("autoencoder", "restricted, no control", "y ~ a, network", "y ~ a, quadratic")
    title = "log10 of the error outside, rival less restricted: mean ± 95 %, paired by seed"
    table = Table("noise", "P(h = 0)", *rivals, "R² over no restriction", "ahead of all", title=title)
    for noise, zero in places_of(settings):
        at = {"part": "learned", "noise": noise, "zero": zero}
        base = np.log10(numbers(frame, **at, method="restricted", what="outside"))
        leads = [interval(np.log10(numbers(frame, **at, method=m, what="outside")) - base) for m in rivals]
        r2 = [np.array(numbers(frame, **at, method=m, what="R2")) for m in ("restricted", "autoencoder")]
        table.add_row(f"{noise:g}", f"{zero:g}", *map(str, leads), str(interval(r2[0] - r2[1])), verdict(leads))
    yield table


def places_of(settings: Extrapolate) -> list[tuple[float, float]]:
    """Noises, then shares of zeros at the base noise."""
    return [(noise, 0.0) for noise in settings.noise] + [(settings.base, zero) for zero in settings.zero if zero]


def experiment(settings: Extrapolate, console: Console) -> int:
    """Plan, run, write, draw, show; returns the exit code."""
    done = carry_out(settings, "interventions", plan, work, console, lambda cell: f"{cell['id']:24} {cell['size']:,}")
    if isinstance(done, int):
        return done
    settings, run = done.settings, done.run
    frame = done.table(rows)
    paths = draw_extrapolation(frame, settings, LINE.tolist(), run.folder / "figures/interventions")
    for table in tables_of(frame, settings):
        console.print(table)
    console.print(f"figure {paths[0]}\nresults {run.folder}", soft_wrap=True, highlight=False)
    return 0


def main() -> int:
    """Parse and run."""
    return commanded("interventions", partial(read_flags, Extrapolate, description=__doc__), experiment)


if __name__ == "__main__":
    sys.exit(main())
