"""Malformed input, generated from the flags of every command and the fields of every file that one reads.

Each is refused with exit code 2 and one line, and nothing is made.
"""

import contextlib
import dataclasses
import io
import json
import os
import sys
from itertools import chain
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import synthetic as S
import workbench as W
from proofs_check import __main__ as ledger
from synthetic.base import flags
from workbench import __main__ as bench
from workbench.metrics.scores import Scores

DIGITS = "1" * 5000
DEEP = "[" * 2000
TOKENS = {
    int: ("1.5", "-1", DIGITS),
    float: ("x", "nan", "inf", "-1"),
    bool: ("maybe",),
    Path: ("nowhere", "folder", "loop", "n" * 300, "text"),
    str: ("nowhere", "", "a/b", "loop/x", "n" * 300),
}
"""wrong words after a flag, by the type of its value"""
KINDS = (None, True, -1, "word", [[]], {"class": "Zipf", "rte": 1}, 10**400, float("nan"))
"""values of a JSON field, hardly one of which a reader wants"""
TEXTS = ("", "{", "[]", "null", "5", '"x"', "NaN", "{}", DEEP, '{"a":' * 2000, b"\xff\xfe\x00", DIGITS, '{"class": 3}')
"""whole files that are none of ours"""


class Box:
    """A folder in which commands are run; what stands there before stands there after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.count = 0

    def say(self, *words: Any, main: Any = bench.main) -> tuple[int | None, str, str]:
        sys.argv = ["command", *map(str, words)]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main()
            except SystemExit as leaving:
                code = leaving.code
        return code, out.getvalue(), err.getvalue()

    def refused(self, what: str, *words: Any, main: Any = bench.main, read: bool = False) -> None:
        """Note a fault unless the command is refused well; `read`: or carried out."""
        before = self.paths()
        code, out, err = self.say(*words, main=main)
        self.count += 1
        one = (
            err.count("\n") == 1 and err.endswith("\n") and err.startswith("error: ") and not out and "\x1b" not in err
        )
        well = (code == 2 and one) or (read and code == 0 and not err)
        if not well or self.paths() != before:
            made = sorted(self.paths() - before)
            self.faults.append(f"{what}: code {code}, made {made}, said {err.strip()[-300:]!r}")

    def paths(self) -> set[str]:
        return {os.path.join(above, name) for above, *names in os.walk(self.folder) for name in chain(*names)}

    def done(self) -> None:
        assert not self.faults, f"{len(self.faults)} of {self.count}:\n" + "\n".join(self.faults[:40])


@pytest.fixture
def parsed_once(monkeypatch):
    """Commands whose words do not change while their files do are parsed once."""
    known: dict[tuple[str, ...], Any] = {}

    def read_flags(*settings: Any, **how: Any) -> Any:
        words = (str(how.get("prog")), *sys.argv[1:])
        known[words] = known.get(words) or flags.read_flags(*settings, **how)
        return known[words]

    for module in (bench, ledger):
        monkeypatch.setattr(module, "read_flags", read_flags)


@pytest.fixture
def box(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    Path("text").write_text("x = 1\n")
    return Box(tmp_path)


# --- flags -----------------------------------------------------------------------------------------------------------

COMMANDS = {
    "list": (bench.List, ()),
    "check": (bench.Check, ()),
    "train": (bench.Train, ("topk", "out")),
    "eval": (bench.Eval, ("folder",)),
    "identify": (bench.Identify, ("text",)),
}
OF_THE_LEDGER = {"audit": (ledger.Audit, ("folder",)), "check": (ledger.Check, ("text",)), "judge": (ledger.Ledger, ())}
SLOW = ("--area", "--id", "--html")
"""flags of the ledger whose values need all claims, or are any path"""


def leaves(hint: Any) -> list[type]:
    """Plain types in an annotation."""
    return [hint] if hint in TOKENS else [leaf for part in get_args(hint) if part is not ... for leaf in leaves(part)]


def flags_of(settings: type, prefix: str = "--") -> list[tuple[str, type]]:
    """Flags of a command, those of the training among them, and the types of their values."""
    found = []
    for field in dataclasses.fields(settings):
        hint = get_type_hints(settings)[field.name]
        if dataclasses.is_dataclass(hint):
            found += flags_of(hint, f"{prefix}{field.name}.")
        elif field.default is not dataclasses.MISSING:
            found += [(f"{prefix}{field.name.replace('_', '-')}", kind) for kind in dict.fromkeys(leaves(hint))]
    return found


@pytest.mark.parametrize(
    ("command", "main"), [*((name, bench.main) for name in COMMANDS), *((name, ledger.main) for name in OF_THE_LEDGER)]
)
def test_wrong_flags_are_refused(box, command, main):
    settings, words = (COMMANDS if main is bench.main else OF_THE_LEDGER)[command]
    start = (command, *words)
    for flag, kind in flags_of(settings):
        for token in () if flag in SLOW else TOKENS[kind]:
            value = (flag, token) if kind is bool else (f"{flag}={token}",)
            box.refused(f"{flag} {token[:20]}", *start, *value, main=main)
    for out in ("", ".", "./") if command == "train" else ():
        box.refused(f"out {out!r}", "train", "topk", out, "--train.steps", "1")
    for few in range(len(words)):
        box.refused(f"{few} words", command, *words[:few], main=main)
    box.refused("one word more", *start, "more", main=main)
    box.refused("no such flag", *start, "--jsom", main=main)
    box.done()


def test_wrong_settings_of_a_variant_are_refused(box):
    no_number = ("NaN", "Infinity", "1e999", "true", "{}", "[]", "[[1],[1,2]]", '"x"', "x", DEEP, DIGITS)
    for variant, name, values in (("topk", "k", (*no_number, "-1", "0", "2.5")), ("relu", "l1", no_number)):
        for value in values:
            box.refused(f"{name}={value[:20]}", "train", variant, "out", "--set", f"{name}={value}")
    for text in ("k", "=4", "m=4", "seed=1", "d=3", "name=x", "k=4,k=5", ""):
        box.refused(text, "train", "topk", "out", "--set", *text.split(","))
    box.done()


# --- files -----------------------------------------------------------------------------------------------------------


def spoiled(path: Path):
    """The file in every wrong state, one after another; it is whole again at the end."""
    whole = path.read_bytes()
    for text in (*TEXTS, whole[: len(whole) // 2]):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        yield f"{path.name} is {text[:10]!r}"
    path.unlink()
    yield f"{path.name} is missing"
    path.mkdir()
    yield f"{path.name} is a folder"
    path.rmdir()
    path.symlink_to(path.name)
    yield f"{path.name} is a link to itself"
    path.unlink()
    path.write_bytes(whole)


def edited(path: Path, fields=None):
    """The file with every field missing, and of every wrong kind, one after another; it is whole again at the end."""
    whole = path.read_text()
    for place in places(json.loads(whole)):
        for kind in ("missing", *KINDS):
            content = json.loads(whole)
            *above, last = place
            inner = content
            for step in above:
                inner = inner[step]
            if kind == "missing":
                del inner[last]
            elif (inner[last], type(inner[last])) == (kind, type(kind)):
                continue
            else:
                inner[last] = kind
            path.write_text(json.dumps(content))
            yield f"{path.name}: {place} {str(kind)[:20]!r}"
    path.write_text(whole)


def places(content: Any) -> list[tuple[Any, ...]]:
    """Paths of all fields in an object, and of the first entry of each list."""
    items = (
        content.items()
        if isinstance(content, dict)
        else list(enumerate(content))[:1]
        if isinstance(content, list)
        else ()
    )
    return [(key, *more) for key, value in items for more in [(), *places(value)]]


@pytest.mark.usefixtures("parsed_once")
def test_files_that_are_no_concept_model_are_refused(box):
    path = Path("model.json")
    model = {"sizes": [2], "prior": [0.5, 0.5], "contexts": [[0.5, 0.5]] * 2, "tokens": [[1, 0], [0, 1]]}
    path.write_text(json.dumps(model | {"activations": [[1.0], [2.0]], "unembedding": [[1.0], [0.0]]}))
    for what in chain(spoiled(path), edited(path)):
        box.refused(what, "identify", path)
    box.done()


@pytest.mark.usefixtures("parsed_once")
def test_files_that_are_no_world_are_refused(box):
    mixture = S.SparseMixture(n_true=4, d=4, firing=S.Copula(dependence=S.Phi(0.1)))
    S.save_world(mixture, "w")
    for name in ("world.json", "world.safetensors"):
        for what in spoiled(Path("w", name)):
            box.refused(what, "train", "topk", "out", "--world", "w/")
    for what in edited(Path("w/world.json")):
        box.refused(what, "train", "topk", "out", "--world", "w/")
    box.done()


@pytest.mark.usefixtures("parsed_once")
def test_files_that_are_no_python_are_refused(box):
    path = Path("mine.py")
    path.write_text("import nothing_like_it\n")
    texts = (
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "1 / 0",
        "raise ValueError('x\\ny\\x1b[2J')",
        "def",
        "for _ in (): pass",
    )
    texts += (
        "\0",
        "(" * 500,
        "import workbench\n@workbench.register('topk')\nclass A(workbench.SAE): pass",
        "import workbench\n@workbench.variant('topk')\ndef a(stack): pass",
        "import workbench\n@workbench.objective('l1')\ndef a(stack): pass",
        "raise KeyError",
    )
    texts += ("def f(): f()\nf()", "raise OSError('no')", "open('nowhere')", "class E(BaseException): pass\nraise E")
    commands = ((("check",), bench.main), (("check",), ledger.main), (("train", "topk", "out", "--plugin"), bench.main))
    for command, main in commands:
        for what in spoiled(path):
            box.refused(f"{command[0]}: {what}", *command, path, main=main)
        for text in texts:
            path.write_text(text)
            box.refused(f"{command[0]}: {text}", *command, path, main=main)
    box.done()


@pytest.mark.usefixtures("parsed_once")
@pytest.mark.parametrize("form", ["workbench.json", "cfg.json", "stack.json"])
def test_files_that_are_no_sae_are_read_or_refused(box, monkeypatch, form):
    """Fields that a reader has no use for may hold anything."""
    monkeypatch.setattr("workbench.metrics.evaluate", lambda *_: Scores({}, {}, ()))
    folder = W.create("topk", 4, 4, k=1, seed=[0, 1] if form == "stack.json" else 0).save("sae")
    if form == "cfg.json":  # as SAELens writes it
        (folder / "workbench.json").unlink()
    weights = next(folder.rglob("sae_weights.safetensors"))
    for what in chain(spoiled(folder / form), edited(folder / form), spoiled(weights)):
        box.refused(what, "eval", folder, "--world", "toy", read=True)
    box.done()
