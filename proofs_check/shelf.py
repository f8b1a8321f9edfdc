"""Where claims are found: the shelf of `proofs_check.claims`, and a stranger's file."""

import ast
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from proofs_check.claim import Claim
from proofs_check.claim_file import line_of, statements_of
from synthetic.base.errors import must


def claims() -> dict[str, Claim]:
    """The shelf: every claim in the files of `proofs_check.claims`, by id in natural order."""
    package = importlib.import_module("proofs_check.claims")
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if not m.ispkg]
    found: dict[str, Claim] = {}
    for name in names:
        for claim in of_module(importlib.import_module(name)):
            must(claim.id not in found, f"claim {claim.id}", "the only one of its id", "two", "rename one")
            found[claim.id] = claim
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def of_module(module: ModuleType) -> list[Claim]:
    """The claims a module holds, in the order they stand."""
    return list({id(v): v for v in vars(module).values() if isinstance(v, Claim)}.values())


def area_of(claim: Claim) -> str:
    """The folder a claim of the shelf stands in; of a stranger's file, its name."""
    module = claim.conclusion.__module__
    words = module.split(".")
    return words[2] if words[:2] == ["proofs_check", "claims"] else words[-1]


def title_of(claim: Claim) -> str:
    """The name of a claim's file, in words."""
    return claim.conclusion.__module__.split(".")[-1].removeprefix("workbench_claim_file_").replace("_", " ")


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() else (0, word) for word in text.split("-")]


def claims_of_file(path: str | Path) -> tuple[list[Claim], list[str]]:
    """The claims that a Python file makes at its top level, and what went wrong in it, line by line.

    A statement of the file that raises costs the claims that need it, not the others.

    Raises:
        ValueError: no such file, it cannot be read, or it makes no claim.
    """
    statements, path = statements_of(path), Path(os.path.realpath(path))
    module = ModuleType(f"workbench_claim_file_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    wrong = [problem for statement in statements if (problem := _run(statement, module, path))]
    found = of_module(module)
    if not found and wrong:
        raise ValueError(wrong[0])
    must(found, "claim file", "one that makes a Claim", path, "assign one to a name, such as CLAIM = Claim(...)")
    return found, wrong


def _run(statement: ast.stmt, module: ModuleType, path: Path) -> str:
    """Run one statement of a claim file; what it raised, as text."""
    try:
        flags = getattr(vars(module).get("annotations"), "compiler_flag", 0)  # of a __future__ import above
        code = compile(ast.Module([statement], []), str(path), "exec", flags, dont_inherit=True)
        exec(code, vars(module))
    except ValueError as error:
        return f"{path.name}, line {statement.lineno}: {line_of(error)}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's file raises
        at = f"line {statement.lineno} of {path}"
        return f"claim file must run; got {type(error).__name__} in {at}: {line_of(error)}."
    return ""
