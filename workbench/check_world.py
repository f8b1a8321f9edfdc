"""The contract of a world: what it draws is a function of a generator, and agrees with what it declares.

False alarms. The comparisons of one world's samples with its truth share ALPHA = 1e-6 evenly (Bonferroni), so a
correct world fails with probability about 1e-6. Rates of firing, alone and together, are judged by exact binomial
tails. Means and covariances are judged by normal tails with the standard error estimated from the sample; that is an
approximation, so E[L0] is compared only where n Var[L0] >= 400 or L0 is constant, and E[h_i] through E[h_i | i fires],
where i fired at least 400 times (elsewhere the exact tails of the rates, E[x] and Cov[x] stand in). Over 4,000 drawn
worlds the smallest Bonferroni-adjusted p-value was 2e-4, as it should be.
"""

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.folder import load_world, save_world
from synthetic.source import Batch, Codes, GroundTruth, World, target_width, targets_of
from workbench.contract import NotApplicable, Outcome, demand, into, outcomes

ALPHA = 1e-6
"""chance that a correct world fails"""
SAMPLES = 20_000
_PAIRED = 200
"""features whose co-firing is compared, at most: every so many"""

Tails = dict[str, np.ndarray]
"""p-values by quantity"""


def check_world(world: World | Callable[[], World]) -> Iterator[Outcome]:
    """Test every law on a world, or on what a function (or a world's class) makes from its defaults.

    Truth is needed for scores alone and saving is optional: laws about what a world does not have do not apply.
    """
    made = hasattr(world, "sample") and not isinstance(world, type)
    return outcomes(WORLD_LAWS, _Subject(world if made else None, world))


class _Subject:
    """A world in test, and how to make it again."""

    def __init__(self, world: Any, make: Any) -> None:
        self._world, self._make = world, make

    @cached_property
    def world(self) -> Any:
        """The world."""
        return self._make() if self._world is None else self._world

    def again(self) -> Any:
        """Another object of the same settings."""
        if self._world is None:
            return self._make()
        world: Any = self._world
        if dataclasses.is_dataclass(world) and not isinstance(world, type):
            return dataclasses.replace(world)
        raise NotApplicable("give a function that makes the world, or a dataclass: this one cannot be made again")

    @cached_property
    def truth(self) -> GroundTruth:
        """What the world declares."""
        if not hasattr(type(self.world), "truth") and "truth" not in vars(self.world):
            raise NotApplicable("no `truth`: scores need it, training does not")
        return self.world.truth

    @cached_property
    def tails(self) -> Tails:
        """Every comparison of samples with the truth."""
        return tails_of(self.world, self.truth, SAMPLES, 1)

    def compared(self, *quantities: str) -> str | None:
        """Demand that quantities agree; says which are not compared, and why."""
        allowed = ALPHA / max(1, sum(p.size for p in self.tails.values()))
        for name in quantities:
            p = self.tails.get(name, np.ones(0))
            least = p.min() if p.size else 1.0
            demand(least >= allowed, f"{name}: p = {least:.2g} in {SAMPLES:,} samples, below {allowed:.2g}")
        missing = [f"{name} ({_why(self.truth, name)})" for name in quantities if name not in self.tails]
        return f"not compared: {', '.join(missing)}" if missing else None


def _why(truth: GroundTruth, quantity: str) -> str:
    """Why a quantity is not compared with samples."""
    names = {"E[h]": ("mean_h", "mean"), "E[x]": ("mean",), "Cov[x]": ("covariance", "mean"), "cofiring": ("cofiring",)}
    said = [truth.open[name] for name in names.get(quantity, ()) if name in truth.open]
    return said[0] if said else "it varies too little" if quantity == "E[L0]" else "there is none"


WORLD_LAWS: dict[str, Callable[[_Subject], str | None]] = {}
_law = into(WORLD_LAWS)


# what is drawn -------------------------------------------------------------------------------------------------------


@_law("W1 x is (n, d) and float32, h has n rows and a column a feature, all on the generator's device")
def _shapes(subject: _Subject) -> str | None:
    world, without = subject.world, False
    cards = [torch.device("cuda")] * torch.cuda.is_available()
    for device in (torch.device("cpu"), *cards):
        for n in (1, 7):
            batch = world.sample(n, stream(2, "check", 0, device))
            x, without = batch.x, not _has_h(batch)
            demand(x.shape == (n, world.d), f"x of {n} samples has shape {tuple(x.shape)}, and d is {world.d}")
            y, width = targets_of(batch), target_width(world)
            demand(y.shape == (n, width), f"targets of {n} samples have shape {tuple(y.shape)}, and d_out is {width}")
            demand(x.dtype == torch.float32, f"x has dtype {x.dtype}")
            demand(x.device.type == device.type, f"x lies on {x.device}, the generator on {device}")
            demand(bool(x.isfinite().all()), "x has NaN or inf")
            if not without:
                _coefficients(batch, n)
    return "samples have no h, their true coefficients: scores need them, training does not" if without else None


def _has_h(batch: Any) -> bool:
    return getattr(batch, "h", None) is not None


