"""What the explorer's page draws: everything that is judged or measured is made here, the page's script only draws."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.source import GroundTruth
from workbench.metrics import features as rules
from workbench.metrics import hierarchy
from workbench.metrics.detection import chance_f1
from workbench.metrics.evidence import Evidence, collect
from workbench.metrics.firing import CASES, Firing, kin
from workbench.metrics.matching import cosines
from workbench.ratios import unit_rows
from workbench.sae import SAE
from workbench.training.snapshots import Trace

SCHEMA = "sae-workbench/explorer/1"
STATUSES = ("found", "near", "chance", "dead")
WHOLE = 32767
"""what a share of 1 is stored as; -32768 stands for none"""
PAIRS = 32
"""pairs of a feature with latents, at most"""
NEIGHBOURS = 5
_SHARES = ("cosine", "nearest_cosine", "f1", "precision", "recall", "recall_low", "recall_high", "true_f1")
_SHARES += ("gap", "gap_low", "gap_high", "hedging")
_INDICES = ("latent", "nearest_latent", "absorber", "hedged_with", "latents", "with_child", "without_child")
Packed = dict[str, str]


@dataclass(frozen=True)
class Arm:
    """An SAE or a stack on the page."""

    sae: SAE
    truth_f1: Float[Tensor, " n_true"] | None = None
    """F1 of each feature in the trained true dictionary of the same variant"""
    trace: Trace | None = None
    """decoders on the way"""


def payload(arms: Mapping[str, Arm], world: Any, title: str, n: int, seed: int) -> dict[str, Any]:
    """All that the page is given; arrays as base64 of little-endian numbers (`packed`)."""
    taken = [_measured(name, arm, world, n, seed) for name, arm in arms.items()]
    members = [member for of_arm, _ in taken for member in of_arm]
    constants = {name: getattr(rules, name) for name in ("FOUND", "ABSORBED", "CROWDED", "FEW")}
    constants |= {name: getattr(hierarchy, name) for name in ("TRACKS", "RELATES", "MIXES")}
    return {
        "schema": SCHEMA,
        "run": {"n": n, "seed": seed, "version": _version()},
        "world": _world(title, world.truth) | taken[0][1],
        "constants": {name.lower(): value for name, value in constants.items()},
        "statuses": STATUSES,
        "cases": CASES,
        "groups": groups(members),
        "members": members,
    }


def _measured(name: str, arm: Arm, world: Any, n: int, seed: int) -> tuple[list[dict[str, Any]], dict[str, Packed]]:
    """An arm's members, and what the world's features did in the samples, which are those of all arms."""
    firing = Firing()
    evidence = collect(arm.sae, world, n, seed, firing)
    features = _parts(rules.feature_frame(arm.sae, evidence, arm.truth_f1))
    latents = _parts(rules.latent_frame(arm.sae, evidence))
    rows = zip(evidence, features, latents, strict=True)
    members = [_member(name, arm, one, of_features, of_latents, firing) for one, of_features, of_latents in rows]
    seen = {
        "rate": packed(features[0]["rate"].to_numpy()),
        "firings": packed(features[0]["firings"].to_numpy()),
        "magnitude": packed(features[0]["magnitude"].cast(pl.Float64).to_numpy()),
        "step": packed(firing.step),
    }
    return members, seen


def packed(values: Any, share: bool = False) -> Packed:
    """An array in the fewest bytes: shares to 1 / 32767, whole numbers as small as they fit, others as float32."""
    array = np.asarray(values)
    if share:
        array = np.where(np.isnan(array), -WHOLE - 1, np.round(np.clip(array, -1, 1) * WHOLE)).astype("<i2")
        kind = "share"
    elif array.dtype.kind == "f":
        array, kind = array.astype("<f4"), "f4"
    else:
        fits = not array.size or (array.min() >= -(2**15) and array.max() < 2**15)
        kind = "i2" if fits else "i4"
        array = array.astype(f"<{kind}")
    return {"kind": kind, "data": base64.b64encode(array.tobytes()).decode()}


def unpacked(column: Packed) -> np.ndarray:
    """What `packed` was given, to its precision."""
    kind = "i2" if column["kind"] == "share" else column["kind"]
    array = np.frombuffer(base64.b64decode(column["data"]), f"<{kind}")
    if column["kind"] != "share":
        return array
    return np.where(array == -WHOLE - 1, np.nan, array / WHOLE)


def _version() -> str:
    try:
        return version("sae-workbench")
    except PackageNotFoundError:
        return "not installed"


def _parts(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return frame.partition_by("member", maintain_order=True)


def _world(title: str, truth: GroundTruth) -> dict[str, Any]:
    parent, child = kin(truth)
    cosine, neighbour = _neighbours(truth.features)
    return {
        "name": title,
        "n_true": truth.n_true,
        "d": truth.d,
        "l0": truth.expected_l0,
        "edges": packed(torch.stack((parent, child), 1)),
        "neighbours": {"feature": packed(neighbour), "cosine": packed(cosine, share=True)},
    }


def _neighbours(directions: Float[Tensor, "n d"]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of each direction with its nearest others by |cos|, and which; (n, at most five) each."""
    rows, count = unit_rows(directions.double()), min(NEIGHBOURS, len(directions) - 1)
    values, indices = [], []
    for start in range(0, len(rows), 1024):
        block = rows[start : start + 1024] @ rows.T
        size = block.abs()
        size[torch.arange(len(block)), torch.arange(start, start + len(block))] = -1.0
        top = size.topk(count, dim=1).indices
        indices.append(top)
        values.append(block.gather(1, top))
    return torch.cat(values).numpy(), torch.cat(indices).numpy()


