"""`--help` of every entry point loads nothing heavy: it is there in a fraction of a second."""

import subprocess
import sys

import pytest

from experiments import MODULES

HEAVY = {"torch", "polars", "matplotlib", "scipy", "sympy", "hypothesis"}
ENTRIES = [
    "workbench", *(f"workbench {name}" for name in ("list", "check", "train", "eval", "identify")),
    "proofs_check", *(f"proofs_check {name}" for name in ("judge", "check", "audit")),
    "experiments", *(f"experiments {name}" for name in MODULES), "experiments.benchmark",
]  # fmt: skip
SEEN = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_loads_nothing_heavy(entry):
    done = subprocess.run([sys.executable, "-c", SEEN, *entry.split(), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert entry == "experiments" or "--help" in done.stdout
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())
