"""Do other seeds find the same directions?"""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import match, random_geometries
from workbench.metrics.shelf import Values, anywhere, metric, only_if


def agreements(decoders: Sequence[Float[Tensor, "m d"]]) -> Float[Tensor, "r r"]:
    """MCC of each pair of decoders, 0 on the diagonal."""
    shared = torch.zeros(len(decoders), len(decoders), dtype=torch.float64)
    for i, j in combinations(range(len(decoders)), 2):
        shared[i, j] = shared[j, i] = match(decoders[i], decoders[j]).mean_matched
    return shared


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
