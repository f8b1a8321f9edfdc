"""Activations on disk: written once in shards that a kill cannot harm, mapped into memory when read."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from synthetic.errors import must, pick
from synthetic.storage import read, write_tensors, write_text
from workbench.lm.hooks import HookPoint, capture, known_points, width
from workbench.lm.models import LanguageModel
from workbench.lm.packing import PAD, Sequences, packed
from workbench.lm.text import Document

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_ABOUT = "store.json"
_TOKENS = ("ids", "document")


@dataclass(frozen=True)
class StoreConfig:
    """What to keep of a language model's forward passes."""

    hooks: tuple[str, ...] = ("resid_pre.6",)
    """hook points; one pass serves them all"""
    tokens: int = 200_000
    """tokens, rounded up to whole shards"""
    context: int = 128
    """tokens a sequence, BOS included"""
    mix: bool = True
    """let a sequence hold parts of several documents"""
    dtype: str = "float32"
    """of activations on disk: float32, float16 or bfloat16"""
    shard: int = 64
    """sequences a shard; a stopped run loses at most one"""
    batch: int = 8
    """sequences a forward pass"""

    def __post_init__(self) -> None:
        for name in ("tokens", "shard", "batch"):
            must(getattr(self, name) >= 1, f"StoreConfig.{name}", "at least 1", getattr(self, name), "raise it")
        must(self.context >= 2, "StoreConfig.context", "at least 2", self.context, "128 is usual")
        must(self.hooks, "StoreConfig.hooks", "at least one hook point", "none", "name one, such as resid_pre.6")
        pick(self.dtype, DTYPES, "StoreConfig.dtype")

    @property
    def shards(self) -> int:
        """Shards to write."""
        return -(-self.tokens // (self.shard * self.context))


def store_size(lm: LanguageModel, config: StoreConfig) -> int:
    """Bytes that a store takes."""
    numbers = sum(width(lm, point) for point in known_points(lm, config.hooks))
    each = numbers * DTYPES[config.dtype].itemsize + len(_TOKENS) * 4
    return config.shards * config.shard * config.context * each


def write_store(
    folder: str | Path,
    lm: LanguageModel,
    texts: Iterable[Document],
    config: StoreConfig,
    *,
    text: str = "",
    on_shard: Callable[[int, int], None] | None = None,
) -> "ActivationStore":
    """Run a model over text and keep its activations; called again after a stop, go on with the shards that lack.

    Each shard is written beside its place and renamed, with a checksum of its tensors, so a kill at any byte leaves
    whole shards alone. A shard is a function of model, text and settings.

    Args:
        folder: where to; new, or what an earlier call with the same arguments began.
        lm: the model.
        texts: documents in a fixed order; where they end early, so does the store.
        config: what to keep.
        text: name of the text; a store begun with another is refused.
        on_shard: called with shards done and shards in all.

    Raises:
        ValueError: the folder holds another store, or the disk has too little room.
    """
    folder = Path(folder)
    points = known_points(lm, config.hooks)
    fits = config.context <= lm.context
    must(fits, "StoreConfig.context", f"at most {lm.context}, the model's", config.context, "lower it")
    settings = asdict(config) | {"hooks": [str(point) for point in points], "text": text, "model": lm.fingerprint}
    settings = {name: value for name, value in settings.items() if name != "batch"}
    mark = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8).hexdigest()
    about = {"settings": settings, "mark": mark, "name": lm.name, "widths": {str(p): width(lm, p) for p in points}}
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _ABOUT).exists():
        stored = _about(folder)
        old = stored.get("settings", {})
        for name, value in settings.items():
            begun = f"what it was begun with, {old.get(name)}"
            must(old.get(name) == value, f"store.{name}", begun, value, "choose another folder")
        if "shards" in stored and all(_shard(folder, i).exists() for i in range(stored["shards"])):
            return open_store(folder)
    for litter in [*folder.glob(".shard-*"), *folder.glob(f".{_ABOUT}.*")]:  # of a kill amid writing
        litter.unlink()
    done = {i for i in range(config.shards) if _whole(folder, i, mark)}
    need, free = store_size(lm, config) * (config.shards - len(done)) // config.shards, shutil.disk_usage(folder).free
    more = f"{free / 1e9:.2f} GB; keep fewer tokens or hook points, or a smaller dtype"
    must(need <= free, "store.folder", f"on a disk with {need / 1e9:.2f} GB free", more, "or choose another folder")
    write_text(folder / _ABOUT, json.dumps(about, indent=1) + "\n")
    count = 0
    for i, sequences in enumerate(packed(lm, texts, config.context, mix=config.mix, batch=config.shard)):
        if i == config.shards:
            break
        if i not in done:
            _write_shard(folder, i, mark, lm, sequences, points, config)
        elif not torch.equal(Shard(_shard(folder, i), mark)["ids"].long(), sequences.ids):
            raise ValueError(
                f"store.text must be what it was begun with; got other tokens at shard {i}: write it anew."
            )
        count = i + 1
        if on_shard is not None:
            on_shard(count, config.shards)
    must(count, "texts", "at least one sequence of tokens", "none", "give more text")
    write_text(folder / _ABOUT, json.dumps(about | {"shards": count}, indent=1) + "\n")
    return open_store(folder)


