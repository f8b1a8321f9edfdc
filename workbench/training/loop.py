"""The training loop: plain, one batch for the whole stack, no step of one member touching another."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.progress import counted
from synthetic.base.streams import seed_of, stream
from synthetic.base.terminal import unbroken
from synthetic.rows import as_source
from synthetic.source import Source, must_be_finite, pairs_given, training_batch
from workbench.parts.base import Pass
from workbench.parts.objectives import aux_k_loss
from workbench.parts.sparsifiers import fired
from workbench.sae import SAE, must_fit
from workbench.settings import plain
from workbench.training.checkpoint import identity, load_checkpoint, save_checkpoint
from workbench.training.config import Diverged, TrainConfig
from workbench.training.machine import keep_freed_memory
from workbench.training.optimiser import Optimiser, spread
from workbench.training.revival import movable, resample, start_at_data
from workbench.training.row_norms import fold_row_norms

MOMENT_SAMPLES = 8192  # samples behind E[x] and E|x|^2

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
    source: Any,
    config: TrainConfig,
    *,
    seed: int | np.integer = 0,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    score: Callable[[SAE], dict[str, Any]] | None = None,
) -> list[Record]:
    """Train a stack in place on fresh samples of a world, or on rows; all members see the same batches.

    Batch t is a function of (seed, "train", t); the moments of x come from stream "moments", evaluations from
    "evaluate", initial weights from "init", so none share samples.

    Decoder rows that are not of norm 1 at the start, as in an SAE of another tool, are brought to it where that leaves
    x_hat as it is, and keep their norms elsewhere (`training.row_norms`): a step of size 0 changes nothing but what
    moves by data at a rate of the variant's own (running thresholds, bias controllers, LISTA's step length). However
    training ends, by itself, by an error or by Ctrl-C, the SAE is then in evaluation mode and has its own k.

    Arguments and records are those of `workbench.train`, which gives `score`: needed where `config.evaluations` is
    above 0.

    Raises:
        Diverged: a member's loss is not finite, in a step or after the last one before an evaluation, a checkpoint or
            the end. Members that diverged then have the parameters of the last such point before, or of the start.
        ValueError: source and SAE do not fit, the source has too few rows, or the checkpoint belongs to another run.
    """
    seed = seed_of("train.seed", seed)
    world: Source = as_source(source)
    must_fit("train.source", world, sae, "create the SAE with that d")
    lasting = not any(value.is_inference() for value in sae.state_dict().values())
    must(lasting, "train.sae", "made outside torch.inference_mode", "inference tensors", "make or load it outside")
    must_suit(sae, config)
    known = score or not config.evaluations
    must(known, "train.score", "given for activations of unknown causes", "none", "pass it, or set evaluations=0")
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller's mode is
        run = _Run(sae, world, config, seed, Path(checkpoint) if checkpoint else None, score)
        run.begin(resume)
        try:
            with nullcontext() if on_step else counted("training", "steps", after=2.0) as show:
                while run.done < config.steps:
                    run.step()
                    if show is not None:
                        show(run.done, config.steps)
                    elif on_step is not None:
                        on_step(Progress(run.done, config.steps, run.records[-1] if run.records else {}))
        finally:
            for name, value in sae.annealed.items():
                sae.tensor(name).copy_(value)
            sae.annealed = {}
            sae.zero_grad(set_to_none=True)
            sae.eval()
    return run.records


def must_suit(sae: SAE, config: TrainConfig) -> None:
    """Refuse what the SAE's parts cannot do."""
    aux = not config.aux_k or sae.has_evidence
    rule = f"0 for {sae.name}, whose encoder gives no pre-activations"
    must(aux, "TrainConfig.aux_k", rule, config.aux_k, "drop it")
    rule = f"False for {sae.name}, whose latents have no rows and columns of their own that training may turn"
    must(not config.data_start or movable(sae), "TrainConfig.data_start", rule, True, "drop it")


