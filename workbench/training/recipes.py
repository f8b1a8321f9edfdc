"""How to train: recipes by name, as published or ours where the source says so, and what suits any SAE (`tuned`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from synthetic.base.errors import must, pick
from workbench.parts.base import Sizes
from workbench.parts.objectives import Nested, Silent
from workbench.sae import SAE
from workbench.training.config import PROTOCOL, TrainConfig
from workbench.training.revival import movable
from workbench.variants import create, variant_shelf

_BENCHMARK = "SynthSAEBench, arXiv 2602.14687, github.com/decoderesearch/synth-sae-bench-experiments"
_LISTA = "LISTA-Matryoshka, github.com/chanind/claude-auto-research-synthsaebench"
_SWEEP = "huggingface.co/chanind-goodfire/synthsaebench-full-width-sweep"
_LEVELS = (1 / 32, 1 / 8, 1 / 2, 1.0)
"""128, 512, 2048 and 4096 of 4096 latents"""


@dataclass(frozen=True)
class Recipe:
    """What to train, and how; rules that depend on the run's length and shape are applied by `recipe`."""

    variant: str
    """name on the shelf"""
    note: str
    """what is special about it"""
    source: str
    """where it was published and what differs, or that it is ours"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """the variant's settings besides its L0"""
    train: Mapping[str, Any] = field(default_factory=dict)
    """changes to the protocol: Adam at 3e-4 constant, gradient norm 1, silent after 1000 steps is dead"""
    l0: str = "k"
    """setting that takes the L0"""
    start: float = 1.0
    """k begins at this multiple of the L0"""
    aux: bool = True
    """AuxK with d/2 dead latents, weighed like one of the loss's terms"""
    resample: bool = False
    """dead latents are drawn anew every 2500 steps; 40 times in shorter runs than that"""


_SORTED: dict[str, Any] = {"prefixes": _LEVELS, "detach": "inner", "by_frequency": True}
_THIRD = {"decay": 1 / 3}
_FEW: dict[str, Any] = _THIRD | {"lr": 1e-3, "k_anneal": 1.0, "data_start": True, "aux_weight": 1.0}
"""for a hundredth of the samples, in batches of 256"""

RECIPES: dict[str, Recipe] = {
    "topk": Recipe("topk", "constant rate", f"{_BENCHMARK}. Differs: the paper has no per-sample TopK"),
    "batch_topk": Recipe("batch_topk", "constant rate", _BENCHMARK),
    "matryoshka": Recipe(
        "matryoshka",
        "four prefixes, constant rate",
        f"{_BENCHMARK}. Differs: one AuxK for all levels",
        {"prefixes": _LEVELS},
    ),
    "jumprelu": Recipe(
        "jumprelu",
        "step loss steered to the L0, constant rate",
        f"{_BENCHMARK}. Differs: unit decoder",
        {"l0": 0.2, "bandwidth": 1.0, "start": 1.0, "through": False},
        l0="target_l0",
    ),
    "batch_topk_decay": Recipe(
        "batch_topk", "rate falls to 0 in the final third", f"{_SWEEP}, as far as told", {}, _THIRD
    ),
    "batch_topk_annealed": Recipe(
        "batch_topk",
        "and k falls from 2.4 L0 over the first half",
        "ours: the schedule of the annealed Matryoshka without its prefixes",
        {},
        _THIRD,
        start=2.4,
    ),
    "matryoshka_sorted": Recipe(
        "matryoshka",
        "prefixes by frequency, detached; k from 2.4 L0; rate falls in the final third",
        f"{_LISTA}, its ablation without refinement. Differs: no tilted mean",
        _SORTED,
        _THIRD | {"k_anneal": 1.0},
        start=2.4,
    ),
    "jumprelu_controlled": Recipe(
        "jumprelu",
        "step loss steered to the L0, estimate sent to the encoder, resampling, rate falls in the final third",
        f"{_SWEEP}: its best. Differs: step loss, unit decoder",
        {"l0": 0.1, "bandwidth": 1.0, "start": 1.0, "through": True},
        _THIRD | {"dead_after": 200},
        l0="target_l0",
        aux=False,
        resample=True,
    ),
    "matryoshka_at_data": Recipe(
        "matryoshka",
        "as matryoshka_sorted, for few samples: latents start along activations, AuxK of full weight, rate 1e-3",
        "ours",
        _SORTED,
        _FEW,
        start=2.4,
    ),
    "ista_matryoshka": Recipe(
        "ista",
        "as matryoshka_sorted, with one ISTA step of .3 in the encoder",
        f"{_LISTA}. Differs: no tilted mean",
        _SORTED | {"eta": 0.3},
        _THIRD | {"k_anneal": 1.0},
        start=2.4,
    ),
    "ista_matryoshka_six": Recipe(
        "ista",
        "six prefixes of weight .5, ISTA step .25, k from 3.2 L0, warm-up",
        "ReferenceStyleSAE of the RRMA v3 runs, github.com/bigsnarfdude/researchRalph. Differs: no tilted mean",
        {**_SORTED, "prefixes": (1 / 128, 1 / 32, 1 / 8, 1 / 4, 1 / 2, 1.0), "eta": 0.25, "inner_weight": 0.5},
        _THIRD | {"k_anneal": 1.0, "warm_up": 0.005},
        start=3.2,
    ),
}


