"""Habits of the house that a machine can check."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from experiments import MODULES
from experiments.settings import FLAGS as SETTINGS

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
    assert text.count("@variant(") == 1
    assert "Source:" in text


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^(?:python -m (workbench|proofs_check|experiments)|(workbench)) ?(.*)")
FLAGS = {
    "experiments": "workbench/study",
    "workbench": "workbench/__main__.py",
    "proofs_check": "proofs_check/__main__.py",
}


def commands() -> list[tuple[str, list[str]]]:
    """Package and words of every command line in the shell blocks of the pages."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S)]
    lines = [line.split(" #")[0] for block in blocks for line in block.splitlines()]
    matches = [COMMAND.match(line) or pytest.fail(line) for line in lines if not line.startswith(("make ", "pip "))]
    return [(match[1] or match[2], match[3].split()) for match in matches]


def sources(place: Path) -> str:
    """The text of a file, or of all files in a folder."""
    return "".join(path.read_text() for path in ([place] if place.suffix else place.glob("*.py")))


def test_commands_of_the_pages_name_what_exists() -> None:
    """Subcommands, experiments, and flags, each a field of the settings that its entry point or study has."""
    training = sources(ROOT / "workbench/training/config.py")
    assert len(commands()) > 40
    for package, words in commands():
        text = training + sources(ROOT / FLAGS[package])
        if package == "experiments" and words:
            file = ROOT / (MODULES[words[0]].replace(".", "/") + ".py")
            alone = file.parent.name == "experiments"
            text += sources(file if alone else file.parent)
            text += inspect.getsource(SETTINGS[words[0]]) if words[0] in SETTINGS else ""
        elif words and not words[0].startswith("-"):
            assert f'"{words[0]}"' in sources(ROOT / package / "__main__.py"), words
        for flag in (word[2:].replace("-", "_") for word in words if word.startswith("--")):
            name = flag.removeprefix("no_").split(".")[-1]
            assert flag == "help" or f"    {name}: " in text, (package, words)


def test_audits_of_the_pages_name_a_world_where_the_folder_holds_none() -> None:
    audits = [words for _, words in commands() if words[:1] == ["audit"]]
    assert [words[1] for words in audits if "--world" not in words and not words[1].startswith("runs/")] == []
    assert len(audits) >= 4


def test_targets_of_make_on_the_pages_exist() -> None:
    targets = {name for page in PAGES for name in re.findall(r"(?:^|`)make (\w+)", page.read_text("utf-8"), re.M)}
    assert {"recovery", "test", "lm"} <= targets
    assert not [name for name in targets if f"\n{name}: " not in (ROOT / "Makefile").read_text()]


LONG = {"workbench/sae.py: SAE", "experiments/lm/report.py: tell"}
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
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.end_lineno - node.lineno + 1 if text else 0


SHELVES = {"laws", "metrics", "theory", "variants", "claims"}
"""folders of one kind, as long as they need be; chapters of claims too"""


def test_a_folder_of_mixed_kinds_holds_up_to_twelve_files() -> None:
    for folder in {path.parent for path in FILES}:
        if not SHELVES & {folder.name, folder.parent.name}:
            files = [path for path in folder.glob("*.py") if not path.name.startswith("__")]
            assert len(files) <= 12, folder
