"""What can be said of SAEs on activations of unknown causes: error, sparsity, dead latents, norms, losses."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lm.activations import Activations, standardised
from workbench.lm.fidelity import Change, measure_fidelity
from workbench.lm.hooks import HookPoint
from workbench.lm.models import LanguageModel
from workbench.metrics import evaluate
from workbench.metrics.norms import Norms, norms, zf_figures, zf_points
from workbench.ratios import ratio, spread
from workbench.sae import SAE, must_be_single

POINTS = 400
"""samples of the ZF plot's scatter"""
_MEAN_SAMPLES = 16_384
"""behind E[x] of mean ablation"""


HELD_OUT = ("fvu", "l0", "dead")
"""metrics of the shelf that held-out rows are scored by"""


def fvu_by_position(own: Norms, position: Int[Tensor, " n"]) -> Mapping[str, float]:
    """fvu at positions of the sequence in octaves, "4-7" and so on; NaN where fewer than 2 samples are."""
    error = (own.x - own.x_hat).square().sum(1)
    octave = position.clamp_min(1).double().log2().floor().long()
    found = {}
    for at in range(int(octave.max()) + 1):
        here = octave == at
        label = f"{2**at}-{2 ** (at + 1) - 1}" if at else "0-1"
        found[label] = ratio(float(error[here].sum()), spread(own.x[here]))
    return found


def scored(saes: Sequence[SAE], test: Activations, samples: int) -> list[dict[str, Any]]:
    """Scores of single SAEs on held-out rows, fvu by position, and points of the ZF plot.

    Args:
        saes: single SAEs.
        test: rows they were not trained on.
        samples: how many of them to use at most, spread over the text.
    """
    index = torch.arange(test.n)[:: -(-test.n // samples)]
    x, positions, found = test.rows(index), test.positions[index], []
    for sae in saes:
        own = norms(sae, x)
        points = zf_points(own, POINTS)
        scores = held_out_scores(sae, x, own)
        found.append({"scores": scores, "positions": fvu_by_position(own, positions), "points": points})
    return found


def held_out_scores(sae: SAE, x: Float[Tensor, "n d"], own: Norms) -> dict[str, float]:
    """fvu, l0 and dead of the shelf of metrics, and figures of single samples; in the order of tables.

    nmse: mean of |x - x_hat|² / |x|² over samples other than 0, uncentred, as studies of published SAEs report it.
    l0 max: most active latents, the bias counted; l0/d: per dimension of x. Then `metrics.norms.zf_figures`, and
    "saturated" where the variant knows it.
    """
    shelf = evaluate(sae, x, metrics=HELD_OUT)
    error, size = (own.x - own.x_hat).square().sum(1), own.x.square().sum(1)
    values = {"fvu": shelf["fvu"], "nmse": float(ratio(error, size).nanmean()), "l0": shelf["l0"]}
    values |= {"l0 max": float(own.k.max()), "l0/d": shelf["l0"] / own.x.shape[1], "dead": shelf["dead"]}
    return values | zf_figures(own) | saturation(sae, x)


@torch.no_grad()
def saturation(sae: SAE, x: Float[Tensor, "n d"], chunk: int = 2048) -> dict[str, float]:
    """Share of samples that a single SAE is saturated on; nothing where its encoder knows no such thing."""
    parts = [sae.encoder.saturated(sae.own_units(rows.to(sae.W_dec.device)), sae.decoder) for rows in x.split(chunk)]
    known = [part for part in parts if part is not None]
    return {"saturated": sum(int(part.sum()) for part in known) / len(x)} if known else {}


def losses(lm: LanguageModel, test: Activations, saes: Mapping[str, SAE], tokens: int) -> dict[str, dict[str, float]]:
    """Next-token losses of a model on held-out text with activations replaced by SAEs' reconstructions.

    Args:
        lm: the model.
        test: held-out rows of the hook point; their store's text is used.
        saes: single SAEs on the model's device, by name; where `test` standardises, so is their input, and their
            output is put back into the units of x.
        tokens: of text, rounded up to whole sequences.

    Returns:
        name -> the figures of `Fidelity`, with the shares recovered.

    Raises:
        ValueError: one of the SAEs is a stack.
    """
    for name, sae in saes.items():
        must_be_single(sae, f"losses.saes[{name!r}]")
    plain = Activations(test.store, test.hook, test.documents, test.skip)
    mean = plain.rows(torch.arange(min(plain.n, _MEAN_SAMPLES))).mean(0)
    changes = {name: _standardising(sae) if test.standardise else sae for name, sae in saes.items()}
    context = int(test.store.about["settings"]["context"])
    sequences = test.sequences()[: -(-tokens // context)]
    point = HookPoint.of(test.hook)
    found = measure_fidelity(lm, point, sequences, changes, mean=mean.to(lm.device), skip=test.skip)
    return {
        name: asdict(own) | {"recovered": own.recovered, "recovered from mean": own.recovered_from_mean}
        for name, own in found.items()
    }


def _standardising(sae: SAE) -> Change:
    def change(x: Tensor) -> Tensor:
        z, mean, spread = standardised(x)
        return sae(z) * spread + mean

    return change
