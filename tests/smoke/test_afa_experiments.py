"""The studies of the AFA chapter: what their toy runs show, and what they refuse."""

import polars as pl
import pytest
from toys import checked, run

import synthetic as S
import workbench as W
from experiments.afa import bounds, norms, rule, top_afa
from workbench.study.selection import rows


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy run of a study: its folder and its table."""
    return lambda module: checked(tmp_path_factory, module.STUDY)[1:]


def only_run(out):
    (folder,) = next(path for path in out.iterdir() if path.is_dir()).iterdir()
    return folder


def medians(table, **wanted):
    own = rows(table, kind="score", **wanted)
    return dict(own.group_by("x").agg(pl.col("value").median()).sort("x").iter_rows())


def test_groups_of_one_name_stay_apart(monkeypatch, capsys, tmp_path):
    for name in ("one", "two"):
        S.save_world(S.SparseMixture(n_true=12, d=8), tmp_path / name / "worlds" / "base")
        W.create("topk", 8, 16, k=2, seed=[0, 1]).save(tmp_path / name / "saes" / "base-topk")
    saes = [tmp_path / name / "saes" / "base-topk" for name in ("one", "two")]
    out = tmp_path / "out"
    code, said = run(monkeypatch, capsys, norms, "--saes", *saes, "--samples", 50, "--out", out, "--jobs", 1)
    assert code == 0, said
    table = pl.read_parquet(only_run(out) / "metrics.parquet")
    assert set(table["arm"]) == {"one/base-topk", "two/base-topk"}


def test_bounds_keep_their_order_and_the_optimiser_climbs(toy):
    _, table = toy(bounds)
    at = {name: medians(table, place="ladder", arm=name)[8.0] for name in set(rows(table, place="ladder")["arm"])}
    assert at["ε(n − 1), the paper's"] > at["μ(k − 1)"] > at["μ(L²/N − 1)"] > at["measured"]
    assert at["μ(k − 1)"] > at["Gershgorin"] > at["largest |eigenvalue|"] > at["measured"]
    assert at["random signs: rms"] < at["random signs: √2 μ bound"] < at["μ(k − 1)"]
    law, measured = (medians(table, place="average", arm="k = 32", metric=name) for name in ("law", "measured"))
    assert measured[32.0] == pytest.approx(law[32.0], rel=0.3)
    assert law[8.0] / law[32.0] == pytest.approx(2.0, rel=0.01)
    climb = medians(table, place="climb", arm="above, k = 4")
    assert climb[60.0] > max(0.9, climb[1.0])
    crowded = medians(table, place="constants", arm="random rows")
    assert all(c >= 1 for ratio, c in crowded.items() if ratio > 1)


def test_the_norm_plot_splits_the_mismatch_and_reads_a_run(toy, monkeypatch, capsys, tmp_path):
    folder, table = toy(norms)
    for seed in (0, 1):
        own = dict(rows(table, arm="topk", seed=seed).select("metric", "value").iter_rows())
        assert own["interference"] + own["residual"] + own["shrinkage"] == pytest.approx(own["mismatch"], abs=1e-6)
    values = {name: rows(table, arm=name, metric="median r")["value"].max() for name in ("topk", "top_afa")}
    assert values["top_afa"] < values["topk"]  # it matches norms by construction
    flags = ("--samples", 300, "--out", tmp_path / "again", "--jobs", 1)
    code, said = run(monkeypatch, capsys, norms, "--saes", folder / "saes" / "base-topk", *flags)
    assert code == 0, said
    again = pl.read_parquet(only_run(tmp_path / "again") / "metrics.parquet")
    first = rows(table, arm="topk", seed=(0, 1))
    assert again["metric"].to_list() == first["metric"].to_list()
    assert again["value"].to_list() == pytest.approx(first["value"].to_list(), rel=1e-5)


def test_the_rule_by_itself(toy):
    _, table = toy(rule)
    steps = list(medians(table, place="staircase", arm="flat").values())
    assert steps == sorted(steps)
    assert {steps[0], steps[-1]} == {1.0, 16.0}
    exact = {d: medians(table, place="exact", d=d) for d in (16, 256)}
    assert exact[256][16.0] < exact[256][2.0] > 0.9
    assert exact[16][16.0] < exact[256][2.0]
    low, tied, high = (medians(table, place="tied", arm=name)[16.0] for name in ("√λ_min", "C_K/τ", "√λ_max"))
    assert low < tied < high
    saturated = medians(table, place="start", arm="saturated")
    assert saturated[0.5] == 1.0 > saturated[1.0] > saturated[3.0] == 0.0
    spread = medians(table, place="target", arm="standardised")
    assert spread[0.9] == pytest.approx(spread[0.1], abs=1e-3)
    trivial, truth = (
        dict(rows(table, place="optima", arm=name, seed=0).select("metric", "value").iter_rows())
        for name in ("[A, −A], any A", "the truth")
    )
    assert trivial["fvu"] < 1e-6 < truth["fvu"]
    assert trivial["norm loss"] < 1e-6 < truth["norm loss"]
    assert (trivial["recovered"], truth["recovered"]) == (0.0, 64.0)


def test_top_afa_starts_at_the_truth_and_elsewhere(toy):
    _, table = toy(top_afa)
    start = rows(table, place=top_afa.TRUTH, step=0, metric="recovered", kind="score")
    assert start["value"].to_list() == [16.0] * 4
    grid = rows(table, place=(top_afa.WHOLE, top_afa.SINGLE), metric="l0").filter(pl.col("weight").is_not_null())
    assert grid.height == 2 * 2 * 2 * 2  # weights, seeds, starts, normalisations
    assert set(grid.select("setting", "weight").rows()) == {("afa=0", 0), ("afa=0.5", 1)}


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (bounds, ["--k", 1], "--k must be whole numbers from 2"),
        (bounds, ["--k", 2, 999], "--k must be at most n=256; got 999: lower k or raise n"),
        (rule, ["--k", 1], "--k must be whole numbers from 2"),
        (rule, ["--dims", *range(2, 8)], "--dims must be up to 5; got (2, 3, 4, 5, 6, 7): they are lines of one panel"),
        (norms, ["--variants", "tpk"], "perhaps you meant 'topk'"),
        (norms, ["--saes", "nowhere"], "must be an SAE folder or the run folder"),
        (norms, ["--samples", 1], "--samples must be at least 10"),
        (top_afa, ["--k", 99], "--k must be from 1 to 64; got (99,)"),
        (top_afa, ["--afa", -1.0], "--afa must be weights of at least 0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())
