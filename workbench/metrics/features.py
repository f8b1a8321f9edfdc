"""What became of each true feature, and what each latent is: one row each, with a status and all causes that apply."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from scipy.stats import beta
from torch import Tensor

from synthetic.base.errors import must
from workbench.metrics.codings import settings_of
from workbench.metrics.detection import scores as detection_scores
from workbench.metrics.evidence import Evidence, collect, known_world
from workbench.metrics.hierarchy import MIXES, TRACKS, pairs
from workbench.metrics.intervals import newcombe, wilson
from workbench.metrics.matching import cosines
from workbench.metrics.scores import labels
from workbench.parts.pursuit import orthogonal_matching_pursuit
from workbench.ratios import ratio, unit_rows
from workbench.sae import SAE

FOUND = 0.9
"""|cos| from which a feature counts as found"""
ABSORBED = 0.25
"""gap between a parent's recall without and with a child from which the child counts as its absorber"""
CROWDED = 0.5
"""|cos| of two true features from which they crowd each other"""
BETTER = 0.02
"""F1 above the true dictionary's from which a feature is marked"""
FEW = 30
"""trials below which a share is printed as a count"""
TERMS = 5
"""features that a latent is written as a sum of, at most"""
_LABELS: dict[str, Any] = {"member": pl.Int64, "setting": pl.String, "seed": pl.Int64}
_NUMBERS = pl.Float64
FEATURE_COLUMNS: dict[str, Any] = _LABELS | {
    "feature": pl.Int64,
    "status": pl.String,
    "causes": pl.String,
    "rate": _NUMBERS,
    "firings": pl.Int64,
    "magnitude": _NUMBERS,
    "coherence": _NUMBERS,
    "neighbour": pl.Int64,
    "parent": pl.Int64,
    "latent": pl.Int64,
    "cosine": _NUMBERS,
    "nearest_latent": pl.Int64,
    "nearest_cosine": _NUMBERS,
    "chance": _NUMBERS,
    "f1": _NUMBERS,
    "precision": _NUMBERS,
    "recall": _NUMBERS,
    "recall_low": _NUMBERS,
    "recall_high": _NUMBERS,
    "true_f1": _NUMBERS,
    "latents": pl.Int64,
    "absorber": pl.Int64,
    "gap": _NUMBERS,
    "gap_low": _NUMBERS,
    "gap_high": _NUMBERS,
    "with_child": pl.Int64,
    "without_child": pl.Int64,
    "hedged_with": pl.Int64,
    "hedging": _NUMBERS,
}
LATENT_COLUMNS: dict[str, Any] = _LABELS | {
    "latent": pl.Int64,
    "rate": _NUMBERS,
    "firings": pl.Int64,
    "norm": _NUMBERS,
    "nearest": pl.Int64,
    "cosine": _NUMBERS,
    "second": pl.Int64,
    "second_cosine": _NUMBERS,
    "chance": _NUMBERS,
    "feature": pl.Int64,
    "mixture": pl.String,
    "rest": _NUMBERS,
}


def features(sae: SAE, world: Any, n: int = 50_000, seed: int = 1, true_dictionary: SAE | None = None) -> pl.DataFrame:
    """One row a member and true feature of a world: how it fires, which latent stands for it, and what went wrong.

    status: "dead" where its latent never fires; "found" at |cos| >= .9 with it; "chance" where no latent is nearer than
    the 95 % quantile of what as many random rows give (`chance`); else "near".

    causes: everything that applies, joined by "; ", each with its number: split into n latents; absorbed by a child
    (recall of its latent falls by over .25 where the child fires, and the 95 % interval is above 0); hedged with a
    child; mixed with other features in its latent's row (share at least .25); taken, where the nearest latent stands
    for another feature; no latent left; crowded by a neighbour at |cos| > .5; missed, or fires elsewhere (recall or
    precision below 1/2 with 95 % confidence); rare, said only within chance and of rates below nearly all of those
    found; over the true dictionary by more than .02 of F1, which absorption can pay for. Shares stand with their
    counts; below 30 the counts stand alone.

    Args:
        sae: an SAE or a stack.
        world: with a truth, or its name or folder.
        n: samples; rare features ask for more.
        seed: of the stream "evaluate".
        true_dictionary: a single trained `workbench.oracle` of the same variant, for the column `true_f1`.

    Source: ours; absorption as in `metrics.hierarchy`, intervals of Wilson and Newcombe.
    """
    truth_f1 = None
    if true_dictionary is not None:
        truth_f1 = feature_f1(_evidence(true_dictionary, world, n, seed, "features.true_dictionary")[0])
    return feature_frame(sae, _evidence(sae, world, n, seed, "features"), truth_f1)