def _coefficients(batch: Batch, n: int) -> None:
    """Demand that the true coefficients are some of as many samples, on x's device."""
    h = batch.h
    demand(isinstance(h, Codes), f"h is {type(h).__name__}, not synthetic.Codes")
    shapes = tuple(h.indices.shape), tuple(h.values.shape)
    demand(shapes[0] == shapes[1] and h.indices.shape[0] == n, f"h of {n} samples has indices, values of {shapes}")
    demand(h.indices.device == h.values.device == batch.x.device, f"h lies on {h.values.device}, x on {batch.x.device}")
    known = not h.indices.numel() or bool((h.indices.min() >= 0) & (h.indices.max() < h.width))
    demand(known, f"h has indices outside [0, {h.width})")


@_law("W2 sampling is a function of n and the generator's state alone, and moves the generator on")
def _function(subject: _Subject) -> None:
    world, before = subject.world, _global_state()
    first = world.sample(64, stream(2, "check"))
    demand(_global_state() == before, "sample() draws from a global random state: hand `rng` to every draw")
    rng = stream(3, "check")
    other, next_one = world.sample(64, rng), world.sample(64, rng)
    demand(
        not torch.equal(other.x, next_one.x), "two calls with one generator give the same x: nothing is drawn from it"
    )
    demand(not torch.equal(other.x, first.x), "generators of two states give the same x")
    world.sample(9, stream(4, "check"))
    again = world.sample(64, stream(2, "check"))
    demand(_same(first, again), "the same state gives other samples in another call: something else than `rng` counts")


@_law("W3 made again from the same settings, it is the same world")
def _made_again(subject: _Subject) -> None:
    before = _global_state()
    other = subject.again()
    same = _same(other.sample(64, stream(2, "check")), subject.world.sample(64, stream(2, "check")))
    demand(_global_state() == before, "a global random state is drawn from: draw from synthetic.stream(seed, name)")
    demand(same, "other samples: what is drawn once must come from a seed among the settings")
    try:
        truth = subject.truth
    except NotApplicable:
        return
    demand(torch.equal(truth.features, other.truth.features), "other features: draw them from a seed of the settings")


@_law("W4 truth: features are unit rows; every figure has its shape, and is a number or said to be open")
def _truth(subject: _Subject) -> None:
    truth, world = subject.truth, subject.world
    n_true, d = truth.features.shape
    width = target_width(world)
    demand(d == width, f"features have width {d}, and that of activations, or of their targets, is {width}")
    norms = truth.features.double().norm(dim=1)
    worst = int((norms - 1).abs().argmax())
    demand(bool((norms - 1).abs().max() <= 1e-5), f"feature {worst} has norm {float(norms[worst]):.6g}, not 1")
    batch = world.sample(2, stream(2, "check"))
    demand(_has_h(batch), "there is a truth, but samples have no coefficients `h`: scores need both")
    demand(batch.h.width == n_true, f"h has {batch.h.width} columns, and there are {n_true} features")
    shapes = {"bias": (d,), "mean": (d,), "covariance": (d, d)}
    shapes |= dict.fromkeys(("rates", "requested_rates", "mean_h", "parents", "levels", "subspaces"), (n_true,))
    for name, shape in shapes.items():
        value = getattr(truth, name)
        demand(value is None or tuple(value.shape) == shape, f"{name} has not the shape {shape}")
        if name in ("rates", "mean_h", "mean", "covariance") and value is not None:
            demand(value.dtype == torch.float64, f"{name} has dtype {value.dtype}: statistics are float64")
            said = truth.open.keys() & {name, "mean"}
            demand(bool(value.isfinite().all()) or said, f"{name} is NaN, and truth.open does not say why")
    demand(bool(((truth.rates >= 0) & (truth.rates <= 1 + 1e-12)).all()), "rates are not all in [0, 1]")
    parents = truth.parents
    known = bool(((parents >= -1) & (parents < n_true) & (parents != torch.arange(n_true))).all())
    demand(known, "parents are not all -1 or another feature")
    for name in ("covariance", "cofiring"):
        said = name in truth.open
        demand(said == (getattr(truth, name) is None), f"{name} must be None exactly where truth.open says why it is")


# what is declared ----------------------------------------------------------------------------------------------------


@_law("W5 features fire as often, as many at once, and as often together as the truth says")
def _firing(subject: _Subject) -> str | None:
    return subject.compared("rates", "E[L0]", "cofiring")


@_law("W6 coefficients and activations have the moments that the truth says")
def _moments(subject: _Subject) -> str | None:
    return subject.compared("E[h]", "E[x]", "Cov[x]")


