"""Whether scores on worlds of known truth put SAE variants in the order that scores on a language model do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float

from experiments.transfer.ranks import Agreement, Parts, added, agreement, family_p, kendall, seeds_agree, standings
from synthetic.base.streams import stream
from workbench.lm.activations import Activations
from workbench.metrics import evaluate
from workbench.metrics.consistency import agreements
from workbench.sae import SAE

MODEL, ALL = "model", "all worlds"
MIDDLE = "all worlds, without the two variants last by fvu on the model,"
TOY = {"mcc": "MCC", "f1": "macro-F1", "matched_recall@.9": "recall@.9", "consistency": "cons.", "fvu": "fvu"}
"""scores on worlds, and their heads in tables"""
REAL = {"fvu": "fvu", "recovered": "CE", "consistency": "cons.", "dead": "dead"}
"""scores on a model: CE is the loss recovered, counted from mean ablation"""
LESS = ("fvu", "dead")
"""scores of which less ranks first"""
GIVEN = " given "


@dataclass(frozen=True)
class Compared:
    """One score on a world, or on all of them, against one on the model."""

    place: str
    metric: str
    """of the world; "mcc given fvu" for what MCC adds to fvu"""
    against: str
    """of the model"""
    agreement: Agreement
    family: float
    """chance of a tau as large anywhere among the comparisons of worlds with the model; NaN where not one of them"""


def score_rows(
    cells: Sequence[Mapping[str, Any]], results: Mapping[str, Any], lost: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    """One row a number: the results of cells of a place, a variant and seeds; losses by "variant seed"."""
    for cell in cells:
        result, seeds = results[cell["id"]], cell["seeds"]
        scores = result["scores"] | {"setting": [result["setting"]] * len(seeds)}
        if cell["place"] == MODEL:
            own = [lost[f"{cell['variant']} {seed}"] for seed in seeds]
            scores |= {"recovered": [one["recovered from mean"] for one in own], "kl": [one["kl"] for one in own]}
        place = {"place": cell["place"], "variant": cell["variant"]}
        for metric, values in scores.items():
            for seed, value in zip(seeds, values, strict=True):
                yield {"kind": "score", **place, "metric": metric, "against": None, "seed": seed, "value": float(value)}


def scores_of(frame: pl.DataFrame, places: Sequence[str], metric: str) -> list[Float[np.ndarray, "_ _"]]:
    """Scores of each place, a row a variant, a column a seed, turned so that larger is better.

    Args:
        frame: columns kind ("score"), place, variant, metric, seed, value; the variants in the same order everywhere.
        places: which.
        metric: which.
    """
    found = []
    own = frame.filter((pl.col("kind") == "score") & (pl.col("metric") == metric))
    for place in places:
        here = own.filter(pl.col("place") == place)
        variants = here["variant"].unique(maintain_order=True)
        rows = [here.filter(pl.col("variant") == name).sort("seed")["value"].to_list() for name in variants]
        found.append(np.array(rows, dtype=np.float64) * (-1 if metric in LESS else 1))
    return found


def on_model(saes: Sequence[SAE], test: Activations, samples: int) -> dict[str, list[float]]:
    """Held-out scores of single SAEs, and the mean MCC of each one's decoder with the other seeds'."""
    x = test.rows(torch.arange(test.n)[:: max(1, test.n // samples)])
    names = ("l0", "dead", "fvu")
    found = [evaluate(sae, x, metrics=names) for sae in saes]
    shared = agreements([sae.W_dec for sae in saes])
    scores = {name: [own[name] for own in found] for name in names}
    return scores | {"consistency": (shared.sum(1) / (len(saes) - 1)).tolist()}


def compared(frame: pl.DataFrame, worlds: Sequence[str], draws: int) -> list[Compared]:
    """Every score of every world, and of all worlds by mean rank, against every score of the model."""
    spots = [(place, metric) for place in (ALL, *worlds) for metric in TOY]
    ours = [scores_of(frame, worlds if place == ALL else [place], metric) for place, metric in spots]
    theirs = [scores_of(frame, [MODEL], metric) for metric in REAL]
    family = family_p(ours, theirs, stream(0, "transfer/family"), draws)
    return [
        Compared(
            place, metric, against, _agreement(own, other, f"{place}/{metric}/{against}", draws), float(family[a, b])
        )
        for a, ((place, metric), own) in enumerate(zip(spots, ours, strict=True))
        for b, (against, other) in enumerate(zip(REAL, theirs, strict=True))
    ]


def controls(frame: pl.DataFrame, worlds: Sequence[str], draws: int) -> list[Compared]:
    """What MCC and fvu of the worlds add to each other, and what the L0 that was met on the model says by itself.

    Of five variants or more, what is left once the two last by fvu on the model, which any order finds, are out.
    """
    found = []
    variants = frame.filter(pl.col("kind") == "score")["variant"].unique(maintain_order=True).to_list()
    if len(variants) >= 5:
        order = standings(scores_of(frame, [MODEL], "fvu")).argsort()
        kept = frame.filter(pl.col("variant").is_in([variants[i] for i in order[:-2]]))
        for metric, against in product(TOY, REAL):
            one, other = scores_of(kept, worlds, metric), scores_of(kept, [MODEL], against)
            own = _agreement(one, other, f"middle/{metric}/{against}", draws)
            found.append(Compared(MIDDLE, metric, against, own, float("nan")))
    for against in REAL:
        other = scores_of(frame, [MODEL], against)
        for metric, given in (("mcc", "fvu"), ("fvu", "mcc")):
            rng = stream(0, f"transfer/added/{metric}/{against}")
            both = added(scores_of(frame, worlds, metric), scores_of(frame, worlds, given), other, rng, draws)
            found.append(Compared(ALL, f"{metric}{GIVEN}{given}", against, both, float("nan")))
        own = _agreement(scores_of(frame, [MODEL], "l0"), other, f"l0/{against}", draws)
        found.append(Compared(MODEL, "l0", against, own, float("nan")))
    return found


def _agreement(one: Parts, other: Parts, name: str, draws: int) -> Agreement:
    return agreement(one, other, stream(0, f"transfer/{name}"), draws)


def reliability(frame: pl.DataFrame, worlds: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Taus that no transfer should be expected to exceed: (what, metric, tau).

    Between two seeds of one place, and between two worlds, each a mean over pairs.
    """
    for metric in TOY:
        yield "two seeds of a world", metric, seeds_agree(scores_of(frame, worlds, metric))
    for metric in REAL:
        yield "two seeds on the model", metric, seeds_agree(scores_of(frame, [MODEL], metric))
    for metric in TOY:
        orders = [standings([part], best=1.0) for part in scores_of(frame, worlds, metric)]
        pairs = [float(kendall(a, b)) for a, b in combinations(orders, 2)]
        yield "two worlds", metric, float(np.nanmean(pairs)) if np.isfinite(pairs).any() else float("nan")


def tidy(found: Sequence[Compared]) -> Iterator[dict[str, str | float | None]]:
    """One row a number."""
    for one in found:
        own = one.agreement
        place = {"place": one.place, "variant": None, "metric": one.metric, "against": one.against, "seed": None}
        numbers = {"tau": own.tau, "low": own.low, "high": own.high, "rho": own.rho, "p": own.p, "family p": one.family}
        numbers |= {"variants low": own.least, "variants high": own.most}
        for kind, value in numbers.items():
            yield {"kind": kind, **place, "value": value}
