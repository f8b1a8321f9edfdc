"""The training loop: plain, one batch for the whole stack, no step of one member touching another."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.errors import must
from synthetic.streams import stream
from synthetic.world import World, must_be_finite
from workbench.machine import keep_freed_memory
from workbench.metrics import evaluate
from workbench.sae import SAE, Pass
from workbench.settings import plain
from workbench.sparsifiers import fired
from workbench.training.checkpoint import identity, load_checkpoint, save_checkpoint
from workbench.training.config import Diverged, TrainConfig
from workbench.training.optimiser import Optimiser
from workbench.training.revival import aux_k_loss, resample
from workbench.training.sources import Source, training_batch

_MOMENT_SAMPLES = 8192  # samples behind E[x] and E|x|^2

Record = dict[str, Any]
"""Step, samples, seconds of training, loss terms, metrics after an evaluation: numbers, or lists by member."""


@dataclass
class Progress:
    """What a caller may show while a run goes on."""

    step: int
    steps: int
    record: Record


def train(
    sae: SAE,
    world: Source,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    score: Callable[[SAE], dict[str, Any]] | None = None,
) -> list[Record]:
    """Train a stack in place on fresh samples of a world, or on a store; all members see the same batches.

    Batch t is a function of (seed, "train", t); the moments of x come from stream "moments", evaluations from
    "evaluate", initial weights from "init", so none share samples.

    Args:
        sae: an SAE or a stack, on the device to train on.
        world: where activations come from, a world or `workbench.lm.activations.Activations`.
        config: settings; defaults where None.
        seed: of the data.
        checkpoint: file to keep the run's state in, every `config.checkpoint_every` steps and at the end.
        resume: continue from `checkpoint` if it exists; the result has the same bits as an unbroken run.
        on_step: called after each step, for progress display.
        score: what an evaluation measures; every metric of the shelf on `world` where None.

    Returns:
        Records at each evaluation and at the end: the losses of that step's batch, and metrics.

    Raises:
        Diverged: a member's loss is not finite.
        ValueError: world and SAE do not fit, or the checkpoint belongs to another run.
    """
    config = config or TrainConfig()
    must(world.d == sae.d, "train.world", f"of dimension {sae.d}, the SAE's", world.d, "create the SAE with d=world.d")
    aux = not config.aux_k or sae.linear_pre
    must(
        aux,
        "TrainConfig.aux_k",
        f"0 for {sae.name}, whose latents are no function of m numbers",
        config.aux_k,
        "drop it",
    )
    if score is None and isinstance(world, World):
        score = partial(evaluate, world=world, n=config.evaluation_samples, seed=seed)
    known = score or not config.evaluations
    must(known, "train.score", "given for activations of unknown causes", "none", "pass it, or set evaluations=0")
    device = sae.W_dec.device
    optimiser = Optimiser(sae, config)
    about = identity(sae, config, world, seed)
    silent = torch.zeros(*sae.shape, sae.m, dtype=torch.long, device=device)
    final_k = _own_k(sae) if config.k_start is not None and isinstance(getattr(sae, "k", None), Tensor) else None
    start, records, spent = 0, [], 0.0
    path = Path(checkpoint) if checkpoint else None
    if resume and path is not None and path.exists():
        silent, saved = load_checkpoint(path, sae, optimiser.adam, about)
        start, records, spent = saved["step"], saved["records"], saved["seconds"]
    else:
        match_moments(sae, world, config, seed)
    finite: dict[str, Any] = {}
    clock = time.perf_counter() - spent
    evaluate_at = config.evaluate_at()
    keep_freed_memory()
    sae.train()
    for step in range(start, config.steps):
        if final_k is not None:
            _anneal_k(sae, final_k, config, step)
        x = training_batch(world, config.batch, seed, step, device) * sae.scale
        out, terms = gradients(sae, x, silent >= config.dead_after, config, step, finite)
        finite = {"step": step, **terms}
        optimiser.step(config.rate_at(step))
        sae.finish_step(out)
        silent = torch.where(fired(out.codes, sae.m), 0, silent + 1)
        done = step + 1
        if config.resample_every and done % config.resample_every == 0 and done < config.steps:
            dead = silent >= config.dead_after
            resample(sae, out, dead, optimiser.adam, seed, step)
            silent = torch.where(dead, 0, silent)
        if done in evaluate_at or done == config.steps:
            seconds = time.perf_counter() - clock
            record: Record = {"step": done, "samples": done * config.batch, "seconds": seconds}
            record |= {f"loss/{name}": plain(t) for name, t in terms.items()}
            if score and done in evaluate_at:
                record |= {name: plain(value) for name, value in score(sae).items()}
                clock = time.perf_counter() - seconds  # evaluation is not training time
            records.append(record)
        if path is not None and (done == config.steps or done % (config.checkpoint_every or config.steps) == 0):
            state = {"step": done, "records": records, "seconds": time.perf_counter() - clock}
            save_checkpoint(path, sae, optimiser.adam, silent, about, state)
        if on_step is not None:
            on_step(Progress(done, config.steps, records[-1] if records else {}))
    sae.eval()
    return records


def gradients(
    sae: SAE, x: Tensor, dead: Tensor, config: TrainConfig, step: int, finite: dict[str, Any] | None = None
) -> tuple[Pass, dict[str, Tensor]]:
    """Forward and backward pass of one step on inputs in the SAE's own units; gradients are left in the parameters.

    Raises:
        Diverged: a loss is not finite; `finite` are the last terms that were.
    """
    with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
        out = sae.trace(x)
        terms = _terms(sae, out, dead, config)
    warm = config.penalty_at(step)
    total = torch.stack([t * warm if name in sae.penalties else t for name, t in terms.items()]).sum(0)
    if not bool(total.isfinite().all()):
        _explain(total, x, step, finite or {})
    total.sum().backward()
    return out, terms


def _terms(sae: SAE, out: Pass, dead: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """The variant's own loss terms, and AuxK."""
    terms = sae.loss(out.x, out)
    if config.aux_k and bool(dead.any()):
        terms["aux_k"] = config.aux_weight * aux_k_loss(sae, out, dead, config.aux_k)
    return terms


