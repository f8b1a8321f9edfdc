"""Experiments in this process, at toy size: exit code and output, or the folder and table of one run for all tests."""

import sys

import polars as pl
import pytest


def run(monkeypatch, capsys, module, *flags):
    """Exit code and output of an experiment."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, flags)])
    try:
        code = module.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


def starter(tmp_path_factory, toy):
    """From an experiment to the folder and table of its one run with the flags `toy` has for it."""
    done = {}

    def start(module):
        if module not in done:
            out = tmp_path_factory.mktemp("toy")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", [module.__name__, *map(str, [*toy[module], "--out", out, "--jobs", 1])])
                assert module.main() == 0
            (folder,) = next(path for path in out.iterdir() if path.is_dir()).iterdir()
            done[module] = folder, pl.read_parquet(folder / "metrics.parquet")
        return done[module]

    return start
