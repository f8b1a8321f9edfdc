"""Claims on trained stacks: measured on request, member by member, and kept in a record beside this file.

`python -m proofs_check --trained` measures what the record lacks, and goes on where it stopped; the ledger reads it.
"""

import ast
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from proofs_check.claim import Claim, Conclusion, Relation, Verdict, Void, parts
from proofs_check.instances import stack
from proofs_check.ledger import Entry, judge, opened
from proofs_check.trainings import note, noted
from synthetic.base.storage import write_text

RECORD = Path(__file__).with_name("measured")
"""a file a claim"""
PROSE = ("statement", "tex", "source", "note", "promised", "refutes", "stated", "shown_by")
"""what a claim says, beside what is trained and judged for it"""
_SIDES = ("measured", "bound", "unit")


class _Code(ast.NodeTransformer):
    """A module without its prose."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Claim":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in PROSE]
        return self.generic_visit(node)


def fingerprint(claim: Claim) -> str:
    """Of the code that says what is trained and judged: the claim's, what its area's claims share, and the stacks'."""
    own = Path(inspect.getfile(claim.conclusion))
    files = [file for file in (own, own.with_name("runs.py"), Path(stack.__file__)) if file.is_file()]
    code = [ast.dump(_Code().visit(ast.parse(file.read_text("utf-8")))) for file in files]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def _kept(claim: Claim) -> dict[str, Any]:
    """What was measured of a claim as it stands."""
    file = RECORD / f"{claim.id}.json"
    found = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    mark = fingerprint(claim)
    return found if found.get("fingerprint") == mark else {"fingerprint": mark, "members": {}}


def _keep(claim: Claim, kept: Mapping[str, Any]) -> None:
    RECORD.mkdir(exist_ok=True)
    write_text(RECORD / f"{claim.id}.json", json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def measure(claim: Claim, *, examples: int, seed: int) -> Entry:
    """Judge the members that the record lacks, then controls and mutants; each member is kept once it is judged."""
    kept = _kept(claim)
    if "entry" in kept:
        return recalled(claim)
    start = time.perf_counter()
    with remembering(claim, kept) as conclusion:
        entry = judge(claim, examples=examples, seed=seed, conclusion=conclusion)
    entry.seconds = time.perf_counter() - start + kept.get("seconds", 0.0)
    if entry.held:
        kept |= {"seconds": entry.seconds, "torch": torch.__version__, "entry": asdict(entry)}
        _keep(claim, kept)
    return entry


@contextmanager
def remembering(claim: Claim, kept: dict[str, Any]) -> Iterator[Callable[[Any], Conclusion]]:
    """The conclusion, which looks up members that were judged, and keeps the others."""

    def conclusion(member: Any) -> Conclusion:
        if str(member) not in kept["members"]:
            start = time.perf_counter()
            with noted() as made:
                found = parts(claim.conclusion(member))
            seconds = time.perf_counter() - start
            sides = {name: _plain(part) for name, part in found.items()}
            kept["members"][str(member)] = {"parts": sides, "trainings": made, "seconds": seconds}
            kept["seconds"] = kept.get("seconds", 0.0) + seconds
            _keep(claim, kept)
            return found
        known = kept["members"][str(member)]
        note(known["trainings"])
        return {name: _part(sides) for name, sides in known["parts"].items()}

    yield conclusion


def _plain(part: Relation | Void) -> dict[str, Any]:
    if isinstance(part, Void):
        return {"void": part.reason}
    sides = {name: getattr(part, name).tolist() for name in _SIDES}
    return sides | {"equality": part.equality, "least": part.least, "sees": part.sees}


def _part(plain: Mapping[str, Any]) -> Relation | Void:
    if "void" in plain:
        return Void(plain["void"])
    sides = {name: torch.tensor(plain[name], dtype=torch.float64) for name in _SIDES}
    return Relation(**{**plain, **sides})


def recalled(claim: Claim) -> Entry:
    """A claim's row as the record has it; left open where it was not measured as it stands."""
    kept, entry = _kept(claim), opened(claim)
    if "entry" not in kept:
        count = len(kept["members"])
        entry.verdict = Verdict.UNKNOWN
        entry.witness = f"measured of {count} members as its code stands: python -m proofs_check --trained measures it"
        return entry
    said = {field.name for field in fields(Entry)} - {field for field, value in asdict(entry).items() if value}
    for name in said & kept["entry"].keys():
        setattr(entry, name, kept["entry"][name])
    entry.verdict = Verdict(entry.verdict)
    return entry
