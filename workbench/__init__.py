"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

from synthetic.base.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "workbench.public": (
            "SAE",
            "Latents",
            "Pass",
            "create",
            "find_source",
            "load",
            "register",
            "squared_error",
            "variant_shelf",
        ),
        "workbench.training.config": ("Diverged", "TrainConfig"),
        "workbench.training.scored": ("train",),
        "workbench.metrics": ("evaluate", "null"),
        "workbench.metrics.shelf": ("metric",),
        "workbench.training.ceiling": ("ceiling", "oracle"),
        "workbench.topics.concepts.report": ("concept_report",),
        "workbench.topics.concepts.regression": ("NotIdentifiable",),
        "workbench.training.recipes": ("RECIPES", "Recipe", "recipe"),
        "synthetic.source": ("Codes", "world"),
        "synthetic.rows": ("rows",),
        "synthetic.base.errors": ("must",),
    },
)
