"""Do other seeds find the same directions?"""

from statistics import fmean

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import match, random_geometries
from workbench.metrics.shelf import Values, anywhere, metric, only_if


@metric(consistency=1.0, consistency_null=None)
@only_if(lambda evidence: bool(evidence.others))
@anywhere
def consistency(evidence: Evidence) -> Values:
    """Mean MCC between this decoder and those of the stack's members that differ in seed alone; null: random rows.

    Source: Song et al. (2025), arXiv 2505.20254 (pairwise dictionary MCC).
    """
    found = []
    for index, other in evidence.others.items():
        pair = (min(index, evidence.index), max(index, evidence.index))
        if pair not in evidence.agreement:
            evidence.agreement[pair] = match(evidence.decoder, other).mean_matched
        found.append(evidence.agreement[pair])
    first = next(iter(evidence.others.values())).float()
    chance = fmean(g.mean_matched for g in random_geometries(len(evidence.decoder), first))
    return {"consistency": fmean(found), "consistency_null": chance}