@_law("W7 saved and loaded, it is the same world to the bit (saving is optional)")
def _saved(subject: _Subject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_world(subject.world, Path(folder) / "world")
        except ValueError as error:
            raise NotApplicable(str(error)) from None
        again = load_world(Path(folder) / "world")
    same = _same(again.sample(64, stream(2, "check")), subject.world.sample(64, stream(2, "check")))
    demand(same, "the loaded world gives other samples: what is drawn once must be `tensors`, a field, or from a seed")


def _same(one: Any, other: Any) -> bool:
    """Whether two samples are equal to the bit, coefficients too where they have some."""
    pairs = [(one.x, other.x), (targets_of(one), targets_of(other))]
    if _has_h(one):
        pairs += [(one.h.indices, other.h.indices), (one.h.values, other.h.values)]
    return all(torch.equal(a, b) for a, b in pairs)


def _global_state() -> tuple[Any, ...]:
    """States of the generators that a program shares; Python's own is moved by others, such as checks of types."""
    numpy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy["key"].tolist(), numpy["pos"]


# samples against the truth -------------------------------------------------------------------------------------------


def tails_of(world: World, truth: GroundTruth, n: int, seed: int) -> Tails:
    """The p-values of every comparison of n samples of a world with a declared truth, by quantity.

    What the truth leaves open, as NaN or None, is not compared.
    """
    batch = world.sample(n, stream(seed, "check"))
    cells, values = _fired(batch.h)
    row, feature = cells // batch.h.width, cells % batch.h.width
    events, total, square = (torch.bincount(feature, w, batch.h.width) for w in (None, values, values**2))
    level = torch.bincount(row, minlength=n).double()
    tails = {"rates": binomial_tails(events, n, truth.rates)}
    if level.min() == level.max():
        tails["E[L0]"] = np.array([float(abs(level[0] - truth.expected_l0) <= 1e-6 * level[0] + 6 * truth.rates_error)])
    elif level.var() * n >= 400:
        error = (level.var() / n + truth.rates_error**2).sqrt()
        tails["E[L0]"] = normal_tails(level.mean() - truth.expected_l0, error, level.max())
    if bool(truth.mean_h.isfinite().all()):
        frequent = events >= 400
        mean, events = (total / events)[frequent], events[frequent]
        error = ((square[frequent] / events - mean**2).clamp_min(0) / events).sqrt()
        gap = mean - (truth.mean_h / truth.rates)[frequent]
        tails["E[h]"] = normal_tails(gap, error, batch.h.values.abs().max())
    x = targets_of(batch).double()
    size = x.abs().max() + batch.h.values.abs().sum(1).max().double()
    return tails | _x_tails(x, truth, size) | _together_tails(row, feature, truth, n)


def _fired(h: Codes) -> tuple[Tensor, Tensor]:
    """Cells of the dense form, row by row, that are not 0, and their values, float64."""
    row, slot = (h.values != 0).nonzero(as_tuple=True)
    cells, back = torch.unique(row * h.width + h.indices[row, slot], return_inverse=True)
    values = torch.zeros(len(cells), dtype=torch.float64).index_add(0, back, h.values[row, slot].double())
    return cells[values != 0], values[values != 0]


def _x_tails(x: Tensor, truth: GroundTruth, size: Tensor) -> Tails:
    n, d = x.shape
    if not bool(truth.mean.isfinite().all()):
        return {}
    tails = {"E[x]": normal_tails(x.mean(0) - truth.mean, x.std(0) / n**0.5, size)}
    if truth.covariance is not None:
        i, j = torch.triu_indices(d, d)
        centred = x - truth.mean
        second = (centred.T @ centred / n)[i, j]
        fourth = ((centred**2).T @ centred**2 / n)[i, j]
        error = ((fourth - second**2).clamp_min(0) / n).sqrt()
        tails["Cov[x]"] = normal_tails(second - truth.covariance[i, j], error, size**2)
    return tails


def _together_tails(row: Tensor, feature: Tensor, truth: GroundTruth, n: int) -> Tails:
    if truth.cofiring is None or truth.n_true < 2:
        return {}
    which = torch.arange(0, truth.n_true, math.ceil(truth.n_true / _PAIRED))
    place = torch.full((truth.n_true,), -1)
    place[which] = torch.arange(len(which))
    at = place[feature]
    fires = torch.zeros(n, len(which))
    fires[row[at >= 0], at[at >= 0]] = 1.0
    i, j = torch.triu_indices(len(which), len(which), 1)
    return {"cofiring": binomial_tails((fires.T @ fires)[i, j], n, truth.cofiring(which)[i, j])}


def binomial_tails(count: Tensor, n: int, p: Tensor) -> np.ndarray:
    """Exact two-sided p-values of counts out of n, elementwise: twice the smaller tail."""
    counts, chance = np.asarray(count, float), np.clip(np.asarray(p, float), 0, 1)
    return np.minimum(1, 2 * np.minimum(stats.binom.cdf(counts, n, chance), stats.binom.sf(counts - 1, n, chance)))


def normal_tails(gap: Tensor, error: Tensor, scale: Tensor) -> np.ndarray:
    """Two-sided p-values of gap/error; rounding of 32-bit samples adds 2e-6 of the scale to the error."""
    error = torch.sqrt(error**2 + (2e-6 * scale) ** 2).clamp_min(1e-12)
    return torch.erfc((gap / error).abs() / math.sqrt(2)).numpy()
