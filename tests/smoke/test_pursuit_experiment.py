"""The experiment on pursuits at toy size: the bound, the overfit, resuming, bad input; and the benchmark's part."""

import json
import sys

import polars as pl
import pytest
from toys import run, starter

from experiments import benchmark
from experiments.pursuit import study as pursuit
from experiments.pursuit.figures import FAMILIES, QUESTIONS, placed
from experiments.timing import Shape

TOY = [
    *("--inverse", 4, 8, "--k", 1, 2, 4, 6, "--samples", 40, "--seeds", 2, "--ratios", 1, 4, "--steps", 4, 8),
    *("--train-steps", 60, "--batch", 64, "--widths", 64, 128, "--repeats", 1),
]
"""flags that make the experiment a matter of seconds"""

INTERFERENCE = ("noise", "noise-trade", "trained", "trained-trade")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Folder and table of one run at toy size."""
    return starter(tmp_path_factory, {pursuit: TOY})(pursuit)


def values(frame, metric, **wanted):
    own = frame.filter(pl.col("metric") == metric, *(pl.col(name) == value for name, value in wanted.items()))
    return own["value"].to_list()


def test_supports_below_the_bound_are_found_and_the_worst_ones_above_it_are_not(toy):
    folder, frame = toy
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}.{ending}"
        for name in (*(f"phase-{family}" for family in FAMILIES), *INTERFERENCE, "timing")
        for ending in ("png", "svg")
    }
    answers = {answer.question: answer for question in QUESTIONS for answer in question.answers(placed(frame))}
    assert answers["OMP recovers all below the bound: worst codes on simplices"].verdict == "CONFIRMED"
    faster = answers["MP, abs, 8 steps, ahead of TopK at the largest n_true / d, EV"]
    assert (faster.over, faster.n) == ("worlds and weights", 2)
    own = frame.filter(pl.col("part") == "phase")
    assert own.height == 3 * 2 * 2 * 6 * 4  # families, coherences, seeds, rules, sizes
    for rule in ("OMP", "OMP, signed", "MP, abs"):
        below = own.filter(pl.col("rule") == rule, pl.col("k") < (1 + pl.col("inverse")) / 2)
        assert below["value"].min() == 1
        assert below["family"].n_unique() == 3
    above = own.filter(pl.col("family") == "worst", pl.col("k") > (1 + pl.col("inverse")) / 2)
    assert above.height > 0
    assert above["value"].max() == 0
    assert max(values(own, "recovered", family="flat", rule="MP, relu", k=4)) < 0.5
    assert max(values(own, "recovered", family="random", rule="TopK", k=4, inverse=4)) < 1


def test_steps_beyond_the_true_number_buy_error_with_wrong_rows(toy):
    _, frame = toy
    for rule in ("MP, abs", "MP, relu", "OMP"):
        at = {"part": "noise", "ratio": 4, "rule": rule}
        for metric in ("precision", "error"):
            pairs = zip(values(frame, metric, k=8, **at), values(frame, metric, k=4, **at), strict=True)
            assert all(more < few for more, few in pairs)
    relu, absolute = (values(frame, "precision", part="noise", ratio=4, rule=f"MP, {s}", k=8) for s in ("relu", "abs"))
    assert max(relu) < min(absolute)
    assert len(values(frame, "mcc", part="trained")) == 3 * 2 * 2 * 2  # rules, ratios, steps, seeds
    assert min(values(frame, "explained_variance", part="trained", k=8, rule="MP, abs")) > 0.5
    assert sorted(set(frame.filter(pl.col("part") == "timing")["m"])) == [64, 128]


def test_resuming_gives_the_same_table(toy, monkeypatch, capsys):
    folder, frame = toy
    records = folder / "records.jsonl"
    lines = records.read_text().splitlines()
    records.write_text("\n".join(line for line in lines if '"id": "noise' not in line))
    code, said = run(monkeypatch, capsys, pursuit, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert "MP, relu, 8" in said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--inverse", 3], "--inverse must be even numbers from 2 to 16; got (3,)"),
        (["--k", 65], "--k must be at most 64, the dimension; got (65,)"),
        (["--active", 40], "--active must be at most n_true; got 40: lower it"),
        (["--steps", 4, 40], "--steps must be at most n_true; got (4, 40): lower it"),
        (["--seeds", 0], "--seeds must be at least 1"),
        (["--widths", 0], "--widths must be one or more, at least 1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, pursuit, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, pursuit, "--dry-run", "--parts", "phase", "--out", tmp_path)
    assert code == 0
    assert "phase/worst/14/0" in said
    assert "noise" not in said.split("}")[-1]
    assert not list(tmp_path.iterdir())


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
