"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

from synthetic.base.lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    {
        "workbench.public": (
            "SAE",
            "Latents",
            "Pass",
            "ceiling",
            "create",
            "find_source",
            "load",
            "oracle",
            "recipe",
            "register",
            "squared_error",
            "train",
            "variant_shelf",
        ),
        "workbench.training.config": ("Diverged", "TrainConfig"),
        "workbench.metrics": ("Scores", "evaluate", "null"),
        "workbench.metrics.features": ("features", "latents"),
        "workbench.metrics.shelf": ("anywhere", "metric", "only_if"),
        "workbench.study.feature_figure": ("feature_figure",),
        "workbench.training.two_by_two": ("two_by_two",),
        "workbench.training.snapshots": ("Snapshots",),
        "workbench.topics.concepts.report": ("concept_report",),
        "workbench.topics.concepts.regression": ("NotIdentifiable",),
        "workbench.training.recipes": ("RECIPES", "Recipe"),
        "synthetic.source": ("Codes", "world"),
        "synthetic.rows": ("rows",),
        "synthetic.base.errors": ("must",),
    },
)
