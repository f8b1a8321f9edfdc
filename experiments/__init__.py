"""Experiments: each a question, a run folder, a table, figures, but for `benchmark`, which takes times."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

from synthetic.base.errors import guarded, pick
from synthetic.base.flags import read_flags
from workbench.study.flags import hidden

MODULES = {
    "afa_bounds": "experiments.afa.bounds",
    "attention": "experiments.attention.study",
    "benchmark": "experiments.benchmark",
    "bias_phase": "experiments.bias.phase",
    "bidirectional": "experiments.signed.study",
    "concept_sae": "experiments.concepts.saes",
    "concepts": "experiments.concepts.study",
    "factors": "experiments.factors.study",
    "gba": "experiments.bias.gba",
    "gpt2": "experiments.gpt2",
    "hierarchy": "experiments.hierarchy.study",
    "interactions": "experiments.interactions.study",
    "interventions": "experiments.actions.study",
    "pursuit": "experiments.pursuit.study",
    "recovery": "experiments.recovery",
    "resonance": "experiments.bias.resonance",
    "synthsaebench": "experiments.synthsaebench",
    "top_afa": "experiments.afa.top_afa",
    "top_afa_rule": "experiments.afa.rule",
    "transfer": "experiments.transfer.study",
    "tuning": "experiments.tuning.study",
    "zf_plot": "experiments.afa.norms",
}
"""name of an experiment -> its module"""


def launch(name: str) -> int:
    """Run a study with the rest of the command line, under its module's own name; the exit code."""
    sys.argv[0] = f"python -m experiments {name}"
    return guarded(lambda: _run(name))


def _run(name: str) -> int:
    module = MODULES[pick(name, MODULES, "experiment")]
    if {"-h", "--help"} & set(sys.argv[1:]):
        _help(name, module)
    return importlib.import_module(module).main()


def _help(name: str, module: str) -> None:
    """Print the flags of a study, and leave."""
    study = importlib.util.find_spec(module)
    settings = f"{module.rpartition('.')[0]}.settings"
    flags = importlib.import_module(settings).FLAGS if importlib.util.find_spec(settings) else {}
    if study is not None and study.origin is not None and name in flags:
        about = ast.get_docstring(ast.parse(Path(study.origin).read_text("utf-8")))
        read_flags(flags[name], hidden=hidden(flags[name]), description=about)
