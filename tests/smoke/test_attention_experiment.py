"""The study on attention outputs at toy size: shapes of its results, verdicts, bad input."""

import polars as pl
import pytest
import toys

from experiments.attention import study as attention
from experiments.attention.figures import DFA, LIFT, RHO, ROTATED, SIZE, questions
from workbench.study.selection import rows


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of its toy run, of the seeds that it started with."""
    _, _, table = toys.checked(tmp_path_factory, attention.STUDY)
    return table.filter(pl.col("seed") < 2)


def values(table, metric, **where):
    return rows(table, metric=metric, kind=where.pop("kind", "score"), **where)["value"].to_list()


def test_writers_are_found_in_z_and_not_where_heads_are_mixed(table):
    assert len(values(table, "mcc", place="recovery")) == 3 * 2 * 2  # arms, sizes, seeds
    for arm in ("TopK", "ReLU"):
        found, chance = (values(table, "mcc", place="recovery", arm=arm, kind=kind) for kind in ("score", "null"))
        assert min(found) > max(chance) + 0.2
        assert min(values(table, RHO, arm=arm)) > 0.95
        assert max(values(table, "sure_misranked", arm=arm)) == 0
    assert max(abs(v - 0.5) for v in values(table, RHO, arm=ROTATED)) < 0.2
    assert max(values(table, "largest_share", arm=ROTATED)) < 0.3 < min(values(table, "largest_share", arm="TopK"))
    assert min(values(table, LIFT, arm="TopK")) > max(values(table, SIZE, arm="TopK"))
    assert min(values(table, DFA, arm="ReLU")) > 0.9


def test_ablations_are_clipped_parts_unless_topk_selects_again(table):
    assert values(table, "neither", arm="ReLU") == [0, 0]
    assert min(values(table, "neither", arm="TopK")) > 0
    for arm in ("TopK", "ReLU"):
        both = zip(values(table, "exact_part", arm=arm), values(table, "clipped", arm=arm), strict=True)
        assert all(exact > 0.5 and clipped > 0 for exact, clipped in both)
    drawn = rows(table, metric="ablation", arm="ReLU")
    off = drawn.select((pl.min_horizontal("x", 1.0) - pl.col("value")).abs().max()).item()
    assert off < 1e-3


def test_ill_conditioned_outputs_and_roles(table):
    agree = {c: values(table, "agreement", x=c) for c in (1.0, 1000.0)}
    assert max(agree[1000.0]) < min(agree[1.0])
    roles = {w: {(o, s): values(table, w, place="roles", owned=o, x=s) for o in (4, 12, 16) for s in (0.0, 1.0)}
             for w in ("formula", "planted", "trained")}  # fmt: skip
    assert roles["planted"][4, 0.0] == roles["formula"][4, 0.0] == [1, 1]  # fewer than are read
    assert roles["planted"][12, 0.0] == roles["formula"][12, 0.0] == [0, 0]
    assert min(roles["planted"][12, 1.0] + roles["formula"][12, 1.0]) > 0.9
    assert roles["trained"][4, 0.0] == roles["trained"][16, 0.0] == []
    assert len(roles["trained"][12, 1.0]) == 2


def test_every_verdict_names_its_number(table):
    settings = attention.STUDY.toy
    answers = {answer.question: answer for question in questions(settings) for answer in question.answers(table)}
    assert len(answers) == 15
    assert answers["TopK: fall ≠ min(DFA, f) (share)"].verdict == "REFUTED"
    assert answers["ReLU: fall ≠ min(DFA, f) (share)"].verdict == "CONFIRMED"
    assert {answer.over for answer in answers.values()} == {"worlds and weights"}
    worst = [min(pair) for pair in zip(*(values(table, RHO, arm="TopK", n_true=n) for n in (24, 32)), strict=True)]
    assert answers["TopK: ρ finds the writers, least AUC"].intervals[""].mean == sum(worst) / 2


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
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, out = toys.run(monkeypatch, capsys, attention, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(out.split())
    assert not list(tmp_path.iterdir())
