"""Training that is scored by every metric of the shelf."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthetic.base.streams import seed_of
from synthetic.rows import as_source
from workbench.metrics import evaluate
from workbench.metrics.evidence import truth_of
from workbench.sae import SAE
from workbench.training import loop
from workbench.training.config import TrainConfig
from workbench.training.loop import Progress, Record
from workbench.training.recipes import tuned


def train(
    sae: SAE,
    source: Any,
    config: TrainConfig | None = None,
    *,
    seed: int | np.integer = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    score: Callable[[SAE], dict[str, Any]] | None = None,
) -> list[Record]:
    """Train a stack in place on fresh samples of a world, or on rows; all members see the same batches.

    The same config and seed give the same bits. However training ends, by itself, by an error or by Ctrl-C, the SAE is
    then in evaluation mode and has its own k. See `workbench.training.loop.train`.

    Args:
        sae: an SAE or a stack, on the device to train on.
        source: where activations come from: a world or its name, a store, or what `workbench.rows` takes, as a tensor,
            an array, a DataLoader or an iterator.
        config: settings; those of `tuned` where None.
        seed: of the data.
        checkpoint: file to keep the run's state in, every `config.checkpoint_every` steps and at the end.
        resume: continue from `checkpoint` if it exists; the result has the same bits as an unbroken run. The run may
            have been one of fewer steps: it goes on by the longer schedule, and has other bits where that one's first
            steps differ (`TrainConfig.unlike`).
        on_step: called after each step, for a display of the caller's own or `Snapshots`; where None a bar shows what
            takes more than two seconds, on a terminal and in a notebook.
        score: what an evaluation measures; every metric of the shelf on a world where None.

    Returns:
        Records at each evaluation and at the end: the losses of that step's batch, and metrics.
    """
    source = as_source(source)
    config = config or tuned(sae)
    if score is None and config.evaluations and truth_of(source) is not None:
        samples = config.evaluation_samples
        score = partial(evaluate, source=source, n=samples, seed=seed_of("train.seed", seed))
    return loop.train(
        sae, source, config, seed=seed, checkpoint=checkpoint, resume=resume, on_step=on_step, score=score
    )
