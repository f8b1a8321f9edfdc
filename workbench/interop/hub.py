"""Folders of the Hugging Face hub by name, `hub:owner/repository[/folder][@revision]`.

No more of a repository is fetched than is read.
"""

import importlib
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthetic.base.errors import must

PREFIX = "hub:"
_NAME = re.compile(r"([\w.-]+/[\w.-]+)((?:/[^/@]+)*)/?(?:@(.+))?")


def is_repository(name: str) -> bool:
    """Whether a name could be a repository's, `owner/repository`."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def fetched(name: str, needed: Callable[[Collection[str]], Collection[str]]) -> Path:
    """The local folder, or file, of what a name stands for, downloaded once.

    Args:
        name: with or without "hub:".
        needed: which of a folder's files, by their paths in it, are read.

    Raises:
        ValueError: no such name, folder or file, or `huggingface_hub` is not installed.
        OSError: the hub cannot be reached, and keeps no such repository on this machine.
    """
    found = _NAME.fullmatch(name.removeprefix(PREFIX))
    must(found, "load.folder", "hub:owner/repository[/folder][@revision]", repr(name), "write it so")
    repository, inside, revision = found.groups() if found else ("", "", None)
    inside = inside.strip("/")
    hub = _client()
    with _quiet():
        return _fetched(hub, repository, revision, inside, needed)


def _fetched(
    hub: Any, repository: str, revision: str | None, inside: str, needed: Callable[[Collection[str]], Collection[str]]
) -> Path:
    try:
        hub.model_info(repository, revision=revision, timeout=10)  # asks once; listing asks for half a minute
        files = hub.list_repo_files(repository, revision=revision)
    except Exception as error:  # the client's errors are those of whatever it uses to reach the hub
        return _cached(hub, repository, revision, inside, error)
    held, start = _below(files, inside), f"{inside}/" if inside else ""
    one = [inside] if inside in files else []
    must(one or held, f"hub:{repository}", "a repository with the folder or file named", repr(inside), _folders(files))
    wanted = [*(start + file for file in needed(held)), *one]
    if one:  # what is read beside a file of weights: its configuration
        above = Path(inside).parent.as_posix().removeprefix(".")
        beside = needed(_below(files, above))
        wanted += [f"{above}/{file}".lstrip("/") for file in beside if Path(file).suffix == ".json"]
    if not wanted:
        where = f"an SAE at {inside or 'its top'}"
        raise ValueError(f"hub:{repository} must hold {where}; got none: {_folders(held)}.")
    try:
        return Path(hub.snapshot_download(repository, revision=revision, allow_patterns=wanted)) / inside
    except Exception as error:
        raise _unreachable(repository, error) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's own lines; what matters of them is in our errors."""
    utils = importlib.import_module("huggingface_hub.utils")
    level, shown = utils.logging.get_verbosity(), not utils.are_progress_bars_disabled()
    utils.logging.set_verbosity_error()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.logging.set_verbosity(level)
        if shown:
            utils.enable_progress_bars()


def _below(files: Collection[str], folder: str) -> list[str]:
    """Files in a folder of a repository, by their paths in it."""
    start = f"{folder}/" if folder else ""
    return [file.removeprefix(start) for file in files if file.startswith(start)]


def _client() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        advice = "pip install huggingface_hub, or download the folder and name it"
        must(False, "load.folder", "a folder where huggingface_hub is not installed", "a hub: name", advice)


def _cached(hub: Any, repository: str, revision: str | None, inside: str, error: Exception) -> Path:
    """What an earlier download left on this machine."""
    try:
        local = Path(hub.snapshot_download(repository, revision=revision, local_files_only=True)) / inside
    except Exception:
        raise _unreachable(repository, error) from None
    if not local.exists():
        raise _unreachable(repository, error)
    return local


def _unreachable(repository: str, error: Exception) -> OSError:
    said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    advice = "check the name and the network, or download the folder and name it"
    return OSError(f"hub:{repository} must be reachable; got {type(error).__name__}, {said}: {advice}.")


def _folders(files: Collection[str]) -> str:
    """Advice that names what is there."""
    parents = sorted({Path(file).parent.as_posix() for file in files if Path(file).suffix not in ("", ".md")} - {"."})
    more = f" and {len(parents) - 8} more" if len(parents) > 8 else ""
    return f"name one of its folders, {parents[:8]}{more}" if parents else "it holds no folders; choose another"