def _write_shard(
    folder: Path,
    i: int,
    mark: str,
    lm: LanguageModel,
    sequences: Sequences,
    points: list[HookPoint],
    config: StoreConfig,
) -> None:
    kept: dict[str, list[Tensor]] = {str(point): [] for point in points}
    for ids in sequences.ids.split(config.batch):
        for point, value in capture(lm, ids.clamp_min(0), points).items():
            kept[str(point)].append(value.to(DTYPES[config.dtype]).cpu())
    tensors = {name: torch.cat(parts) for name, parts in kept.items()}
    for name, value in tensors.items():
        good = bool(value[sequences.ids != PAD].isfinite().all())
        must(
            good,
            f"activations at {name}",
            f"finite in {config.dtype}",
            "NaN or inf",
            "keep them in bfloat16 or float32",
        )
    tensors |= {"ids": sequences.ids.int(), "document": sequences.document.int()}
    sums = json.dumps({name: _checksum(name, value) for name, value in tensors.items()})
    write_tensors(_shard(folder, i), tensors, {"mark": mark, "checksums": sums})


def _shard(folder: Path, i: int) -> Path:
    return folder / f"shard-{i:05d}.safetensors"


def _checksum(name: str, value: Tensor) -> str:
    digest = hashlib.blake2b(f"{name} {value.dtype} {tuple(value.shape)} ".encode(), digest_size=16)
    digest.update(value.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _whole(folder: Path, i: int, mark: str) -> bool:
    """Whether a shard is there and as it was written."""
    try:
        dict(Shard(_shard(folder, i), mark))
    except (FileNotFoundError, ValueError):
        return False
    return True


class Shard(Mapping):  # type arguments would have beartype read it
    """A shard's tensors by name, mapped into memory; each is held against its checksum when it is first asked for.

    Raises:
        ValueError: damaged, or of another store.
    """

    def __init__(self, path: Path, mark: str) -> None:
        def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
            if not path.exists():
                raise FileNotFoundError(path)
            with safe_open(path, "pt") as stored:
                return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata() or {}  # noqa: SIM118

        self._path, self._sound = path, set()
        self._tensors, metadata = read(path, load, "activation store")
        good = metadata.get("mark") == mark
        must(good, path.name, "a shard of its store", "one of another store", "write the store again")
        self._sums = read(path, lambda _: json.loads(metadata.get("checksums", "{}")), "activation store")
        self._must_be_sound(set(self._sums) == set(self._tensors))

    def _must_be_sound(self, good: bool) -> None:
        advice = "delete it and write the store again: the rest is kept"
        must(good, str(self._path), "as it was written", "another checksum", advice)

    def __getitem__(self, name: str) -> Tensor:
        value = self._tensors[name]
        if name not in self._sound:
            self._must_be_sound(self._sums[name] == _checksum(name, value))
            self._sound.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _about(folder: Path) -> dict[str, Any]:
    return read(folder / _ABOUT, lambda path: json.loads(path.read_text()), "activation store")


@dataclass(frozen=True)
class ActivationStore:
    """Activations that `write_store` kept. Shards are mapped, not read: memory holds what is looked at."""

    folder: Path
    mark: str
    """hash of model, text and settings"""

    @cached_property
    def about(self) -> dict[str, Any]:
        """Settings it was written with, hook points' widths, number of shards."""
        return _about(self.folder)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.about["shards"]

    @property
    def widths(self) -> dict[str, int]:
        """Hook points kept, and numbers a token at each."""
        return self.about["widths"]

    def shard(self, i: int) -> Shard:
        """Tensors of a shard: ids and document (b, t) int32, each hook point (b, t, width)."""
        if i not in self._open:
            self._open[i] = Shard(_shard(self.folder, i), self.mark)
        return self._open[i]

    @cached_property
    def _open(self) -> dict[int, Shard]:
        return {}

    def sequences(self) -> Iterator[Sequences]:
        """Tokens of each shard, in order."""
        for i in range(self.shards):
            own = self.shard(i)
            yield Sequences(own["ids"].long(), own["document"].long())


def open_store(folder: str | Path) -> ActivationStore:
    """A store that `write_store` finished.

    Raises:
        ValueError: it was stopped before its end.
        FileNotFoundError: none is there.
    """
    about = _about(Path(folder))
    must("shards" in about, "store", "written to its end", f"a part, in {folder}", "run the same command again")
    return ActivationStore(Path(folder), about["mark"])
