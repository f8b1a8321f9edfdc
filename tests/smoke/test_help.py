"""`--help` of every entry point loads nothing heavy: it is there in a fraction of a second."""

import json
import subprocess
import sys
from pathlib import Path

from experiments import MODULES

ROOT = Path(__file__).parents[2]
RUNNABLE = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "experiments").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
}
HEAVY = {"torch", "polars", "matplotlib", "scipy", "sympy", "hypothesis"}
ENTRIES = [
    "workbench", *(f"workbench {name}" for name in ("list", "check", "train", "eval", "identify")),
    "proofs_check", *(f"proofs_check {name}" for name in ("judge", "check", "audit")),
    "experiments", *(f"experiments {name}" for name in MODULES), *sorted(RUNNABLE - {"experiments.__main__"}),
]  # fmt: skip
SEEN = """
import contextlib, io, json, os, runpy, sys
import tyro  # as every entry point does: it is loaded once for all of them
for entry in sys.argv[1:]:
    if not (child := os.fork()):
        said = io.TextIOWrapper(io.BytesIO(), write_through=True)
        module, *words = entry.split()
        sys.argv = ["", *words, "--help"]
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
                code = 0
            except SystemExit as leaving:
                code = leaving.code or 0
        print(json.dumps([entry, code, said.buffer.getvalue().decode(), list(sys.modules)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_help_loads_nothing_heavy():
    """Each in a process that has loaded none of ours before."""
    done = subprocess.run([sys.executable, "-c", SEEN, *ENTRIES], capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry for entry, *_ in told] == ENTRIES, done.stderr
    for entry, code, said, modules in told:
        assert code == 0, (entry, said)
        assert entry == "experiments" or "--help" in said, entry
        assert not HEAVY & set(modules), entry


def test_training_loads_no_compiler():
    """torch's is a second of every process, and its own optimisers load it."""
    script = """
import sys, torch, workbench
workbench.train(workbench.create("topk", 4, 4), torch.eye(4), workbench.TrainConfig(steps=1, batch=4))
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
