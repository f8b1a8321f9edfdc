"""The experiment on factors, end to end at toy size: the shape of its result, resuming, and its refusals."""

import polars as pl
import pytest
import torch
from toys import run, starter

from experiments.factors import study as factors
from experiments.factors.scores import leaf_accuracy, supports

TOY = [
    *("--samples", "300", "--iterations", "80", "--steps", "60", "--batch", "64", "--seeds", "2"),
    *("--ratios", "0.5", "1.0", "--cores", "0", "12"),
]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run at toy size: its folder and its table."""
    return starter(tmp_path_factory, {factors: TOY})(factors)


def test_winner_take_all_finds_factors_that_a_better_fit_does_not(toy):
    folder, frame = toy
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}

    def mean(world, method, metric):
        return sum(factors.starts(frame, world, method, metric)) / 2

    assert mean("D1", "WTA", "cosine") > 0.8 > mean("D1", "dense", "cosine") > mean("D1", "TopK", "chance")
    assert mean("D1", "dense", "J / floor") < mean("D1", "WTA", "J / floor")
    assert min(frame.filter(pl.col("metric") == "J / floor")["value"]) > 1
    assert mean("D1", "WTA", "support") > 0.8
    assert mean("D1", "dense", "rises") == 0.0
    assert mean("D1", "WTA", "rises") > 0.0
    leaves = frame.filter(pl.col("metric") == "leaves")
    assert set(leaves["world"]) == {"D2"}
    assert set(frame.filter(pl.col("world") == "D2")["core"]) == {0, 12}


def test_every_method_is_compared_with_topk_on_the_same_starts(toy):
    _, frame = toy
    tables = list(factors.tables_of(frame, factors.Factorise(seeds=2)))
    assert [table.row_count for table in tables] == [len(factors.METHODS), len(factors.METHODS) - 1] * 2


def test_scores_by_hand():
    parents, family = torch.tensor([1, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert leaf_accuracy(parents, family) == 0.75  # parent 1 is family 0
    features = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    assert supports(torch.tensor([[0.1, 0, 2, -3], [3, 0.1, -0.2, 0]]), features) == 0.75


def test_resuming_gives_the_same_table(toy, monkeypatch, capsys):
    folder, frame = toy
    records = folder / "records.jsonl"
    records.write_text("\n".join(records.read_text().splitlines()[:-2]))
    code, said = run(monkeypatch, capsys, factors, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame)
    code, said = run(monkeypatch, capsys, factors, "--resume", folder, "--steps", 99)
    assert code == 2
    assert "--steps must be left alone with --resume; got 99: a run keeps its settings" in " ".join(said.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (["--samples", 8], "--samples must be at least 16; got 8: D2 has 16 factors"),
        (["--cores", 18], "--cores must be from 0 to 17; got (18,): a leaf has 18 neurons, one its own"),
        (["--ratios", 20.0], "--ratios must be from 0.1 to 12; got (20.0,): a row has 10 of 120 entries"),
        (["--iterations", 0], "--iterations must be at least 1; got 0: raise it"),
        (["--lr", 0.0], "--lr must be above 0; got 0.0: raise it"),
        (["--resume", "nowhere"], "--resume must be a run folder; got nowhere: check the path"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, factors, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, factors, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "samples" in said
    assert not list(tmp_path.iterdir())
