"""Worlds: activations whose causes are known."""

import importlib
from typing import Any

_HOMES = {
    "world": ("Batch", "Codes", "GroundTruth", "World"),
    "streams": ("stream",),
    "mixture": ("SparseMixture",),
    "storage": ("knob", "load_world", "save_world"),
    "rates": ("Constant", "Linear", "RandomRates", "Scaled", "StretchedZipf", "Zipf"),
    "firing": ("ExactlyK", "Exclusive", "Independent"),
    "copula": ("Copula", "LatentCorrelation", "LowRankCopula", "Phi"),
    "hierarchy": ("Forest",),
    "magnitudes": (
        "ConstantMagnitude",
        "Exponential",
        "FoldedNormal",
        "LogNormal",
        "PerFeature",
        "SharedGain",
        "Signed",
        "Uniform",
    ),
    "noise": ("Coloured", "Isotropic", "NoNoise"),
    "directions": (
        "Antipodal",
        "CommonMean",
        "Cone",
        "Duplicates",
        "Given",
        "Orthonormal",
        "RandomSphere",
        "Simplex",
        "TightFrame",
    ),
    "low_coherence": ("LowCoherence", "Orthogonalised"),
    "presets": ("preset",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that importing the package costs nothing."""
    if name == "presets":
        return importlib.import_module("synthetic.presets")
    if name not in _HOME:
        raise AttributeError(f"module 'synthetic' has no attribute {name!r}")
    return getattr(importlib.import_module(f"synthetic.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, "presets"])
