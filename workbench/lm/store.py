"""Activations on disk: written once in shards that a kill cannot harm, mapped into memory when read."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.lock import locked
from synthetic.base.schema import (
    OBJECT,
    SWITCH,
    TEXT,
    Kind,
    checked_fields,
    list_of,
    optional,
    parsed,
    read_json,
    shown,
    whole,
)
from synthetic.base.storage import (
    clear_litter,
    clear_older_litter,
    read,
    tensor_sum,
    tensor_sums,
    write_tensors,
    write_text,
)
from workbench.lm.hooks import HookPoint, capture, is_point, known_points, width
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
        for name in ("tokens", "context", "shard", "batch"):
            value, where = getattr(self, name), f"StoreConfig.{name}"
            must(
                isinstance(value, Integral) and not isinstance(value, bool), where, "a whole number", value, "round it"
            )
            must(name == "context" or int(value) >= 1, where, "at least 1", value, "raise it")
            object.__setattr__(self, name, int(value))  # numpy's are no JSON
        must(self.context >= 2, "StoreConfig.context", "at least 2", self.context, "128 is usual")
        must(self.hooks, "StoreConfig.hooks", "at least one hook point", "none", "name one, such as resid_pre.6")
        object.__setattr__(self, "hooks", tuple(str(HookPoint.of(name)) for name in self.hooks))
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
    whole shards alone. A shard is a function of model, text and settings, and a store that is there is gone on with,
    or returned, only where all of them are its own: hashes of weights, tokenizer and documents are kept and compared.

    Args:
        folder: where to; new, or what an earlier call with the same arguments began.
        lm: the model, in eval mode.
        texts: documents in a fixed order; where they end early, so does the store. Those it needs are read, no more.
        config: what to keep.
        text: name of the text; a store begun with another is refused.
        on_shard: called with shards done and shards in all.

    Raises:
        ValueError: the folder holds another store, or another process writes there; the disk has too little room; an
            activation is not finite in the dtype asked for, which leaves no store begun.
    """
    folder, documents = Path(folder), _Documents(texts)
    points = known_points(lm, config.hooks)
    fits = config.context <= lm.context
    must(fits, "StoreConfig.context", f"at most {lm.context}, the model's", config.context, "lower it")
    must(not lm.model.training, "model", "in eval mode", "one in training mode", "call its eval()")
    settings = asdict(config) | {"hooks": [str(point) for point in points], "text": text} | lm.identity
    settings = {name: value for name, value in settings.items() if name != "batch"}
    about = {"settings": settings, "mark": _hash(json.dumps(settings, sort_keys=True)), "name": lm.name}
    about["widths"] = {str(point): width(lm, point) for point in points}
    must(folder.is_dir() or not folder.exists(), "store.folder", "a folder", f"a file, {folder}", "choose another name")
    if store := _finished(folder, about, documents):
        with suppress(OSError, ValueError), locked(folder, "clears an activation store"):
            clear_litter(folder)  # of a writer that died as it ended
        return store
    with locked(folder, "writes an activation store"):
        clear_older_litter(folder)
        if store := _finished(folder, about, documents):  # by whoever held the folder until now
            return store
        _write(folder, about, lm, documents, config, points, on_shard or (lambda done, of: None))
    return open_store(folder)


