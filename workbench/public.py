"""What `workbench` exports of SAEs and sources; `interop` lets `SAE.save` write, `lm` lets names be stores."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import workbench.lm.sources  # noqa: F401 (which registers an opener)
from synthetic.base.streams import seed_of
from synthetic.lookup import find_source
from synthetic.source import Source, World
from workbench.interop import load
from workbench.metrics import evaluate
from workbench.sae import SAE, Latents, Pass, register, squared_error
from workbench.training import loop
from workbench.training.config import TrainConfig
from workbench.training.loop import Progress, Record
from workbench.variants import create, variant_shelf

__all__ = [
    "SAE",
    "Latents",
    "Pass",
    "create",
    "find_source",
    "load",
    "register",
    "squared_error",
    "train",
    "variant_shelf",
]


def train(
    sae: SAE,
    world: Source,
    config: TrainConfig | None = None,
    *,
    seed: int | np.integer = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    score: Callable[[SAE], dict[str, Any]] | None = None,
) -> list[Record]:
    """Train a stack in place on fresh samples of a world, or on a store; all members see the same batches.

    The same config and seed give the same bits. However training ends, by itself, by an error or by Ctrl-C, the SAE is
    then in evaluation mode and has its own k. See `workbench.training.loop.train`.

    Args:
        sae: an SAE or a stack, on the device to train on.
        world: where activations come from.
        config: settings; defaults where None.
        seed: of the data.
        checkpoint: file to keep the run's state in, every `config.checkpoint_every` steps and at the end.
        resume: continue from `checkpoint` if it exists; the result has the same bits as an unbroken run.
        on_step: called after each step, for progress display or `Snapshots`.
        score: what an evaluation measures; every metric of the shelf on `world` where None.

    Returns:
        Records at each evaluation and at the end: the losses of that step's batch, and metrics.
    """
    if score is None and isinstance(world, World):
        samples = (config or TrainConfig()).evaluation_samples
        score = partial(evaluate, source=world, n=samples, seed=seed_of("train.seed", seed))
    return loop.train(sae, world, config, seed=seed, checkpoint=checkpoint, resume=resume, on_step=on_step, score=score)
