"""SAEs that were not learned: the true dictionary, the ceiling of recovery; and one that knows nothing of data."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import stream
from workbench.metrics import evaluate
from workbench.metrics.evidence import known_world
from workbench.ratios import unit_rows
from workbench.sae import SAE, must_fit
from workbench.training.config import TrainConfig
from workbench.training.loop import MOMENT_SAMPLES, match_moments, train
from workbench.variants import create


def takes_unit_rows(sae: SAE) -> bool:
    """Whether the true features can be its rows: it keeps rows at norm 1, or its latents make up for other norms.

    Latents that sum to 1 do not: how long a row is says how large what it stands for may get.
    """
    return sae.decoder.unit or sae.encoder.scaled() is not None


def has_ceiling(sae: SAE) -> bool:
    """Whether its encoder could make something of the true dictionary, see `ceiling`."""
    return takes_unit_rows(sae) and "W_enc" not in sae.frozen


def oracle(name: str, world: Any, *, seed: int = 0, of: Int[Tensor, " m"] | None = None, **settings: Any) -> SAE:
    """A variant with one latent a true feature: W_dec = V and b_dec = b, both frozen; W_enc starts at V^T.

    Where the decoder maps, rows of V lie in the space of its targets, and W_enc starts at the directions in which x
    moves with each feature. Train it to fit what remains: encoder, biases, thresholds. What the variant freezes stays
    as it was drawn. `of` chooses features, all where None.

    Raises:
        ValueError: the variant cannot have as many latents, or none with rows of norm 1 (`takes_unit_rows`).
    """
    world = known_world("oracle.world", world)
    truth = world.truth
    rows = truth.features if of is None else truth.features[of]
    try:
        sae = create(name, world, len(rows), seed=seed, **settings)
    except ValueError as error:
        if (m := f"m={len(rows)}") not in str(error):
            raise
        rule, advice = f"of as many features as {name} can have latents", f"change the setting or `of` ({error})"
        must(False, "oracle.world", rule, f"{len(rows)}, so that {m}", advice)
        raise
    must_fit("oracle.world", world, sae)
    rule, advice = "a variant with unit rows, or whose latents make up for others", "go without its ceiling"
    must(takes_unit_rows(sae), "oracle.name", rule, f"{name}, whose rows have lengths of their own", advice)
    match_moments(sae, world, TrainConfig(centre=False), seed)
    with torch.no_grad():
        held = sae.decoder.plant(rows)
        if "W_enc" in dict(sae.named_parameters()) and "W_enc" not in sae.frozen:
            sae.tensor("W_enc").copy_((_directions(world, seed, of) if sae.decoder.maps else rows).mT)
        sae.b_dec.copy_(truth.bias * sae.out_scale)
    sae.frozen = {*sae.frozen, *held, "b_dec"}
    return sae


def _directions(world: Any, seed: int, of: Int[Tensor, " m"] | None) -> Float[Tensor, "m d"]:
    """Unit covariances of activations with true coefficients: features of x, where coefficients are uncorrelated."""
    drawn = world.sample(MOMENT_SAMPLES, stream(seed, "directions"))
    x, h = drawn.x.double(), drawn.h.dense().double()
    h = h if of is None else h[:, of]
    return unit_rows((h - h.mean(0)).mT @ x)


def sign_split(d: int, seed: int = 0) -> SAE:
    """Encoder [A, -A] and decoder [A^T; -A^T] for a random orthogonal A: reconstructs every x with d latents.

    Error 0, |f| = |x| and loss recovered 1 on all data, so that figures of merit which it wins say nothing of features.

    Source: ours, claim AFA-16.
    """
    basis = torch.linalg.qr(torch.randn(d, d, generator=stream(seed, "sign split"))).Q
    sae = create("top_afa", d, 2 * d, seed=seed).eval()
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat((basis, -basis), 1))
        sae.W_dec.copy_(sae.W_enc.mT)
    return sae


def ceiling(
    name: str, world: Any, config: TrainConfig | None = None, *, n: int = 20_000, seed: int = 0, **settings: Any
) -> dict[str, Any]:
    """Every metric of the trained oracle: what this variant's encoder could reach if it knew the dictionary.

    Of scores of recovery it is the most that there is. Of fvu it is not where codes cannot be the true ones, as with
    fewer latents a sample than features fire: other rows than the true ones then reconstruct a little better.

    Raises:
        ValueError: the variant has none (`has_ceiling`).
    """
    world = known_world("ceiling.world", world)
    sae = oracle(name, world, seed=seed, **settings)
    rule, advice = "a variant whose encoder is trained", "go without its ceiling"
    must(has_ceiling(sae), "ceiling.name", rule, f"{name}, whose W_enc is frozen", advice)
    return evaluate(_trained(sae, world, config, seed), world, n, seed + 1)


def trained_oracle(
    name: str,
    world: Any,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    of: Int[Tensor, " m"] | None = None,
    **settings: Any,
) -> SAE:
    """`oracle` with its encoder trained; what `ceiling` scores."""
    world = known_world("trained_oracle.world", world)
    return _trained(oracle(name, world, seed=seed, of=of, **settings), world, config, seed)


def _trained(sae: SAE, world: Any, config: TrainConfig | None, seed: int) -> SAE:
    config = config or TrainConfig(steps=600, batch=128, lr=1e-2, normalise=False)
    advice = "the oracle comes with its scale set"
    must(not config.normalise, "ceiling.config.normalise", "False", config.normalise, advice)
    if any(parameter.requires_grad for parameter in sae.parameters()):
        train(sae, world, config, seed=seed)
    return sae
