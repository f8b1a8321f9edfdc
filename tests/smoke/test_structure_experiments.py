"""The studies on concept levels and on signed axes: what their toy runs show, and what they refuse."""

import polars as pl
import pytest
from toys import checked, run

from experiments.hierarchy import figures as hierarchies
from experiments.hierarchy import study as hierarchy
from experiments.signed import figures as signs
from experiments.signed import study as bidirectional
from workbench.study.selection import nearest_l0, rows
from workbench.study.table import setting_columns


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy run of a study: its folder and its table."""
    return lambda module: checked(tmp_path_factory, module.STUDY)[1:]


def values(table, place, x, arm, metric, **where):
    """One number a seed of a score."""
    return rows(table, place=place, x=x, arm=arm, metric=metric, kind="score", **where)["value"].to_list()


def test_with_true_rows_pursuit_is_exact_and_one_pass_fails_as_predicted(toy):
    _, table = toy(hierarchy)
    exact = table.filter(pl.col("place") == "true rows").pivot("metric", index="x", values="value").sort("x")
    assert exact["relu fails"].to_list() == exact["abs fails"].to_list() == [0, 0]
    assert exact["differs"].to_list() == [0, 0]
    share = (exact["one pass fails"] / exact["two active"]).to_list()
    assert share[0] == 0
    assert share[1] == pytest.approx(exact["predicted"][1], abs=0.12)  # 3 standard errors of 170 samples
    assert exact["predicted"][1] > 0.5
    (floor,) = table.filter(pl.col("metric") == "linear floor")["value"]
    assert floor < 1e-20 < 0.05 < hierarchy.linear_floor(hierarchy.world_of("crowded", 0.0), 500)
    answers = [answer for question in hierarchies.QUESTIONS for answer in question.answers(table)]
    assert [answer.verdict for answer in answers[-3:]] == ["CONFIRMED"] * 3


def test_relu_counts_at_the_penalty_of_nearest_l0(toy):
    _, table = toy(hierarchy)
    own = setting_columns(rows(table, place="tree", arm="ReLU", metric="l0"))
    medians = dict(own.group_by("l1").agg(pl.col("value").median()).iter_rows())
    nearest = min(medians, key=lambda l1: abs(medians[l1] - 1.36))
    picked = sorted(values(nearest_l0(table), "tree", 0.0, "ReLU", "l0"))
    assert picked == sorted(own.filter(pl.col("l1") == nearest)["value"].to_list())


def test_a_relu_sae_splits_signed_axes_and_a_signed_code_does_not(toy):
    _, table = toy(bidirectional)
    picked = nearest_l0(table)
    assert picked.select("place", "x", "arm").n_unique() == 3 * 5 + 2 * 3 + 2 * 3
    assert max(values(picked, "signed", 0.0, "AbsTopK", "fragmentation")) == 0
    assert min(values(picked, "signed", 0.0, "ReLU 2m", "fragmentation")) > 0.3
    assert min(values(picked, "signed", 0.0, "AbsTopK", "two_signed")) == 1
    held = values(picked, "pairs, bias 0", 0.0, "AbsTopK", "fvu")
    assert max(values(picked, "pairs", 0.0, "AbsTopK", "fvu")) < 0.01 < min(held)
    answers = [answer for question in signs.QUESTIONS for answer in question.answers(table)]
    assert len(answers) == 4 + 4 + 3 + 1
    assert {answer.over for answer in answers} == {"weights"}
    assert answers[-1].question.endswith("mixed 0.5, MCC")
    assert answers[-1].intervals[""].mean > 0  # AbsTopK gains on TopK as axes become signed


def test_all_shares_of_signed_axes_stand_under_each_probability():
    two = bidirectional.Bidirectional(parts=("mixed",), q=(0.0, 1.0), p_plus=(0.5, 0.9))
    at = [(place.label, place.x, place.aliases) for place in bidirectional.places(two)]
    assert at == [("mixed 0.5", 0.0, ("mixed 0.9",)), ("mixed 0.5", 1.0, ()), ("mixed 0.9", 1.0, ())]


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (hierarchy, ["--rho", 1.0], "--rho must be cosines in [0, 1); got (1.0,): siblings must differ"),
        (hierarchy, ["--g", -0.1], "--g must be cosines in [0, 1); got (-0.1,)"),
        (hierarchy, ["--l1", -1.0], "--l1 must be numbers of at least 0; got (-1.0,): give ReLU a penalty"),
        (hierarchy, ["--child-mean", 0.0], "--child-mean must be above 0"),
        (hierarchy, ["--tol", -1.0], "--tol must be at least 0; got -1.0: use 0 for no tolerance"),
        (bidirectional, ["--q", 0.5, 0.25], "--q must be two or more shares in [0, 1], ascending; got (0.5, 0.25)"),
        (bidirectional, ["--p-plus", 1.5], "--p-plus must be probabilities; got (1.5,): give numbers in [0, 1]"),
        (bidirectional, ["--k", 30], "--k must be at most n_true=24; got 30: lower it"),
        (bidirectional, ["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())
