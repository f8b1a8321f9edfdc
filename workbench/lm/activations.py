"""A hook point's activations out of a store, as a source to train on: shuffled, in epochs, repeatable."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.streams import stream
from synthetic.rows import Rows
from synthetic.source import Finite
from workbench.lm.hooks import HookPoint
from workbench.lm.packing import PAD, Sequences
from workbench.lm.store import ActivationStore


@dataclass(frozen=True)
class Activations(Finite):
    """Activations of one hook point, float32, one row a token.

    An epoch visits every row once, but for the last few that fill no batch: shards in a random order, in windows of
    consecutive shards, rows of a window in a random order. Where the store fits one window that is a full shuffle;
    beyond, a batch reads a part of the disk that the operating system keeps in memory.
    """

    store: ActivationStore
    hook: str
    """hook point, as resid_pre.6 or blocks.6.hook_resid_pre"""
    documents: tuple[float, float] = (0.0, 1.0)
    """share of the documents to use, such as (0, .9) to train and (.9, 1) to test: none is in both"""
    skip: int = 1
    """tokens to leave out at the beginning of every sequence, whose norms are far from the others' in most models"""
    standardise: bool = False
    """subtract each row's mean over dimensions and divide by its unbiased standard deviation + 1e-5"""
    window: int = 2**19
    """rows to shuffle at a time"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hook", str(HookPoint.of(self.hook)))  # from TransformerLens' names, too
        pick(self.hook, self.store.widths, "Activations.hook")
        low, high = self.documents
        must(0 <= low < high <= 1, "Activations.documents", "shares 0 <= from < to <= 1", self.documents, "widen them")
        must(self.window >= 1, "Activations.window", "at least 1", self.window, "raise it")
        must(self.skip >= 0, "Activations.skip", "at least 0", self.skip, "use 0 for none")
        must(
            self.n, "Activations.documents", "a share that holds rows", self.documents, "widen it, or keep more tokens"
        )

    @property
    def d(self) -> int:
        """Width."""
        return self.store.widths[self.hook]

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return sum(len(rows) for rows in self._kept)

    @property
    def order(self) -> Any:
        """Stores of one text, kept alike, have their tokens in one order, whichever model and hook point it is."""
        ids = tuple(int(own.ids.long().sum()) for own in self.store.sequences())
        return "store", ids, tuple(map(len, self._kept)), self.window

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        """Rows of each shard, flattened, that are used."""
        kept = []
        for own in self.store.sequences():
            use = self._inside(own)
            use[:, : self.skip] = False
            kept.append(np.flatnonzero(use.numpy()).astype(np.int32))
        return kept

    @cached_property
    def _borders(self) -> tuple[int, int]:
        """First document that is used, and first after it that is not."""
        last = max(int(own.document.max()) for own in self.store.sequences())
        low, high = (round(share * (last + 1)) for share in self.documents)
        return low, high

    def _inside(self, own: Sequences) -> Bool[Tensor, "b t"]:
        """Which tokens are of documents that are used."""
        low, high = self._borders
        return (own.ids != PAD) & (own.document >= low) & (own.document < high)

    def rows(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        """Activations by number, 0 to n - 1 in the order of the text."""
        known = not len(index) or bool((index.min() >= 0) & (index.max() < self.n))
        must(known, "Activations.rows", f"numbers in [0, {self.n})", "one outside", "drop it")
        starts = np.cumsum([0, *(len(rows) for rows in self._kept)])
        shard = np.searchsorted(starts, index.numpy(), side="right") - 1
        return self._gather(shard, index.numpy() - starts[shard])

    def _gather(self, shard: np.ndarray, place: np.ndarray) -> Float[Tensor, "n d"]:
        """Activations by shard and place among its rows that are used."""
        out = torch.empty(len(shard), self.d, dtype=torch.float32, device="cpu")
        for i in np.unique(shard):
            at = np.flatnonzero(shard == i)
            flat = self.store.shard(int(i))[self.hook].flatten(0, 1)
            out[torch.from_numpy(at)] = flat[torch.from_numpy(self._kept[i][place[at]]).long()].float()
        return standardised(out)[0] if self.standardise else out

    def sequences(self) -> Int[Tensor, "b t"]:
        """Token ids of the sequences that hold rows and no others' documents, PAD after the end."""
        found = []
        for own, kept in zip(self.store.sequences(), self._kept, strict=True):
            context = own.ids.shape[1]
            some = torch.from_numpy(np.bincount(kept // context, minlength=len(own)) > 0)
            found.append(own.ids[some & (self._inside(own) | (own.ids == PAD)).all(1)])
        whole_ones = torch.cat(found)
        must(
            len(whole_ones), "Activations.documents", "a share that holds a whole sequence", self.documents, "widen it"
        )
        return whole_ones

    @property
    def metadata(self) -> dict[str, Any]:
        """What SAELens's users expect the folder of an SAE trained on these rows to say; for `SAE.metadata`."""
        own = _about(self.store, self.hook)
        return own | ({"normalize_activations": "layer_norm"} if self.standardise else {})

    @property
    def positions(self) -> Int[Tensor, " n"]:
        """Place in its sequence of every row."""
        flat = torch.from_numpy(np.concatenate(self._kept)).long()
        return flat % int(self.store.about["settings"]["context"])

    def sample(self, n: int, rng: torch.Generator) -> Rows:
        """Rows drawn with replacement."""
        index = torch.randint(self.n, (n,), generator=rng, device=rng.device)
        return Rows(self.rows(index.cpu()).to(rng.device))

    def in_order(self, n: int) -> Iterator[Float[Tensor, "n d"]]:
        """All rows once, in the order of the text, n at a time."""
        for index in torch.arange(self.n, device="cpu").split(n):
            yield self.rows(index)

    def batch(self, n: int, seed: int, step: int) -> Float[Tensor, "n d"]:
        """The rows of a training step; steps 0 to self.n // n - 1 are the first epoch."""
        must(n >= 1, "batch", "at least 1", n, "raise it")
        must(n <= self.n, "batch", f"at most the {self.n} activations there are", n, "lower it or keep more tokens")
        epoch, within = divmod(step, self.n // n)
        first, parts = within * n, []
        starts, windows = self._windows(seed, epoch)
        for w in range(int(np.searchsorted(starts, first, side="right")) - 1, len(windows)):
            if starts[w] >= first + n:
                break
            shard, place = self._order(seed, epoch, w, windows[w])
            part = slice(max(0, first - starts[w]), first + n - starts[w])
            parts.append(self._gather(shard[part], place[part]))
        return torch.cat(parts)

    def _windows(self, seed: int, epoch: int) -> tuple[np.ndarray, list[list[int]]]:
        """First row of each window in an epoch, and the shards of each."""
        if (seed, epoch) not in self._epochs:
            windows: list[list[int]] = []
            sizes: list[int] = []
            rng = stream(seed, "store/shards", epoch)
            for i in torch.randperm(self.store.shards, generator=rng, device="cpu").tolist():
                if not windows or sizes[-1] >= self.window:
                    windows.append([])
                    sizes.append(0)
                windows[-1].append(i)
                sizes[-1] += len(self._kept[i])
            self._epochs.clear()  # thousands of shards, and the next step asks for the same
            self._epochs[seed, epoch] = np.cumsum([0, *sizes[:-1]]), windows
        return self._epochs[seed, epoch]

    @cached_property
    def _epochs(self) -> dict[tuple[int, int], tuple[np.ndarray, list[list[int]]]]:
        return {}

    def _order(self, seed: int, epoch: int, w: int, shards: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a window in their random order: shard and place in it."""
        key = (seed, epoch, w)
        if key not in self._orders:
            shard = np.concatenate([np.full(len(self._kept[i]), i, np.int32) for i in shards])
            place = np.concatenate([np.arange(len(self._kept[i]), dtype=np.int32) for i in shards])
            rng = stream(seed, f"store/rows {epoch}", w)
            order = torch.randperm(len(shard), generator=rng, device="cpu").numpy()
            while len(self._orders) > 1:  # a batch may lie in two windows
                self._orders.pop(next(iter(self._orders)))
            self._orders[key] = shard[order], place[order]
        return self._orders[key]

    @cached_property
    def _orders(self) -> dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]:
        return {}


def _about(store: ActivationStore, hook: str) -> dict[str, Any]:
    """Model, text and hook point, as SAELens calls them."""
    settings, name = store.about["settings"], store.about["name"]
    return {
        "model_name": Path(name).stem if name.endswith(".gguf") else name,
        "hook_name": HookPoint.of(hook).long_name,
        "context_size": settings["context"],
        "prepend_bos": True,
        "dataset_path": settings["text"].removeprefix("hub:"),
        "model_from_pretrained_kwargs": {"center_writing_weights": False},
    }


def standardised(x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n 1"], Float[Tensor, "n 1"]]:
    """Rows less their mean over dimensions, divided by s + 1e-5; then the mean and s + 1e-5 to undo it.

    s is a row's unbiased standard deviation. Source: Lee et al. (2025), arXiv 2503.24277, reference code.
    """
    mean, spread = x.mean(-1, keepdim=True), x.std(-1, keepdim=True) + 1e-5
    return (x - mean) / spread, mean, spread
