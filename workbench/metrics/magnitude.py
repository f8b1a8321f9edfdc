"""Do latents carry the true magnitudes?"""

import math

from jaxtyping import Float
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


def per_feature(evidence: Evidence) -> tuple[Float[Tensor, " n_true"], Float[Tensor, " n_true"]]:
    """R^2 of h_i by its latent's contribution f |row| sign(cos), and their Pearson correlation.

    0 where the contribution does not vary, NaN where h_i does not: sums that cancel to 1e-12 are rounding errors.
    """
    n = evidence.n
    h_var = evidence.features.h_square - evidence.features.h_sum**2 / n
    f_var = evidence.features.f_square - evidence.features.f_sum**2 / n
    cov = evidence.features.fh - evidence.features.f_sum * evidence.features.h_sum / n
    error = evidence.features.h_square - 2 * evidence.features.fh + evidence.features.f_square
    varies, carried = h_var > 1e-12 * evidence.features.h_square, f_var > 1e-12 * evidence.features.f_square
    r2, r = 1 - error / h_var, cov / (h_var.sqrt() * f_var.sqrt())
    return r2.where(carried, 0.0).where(varies, math.nan), r.where(carried, 0.0).where(varies, math.nan)


@metric(magnitude_r2=1.0, magnitude_pearson=1.0)
def magnitude(evidence: Evidence) -> Values:
    """Mean over features that fired and varied of max(0, R^2) and of Pearson r of h_i and its latent's contribution.

    The contribution is f |decoder row| sign(cos), an estimate of h_i with nothing fitted, so shrinkage lowers R^2 but
    not r. Unmatched features count 0, which is also the null of both; NaN without any that varied. Source: ours.
    """
    r2, pearson = per_feature(evidence)
    return {"magnitude_r2": float(r2.clamp_min(0).nanmean()), "magnitude_pearson": float(pearson.nanmean())}
