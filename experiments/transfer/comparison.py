"""Whether scores on worlds of known truth put SAE variants in the order that scores on a language model do."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from math import nan

import numpy as np
import polars as pl
import torch
from jaxtyping import Float

from experiments.transfer.ranks import Agreement, Parts, added, agreement, family_p, kendall, seeds_agree, standings
from experiments.transfer.settings import MODEL, Transfer
from synthetic.base.streams import stream
from workbench.lm.activations import Activations
from workbench.metrics import evaluate
from workbench.metrics.consistency import agreements
from workbench.sae import SAE
from workbench.study.selection import present, rows

ALL = "all worlds"
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
    family: float = nan
    """chance of a tau as large anywhere among the comparisons of worlds with the model; NaN where not one of them"""

    @property
    def numbers(self) -> dict[str, float]:
        """What a table keeps of it."""
        return asdict(self.agreement) | {"family_p": self.family}


def scores_of(frame: pl.DataFrame, places: Sequence[str], metric: str) -> list[Float[np.ndarray, "_ _"]]:
    """Scores of each place, a row a variant, a column a seed, turned so that larger is better.

    Args:
        frame: columns place, arm, metric, seed, value; the variants in the same order everywhere.
        places: which.
        metric: which.
    """
    scores = []
    for place in places:
        here = rows(frame, place=place, metric=metric)
        values = [rows(here, arm=name).sort("seed")["value"].to_list() for name in present(here, "arm")]
        scores.append(np.array(values, dtype=np.float64) * (-1 if metric in LESS else 1))
    return scores


def on_model(saes: Sequence[SAE], test: Activations, samples: int) -> dict[str, list[float]]:
    """Held-out scores of single SAEs, and the mean MCC of each one's decoder with the other seeds'."""
    x = test.rows(torch.arange(test.n)[:: max(1, test.n // samples)])
    names = ("l0", "dead", "fvu")
    measured = [evaluate(sae, x, metrics=names) for sae in saes]
    shared = agreements([sae.W_dec for sae in saes])
    scores = {name: [values[name] for values in measured] for name in names}
    return scores | {"consistency": (shared.sum(1) / (len(saes) - 1)).tolist()}


def compared(frame: pl.DataFrame, worlds: Sequence[str], draws: int) -> Iterator[Compared]:
    """Every score of every world, and of all worlds by mean rank, against every score of the model."""
    spots = [(place, metric) for place in (ALL, *worlds) for metric in TOY]
    ours = [scores_of(frame, worlds if place == ALL else [place], metric) for place, metric in spots]
    theirs = [scores_of(frame, [MODEL], metric) for metric in REAL]
    family = family_p(ours, theirs, stream(0, "transfer/family"), draws)
    for a, ((place, metric), toy) in enumerate(zip(spots, ours, strict=True)):
        for b, (against, real) in enumerate(zip(REAL, theirs, strict=True)):
            pair = _agreement(toy, real, f"{place}/{metric}/{against}", draws)
            yield Compared(place, metric, against, pair, float(family[a, b]))


def controls(frame: pl.DataFrame, worlds: Sequence[str], draws: int) -> Iterator[Compared]:
    """What MCC and fvu of the worlds add to each other, and what the L0 that was met on the model says by itself.

    Of five variants or more, what is left once the two last by fvu on the model, which any order finds, are out.
    """
    variants = present(frame, "arm")
    if len(variants) >= 5:
        order = standings(scores_of(frame, [MODEL], "fvu")).argsort()
        middle = frame.filter(pl.col("arm").is_in([variants[i] for i in order[:-2]]))
        for metric, against in product(TOY, REAL):
            toy, real = scores_of(middle, worlds, metric), scores_of(middle, [MODEL], against)
            yield Compared(MIDDLE, metric, against, _agreement(toy, real, f"middle/{metric}/{against}", draws))
    for against in REAL:
        real = scores_of(frame, [MODEL], against)
        for metric, known in (("mcc", "fvu"), ("fvu", "mcc")):
            rng = stream(0, f"transfer/added/{metric}/{against}")
            toy, other = (scores_of(frame, worlds, name) for name in (metric, known))
            more = added(toy, other, real, rng, draws, (worlds, worlds, [MODEL]))
            yield Compared(ALL, f"{metric}{GIVEN}{known}", against, more)
        rng = stream(0, f"transfer/l0/{against}")
        l0 = agreement(scores_of(frame, [MODEL], "l0"), real, rng, draws, ([MODEL], [MODEL]))
        yield Compared(MODEL, "l0", against, l0)


def _agreement(toy: Parts, real: Parts, name: str, draws: int) -> Agreement:
    return agreement(toy, real, stream(0, f"transfer/{name}"), draws)


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


def with_comparisons(table: pl.DataFrame, settings: Transfer) -> pl.DataFrame:
    """The table with every comparison and control, a row a number, once all scores are there."""
    table = table.with_columns(of=pl.lit(None, pl.String), against=pl.lit(None, pl.String))
    for place in (MODEL, *settings.worlds):
        seeds = settings.seeds if place == MODEL else settings.toy_seeds
        for metric in REAL if place == MODEL else TOY:
            if rows(table, place=place, metric=metric).height < seeds * len(set(settings.variants)):
                return table
    pairs = [*compared(table, settings.worlds, settings.draws), *controls(table, settings.worlds, settings.draws)]
    numbers = [
        {"study": "transfer", "place": pair.place, "of": pair.metric, "against": pair.against, "kind": "score"}
        | {"metric": metric, "value": value}
        for pair in pairs
        for metric, value in pair.numbers.items()
    ]
    return pl.concat([table, pl.DataFrame(numbers, schema=table.schema)])


def comparisons(table: pl.DataFrame) -> list[Compared]:
    """What `with_comparisons` put into a table."""
    pairs = table.filter(pl.col("against").is_not_null()).group_by("place", "of", "against", maintain_order=True)
    read = []
    for (place, of, against), part in pairs:
        numbers = dict(part.select("metric", "value").iter_rows())
        family = numbers.pop("family_p")
        read.append(Compared(str(place), str(of), str(against), Agreement(**numbers), family))
    return read
