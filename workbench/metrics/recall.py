"""Features recovered: found by some latent to within a cosine."""

from statistics import fmean

from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import Geometry, random_geometries
from workbench.metrics.shelf import Values, metric

LEVELS = {"recall@.9": 0.9, "recall@.8": 0.8}


def best(geometry: Geometry, symmetries: tuple[str, ...]) -> Tensor:
    """Largest cosine of any latent with each feature: signed, but |cos| where the world itself has no sign."""
    return geometry.best_absolute if "sign" in symmetries else geometry.best_signed


def matched(geometry: Geometry) -> float:
    """Share of features whose own latent has |cos| >= .9 with them, whichever way it points."""
    return float((geometry.cosine_of.abs() >= LEVELS["recall@.9"]).double().mean())


@metric(**{"matched_recall@.9": 1.0, "matched_recall@.9_null": None})
def matched_recall(evidence: Evidence) -> Values:
    """Share of true features with |cos| >= .9 to their own decoder row, one row a feature; null: random directions.

    Source: ours; the assignment is that of MCC.
    """
    chance = random_geometries(len(evidence.decoder), evidence.truth.features)
    return {
        "matched_recall@.9": matched(evidence.geometry),
        "matched_recall@.9_null": fmean(matched(g) for g in chance),
    }


@metric(**{"recall@.9": 1.0, "recall@.8": 1.0, "recall@.9_null": None, "recall@.8_null": None})
def recall(evidence: Evidence) -> Values:
    """Share of true features with cos >= c to some decoder row (feature recovery rate, FRR); null: random directions.

    Source: bias-adaptation papers' FRR (arXiv 2506.14002), with signed cosines.
    """
    symmetries = evidence.truth.symmetries
    found = best(evidence.geometry, symmetries)
    chance = [best(g, symmetries) for g in random_geometries(len(evidence.decoder), evidence.truth.features)]
    values = {name: float((found >= c).double().mean()) for name, c in LEVELS.items()}
    return values | {
        f"{name}_null": fmean(float((b >= c).double().mean()) for b in chance) for name, c in LEVELS.items()
    }
