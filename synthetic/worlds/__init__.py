"""Named worlds, one file a topic; a new file here is on the shelf without further edits.

`synthetic.worlds()` is that shelf: the package answers to a call, since it bears the name.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from synthetic.base.shelf import Shelf
from synthetic.source import WORLDS

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def worlds() -> Shelf[Callable[..., Any]]:
    """Every world by name: those of this folder, and what plug-ins put there with `@world`."""
    return WORLDS


class _Callable(ModuleType):
    def __call__(self) -> Shelf[Callable[..., Any]]:
        return worlds()


sys.modules[__name__].__class__ = _Callable
