"""Experiments in this process, at toy size: exit code and output, or the folder and table of one run for all tests."""

import gc
import json
import os
import sys
import time
from dataclasses import asdict

import polars as pl

from synthetic.base.storage import write_text
from workbench.check import check_study
from workbench.contract import Outcome


def run(monkeypatch, capsys, module, *flags):
    """Exit code and output of an experiment."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, flags)])
    try:
        code = module.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


def stopping(seen, each, after):
    """A display of progress that notes the steps it is shown, of so many samples each, and presses Ctrl-C once."""

    def show(samples, *_):
        seen.append(samples // each)
        if len(seen) == after:
            raise KeyboardInterrupt

    return show


def checked(tmp_path_factory, study):
    """Outcomes of the contract of a study, the folder of its toy run and its table; made once for all tests.

    Of several processes of tests the first makes them, and others that ask meanwhile wait.
    """
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "studies" / study.name
    outcomes = place / "outcomes.json"
    place.parent.mkdir(exist_ok=True)
    try:
        place.mkdir()
    except FileExistsError:
        while not outcomes.exists():
            time.sleep(0.1)
    else:
        found = []
        try:
            found = [asdict(outcome) for outcome in check_study(study, place)]
        finally:  # others do not wait for what will not come
            gc.collect()  # runs that were stopped hold their folder while a traceback refers to them
            write_text(outcomes, json.dumps(found))
    (folder,) = (place / "runs" / study.name).iterdir()
    kept = [Outcome(**outcome) for outcome in json.loads(outcomes.read_text())]
    return kept, folder, pl.read_parquet(folder / "metrics.parquet")
