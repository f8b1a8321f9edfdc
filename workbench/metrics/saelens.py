"""SAELens's own definitions, so that scores stay comparable with published ones.

Known trap: its F1 judges each latent by its nearest feature and averages over latents, so 64 copies of one detector
score 1.000. Use `f1`, `mcc_corrected` and `uniqueness` to see that.
"""

from workbench.metrics.detection import scores
from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric
from workbench.ratios import ratio


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
    """As `eval_sae_on_synthetic_data` of SAELens 6.54: a feature fires where h > 0, a latent where f != 0.

    mcc: mean |cos| over the assignment; uniqueness: distinct nearest features / latents, dead ones included;
    precision, recall, F1, accuracy: each latent against its nearest feature, 0 where undefined, mean over latents;
    shrinkage: mean |x_hat|/|x| over x != 0, 0 without any; explained variance: 1 - E|x - x_hat|^2 / (E|x|^2 - |E x|^2),
    and where x does not vary 1 for an error of at most 1e-10 E|x|^2, 0 for more. On signed worlds a latent that also
    fires where h < 0 is thus wrong there; `f1` counts both signs.

    Differs: SAELens's floors are absolute, 1e-6 for |x| and 1e-10 for variance and error, so that for small activations
    its scores depend on their unit.
    """
    geometry, n = evidence.geometry, evidence.n
    true = evidence.features.above[geometry.nearest]
    precision, recall, f1 = scores(evidence.features.hits_nearest, evidence.fires, true)
    accuracy = (n - evidence.fires - true + 2 * evidence.features.hits_nearest) / n
    exact = float(evidence.energy.residual <= 1e-10 * evidence.energy.x_square)
    return {
        "saelens_mcc": geometry.mean_matched,
        "saelens_uniqueness": len(geometry.nearest.unique()) / len(geometry.nearest),
        "saelens_f1": float(f1.mean()),
        "saelens_precision": float(precision.mean()),
        "saelens_recall": float(recall.mean()),
        "saelens_accuracy": float(accuracy.mean()),
        "saelens_shrinkage": evidence.energy.ratio / max(evidence.energy.ratio_count, 1),
        "saelens_explained_variance": 1 - ratio(evidence.energy.residual, evidence.energy.spread, 1 - exact),
        "saelens_dead_latents": float((~evidence.live).sum()),
    }