def feature_frame(sae: SAE, members: list[Evidence], truth_f1: Tensor | None = None) -> pl.DataFrame:
    """`features` of what was collected; `truth_f1` is the F1 of each feature in the true dictionary."""
    neighbours = _neighbours(members[0].truth.features)
    return _frame(sae, [_features(member, neighbours, truth_f1) for member in members], FEATURE_COLUMNS)


def latents(sae: SAE, world: Any, n: int = 50_000, seed: int = 1) -> pl.DataFrame:
    """One row a member and latent: how often it fires, its nearest features, and its row as a sum of features.

    nearest, second: the features of largest |cos|, with signed cosines; chance: 95 % quantile of the largest |cos| of a
    random row with any feature. feature: the one that it is matched to. mixture: its unit row by orthogonal matching
    pursuit on the true features, up to five terms of at least .1; rest: norm of what five terms leave.
    """
    return latent_frame(sae, _evidence(sae, world, n, seed, "latents"))


def latent_frame(sae: SAE, members: list[Evidence]) -> pl.DataFrame:
    """`latents` of what was collected."""
    return _frame(sae, [_latents(member) for member in members], LATENT_COLUMNS)


def medians_by_rate(frame: pl.DataFrame, y: str) -> tuple[np.ndarray, np.ndarray]:
    """Median rate, and median |y| with 0 where there is none, of ten equally full bins of rate; none of few rows."""
    rate, height = frame["rate"].to_numpy(), frame[y].cast(pl.Float64).abs().fill_null(0.0).to_numpy()
    if len(frame) < 20:
        return np.zeros(0), np.zeros(0)
    bins = np.array_split(np.argsort(rate, kind="stable"), 10)
    return np.array([np.median(rate[b]) for b in bins]), np.array([np.median(height[b]) for b in bins])


def chance_cosine(count: int, d: int, level: float = 0.95) -> float:
    """Quantile of the largest |cos| of `count` random rows with a fixed direction.

    cos^2 of one is Beta(1/2, (d - 1)/2), and the largest is below t with P(one is)^count.
    """
    return float(beta.ppf(level ** (1 / count), 0.5, (d - 1) / 2) ** 0.5) if d > 1 else 1.0


def _evidence(sae: SAE, world: Any, n: int, seed: int, where: str) -> list[Evidence]:
    world = known_world(f"{where}.world", world, sae)
    must(n >= 1, f"{where}.n", "at least 1", n, "draw some samples")
    return collect(sae, world, n, seed)


def _frame(sae: SAE, every: list[dict[str, list[Any]]], columns: dict[str, Any]) -> pl.DataFrame:
    frames = []
    for table, label in zip(every, labels(settings_of(sae), sae.shape), strict=True):
        size = len(next(iter(table.values())))
        frames.append(pl.DataFrame({name: [v] * size for name, v in label.items()} | table, schema=columns))
    return pl.concat(frames)


def feature_f1(evidence: Evidence) -> Float[Tensor, " n_true"]:
    """F1 of each feature and its latent, 0 without one."""
    return detection_scores(evidence.features.hits, evidence.matched_fires, evidence.features.fires)[2]


