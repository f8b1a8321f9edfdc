"""Do other seeds find the same directions?"""

from statistics import fmean

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import match, random_geometries
from workbench.metrics.shelf import Values, metric, only_if


@metric(consistency=1.0, consistency_null=None)
@only_if(lambda evidence: bool(evidence.others))
def consistency(evidence: Evidence) -> Values:
    """Mean MCC between this decoder and those of the stack's members that differ in seed alone; null: random rows.

    Source: Song et al. (2025), arXiv 2505.20254 (pairwise dictionary MCC).
    """
    return {
        "consistency": fmean(match(evidence.decoder, other).mean_matched for other in evidence.others),
        "consistency_null": fmean(
            g.mean_matched for g in random_geometries(len(evidence.decoder), evidence.others[0].float())
        ),
    }
