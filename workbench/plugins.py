"""What a user brings in a file of their own."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from synthetic.base.errors import PLUGINS, blamed, in_our_words, must
from synthetic.base.storage import knobs
from synthetic.lookup import is_source_class
from synthetic.worlds import worlds
from workbench.metrics import METRICS
from workbench.parts.objectives import OBJECTIVES
from workbench.variants import variant_shelf

_DECORATORS = (
    '@workbench.variant("name"), @workbench.objective("name"), @workbench.metric(name=1.0) or @workbench.world'
)


def shelves() -> dict[str, dict[str, Any]]:
    """What is there by name: variants, objectives, metrics (a family by the name of its function), worlds."""
    metrics = {kind.measure.__name__: kind for kind in METRICS}
    classes = {name: cls for name, cls in knobs().items() if is_source_class(cls)}
    own = {"variants": dict(variant_shelf()), "objectives": dict(OBJECTIVES)}
    return own | {"metrics": metrics, "worlds": classes | dict(worlds())}


def load_plugin(path: str | Path) -> dict[str, list[str]]:
    """Run a Python file and return the names of what it registered, by shelf; where it fails later, it is named.

    Raises:
        ValueError: no such file, it does not run, it ends the program, or it registers nothing.
    """
    path, before = Path(path).absolute(), shelves()
    must(path.is_file(), "plugin", "a Python file", path, "check the path")
    name = f"workbench_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"plugin must be a Python file; got {path}: give it the ending .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    PLUGINS.add(str(path))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's file raises, an exit of the program among it
        sys.modules.pop(name, None)
        if isinstance(error, ValueError) and in_our_words(error):
            raise
        said = blamed(error) or f"plugin must run; got {type(error).__name__} in {path}: {error}: mend it there."
        raise ValueError(said) from error
    found = {
        kind: [name for name, thing in shelf.items() if before[kind].get(name) is not thing]
        for kind, shelf in shelves().items()
    }
    rule = "a file that brings a variant, an objective, a metric or a world"
    must(any(found.values()), "plugin", rule, path, f"decorate what it brings with {_DECORATORS}")
    return found