class _Documents:
    """Documents as they come, and a running hash of the texts of those that were read."""

    def __init__(self, texts: Iterable[Document]) -> None:
        self._texts, self._digest, self.read = iter(texts), hashlib.blake2b(digest_size=8), 0

    def __iter__(self) -> Iterator[Document]:
        return self

    def __next__(self) -> Document:
        document = next(self._texts)
        good = isinstance(document, Document) and isinstance(document.text, str)
        if not good:
            must(False, "texts", "Documents, each with a text", shown(document), "see workbench.lm.text.documents")
        content = document.text.encode("utf-8", "surrogatepass")
        self._digest.update(f"{len(content)} ".encode() + content)
        self.read += 1
        return document

    def mark(self, store: str, i: int) -> str:
        """The mark of a store's shard that these documents fill."""
        return _hash(f"{store} {i} {self._digest.hexdigest()}")


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _finished(folder: Path, about: dict[str, Any], documents: _Documents) -> "ActivationStore | None":
    """The store in a folder if all its shards are there; None where it is to be written or gone on with.

    Raises:
        ValueError: it is another one than that asked for.
    """
    if not (folder / _ABOUT).exists():
        return None
    stored, asked = _about(folder), about["settings"]
    _must_agree(folder, stored["settings"] | {"widths": stored["widths"]}, asked | {"widths": about["widths"]})
    count = stored.get("shards")
    if count is None or not all(_shard(folder, i).is_file() for i in range(count)):
        return None
    for _ in islice(documents, stored["documents"]):
        pass
    same = documents.mark(stored["mark"], count - 1) == stored["marks"][-1]
    if same and count * asked["shard"] * asked["context"] < asked["tokens"]:  # it ended with its text
        same = next(documents, None) is None
    _must_be_begun_with(same, f"other documents for {folder}")
    return open_store(folder)


def _must_be_begun_with(same: bool, got: str) -> None:
    must(same, "store.text", "what it was begun with", got, "choose another folder")


