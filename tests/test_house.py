"""Habits of the house that a machine can check."""

import ast
from pathlib import Path

import pytest

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


def test_readme_commands_name_files_and_flags_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    commands = [line.split("#")[0].split() for line in text.splitlines() if line.startswith("python experiments/")]
    assert len(commands) > 5
    for _, script, *words in commands:
        source = (ROOT / script).read_text()
        for flag in (w[2:].replace("-", "_") for w in words if w.startswith("--")):
            assert flag == "help" or f"    {flag.split('.')[0]}:" in source
