"""How well x_hat stands for x."""

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


@metric(fvu=0.0, explained_variance=1.0, shrinkage=1.0)
def fidelity(evidence: Evidence) -> Values:
    """Fvu = sum |x - x_hat|^2 / sum |x - mean x|^2, over samples and dimensions; explained_variance = 1 - fvu.

    shrinkage = sum |x_hat|^2 / sum <x, x_hat>, below 1 where scaling x_hat up would help (relative reconstruction
    bias, Rajamanoharan et al. 2024). Nulls: fvu 1 for the mean, 0 for explained variance.
    """
    variance = evidence.x_square - float(evidence.x_sum.square().sum()) / evidence.n
    fvu = evidence.residual / variance if variance > 0 else float(evidence.residual > 0)
    bias = evidence.x_hat_square / evidence.x_dot if evidence.x_dot > 0 else 0.0
    return {"fvu": fvu, "explained_variance": 1 - fvu, "shrinkage": bias}
