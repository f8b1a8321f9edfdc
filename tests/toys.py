"""Experiments in this process, at toy size: exit code and output, or the folder and table of one run for all tests."""

import sys

import polars as pl

from workbench.check import check_study

_CHECKED = {}


def run(monkeypatch, capsys, module, *flags):
    """Exit code and output of an experiment."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, flags)])
    try:
        code = module.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


def checked(tmp_path_factory, study):
    """Outcomes of the contract of a study, the folder of its toy run and its table; made once for all tests."""
    if study.name not in _CHECKED:
        place = tmp_path_factory.mktemp("study")
        outcomes = list(check_study(study, place))
        (folder,) = (place / "runs" / study.name).iterdir()
        _CHECKED[study.name] = outcomes, folder, pl.read_parquet(folder / "metrics.parquet")
    return _CHECKED[study.name]
