"""The ledger: `python -m proofs_check` judges its claims, `check FILE` a file's, `audit SAE` reads them off one."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must, must_be_whole, must_be_writable
from synthetic.base.flags import read_flags


@dataclass(frozen=True)
class Ledger:
    """Judge the claims of the ledger; exit 1 where a verdict is not as promised, 2 on bad usage, 3 out of seconds."""

    area: tuple[str, ...] = ()
    """areas to judge, such as afa; all where empty"""
    id: tuple[str, ...] = ()
    """claims to judge and print at length, such as AFA-3"""
    examples: int = 300
    """instances drawn against each claim; controls and mutants get a share"""
    seconds: float = 30.0
    """limit of each proof by a solver"""
    seed: int = 0
    """of what is drawn"""
    jobs: int = 0
    """processes; 0 for one a core"""
    trained: bool = False
    """measure claims on trained stacks where the record lacks them, and judge these alone; else read the record"""
    json: bool = False
    """print one JSON list"""
    html: Path | None = None
    """also write one self-contained page"""

    def __post_init__(self) -> None:
        must_be_whole("--examples", self.examples, 1)
        must_be_whole("--seed", self.seed, 0, 2**63 - 1)
        must(0 < self.seconds < math.inf, "--seconds", "above 0, and finite", self.seconds, "30 is the default")
        must(self.jobs >= 0, "--jobs", "at least 0", self.jobs, "0 takes all cores")
        if self.html is not None:
            must_be_writable("--html", self.html)


@dataclass(frozen=True)
class Audit:
    """Say which theorems of the ledger apply to a trained SAE, what each then bounds, and how far off it is."""

    target: tyro.conf.Positional[Path]
    """SAE folder, or run folder of an experiment: its base world's SAEs"""
    world: str | None = None
    """name of a world, folder of a saved one or of an activation store (FOLDER:HOOK); a run folder holds its own"""
    n: int = 1000
    """samples"""
    seed: int = 1
    """of the samples"""
    json: bool = False
    """print one JSON object"""
    plugin: Path | None = None
    """a Python file that registers variants, worlds or metrics"""

    def __post_init__(self) -> None:
        must_be_whole("--n", self.n, 1)
        must_be_whole("--seed", self.seed, 0, 2**63 - 1)


@dataclass(frozen=True)
class Check:
    """Judge the claims of a Python file; exit 1 if one is refuted or left open, 3 if for want of seconds."""

    file: tyro.conf.Positional[Path]
    """Python file that makes a Claim, or an inequality(...)"""
    examples: int = 300
    """instances drawn against each claim"""
    seconds: float = 20.0
    """limit of each proof by a solver"""
    seed: int = 0
    """of what is drawn"""
    json: bool = False
    """print one JSON list"""

    def __post_init__(self) -> None:
        must_be_whole("--examples", self.examples, 1)
        must(0 < self.seconds < math.inf, "--seconds", "above 0, and finite", self.seconds, "20 is the default")
        must_be_whole("--seed", self.seed, 0, 2**63 - 1)


def run(settings: Ledger, console: Console) -> int:
    """Judge, print, write; returns the exit code."""
    from proofs_check.judging import chosen, judge_all, on_trained_stacks
    from proofs_check.ledger import exit_code
    from proofs_check.report.terminal import print_ledger

    ids = chosen(settings.area, settings.id)
    ids = on_trained_stacks(ids) if settings.trained else ids
    must(ids, "--trained", "of areas and claims on trained stacks", settings.area or settings.id, "drop it")
    budget = {"examples": settings.examples, "seconds": settings.seconds, "seed": settings.seed}
    entries = judge_all(ids, settings.jobs, trained=settings.trained, **budget)
    if settings.json:
        print(json_text([entry.to_json() for entry in entries]))
    else:
        print_ledger(console, entries, at_length=bool(settings.id))
    if settings.html is not None:
        from proofs_check.report.page import write_page

        write_page(entries, settings.html)
        console.print(f"page {settings.html}", highlight=False, soft_wrap=True) if not settings.json else None
    return exit_code(entries)


def audit(settings: Audit, console: Console) -> int:
    """Audit, after the plug-in that is named has run; returns the exit code."""
    from proofs_check.auditor.targets import audit_target

    if settings.plugin is not None:
        from workbench.plugins import load_plugin

        load_plugin(settings.plugin)
    return audit_target(settings.target, settings.world, settings.n, settings.seed, console, as_json=settings.json)


def check(settings: Check, console: Console) -> int:
    """Judge a file's claims, once it reads as Python: a typo is answered before anything slow is loaded."""
    from proofs_check.claim_file import statements_of

    statements_of(settings.file)
    from proofs_check.auditor.targets import judge_file

    budget = {"examples": settings.examples, "seconds": settings.seconds, "seed": settings.seed}
    return judge_file(settings.file, console, as_json=settings.json, **budget)


_COMMANDS: dict[str, tuple[Any, Callable[[Any, Console], int]]] = {
    "judge": (Ledger, run),
    "check": (Check, check),
    "audit": (Audit, audit),
}


def main() -> int:
    """Parse, run, and end bad input with one line and exit code 2."""
    named = sys.argv[1:2] and sys.argv[1] in _COMMANDS
    name, words = (sys.argv[1], sys.argv[2:]) if named else ("judge", sys.argv[1:])
    kind, carry_out = _COMMANDS[name]
    prog = "python -m proofs_check" + (f" {name}" if named else "")
    settings = read_flags(kind, prog=prog, description=None if named else __doc__, args=words)
    sizes = "--n or the world's sizes"
    kept = "members that were measured are kept" if getattr(settings, "trained", False) else "nothing was written"
    return guarded(lambda: carry_out(settings, Console()), stopped=lambda: f"stopped; {kept}", sizes=sizes)


if __name__ == "__main__":
    sys.exit(main())
