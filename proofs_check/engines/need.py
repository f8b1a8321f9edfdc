"""Solvers are an extra: ask for one by name, or say how to get it."""

import importlib
from typing import Any


class Missing(ValueError):  # noqa: N818
    """A solver is not installed."""


def need(module: str, package: str) -> Any:
    """Import a solver's module.

    Raises:
        Missing: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        message = f"{package} must be installed for this proof; got no module {module!r}"
        raise Missing(f"{message}: pip install 'sae-workbench[proofs]'.") from None
