"""Products of features: read out of a polynomial decoder, or given atoms of their own by a linear one."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Products
from workbench.metrics.evidence import Evidence
from workbench.metrics.matching import cosines, random_geometries
from workbench.metrics.samples import Coefficients
from workbench.metrics.shelf import Values, metric, only_if
from workbench.ratios import unit_rows

TRACKED = 0.9
"""|cos| from which a latent counts as the atom of a product"""
_OTHERS = 2000
"""sets of features without a product that its strength is compared with, at most"""


@metric(compound_atoms=None, compound_atoms_null=None)
@only_if(lambda evidence: evidence.truth.products is not None)
def compound_atoms(evidence: Evidence) -> Values:
    """Share of the world's products whose target direction some latent's row has |cos| >= .9 with: an atom of its own.

    Null: random rows. A polynomial decoder needs none; a linear one needs all. Source: ours.
    """
    products = cast(Products, evidence.truth.products)
    own = (cosines(evidence.decoder, products.targets).abs().amax(0) >= TRACKED).double().mean()
    chance = random_geometries(len(evidence.decoder), products.targets.float())
    null = sum(float((g.best_absolute >= TRACKED).double().mean()) for g in chance) / len(chance)
    return {"compound_atoms": float(own), "compound_atoms_null": null}


def strengths(read: Coefficients, products: Products, n_true: int) -> tuple[Float[Tensor, " t"], Float[Tensor, " u"]]:
    """Norms of the decoder's coefficients on the world's products, and on other sets of as many features."""
    order = products.members.shape[1]
    taken = {tuple(sorted(row)) for row in products.members.tolist()}
    if order == 2:
        sets = torch.triu_indices(n_true, n_true, 1).T
    else:
        sets = torch.rand(4 * _OTHERS, n_true, generator=stream(0, "metrics/products")).topk(order).indices
    others = [row for row in sets.tolist() if tuple(sorted(row)) not in taken]
    kept = torch.tensor(others, dtype=torch.long).reshape(-1, order)
    kept = kept[torch.linspace(0, max(len(others) - 1, 0), min(_OTHERS, len(others))).long()]
    return read(products.members).norm(dim=1), read(kept).norm(dim=1)


def auroc(a: Float[Tensor, " n"], b: Float[Tensor, " m"]) -> float:
    """P(one of a > one of b), ties half; NaN where one of them is empty."""
    return float(((a[:, None] > b).double() + (a[:, None] == b) / 2).mean())


@metric(product_error=0.0, product_cosine=1.0, product_auroc=1.0)
@only_if(lambda evidence: evidence.truth.products is not None and evidence.products is not None)
def products(evidence: Evidence) -> Values:
    """A polynomial decoder's coefficients B_t on products of matched latents, per unit of h, against the true g_t b_t.

    product_error: sum_t |B_t - g_t b_t|^2 / sum_t g_t^2 (1 for B = 0). product_cosine: mean cos(B_t, b_t), 0 for B = 0.
    product_auroc: P(|B| of a true product > |B| of another set of as many features), ties half; .5 by chance, NaN where
    there is no other set.

    Source: ours.
    """
    truth, read = cast(Products, evidence.truth.products), cast(Coefficients, evidence.products)
    found, wanted = read(truth.members), truth.gains[:, None].double() * truth.targets.double()
    own, others = strengths(read, truth, evidence.truth.n_true)
    return {
        "product_error": float((found - wanted).square().sum() / wanted.square().sum()),
        "product_cosine": float((unit_rows(found) * unit_rows(wanted)).sum(1).mean()),
        "product_auroc": auroc(own, others),
    }
