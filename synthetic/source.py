"""Where activations come from: sources, finite ones among them, and worlds, whose causes are known."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.shelf import Shelf
from synthetic.base.streams import stream, torch_defaults


@dataclass(frozen=True)
class Codes:
    """Sparse coefficients, k slots a row.

    An unused slot holds value 0 at any index; an index used twice in a row counts with the sum of its values.
    """

    indices: Int[Tensor, "*s n k"]
    values: Float[Tensor, "*s n k"]
    width: int
    """number of columns of the dense form"""

    def dense(self) -> Float[Tensor, "*s n w"]:
        """The same coefficients as a dense array, differentiable in `values`."""
        zeros = self.values.new_zeros(*self.values.shape[:-1], self.width)
        return zeros.scatter_add(-1, self.indices, self.values)


@dataclass(frozen=True)
class Batch:
    """One draw from a world."""

    x: Float[Tensor, "n d"]
    """activations"""
    h: Codes
    """the true coefficients behind them"""
    y: Float[Tensor, "n d_out"] | None = None
    """targets, where activations are to give something other than themselves"""


@dataclass(frozen=True)
class Products:
    """Products of coefficients that enter x beside hV: sum_t gain_t prod_{i in members_t} h_i targets_t."""

    members: Int[Tensor, "t order"]
    """features of each product, -1 pads products of lower order"""
    gains: Float[Tensor, " t"]
    targets: Float[Tensor, "t d"]
    """unit rows"""


@dataclass(frozen=True)
class GroundTruth:
    """What is known of a world without sampling it. Statistics are float64 on the CPU."""

    features: Float[Tensor, "n_true d"]
    """true directions V, unit rows"""
    bias: Float[Tensor, " d"]
    rates: Float[Tensor, " n_true"]
    """realised P(h_i != 0)"""
    requested_rates: Float[Tensor, " n_true"]
    rates_error: float
    """standard error of their sum E[L0]: 0 where they are closed, else that of the quadrature used"""
    mean_h: Float[Tensor, " n_true"]
    """E[h_i]"""
    mean: Float[Tensor, " d"]
    """E[x]"""
    covariance: Float[Tensor, "d d"] | None
    """Cov[x], or None where no closed form exists (`open` says which quantities and why)"""
    cofiring: Callable[[Int[Tensor, " k"]], Float[Tensor, "k k"]] | None
    """P(h_i != 0 and h_j != 0) for the features asked for, diagonal = rates; None where not closed"""
    parents: Int[Tensor, " n_true"]
    """index of each feature's parent concept, -1 for none"""
    symmetries: tuple[str, ...]
    """changes of the features that leave the law of x alone, so that no learner can undo them"""
    requested: dict[str, float] = field(default_factory=dict)
    realised: dict[str, float] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    """quantities without a closed form -> reason"""
    levels: Int[Tensor, " n_true"] | None = None
    """level of each concept, where directions of different levels are meant to be orthogonal"""
    edges: Int[Tensor, "e 2"] | None = None
    """(parent, child) pairs where a concept may have several parents; None: those of `parents`"""
    subspaces: Int[Tensor, " n_true"] | None = None
    """number of the many-dimensional feature that each row is an axis of"""
    products: Products | None = None

    @property
    def expected_l0(self) -> float:
        """E[number of features that fire]."""
        return float(self.rates.sum())

    @property
    def n_true(self) -> int:
        """Number of true features."""
        return self.features.shape[0]

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        return self.features.shape[1]


@runtime_checkable
class Source(Protocol):
    """Activations of width d; every `World` is one."""

    @property
    def d(self) -> int:
        """Width."""
        ...

    def sample(self, n: int, rng: torch.Generator) -> Any:
        """An object with n independent draws as its `x`, on the generator's device.

        A source of pairs has a width `d_out` of targets beside `d`, and n targets as `y` of what it returns.
        """
        ...


class Finite(ABC):
    """A source with finitely many activations, each of which is seen once an epoch; one is made by inheriting this."""

    @property
    @abstractmethod
    def d(self) -> int:
        """Width."""

    @property
    def order(self) -> Any:
        """What decides which rows come when: sources with equal ones give the same samples; None where not known."""
        return None

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> Any:
        """An object with n draws with replacement as its `x`, on the generator's device."""

    @abstractmethod
    def batch(self, n: int, seed: int, step: int) -> Tensor | tuple[Tensor, Tensor]:
        """The n activations of a step, or they and their targets, a function of (n, seed, step)."""


