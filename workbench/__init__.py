"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

from synthetic.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "workbench.sae": ("SAE", "Latents", "Pass", "create", "load", "register", "squared_error", "variant_shelf"),
        "workbench.training.config": ("Diverged", "TrainConfig"),
        "workbench.training.loop": ("train",),
        "workbench.metrics": ("evaluate", "null"),
        "workbench.planted": ("ceiling", "oracle"),
        "workbench.identifiability.report": ("concept_report",),
        "workbench.identifiability.regression": ("NotIdentifiable",),
        "workbench.recipes": ("RECIPES", "Recipe", "recipe"),
        "synthetic.world": ("Codes",),
        "synthetic.errors": ("must",),
    },
)