def _must_agree(folder: Path, stored: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse settings other than those that a store was begun with."""
    known = "one that keeps hashes of its model's weights, tokenizer and documents"
    advice = "open_store reads it as before; to write, choose another folder"
    must(asked.keys() <= stored.keys(), "store", known, f"an older one in {folder}", advice)
    for name, old, new in _differing("store", stored, asked):
        must(False, name, f"what it was begun with, {shown(old)}", shown(new), "choose another folder")


def _differing(place: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where settings differ, and how; what only one has came or went with a version of transformers."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in (name for name in new if name in old):
            yield from _differing(f"{place}.{name}", old[name], new[name])
    elif old != new:
        yield place, old, new


def _write(
    folder: Path,
    about: dict[str, Any],
    lm: LanguageModel,
    documents: _Documents,
    config: StoreConfig,
    points: list[HookPoint],
    on_shard: Callable[[int, int], None],
) -> None:
    """Write the shards that lack, and that the store is whole."""
    stored = _about(folder) if (begun := (folder / _ABOUT).exists()) else about
    about, known = {name: stored[name] for name in about}, stored.get("marks", [])
    marks: list[str] = []
    here = sum(_shard(folder, i).exists() for i in range(config.shards)) if begun else 0
    need, free = store_size(lm, config) * (config.shards - here) // config.shards, shutil.disk_usage(folder).free
    more = f"{free / 1e9:.2f} GB; keep fewer tokens or hook points, or a smaller dtype"
    must(need <= free, "store.folder", f"on a disk with {need / 1e9:.2f} GB free", more, "or choose another folder")
    sequences = packed(lm, documents, config.context, mix=config.mix, batch=config.shard)
    for i, own in enumerate(islice(sequences, config.shards)):
        marks.append(documents.mark(about["mark"], i))
        _must_be_begun_with(not known or marks[i:] == known[i : i + 1], f"other documents for {folder}")
        if not _whole(_shard(folder, i), marks[i], begun):
            try:
                tensors = _captured(lm, own, points, config)
            except ValueError:  # a store that cannot be finished keeps nobody out of its folder
                (folder / _ABOUT).unlink(missing_ok=True)
                raise
            if not (folder / _ABOUT).exists():
                write_text(folder / _ABOUT, json.dumps(about, indent=1) + "\n")
            write_tensors(_shard(folder, i), tensors, {"mark": marks[i]} | tensor_sums(tensors))
        on_shard(i + 1, config.shards)
    must(marks, "texts", "at least one sequence of tokens", "none", "give more text")
    _must_be_begun_with(len(marks) >= len(known), f"fewer documents for {folder}")
    finished = about | {"shards": len(marks), "documents": documents.read, "marks": marks}
    write_text(folder / _ABOUT, json.dumps(finished, indent=1) + "\n")


def _captured(
    lm: LanguageModel, sequences: Sequences, points: list[HookPoint], config: StoreConfig
) -> dict[str, Tensor]:
    """The tensors of a shard."""
    kept: dict[str, list[Tensor]] = {str(point): [] for point in points}
    for ids in sequences.ids.split(config.batch):
        used = ids != PAD
        for point, value in capture(lm, ids.clamp_min(0), points).items():
            own = value.to(DTYPES[config.dtype]).cpu()
            if not own[used].isfinite().all():
                narrow = bool(value.cpu()[used].isfinite().all())
                advice = "keep them in bfloat16 or float32" if narrow else "load the model in float32, or mend it"
                rule = f"finite in {config.dtype}"
                must(False, f"activations at {point}", rule, "NaN or inf", f"{advice}; no begun store is left")
            kept[str(point)].append(own)
    tensors = {name: torch.cat(parts) for name, parts in kept.items()}
    return tensors | {"ids": sequences.ids.int(), "document": sequences.document.int()}


def _shard(folder: Path, i: int) -> Path:
    return folder / f"shard-{i:05d}.safetensors"


def _whole(path: Path, mark: str, begun: bool) -> bool:
    """Whether a shard is there and as it was written.

    Raises:
        ValueError: it is there, in a store that was begun, and of other documents.
    """
    try:
        dict(Shard(path, mark))
    except _Foreign:
        _must_be_begun_with(not begun, f"{path} of other documents, or moved there")
        return False
    except (FileNotFoundError, ValueError):
        return False
    return True


class _Foreign(ValueError):  # noqa: N818
    """A shard of another store, text or number."""


class Shard(Mapping):  # type arguments would have beartype read it
    """A shard's tensors by name, mapped into memory; each is held against its checksum when it is first asked for.

    Args:
        path: its file.
        mark: what it must bear: a hash of its store, its number and the documents up to it.

    Raises:
        ValueError: damaged, or of another store or place.
    """

    def __init__(self, path: Path, mark: str) -> None:
        def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
            if not path.exists():
                raise FileNotFoundError(path)
            with safe_open(path, "pt") as stored:
                return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata() or {}  # noqa: SIM118

        self._path, self._sound = path, set()
        self._tensors, metadata = read(path, load, "activation store")
        if metadata.get("mark") != mark:
            rule = "a shard of its store, in its place"
            message = f"{path} must be {rule}; got one of another store or place: write the store again."
            raise _Foreign(message)
        advice = "delete it and write the store again: the rest is kept"
        sums = parsed(metadata.get("checksums", "{}"), f"{path}: checksums", advice)
        self._sums = checked_fields(sums, f"{path}: checksums", dict.fromkeys(self._tensors, TEXT), advice)
        self._must_be_sound(set(self._sums) == set(self._tensors))

    def _must_be_sound(self, good: bool) -> None:
        advice = "delete it and write the store again: the rest is kept"
        must(good, str(self._path), "as it was written", "another checksum", advice)

    @property
    def shapes(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Shape and type of each tensor."""
        return {name: (tuple(value.shape), value.dtype) for name, value in self._tensors.items()}

    def __getitem__(self, name: str) -> Tensor:
        value = self._tensors[name]
        if name not in self._sound:
            self._must_be_sound(self._sums[name] == tensor_sum(name, value))
            self._sound.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


_SETTINGS = {
    "hooks": list_of(TEXT),
    "text": TEXT,
    "dtype": Kind(f"one of {list(DTYPES)}", lambda own: own in [*DTYPES]),
}
_SETTINGS |= {"context": whole(2), "shard": whole(1), "tokens": whole(1), "mix": SWITCH}
_FIELDS = {"settings": OBJECT, "mark": TEXT, "name": TEXT, "widths": OBJECT, "shards": optional(whole(1))}
_ADVICE = "write the store again"


def _about(folder: Path) -> dict[str, Any]:
    """What `store.json` says, checked."""
    place = str(folder / _ABOUT)
    about = read_json(folder / _ABOUT, "activation store", _FIELDS, _ADVICE)
    checked_fields(about["settings"], f"{place}: settings", _SETTINGS, _ADVICE)
    widths = checked_fields(about["widths"], f"{place}: widths", dict.fromkeys(about["widths"], whole(1)), _ADVICE)
    hooks = about["settings"]["hooks"]
    same = widths.keys() == set(hooks) and all(is_point(hook) and str(HookPoint.of(hook)) == hook for hook in hooks)
    must(same and hooks, f"{place}: widths", "of the hook points kept", shown(list(widths)), _ADVICE)
    if about.get("shards") and "weights" in about["settings"]:  # else it is an older one
        tokens = about["shards"] * about["settings"]["shard"] * about["settings"]["context"]
        documents = whole(1, tokens + about["settings"]["context"])  # of one token each, the last of them left over
        checked_fields(about, place, {"marks": list_of(TEXT), "documents": documents}, _ADVICE)
        same = len(about["marks"]) == about["shards"]
        must(same, f"{place}: marks", f"{about['shards']}, one a shard", len(about["marks"]), _ADVICE)
    return about


@dataclass(frozen=True)
class ActivationStore:
    """Activations that `write_store` kept. Shards are mapped, not read: memory holds what is looked at."""

    folder: Path
    mark: str
    """hash of model, documents and settings"""

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
            mark = self.about["marks"][i] if "marks" in self.about else self.about["mark"]
            shard = Shard(_shard(self.folder, i), mark)
            self._must_fit(i, shard)
            self._open[i] = shard
        return self._open[i]

    def _must_fit(self, i: int, shard: Shard) -> None:
        """Refuse tensors of other shapes or types than the settings say."""
        settings, shapes = self.about["settings"], shard.shapes
        size = shapes.get("ids", ((0,), torch.int32))[0][:1]
        lengths = (*size, settings["context"])
        expected = dict.fromkeys(_TOKENS, (lengths, torch.int32))
        expected |= {name: ((*lengths, own), DTYPES[settings["dtype"]]) for name, own in self.widths.items()}
        good = shapes == expected and (1,) <= size <= (settings["shard"],)
        must(good, str(_shard(self.folder, i)), "of the sizes in store.json", shown(shapes), _ADVICE)

    @cached_property
    def _open(self) -> dict[int, Shard]:
        return {}

    def differing(self, lm: LanguageModel) -> list[str]:
        """Which of weights, config and tokenizer are not known to be those that these activations are of."""
        settings = self.about["settings"]
        return [n for n, own in lm.identity.items() if n not in settings or [*_differing(n, settings[n], own)]]

    def sequences(self) -> Iterator[Sequences]:
        """Tokens of each shard, in order."""
        for i in range(self.shards):
            own = self.shard(i)
            yield Sequences(own["ids"].long(), own["document"].long())


def open_store(folder: str | Path) -> ActivationStore:
    """A store that `write_store` finished, also one of an older version.

    Raises:
        ValueError: it was stopped before its end, or its files are damaged.
        FileNotFoundError: none is there, or a shard lacks.
    """
    folder = Path(folder)
    about = _about(folder)
    must(about.get("shards"), "store", "written to its end", f"a part, in {folder}", "run the same command again")
    here = {path.name for path in folder.iterdir() if path.is_file()}
    for path in (_shard(folder, i) for i in range(about["shards"])):
        if path.name not in here:
            message = f"activation store must hold {path.name}; got no such file in {folder}: write the store again."
            raise FileNotFoundError(message)
    marks = about.get("marks", [about["mark"]])
    store = ActivationStore(folder, marks[-1])
    vars(store)["about"] = about  # read once
    return store
