"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

import importlib
from typing import Any

_HOMES = {
    "workbench.sae": ("SAE", "Latents", "Pass", "create", "load", "register", "squared_error", "variant_shelf"),
    "workbench.training.config": ("Diverged", "TrainConfig"),
    "workbench.training.loop": ("train",),
    "workbench.metrics": ("evaluate", "null"),
    "workbench.planted": ("ceiling", "oracle"),
    "synthetic.world": ("Codes",),
    "synthetic.errors": ("must",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing the package costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
