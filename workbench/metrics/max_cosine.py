"""Mean max cosine, from features to latents and back."""

from statistics import fmean

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import random_geometries
from workbench.metrics.shelf import Values, metric


@metric(mmcs_features=1.0, mmcs_latents=1.0, mmcs_features_null=None, mmcs_latents_null=None)
def max_cosine(evidence: Evidence) -> Values:
    """Mean over features of the largest |cos| to a latent; mean over latents of the largest |cos| to a feature.

    Not one-to-one: copies score. Source: Sharkey et al. (2022), mean max cosine similarity.
    """
    chance = random_geometries(len(evidence.decoder), evidence.truth.features)
    return {
        "mmcs_features": float(evidence.geometry.best_absolute.mean()),
        "mmcs_latents": float(evidence.geometry.nearest_cosine.mean()),
        "mmcs_features_null": fmean(float(g.best_absolute.mean()) for g in chance),
        "mmcs_latents_null": fmean(float(g.nearest_cosine.mean()) for g in chance),
    }
