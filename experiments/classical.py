"""Dictionary learners as arms beside SAEs: fitted on the first of the samples these see, all coded by one inference."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from synthetic.base.errors import must
from synthetic.source import training_batch
from workbench.metrics import evaluate
from workbench.study.places import Stack, member_rows
from workbench.study.units import Report, Row, Unit
from workbench.topics.classical import LEARNERS, fit


@dataclass(frozen=True, kw_only=True)
class Fit(Unit):
    """A learner at a place, fitted anew on each number of samples after which SAEs are evaluated."""

    stack: Stack
    """what SAEs would be there, without seeds; its arm has the learner's name"""

    @property
    def label(self) -> str:
        """Place, learner and setting."""
        return self.stack.label

    @property
    def size(self) -> int:
        """Samples of the longest fit."""
        return self.counts[-1]

    @property
    def counts(self) -> list[int]:
        """Numbers of samples to fit on: those of SAEs up to the learner's most, and more than it has rows.

        Raises:
            ValueError: there are too few for that many rows.
        """
        arm, config = self.stack.arm, self.stack.train
        steps, most = config.evaluate_at() or {config.steps}, LEARNERS[arm.name].most
        every = sorted({min(step * config.batch, most) for step in steps})
        rule = f"below the {every[-1]:,} samples that {arm.name} is fitted on"
        must(every[-1] > arm.m, "--m", rule, arm.m, "lower it, raise --samples or leave that arm out")
        return [n for n in every if n > arm.m]


def fitted(unit: Fit, report: Report) -> Iterator[Row]:
    """Scores of a learner's dictionaries, a fit after the other."""
    stack, counts = replace(unit.stack, seeds=unit.seeds), unit.counts
    arm, config, source = stack.arm, stack.train, stack.source()
    alone, batch = unit.settings.over == "worlds", config.batch
    data, k = unit.seeds[0] if alone else 0, arm.settings["k"]
    steps, device = range(-(-counts[-1] // batch)), torch.device("cpu")
    x = torch.cat([training_batch(source, batch, data, step, device)[0] for step in steps])
    step, seconds = 0, 0.0
    for n in counts:
        step, clock = -(-n // batch), time.perf_counter()
        found = [fit(arm.name, x[:n], arm.m, k, seed) for seed in unit.seeds]
        seconds = time.perf_counter() - clock
        rows, bias = found[0] if alone else map(torch.stack, zip(*found, strict=True))
        scores = evaluate(
            rows, source, n=config.evaluation_samples, seed=data, encoder="nn_omp", bias=bias, k=k
        ) | {"samples": np.full((1, len(unit.seeds)), n)}  # fmt: skip
        yield from member_rows(stack, scores, step=step, lr=None)
        report(n, f"mcc {np.mean(scores['mcc']):.2f}")
    yield stack.columns() | {"step": step, "lr": None, "metric": "seconds", "value": seconds}


def notes(names: list[str], left_out: list[str]) -> Iterator[str]:
    """What must be said of learners: samples and rows that they are held to, and worlds that are not theirs."""
    for most in sorted({LEARNERS[name].most for name in names}):
        who = ", ".join(name for name in names if LEARNERS[name].most == most)
        yield f"{who}: fitted on the first {most:,} samples at most"
    if "fast_ica" in names:
        yield "fast_ica: at most as many rows as dimensions, whatever m is"
    for label in left_out:
        yield f"{label}: without {', '.join(names)}, which take small worlds whose activations are their own targets"
