"""The experiments on concept levels and on signed axes end to end at toy size: results, resuming, bad input."""

import polars as pl
import pytest
from toys import run, starter

from experiments.columns import tidied
from experiments.hierarchy import figures as hierarchies
from experiments.hierarchy import study as hierarchy
from experiments.signed import figures as signs
from experiments.signed import study as bidirectional
from workbench.study.selection import nearest_l0

TOY = {
    hierarchy: [
        *("--parts", "tree", "--rho", 0.0, "--g", 0.0, 0.9, "--l1", 0.1, 0.4, "--steps", 120),
        *("--batch", 100, "--samples", 500, "--seeds", 2),
    ],
    bidirectional: [
        *("--n-true", 8, "--d", 12, "--k", 2, "--pairs", 2, "--q", 0.0, 1.0, "--p-plus", 0.5, "--l1", 0.05, 0.4),
        *("--steps", 200, "--batch", 64, "--lr", 0.02, "--samples", 500, "--seeds", 2),
    ],
}
"""flags that make each experiment a matter of seconds"""
ROWS = {hierarchy: 7, bidirectional: 3 * 5 + 2 * 3 + 2 * 3}
"""worlds times arms"""
COLUMNS = {"place": "part", "setting": "l1"}


def runs_of(frame):
    """Place, x, arm -> metric -> one number a seed, at the setting that counts."""
    runs = {}
    picked = nearest_l0(tidied(frame, COLUMNS)).filter(pl.col("kind") == "score", pl.col("arm").is_not_null())
    for (*spot, metric), own in picked.group_by("place", "x", "arm", "metric", maintain_order=True):
        runs.setdefault(tuple(spot), {})[metric] = own.sort("seed")["value"].to_list()
    return runs


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Runs an experiment at toy size, once for all tests: its folder and its table."""
    return starter(tmp_path_factory, TOY)


def cells_of(table):
    """The rows of a rich table as tuples of text."""
    return list(zip(*(map(str, column.cells) for column in table.columns), strict=True))


@pytest.mark.parametrize("module", TOY)
def test_every_world_and_arm_is_scored_and_drawn(toy, module):
    folder, frame = toy(module)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    runs = runs_of(frame)
    assert len(runs) == ROWS[module]
    assert all(len(scores["mcc"]) == 2 for scores in runs.values())
    if module is hierarchy:
        (medians, _) = hierarchies.TABLES
        chance = 1  # of the one world
        assert len(cells_of(medians.of(tidied(frame, COLUMNS)))) == len(runs) + chance


def test_with_true_rows_pursuit_is_exact_and_one_pass_fails_as_predicted(toy):
    _, frame = toy(hierarchy)
    exact = frame.filter(pl.col("part") == "true rows").pivot("metric", index="x", values="value").sort("x")
    assert exact["relu fails"].to_list() == exact["abs fails"].to_list() == [0, 0]
    assert exact["differs"].to_list() == [0, 0]
    share = (exact["one pass fails"] / exact["two active"]).to_list()
    assert share[0] == 0
    assert share[1] == pytest.approx(exact["predicted"][1], abs=0.12)  # 3 standard errors of 170 samples
    assert exact["predicted"][1] > 0.5
    (floor,) = frame.filter(pl.col("metric") == "linear floor")["value"]
    assert floor < 1e-20 < 0.05 < hierarchy.linear_floor(hierarchy.world_of("crowded", 0.0), 500)
    answers = [answer for question in hierarchies.QUESTIONS for answer in question.answers(tidied(frame, COLUMNS))]
    assert len(answers) == 3 * 2 + 3
    assert [answer.verdict for answer in answers[-3:]] == ["CONFIRMED"] * 3
    assert answers[-1].measured.startswith("not so in 0 of ")


def test_relu_counts_at_the_penalty_of_nearest_l0(toy):
    _, frame = toy(hierarchy)
    own = frame.filter(pl.col("part") == "tree", pl.col("arm") == "ReLU", pl.col("metric") == "l0")
    medians = dict(own.group_by("l1").agg(pl.col("value").median()).iter_rows())
    nearest = min(medians, key=lambda l1: abs(medians[l1] - 1.36))
    kept = sorted(runs_of(frame)["tree", 0.0, "ReLU"]["l0"])
    assert kept == sorted(own.filter(pl.col("l1") == nearest)["value"].to_list())


def test_a_relu_sae_splits_signed_axes_and_a_signed_code_does_not(toy):
    _, frame = toy(bidirectional)
    runs = runs_of(frame)
    assert max(runs["signed", 0.0, "AbsTopK"]["fragmentation"]) == 0
    assert min(runs["signed", 0.0, "ReLU 2m"]["fragmentation"]) > 0.3
    assert min(runs["signed", 0.0, "AbsTopK"]["two_signed"]) == 1
    assert max(runs["pairs", 0.0, "AbsTopK"]["fvu"]) < 0.01 < min(runs["pairs, bias 0", 0.0, "AbsTopK"]["fvu"])
    table = tidied(frame, COLUMNS)
    answers = [answer for question in signs.QUESTIONS for answer in question.answers(table)]
    assert len(answers) == 4 + 4 + 3 + 1
    assert {answer.over for answer in answers} == {"weights"}
    assert answers[-1].question.endswith("mixed 0.5, MCC")
    assert answers[-1].intervals[""].mean > 0  # AbsTopK gains on TopK as axes become signed
    (medians,) = signs.TABLES
    chance = len(signs.WORLDS)
    assert len(cells_of(medians.of(table))) == chance + len([key for key in runs if key[0] in signs.WORLDS])


@pytest.mark.parametrize("module", TOY)
def test_resuming_gives_the_same_table(toy, monkeypatch, capsys, module):
    folder, frame = toy(module)
    records = folder / "records.jsonl"
    records.write_text("\n".join(records.read_text().splitlines()[:-3]))
    code, said = run(monkeypatch, capsys, module, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame)
    code, said = run(monkeypatch, capsys, module, "--resume", folder, "--steps", 99)
    assert code == 2
    assert "--steps must be left alone with --resume; got 99: a run keeps its settings" in " ".join(said.split())


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (hierarchy, ["--rho", 1.0], "--rho must be cosines in [0, 1); got (1.0,): siblings must differ"),
        (hierarchy, ["--g", -0.1], "--g must be cosines in [0, 1); got (-0.1,)"),
        (hierarchy, ["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (hierarchy, ["--l1", -1.0], "--l1 must be numbers of at least 0; got (-1.0,): give ReLU a penalty"),
        (hierarchy, ["--child-mean", 0.0], "--child-mean must be above 0"),
        (hierarchy, ["--tol", -1.0], "--tol must be at least 0; got -1.0: use 0 for no tolerance"),
        (bidirectional, ["--q", 0.5, 0.25], "--q must be two or more shares in [0, 1], ascending; got (0.5, 0.25)"),
        (bidirectional, ["--p-plus", 1.5], "--p-plus must be probabilities; got (1.5,): give numbers in [0, 1]"),
        (bidirectional, ["--k", 30], "--k must be at most n_true=24; got 30: lower it"),
        (bidirectional, ["--seeds", 1], "--seeds must be at least 2; got 1"),
        (bidirectional, ["--lr", 0.0], "--lr must be above 0"),
        (bidirectional, ["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", TOY)
def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path, module):
    code, said = run(monkeypatch, capsys, module, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "samples" in said
    assert not list(tmp_path.iterdir())
