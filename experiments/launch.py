"""How a study is started: `--help` is answered from its settings alone, before torch is loaded."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

from experiments import MODULES
from synthetic.base.errors import guarded, pick
from synthetic.base.flags import read_flags


def launch(name: str) -> int:
    """Run a study with the rest of the command line, under its module's own name; the exit code."""
    return guarded(lambda: _run(name))


def _run(name: str) -> int:
    module = MODULES[pick(name, MODULES, "experiment")]
    if {"-h", "--help"} & set(sys.argv[1:]):
        _help(name, module)
    return importlib.import_module(module).main()


def _help(name: str, module: str) -> None:
    """Print the flags of a study, and leave; nothing where its settings stand among its code."""
    settings = f"{module.rpartition('.')[0]}.settings"
    study, beside = importlib.util.find_spec(module), importlib.util.find_spec(settings)
    if study is not None and study.origin is not None and beside is not None:
        flags = importlib.import_module(settings).FLAGS
        if name in flags:
            read_flags(flags[name], description=ast.get_docstring(ast.parse(Path(study.origin).read_text("utf-8"))))
