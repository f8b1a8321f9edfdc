"""Small trained stacks on the toy tree of concepts that a claim of pursuit measures: each is trained once a process."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import torch

from synthetic.worlds.hierarchy import concept_tree
from workbench import TrainConfig, create, train
from workbench.metrics import collect
from workbench.metrics.levels import levels
from workbench.parts import pursuit

SEEDS = (0, 1, 2)
"""of initial weights; a stack of these shares its batches"""
RIVALS: dict[str, dict[str, Any]] = {"relu": {"l1": 0.3}, "batch_topk": {"k": 1.36}, "matryoshka": {"k": 1.36}}
"""settings that end near the true mean of 1.36 active features"""
_PLAIN: dict[str, Any] = {"batch": 200, "lr": 3e-2, "betas": (0.5, 0.9375), "centre": False}


@dataclass(frozen=True)
class Toy:
    """One member of the stacks trained on one toy tree."""

    seed: int = 0
    rho: float = 0.3
    """inner product of siblings"""
    sd: float = 0.25
    """of the magnitudes, whose mean is 1.5"""
    stops: bool = True
    """pursuit stops where |r| is small or a row comes again, after 4 steps at most; else after 2"""
    steps: int = 500

    def __str__(self) -> str:
        new = [f"{f.name} = {getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(new) or "as it is"

    def figures(self, name: str) -> tuple[float, float]:
        """flat_mse and hier_mse of a variant."""
        world, settings = (self.rho, self.sd), RIVALS.get(name)
        if settings is None:
            stop = {"k": 4, "tol": 0.126, "stop_on_repeat": True} if self.stops else {"k": 2}
            settings = {"select": "relu", **stop}
        return _trained(name, tuple(settings.items()), world, self.steps, pursuit.matching_pursuit)[self.seed]


@lru_cache(maxsize=32)
def _trained(
    name: str, settings: tuple[tuple[str, Any], ...], world: tuple[float, float], steps: int, _: Callable
) -> list[tuple[float, float]]:
    """Figures of a stack trained with the pursuit named last, as `parts.pursuit` has it now."""
    rho, sd = world
    tree = concept_tree(rho, sd=sd)
    sae = create(name, tree.d, tree.n_true, seed=list(SEEDS), **dict(settings))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(sae, tree, TrainConfig(steps=steps, **_PLAIN))
        found = [levels(evidence) for evidence in collect(sae, tree, 4000, seed=0)]
    finally:
        torch.set_num_threads(threads)
    return [(float(values["flat_mse"]), float(values["hier_mse"])) for values in found]