class _Run:
    """A training run: its place, and what it goes on from."""

    def __init__(
        self,
        sae: SAE,
        world: Source,
        config: TrainConfig,
        seed: int,
        path: Path | None,
        score: Callable[[SAE], dict[str, Any]] | None,
    ) -> None:
        self.sae, self.world, self.config, self.seed, self.path, self.score = sae, world, config, seed, path, score
        self.device = sae.W_dec.device
        self.optimiser = Optimiser(sae, config)
        self.about = identity(sae, config, world, seed) if path is not None else None
        self.silent = torch.zeros(*sae.shape, sae.m, dtype=torch.long, device=self.device)
        self.done, self.records = 0, []
        self.finite: dict[str, Any] = {}
        """loss terms of the last step"""
        self.evaluate_at = config.evaluate_at()

    def begin(self, resume: bool) -> None:
        """Load the checkpoint to resume, or match the moments of x."""
        sae, config, spent = self.sae, self.config, 0.0
        sae.zero_grad(set_to_none=True)  # a gradient of the caller's own is no part of the first step
        if resume and self.path is not None and self.about is not None and self.path.exists():
            self.silent, saved = load_checkpoint(self.path, sae, self.optimiser.adam, self.about)
            self.done, self.records, spent = saved["step"], saved["records"], saved["seconds"]
            fold_row_norms(sae)  # marks rows that have norms of their own
        else:
            with unbroken():
                fold_row_norms(sae)
            if self.about is not None:
                _ = self.about.probe  # while the source still has its first rows to give
            fresh = sae.fresh
            match_moments(sae, self.world, config, self.seed)
            if fresh and config.data_start:
                start_at_data(sae, self.world, self.seed)
        sae.rates = self.optimiser.rates
        for part in sae.parts:
            part.begin(config.steps)
        if config.k_start is not None and "k" in sae.settings:
            sae.annealed = {"k": sae.tensor("k").clone()}
            self.k_start = starts_of(config.k_start, sae)
        self.last = {name: value.clone() for name, value in sae.state_dict().items()}
        """parameters and buffers where they were last found finite"""
        self.clock = time.perf_counter() - spent
        keep_freed_memory()
        sae.train()

    def step(self) -> None:
        """One step, and what is due after it."""
        sae, config = self.sae, self.config
        if "k" in sae.annealed:
            _anneal_k(sae, sae.annealed["k"], self.k_start, config.annealing_at(self.done))
        given = training_batch(self.world, config.batch, self.seed, self.done, self.device, sae.W_dec.dtype)
        x, target = sae.scaled_pair(*given)
        dead = self.silent >= config.dead_after
        try:
            out, terms = gradients(sae, x, dead, config, self.done, self.finite, target)
        except Diverged as error:
            self._restore(error.members)
            raise
        self.finite = {"step": self.done, **terms}
        with unbroken():  # rows off the sphere, or half an update, would be taken for the user's own
            self._update(out)
        self._note(out, terms)

    def _update(self, out: Pass) -> None:
        """Move parameters, count silent latents, point dead ones elsewhere."""
        sae, config = self.sae, self.config
        self.optimiser.step(config.rate_at(self.done))
        sae.finish_step(out)
        self.silent = torch.where(fired(out.codes, sae.m), 0, self.silent + 1)
        self.done += 1
        if config.resample_every and self.done % config.resample_every == 0 and self.done < config.steps:
            dead = self.silent >= config.dead_after
            resample(sae, out, dead, self.optimiser.adam, self.seed, self.done - 1)
            self.silent = torch.where(dead, 0, self.silent)

    def _note(self, out: Pass, terms: dict[str, Tensor]) -> None:
        """Check, evaluate, record and save what is due after a step."""
        config, last = self.config, self.done == self.config.steps
        evaluated = self.done in self.evaluate_at
        saved = self.path is not None and (last or self.done % (config.checkpoint_every or config.steps) == 0)
        if last or evaluated or saved:
            self._check(out.x, out.target)
        if last or evaluated:
            seconds = time.perf_counter() - self.clock
            record: Record = {"step": self.done, "samples": self.done * config.batch, "seconds": seconds}
            record |= {f"loss/{name}": plain(t) for name, t in terms.items()}
            if self.score and evaluated:
                record |= {name: plain(value) for name, value in self.score(self.sae).items()}
                self.clock = time.perf_counter() - seconds  # evaluation is not training time
            self.records.append(record)
        if saved and self.path is not None and self.about is not None:
            state = {"step": self.done, "records": self.records, "seconds": time.perf_counter() - self.clock}
            save_checkpoint(self.path, self.sae, self.optimiser.adam, self.silent, self.about, state)

    @torch.no_grad()
    def _check(self, x: Tensor, target: Tensor) -> None:
        """Note parameters and buffers if they, and the loss that they give on the last batch, are finite.

        Raises:
            Diverged: they are not.
        """
        sae, config = self.sae, self.config
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
            total = torch.stack(list(sae.loss(sae.trace(x, target)).values())).sum(0)
        broken = ~total.isfinite()
        for parameter in sae.parameters():
            broken |= ~parameter.isfinite().flatten(len(sae.shape)).all(-1) if parameter.ndim else ~parameter.isfinite()
        if bool(broken.any()):
            self._restore(broken)
            _explain(torch.where(broken, torch.nan, total), x, target, self.done, self.finite)
        for name, value in sae.state_dict().items():
            self.last[name].copy_(value)

    @torch.no_grad()
    def _restore(self, broken: Bool[Tensor, "*s"]) -> None:
        """Give members that diverged what they had where they were last found finite."""
        for name, value in self.sae.state_dict().items():
            if name != "scale":
                value.copy_(torch.where(spread(broken, value), self.last[name], value))


