"""SAELens's own definitions, so that scores stay comparable with published ones.

Known trap: its F1 judges each latent by its nearest feature and averages over latents, so 64 copies of one detector
score 1.000. Use `f1`, `mcc_corrected` and `uniqueness` to see that.
"""

from workbench.metrics.detection import scores
from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric


@metric(
    saelens_mcc=1.0,
    saelens_uniqueness=1.0,
    saelens_f1=1.0,
    saelens_precision=1.0,
    saelens_recall=1.0,
    saelens_accuracy=1.0,
    saelens_shrinkage=1.0,
    saelens_explained_variance=1.0,
    saelens_dead_latents=0.0,
)
def saelens(evidence: Evidence) -> Values:
    """As `eval_sae_on_synthetic_data` of SAELens 6.54; a feature fires where h != 0 (there h > 0, equal unless signed).

    mcc: mean |cos| over the assignment; uniqueness: distinct nearest features / latents, dead ones included;
    precision, recall, F1, accuracy: each latent against its nearest feature, 0 where undefined, mean over latents;
    shrinkage: mean |x_hat|/|x| over |x| > 1e-6; explained variance: 1 - E|x - x_hat|^2 / (E|x|^2 - |E x|^2).
    """
    geometry, n = evidence.geometry, evidence.n
    true = evidence.true_fires[geometry.nearest]
    precision, recall, f1 = scores(evidence.hits_nearest, evidence.fires, true)
    accuracy = (n - evidence.fires - true + 2 * evidence.hits_nearest) / n
    variance = evidence.x_square / n - float((evidence.x_sum / n).square().sum())
    return {
        "saelens_mcc": geometry.mean_matched,
        "saelens_uniqueness": len(geometry.nearest.unique()) / len(geometry.nearest),
        "saelens_f1": float(f1.mean()),
        "saelens_precision": float(precision.mean()),
        "saelens_recall": float(recall.mean()),
        "saelens_accuracy": float(accuracy.mean()),
        "saelens_shrinkage": evidence.ratio / max(evidence.ratio_count, 1),
        "saelens_explained_variance": _explained(evidence.residual / n, variance),
        "saelens_dead_latents": float((~evidence.live).sum()),
    }


def _explained(error: float, variance: float) -> float:
    return 1 - error / variance if variance >= 1e-10 else float(error < 1e-10)
