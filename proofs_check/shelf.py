"""Where claims are found: the shelf of `proofs_check.claims`, and a stranger's file."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from proofs_check.claim import Claim
from synthetic.errors import must
from workbench.plugins import run_file


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


def claims_of_file(path: str | Path) -> list[Claim]:
    """The claims that a Python file makes at its top level.

    Raises:
        ValueError: no such file, it does not run, or it makes no claim.
    """
    found = of_module(run_file(path, "claim file"))
    must(found, "claim file", "one that makes a Claim", path, "assign one to a name, such as CLAIM = Claim(...)")
    return found
