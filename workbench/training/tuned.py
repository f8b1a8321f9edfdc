"""Training that suits an SAE: what `train` does where nothing else is said."""

from dataclasses import replace
from typing import Any

from workbench.parts.objectives import Silent
from workbench.sae import SAE
from workbench.training.config import TrainConfig

K_START, MOST = 3.0, 1 / 4
"""k begins at this multiple of its own, but at no more than this share of d: more directions are no sparse code"""
PATIENCE = 50
"""samples a latent, of which the average one fires k of these times, before one that never fired counts as dead"""
RULED = ("k_start", "aux_k", "aux_weight", "dead_after")
"""what `tuned` has rules for"""


def tuned(sae: SAE, **changes: Any) -> TrainConfig:
    """`TrainConfig` with rules of the SAE's parts and sizes in place of constants, and with changes.

    Where latents compete for k places or have to pass a threshold, one that is never chosen never learns. Hence

    - an encoder with a k begins with 3 k, or d/4 where that is less, and comes down to k over the first half
      (`k_start`); from d/4 on k stays as it is;
    - dead latents learn from what the others leave: AuxK with d/2 of them at weight 1 (`aux_k`, `aux_weight`), unless
      the encoder gives no pre-activations, rows or columns are frozen, or a part looks after dead latents itself;
    - a latent is dead after 50 m samples without firing (`dead_after`).

    What they are worth on three worlds, and where they are not, stands in docs/topics/tuning.md.

    Args:
        sae: what is to be trained.
        changes: fields of `TrainConfig`; no rule goes over them.
    """
    config = TrainConfig(**changes)
    rules: dict[str, Any] = {"dead_after": max(10, round(PATIENCE * sae.m / config.batch))}
    if anneals(sae):
        k = float(sae.tensor("k").max())
        first = min(K_START * k, MOST * sae.d)
        rules["k_start"] = first if first > k else None
    if revives(sae):
        rules |= {"aux_k": max(1, min(sae.d, sae.m) // 2), "aux_weight": 1.0}
    return replace(config, **{name: value for name, value in rules.items() if name not in changes})


def anneals(sae: SAE) -> bool:
    """Whether k may begin larger: its places are given to entries of one product."""
    return "k" in sae.settings and sae.encoder.compares and not sae.encoder.positional and sae.has_evidence


def revives(sae: SAE) -> bool:
    """Whether AuxK is of use."""
    cared_for = sae.targets is not None or any(isinstance(term, Silent) for term in sae.loss_terms.values())
    return sae.has_evidence and not cared_for and not {"W_dec", "W_enc"} & {*sae.frozen}
