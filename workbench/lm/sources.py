"""Activation stores by name, for `find_source`."""

from pathlib import Path

from synthetic.base.errors import must
from synthetic.lookup import opener
from workbench.lm.activations import Activations
from workbench.lm.hooks import is_point
from workbench.lm.store import open_store


@opener
def rows_of_store(name: str) -> Activations | None:
    """The rows of an activation store's folder; `folder:resid_pre.6` says which, where it has several hook points.

    Hook points also go by TransformerLens' names, `folder:blocks.6.hook_resid_pre`.

    Raises:
        ValueError: a store of several hook points without one named.
    """
    folder, hook = store_and_hook(name)
    if not hook and not _is_store(folder):
        return None
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
