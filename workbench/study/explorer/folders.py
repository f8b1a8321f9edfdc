"""What `workbench explore` points at: a saved SAE, or a run of them, with the world and the decoders on the way."""

from pathlib import Path
from typing import Any

from synthetic.base.errors import must
from synthetic.folder import load_world
from workbench.interop import load
from workbench.interop.forms import holds_sae
from workbench.interop.hub import PREFIX
from workbench.public import find_source
from workbench.study.explorer.page import Explorer, explorer
from workbench.study.run import world_of_run
from workbench.training.config import read_settings
from workbench.training.snapshots import load_trace


def explore(target: Path, world: str | None, n: int, seed: int, true_dictionary: bool = True) -> Explorer:
    """The page of one saved SAE or stack, or of those that a run trained at its base place.

    Args:
        target: folder of an SAE, or of a run.
        world: name or folder; where None that of the run, or the one that `workbench train` trained the SAE on.
        n: samples.
        seed: of the stream "evaluate".
        true_dictionary: as in `explorer`.
    """
    folders = _folders(target)
    source, title = _world(next(iter(folders.values())), world)
    saes = {name: load(folder) for name, folder in folders.items()}
    files = {name: folder.parent.parent / "traces" / f"{folder.name}.safetensors" for name, folder in folders.items()}
    traces = {name: load_trace(file) for name, file in files.items() if file.exists()}
    return explorer(saes, source, n, seed, title=title, true_dictionary=true_dictionary, traces=traces)


def _folders(target: Path) -> dict[str, Path]:
    """SAEs by name: the folder itself, or those of a run's base place."""
    if str(target).startswith(PREFIX) or holds_sae(target):
        return {target.name: target}
    found = {folder.name.removeprefix("base-"): folder for folder in sorted((target / "saes").glob("base-*"))}
    must(found, "explore.sae", "the folder of an SAE or of a run that trained some", target, "check the path")
    return found


def _world(folder: Path, named: str | None) -> tuple[Any, str]:
    """A world, and what to call it."""
    if named is not None:
        return find_source(named), named
    place = world_of_run(folder)
    if place is not None:
        return load_world(place), f"{place.name} of {place.parent.parent.name}"
    about = folder / "train.json"
    trained_on = str(read_settings(about).get("world", "")) if about.exists() else ""
    must(trained_on, "--world", "given for an SAE of unknown training", "none", "name a world, or a saved one's folder")
    return find_source(trained_on), trained_on
