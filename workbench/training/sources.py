"""Where training takes its activations from: a world, or a finite store read in epochs."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Source, rows_given


@runtime_checkable
class Finite(Source, Protocol):
    """A source with finitely many activations, each of which is seen once an epoch."""

    def batch(self, n: int, seed: int, step: int) -> Tensor:
        """The n activations of a step, a function of (n, seed, step)."""
        ...


def training_batch(
    source: Source, n: int, seed: int, step: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The n activations (n, d) of a training step, without gradient."""
    finite = isinstance(source, Finite)
    x = source.batch(n, seed, step) if finite else source.sample(n, stream(seed, "train", step, device)).x
    return rows_given(x, n, source.d).to(device, dtype)
