"""Settings to JSON and back, and the folder a world is kept in."""

import dataclasses
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from synthetic.base.annotations import annotated, lacking
from synthetic.base.errors import must, pick
from synthetic.base.lock import claimed, in_use, locked
from synthetic.base.schema import TEXT, Kind, list_of, parsed, read_json, shown

_NEW, _READY, _GONE = ".new-", ".ready", ".gone.json"
_OLDER_LITTER = re.compile(r"\.tmp\w{6}|\..+\.(safetensors|json|parquet|png|svg|txt)\.[a-z0-9_]{8}")
"""safetensors' temporary files, and ours before they had a folder of their own"""
_STRANGE = "delete it: the folder is a stranger's, or was changed by hand"
_PATIENCE = 5.0  # seconds
_BLANK = "0" * 32

_R = TypeVar("_R")
_T = TypeVar("_T", bound=type)
_KNOBS: dict[str, type] = {}


def knob(cls: _T) -> _T:
    """Hold a settings dataclass against its annotations, and shelve its name, which a saved world may mention."""
    must(dataclasses.is_dataclass(cls), f"knob {cls.__name__!r}", "a dataclass", cls, "put @dataclass below @knob")
    other = _KNOBS.get(cls.__name__)
    free = other is None or other.__module__ == cls.__module__
    must(free, f"knob {cls.__name__!r}", "of a name that is not taken", other, "choose another name")
    _KNOBS[cls.__name__] = annotated(cls)
    return cls


def knobs() -> dict[str, type]:
    """Settings classes by name."""
    return dict(_KNOBS)


OPTIONAL = "saving is optional: training and scores take the world as it is"
"""advice to whoever cannot save a world"""
_PLAIN = "numbers, texts, tuples, tensors and other settings"


def to_json(value: Any, tensors: dict[str, Tensor] | None = None, where: str = "settings") -> Any:
    """Settings as plain JSON values; a dataclass becomes {"class": its name, field: value, ...}.

    Args:
        value: the settings.
        tensors: where tensors among them are put; {"tensor": name} stands for each.
        where: what they are, for the message.

    Raises:
        ValueError: something that cannot be written down.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        advice = f"decorate it so; {OPTIONAL}"
        must(_KNOBS.get(name) is type(value), where, "of a dataclass that @synthetic.knob decorates", name, advice)
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        written = {f: to_json(getattr(value, f), tensors, f"{where}.{f}") for f in fields}
        return {"class": name, **written}  # no field can have a keyword's name
    if isinstance(value, tuple | list):
        return [to_json(v, tensors, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Tensor) and tensors is not None:
        name = f"{FIELD}{len(tensors)}"
        tensors[name] = value
        return {"tensor": name}
    plain = value is None or isinstance(value, bool | int | float | str)
    must(plain, where, _PLAIN, type(value).__name__, f"make it one of these; {OPTIONAL}")
    return value


FIELD = "field."
"""how names of tensors begin that are fields of a world"""


def from_json(value: Any, tensors: Mapping[str, Tensor] | None = None) -> Any:
    """Inverse of `to_json`; refuses what is no settings of ours, field by field."""
    if isinstance(value, dict):
        fields = dict(value)
        if fields.keys() == {"tensor"} and tensors is not None:
            return tensors[pick(str(fields["tensor"]), tensors, "tensor in a world's settings")]
        name = fields.pop("class", "?")
        must(isinstance(name, str), "class in a world's settings", "a text", shown(name), "save the world again")
        cls = _KNOBS[pick(name, _KNOBS, "class in a world's settings")]
        known = {f.name for f in dataclasses.fields(cls)}
        for name in fields:
            pick(name, known, f"field of {cls.__name__} in a world's settings")
        none = lacking(cls, set(fields))
        must(not none, f"{cls.__name__} in a world's settings", f"given with {none}", "none", "save the world again")
        return cls(**{name: from_json(v, tensors) for name, v in fields.items()})
    if isinstance(value, list):
        return tuple(from_json(v, tensors) for v in value)
    return value


# one file ------------------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write; it takes the place of `path` only if the block ends well.

    A full disk, an error or Ctrl-C inside the block leaves an earlier `path` as it was, and no litter; what a killed
    process left is cleared by the next call. A link at `path` is replaced, not followed. A new file has the mode
    that the user's umask gives, a replaced one keeps its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _workplace(path.parent) as place:
        temporary = place / path.name
        yield temporary
        _flushed(temporary, path, place)
        temporary.replace(path)


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder beside what is written, this process's own until the block ends; then it is removed, if still there."""
    clear_litter(folder)
    place, handle = _new_place(folder)
    try:
        yield place
    finally:
        try:
            shutil.rmtree(place, ignore_errors=True)
        finally:
            if handle is not None:
                os.close(handle)


