"""What a user brings in a file of their own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from synthetic.errors import BROUGHT, blamed, in_our_words, must
from workbench.sae import variant_shelf


def run_file(path: str | Path, what: str) -> ModuleType:
    """Run a stranger's Python file as a module; `what` names it in errors, now and where its code fails later.

    Raises:
        ValueError: no such file, it does not run, or it ends the program.
    """
    path = Path(path).absolute()
    must(path.is_file(), what, "a Python file", path, "check the path")
    name = f"workbench_{what.replace(' ', '_')}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{what} must be a Python file; got {path}: give it the ending .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    BROUGHT[str(path)] = what
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's file raises, an exit of the program among it
        sys.modules.pop(name, None)
        if isinstance(error, ValueError) and in_our_words(error):
            raise
        said = blamed(error) or f"{what} must run; got {type(error).__name__} in {path}: {error}: mend it there."
        raise ValueError(said) from error
    return module


def load_plugin(path: str | Path) -> list[str]:
    """Run a Python file and return the names of the variants it registered.

    Raises:
        ValueError: no such file, or it registers nothing.
    """
    before = variant_shelf()
    run_file(path, "plugin")
    found = [v for v, cls in variant_shelf().items() if before.get(v) is not cls]
    must(found, "plugin", "a file that registers a variant", path, 'decorate a class with @workbench.register("name")')
    return found
