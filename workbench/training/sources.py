"""Where training takes its activations from: a world, or a finite store read in epochs."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from synthetic.errors import must
from synthetic.streams import stream


@runtime_checkable
class Source(Protocol):
    """Activations of width d; every `synthetic.World` is one."""

    @property
    def d(self) -> int:
        """Width."""
        ...

    def sample(self, n: int, rng: torch.Generator) -> Any:
        """An object with n independent draws as its `x`, on the generator's device."""
        ...


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


def rows_given(x: Any, n: int, d: int) -> Tensor:
    """What a source returned when it was asked for n activations, as (n, d) and without gradient.

    Raises:
        ValueError: no floating-point numbers, or another number of rows.
    """
    x = torch.from_numpy(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
    floats = isinstance(x, Tensor) and x.is_floating_point()
    kind = f"one of {x.dtype}" if isinstance(x, Tensor | np.ndarray) else type(x).__name__
    must(floats, "world.x", "a tensor of floating-point numbers", kind, "convert it, as x.float() does")
    right = x.shape[-1:] == (d,) and x.numel() == n * d
    must(right, "world.x", f"{n} rows of width {d}", f"shape {tuple(x.shape)}", "return as many as were asked for")
    x = x.detach().reshape(n, d)
    return x.clone() if x.is_inference() else x
