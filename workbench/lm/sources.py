"""What a command's --world names: a world of ours, or activations of a language model on disk."""

from pathlib import Path

from synthetic.base.errors import must
from synthetic.folder import find_world
from workbench.lm.activations import Activations
from workbench.lm.hooks import is_point
from workbench.lm.store import open_store
from workbench.training.sources import Source


def find_source(name: str) -> Source:
    """A world by preset or folder; or the rows of an activation store's folder, `folder:resid_pre.6` of one hook point.

    Hook points also go by TransformerLens' names, `folder:blocks.6.hook_resid_pre`.

    Raises:
        ValueError: none of these, or a store of several hook points without one named.
    """
    folder, hook = store_and_hook(name)
    if not hook and not _is_store(folder):
        return find_world(name)
    store = open_store(folder)
    named = bool(hook) or len(store.widths) == 1
    must(named, "--world", "a store and hook point, FOLDER:HOOK", name, f"its hook points are {list(store.widths)}")
    return Activations(store, hook or next(iter(store.widths)))


def store_and_hook(name: str) -> tuple[str, str]:
    r"""FOLDER and HOOK of FOLDER:HOOK; HOOK is empty where the whole name is a folder's, or names no hook point.

    Colons may also stand in the folder, as in `C:\acts` or `run-12:30`: the last one counts.
    """
    folder, _, hook = name.rpartition(":")
    if not folder or Path(name).is_dir():
        return name, ""
    return (folder, hook) if _is_store(folder) or is_point(hook) else (name, "")


def _is_store(folder: str) -> bool:
    return (Path(folder) / "store.json").exists()