def _new_place(folder: Path) -> tuple[Path, int | None]:
    """A new folder, and the handle that holds it where the file system knows locks."""
    for _ in range(3):
        place = folder / f"{_NEW}{secrets.token_hex(4)}"
        place.mkdir()
        handle = claimed(place)
        if handle is not None:
            return place, handle
        with suppress(OSError):  # cleared away by another process before it was held, or there are no locks here
            place.rmdir()
    place = folder / f"{_NEW}{secrets.token_hex(4)}"
    place.mkdir()
    return place, None


def clear_litter(folder: Path) -> None:
    """Remove what killed processes left half written in a folder, and nothing that a live one is writing."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for place in [Path(entry.path) for entry in entries if entry.name.startswith(_NEW)]:
            handle = claimed(place)
            if handle is not None:
                try:
                    shutil.rmtree(place, ignore_errors=True)
                finally:
                    os.close(handle)


def clear_older_litter(folder: Path) -> None:
    """Remove what processes of earlier versions left half written; for a writer that holds the folder's lock."""
    with suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            if _OLDER_LITTER.fullmatch(path.name) and path.is_file():
                path.unlink()


def _flushed(temporary: Path, path: Path, place: Path) -> None:
    """Bring a written file to the disk, with the mode it is to have at `path`."""
    with temporary.open("r+b") as written:  # Windows flushes no file that is open for reading alone
        os.fsync(written.fileno())
    replaced = path.is_file() and not path.is_symlink()
    temporary.chmod(stat.S_IMODE(path.stat().st_mode) if replaced else place.stat().st_mode & 0o666)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all; a full disk is an OSError."""
    with replacing(path) as temporary:
        put_tensors(temporary, tensors, metadata)


def put_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file straight to its path, for what is renamed afterwards; a full disk is an OSError."""
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path, metadata)
    except SafetensorError as error:
        raise OSError(f"{path.name} must fit on its disk; got {error}: make room and run it again.") from error


# files of one object -------------------------------------------------------------------------------------------------


@contextmanager
def together(folder: Path, doing: str, stale: Iterable[str] = ()) -> Iterator[Path]:
    """A place to write the files of one object; in `folder` they appear together, or none of them does.

    They are written aside, brought to the disk, and renamed at once to `.ready`: from there on the new object is the
    folder's. Then each file goes to its own place. Whoever comes upon `.ready` after a kill, to read (`settled`) or
    to write, finishes this first.

    Args:
        folder: where the object lives; made where it is missing.
        doing: what this process does, for whoever is kept out meanwhile.
        stale: patterns of the files, relative to `folder`, that an earlier object may have there and this one has not.

    Raises:
        ValueError: another process writes there, or something of a file's or a folder's name is in the way.
    """
    with ExitStack() as lock:
        _entered(lock, folder, doing)
        finish(folder)
        clear_older_litter(folder)
        with _workplace(folder) as place:
            yield place
            names = _names(place)
            earlier = {str(path.relative_to(folder)) for pattern in stale for path in folder.glob(pattern)}
            gone = sorted(earlier - set(names))
            _must_have_room(folder, [*names, *gone])
            for name in names:
                _flushed(place / name, folder / name, place)
            (place / _GONE).write_text(json.dumps(gone), encoding="utf-8")
            _flushed(place / _GONE, place / _GONE, place)
            for below in {place, *((place / name).parent for name in names)}:
                _sync(below)
            place.rename(folder / _READY)
            _sync(folder)
            _settle(folder)