def gradients(
    sae: SAE,
    x: Tensor,
    dead: Tensor,
    config: TrainConfig,
    step: int,
    finite: dict[str, Any] | None = None,
    target: Tensor | None = None,
) -> tuple[Pass, dict[str, Tensor]]:
    """Forward and backward pass of one step on inputs in the SAE's own units; gradients are left in the parameters.

    `target` is what they are to give, x itself where None.

    Raises:
        Diverged: a loss is not finite; `finite` are the last terms that were.
    """
    try:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
            out = sae.trace(x, target)
            terms = _terms(sae, out, dead, config)
    except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]  (a loss of singular values)
        _explain(torch.full(sae.shape, torch.nan), x, x if target is None else target, step, finite or {}, f"{error}")
    warm = config.penalty_at(step)
    warmed = sae.warmed
    total = torch.stack([t * warm if name in warmed else t for name, t in terms.items()]).sum(0)
    if not bool(total.isfinite().all()):
        _explain(total, x, out.target, step, finite or {})
    total.sum().backward()
    return out, terms


def _terms(sae: SAE, out: Pass, dead: Tensor, config: TrainConfig) -> dict[str, Tensor]:
    """The SAE's own loss terms, and AuxK."""
    terms = sae.loss(out)
    if config.aux_k and bool(dead.any()):
        terms["aux_k"] = config.aux_weight * aux_k_loss(out, dead, config.aux_k)
    return terms


@torch.no_grad()
def match_moments(sae: SAE, world: Source, config: TrainConfig, seed: int) -> None:
    """Set a fresh SAE's scale to E|x * scale|^2 = d and its b_dec to E[x]; leave one that was trained or loaded.

    Where the decoder maps, its targets y have a scale of their own, and b_dec is E[y].
    """
    if not sae.fresh:
        return
    drawn = world.sample(MOMENT_SAMPLES, stream(seed, "moments", 0, sae.W_dec.device))
    pair = pairs_given(drawn, MOMENT_SAMPLES, world)
    x, y = (rows.to(sae.W_dec.device, sae.W_dec.dtype) for rows in pair)
    must_be_finite(x)
    if config.normalise:
        sae.scale.copy_(_scale_of(x))
    if sae.decoder.maps:
        must_be_finite(y, "world.y")
        if config.normalise:
            sae.scale_out.copy_(_scale_of(y, "world.y"))
    if config.centre and "b_dec" not in sae.frozen:
        sae.b_dec.copy_((y.mean(0) * sae.out_scale).expand_as(sae.b_dec))
    sae.fresh = False


def _scale_of(x: Float[Tensor, "n d"], where: str = "world.x") -> Float[Tensor, ""]:
    """What rows are multiplied by for a mean square of 1 in each dimension."""
    size = x.double().square().sum(-1).mean()
    must(size > 0, where, "other than 0", f"{len(x)} rows of zeros", "repair the data source")
    scale = (x.shape[-1] / size).sqrt().float()
    normal = bool(scale.isfinite()) and float(scale) >= torch.finfo(scale.dtype).tiny
    square = f"E|{where[-1]}|^2 = {float(size):.3g}"
    must(normal, where, "of a size that float32 can rescale", square, "rescale the data")
    return scale


def starts_of(k_start: float | int | tuple[float, ...], sae: SAE) -> float | Float[Tensor, "*s"]:
    """Where the k of each member begins.

    Raises:
        ValueError: neither one number, nor one for each k that the stack was made with, nor one for each member.
    """
    if not isinstance(k_start, tuple):
        return float(k_start)
    given, members = np.shape(sae.settings["k"]), math.prod(sae.shape)
    shape = next((shape for shape in (given, sae.shape) if math.prod(shape) == len(k_start)), None)
    rule = f"one number, {math.prod(given)} for the k of {sae.name} as it was made, or {members} for its members"
    must(shape is not None, "TrainConfig.k_start", rule, k_start, "give as many")
    starts = np.broadcast_to(np.reshape(k_start, shape or ()), sae.shape).copy()
    return torch.from_numpy(starts).float().to(sae.W_dec.device)


@torch.no_grad()
def _anneal_k(sae: SAE, final: Tensor, start: float | Tensor, left: float) -> None:
    k = final + (start - final) * left
    sae.tensor("k").copy_(k.clamp_max(sae.m) if final.is_floating_point() else k.round().clamp(1, sae.m))


def _explain(total: Tensor, x: Tensor, y: Tensor, step: int, finite: dict[str, Any], said: str = "") -> NoReturn:
    must_be_finite(x)
    must_be_finite(y, "world.y")
    whom = f" for members {(~total.isfinite()).nonzero().tolist()}" if total.ndim else ""
    last = {name: plain(value) for name, value in finite.items()} or "none yet"
    error = Diverged(
        f"train.loss must be finite; got {said or total[~total.isfinite()][0].item()} at step {step}{whom}; "
        f"last finite record: {last}: lower lr or the sparsity coefficient, or set clip."
    )
    error.members = ~total.isfinite()
    raise error
