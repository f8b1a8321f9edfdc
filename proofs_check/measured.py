"""Claims on trained stacks: measured on request, member by member, and kept in a record beside this file.

`python -m proofs_check --trained` measures what the record lacks, and goes on where it stopped; the ledger reads it.
"""

import ast
import hashlib
import inspect
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from proofs_check.claim import Claim, Conclusion, Relation, Verdict, Void, parts
from proofs_check.instances import stack
from proofs_check.ledger import Entry, judge, opened, refuted_as
from proofs_check.trainings import Member, note, noted
from synthetic.base.errors import must
from synthetic.base.storage import write_text

RECORD = Path(__file__).with_name("measured")
"""a file a claim"""
PROSE = ("statement", "tex", "source", "note", "promised", "refutes", "stated", "shown_by")
"""what a claim says, beside what is trained and judged for it"""
_SIDES = ("measured", "bound", "unit")
_FIGURES = (
    "verdict",
    "parts",
    "instances",
    "judged",
    "distinct",
    "margin",
    "tightness",
    "attained",
    "trainings",
    "held",
)
_FIGURES += ("thresholds", "ratios", "void", "sees", "fragile", "witness", "controls", "mutants", "problems", "seconds")
"""what of an entry was measured"""


def fingerprint(claim: Claim) -> str:
    """Of the code that says what is trained and judged: the claim's, what its area's claims share, and the stacks'.

    What these call is not in it: `make test-all` measures a member of each claim again, `make test` that of one.
    """
    own = Path(inspect.getfile(claim.conclusion))
    files = [file for file in (own, own.with_name("runs.py"), Path(stack.__file__)) if file.is_file()]
    code = [_code(ast.parse(file.read_text("utf-8"))) for file in files]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


def _code(node: Any) -> str:
    """A syntax tree without its prose, and without what versions of Python add to it."""
    if isinstance(node, list):
        return f"[{' '.join(_code(item) for item in node if not _is_text(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    said = [f"{name}={_code(value)}" for name, value in ast.iter_fields(node) if value is not None and value != []]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Claim":
        said = [f"{keyword.arg}={_code(keyword.value)}" for keyword in node.keywords if keyword.arg not in PROSE]
    return f"{type(node).__name__}({' '.join(said)})"


def _is_text(node: Any) -> bool:
    """Whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _kept(claim: Claim) -> dict[str, Any]:
    """What was measured of a claim as it stands; nothing where its record cannot be read."""
    mark = fingerprint(claim)
    with suppress(OSError, ValueError):
        found = json.loads((RECORD / f"{claim.id}.json").read_text("utf-8"))
        if isinstance(found, dict) and found.get("fingerprint") == mark and isinstance(found.get("members"), dict):
            return found
    return {"fingerprint": mark, "members": {}}


def _keep(claim: Claim, kept: dict[str, Any]) -> None:
    """Write a record; members that another process has added meanwhile stay."""
    kept["members"] = {**_kept(claim)["members"], **kept["members"]}
    write_text(RECORD / f"{claim.id}.json", json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def measure(claim: Claim, *, examples: int, seed: int) -> Entry:
    """Judge the members that the record lacks, then controls and mutants; each member is kept once it is judged.

    Raises:
        ValueError: the record cannot be written.
    """
    kept = _kept(claim)
    if "entry" in kept:
        return recalled(claim)
    with suppress(OSError):
        RECORD.mkdir(exist_ok=True)
    must(os.access(RECORD, os.W_OK), str(RECORD), "a folder that can be written", "none", "work in a clone")
    entry = judge(claim, examples=examples, seed=seed, conclusion=_remembering(claim, kept))
    entry.members = _members(kept)
    entry.seconds = max(entry.seconds, sum(member["seconds"] for member in kept["members"].values()))
    if entry.verdict != Verdict.UNKNOWN:
        figures = {name: value for name, value in asdict(entry).items() if name in _FIGURES}
        _keep(claim, kept | {"torch": torch.__version__, "entry": figures})
    return entry


def _remembering(claim: Claim, kept: dict[str, Any]) -> Callable[[Any], Conclusion]:
    """The conclusion, which looks up members that were judged, and keeps the others."""

    def conclusion(member: Any) -> Conclusion:
        if str(member) not in kept["members"]:
            start = time.perf_counter()
            with noted() as made:
                found = parts(claim.conclusion(member))
            sides = {name: _plain(part) for name, part in found.items()}
            kept["members"][str(member)] = {
                "parts": sides,
                "trainings": made,
                "seconds": time.perf_counter() - start,
            }
            _keep(claim, kept)
            return found
        known = kept["members"][str(member)]
        note(known["trainings"])
        return {name: _part(sides) for name, sides in known["parts"].items()}

    return conclusion


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


def _members(kept: dict[str, Any]) -> dict[str, list[Member]]:
    """Part -> what it came to of each member of which it says something."""
    found: dict[str, list[Member]] = {}
    for name, member in kept["members"].items():
        for part, sides in ((part, _part(plain)) for part, plain in member["parts"].items()):
            if isinstance(sides, Relation) and not sides.silent:
                worst = int(sides.margin.argmin())
                ends = float(sides.measured[worst]), float(sides.bound[worst])
                found.setdefault(part, []).append(Member(name, *ends, sides.equality, bool(sides.holds.all())))
    return found


def recalled(claim: Claim) -> Entry:
    """A claim's row as the record has it; left open where it was not measured as it stands."""
    kept, entry = _kept(claim), opened(claim)
    if "entry" not in kept:
        entry.verdict = Verdict.UNKNOWN
        entry.witness = (
            f"measured of {len(kept['members'])} members as its code stands: python -m proofs_check --trained"
        )
        return entry
    for name in _FIGURES:
        setattr(entry, name, kept["entry"][name])
    entry.members = _members(kept)
    refuted = entry.verdict in (Verdict.REFUTED, Verdict.FAILS)
    entry.verdict = refuted_as(claim) if refuted else Verdict(entry.verdict)
    return entry
