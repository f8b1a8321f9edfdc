"""Coq's kernel: theorems for all sizes. `python -m proofs_check.engines.kernel` compiles and audits them.

Statements stand in `proofs_check/kernel/statements`, apart from their proofs. An audit compiles all of it, asks the
kernel for the type of each proof and the axioms it rests on, and keeps a record with the hashes of the sources. Where
Coq is not installed the record counts, as long as the hashes match; else the theorems are left out, and what the other
engines show remains.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from proofs_check.kernel.evaluations import LINES
from synthetic.base.errors import must, pick
from synthetic.base.storage import write_text

FOLDER = Path(__file__).parents[1] / "kernel"
RECORD = FOLDER / "record.json"
AREAS = "coherence", "selection", "pursuit", "factors", "controls"
"""files of statements and of proofs, each after those it needs"""
SOURCES = (
    "vocabulary.v",
    "proofs/basics.v",
    *(f"{kind}/{area}.v" for area in AREAS for kind in ("statements", "proofs")),
)
ALLOWED: frozenset[str] = frozenset()
"""axioms that a proof may rest on: none"""
REFUSED = r"\b(Axioms?|Parameters?|Conjectures?|Hypothes[ie]s|Admitted|admit|Admit|Unset Guard Checking|bypass_check)\b"
PACKAGES = "coq libcoq-mathcomp-algebra libcoq-mathcomp-algebra-tactics"
SECONDS = 60
"""allowed to the compiler for a file; the audit of all theorems, which walks through the library for each, has more"""


@dataclass(frozen=True)
class Theorem:
    """A statement as a human and as the kernel reads it."""

    name: str
    """area.name"""
    words: str
    formal: str


@dataclass(frozen=True)
class Backing:
    """What the ledger prints of a theorem that backs a claim."""

    theorem: str
    part: str
    """of the conclusion; empty for all of it"""
    words: str
    formal: str
    base: str
    """what one trusts who believes it"""
    tie: str
    """how it is tied to shipped functions, or that it is not"""
    problem: str = ""


@cache
def theorems() -> dict[str, Theorem]:
    """All theorems by name, read off the files of statements."""
    form = re.compile(r"\(\* ((?:(?!\*\)).)*) \*\)\nDefinition (\w+) :=\s*(.*?)\.(?=\n)", re.S)
    found = {}
    for area in AREAS:
        for words, name, formal in form.findall((FOLDER / f"statements/{area}.v").read_text("utf-8")):
            found[f"{area}.{name}"] = Theorem(f"{area}.{name}", " ".join(words.split()), formal.strip())
    return found


def hashes() -> dict[str, str]:
    """SHA-256 of each source."""
    return {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in SOURCES}


@cache
def checked() -> frozenset[str]:
    """Theorems that the record says were checked, as the sources stand; none where these have changed since."""
    if not RECORD.is_file():
        return frozenset()
    record = json.loads(RECORD.read_text("utf-8"))
    if record["sources"] != hashes():
        return frozenset()
    return frozenset(name for name, each in record["theorems"].items() if set(each["axioms"]) <= ALLOWED)


def backings(kernel: Mapping[str, str | tuple[str, ...]]) -> list[Backing]:
    """Each theorem that backs a part of a claim and was checked, with what ties it to shipped functions.

    Raises:
        ValueError: no such theorem.
    """
    found = []
    for part, names in kernel.items():
        for name in (names,) if isinstance(names, str) else names:
            theorem = theorems()[pick(name, list(theorems()), "Claim.kernel")]
            if name in checked():
                found.append(_backing(theorem, part))
    return found


def _backing(theorem: Theorem, part: str) -> Backing:
    lines = LINES.get(theorem.name, [])
    wrong = [each for line in lines for each in line.differences()]
    tie = f"exact evaluation at n, d from 9 to 64: {'; '.join(line.of for line in lines)}"
    tie = tie if lines else "PROVED of the formula: no shipped function computes it"
    base = "Coq kernel, no axioms"
    return Backing(theorem.name, part, theorem.words, theorem.formal, base, tie, wrong[0] if wrong else "")


def printed(backing: Mapping[str, str]) -> str:
    """A theorem of a claim on one line."""
    of = f" ({backing['part']})" if backing["part"] else ""
    formal = " ".join(backing["formal"].split())
    return (
        f"for all sizes, {backing['base']}{of}: {backing['words']} {backing['theorem']} := {formal}. {backing['tie']}"
    )


def covered(backing: Iterable[Mapping[str, str]]) -> list[str]:
    """What the theorems of a claim cover, as scopes: of shipped functions, then of the formula alone."""
    found = []
    for start, of in (("exact", ""), ("PROVED", ", of the formula alone")):
        named = dict.fromkeys(row["part"] or "the conclusion" for row in backing if row["tie"].startswith(start))
        found += [f"for all sizes by the Coq kernel{of}: {', '.join(named)}"] if named else []
    return found


def refused(text: str) -> list[str]:
    """Words in a source, comments apart, by which something would be taken for granted."""
    return re.findall(REFUSED, re.sub(r"\(\*.*?\*\)", "", text, flags=re.S))


def compiled(folder: Path, names: tuple[str, ...] = SOURCES) -> None:
    """Compile sources in a folder of their own.

    Raises:
        ValueError: a source takes something for granted, or does not compile; with the compiler's words.
    """
    for name in names:
        text = (FOLDER / name).read_text("utf-8")
        must(not refused(text), f"kernel source {name}", "without axioms", refused(text), "prove it")
        (folder / name).parent.mkdir(exist_ok=True)
        write_text(folder / name, text)
        _coqc(folder, name)


def _coqc(folder: Path, name: str, seconds: int = SECONDS) -> str:
    command = ["coqc", "-q", "-w", "none", "-R", ".", "Kernel", name]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    must(run.returncode == 0, f"kernel source {name}", "one that compiles", run.stderr.strip(), "mend it")
    return run.stdout


def asked(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """What the kernel says of compiled proofs: each one's type, and the axioms it rests on."""
    lines = [f"From Kernel Require {kind}.{area}." for kind in ("statements", "proofs") for area in AREAS]
    lines = [line for line in lines if (folder / (line.split()[-1][:-1].replace(".", "/") + ".vo")).exists()]
    lines.append("Set Printing Width 999.")  # an answer a line
    for name in names:
        lines += [f"Check (proofs.{name} : statements.{name}).", f"Print Assumptions proofs.{name}."]
    write_text(folder / "audit.v", "\n".join(lines) + "\n")
    answers = re.split(r"^\S+\s+: \S+\s+: (?=\S+$)", _coqc(folder, "audit.v", 10 * SECONDS), flags=re.M)[1:]
    found = {}
    for name, answer in zip(names, answers, strict=True):
        kind, _, rest = answer.partition("\n")
        closed = rest.strip() == "Closed under the global context"
        found[name] = {"type": kind.strip(), "axioms": [] if closed else re.findall(r"^(\S+) :", rest, flags=re.M)}
        must(closed or found[name]["axioms"], f"theorem {name}", "one with a list of axioms", rest, "read the answer")
    return found


