"""The contract of a metric: defined and finite, best at the truth, blind to labels, to the unit of x, to the seed."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.laws.directions import Orthonormal
from synthetic.laws.firing import Independent
from synthetic.laws.forest import Forest
from synthetic.laws.rates import Linear
from synthetic.mixture import SparseMixture
from synthetic.source import Batch, Codes, GroundTruth, World
from synthetic.transformed import Interactions
from synthetic.worlds.hierarchy import concept_tree
from workbench.contract import NotApplicable, Outcome, demand, into, outcomes
from workbench.metrics import Evidence, Metric, collect, null
from workbench.sae import SAE
from workbench.training.ceiling import oracle, takes_unit_rows
from workbench.training.config import TrainConfig
from workbench.training.loop import train
from workbench.variants import create

_N = 64
"""samples: as many as evidence keeps whole"""
_TREES = SparseMixture(
    n_true=12,
    d=16,
    directions=Orthonormal(),
    firing=Forest(trees=4, branching=2, depth=1, base=Independent(Linear(0.4, 0.05))),
)
"""four parents with two children each, orthogonal: a dictionary can be perfect here"""
_RICH = Interactions(concept_tree(rho=0.3, d=24), members=((0, 11), (0, 12)))
"""levels, edges and products of features"""
_PLACES = ((_TREES, "topk"), (_TREES, "group_bias_adaptation"), (_RICH, "polysae"))
"""a world and a variant that between them define a metric"""

METRIC_LAWS: dict[str, Callable[[Metric], None]] = {}
_law = into(METRIC_LAWS)


def check_metric(metric: Metric) -> Iterator[Outcome]:
    """Test every law on a metric of the shelf."""
    return outcomes(METRIC_LAWS, metric)


@dataclass(frozen=True)
class _View:
    """A world seen otherwise: its truth and its samples told anew."""

    base: World
    truth: GroundTruth
    told: Callable[[Batch], Batch]

    @property
    def d(self) -> int:
        return self.base.d

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        return self.told(self.base.sample(n, rng))


def _relabelled(world: World) -> _View:
    """The same world with its features in another order."""
    truth = world.truth
    order = torch.randperm(truth.n_true, generator=stream(7, "features"))
    place = order.argsort()

    def moved(index: Tensor) -> Tensor:
        return torch.where(index >= 0, place[index.clamp_min(0)], index)

    names = ("features", "rates", "requested_rates", "mean_h", "levels", "subspaces")
    changes = {name: value[order] for name in names if (value := getattr(truth, name)) is not None}
    changes["parents"] = moved(truth.parents[order])
    if truth.edges is not None:
        changes["edges"] = moved(truth.edges)
    if truth.products is not None:
        changes["products"] = replace(truth.products, members=moved(truth.products.members))
    cofiring = truth.cofiring
    if cofiring is not None:
        changes["cofiring"] = lambda index: cofiring(order[index])
    told = replace(truth, **changes)
    return _View(world, told, lambda b: Batch(b.x, Codes(place[b.h.indices], b.h.values, b.h.width)))


def _in_units(world: World, unit: float) -> _View:
    """Activations and coefficients times `unit`; a product of k coefficients has its gain over unit^(k - 1)."""
    truth = world.truth
    changes = {name: getattr(truth, name) * unit for name in ("bias", "mean_h", "mean")}
    changes["covariance"] = None if truth.covariance is None else truth.covariance * unit**2
    if truth.products is not None:
        order = (truth.products.members >= 0).sum(1)
        changes["products"] = replace(truth.products, gains=truth.products.gains / unit ** (order - 1))
    told = replace(truth, **changes)
    return _View(world, told, lambda b: Batch(b.x * unit, Codes(b.h.indices, b.h.values * unit, b.h.width)))


def _shuffled(world: World) -> _View:
    """The same samples in another order."""

    def told(b: Batch) -> Batch:
        order = torch.randperm(len(b.x), generator=stream(7, "samples"))
        return Batch(b.x[order], Codes(b.h.indices[order], b.h.values[order], b.h.width))

    return _View(world, world.truth, told)


@torch.no_grad()
def _with_latents(sae: SAE, order: Tensor) -> SAE:
    """An SAE with its latents in another order."""
    other = copy.deepcopy(sae)
    for value in [*other.parameters(), *other.buffers()]:
        for axis in range(value.ndim):
            if value.shape[axis] == sae.m:
                value.copy_(value.index_select(axis, order))
    return other


@torch.no_grad()
def _exchanged(sae: SAE) -> SAE:
    """A stack of two members, each with the other's weights."""
    other = copy.deepcopy(sae)
    for value in [*other.parameters(), *other.buffers()]:
        if value.ndim:
            value.copy_(value.flip(0))
    return other


