"""Two or more sources of the same samples as one: inputs with targets, or views side by side."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.rows import Rows, as_source
from synthetic.source import Finite, Pair


@dataclass(frozen=True, eq=False)
class _Together(Finite):
    """Finite sources that hold the same samples in the same order."""

    parts: tuple[Finite, ...]

    def drawn(self, n: int, rng: torch.Generator) -> list[Tensor]:
        """The same n samples of each, with replacement."""
        state, every = rng.get_state(), []
        for part in self.parts:
            rng.set_state(state)
            every.append(part.sample(n, rng).x)
        return every

    def batches(self, n: int, seed: int, step: int) -> list[Tensor]:
        """The rows of a training step of each."""
        every: list[Any] = [part.batch(n, seed, step) for part in self.parts]
        return every


@dataclass(frozen=True, eq=False)
class Pairs(_Together):
    """Inputs with targets."""

    @property
    def d(self) -> int:
        """Width of inputs."""
        return self.parts[0].d

    @property
    def d_out(self) -> int:
        """Width of targets."""
        return self.parts[1].d

    def sample(self, n: int, rng: torch.Generator) -> Pair:
        """Pairs drawn with replacement."""
        return Pair(*self.drawn(n, rng))

    def batch(self, n: int, seed: int, step: int) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d_out"]]:
        """Inputs and targets of a training step."""
        x, y = self.batches(n, seed, step)
        return x, y


@dataclass(frozen=True, eq=False)
class Views(_Together):
    """Views of the same samples side by side."""

    @property
    def d(self) -> int:
        """Width of all views together."""
        return sum(part.d for part in self.parts)

    def sample(self, n: int, rng: torch.Generator) -> Rows:
        """Samples drawn with replacement."""
        return Rows(torch.cat(self.drawn(n, rng), 1))

    def batch(self, n: int, seed: int, step: int) -> Float[Tensor, "n d"]:
        """The rows of a training step."""
        return torch.cat(self.batches(n, seed, step), 1)


def pairs(x: Any, y: Any) -> Pairs:
    """A source of inputs x and targets y for a transcoder: rows of equal number, or two hook points of one store.

    Each is what `rows` takes, but for what can be gone through once only: shuffling has to be the same in both.

    Raises:
        ValueError: no such sources, or of different numbers of rows.
    """
    return Pairs(_same_samples("pairs", x, y))


def side_by_side(*views: Any) -> Views:
    """A source of the rows of several views one beside the other, for a crosscoder; each is what `pairs` takes.

    Raises:
        ValueError: fewer than two, no such sources, or of different numbers of rows.
    """
    must(len(views) >= 2, "side_by_side", "two views or more", len(views), "pass them one after another")
    return Views(_same_samples("side_by_side", *views))


def _same_samples(where: str, *given: Any) -> tuple[Finite, ...]:
    sources = [as_source(x) for x in given]
    known = [isinstance(source, Finite) and source.order is not None for source in sources]
    kinds, rule = (
        ", ".join(type(source).__name__ for source in sources),
        "of arrays, or of activations that a store holds",
    )
    must(all(known), where, rule, kinds, "make arrays of them, or keep both in a store")
    same, got = len({source.order for source in sources}) == 1, f"{[source.n for source in sources]} rows of {kinds}"
    advice = "leave out samples that one of them lacks; of stores, keep one text alike"
    must(same, where, "of the same samples in one order", got, advice)
    return tuple(sources)
