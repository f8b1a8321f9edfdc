"""Habits of the house that a machine can check."""

import ast
from pathlib import Path

import pytest

from experiments import MODULES

ROOT = Path(__file__).parents[1]
PACKAGES = ("synthetic", "workbench", "proofs_check", "experiments")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
DRAWS = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "normal",
    "bernoulli",
    "multinomial",
    "exponential_",
    "normal_",
    "uniform_",
}


GLOBAL = ("torch.manual_seed", "np.random.seed", "np.random.rand", "nn.init.", "random.random", "torch.seed")


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_draw_without_its_own_generator(path: Path) -> None:
    loose = [
        node.lineno
        for node in calls(path)
        if isinstance(node.func, ast.Attribute)
        and node.func.attr in DRAWS
        and "generator" not in {keyword.arg for keyword in node.keywords}
    ]
    assert not loose
    assert not [word for word in GLOBAL if word in path.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_figure_goes_through_pyplot(path: Path) -> None:
    """Its backend and its list of open figures are the user's."""
    text = path.read_text("utf-8")
    assert "import pyplot" not in text
    assert "matplotlib.pyplot" not in text
    assert "mpl.use(" not in text
    assert "matplotlib.use(" not in text


@pytest.mark.parametrize("path", sorted((ROOT / "workbench" / "variants").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_variant_is_one_file_with_its_source(path: Path) -> None:
    text = path.read_text()
    assert text.count("@register(") == 1
    assert "Source:" in text


def test_readme_commands_name_experiments_and_flags_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    lines = [line.split("#")[0] for line in text.splitlines()]
    scripts = [line.split()[1:] for line in lines if line.startswith("python experiments/")]
    named = [line.split()[3:] for line in lines if line.startswith("python -m experiments ")]
    assert len(scripts) > 5 < len(named)
    files = [(ROOT / script, words) for script, *words in scripts]
    files += [(ROOT / (MODULES[name].replace(".", "/") + ".py"), words) for name, *words in named]
    shared = (ROOT / "workbench/study/flags.py").read_text()
    for file, words in files:
        for flag in (w[2:].replace("-", "_") for w in words if w.startswith("--")):
            assert flag == "help" or f"    {flag.split('.')[0]}:" in shared + file.read_text()


LONG = {
    *("workbench/sae.py: SAE", "synthetic/actions.py: Interventions", "workbench/interop/llama_scope.py: load"),
    *("workbench/parts/gram_pursuit.py: _block", "workbench/parts/pursuit.py: orthogonal_matching_pursuit"),
    *("workbench/topics/concepts/report.py: concept_report", "workbench/topics/concepts/trained.py: train_predictor"),
    *("proofs_check/engines/sampling.py: search", "experiments/afa/bounds.py: draw"),
    "experiments/afa/top_afa.py: draw",
    "experiments/lm/report.py: tell",
}
"""those that are yet to be taken apart; nothing is to join them"""


def test_functions_and_classes_can_be_read_in_one_sitting() -> None:
    """A function up to 40 lines, a class up to 150, docstrings apart."""
    over = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                lines = node.end_lineno - node.lineno + 1 - sum(map(_prose, ast.walk(node)))
                if lines > (40 if isinstance(node, ast.FunctionDef) else 150):
                    over.add(f"{path.relative_to(ROOT)}: {node.name}")
    assert over <= LONG


def _prose(node: ast.AST) -> int:
    """Lines of a docstring, of a function or below a field."""
    said = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.end_lineno - node.lineno + 1 if said else 0


SHELVES = {"laws", "metrics", "theory", "variants", "claims"}
"""folders of one kind, as long as they need be; chapters of claims too"""


def test_a_folder_of_mixed_kinds_holds_up_to_twelve_files() -> None:
    for folder in {path.parent for path in FILES}:
        if not SHELVES & {folder.name, folder.parent.name}:
            files = [path for path in folder.glob("*.py") if not path.name.startswith("__")]
            assert len(files) <= 12, folder