@contextmanager
def placing(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it appears under its name, with all that is in it, only if the block ends well.

    Raises:
        FileExistsError: another folder has the name by then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _workplace(folder.parent) as place:
        yield place
        try:
            place.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            raise FileExistsError(folder) from None


def _entered(lock: ExitStack, folder: Path, doing: str) -> None:
    """Lock a folder; somebody who only puts files in place is waited for."""
    for _ in range(20):
        try:
            lock.enter_context(locked(folder, doing))
            return
        except ValueError:
            time.sleep(0.02)
    lock.enter_context(locked(folder, doing))


def finish(folder: Path) -> None:
    """Put in place what a stopped writer had written whole.

    Raises:
        ValueError: its writer is alive and still at it, or nothing may be written here.
    """
    if not (folder / _READY).is_dir():
        return
    try:
        with locked(folder, "putting files in place"):
            if (folder / _READY).is_dir():
                _settle(folder)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        advice = "let somebody who may write there read it once, or copy the folder and read the copy"
        must(False, f"folder {folder}", "put in order after a stopped save", error, advice)


def settled(folder: Path, read: Callable[[], _R]) -> _R:
    """What `read` makes of a folder's files, which are then those of one object.

    What a stopped writer left is put in order first. An error of `read` counts only when nobody was writing meanwhile:
    the files are read again, for a few seconds.
    """
    until, attempts = time.monotonic() + _PATIENCE, 0
    while time.monotonic() < until:
        before = _being_written(folder)
        try:
            if _in_parents_save(folder):
                finish(folder.parent)
            finish(folder)
            return read()
        except (ValueError, OSError):
            if attempts and not (before or _being_written(folder)):
                raise
        time.sleep(0.005 * min(attempts, 4))
        attempts += 1
    return read()


def _being_written(folder: Path) -> bool:
    return in_use(folder) or _in_parents_save(folder)


def _in_parents_save(folder: Path) -> bool:
    """Whether a save of the parent, whole but not in place, has files of this folder, as a stack's has its members'."""
    ready, gone = folder.parent / _READY, ""
    with suppress(OSError):
        gone = (ready / _GONE).read_text("utf-8", "replace")
    return (ready / folder.name).exists() or json.dumps(f"{folder.name}/")[:-1] in gone


def _settle(folder: Path) -> None:
    """Move the files of `.ready` to their places; stopped anywhere, it can be done again."""
    ready = folder / _READY
    names, gone = _names(ready), []
    if (ready / _GONE).exists():
        gone = parsed((ready / _GONE).read_text("utf-8"), str(ready / _GONE), _STRANGE)
        must(list_of(TEXT).holds(gone), str(ready / _GONE), "a list of names", shown(gone), _STRANGE)
    for path in (Path(name) for name in [*names, *gone]):
        inside = not path.is_absolute() and ".." not in path.parts
        must(inside and not ready.is_symlink(), str(ready), "of files inside its folder", path, _STRANGE)
    _must_have_room(folder, [*names, *gone])
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (ready / name).replace(folder / name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
        if (folder / name).parent != folder:
            with suppress(OSError):
                (folder / name).parent.rmdir()
    for below in {folder, *((folder / name).parent for name in names)}:
        _sync(below)
    (ready / _GONE).unlink(missing_ok=True)
    shutil.rmtree(ready)


def _must_have_room(folder: Path, names: Iterable[str]) -> None:
    """Refuse names of files, relative to a folder, that something else has there, or one of the folders above them."""
    advice = "move it away, or choose another folder"
    for path in (Path(name) for name in names):
        for above in reversed(path.parents[:-1]):
            parent, linked = folder / above, (folder / above).is_symlink()
            free = not linked and (parent.is_dir() or not parent.exists())
            must(free, str(parent), "a folder", "a link" if linked else "a file", advice)
        taken = (folder / path).is_dir() and not (folder / path).is_symlink()
        must(not taken, str(folder / path), "a file", "a folder", advice)


def _names(place: Path) -> list[str]:
    """Files below a folder, relative to it, in order."""
    found = [str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()]
    return sorted(name for name in found if name != _GONE)


def _sync(folder: Path) -> None:
    """Bring a folder's names to the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# checksums -----------------------------------------------------------------------------------------------------------


def tensor_sum(name: str, value: Tensor) -> str:
    """Checksum of a tensor with its name, type and shape."""
    digest = hashlib.blake2b(f"{name} {value.dtype} {tuple(value.shape)} ".encode(), digest_size=16)
    digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tensor_sums(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Metadata of a safetensors file that lets `must_be_sound` find any change of its tensors."""
    return {"checksums": json.dumps({name: tensor_sum(name, value) for name, value in tensors.items()})}


def must_be_sound(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path, advice: str) -> None:
    """Refuse tensors that are not those their file was written with."""
    sums = parsed(metadata.get("checksums", "{}"), str(path), advice)
    good = sums == {name: tensor_sum(name, value) for name, value in tensors.items()}
    must(good, str(path), "as it was written", "another checksum", advice)


def file_sum(path: Path) -> str:
    """Checksum of a file's bytes; of a JSON file's as they were written, whatever its lines end with by now."""
    with path.open("rb") as file:
        return _digest(file)


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    if str(file.name).endswith(".json"):
        return hashlib.blake2b(with_newlines(file.read()), digest_size=16).hexdigest()
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def with_newlines(content: bytes) -> bytes:
    """A text of ours after git, say, has ended its lines as Windows does: as it was written."""
    return content.replace(b"\r\n", b"\n")


@contextmanager
def unchanged(folder: Path, names: Iterable[str]) -> Iterator[Callable[[str], str]]:
    """A function from a file's name to its checksum; what the block reads of these files, by path, is what has it.

    Raises:
        ValueError: another file took the place of one within the block.
    """
    with ExitStack() as opened:
        files = {name: opened.enter_context((folder / name).open("rb")) for name in names}
        yield lambda name: _digest(files[name])
        for name, file in files.items():
            same = os.path.samestat(os.fstat(file.fileno()), os.stat(folder / name))
            must(same, str(folder / name), "left alone while it is read", "another file", "read it again")


def sealed(content: dict[str, Any]) -> str:
    """A JSON text that ends with its own checksum; `read_sealed` finds any change of it."""
    head, blank, tail = (json.dumps(content | {"checksum": _BLANK}, indent=1) + "\n").rpartition(_BLANK)
    return head + hashlib.blake2b((head + blank + tail).encode(), digest_size=16).hexdigest() + tail


def read_sealed(path: Path, owner: str, fields: Mapping[str, Kind], advice: str) -> dict[str, Any]:
    """The JSON object in a file that `sealed` wrote; one of a format before 2 has no checksum, and passes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it was changed, or is not of these fields.
    """
    content = read_json(path, owner, fields, advice)
    if content.get("format", 1) != 1 or {"checksum", "files", "ties"} & content.keys():
        told = str(content.get("checksum"))
        head, _, tail = with_newlines(path.read_bytes()).decode("utf-8", "replace").rpartition(told)
        good = hashlib.blake2b((head + _BLANK + tail).encode(), digest_size=16).hexdigest() == told
        must(good, str(path), "as it was written", "another checksum", advice)
    return content


def read(path: Path, reader: Callable[[Path], Any], owner: str) -> Any:
    """Read one file of a saved folder, or say which file is missing or damaged."""
    try:
        return reader(path)
    except FileNotFoundError:
        message = f"{owner} must hold {path.name}; got no such file in {path.parent}: save it again or copy it whole."
        raise FileNotFoundError(message) from None
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{owner} must hold a readable {path.name}; got {error}: save it again.") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    if not path.exists():
        raise FileNotFoundError(path)
    with safe_open(path, "pt") as stored:
        # copied: sums over unaligned, mapped memory differ in the last bit
        tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118
        return tensors, stored.metadata() or {}