def _member(arm: str, of: Arm, evidence: Evidence, f: pl.DataFrame, v: pl.DataFrame, firing: Firing) -> dict[str, Any]:
    """One SAE: columns of its features and latents, pairs above chance, edges, firing by case, training."""
    truth, rates, label = evidence.truth, evidence.truth.rates.double(), f.row(0, named=True)
    return {
        "arm": arm,
        "variant": of.sae.name,
        "setting": label["setting"] or "",
        "seed": label["seed"],
        "m": len(v),
        "l0": evidence.l0,
        "fvu": evidence.fvu if np.isfinite(evidence.fvu) else None,
        "chance": {"feature": f["chance"][0], "latent": v["chance"][0]},
        "feature": _columns(f, _SHARES, _INDICES)
        | {"status": packed([STATUSES.index(s) for s in f["status"]]), "causes": f["causes"].to_list()},
        "latent": _columns(v, ("cosine", "second_cosine", "rest"), ("nearest", "second", "feature", "firings"))
        | {"norm": packed(v["norm"].to_numpy())},
        "mixture": _mixtures(evidence),
        "pairs": _pairs(evidence, f["chance"][0]),
        "edges": _edges(evidence),
        "f1_chance": packed(chance_f1(torch.full_like(rates, evidence.l0 / len(v)), rates), share=True),
        "median": _medians(f),
        "firing": packed(firing.counts[evidence.index]),
        "training": _training(of.trace, evidence.index, truth, f["latent"].fill_null(-1).to_numpy()),
    }


def _columns(frame: pl.DataFrame, shares: tuple[str, ...], indices: tuple[str, ...]) -> dict[str, Packed]:
    """Columns of a frame; what is absent is none among shares, and -1 among indices."""
    some = {name: packed(frame[name].cast(pl.Float64).to_numpy(), share=True) for name in shares}
    return some | {name: packed(frame[name].fill_null(-1).to_numpy()) for name in indices}


def _medians(frame: pl.DataFrame) -> dict[str, Packed]:
    columns = {name: rules.medians_by_rate(frame, name) for name in ("cosine", "f1")}
    heights = {name: packed(height, share=True) for name, (_, height) in columns.items()}
    return {"rate": packed(columns["f1"][0])} | heights


def groups(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """SAEs that differ in seed alone: by how many features were found, and by how many if all were equally easy."""
    alike: dict[tuple[str, str], list[int]] = {}
    for i, member in enumerate(members):
        arm = re.sub(
            r"-seeds?-\d+(-\d+)?$", "", member["arm"]
        )  # a run that was given more has files of its own for them
        alike.setdefault((arm, member["setting"]), []).append(i)
    told = []
    for group in alike.values():
        found = np.array([unpacked(members[i]["feature"]["status"]) == STATUSES.index("found") for i in group])
        chances = np.ones(1)  # of being found by 0, 1, ... of the members so far
        for share in found.mean(1):
            chances = np.convolve(chances, [1 - share, share])
        counts = np.bincount(found.sum(0), minlength=len(group) + 1)
        told.append(
            {"members": group, "found_by": counts.tolist(), "independent": (chances * found.shape[1]).round(3).tolist()}
        )
    return told


def _mixtures(evidence: Evidence) -> dict[str, Any]:
    """Each latent's unit row as a sum of features: which, and how much of each; terms a row."""
    terms, weights, _ = rules.mixtures(evidence)
    return {"terms": terms.shape[1], "feature": packed(terms), "weight": packed(weights)}


def _pairs(evidence: Evidence, chance: float) -> dict[str, Any]:
    """Pairs of a feature and a latent nearer than chance, and how many more there are than a feature may have."""
    similar = cosines(evidence.decoder, evidence.truth.features)
    size = similar.abs()
    top = size.topk(min(PAIRS, len(similar)), dim=0)
    feature = torch.arange(size.shape[1]).expand_as(top.indices)[top.values > chance]
    latent = top.indices[top.values > chance]
    left = int((size > chance).sum()) - len(latent)
    return {
        "feature": packed(feature),
        "latent": packed(latent),
        "cosine": packed(similar[latent, feature], share=True),
        "left": left,
    }


def _edges(evidence: Evidence) -> dict[str, Packed]:
    """Absorption gap of each pair of parent and child, in the order of the world's; none where it is not scored."""
    parent, child = kin(evidence.truth)
    at = {pair: i for i, pair in enumerate(zip(parent.tolist(), child.tolist(), strict=True))}
    scored = rules.family_edges(evidence)
    places = [at.get(pair, -1) for pair in zip(scored.parent.tolist(), scored.child.tolist(), strict=True)]
    kept = [i for i, place in enumerate(places) if place >= 0]
    columns = {}
    for name in ("gap", "low", "high", "hedging"):
        column = np.full(len(at), np.nan)
        column[[places[i] for i in kept]] = getattr(scored, name)[kept]
        columns[name] = packed(column, share=True)
    return columns


def _training(trace: Trace | None, index: int, truth: GroundTruth, latent: np.ndarray) -> dict[str, Any] | None:
    """|cos| of each feature with the nearest latent and with the one that it is matched to at the end, by step."""
    if trace is None:
        return None
    rows = trace.rows.reshape(len(trace.steps), -1, *trace.rows.shape[-2:])[:, index]
    nearest, matched = [], []
    for step in rows:
        size = cosines(step, truth.features).abs().numpy()
        nearest.append(size.max(0))
        matched.append(np.where(latent >= 0, size[latent.clip(0), np.arange(len(latent))], np.nan))
    shown = {"nearest": packed(np.array(nearest), share=True), "matched": packed(np.array(matched), share=True)}
    return {"steps": trace.steps.tolist()} | shown
