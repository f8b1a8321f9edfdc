"""Settings of a training run, and how it can fail."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthetic.base.annotations import annotated
from synthetic.base.errors import must
from synthetic.base.schema import OBJECT, optional, read_json

OF_NO_BIT = ("checkpoint_every", "data_start")
"""settings that change nothing of what is left to do: `tuned` starts no SAE anew that stands elsewhere already"""


@annotated
@dataclass(frozen=True)
class TrainConfig:
    """How an SAE, or a stack of them, is trained. Lengths are in units where E|x|^2 = d."""

    steps: int = 4000
    """optimiser steps; a run that has done fewer goes on to as many"""
    batch: int = 512
    """samples a step"""
    lr: float | tuple[float, ...] = 3e-3
    """Adam's step size; a tuple gives one a stack member along the last stack axis, which has to be as long"""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates"""
    warm_up: float = 0.02
    """share of the steps over which the learning rate rises from 0"""
    decay: float = 0.2
    """share of the steps, at the end, over which it falls to 0"""
    clip: float | None = 1.0
    """largest gradient norm of a member; None for no clipping"""
    normalise: bool = True
    """scale inputs to E|x|^2 = d (the scale is kept in the SAE, which takes raw activations)"""
    centre: bool = True
    """start b_dec at E[x]"""
    data_start: bool = False
    """point fresh latents along centred activations, in place of random directions"""
    penalty_warm_up: float = 0.1
    """share of the steps over which sparsity penalties rise from 0"""
    k_start: float | tuple[float, ...] | None = None
    """begin with this k and anneal to the variant's own; a tuple gives one for each k that the stack was made with, or
    for each of its members; None for no annealing; no effect on variants without k"""
    k_anneal: float = 0.5
    """share of the steps the annealing takes"""
    aux_k: int = 0
    """AuxK: this many dead latents explain the residual (Gao et al. 2024); 0 for none"""
    aux_weight: float = 1 / 32
    """weight of the AuxK loss"""
    dead_after: int = 200
    """steps without firing after which a latent counts as dead"""
    resample_every: int = 0
    """re-initialise dead latents at poorly explained inputs every so many steps (Bricken et al. 2023); 0 for never"""
    bf16: bool = False
    """large products in bfloat16 with float32 sums (torch.autocast), as public benchmarks train on GPUs"""
    evaluations: int = 0
    """log-spaced evaluations during training, the last one at the end"""
    evaluation_samples: int = 20_000
    """samples of each"""
    checkpoint_every: int = 0
    """steps between checkpoints; 0 for none but at the end"""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "dead_after", "evaluation_samples"):
            must(getattr(self, name) >= 1, f"TrainConfig.{name}", "at least 1", getattr(self, name), "raise it")
        for name in ("aux_k", "resample_every", "evaluations", "checkpoint_every"):
            must(getattr(self, name) >= 0, f"TrainConfig.{name}", "at least 0", getattr(self, name), "use 0 for none")
        for name in ("warm_up", "decay", "penalty_warm_up", "k_anneal"):
            share = getattr(self, name)
            must(0 <= share <= 1, f"TrainConfig.{name}", "a share in [0, 1]", share, "give a fraction of the steps")
        rates = np.asarray(self.lr)
        must(rates.size and (rates > 0).all(), "TrainConfig.lr", "above 0", self.lr, "give a positive step size")
        must(all(0 <= b < 1 for b in self.betas), "TrainConfig.betas", "in [0, 1)", self.betas, "0.9 0.999 is usual")
        must(self.aux_weight >= 0, "TrainConfig.aux_weight", "at least 0", self.aux_weight, "use aux_k=0 for none")
        starts = np.asarray(1.0 if self.k_start is None else self.k_start)
        grows = starts.size and (starts > 0).all()
        must(grows, "TrainConfig.k_start", "above 0", self.k_start, "use None for none")
        must(self.clip is None or self.clip > 0, "TrainConfig.clip", "above 0", self.clip, "use None for no clipping")

    def named(self, said: Iterable[str] = (), plain: "TrainConfig | None" = None) -> set[str]:
        """Settings that no rule may go over: those that somebody named, and those that are not at their defaults.

        Args:
            said: names that a command line, a file or a study gave.
            plain: holds the defaults; of this class where None.
        """
        plain, names = plain or TrainConfig(), [item.name for item in fields(self)]
        return {*said} & {*names} | {name for name in names if getattr(plain, name) != getattr(self, name)}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "TrainConfig":
        """From the values `dataclasses.asdict` gave, after JSON."""
        return cls(**plain)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step as a share of `lr`: linear warm-up, constant, linear decay."""
        rise, fall = self.warm_up * self.steps, self.decay * self.steps
        up = (step + 1) / rise if step + 1 < rise else 1.0
        left = self.steps - step
        return min(up, left / fall if left < fall else 1.0)

    def penalty_at(self, step: int) -> float:
        """Share of the sparsity penalty in force at a step."""
        rise = self.penalty_warm_up * self.steps
        return min(1.0, (step + 1) / rise) if rise else 1.0

    def annealing_at(self, step: int) -> float:
        """Share of the way from k to `k_start` that is left at a step."""
        last = self.k_anneal * self.steps - 1
        return max(0.0, 1 - step / last) if last > 0 else 0.0

    def lengthens(self, shorter: "TrainConfig") -> bool:
        """Whether this is the other's training with more steps; how it starts and how often it saves do not count."""
        longer = self.steps > shorter.steps
        kept = {name: getattr(self, name) for name in OF_NO_BIT}
        return longer and replace(shorter, steps=self.steps, **kept) == self

    def unlike(self, shorter: "TrainConfig", done: int, penalties: bool) -> list[str]:
        """What the first `done` steps of a shorter run had otherwise than an unbroken run of this one's steps.

        Where that is nothing, the lengthened run ends with the bits of the unbroken one: with `warm_up`, `decay` and
        `penalty_warm_up` at 0, for one. Else it goes on by its own schedule: a rate that had fallen is full again.

        Args:
            shorter: the settings of the run so far.
            done: its steps.
            penalties: whether the variant has loss terms that warm up.
        """
        schedules = {"learning rate": TrainConfig.rate_at}
        schedules |= {"penalty": TrainConfig.penalty_at} if penalties else {}
        schedules |= {"k": TrainConfig.annealing_at} if self.k_start is not None else {}
        steps = range(done)
        found = [name for name, at in schedules.items() if any(at(self, t) != at(shorter, t) for t in steps)]
        missed = self.resample_every and done == shorter.steps and done % self.resample_every == 0
        return found + ["resampling"] * bool(missed)

    def evaluate_at(self) -> set[int]:
        """Numbers of finished steps after which to evaluate: log-spaced, ending at `steps`."""
        if not self.evaluations:
            return set()
        first = max(1, self.steps // 200)
        return {round(v) for v in np.geomspace(self.steps, first, self.evaluations)}


PROTOCOL = TrainConfig(
    lr=3e-4, warm_up=0.0, decay=0.0, penalty_warm_up=0.0, clip=1.0, aux_weight=1.0, dead_after=1000, k_anneal=0.5
)
"""of the public benchmark SynthSAEBench, but for its length: a constant rate; recipes change it"""


def read_config(path: str | Path) -> TrainConfig:
    """The training of a run or SAE: its folder, with a train.json or config.json, or such a file, or a file of fields.

    Raises:
        ValueError: nothing there, no JSON object, or not of fields of TrainConfig.
    """
    content = read_settings(path)
    return TrainConfig(**content.get("train", content))


def read_settings(path: str | Path) -> dict[str, Any]:
    """The JSON object of settings in a run's or an SAE's folder, or in a file."""
    path = Path(path)
    must(path.exists(), "--config", "a folder or file that is there", path, "check the path")
    if path.is_dir():
        names = [name for name in ("train.json", "config.json") if (path / name).exists()]
        advice = "name a folder that `train` or an experiment wrote, or a file"
        must(names, "--config", "a folder with a train.json or config.json", path, advice)
        path = path / names[0]
    return read_json(path, "--config", {"train": optional(OBJECT)}, "correct it")


class Diverged(RuntimeError):  # noqa: N818
    """A loss stopped being finite; says at which step, for which members, and the last finite record."""

    members: Any = None
    """which members of the stack, a tensor (*s)"""