def recipe(
    name: str,
    d: int,
    m: int,
    *,
    l0: float | int | Sequence[float | int] = 25,
    samples: int = 200_000_000,
    batch: int = 1024,
    seeds: int | Sequence[int] = 0,
) -> tuple[SAE, TrainConfig]:
    """A fresh SAE and the settings to train it with, for `workbench.train`.

    Args:
        name: of the recipe.
        d: width of the activations.
        m: number of latents.
        l0: active latents a sample to aim at; a list makes stack members, along the first axis.
        samples: training samples of each member.
        batch: samples a step.
        seeds: of the initial weights; a list makes stack members, along the last axis.

    Returns:
        The SAE or stack, of shape (len(l0), len(seeds)) where both are lists, and its training.

    Raises:
        ValueError: unknown recipe (the nearest name is suggested) or an L0 out of range.
    """
    must(batch >= 1 and samples >= batch, "recipe.samples", f"at least the batch of {batch}", samples, "raise it")
    targets = l0 if isinstance(l0, Sequence) else [l0]
    steps = samples // batch
    settings, rows, changes = recipe_settings(name, d, m, l0=targets, steps=steps)
    ((setting, _),) = rows[0].items()
    values: Any = [row[setting] for row in rows]
    if not isinstance(l0, Sequence):
        values = values[0]
    elif not isinstance(seeds, int):
        values = [[v] for v in values]
    seed: Any = seeds if isinstance(seeds, int) else list(seeds)
    sae = create(RECIPES[name].variant, d, m, seed=seed, **settings, **{setting: values})
    return sae, replace(PROTOCOL, steps=steps, batch=batch, **changes)


