"""Detection: does a feature's own latent fire exactly where the feature fires?"""

import math

from jaxtyping import Float
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, metric
from workbench.ratios import ratio

QUARTERS = ("q1", "q2", "q3", "q4")


def scores(both: Tensor, fires: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1 from counts; 0 where undefined."""
    return ratio(both, fires, 0.0), ratio(both, true, 0.0), ratio(2 * both, fires + true, 0.0)


def chance_f1(latent_rate: Float[Tensor, " n"], rate: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """F1 of a detector that fires at `latent_rate` whatever the feature does: 2 q r / (q + r)."""
    return ratio(2 * latent_rate * rate, latent_rate + rate, 0.0)


@metric(
    f1=1.0,
    f1_null=None,
    detection_precision=1.0,
    detection_recall=1.0,
    **{f"f1_{quarter}": 1.0 for quarter in QUARTERS},
    features_unseen=0.0,
)
def detection(evidence: Evidence) -> Values:
    """Each feature judged by its one assigned latent; mean over features that fired in the draw, 0 for unmatched ones.

    NaN where no feature fired, or none of a quarter.

    `f1_q1` ... `f1_q4`: the same over quarters of those features, from rarest to most frequent.
    `f1_null`: latents of the same rates firing independently of the features. Source: ours; macro-F1 over features.
    """
    seen = evidence.features.fires > 0
    precision, recall, f1 = scores(evidence.features.hits, evidence.matched_fires, evidence.features.fires)
    order = evidence.truth.rates[seen].argsort(stable=True)
    quarters = f1[seen][order].tensor_split(4)
    null = chance_f1(evidence.matched_fires / evidence.n, evidence.features.fires / evidence.n)
    return {
        "f1": _mean(f1[seen]),
        "f1_null": _mean(null[seen]),
        "detection_precision": _mean(precision[seen]),
        "detection_recall": _mean(recall[seen]),
        **{f"f1_{name}": _mean(part) for name, part in zip(QUARTERS, quarters, strict=True)},
        "features_unseen": float((~seen).sum()),
    }


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else math.nan
