"""Do latents carry the true magnitudes?"""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


def per_feature(evidence: Evidence) -> tuple[Float[Tensor, " n_true"], Float[Tensor, " n_true"]]:
    """R^2 of h_i by its latent's contribution f |row| sign(cos), and their Pearson correlation; 0 where undefined."""
    n = evidence.n
    h_var = evidence.h_square - evidence.h_sum**2 / n
    f_var = evidence.f_square - evidence.f_sum**2 / n
    cov = evidence.fh - evidence.f_sum * evidence.h_sum / n
    error = evidence.h_square - 2 * evidence.fh + evidence.f_square
    defined = (h_var > 0) & (f_var > 1e-12 * evidence.f_square)
    r2 = torch.where(defined, 1 - error / h_var.clamp_min(1e-300), 0.0)
    return r2, torch.where(defined, cov / (h_var * f_var).clamp_min(1e-300).sqrt(), 0.0)


@metric(magnitude_r2=1.0, magnitude_pearson=1.0)
def magnitude(evidence: Evidence) -> Values:
    """Mean over features that fired of max(0, R^2) and of Pearson r between h_i and its latent's contribution.

    The contribution is f |decoder row| sign(cos), an estimate of h_i with nothing fitted, so shrinkage lowers R^2 but
    not r. Unmatched features count 0, which is also the null of both. Source: ours.
    """
    seen = evidence.true_fires > 0
    r2, pearson = per_feature(evidence)
    if not bool(seen.any()):
        return {"magnitude_r2": 0.0, "magnitude_pearson": 0.0}
    return {
        "magnitude_r2": float(r2[seen].clamp_min(0).mean()),
        "magnitude_pearson": float(pearson[seen].mean()),
    }
