"""Mean correlation coefficient of decoder rows and true features."""

from statistics import fmean, pstdev

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import random_geometries
from workbench.metrics.shelf import Values, metric


@metric(mcc=1.0, mcc_null=None, mcc_null_sd=None, mcc_corrected=1.0)
def mcc(evidence: Evidence) -> Values:
    """Mean |cos| over the one-to-one assignment of decoder rows to true rows that maximises it, min(m, n_true) pairs.

    `mcc_null`, `mcc_null_sd`: mean and sd for random directions; `mcc_corrected` = (mcc - null) / (1 - null).

    Source: SAELens `mean_correlation_coefficient`; the correction is ours (as in adjusted agreement indices).
    """
    value = evidence.geometry.mean_matched
    chance = [g.mean_matched for g in random_geometries(len(evidence.decoder), evidence.truth.features)]
    null = fmean(chance)
    return {
        "mcc": value,
        "mcc_null": null,
        "mcc_null_sd": pstdev(chance),
        "mcc_corrected": (value - null) / (1 - null) if null < 1 else 0.0,
    }
