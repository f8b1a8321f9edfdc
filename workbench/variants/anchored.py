"""Anchored SAE: some latents are pinned to directions that are known beforehand, the others are free."""

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from workbench.parts.decoders import Rows
from workbench.parts.encoders import Affine
from workbench.parts.objectives import SquaredError
from workbench.parts.rules import Anchored
from workbench.parts.selections import TopK
from workbench.ratios import unit_rows
from workbench.sae import SAE, Stack, variant
from workbench.settings import LatentCount


@variant("anchored")
def anchored(stack: Stack, k: LatentCount = 4, anchors: LatentCount = 4, columns: bool = True) -> SAE:
    """TopK's latents and loss; `anchor(sae, directions)` of this module pins the first rows. Until then this is TopK.

    Args:
        stack: what it is made for.
        k: active latents a sample.
        anchors: rows that can be pinned; the same for all members.
        columns: pin the columns of W_enc of these latents to the same directions.

    Source: arXiv 2512.05534, feature anchoring, as reported by readers. Differs: whether the paper pins columns too,
    and whether by a penalty, is not known.
    """
    return stack.sae(
        Affine(stack, TopK(stack, k)), Rows(stack), SquaredError(), Anchored(stack, anchors, columns=columns)
    )


@torch.no_grad()
def anchor(sae: SAE, directions: Float[Tensor, "*s r d"]) -> None:
    """Pin the first r rows of an SAE with an `Anchored` rule to these directions, in place; lengths do not matter.

    Raises:
        ValueError: no such rule, more directions than anchors, ones of another width, or one that is 0.
    """
    rule = next((rule for rule in sae.rules if isinstance(rule, Anchored)), None)
    if rule is None:
        must(False, "anchor.sae", "one with an Anchored rule", sae.name, 'create the variant "anchored"')
        raise AssertionError
    most, shape = rule.directions.shape[-2], tuple(directions.shape)
    fits = directions.ndim >= 2 and shape[-1] == sae.d and shape[-2] <= most and shape[:-2] in ((), sae.shape)
    rule_of_shape = f"of shape (r, {sae.d}) with r <= {most}, or that for each member"
    must(fits, "anchor.directions", rule_of_shape, shape, "raise the setting anchors, or give fewer")
    must(bool((directions != 0).any(-1).all()), "anchor.directions", "other than 0", "a row of zeros", "leave it out")
    rule.directions.zero_()
    rule.directions[..., : shape[-2], :] = unit_rows(directions.to(rule.directions))
    rule.settle(sae.encoder, sae.decoder)