@torch.no_grad()
def match_moments(sae: SAE, world: Source, config: TrainConfig, seed: int) -> None:
    """Set a fresh SAE's scale to E|x * scale|^2 = d and its b_dec to E[x]; leave one that was trained or loaded."""
    if float(sae.scale) != 1 or bool((sae.b_dec != 0).any()):
        return
    x = world.sample(_MOMENT_SAMPLES, stream(seed, "moments", 0, sae.W_dec.device)).x
    must_be_finite(x)
    if config.normalise:
        sae.scale.copy_((sae.d / x.double().square().sum(-1).mean()).sqrt().float())
    if config.centre and "b_dec" not in sae.frozen:
        sae.b_dec.copy_((x.mean(0) * sae.scale).expand_as(sae.b_dec))


def _own_k(sae: SAE) -> Tensor:
    """The variant's k as it was set, wherever an interrupted annealing left `sae.k`."""
    return torch.from_numpy(np.broadcast_to(np.asarray(sae.settings["k"]), sae.shape).copy()).to(sae.get_buffer("k"))


@torch.no_grad()
def _anneal_k(sae: SAE, final: Tensor, config: TrainConfig, step: int) -> None:
    last = config.k_anneal * config.steps - 1
    left = max(0.0, 1 - step / last) if last > 0 else 0.0
    k = final + ((config.k_start or 0.0) - final) * left
    sae.get_buffer("k").copy_(k.clamp_max(sae.m) if final.is_floating_point() else k.round().clamp(1, sae.m))


def _explain(total: Tensor, x: Tensor, step: int, finite: dict[str, Any]) -> None:
    must_be_finite(x)
    whom = f" for members {(~total.isfinite()).nonzero().tolist()}" if total.ndim else ""
    last = {name: plain(value) for name, value in finite.items()} or "none yet"
    raise Diverged(
        f"train.loss must be finite; got {total[~total.isfinite()][0].item()} at step {step}{whom}; "
        f"last finite record: {last}: lower lr or the sparsity coefficient, or set clip."
    )
