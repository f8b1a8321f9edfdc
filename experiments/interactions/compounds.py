"""Pairs of features that act together: has the compound a latent of its own, are its parts found, what does |B| say?"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.transformed import Interactions
from workbench.metrics import evaluate
from workbench.metrics.matching import match
from workbench.metrics.products import TRACKED, auroc
from workbench.metrics.samples import Coefficients, products_of
from workbench.parts.polynomial import Terms, power_terms
from workbench.ratios import ratio, unit_rows
from workbench.sae import SAE

Roles = Mapping[str, Sequence[tuple[int, ...]]]
"""what pairs of features do -> the pairs"""
SHELF = (
    *("fvu", "l0", "mcc", "mcc_null", "compound_atoms", "compound_atoms_null"),
    *("product_error", "product_cosine", "product_auroc"),
)


def correlation(a: Float[Tensor, "*s n m"], b: Float[Tensor, "n q"]) -> Float[Tensor, "*s m q"]:
    """Pearson's r of columns over samples; 0 for constant columns."""
    a, b = (t.double() - t[..., :1, :].double() for t in (a, b))  # 0, and not a rounding error, where constant
    a, b = (unit_rows((t - t.mean(-2, keepdim=True)).mT) for t in (a, b))
    return a @ b.mT


def acting(world: Interactions, h: Float[Tensor, "n n_true"], pairs: Int[Tensor, "t 2"]) -> Float[Tensor, "n t"]:
    """What a latent for the compound of each pair would show: h_i h_j, or whether one of the two fires for XOR."""
    both = h[:, pairs]
    return (both != 0).double().sum(-1).eq(1).double() if world.logic == "xor" else both.prod(-1)


def measure(sae: SAE, world: Interactions, roles: Roles, against: str, n: int = 20_000) -> dict[str, list[float]]:
    """Scores of a stack, one number a member.

    Those of `SHELF`, and "mcc_activations": mean |r| of f and h over the assignment of latents to features that
    maximises it. By role: "own_latent", the share of pairs with a latent of r >= .9 with what the pair does together
    and less with each of the two; "parts", the share with such a latent for each of the two; "size", the mean norm of
    the decoder's coefficient on h_i h_j. For polynomial decoders also "crossed_auroc", P(|B| of a pair that interacts >
    |B| of one `against`), ties half, in which co-occurrence cannot help if these come often; "cofiring_r", r
    of |B| and co-firing over all pairs of latents.

    Args:
        sae: a stack with one axis.
        world: pairs that interact, and others.
        roles: pairs by what they do.
        against: the role, without interaction, that pairs with one are set against.
        n: samples.

    Source: ours; the last as in Koromilas et al. (2026), arXiv 2602.01322.
    """
    scores = evaluate(sae, world, n, seed=1)
    found: dict[str, list[float]] = {name: scores[name].tolist() for name in SHELF if name in scores}
    batch = world.sample(n, stream(1, "compounds"))
    h = batch.h.dense()
    with torch.no_grad():
        f = sae.eval().encode(batch.x)
    alone = correlation(f, h).abs()
    found["mcc_activations"] = [float(r[linear_sum_assignment(-r)].mean()) for r in alone]
    for role, pairs in roles.items():
        at = torch.tensor(pairs)
        compound, part = correlation(f, acting(world, h, at)), alone[..., at].amax(-1)
        own = ((compound >= TRACKED) & (compound > part)).any(-2)
        found[f"own_latent_{role}"] = own.double().mean(-1).tolist()
        found[f"parts_{role}"] = (alone.amax(-2)[:, at].amin(-1) >= TRACKED).double().mean(-1).tolist()
    if not sae.decoder.linear:
        geometries = (match(rows, world.truth.features) for rows in sae.W_dec)
        readers = [cast(Coefficients, products_of(sae, i, geometry)) for i, geometry in enumerate(geometries)]
        sizes = {role: [read(torch.tensor(pairs)).norm(dim=1) for read in readers] for role, pairs in roles.items()}
        found |= {f"size_{role}": [float(size.mean()) for size in own] for role, own in sizes.items()}
        true = [role for role, pairs in roles.items() if set(pairs) <= set(world.members)]
        found["crossed_auroc"] = [
            auroc(torch.cat([sizes[role][i] for role in true]), other) for i, other in enumerate(sizes[against])
        ]
        found["cofiring_r"] = _with_cofiring(sae, f)
    return found


def _with_cofiring(sae: SAE, f: Float[Tensor, "s n m"]) -> list[float]:
    pairs = torch.triu_indices(sae.m, sae.m, 1)
    strength = sae.interactions(pairs.T).detach().norm(dim=-1)
    fires = (f > 0).double()
    together = (fires.mT @ fires)[:, pairs[0], pairs[1]]
    return [float(correlation(s[:, None], t[:, None])) for s, t in zip(strength, together, strict=True)]


def planted(world: Interactions, rank2: int, terms: Terms, n: int = 20_000) -> float:
    """FVU of x fitted by least squares on 1, the true h, and rank2 columns put where products need them.

    First e_i + e_j of each product, then e_i - e_j. Two columns a product give f_i f_j alone; one does where powers of
    single latents are left out ("pure") or linear in them (magnitudes 0 and c). No column: what a linear decoder makes
    of the true parts.

    Source: ours, polarisation.
    """
    batch = world.sample(n, stream(2, "compounds"))
    h, count = batch.h.dense().double(), len(world.members)
    columns = torch.zeros(h.shape[1], min(rank2, 2 * count), dtype=torch.float64)
    for r in range(columns.shape[1]):
        i, j = world.members[r % count]
        columns[i, r], columns[j, r] = 0.5**0.5, (0.5**0.5 if r < count else -(0.5**0.5))
    x = batch.x.double()
    x = x - x.mean(0)
    on = torch.cat((h, power_terms(h, columns, 2, terms)), 1)
    on = unit_rows((on - on.mean(0)).T).T  # powers of h scale differently: least squares would take one for round-off
    left = x - on @ torch.linalg.lstsq(on, x, driver="gelsd").solution
    return ratio(float(left.square().sum()), float(x.square().sum()))