def audit() -> dict[str, Any]:
    """Compile everything, ask the kernel of each theorem, and return the record.

    Raises:
        ValueError: a source does not compile, a proof is of another statement, or rests on an axiom not allowed.
    """
    with tempfile.TemporaryDirectory() as place:
        compiled(Path(place))
        found = asked(Path(place), list(theorems()))
    for name, each in found.items():
        must(each["type"].endswith(name), f"theorem {name}", "of its statement", each["type"], "prove that")
        more = sorted(set(each["axioms"]) - ALLOWED)
        must(not more, f"theorem {name}", "without axioms", more, "prove them")
    return {"versions": versions(), "sources": hashes(), "theorems": found}


def versions() -> dict[str, str]:
    """Versions of Coq and of the packages of its library."""
    coq = subprocess.run(["coqc", "--version"], capture_output=True, text=True, check=True).stdout
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES.split()[1:]]
    known = shutil.which("dpkg-query")
    rest = subprocess.run(command, capture_output=True, text=True, check=False).stdout if known else ""
    return {"coq": coq.split("version")[1].split()[0], **dict(line.split() for line in rest.splitlines())}


def main() -> int:
    """Compile, audit and renew the record; returns the exit code."""
    if shutil.which("coqc") is None:
        print(f"coqc must be installed to check the theorems: apt install {PACKAGES}.", file=sys.stderr)
        return 2
    try:
        record = audit()
    except (ValueError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    write_text(RECORD, json.dumps(record, indent=1) + "\n")
    print(f"{len(record['theorems'])} theorems checked by Coq {record['versions']['coq']}, axioms: none")
    return 0


def rows(kernel: Mapping[str, str | tuple[str, ...]]) -> list[dict[str, str]]:
    """`backings`, as plain values."""
    return [asdict(each) for each in backings(kernel)]


if __name__ == "__main__":
    sys.exit(main())
