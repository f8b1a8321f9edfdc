"""Metrics: what was recovered, beside chance and ceiling. One family a file; a new file here is on the shelf."""

import importlib
import pkgutil
from typing import Any

import numpy as np
import torch

from synthetic.base.defaults import torch_defaults
from synthetic.base.errors import must
from synthetic.base.streams import seed_of, stream
from synthetic.rows import as_source
from synthetic.source import World
from workbench.metrics.evidence import Evidence, collect
from workbench.metrics.shelf import METRICS, Metric
from workbench.sae import SAE

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "Evidence", "Metric", "collect", "evaluate", "null"]


@torch_defaults()
def evaluate(sae: SAE, world: Any, n: int = 100_000, seed: int = 1) -> dict[str, Any]:
    """Every metric of the shelf on n fresh samples (stream "evaluate" of `seed`, never seen in training).

    `world` is a world or its name.

    Returns:
        metric name -> a float, or an array of the stack's shape. Names ending in `_null` are chance levels.

    Raises:
        ValueError: the SAE's width is not the world's, or a parameter is not finite.
    """
    must(n >= 1, "evaluate.n", "at least 1", n, "draw some samples")
    world = as_source(world)
    seed = seed_of("evaluate.seed", seed)
    must(world.d == sae.d, "evaluate.world", f"of dimension {sae.d}, the SAE's", world.d, "pass the SAE's own world")
    for name, parameter in sae.named_parameters():
        good = bool(parameter.isfinite().all())
        must(good, f"evaluate.sae.{name}", "finite", "NaN or inf", "the training diverged; load an earlier checkpoint")
    members = [
        {k: v for kind in METRICS if kind.needs(evidence) for k, v in kind.measure(evidence).items()}
        for evidence in collect(sae, world, n, seed)
    ]
    if not sae.shape:
        return members[0]
    return {name: np.array([m[name] for m in members]).reshape(sae.shape) for name in members[0]}


@torch_defaults()
def null(sae: SAE, world: World, n: int = 20_000, seed: int = 1, draws: int = 4) -> dict[str, tuple[float, float]]:
    """Chance level of every metric: mean and sd over `draws` untrained SAEs of the same class, shape and settings.

    Weights are fresh, b_dec is E[x], running thresholds see one training batch. A stack's first member is the model.
    """
    settings = {name: _first(v) for name, v in sae.settings.items()}
    fresh = type(sae)(sae.d, sae.m, seed=[10_000 + i for i in range(draws)], **settings)
    x = world.sample(4096, stream(seed, "null/batch")).x
    with torch.no_grad():
        fresh.scale.copy_(sae.scale)
        if "b_dec" not in fresh.frozen:
            fresh.b_dec.copy_((x.mean(0) * fresh.scale).expand_as(fresh.b_dec))
        rows = fresh.W_dec.clone()
        fresh.train()
        fresh.finish_step(fresh.trace(fresh.own_units(x)))
        fresh.W_dec.copy_(rows)  # some variants learn in that step
    scores = evaluate(fresh, world, n, seed)
    return {name: (float(v.mean()), float(v.std())) for name, v in scores.items()}


def _first(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0]
    return value
