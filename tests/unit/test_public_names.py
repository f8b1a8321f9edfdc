"""Public names: what editors see is what Python gives, with types."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("synthetic", "workbench", "proofs_check")
CASE = """
import proofs_check, synthetic, workbench
reveal_type(workbench.create)
reveal_type(workbench.TrainConfig().steps)
reveal_type(synthetic.SparseMixture)
reveal_type(proofs_check.judge)
workbench.evalute(1)
"""
SHOWN = ("-> SAE", '"int"', "type[SparseMixture]", "-> Entry")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_the_stub_is_there_and_from_where_it_says(package):
    module = importlib.import_module(package)
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text("utf-8"))
    named = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert [alias.asname for node in stub.body[1:] for alias in node.names] == list(named)  # public, and once
    assert module.__all__ == dir(module) == sorted(named)
    for name, home in named.items():  # a submodule of that name, once imported, would stand in its place
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
        taken = importlib.util.find_spec(f"{package}.{name}")
        assert (taken is None) or home == package
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'evalute'"):
        _ = module.evalute


def test_a_type_checker_knows_types_and_misspelt_names(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(ROOT)], "typeCheckingMode": "standard"})
    )
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "case.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    told = {note["range"]["start"]["line"]: note for note in json.loads(done.stdout)["generalDiagnostics"]}
    for line, words in enumerate(SHOWN, 2):
        assert words in told[line]["message"]
    assert told[6]["severity"] == "error"
    assert '"evalute" is not a known attribute' in told[6]["message"]


@pytest.mark.parametrize("package", [*PACKAGES, "experiments"])
def test_a_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").exists()
