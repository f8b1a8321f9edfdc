"""The ledger of claims: `python -m proofs_check` judges them all."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import math
import sys
from dataclasses import dataclass
from pathlib import Path

from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must, must_be_whole, must_be_writable
from synthetic.base.flags import read_flags


@dataclass(frozen=True)
class Ledger:
    """Judge the claims of the ledger; exit 1 where a verdict is not the promised one, 2 on bad usage."""

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


def run(settings: Ledger, console: Console) -> int:
    """Judge, print, write; returns the exit code."""
    from proofs_check.judging import chosen, judge_all
    from proofs_check.report.terminal import print_ledger

    ids = chosen(settings.area, settings.id)
    entries = judge_all(ids, settings.jobs, examples=settings.examples, seconds=settings.seconds, seed=settings.seed)
    if settings.json:
        print(json_text([entry.to_json() for entry in entries]))
    else:
        print_ledger(console, entries, at_length=bool(settings.id))
    if settings.html is not None:
        from proofs_check.report.page import write_page

        write_page(entries, settings.html)
        console.print(f"page {settings.html}", highlight=False, soft_wrap=True) if not settings.json else None
    return 0 if all(entry.ok for entry in entries) else 1


def main() -> int:
    """Parse, run, and end bad input with one line and exit code 2."""
    settings = read_flags(Ledger, prog="python -m proofs_check", description=__doc__)
    return guarded(lambda: run(settings, Console()), stopped=lambda: "stopped; nothing was written")


if __name__ == "__main__":
    sys.exit(main())