@dataclass
class FamilyEdges:
    """Parent-child pairs: what the parent's latent does with and without the child, and what its row holds of it."""

    child: Int[Tensor, " e"]
    parent: Int[Tensor, " e"]
    silent_with: Float[Tensor, " e"]
    with_child: Float[Tensor, " e"]
    silent_without: Float[Tensor, " e"]
    without_child: Float[Tensor, " e"]
    hedging: Float[Tensor, " e"]
    gap: Float[Tensor, " e"] = field(init=False)
    low: Float[Tensor, " e"] = field(init=False)
    high: Float[Tensor, " e"] = field(init=False)

    def __post_init__(self) -> None:
        counts = (self.silent_with, self.with_child, self.silent_without, self.without_child)
        self.gap = ratio(self.silent_with, self.with_child) - ratio(self.silent_without, self.without_child)
        self.low, self.high = newcombe(*counts)


def family_edges(evidence: Evidence) -> FamilyEdges:
    """All pairs whose parent has a latent at |cos| >= .5 and in which both cases came up."""
    both = pairs(evidence, child_too=False)
    silent_with, silent_without = both.with_child - both.hits_with, both.without_child - both.hits_without
    hedging = ratio(both.c, both.p.abs() + both.c.abs(), 0.0)
    counts = (silent_with, both.with_child, silent_without, both.without_child)
    return FamilyEdges(both.child, both.parent, *counts, hedging)


def mixtures(evidence: Evidence) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"], Float[Tensor, " m"]]:
    """Features and coefficients of each latent's unit row, and the norm of the rest."""
    directions = evidence.truth.features.double()
    path = orthogonal_matching_pursuit(unit_rows(evidence.decoder), directions, min(TERMS, *directions.shape))
    return path.indices, path.values, path.residual.norm(dim=1)