def recipe_settings(
    name: str, d: int, m: int, *, l0: Sequence[float | int], steps: int
) -> tuple[dict[str, Any], list[dict[str, float | int]], dict[str, Any]]:
    """What `recipe` makes its stack of: settings of the variant, those that take each L0, changes to `PROTOCOL`."""
    made = RECIPES[pick(name, RECIPES, "recipe")]
    targets = [float(v) for v in l0]
    fits = bool(targets) and min(targets) > 0 and max(targets) <= m
    must(fits, "recipe.l0", f"in (0, m={m}]", l0, "lower it or raise m")
    settings, train = dict(made.settings), dict(made.train)
    if made.aux:
        levels = len(settings.get("prefixes", (1.0,)))
        share = 1 / (1 + (levels - 1) * settings.get("inner_weight", 1.0))  # the loss is a mean over prefixes
        train = {"aux_k": max(1, min(d, m) // 2), "aux_weight": share} | train
    if made.resample:
        every = max(1, min(2500, steps // 40))
        train |= {"resample_every": every, "dead_after": min(train.get("dead_after", PROTOCOL.dead_after), every)}
    if made.start > 1:
        starts = tuple(min(float(m), made.start * target) for target in targets)
        train["k_start"] = starts if len({*starts}) > 1 else starts[0]
    whole = isinstance(variant_shelf()[made.variant].defaults[made.l0], int)
    values = [round(v) for v in targets] if whole else targets
    return settings, [{made.l0: value} for value in values], train


K_START, MOST = 3.0, 1 / 4
"""k begins at this multiple of its own, but at no more than this share of d: more directions are no sparse code"""
K_ANNEAL = 0.9
"""share of the steps over which it comes down, but where shorter prefixes have to reconstruct too"""
PATIENCE = 50
"""so many samples for each latent go by before one that fired in none of them counts as dead"""
WIDE = 128
"""from this d on, latents start along activations"""
RULED = ("k_start", "k_anneal", "aux_k", "aux_weight", "dead_after", "data_start")
"""what `tuned` has rules for"""


def tuned(sae: SAE, **changes: Any) -> TrainConfig:
    """`TrainConfig` with rules of the SAE's parts and sizes in place of constants, and with changes.

    Where latents compete for k places or have to pass a threshold, one that is never chosen never learns. Hence

    - an encoder with a k begins with 3 k, or d/4 where that is less (`k_start`, in a stack of several k one for each),
      and comes down to k over .9 of the steps, with prefixes over half (`k_anneal`); from d/4 on k stays as it is;
    - dead latents learn from what the others leave: AuxK with d/2 of them at weight 1 (`aux_k`, `aux_weight`), unless
      the encoder gives no pre-activations, rows or columns are frozen, or a part looks after dead latents itself;
    - a latent is dead after 50 m samples without firing, and 10 steps (`dead_after`);
    - from d = 128 on, latents that are compared with one another start along activations (`data_start`), unless rows
      or columns are frozen or are no longer those of the SAE's seed.

    What they are worth on three worlds, and where they are not, stands in docs/topics/tuning.md.

    Args:
        sae: what is to be trained.
        changes: fields of `TrainConfig`; no rule goes over them.
    """
    config = TrainConfig(**changes)
    rules: dict[str, Any] = {"dead_after": max(10, round(PATIENCE * sae.m / config.batch))}
    if sae.d >= WIDE and sae.encoder.compares and unmoved(sae):
        rules["data_start"] = True
    if anneals(sae):
        rules["k_start"] = first_k(sae)
        if rules["k_start"] and not any(isinstance(t, Nested) and len(t.widths) > 1 for t in sae.loss_terms.values()):
            rules["k_anneal"] = K_ANNEAL
    if revives(sae):
        rules |= {"aux_k": max(1, min(sae.d, sae.m) // 2), "aux_weight": 1.0}
    return replace(config, **{name: value for name, value in rules.items() if name not in changes})


def first_k(sae: SAE) -> float | tuple[float, ...] | None:
    """`k_start` by the rule: a number where all k of a stack begin alike, None where none begins larger."""
    k = np.asarray(sae.settings_now()["k"], dtype=np.float64)
    first = np.maximum(np.minimum(K_START * k, MOST * sae.d), k)
    if (first == k).all():
        return None
    starts = tuple(first.ravel().tolist())
    return starts[0] if len({*starts}) == 1 else starts


def anneals(sae: SAE) -> bool:
    """Whether k may begin larger: its places are given to entries of one product."""
    return "k" in sae.settings and sae.encoder.compares and not sae.encoder.positional and sae.has_evidence


def revives(sae: SAE) -> bool:
    """Whether AuxK is of use."""
    cared_for = sae.targets is not None or any(isinstance(term, Silent) for term in sae.loss_terms.values())
    return sae.has_evidence and not cared_for and not {"W_dec", "W_enc"} & {*sae.frozen}


def unmoved(sae: SAE) -> bool:
    """Whether latents may be pointed elsewhere: they can be, and stand where the SAE's seed put them."""
    rows = Sizes(sae.name, sae.d, sae.m, sae.shape, sae.seed).rows.to(sae.W_dec)
    return movable(sae) and torch.equal(sae.W_dec, rows) and torch.equal(sae.W_enc.mT, rows)
