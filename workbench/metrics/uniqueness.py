"""How many different features the latents point at."""

from statistics import fmean

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import random_geometries
from workbench.metrics.shelf import Values, metric


@metric(uniqueness=1.0, uniqueness_null=None)
def uniqueness(evidence: Evidence) -> Values:
    """Distinct nearest features of live latents, over min(live latents, n_true); 0 without live latents. Source: ours.

    Null: as many random directions.
    """
    features = evidence.truth.features
    most = max(1, min(int(evidence.live.sum()), len(features)))
    distinct = len(evidence.geometry.nearest[evidence.live].unique())
    size = min(len(evidence.decoder), len(features))
    chance = fmean(len(g.nearest.unique()) / size for g in random_geometries(len(evidence.decoder), features))
    return {"uniqueness": distinct / most, "uniqueness_null": chance}