@runtime_checkable
class World(Protocol):
    """A source of activations with known causes: a frozen dataclass whose fields are its settings.

    Laws: `sample` is a function of n and the generator's state alone; its moments are those of `truth`.
    """

    @property
    def truth(self) -> GroundTruth:
        """What is known without sampling."""
        ...

    @property
    def d(self) -> int:
        """Dimension of the activations."""
        ...

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw n independent activations on the generator's device."""
        ...


class ExactWorld(ABC):
    """A world whose truth has closed forms, which are worked out once."""

    @abstractmethod
    def closed_forms(self) -> GroundTruth:
        """What is known without sampling; `open` says what is not, and why."""

    @property
    def truth(self) -> GroundTruth:
        """What is known without sampling."""
        return self._truth

    @cached_property
    @torch_defaults()
    def _truth(self) -> GroundTruth:
        return self.closed_forms()


WORLDS: Shelf[Callable[..., Any]] = Shelf("world")
world = WORLDS.put
"""Decorator: put a function that makes a world, or a world's class, on the shelf under its name."""


def must_be_finite(x: Float[Tensor, "n d"], where: str = "world.x") -> None:
    """Refuse activations with NaN or inf."""
    bad = int((~x.isfinite().all(-1)).sum())
    must(not bad, where, "finite", f"{bad} rows with NaN or inf", "repair the data source")


def rows_given(x: Any, n: int, d: int, where: str = "world.x") -> Float[Tensor, "n d"]:
    """What a source returned when it was asked for n activations, as (n, d) and without gradient.

    Raises:
        ValueError: no floating-point numbers, or another number of rows.
    """
    rows: Any = torch.from_numpy(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
    floats = isinstance(rows, Tensor) and rows.is_floating_point()
    kind = f"one of {x.dtype}" if isinstance(x, Tensor | np.ndarray) else type(x).__name__
    must(floats, where, "a tensor of floating-point numbers", kind, "convert it, as x.float() does")
    right = rows.shape[-1:] == (d,) and rows.numel() == n * d
    must(right, where, f"{n} rows of width {d}", f"shape {tuple(rows.shape)}", "return as many as were asked for")
    rows = rows.detach().reshape(n, d)
    return rows.clone() if rows.is_inference() else rows


def places(mask: Tensor) -> Int[Tensor, " hits"]:
    """Places of the true entries in the flattened mask, ascending; numpy's search is the faster one on a CPU."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero().squeeze(1)


def slot_numbers(rows: Int[Tensor, " hits"], n: int) -> tuple[Int[Tensor, " hits"], int]:
    """Place of each entry within its row, and the fullest row's number of entries (at least 1); `rows` ascending."""
    count = torch.bincount(rows, minlength=n)
    slot = torch.arange(len(rows), device=rows.device) - (count.cumsum(0) - count)[rows]
    return slot, max(int(count.max()), 1)


def has_targets(source: Source) -> bool:
    """Whether a source's activations are to give something other than themselves."""
    return hasattr(source, "d_out")


def target_width(source: Source) -> int:
    """Width of what a source's activations are to give: their own, or that of its targets."""
    return getattr(source, "d_out", source.d)


def targets_of(batch: Any) -> Any:
    """What activations are to give: the targets among them, or they themselves."""
    y = getattr(batch, "y", None)
    return batch.x if y is None else y


def pairs_given(batch: Any, n: int, source: Source) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d_out"]]:
    """Activations and targets that a source returned when it was asked for n, as `rows_given`; one tensor if equal."""
    x, y = rows_given(batch.x, n, source.d), targets_of(batch)
    return x, x if y is batch.x else rows_given(y, n, target_width(source), "world.y")


@dataclass(frozen=True)
class Pair:
    """Activations and targets without known causes."""

    x: Float[Tensor, "n d"]
    y: Float[Tensor, "n d_out"] | None


def training_batch(
    source: Source | Finite, n: int, seed: int, step: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d_out"]]:
    """Activations and targets of a training step, without gradient: fresh ones, or those that an epoch comes to.

    One and the same tensor where a source has no targets.
    """
    if isinstance(source, Finite):
        rows = source.batch(n, seed, step)
        drawn: Any = Pair(*rows) if isinstance(rows, tuple) else Pair(rows, None)
    else:
        drawn = source.sample(n, stream(seed, "train", step, device))
    x, y = pairs_given(drawn, n, source)
    moved = x.to(device, dtype)
    return moved, moved if y is x else y.to(device, dtype)
