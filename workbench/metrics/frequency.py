"""Do latents fire as often as their controller wants?"""

import torch

from workbench.metrics.evidence import Evidence
from workbench.metrics.shelf import Values, anywhere, metric, only_if


@metric(above_target=0.0, frequency_error=0.0)
@only_if(lambda evidence: evidence.targets is not None)
@anywhere
def frequency(evidence: Evidence) -> Values:
    """`above_target`: share of latents that fire more often than their target, by over three standard errors.

    `frequency_error`: mean |log2(rate / target)| over latents that fire, 0 if none does; a target that is a ceiling, as
    in bias adaptation, leaves it above 0. Source: ours.
    """
    targets = torch.zeros_like(evidence.fires) if evidence.targets is None else evidence.targets
    rate = evidence.fires / evidence.n
    error = (targets * (1 - targets) / evidence.n).sqrt()
    live = rate > 0
    apart = (rate[live] / targets[live]).log2().abs()
    return {
        "above_target": float((rate > targets + 3 * error).double().mean()),
        "frequency_error": float(apart.mean()) if len(apart) else 0.0,
    }
