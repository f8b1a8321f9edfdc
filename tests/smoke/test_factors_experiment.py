"""The study on factors at toy size: the shape of its result, and its refusals."""

import pytest
import torch
from toys import checked, run

from experiments.factors import study as factors
from experiments.factors.figures import PAIRED, against_topk
from experiments.factors.scores import leaf_accuracy, supports
from workbench.study.selection import present, replicates, rows


def test_winner_take_all_finds_factors_that_a_better_fit_does_not(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, factors.STUDY)

    def mean(place, arm, metric, kind="score"):
        return sum(replicates(rows(table, place=place, arm=arm), metric, kind).values()) / 2

    assert mean("D1", "WTA", "mcc") > 0.8 > mean("D1", "dense", "mcc") > mean("D1", "TopK", "mcc", "null")
    assert mean("D1", "dense", "over_floor") < mean("D1", "WTA", "over_floor")
    assert rows(table, metric="over_floor")["value"].min() > 1
    assert mean("D1", "WTA", "support") > 0.8
    assert mean("D1", "dense", "rises") == 0.0
    assert mean("D1", "WTA", "rises") > 0.0
    assert set(rows(table, metric="leaves")["place"]) == {"D2", "D2 cores"}
    assert present(rows(table, place="D2 cores"), "core") == [0, 12]
    assert present(rows(table, place="D1 shares"), "x") == [0.5, 1.0]


def test_every_method_is_compared_with_topk_on_the_same_starts(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, factors.STUDY)
    shown = against_topk(table)
    assert [lines.row_count for lines in shown] == [len(factors.METHODS) - 1] * 2
    assert [len(lines.columns) for lines in shown] == [len(PAIRED), len(PAIRED) + 1]  # no leaves on D1


def test_scores_by_hand():
    parents, family = torch.tensor([1, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert leaf_accuracy(parents, family) == 0.75  # parent 1 is family 0
    features = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    assert supports(torch.tensor([[0.1, 0, 2, -3], [3, 0.1, -0.2, 0]]), features) == 0.75


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (["--samples", 8], "--samples must be at least 16; got 8: D2 has 16 factors"),
        (["--cores", 18], "--cores must be from 0 to 17; got (18,): a leaf has 18 neurons, one its own"),
        (["--ratios", 20.0], "--ratios must be from 0.1 to 12; got (20.0,): a row has 10 of 120 entries"),
        (["--iterations", 0], "--iterations must be at least 1; got 0: raise it"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, factors, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())
