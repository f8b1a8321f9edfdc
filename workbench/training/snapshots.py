"""Decoders on the way: some two dozen of them, at log-spaced steps of a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import must_be_sound, read, read_tensors, tensor_sums, write_tensors
from workbench.sae import SAE
from workbench.training.loop import Progress


@dataclass(frozen=True)
class Trace:
    """Decoder rows of a run at some of its steps."""

    steps: Int[Tensor, " t"]
    rows: Float[Tensor, "t *s m d"]
    """unit rows, float16"""


class Snapshots:
    """Keeps unit decoder rows while an SAE trains: `train(sae, world, config, on_step=Snapshots(sae, config.steps))`.

    The first is of the rows at the start. With a path each snapshot is on disk before training goes on, so that a run
    that was stopped and resumed leaves the same file, byte for byte, as one that was not.
    """

    def __init__(self, sae: SAE, steps: int, count: int = 24, path: str | Path | None = None) -> None:
        must(steps >= 1, "Snapshots.steps", "at least 1", steps, "pass config.steps")
        must(count >= 2, "Snapshots.count", "at least 2, the first and the last", count, "raise it")
        self.sae, self.path = sae, None if path is None else Path(path)
        first = max(1, steps // 1000)
        self.due = {0, *(round(v) for v in np.geomspace(first, steps, count - 1))}
        """numbers of finished steps after which to keep the rows"""
        self._rows: dict[int, Tensor] = {}
        if self.path is not None and self.path.exists():
            trace = load_trace(self.path)
            shape = tuple(sae.W_dec.shape)
            found, others = tuple(trace.rows.shape[1:]), sorted(set(trace.steps.tolist()) - self.due)
            advice = "give another path, or delete it"
            must(found == shape, f"snapshots {self.path}", f"of this run, of shape {shape}", found, advice)
            must(not others, f"snapshots {self.path}", f"of a run of {steps} steps", f"some at {others}", advice)
            self._rows = dict(zip(trace.steps.tolist(), trace.rows, strict=True))
        else:
            self._keep(0)

    def __call__(self, progress: Progress) -> None:
        """Keep the rows where it is time to."""
        if progress.step in self.due:
            self._keep(progress.step)

    @torch.no_grad()
    def _keep(self, step: int) -> None:
        rows = self.sae.W_dec.detach().float()
        rows = rows / rows.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        self._rows[step] = rows.half().cpu()
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            trace = self.trace
            tensors = {"steps": trace.steps, "rows": trace.rows}
            write_tensors(self.path, tensors, tensor_sums(tensors))  # one entry: several come in any order

    @property
    def trace(self) -> Trace:
        """What has been kept, in the order of the steps."""
        steps = sorted(self._rows)
        return Trace(torch.tensor(steps), torch.stack([self._rows[step] for step in steps]))


def load_trace(path: str | Path) -> Trace:
    """Read what `Snapshots` wrote.

    Raises:
        ValueError: no such file, or one that is damaged.
    """
    tensors, metadata = read(Path(path), read_tensors, "snapshots")
    must_be_sound(tensors, metadata, Path(path), "delete it and train again")
    whole = tensors.keys() == {"steps", "rows"} and len(tensors["steps"]) == len(tensors["rows"])
    must(whole, f"snapshots {path}", "steps and rows", sorted(tensors), "delete it and train again")
    return Trace(tensors["steps"], tensors["rows"])
