"""The study on pursuits at toy size: the bound, the overfit, bad input; and the benchmark's part."""

import json
import sys

import polars as pl
import pytest
from toys import checked, run

from experiments import benchmark
from experiments.pursuit import study as pursuit
from experiments.pursuit.figures import FAMILIES, QUESTIONS
from experiments.timing import Shape
from workbench.study.selection import rows

INTERFERENCE = ("noise", "noise-trade", "trained", "trained-trade")


def values(table, metric, **where):
    return rows(table, metric=metric, kind="score", **where).sort("seed")["value"].to_list()


def test_supports_below_the_bound_are_found_and_the_worst_ones_above_it_are_not(tmp_path_factory):
    _, folder, table = checked(tmp_path_factory, pursuit.STUDY)
    drawn = {path.stem for path in (folder / "figures").iterdir()}
    assert drawn == {*(f"phase-{family}" for family in FAMILIES), *INTERFERENCE, "timing"}
    answers = {answer.question: answer for question in QUESTIONS for answer in question.answers(table)}
    assert answers["OMP recovers all below the bound: worst codes on simplices"].verdict == "CONFIRMED"
    ahead = answers["MP, abs, 8 steps, ahead of TopK at the largest n_true / d, EV"]
    assert ahead.over == "worlds and weights"
    own = rows(table, metric="recovered", seed=(0, 1))
    assert own.height == 3 * 2 * 2 * 6 * 4  # families, coherences, seeds, rules, sizes
    bound = (1 + 1 / pl.col("x")) / 2
    for rule in ("OMP", "OMP, signed", "MP, abs"):
        below = own.filter(pl.col("arm") == rule, pl.col("k") < bound)
        assert below["value"].min() == 1
        assert below["place"].n_unique() == 3
    above = own.filter(pl.col("place") == "phase worst", pl.col("k") > bound)
    assert above.height > 0
    assert above["value"].max() == 0
    assert max(values(own, "recovered", place="phase flat", arm="MP, relu", k=4)) < 0.5
    assert max(values(own, "recovered", place="phase random", arm="TopK", k=4, x=0.25)) < 1


def test_steps_beyond_the_true_number_buy_error_with_wrong_rows(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, pursuit.STUDY)
    table = table.filter(pl.col("seed").is_null() | pl.col("seed").is_in([0, 1]))
    for rule in ("MP, abs", "MP, relu", "OMP"):
        at = {"place": "noise", "x": 4, "arm": rule}
        for metric in ("precision", "error"):
            pairs = zip(values(table, metric, k=8, **at), values(table, metric, k=4, **at), strict=True)
            assert all(more < few for more, few in pairs)
    relu, absolute = (values(table, "precision", place="noise", x=4, arm=f"MP, {s}", k=8) for s in ("relu", "abs"))
    assert max(relu) < min(absolute)
    assert len(values(table, "mcc", place="trained")) == 3 * 2 * 2 * 2  # rules, ratios, steps, seeds
    assert min(values(table, "explained_variance", place="trained", k=8, arm="MP, abs")) > 0.5
    assert set(rows(table, place="timing")["m"]) == {64, 128}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--inverse", 3], "--inverse must be even numbers from 2 to 16; got (3,)"),
        (["--k", 65], "--k must be at most 64, the dimension; got (65,)"),
        (["--active", 40], "--active must be at most n_true; got 40: lower it"),
        (["--steps", 4, 40], "--steps must be at most n_true; got (4, 40): lower it"),
        (["--seeds", 0], "--seeds must be at least 1"),
        (["--widths", 0], "--widths must be at least 1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, pursuit, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


def test_parts_that_are_not_asked_for_are_not_planned():
    assert {unit.part for unit in pursuit.STUDY.units(pursuit.Pursuit(parts=("phase",)))} == {"phase"}


def test_benchmark_compares_ways_of_pursuit(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "BASE", Shape(8, 32, 4, 16))
    monkeypatch.setattr(benchmark, "BATCHES", (16, 32))
    flags = ["--parts", "pursuit", "--repeats", "1", "--threads", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *flags])
    assert benchmark.main() == 0
    rows = json.loads("".join(capsys.readouterr()))
    assert [row["batch"] for row in rows] == [16] * 4 + [32] * 4
    assert {row["library"] for row in rows} >= {"plain torch", "ours, Gram rows"}
    assert [row["speed_up"] for row in rows if row["library"] == "ours, residuals"] == [1, 1]
