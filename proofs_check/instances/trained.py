"""A strategy of trained SAEs, each of a seed that draws its world, its stream, its evaluation and its weights."""

import inspect
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from proofs_check.instances.stack import Settings, called, training
from proofs_check.trainings import Training, once
from synthetic.base.errors import must, pick
from synthetic.worlds import worlds
from workbench import SAE, create, train
from workbench.metrics import collect
from workbench.metrics.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Run:
    """One SAE trained on one world: an instance of a claim."""

    seed: int
    """of the world, the stream of batches, the evaluation and the initial weights"""
    variant: str
    world: str
    m: int
    settings: Settings
    knobs: Settings
    steps: int
    batch: int
    lr: float
    samples: int

    def __str__(self) -> str:
        where = called(self.world, self.knobs)
        return f"seed {self.seed}: {called(self.variant, self.settings)}, m = {self.m}, on {where}, {self.steps} steps"

    @property
    def sae(self) -> SAE:
        """The SAE, trained."""
        return _trained(self)[0]

    @property
    def evidence(self) -> Evidence:
        """What its evaluation counted."""
        return _trained(self)[1]

    @property
    def mcc(self) -> float:
        """Mean |cos| of matched rows."""
        return self.evidence.geometry.mean_matched

    @property
    def fvu(self) -> float:
        """Share of the variance left unexplained."""
        return self.evidence.fvu

    @property
    def record(self) -> Training:
        """What the ledger says of it."""
        at = {"world": called(self.world, self.knobs), "world seed": self.seed}
        made = {"variant": called(self.variant, self.settings), "m": self.m, "seeds": [self.seed]}
        return at | made | {"steps": self.steps, "batch": self.batch, "lr": self.lr}


@once(lambda run: run.record)
def _trained(run: Run) -> tuple[SAE, Evidence]:
    world = worlds()[run.world](**{**dict(run.knobs), "seed": run.seed})
    sae = create(run.variant, world.d, run.m, seed=run.seed, **dict(run.settings))
    train(sae, world, training(run.steps, run.batch, run.lr), seed=run.seed)
    return sae, collect(sae, world, run.samples, seed=run.seed)[0]


def trained(
    variant: str,
    world: str,
    m: int,
    *,
    seeds: int | tuple[int, ...] = 10,
    knobs: dict[str, Any] | None = None,
    steps: int = 800,
    batch: int = 256,
    lr: float = 5e-3,
    samples: int = 4000,
    **settings: Any,
) -> st.SearchStrategy[Run]:
    """SAEs of a variant trained on a named world, one a seed; each is trained once in a process.

    Args:
        variant: on the shelf.
        world: name of a world that takes a seed.
        m: number of latents.
        seeds: how many, or which.
        knobs: of the world, by name.
        steps: of training.
        batch: samples a step.
        lr: learning rate.
        samples: of the evaluation.
        settings: the variant's own.
    """
    make = worlds()[pick(world, sorted(worlds()), "trained.world")]
    takes = "seed" in inspect.signature(make).parameters
    must(takes, "trained.world", "one that takes a seed", world, "its seeds would be replicates of weights alone")
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    common = {"variant": variant, "world": world, "m": m, "settings": tuple(settings.items())}
    common |= {"knobs": tuple((knobs or {}).items()), "steps": steps, "batch": batch, "lr": lr, "samples": samples}
    return st.sampled_from([Run(seed=seed, **common) for seed in chosen])
