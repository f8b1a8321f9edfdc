"""The batch of a training step, from a world or from a finite source that is read in epochs."""

import torch
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Finite, Source, rows_given


def training_batch(
    source: Source, n: int, seed: int, step: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The n activations (n, d) of a training step, without gradient."""
    finite = isinstance(source, Finite)
    x = source.batch(n, seed, step) if finite else source.sample(n, stream(seed, "train", step, device)).x
    return rows_given(x, n, source.d).to(device, dtype)
