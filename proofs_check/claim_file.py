"""A claim file as Python reads it, before anything is loaded to run it."""

import ast
import os
from pathlib import Path

from synthetic.base.errors import must


def statements_of(path: str | Path) -> list[ast.stmt]:
    """The statements of a claim file.

    Raises:
        ValueError: no such file, or it is not Python.
    """
    path = Path(os.path.realpath(path))
    must(path.is_file(), "claim file", "a Python file", path, "check the path")
    try:
        return ast.parse(path.read_bytes(), str(path)).body
    except Exception as error:  # no Python, in one of many ways
        raise ValueError(f"claim file must run; got {type(error).__name__} in {path}: {line_of(error)}.") from error


def line_of(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())
