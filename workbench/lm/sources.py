"""What a command's --world names: a world of ours, or activations of a language model on disk."""

from pathlib import Path

from synthetic.errors import must
from synthetic.presets import find_world
from workbench.lm.activations import Activations
from workbench.lm.store import open_store
from workbench.training.sources import Source


def find_source(name: str) -> Source:
    """A world by preset or folder; or the rows of an activation store's folder, `folder:resid_pre.6` of one hook point.

    Raises:
        ValueError: none of these, or a store of several hook points without one named.
    """
    folder, _, hook = name.partition(":")
    if not (Path(folder) / "store.json").exists():
        return find_world(name)
    store = open_store(folder)
    named = bool(hook) or len(store.widths) == 1
    must(named, "--world", "a store and hook point, FOLDER:HOOK", name, f"its hook points are {list(store.widths)}")
    return Activations(store, hook or next(iter(store.widths)))
