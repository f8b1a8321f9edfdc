"""The experiment on attention outputs at toy size: shapes of its results, verdicts, resuming, bad input."""

import polars as pl
import pytest
import toys

from experiments.attention import study as attention
from experiments.attention.figures import DFA, LIFT, RHO, ROTATED, SIZE, placed, questions

TOY = [
    *("--n-true", 24, 32, "--base", 24, "--condition", 1, 1000, "--split", 0, 1, "--owned", 4, 12, 16),
    *("--heads", 6, "--d-head", 6, "--steps", 120, "--batch", 128, "--seeds", 2, "--lr", 0.01),
]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Folder and table of one run at toy size."""
    return toys.starter(tmp_path_factory, {attention: TOY})(attention)


def values(frame, what, **at):
    return frame.filter(pl.col("what") == what, *(pl.col(name) == v for name, v in at.items()))["value"].to_list()


def test_writers_are_found_in_z_and_not_where_heads_are_mixed(toy):
    folder, frame = toy
    assert {path.name for path in (folder / "figures").iterdir()} == {"attention.png", "attention.svg"}
    assert len(values(frame, "MCC", part="recovery")) == 3 * 2 * 2  # arms, sizes, seeds
    for arm in ("TopK", "ReLU"):
        found, chance = (values(frame, what, part="recovery", arm=arm) for what in ("MCC", "chance"))
        assert min(found) > max(chance) + 0.2
        assert min(values(frame, RHO, arm=arm)) > 0.95
        assert max(values(frame, "sure but misranked", arm=arm)) == 0
    assert max(abs(v - 0.5) for v in values(frame, RHO, arm=ROTATED)) < 0.2
    assert max(values(frame, "largest share", arm=ROTATED)) < 0.3 < min(values(frame, "largest share", arm="TopK"))
    assert min(values(frame, LIFT, arm="TopK")) > max(values(frame, SIZE, arm="TopK"))
    assert min(values(frame, DFA, arm="ReLU")) > 0.9


def test_ablations_are_clipped_parts_unless_topk_selects_again(toy):
    _, frame = toy
    assert values(frame, "neither", arm="ReLU") == [0, 0]
    assert min(values(frame, "neither", arm="TopK")) > 0
    for arm in ("TopK", "ReLU"):
        both = zip(values(frame, "exactly the part", arm=arm), values(frame, "clipped", arm=arm), strict=True)
        assert all(exact > 0.5 and clipped > 0 for exact, clipped in both)
    drawn = frame.filter(pl.col("what") == "ablation", pl.col("arm") == "ReLU")
    off = drawn.select((pl.min_horizontal("place", 1.0) - pl.col("value")).abs().max()).item()
    assert off < 1e-3


def test_ill_conditioned_outputs_and_roles(toy):
    _, frame = toy
    agree = {c: values(frame, "agreement", place=c) for c in (1.0, 1000.0)}
    assert max(agree[1000.0]) < min(agree[1.0])
    roles = {w: {(o, s): values(frame, w, part="roles", owned=o, place=s) for o in (4, 12, 16) for s in (0.0, 1.0)}
             for w in ("formula", "planted", "trained")}  # fmt: skip
    assert roles["planted"][4, 0.0] == roles["formula"][4, 0.0] == [1, 1]  # fewer than are read
    assert roles["planted"][12, 0.0] == roles["formula"][12, 0.0] == [0, 0]
    assert min(roles["planted"][12, 1.0] + roles["formula"][12, 1.0]) > 0.9
    assert roles["trained"][4, 0.0] == roles["trained"][16, 0.0] == []
    assert len(roles["trained"][12, 1.0]) == 2


def test_every_verdict_names_its_number(toy):
    _, frame = toy
    settings = attention.Attention(n_true=(24, 32), base=24, condition=(1.0, 1000.0), split=(0.0, 1.0),
                                   owned=(4, 12, 16), seeds=2)  # fmt: skip
    table = placed(frame)
    answers = {answer.question: answer for question in questions(settings) for answer in question.answers(table)}
    assert len(answers) == 15
    assert answers["TopK: fall ≠ min(DFA, f) (share)"].verdict == "REFUTED"
    assert answers["ReLU: fall ≠ min(DFA, f) (share)"].verdict == "CONFIRMED"
    assert {answer.over for answer in answers.values()} == {"worlds and weights"}
    worst = [min(pair) for pair in zip(*(values(frame, RHO, arm="TopK", n_true=n) for n in (24, 32)), strict=True)]
    assert answers["TopK: ρ finds the writers, least AUC"].intervals[""].mean == sum(worst) / 2


def test_resuming_gives_the_same_table(toy, monkeypatch, capsys):
    folder, frame = toy
    records = folder / "records.jsonl"
    lines = [line for line in records.read_text().splitlines() if '"id": "roles/4' not in line]
    records.write_text("\n".join(lines))
    code, out = toys.run(monkeypatch, capsys, attention, "--resume", folder, "--jobs", 1)
    assert code == 0, out
    assert "AUC ρ" in out
    assert max(map(len, out.split("figure ")[0].splitlines())) <= 80
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame, null_equal=True)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--k", 0], "--k must be at least 1; got 0: raise it"),
        (["--heads", 7], "--heads must be even, at least 6; got 7: three of a pattern write a feature"),
        (["--n-true", 4, 64], "--n-true must be at least 8, one a head; got 4: raise it or --base"),
        (["--base", 48], "--base must be one of --n-true (32, 64, 128, 256); got 48: add it there"),
        (["--k", 65], "--k must be at most 64 latents; got 65: lower it"),
        (["--condition", 10.0], "--condition must be 1 first, none below; got (10.0,)"),
        (["--split", 0.5], "--split must be 0 first, none above 1; got (0.5,)"),
        (["--active", 0.0], "--active must be in (0, 32]; got 0.0"),
        (["--seeds", 1], "--seeds must be at least 2; got 1: an interval needs two numbers"),
        (["--resume", "nowhere"], "--resume must be a run folder"),
        (["--lr", 0.0], "TrainConfig.lr must be above 0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, out = toys.run(monkeypatch, capsys, attention, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(out.split())
    assert not list(tmp_path.iterdir())


def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path):
    code, out = toys.run(monkeypatch, capsys, attention, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "roles/16/0.5/4" in out
    assert not list(tmp_path.iterdir())
