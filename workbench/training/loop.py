"""The training loop: plain, one batch for the whole stack, no step of one member touching another."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.streams import stream
from synthetic.world import World, must
from workbench.sae import SAE, Pass
from workbench.training.checkpoint import identity, load_checkpoint, save_checkpoint
from workbench.training.config import TrainConfig
from workbench.training.revival import aux_k_loss, fired, resample

_MOMENT_SAMPLES = 8192  # samples behind E[x] and E|x|^2

Record = dict[str, Any]
""""step", "samples", "seconds", loss terms and, after an evaluation, metrics: numbers, or lists of one a member"""


class Diverged(RuntimeError):  # noqa: N818
    """A loss stopped being finite; says at which step, for which members, and the last finite record."""


@dataclass
class Progress:
    """What a caller may show while a run goes on."""

    step: int
    steps: int
    record: Record


def train(
    sae: SAE,
    world: World,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
) -> list[Record]:
    """Train a stack in place on fresh samples of a world; all members see the same batches.

    Batch t is a function of (seed, "train", t); the moments of x come from stream "moments", evaluations from
    "evaluate", initial weights from "init", so none share samples.

    Args:
        sae: an SAE or a stack, on the device to train on.
        world: where activations come from.
        config: settings; defaults where None.
        seed: of the data.
        checkpoint: file to keep the run's state in, every `config.checkpoint_every` steps and at the end.
        resume: continue from `checkpoint` if it exists; the result has the same bits as an unbroken run.
        on_step: called after each step, for progress display.

    Returns:
        Records: losses (means since the last record) and metrics at each evaluation, and one at the end.

    Raises:
        Diverged: a member's loss is not finite.
        ValueError: world and SAE do not fit, or the checkpoint belongs to another run.
    """
    config = config or TrainConfig()
    must(world.d == sae.d, "train.world", f"of dimension {sae.d}, the SAE's", world.d, "create the SAE with d=world.d")
    device = sae.W_dec.device
    optimised = [p for name, p in sae.named_parameters() if name not in sae.frozen]
    rates = np.broadcast_to(np.asarray(config.lr, dtype=np.float64), sae.shape)
    adam = torch.optim.Adam(optimised, lr=1.0, betas=config.betas, fused=True)
    own_rate = torch.tensor(rates / rates.max(), dtype=torch.float32, device=device) if np.ptp(rates) else None
    about = identity(sae, config, seed)
    silent = torch.zeros(*sae.shape, sae.m, dtype=torch.long, device=device)
    final_k = sae.k.clone() if config.k_start is not None and isinstance(getattr(sae, "k", None), Tensor) else None
    start, records, spent = 0, [], 0.0
    path = Path(checkpoint) if checkpoint else None
    if resume and path is not None and path.exists():
        silent, saved = load_checkpoint(path, sae, adam, about)
        start, records, spent = saved["step"], saved["records"], saved["seconds"]
    else:
        _match_moments(sae, world, config, seed)
    clock = time.perf_counter() - spent
    evaluate_at = config.evaluate_at()
    sae.train()
    for step in range(start, config.steps):
        x = world.sample(config.batch, stream(seed, "train", step, device)).x * sae.scale
        if final_k is not None:
            _anneal_k(sae, final_k, config, step)
        out = sae.trace(x)
        terms = sae.loss(x, out)
        dead = silent >= config.dead_after
        if config.aux_k and bool(dead.any()):
            terms["aux_k"] = config.aux_weight * _per_member(sae, out) * aux_k_loss(sae, out, dead, config.aux_k)
        warm = config.penalty_at(step)
        total = torch.stack([t * warm if name in sae.penalties else t for name, t in terms.items()]).sum(0)
        if not bool(total.isfinite().all()):
            _explain(total, x, step, records)
        total.sum().backward()
        sae.remove_radial_gradient()
        if config.clip is not None:
            _clip(optimised, config.clip, len(sae.shape))
        _step(adam, optimised, float(rates.max()) * config.rate_at(step), own_rate)
        sae.finish_step(out)
        silent = torch.where(fired(out.codes, sae.m), 0, silent + 1)
        if config.resample_every and (step + 1) % config.resample_every == 0 and step + 1 < config.steps:
            resample(sae, out, silent >= config.dead_after, adam, seed, step)
            silent = torch.where(silent >= config.dead_after, 0, silent)
        done = step + 1
        if done in evaluate_at or done == config.steps:
            sae.eval()
            record: Record = {"step": done, "samples": done * config.batch, "seconds": time.perf_counter() - clock}
            record |= {f"loss/{name}": _plain(t) for name, t in terms.items()}
            if done in evaluate_at:
                from workbench.metrics import evaluate  # loaded only where metrics are wanted

                record |= {
                    name: _plain(v) for name, v in evaluate(sae, world, n=config.evaluation_samples, seed=seed).items()
                }
            sae.train()
            records.append(record)
        if path is not None and (
            done == config.steps or (config.checkpoint_every and done % config.checkpoint_every == 0)
        ):
            state = {"step": done, "records": records, "seconds": time.perf_counter() - clock}
            save_checkpoint(path, sae, adam, silent, about, state)
        if on_step is not None:
            on_step(Progress(done, config.steps, records[-1] if records else {}))
    sae.eval()
    return records


@torch.no_grad()
def _match_moments(sae: SAE, world: World, config: TrainConfig, seed: int) -> None:
    x = world.sample(_MOMENT_SAMPLES, stream(seed, "moments", 0, sae.W_dec.device)).x
    _finite_inputs(x)
    if config.normalise:
        sae.scale.copy_((sae.d / x.double().square().sum(-1).mean()).sqrt().float())
    if config.centre and "b_dec" not in sae.frozen:
        sae.b_dec.copy_((x.mean(0) * sae.scale).expand_as(sae.b_dec))


def _finite_inputs(x: Tensor) -> None:
    bad = ~x.isfinite().all(-1)
    must(not bool(bad.any()), "world.x", "finite", f"{int(bad.sum())} rows with NaN or inf", "repair the data source")


def _per_member(sae: SAE, out: Pass) -> Tensor:
    """The main error, detached: AuxK is weighted against it, so that the weight has no unit."""
    return (out.x - out.x_hat).square().sum(-1).mean(-1).detach()


@torch.no_grad()
def _anneal_k(sae: SAE, final: Tensor, config: TrainConfig, step: int) -> None:
    left = max(0.0, 1 - step / max(1.0, config.k_anneal * config.steps))
    k = final + ((config.k_start or 0.0) - final) * left
    sae.k.copy_((k.round() if not final.is_floating_point() else k).clamp(1, sae.m))


@torch.no_grad()
def _clip(parameters: list[Tensor], limit: float, stack_axes: int) -> None:
    """Scale each member's gradient to norm at most `limit`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares = [g.square().reshape(*g.shape[:stack_axes], -1).sum(-1) for g in gradients]
    factor = (limit / (torch.stack(squares).sum(0).sqrt() + 1e-6)).clamp_max(1.0)
    for g in gradients:
        g *= factor.view(*factor.shape, *[1] * (g.ndim - stack_axes))


@torch.no_grad()
def _step(adam: torch.optim.Optimizer, parameters: list[Tensor], rate: float, own: Tensor | None) -> None:
    """One Adam step at `rate` times each member's `own` share. Adam's state does not depend on the rate."""
    before = None if own is None else [p.detach().clone() for p in parameters]
    adam.param_groups[0]["lr"] = rate
    adam.step()
    adam.zero_grad(set_to_none=True)
    if own is not None and before is not None:
        for p, old in zip(parameters, before, strict=True):
            p.copy_(old.lerp(p, own.view(*own.shape, *[1] * (p.ndim - own.ndim))))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _explain(total: Tensor, x: Tensor, step: int, records: list[Record]) -> None:
    _finite_inputs(x)
    bad = (~total.isfinite()).nonzero().tolist()
    last = records[-1] if records else "none yet"
    raise Diverged(
        f"train.loss must be finite; got {total[~total.isfinite()][0].item()} at step {step} for members {bad}; "
        f"last finite record: {last}: lower lr or the sparsity coefficient, or set clip."
    )
