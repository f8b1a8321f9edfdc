"""Whether tokens, contexts and width can identify concepts: ranks, as named conditions."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.concepts.activations import centred, numerical_rank
from synthetic.concepts.latent import ENOUGH
from synthetic.concepts.model import ConceptModel
from workbench.topics.concepts.gauge import differences

LEAST = math.log(1e-12)
"""log-posteriors below this make regressions on them unsafe"""


@dataclass(frozen=True)
class Condition:
    """One condition: met or not, and the numbers."""

    name: str
    met: bool
    said: str


def distinct_contexts(model: ConceptModel) -> int:
    """Contexts that differ in log p(c|s) by 1e-9 or more: copies of one context say nothing new."""
    return len((model.log_posterior / 1e-9).round().unique(dim=0))


def conditions(model: ConceptModel) -> list[Condition]:
    """What a model's tables allow, before any regression: tokens, contexts, width, positivity.

    The first is the diversity condition of Liu et al. (2025), arXiv 2503.08980, as reported by readers: L has
    the columns p(c|y_j) - p(c|y_0), which sum to 0, so that no l x l part of it is invertible.

    Source: ours, but for that one.
    """
    cells, values, contexts = model.n_configurations, len(model.values), distinct_contexts(model)
    rank = _rank(differences(model.token_posterior))
    events = {tuple(row) for row in (model.tokens > 0).T.tolist()}
    known = sum(tuple(row) in events for row in model.has_value.tolist())
    width, least = _rank(centred(model.log_next)), float(model.log_posterior.min())
    return [
        Condition("L invertible, l x l (as published)", False, f"rank {rank} of {cells}: columns of L sum to 0"),
        Condition("tokens tell configurations apart: rank L = l - 1", rank == cells - 1, f"rank {rank} of {cells - 1}"),
        Condition("a token for each value c_k = v", known == values, f"{known} of {values} values have one"),
        Condition("contexts for the joint", contexts >= ENOUGH * cells, f"{contexts} distinct, {ENOUGH * cells} asked"),
        Condition(
            "contexts for the marginals", contexts >= ENOUGH * values, f"{contexts} distinct, {ENOUGH * values} asked"
        ),
        Condition(
            "width", width > 0, f"token-centred log p(y|s) has rank {width}: activations need as many dimensions"
        ),
        Condition("log p(c|s) at least log 1e-12", least >= LEAST, f"smallest {least:.4g}"),
    ]


def _rank(matrix: Float[Tensor, "n m"]) -> int:
    singular = torch.linalg.svdvals(matrix) if matrix.numel() else torch.zeros(1)
    return numerical_rank(singular) if float(singular[0]) > 1e-14 else 0
