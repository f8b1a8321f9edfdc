"""The forms of SAE folders that are read, ours and other libraries', told apart by the files that a folder holds."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from synthetic.base.errors import must
from workbench.interop import dictionary_learning, gemma_scope, goodfire, hook_z, llama_scope, openai, saelens, sparsify
from workbench.interop.assembly import content_of
from workbench.interop.hub import PREFIX, fetched, is_repository
from workbench.sae import SAE
from workbench.training.row_norms import fold_row_norms

_WEIGHTS = (".pt", ".pth", ".npz", ".safetensors")
_SHOWN = 12
"""names that an error lists"""


@dataclass(frozen=True)
class Place:
    """A folder, or one file in it that was named."""

    path: Path

    @cached_property
    def folder(self) -> Path:
        """Where files are read from."""
        if self.path.is_dir():
            return self.path
        return self.path.parent.parent if self.path.parent.name == "checkpoints" else self.path.parent

    @property
    def is_whole(self) -> bool:
        """Whether it is a folder or a file of weights."""
        return self.path.is_dir() or self.path.suffix in _WEIGHTS

    @cached_property
    def names(self) -> frozenset[str]:
        """Files that say what form it is: all of a folder, or the one that was named if it holds weights."""
        if self.path.is_file() and self.is_whole:
            return frozenset({self.path.relative_to(self.folder).as_posix()})
        found = {path.name for path in self.folder.iterdir()}
        return frozenset(found | {f"checkpoints/{path.name}" for path in self.folder.glob("checkpoints/*")})

    @cached_property
    def torch_file(self) -> Path | None:
        """The torch file that was named, or the folder's only one."""
        found = sorted(name for name in self.names if Path(name).suffix in (".pt", ".pth"))
        return self.folder / found[0] if len(found) == 1 else None

    @cached_property
    def content(self) -> dict[str, Any]:
        """What that torch file holds."""
        return content_of(self.torch_file) if self.torch_file is not None else {}


@dataclass(frozen=True)
class Form:
    """A library's layout: its name, the files that are read, those of them that mark it, and what reads it."""

    name: str
    files: tuple[str, ...]
    marks: frozenset[str]
    load: Callable[[Path], SAE]
    keys: frozenset[str] = frozenset()
    """tensors that mark a torch file of any name; `load` then takes the file"""

    def fits(self, place: Place) -> bool:
        """Whether a place holds this form, by its files; one that was named has to be among them."""
        marked = bool(self.marks & place.names) or (bool(self.keys) and self.keys <= place.content.keys())
        return marked and self.owns(place)

    def owns(self, place: Place) -> bool:
        """Whether a place is a folder, a file of weights, or a file that this form reads."""
        return place.is_whole or any(fnmatchcase(place.path.name, file) for file in self.files)

    def read(self, place: Place) -> SAE:
        """The SAE."""
        return self.load(place.torch_file if self.keys and place.torch_file is not None else place.folder)


def _form(name: str, files: tuple[str, ...], load: Callable[[Path], SAE], *marks: str) -> Form:
    return Form(name, files, frozenset(marks or files[:1]), load)


_SAELENS = ("cfg.json", "sae_weights.safetensors", "activation_scaler.json", "activation_whitening.safetensors")
_SAELENS += ("workbench.json", "workbench.safetensors", "stack.json")
_OWN = ("workbench.json", "stack.json", ".ready")
"""a save of ours, or one that was stopped and that reading finishes, whatever files of others lie beside it"""
_OURS = _form("SAELens and this library", _SAELENS, saelens.load, "cfg.json", "sae_weights.safetensors", *_OWN)
FORMS = (
    _form("dictionary_learning", ("ae.pt", "config.json"), dictionary_learning.load),
    _form("sparsify", ("sae.safetensors", "cfg.json"), sparsify.load),
    _form("Gemma Scope", ("params.npz", "params.safetensors"), gemma_scope.load, *gemma_scope.WEIGHTS),
    _form(
        "Llama Scope",
        ("hyperparams.json", "checkpoints/final.safetensors"),
        llama_scope.load,
        *("hyperparams.json", "checkpoints/final.safetensors"),
    ),
    _OURS,
    Form("OpenAI's TopK", ("*.pt",), frozenset(), openai.load, openai.KEYS),
    Form("Goodfire", ("*.pt", "*.pth"), frozenset(), goodfire.load, goodfire.KEYS),
    Form("hook_z", ("*.pt", "*_cfg.json"), frozenset(), hook_z.load, hook_z.KEYS),
)
"""in the order they are tried; a torch file of any name is opened last"""


