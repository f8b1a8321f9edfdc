"""Public names that load on first use (PEP 562), from a package's `__init__.pyi`, which editors read too."""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """A package's `__getattr__`, `__dir__` and `__all__`: the names that the stub beside `file` imports from others."""
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        home = importlib.import_module(homes[name])
        return getattr(home, name) if hasattr(home, name) else importlib.import_module(f"{homes[name]}.{name}")

    return load, lambda: sorted(homes), sorted(homes)