@cache
def _stack(place: int) -> SAE:
    """Two members that differ in seed, a little trained."""
    world, variant = _PLACES[place]
    sae = create(variant, world.d, 40, seed=[0, 1])
    train(sae, world, TrainConfig(steps=40, batch=64), on_step=lambda _: None)
    return sae


@cache
def _evidence(place: int, what: str) -> list[Evidence]:
    """Evidence of the stack at a place, or of what a law compares it with."""
    world, variant = _PLACES[place]
    look = partial(collect, n=_N, seed=1)
    sae = _stack(place)
    if what == "trained":
        return look(sae, world)
    if what == "untrained":
        return look(create(variant, world.d, 40, seed=[0, 1]), world)
    if what == "oracle":
        return look(oracle(variant, world).eval(), world)
    if what == "latents":
        order = torch.randperm(sae.m, generator=stream(7, "latents"))
        return look(_with_latents(sae, order), world)
    if what == "members":
        return look(_exchanged(sae), world)[::-1]
    if what == "unit":
        other = copy.deepcopy(sae)
        other.scale.div_(2.0**20)
        return look(other, _in_units(world, 2.0**20))
    return look(sae, {"features": _relabelled, "samples": _shuffled}[what](world))


def _place(metric: Metric) -> int:
    for place in range(len(_PLACES)):
        if metric.needs(_evidence(place, "trained")[0]):
            return place
    raise NotApplicable("no world of the contract defines it; its `only_if` holds nowhere")


def _same(metric: Metric, what: str, said: str) -> None:
    place = _place(metric)
    for here, there in zip(_evidence(place, "trained"), _evidence(place, what), strict=True):
        before, after = metric.scores(here), metric.scores(there)
        for name, value in before.items():
            other = after[name]
            close = math.isclose(value, other, rel_tol=1e-5, abs_tol=1e-6) or (math.isnan(value) and math.isnan(other))
            demand(close, f"{name} is {value:.6g}, and {other:.6g} {said}")


@_law("M1 is defined in words, and gives the scores that it names")
def _named(metric: Metric) -> None:
    demand(metric.definition, "the function has no docstring, which is the definition that `list` shows")
    metric.scores(_evidence(_place(metric), "trained")[0])


@_law("M2 scores of a trained, an untrained and an oracle SAE are finite, or NaN where the definition says so")
def _finite(metric: Metric) -> None:
    place = _place(metric)
    planted = ("oracle",) if takes_unit_rows(create(_PLACES[place][1], 4, 4)) else ()
    for what in ("trained", "untrained", *planted):
        for evidence in _evidence(place, what):
            for name, value in metric.scores(evidence).items() if metric.needs(evidence) else ():
                allowed = math.isfinite(value) or (math.isnan(value) and "NaN" in metric.definition)
                demand(allowed, f"{name} of the {what} SAE is {value}")


@_law("M3 the null has a mean and a spread")
def _null(metric: Metric) -> None:
    world, variant = _PLACES[_place(metric)]
    chance = null(create(variant, world.d, 40), world, n=256, draws=2, metrics=metric.names)
    for name in metric.names:
        allowed = name in chance and (all(map(math.isfinite, chance[name])) or "NaN" in metric.definition)
        demand(allowed, f"{name} of untrained SAEs is {chance.get(name, 'not there')}")


@_law("M4 the true dictionary with its true codes has the best value")
def _best(metric: Metric) -> None:
    if not metric.best:
        raise NotApplicable("the metric names no best value")
    sae = create("jumprelu", _TREES.d, 12, start=1e-4).eval()
    with torch.no_grad():
        sae.W_dec.copy_(_TREES.truth.features)
        sae.W_enc.copy_(_TREES.truth.features.mT)
    evidence = collect(sae, _TREES, 4000, 1)[0]
    if not metric.needs(evidence):
        raise NotApplicable("the world with a perfect dictionary does not define it")
    scores = metric.scores(evidence)
    for name, best in metric.best.items():
        demand(math.isclose(scores[name], best, abs_tol=1e-4), f"{name} is {scores[name]:.6g}, its best value {best:g}")


@_law("M5 the same evidence gives the same scores, whatever the seed and place of a member")
def _of_evidence_alone(metric: Metric) -> None:
    _same(metric, "trained", "when it is asked again")
    _same(metric, "members", "with two members of the stack exchanged")


@_law("M6 the order of latents does not matter")
def _latents(metric: Metric) -> None:
    _same(metric, "latents", "with the latents in another order")


@_law("M7 the order of true features does not matter")
def _features(metric: Metric) -> None:
    _same(metric, "features", "with the true features in another order")


@_law("M8 the unit of x and of the latents does not matter")
def _unit(metric: Metric) -> None:
    _same(metric, "unit", "with activations and latents a million times as large")


@_law("M9 the order of samples does not matter")
def _samples(metric: Metric) -> None:
    _same(metric, "samples", "with the samples in another order")