def load(name: str | Path) -> SAE:
    """An SAE from a folder or file that `SAE.save` or another library wrote, told apart by the files that it holds.

    Forms: SAELens (its temporal SAEs and transcoders excepted), dictionary_learning, sparsify, Gemma Scope, Llama
    Scope, OpenAI's, Goodfire's, and files of hook_z; see `workbench.interop`. No code of a folder's runs.

    Rows of W_dec are brought to norm 1 wherever that leaves every reconstruction as it is, and a latent is then its
    contribution along a unit row: another library's latent times the norm of its row, as after SAELens's
    `fold_W_dec_norm`. Where it is not so (latents compared with one another, unequal norms), the SAE keeps rows and
    latents as they are, and training leaves the norms alone. Where `metadata["normalize_activations"]` is
    "layer_norm", the SAE takes and returns rows that are standardised already (`Activations(standardise=True)`).

    Args:
        name: a folder, a file of weights in one, or `hub:owner/repository[/folder][@revision]`.

    Raises:
        ValueError: no such folder, no form that is known, or a file that is not what its form says.
        FileNotFoundError: a file that the form needs is missing.
        OSError: the hub cannot be reached.
    """
    must(str(name), "load.folder", "the name of a folder", "an empty one", "write . for the current one")
    path = fetched(str(name), read_of) if str(name).startswith(PREFIX) else Path(name)
    if not path.exists():
        hub = f", or write hub:{name} for the repository of the Hugging Face hub" if is_repository(str(name)) else ""
        must(False, "load.folder", "an existing folder", path, f"check the path{hub}")
    place = Place(path)
    form = form_of(place)
    if form is None:
        got = f"{path}, {'which' if place.is_whole else 'in a folder that'} holds {_held(place)}"
        must(False, "load.folder", "an SAE in a form that is read", got, _advice(place))
        raise AssertionError
    sae = form.read(place).eval()
    fold_row_norms(sae)
    return sae


def form_of(place: Place) -> Form | None:
    """The form that a place's files mark it as."""
    if place.names.intersection(_OWN) and _OURS.owns(place):
        return _OURS
    return next((form for form in FORMS if form.fits(place)), None)


def save(sae: SAE, folder: Path) -> Path:
    """Write a SAELens folder; a stack becomes one such folder a member, and a `stack.json` that names them.

    The files take the place of an earlier SAE's together (`together`), which any stop leaves whole.

    Raises:
        ValueError: another library's SAE is there, or another process writes there.
    """
    must_take_ours(folder)
    return saelens.write(sae, folder)


def must_take_ours(folder: Path) -> None:
    """Refuse to save into a folder with another library's SAE, whose weights would lie beside ours."""
    for path in [folder, *sorted(folder.glob("member-*"))]:
        other = _other(Place(path)) if path.is_dir() else None
        got = f"{path}, with one in the form of {other.name}" if other else ""
        must(other is None, "save.folder", "without another library's SAE", got, "choose another folder")


def _other(place: Place) -> Form | None:
    """The form of another library whose weights a folder holds."""
    for form in FORMS:
        if form is not _OURS and any(Path(name).suffix in _WEIGHTS for name in form.marks & place.names):
            return form
    with suppress(ValueError, OSError):  # of a torch file that is no SAE
        form = form_of(place)
        return form if form is not None and form.keys else None
    return None


def holds_sae(path: Path) -> bool:
    """Whether a path is an SAE of some form; a torch file of any name counts, unopened."""
    if not path.exists():
        return False
    place = Place(path)
    opened = place.torch_file is not None
    return any(form.owns(place) and (form.marks & place.names or (form.keys and opened)) for form in FORMS)


def read_of(files: Collection[str]) -> list[str]:
    """Those of a folder's files, by their paths in it, that some form reads; none where no file marks a form."""
    torch_files = [file for file in files if "/" not in file and Path(file).suffix in (".pt", ".pth")]
    if not torch_files and not any(form.marks.intersection(files) for form in FORMS):
        return []
    known = {file for form in FORMS for file in form.files}
    return sorted(
        file
        for file in files
        if file in known
        or file in torch_files
        or ("/" not in file and file.endswith("_cfg.json"))
        or (file.startswith("member-") and Path(file).name in _SAELENS)
    )


def _held(place: Place) -> str:
    names = sorted(place.names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    of = f" of {sorted(map(str, place.content))[:_SHOWN]}" if place.content else ""
    return f"{names[:_SHOWN]}{of}{more}" if names else "nothing"


def _advice(place: Place) -> str:
    below = (
        [] if place.path.is_file() else sorted(p.name for p in place.folder.iterdir() if p.is_dir() and holds_sae(p))
    )
    if below:
        more = f" and {len(below) - _SHOWN} more" if len(below) > _SHOWN else ""
        return f"name one of its folders, {below[:_SHOWN]}{more}"
    files = sorted(name for name in place.names if Path(name).suffix in (".pt", ".pth"))
    if len(files) > 1:
        return f"name one of its files, {files[:_SHOWN]}"
    return "forms are " + "; ".join(f"{form.name} ({', '.join(form.files)})" for form in FORMS)
