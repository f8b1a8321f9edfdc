"""Activations that somebody has already, as a source: rows of arrays, of a DataLoader, of an iterator."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.schema import shown
from synthetic.base.streams import stream
from synthetic.lookup import find_source
from synthetic.source import Finite

_HEAD = 2**16
"""rows of a pass that stand for all of it where rows are drawn at random"""
_HEAD_OF_ONE_PASS = 2**13
"""the same of an iterator, which are kept until they are trained on: as many as the moments of x are taken from"""
_KINDS = "a tensor or array (n, d), a list of them, a DataLoader, a function that returns an iterator, or an iterator"


@dataclass(frozen=True)
class Rows:
    """Activations without known causes."""

    x: Float[Tensor, "n d"]


@dataclass(frozen=True, eq=False)
class ArrayRows(Finite):
    """Rows held in memory, or mapped from a file: a set of which every epoch sees each row once, in a random order.

    The last few rows of an epoch that fill no batch are left out of it.
    """

    parts: tuple[Float[Tensor, "_ d"], ...]
    """the rows, in one array or several"""

    @property
    def d(self) -> int:
        """Width."""
        return self.parts[0].shape[1]

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return sum(map(len, self.parts))

    @property
    def order(self) -> Any:
        """Their number."""
        return "rows", self.n

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.parts)])

    def rows(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """Rows by number."""
        if len(self.parts) == 1:
            return self.parts[0][index.to(self.parts[0].device)]
        part = torch.from_numpy(np.searchsorted(self._starts, index.numpy(), side="right") - 1)
        dtype = max((p.dtype for p in self.parts), key=lambda kind: kind.itemsize)
        out = torch.empty(len(index), self.d, dtype=dtype, device=self.parts[0].device)
        for i in part.unique().tolist():
            at, rows = part == i, self.parts[i]
            out[at.to(out.device)] = rows[(index[at] - int(self._starts[i])).to(rows.device)].to(out)
        return out

    def sample(self, n: int, rng: torch.Generator) -> Rows:
        """Rows drawn with replacement."""
        index = torch.randint(self.n, (n,), generator=rng, device=rng.device)
        return Rows(self.rows(index.cpu()).to(rng.device))

    def batch(self, n: int, seed: int, step: int) -> Float[Tensor, "n d"]:
        """The rows of a training step; steps 0 to self.n // n - 1 are the first epoch."""
        must(1 <= n <= self.n, "batch", f"in [1, {self.n}], the number of rows there are", n, "lower it")
        epoch, within = divmod(step, self.n // n)
        if (seed, epoch) not in self._orders:
            self._orders.clear()
            self._orders[seed, epoch] = torch.randperm(self.n, generator=stream(seed, "rows", epoch), device="cpu")
        return self.rows(self._orders[seed, epoch][within * n : (within + 1) * n])

    @cached_property
    def _orders(self) -> dict[tuple[int, int], Tensor]:
        return {}


class _Flow:
    """Rows out of blocks of any size, as many at a time as are asked for."""

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self.blocks, self.waiting, self.count = blocks, deque[Tensor](), 0
        self.place = 0
        """rows that are gone"""
        self.asked: tuple[int, int] | None = None

    def reaches(self, first: int, n: int) -> bool:
        """Whether rows [first, first + n) are still to come, or were the last ones."""
        return self.asked == (first, n) or first >= self.place

    def at(self, first: int, n: int) -> Float[Tensor, "n d"]:
        """Rows [first, first + n), fewer at the end; what lies before them is read and left out."""
        if self.asked != (first, n):
            while self.place < first and self.take(min(_HEAD, first - self.place)):
                pass
            self.asked, self.last = (first, n), torch.cat(self.take(n) or [torch.empty(0, 1)])
        return self.last

    def take(self, n: int) -> list[Tensor]:
        """The next n rows in parts; fewer at the end."""
        self.fill(n)
        parts, left = [], min(n, self.count)
        self.count, self.place = self.count - left, self.place + left
        while left:
            block = self.waiting.popleft()
            parts.append(block[:left])
            if len(block) > left:
                self.waiting.appendleft(block[left:])
            left -= len(parts[-1])
        return parts

    def fill(self, n: int) -> None:
        """Read on until n rows wait, or nothing is left."""
        while self.count < n and (block := next(self.blocks, None)) is not None:
            self.waiting.append(block)
            self.count += len(block)


class PassRows(Finite):
    """Rows of whatever can be gone through again, such as a DataLoader: an epoch a pass.

    Within a pass torch's global generator, and those of a DataLoader and its sampler, are in the states that the run's
    seed and the epoch give; so shuffling repeats. What else a stranger's code draws from is its own affair.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        """gives the batches of a pass"""
        self._flow, self._seed = _Flow(iter(())), -1
        owner = getattr(self.make, "__self__", None)
        holders = (owner, getattr(owner, "sampler", None), getattr(owner, "batch_sampler", None))
        draws = [torch.default_generator, *(getattr(holder, "generator", None) for holder in holders)]
        self._draws = list({id(g): g for g in draws if isinstance(g, torch.Generator)}.values())

    @property
    def d(self) -> int:
        """Width."""
        return self.head.d

    @cached_property
    def head(self) -> ArrayRows:
        """The first rows of a pass, in an order that no epoch of training has."""
        return self.first(_HEAD)

    def first(self, n: int) -> ArrayRows:
        """At most n rows, from the first of that pass on."""
        return ArrayRows((torch.cat(_Flow(_blocks(self._pass("rows/head", 0, 0))).take(n)),))

    def sample(self, n: int, rng: torch.Generator) -> Rows:
        """Rows drawn with replacement from the first ones."""
        return self.head.sample(n, rng)

    def batch(self, n: int, seed: int, step: int) -> Float[Tensor, "n d"]:
        """The rows of a training step; what is left of a pass and fills no batch goes into one with the next."""
        if seed != self._seed or not self._flow.reaches(step * n, n):
            self._flow, self._seed = _Flow(_blocks(self._epochs(seed))), seed
        return self._flow.at(step * n, n)

    def _epochs(self, seed: int) -> Iterator[Any]:
        for epoch in count():
            yield from self._pass("rows/pass", seed, epoch)

    def _pass(self, name: str, seed: int, epoch: int) -> Iterator[Any]:
        states = [stream(seed, f"{name} {i}", epoch, g.device).get_state() for i, g in enumerate(self._draws)]
        with _states(self._draws, states):
            batches: Any = self.make()
            good = isinstance(batches, Iterable) and not isinstance(batches, Tensor | np.ndarray | dict | str)
            must(good, "rows", "a function that returns an iterator", type(batches).__name__, "yield batches in it")
            batches = iter(batches)
        for number in count():
            with _states(self._draws, states):
                batch = next(batches, _END)
            if batch is _END:
                advice = "return a new iterator at each call, or pass the iterator itself for one pass"
                must(number, "rows", "of at least one batch in each pass", f"none in pass {epoch + 1}", advice)
                return
            yield batch


_END = object()


@contextmanager
def _states(generators: list[torch.Generator], states: list[Tensor]) -> Iterator[None]:
    """Generators in these states, which move on; a caller's own come back."""
    before = [g.get_state() for g in generators]
    try:
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)
        yield
        states[:] = [g.get_state() for g in generators]
    finally:
        for g, state in zip(generators, before, strict=True):
            g.set_state(state)


