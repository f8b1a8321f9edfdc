"""How well x_hat stands for x."""

import math

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, anywhere, metric
from workbench.ratios import ratio


@metric(fvu=0.0, explained_variance=1.0, shrinkage=1.0)
@anywhere
def fidelity(evidence: Evidence) -> Values:
    """Fvu = sum |x - x_hat|^2 / sum |x - mean x|^2, over samples and dimensions; explained_variance = 1 - fvu.

    Both are NaN where x does not vary, as in a single sample. shrinkage = sum |x_hat|^2 / sum <x, x_hat>, below 1 where
    scaling x_hat up would help (relative reconstruction bias, Rajamanoharan et al. 2024); 0 where x_hat has no part
    along x, NaN where all of x is 0. Nulls: fvu 1 for the mean, 0 for explained variance.
    """
    along = max(evidence.energy.x_dot, 0.0)
    bias = ratio(evidence.energy.x_hat_square, along, 0.0 if evidence.energy.x_square else math.nan)
    return {"fvu": evidence.fvu, "explained_variance": 1 - evidence.fvu, "shrinkage": bias}
