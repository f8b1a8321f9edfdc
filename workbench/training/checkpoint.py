"""Checkpoints: everything a run needs to go on with the same bits, in one file that is replaced whole."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synthetic.storage import read, read_tensors, to_json, write_tensors
from workbench.sae import SAE
from workbench.training.config import TrainConfig
from workbench.training.sources import Source

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def identity(sae: SAE, config: TrainConfig, world: Source, seed: int) -> dict[str, Any]:
    """What must agree for a checkpoint to be continued; a world by its class and a hash of its settings."""
    plain = {"variant": sae.name, "d": sae.d, "m": sae.m, "init_seed": sae.seed, "settings": sae.settings_now()}
    plain["frozen"] = list(sae.frozen)
    settings = json.dumps(to_json(world), default=lambda other: type(other).__name__)
    name = f"{type(world).__name__}-{hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()}"
    return json.loads(json.dumps({**plain, "config": asdict(config), "world": name, "seed": seed}))


def save_checkpoint(
    path: Path,
    sae: SAE,
    adam: torch.optim.Optimizer,
    silent: Tensor,
    about: dict[str, Any],
    progress: dict[str, Any],
) -> None:
    """Write parameters, buffers, Adam's moments, dead counters and the place in every random stream.

    Streams are functions of (seed, name, step), so (seed, step) is the whole state of the random numbers.
    """
    tensors = {f"sae.{name}": value for name, value in sae.state_dict().items()} | {"silent": silent}
    for name, parameter in sae.named_parameters():
        for moment in _MOMENTS:
            if moment in adam.state.get(parameter, {}):
                tensors[f"adam.{name}.{moment}"] = adam.state[parameter][moment]
    write_tensors(path, tensors, {"about": json.dumps(about), "progress": json.dumps(progress)})


def load_checkpoint(
    path: Path, sae: SAE, adam: torch.optim.Optimizer, about: dict[str, Any]
) -> tuple[Tensor, dict[str, Any]]:
    """Restore what `save_checkpoint` wrote; refuse a checkpoint of another run."""
    tensors, metadata = read(path, read_tensors, "checkpoint")
    saved = json.loads(metadata["about"])
    differing = [name for name in about if saved.get(name) != about[name]]
    if differing:
        name = differing[0]
        raise ValueError(
            f"checkpoint.{name} must be that of the run, {about[name]}; got {saved.get(name)}: "
            "resume with the settings it was started with, or start anew."
        )
    sae.load_state_dict({name[4:]: value for name, value in tensors.items() if name.startswith("sae.")})
    for name, parameter in sae.named_parameters():
        state = {m: tensors[f"adam.{name}.{m}"] for m in _MOMENTS if f"adam.{name}.{m}" in tensors}
        if state:
            adam.state[parameter] = {moment: _laid_out(value, parameter) for moment, value in state.items()}
    return tensors["silent"].to(sae.W_dec.device), json.loads(metadata["progress"])


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """A moment in its parameter's own memory order, which fused Adam takes for granted; the step count as it is."""
    return torch.empty_like(like).copy_(value) if value.shape == like.shape and value.ndim else value.to(like.device)