class IteratorRows(Finite):
    """Rows of an iterator, each given once. The first ones are read ahead: the moments of x are taken from them."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._flow = _Flow(_blocks(batches))

    @property
    def d(self) -> int:
        """Width."""
        return self.head.d

    @cached_property
    def head(self) -> ArrayRows:
        """The first rows."""
        return self.first(_HEAD_OF_ONE_PASS)

    def first(self, n: int) -> ArrayRows:
        """At most n of the rows that are still to come; they stay to come."""
        self._flow.fill(n)
        must(self._flow.count, "rows", "an iterator with batches to give", "one that gave none", "make it anew")
        return ArrayRows((torch.cat(list(self._flow.waiting))[:n],))

    def sample(self, n: int, rng: torch.Generator) -> Rows:
        """Rows drawn with replacement from the first ones."""
        return self.head.sample(n, rng)

    def batch(self, n: int, seed: int, step: int) -> Float[Tensor, "n d"]:
        """The rows of a training step, whatever the seed; steps must come in order."""
        _ = self.head  # before any row is gone
        got = f"an iterator that has gone on to row {self._flow.place}"
        advice = "it gives each row once: pass a new one that starts as this one did, or a function that returns one"
        rule = f"able to give the rows of step {step} again"
        must(self._flow.reaches(step * n, n), "rows", rule, got, advice)
        x = self._flow.at(step * n, n)
        got = f"an iterator that gave {self._flow.place} rows, where {step + 1} steps of {n} take {step * n + n}"
        advice = "lower steps or batch, or pass a function that returns an iterator, for more than one pass"
        must(len(x) == n, "rows", "enough for the run", got, advice)
        return x


def rows(x: Any) -> ArrayRows | PassRows | IteratorRows:
    """A source of activations that somebody has already, for `train`, `evaluate` and all else that takes a source.

    Everything is brought to rows: (batch, seq, d) is batch x seq of them. Batches of any size are cut to the run's. A
    batch is a tensor or array, or a tuple whose first entry is one, as those of a DataLoader over a TensorDataset.

    - A tensor or numpy array (n, d), or a list of them, which is one long set: seeded epochs, each row once in each.
    - A DataLoader, or a function that returns an iterator: an epoch a pass, shuffled by the run's own seed.
    - An iterator: one pass, each row given once. A run on it goes on from a checkpoint with a new iterator that starts
      as the first one did; with one that would have to be rewound it does not.

    Raises:
        ValueError: none of these, or no floating-point numbers.
    """
    if isinstance(x, Tensor | np.ndarray):
        return ArrayRows((_array(x, "rows"),))
    if isinstance(x, list | tuple) and x and all(isinstance(part, Tensor | np.ndarray) for part in x):
        parts = tuple(_array(part, f"rows[{i}]") for i, part in enumerate(x))
        widths = sorted({part.shape[1] for part in parts})
        must(len(widths) == 1, "rows", "of one width", f"widths {widths}", "leave out what is of another layer")
        return ArrayRows(tuple(part for part in parts if len(part)))
    if isinstance(x, Iterator):
        return IteratorRows(x)
    if hasattr(type(x), "__iter__") and not isinstance(x, str | bytes | dict | list | tuple):
        return PassRows(x.__iter__)
    if callable(x) and not isinstance(x, type | torch.nn.Module):
        return PassRows(x)
    must(False, "rows", _KINDS, shown(x), "wrap a map-style data set in a DataLoader, or make an array of it")
    raise AssertionError


def as_source(x: Any) -> Any:
    """A source as it is, one by its name or folder (see `find_source`), or the rows of whatever else it is."""
    if isinstance(x, str | Path):
        return find_source(str(x))
    return x if hasattr(x, "sample") and hasattr(x, "d") else rows(x)


def _array(x: Tensor | np.ndarray, where: str) -> Float[Tensor, "n d"]:
    """A set of rows as a tensor that shares its memory."""
    must(x.ndim >= 2, where, "of shape (n, d)", f"shape {tuple(x.shape)}", "give each activation a row")
    values = _floats(x, where)
    must(values.numel(), where, "of at least one row", f"shape {tuple(x.shape)}", "give some")
    return values.flatten(0, -2)


def _floats(x: Any, where: str) -> Tensor:
    """A tensor or array of floating-point numbers as a tensor without gradient."""
    values = x
    if isinstance(x, np.ndarray) and x.dtype in (np.float16, np.float32, np.float64):
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of files mapped for reading alone
            values = torch.from_numpy(x if min(x.strides, default=0) >= 0 else x.copy())
    floats = isinstance(values, Tensor) and values.is_floating_point()
    must(floats, where, "of floating-point numbers", f"numbers of {x.dtype}", "convert it, as x.float() does")
    return values.detach()


def _blocks(batches: Iterable[Any]) -> Iterator[Float[Tensor, "n d"]]:
    """Batches of a stranger's as rows of one width."""
    width = None
    for number, batch in enumerate(batches):
        x = batch[0] if isinstance(batch, list | tuple) and batch else batch
        if not isinstance(x, Tensor | np.ndarray):
            kind = f"a dictionary of {sorted(map(str, x))}" if isinstance(x, dict) else type(x).__name__
            rule = "a tensor or array, or a tuple whose first entry is one"
            advice = "choose its entry: rows(lambda: (batch['x'] for batch in loader))"
            must(False, f"batch {number} of rows", rule, kind, advice)
        values = _floats(x, f"batch {number} of rows")
        values = values.reshape(-1, values.shape[-1] if values.ndim else 1)
        width = values.shape[1] if width is None else width
        got = f"width {values.shape[1]}"
        must(values.shape[1] == width, f"batch {number} of rows", f"of width {width}, the first one's", got, "drop it")
        if len(values):
            yield values
