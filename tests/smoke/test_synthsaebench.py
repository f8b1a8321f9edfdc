"""The public benchmark at toy size: the shape of its results, an interrupted run that goes on, bad input."""

import sys

import numpy as np
import polars as pl
import pytest

import workbench as W
from experiments import synthsaebench
from experiments.synthsaebench import Bench, new_world, plan, published, work
from synthetic import save_world

TINY = ["--n-true", 160, "--d", 24, "--width", 40, "--batch", 64, "--samples", 6400, "--lr", 0.003, "--l0", 1, 2]
TINY += ["--seeds", 2, "--evaluations", 2, "--curve-samples", 500, "--evaluation-samples", 2000, "--threads", 1]


def run(monkeypatch, capsys, *flags):
    """Exit code and output of the experiment in this process."""
    monkeypatch.setattr(sys, "argv", ["synthsaebench.py", *map(str, flags)])
    try:
        code = synthsaebench.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, " ".join("".join(capsys.readouterr()).split())


def test_a_run_and_its_resumption(monkeypatch, capsys, tmp_path):
    flags = [*TINY, "--no-parent-scaling", "--recipes", "matryoshka", "--out", tmp_path]
    code, said = run(monkeypatch, capsys, *flags)
    assert code == 0, said
    assert "parent scaling OFF, true L0" in said
    (folder,) = (tmp_path / "synthsaebench").iterdir()
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    frame = pl.read_parquet(folder / "metrics.parquet")
    final = frame.filter(pl.col("final"))
    scores = {
        name: final.filter(pl.col("metric") == name).sort("l0", "seed")["value"].to_list() for name in ("l0", "mcc")
    }
    assert scores["l0"] == pytest.approx([1, 1, 2, 2], rel=0.3)
    assert len(set(scores["mcc"])) == 4
    curve = (
        frame.filter(pl.col("metric") == "saelens_f1").group_by("samples").agg(pl.col("value").mean()).sort("samples")
    )
    assert curve["samples"].to_list() == [64, 6400]
    assert curve["value"][1] > curve["value"][0]
    assert W.load(folder / "saes" / "matryoshka").shape == (2, 2)
    (folder / "records.jsonl").write_text("")  # as a stop would leave it

    def here(work, cells, *_, **__):
        return {cell["id"]: work(cell, lambda *_: None) for cell in cells}, {}

    monkeypatch.setattr(synthsaebench, "finish_cells", here)
    code, said = run(monkeypatch, capsys, "--resume", folder)
    assert code == 0, said
    order = ["recipe", "l0", "seed", "step", "metric"]
    timeless = pl.col("metric") != "seconds"
    assert (
        pl.read_parquet(folder / "metrics.parquet")
        .filter(timeless)
        .sort(order)
        .equals(frame.filter(timeless).sort(order))
    )
    code, said = run(monkeypatch, capsys, "--resume", folder, "--seeds", 3)
    assert code == 2
    assert "--seeds must be left alone with --resume; got 3" in said


def test_a_stopped_cell_goes_on_from_its_checkpoint(monkeypatch, tmp_path):
    settings = Bench(n_true=160, d=24, width=40, batch=64, samples=1280, l0=(2.0,), checkpoint_every=8, evaluations=2)
    settings = Bench(**(vars(settings) | {"curve_samples": 200, "evaluation_samples": 300, "device": "cpu"}))
    results, seen = [], []
    for name in ("whole", "broken"):
        save_world(new_world(settings), tmp_path / name / "world")
        (cell,) = plan(Bench(**(vars(settings) | {"recipes": ("ista_matryoshka",)})))
        cell |= {"folder": str(tmp_path / name)}

        def report(samples, _, name=name):
            seen.append(samples // 64)
            if name == "broken" and len(seen) == 32:
                raise KeyboardInterrupt

        if name == "broken":
            with pytest.raises(KeyboardInterrupt):
                work(cell, report)
        results.append(work(cell, report))
    assert seen == [*range(1, 21), *range(1, 13), *range(9, 21)]
    for record in results[0] + results[1]:
        record.pop("seconds")
    assert results[0] == results[1]


def test_small_worlds_are_of_the_benchmarks_kind():
    world = new_world(Bench(n_true=512, d=64, parent_scaling=False, correlation=False))
    assert (world.firing.trees, world.firing.scale_by_parent, world.n_true) == (4, False, 512)
    assert int((world.truth.parents >= 0).sum()) == 4 * 84


def test_published_figures_stand_beside_their_own_shape_only():
    assert published(Bench(), "matryoshka", 25.0) == {"saelens_f1": 0.879, "saelens_mcc": 0.793, "mcc": 0.793}
    assert not published(Bench(), "topk", 25.0)
    assert not published(Bench(), "matryoshka", 26.0)
    assert not published(Bench(width=1024), "matryoshka", 25.0)
    assert all(np.shape(pair) == (2, 7) for pair in synthsaebench.PUBLISHED.values())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipes", "ista"], "--recipes must be one of"),
        (["--l0", 99], "--l0 must be in (0, width=40]; got (99.0,): lower it or raise width"),
        (["--samples", 1], "--samples must be at least the batch of 64"),
        (["--n-true", 10], "--n-true must be at least 128"),
        (["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, *TINY, *flags, "--out", tmp_path)
    assert code == 2
    assert message in said
    assert not list(tmp_path.iterdir())


def test_dry_run_says_what_it_would_do(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, *TINY, "--dry-run", "--recipes", "all", "--out", tmp_path)
    assert code == 0
    assert "parent scaling on" in said
    assert all(f"{name} 6,400 samples x 4 members" in said for name in W.RECIPES)
    assert not list(tmp_path.iterdir())