def _neighbours(directions: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Largest |cos| of each direction with another, and which one; 0 and -1 where there is no other."""
    if len(directions) < 2:
        return torch.zeros(len(directions)), torch.full((len(directions),), -1)
    tops, rows = [], unit_rows(directions.double())
    for start in range(0, len(directions), 1024):
        block = (rows[start : start + 1024] @ rows.T).abs()
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = -1.0
        tops.append(block.max(1))
    return torch.cat([top.values for top in tops]), torch.cat([top.indices for top in tops])


def _features(evidence: Evidence, neighbours: tuple[Tensor, Tensor], truth_f1: Tensor | None) -> dict[str, list[Any]]:
    """Columns of one member."""
    own, geometry, truth = evidence.features, evidence.geometry, evidence.truth
    precision, recall, f1 = detection_scores(own.hits, evidence.matched_fires, own.fires)
    recall_low, recall_high = wilson(own.hits, own.fires)
    tracking = evidence.live & (geometry.nearest_cosine >= TRACKS)
    followers = torch.bincount(geometry.nearest[tracking], minlength=truth.n_true)
    similar = cosines(evidence.decoder, truth.features)
    nearest = similar.abs().argmax(0)
    signed = similar.gather(0, nearest[None]).squeeze(0)
    latent = geometry.latent_of
    table = {
        "feature": list(range(truth.n_true)),
        "rate": truth.rates.double(),
        "firings": own.fires.long(),
        "magnitude": _absent(ratio(own.h_sum, own.fires)),
        "coherence": neighbours[0],
        "neighbour": _index(neighbours[1]),
        "parent": _index(truth.parents),
        "latent": _index(latent),
        "cosine": _absent(torch.where(latent >= 0, geometry.cosine_of, torch.nan)),
        "nearest_latent": nearest,
        "nearest_cosine": signed,
        "chance": [chance_cosine(len(evidence.decoder), truth.d)] * truth.n_true,
        "f1": f1,
        "precision": precision,
        "recall": recall,
        "recall_low": recall_low,
        "recall_high": recall_high,
        "true_f1": [None] * truth.n_true if truth_f1 is None else truth_f1,
        "latents": followers,
    }
    table = {name: v.tolist() if isinstance(v, Tensor) else v for name, v in table.items()}
    edges = family_edges(evidence)
    table |= _worst_children(edges, truth.n_true)
    table["status"] = _statuses(table, evidence)
    said = _Causes(table, evidence, edges)
    table["causes"] = ["; ".join(said.of(i)) for i in range(truth.n_true)]
    return table


def _index(values: Int[Tensor, " n"]) -> list[int | None]:
    return [v if v >= 0 else None for v in values.tolist()]


def _absent(values: Float[Tensor, " n"]) -> list[float | None]:
    return [None if v != v else v for v in values.tolist()]


def _worst_children(edges: FamilyEdges, n_true: int) -> dict[str, list[Any]]:
    """Of each parent the child with the largest gap, and that with the largest share in its latent's row."""
    names = ("absorber", "gap", "gap_low", "gap_high", "with_child", "without_child", "hedged_with", "hedging")
    table: dict[str, list[Any]] = {name: [None] * n_true for name in names}
    for e in edges.gap.argsort().tolist():
        i = int(edges.parent[e])
        table["absorber"][i] = int(edges.child[e])
        table["gap"][i], table["gap_low"][i], table["gap_high"][i] = (
            float(v[e]) for v in (edges.gap, edges.low, edges.high)
        )
        table["with_child"][i], table["without_child"][i] = int(edges.with_child[e]), int(edges.without_child[e])
    for e in edges.hedging.argsort().tolist():
        i = int(edges.parent[e])
        table["hedged_with"][i], table["hedging"][i] = int(edges.child[e]), float(edges.hedging[e])
    return table


def _statuses(table: dict[str, list[Any]], evidence: Evidence) -> list[str]:
    statuses = []
    for i, latent in enumerate(table["latent"]):
        if latent is not None and not bool(evidence.live[latent]) and abs(table["cosine"][i]) > table["chance"][i]:
            statuses.append("dead")
        elif latent is not None and abs(table["cosine"][i]) >= FOUND:
            statuses.append("found")
        else:
            statuses.append("chance" if abs(table["nearest_cosine"][i]) <= table["chance"][i] else "near")
    return statuses


class _Causes:
    """What went wrong with each feature of one member, in words."""

    def __init__(self, table: dict[str, list[Any]], evidence: Evidence, edges: FamilyEdges) -> None:
        self.table, self.evidence, self.edges = table, evidence, edges
        self.terms, self.weights, _ = (v.tolist() for v in mixtures(evidence))
        self.children: dict[int, list[int]] = {}
        for e, parent in enumerate(edges.parent.tolist()):
            self.children.setdefault(parent, []).append(e)
        rates = sorted(table["rate"][i] for i, status in enumerate(table["status"]) if status == "found")
        self.rare = rates[len(rates) // 20] if rates else 0.0
        feature_of = evidence.features.feature_of.tolist()
        self.taken_by = [feature_of[latent] for latent in table["nearest_latent"]]
        n, length = evidence.n, evidence.matched_fires
        self.firings_of_latent = length.long().tolist()
        self.precision_high = wilson(evidence.features.hits, length)[1].tolist()
        self.n = n

    def of(self, i: int) -> list[str]:
        """Causes of one feature."""
        at = {name: column[i] for name, column in self.table.items()}
        causes = [*self._firing(i, at), *self._split_or_taken(i, at)]
        if at["latent"] is not None and abs(at["cosine"]) > at["chance"]:
            causes += [*self._children(i), *self._mixed(i, at)]
        if at["coherence"] > CROWDED:
            causes.append(f"crowded by {at['neighbour']} (cos {at['coherence']:.2f})")
        if at["true_f1"] is not None and at["f1"] > at["true_f1"] + BETTER:
            causes.append(f"over the true dictionary (F1 {at['f1']:.2f}, {at['true_f1']:.2f} there)")
        return causes

    def _firing(self, i: int, at: dict[str, Any]) -> Iterator[str]:
        if at["firings"] == 0:
            yield f"unseen in {self.n:,} samples"
        elif at["status"] == "chance" and at["rate"] < self.rare:
            yield f"rare ({at['firings']} firings, {self.n:,} samples)"
        if at["status"] == "dead":
            yield f"latent {at['latent']} never fires"
        elif at["status"] == "found" and at["firings"] and at["recall_high"] < 0.5:
            yield f"missed (fires in {_share(at['recall'] * at['firings'], float(at['firings']))})"
        if at["status"] == "found" and self.firings_of_latent[i] and self.precision_high[i] < 0.5:
            right = at["precision"] * self.firings_of_latent[i]
            yield f"fires elsewhere (right in {_share(right, float(self.firings_of_latent[i]))})"

    def _split_or_taken(self, i: int, at: dict[str, Any]) -> Iterator[str]:
        if at["latents"] > 1:
            yield f"split into {at['latents']} latents"
        other, near = self.taken_by[i], abs(at["nearest_cosine"]) > at["chance"]
        if at["status"] == "near" and near and other not in (i, -1):
            yield f"taken: latent {at['nearest_latent']} (cos {at['nearest_cosine']:.2f}) stands for {other}"
        if at["latent"] is None:
            yield "no latent left"

    def _children(self, i: int) -> Iterator[str]:
        edges = self.edges
        for e in self.children.get(i, []):
            if float(edges.gap[e]) > ABSORBED and float(edges.low[e]) > 0:
                silent = _share(float(edges.silent_with[e]), float(edges.with_child[e]))
                otherwise = _share(float(edges.silent_without[e]), float(edges.without_child[e]))
                yield f"absorbed by child {int(edges.child[e])} (silent in {silent} with it, in {otherwise} without)"
            if float(edges.hedging[e]) >= MIXES:
                yield f"hedged with child {int(edges.child[e])} (share {float(edges.hedging[e]):.2f})"

    def _mixed(self, i: int, at: dict[str, Any]) -> Iterator[str]:
        terms, weights = self.terms[at["latent"]], self.weights[at["latent"]]
        whole = sum(abs(w) for w in weights)
        for j, weight in sorted(zip(terms, weights, strict=True), key=lambda pair: -abs(pair[1])):
            if j != i and abs(weight) >= MIXES * whole:
                yield f"mixed with {self._kin(i, j)} {j} (share {abs(weight) / whole:.2f})"

    def _kin(self, i: int, j: int) -> str:
        """What feature j is to feature i."""
        parents = self.table["parent"]
        if parents[j] == i:
            return "child"
        above = parents[i]
        while above is not None:
            if above == j:
                return "parent" if above == parents[i] else "ancestor"
            above = parents[above]
        return "feature"


def _share(hits: float, trials: float) -> str:
    """A share with its count and 95 % interval, or the count alone where it is small."""
    if trials < FEW:
        return f"{round(hits)} of {round(trials)}"
    low, high = (100 * float(v) for v in wilson(torch.tensor([hits]).double(), torch.tensor([trials]).double()))
    return f"{100 * hits / trials:.0f} % [{low:.0f}, {high:.0f}] of {round(trials)}"


def _latents(evidence: Evidence) -> dict[str, list[Any]]:
    """Columns of one member."""
    geometry, truth = evidence.geometry, evidence.truth
    similar = cosines(evidence.decoder, truth.features)
    terms, weights, rest = mixtures(evidence)
    columns = {
        "latent": list(range(len(evidence.decoder))),
        "rate": evidence.fires / evidence.n,
        "firings": evidence.fires.long(),
        "norm": evidence.decoder.norm(dim=1),
        "nearest": geometry.nearest,
        "cosine": similar.gather(1, geometry.nearest[:, None]).squeeze(1),
        "second": geometry.second,
        "second_cosine": similar.gather(1, geometry.second[:, None]).squeeze(1),
        "chance": [chance_cosine(truth.n_true, truth.d)] * len(evidence.decoder),
        "feature": _index(evidence.features.feature_of),
        "mixture": [_sum(t, w) for t, w in zip(terms.tolist(), weights.tolist(), strict=True)],
        "rest": rest,
    }
    return {name: v.tolist() if isinstance(v, Tensor) else v for name, v in columns.items()}


def _sum(terms: list[int], weights: list[float]) -> str:
    """A sum of features in words, largest first: ".71 of 3 + .70 of 15"."""
    kept = sorted(
        ((w, j) for j, w in zip(terms, weights, strict=True) if abs(w) >= 0.1), key=lambda term: -abs(term[0])
    )
    return " + ".join(f"{w:.2f} of {j}" for w, j in kept)
