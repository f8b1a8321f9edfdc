"""What a user brings in a file of their own."""

import importlib.util
import sys
from pathlib import Path

from synthetic.base.errors import PLUGINS, blamed, in_our_words, must
from workbench.variants import variant_shelf


def load_plugin(path: str | Path) -> list[str]:
    """Run a Python file and return the names of the variants it registered; where it fails later, it is named.

    Raises:
        ValueError: no such file, it does not run, it ends the program, or it registers nothing.
    """
    path, before = Path(path).absolute(), variant_shelf()
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
    found = [v for v, cls in variant_shelf().items() if before.get(v) is not cls]
    must(found, "plugin", "a file that registers a variant", path, 'decorate a class with @workbench.register("name")')
    return found
