"""SAE variants, one a file; a new file here is on the shelf without further edits."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
