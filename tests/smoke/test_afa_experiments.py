"""The experiments of the AFA chapter end to end at toy size: the shape of their results, resuming, bad input."""

import polars as pl
import pytest
from toys import run

import synthetic as S
import workbench as W
from experiments.afa import bounds as afa_bounds
from experiments.afa import norms as zf_plot
from experiments.afa import rule as top_afa_rule
from experiments.afa import top_afa


def only_run(out):
    (folder,) = next(path for path in out.iterdir() if path.is_dir()).iterdir()
    return folder


def test_groups_of_one_name_stay_apart(monkeypatch, capsys, tmp_path):
    for name in ("one", "two"):
        S.save_world(S.SparseMixture(n_true=12, d=8), tmp_path / name / "worlds" / "base")
        W.create("topk", 8, 16, k=2, seed=[0, 1]).save(tmp_path / name / "saes" / "base-topk")
    saes = [tmp_path / name / "saes" / "base-topk" for name in ("one", "two")]
    code, said = run(monkeypatch, capsys, zf_plot, "--saes", *saes, "--samples", 50, "--out", tmp_path / "out")
    assert code == 0, said
    frame = pl.read_parquet(only_run(tmp_path / "out") / "metrics.parquet")
    assert set(frame["group"]) == {"one/base-topk", "two/base-topk"}


def drawn(folder):
    return {path.suffix for path in (folder / "figures").iterdir()}


def medians(frame, **wanted):
    own = frame.filter(*(pl.col(name) == value for name, value in wanted.items()))
    return dict(own.group_by("x").agg(pl.col("value").median()).sort("x").iter_rows())


def test_bounds_keep_their_order_and_the_optimiser_climbs(monkeypatch, capsys, tmp_path):
    flags = ["--d", 16, "--n", 32, "--k", 2, 8, "--samples", 60, "--steps", 60, "--dims", 8, 32, "--seeds", 2]
    code, said = run(monkeypatch, capsys, afa_bounds, *flags, "--out", tmp_path)
    assert code == 0, said
    folder = only_run(tmp_path)
    assert drawn(folder) == {".png", ".svg"}
    frame = pl.read_parquet(folder / "metrics.parquet")
    at = {name: medians(frame, panel="ladder", line=name)[8.0] for name in afa_bounds.LADDER}
    assert at["ε(n − 1), the paper's"] > at["μ(k − 1)"] > at["μ(L²/N − 1)"] > at["measured"]
    assert at["μ(k − 1)"] > at["Gershgorin"] > at["largest |eigenvalue|"] > at["measured"]
    assert at["random signs: rms"] < at["random signs: √2 μ bound"] < at["μ(k − 1)"]
    law, measured = (medians(frame, panel="average", line=f"{name}, k = 32") for name in ("law", "measured"))
    assert measured[32.0] == pytest.approx(law[32.0], rel=0.3)
    assert law[8.0] / law[32.0] == pytest.approx(2.0, rel=0.01)
    climb = medians(frame, panel="climb", line="above, k = 4")
    assert climb[60.0] > max(0.9, climb[1.0])
    crowded = medians(frame, panel="constants", line="random rows")
    assert all(c >= 1 for ratio, c in crowded.items() if ratio > 1)


def test_zf_plot_splits_the_mismatch_and_reads_a_run(monkeypatch, capsys, tmp_path):
    flags = ["--variants", "topk", "top_afa", "--m", 64, "--steps", 60, "--seeds", 2, "--samples", 300]
    code, said = run(monkeypatch, capsys, zf_plot, *flags, "--out", tmp_path)
    assert code == 0, said
    folder = only_run(tmp_path)
    assert drawn(folder) == {".png", ".svg"}
    frame = pl.read_parquet(folder / "metrics.parquet")
    for seed in (0, 1):
        own = dict(frame.filter(pl.col("group") == "topk", pl.col("seed") == seed)[["metric", "value"]].iter_rows())
        assert own["interference"] + own["residual"] + own["shrinkage"] == pytest.approx(own["mismatch"], abs=1e-6)
    values = {
        name: frame.filter(pl.col("group") == name, pl.col("metric") == "median r")["value"].max()
        for name in ("topk", "top_afa")
    }
    assert values["top_afa"] < values["topk"]  # it matches norms by construction
    code, said = run(monkeypatch, capsys, zf_plot, "--saes", folder, "--samples", 300, "--out", tmp_path / "again")
    assert code == 0, said
    again = pl.read_parquet(only_run(tmp_path / "again") / "metrics.parquet")
    assert again.filter(pl.col("group") == "base-topk")["value"].to_list() == pytest.approx(
        frame.filter(pl.col("group") == "topk")["value"].to_list(), rel=1e-5
    )


def test_the_rule_by_itself(monkeypatch, capsys, tmp_path):
    flags = ["--dims", 16, 256, "--k", 2, 16, "--samples", 60, "--d", 16, "--m", 64, "--seeds", 2]
    code, said = run(monkeypatch, capsys, top_afa_rule, *flags, "--out", tmp_path)
    assert code == 0, said
    folder = only_run(tmp_path)
    assert drawn(folder) == {".png", ".svg"}
    frame = pl.read_parquet(folder / "metrics.parquet")
    steps = list(medians(frame, panel="staircase", line="flat").values())
    assert steps == sorted(steps)
    assert {steps[0], steps[-1]} == {1.0, 16.0}
    exact = {d: medians(frame, panel="exact", line=f"d = {d}") for d in (16, 256)}
    assert exact[256][16.0] < exact[256][2.0] > 0.9
    assert exact[16][16.0] < exact[256][2.0]
    low, tied, high = (medians(frame, panel="tied", line=name)[16.0] for name in ("√λ_min", "C_K/τ", "√λ_max"))
    assert low < tied < high
    saturated = medians(frame, panel="start", line="saturated")
    assert saturated[0.5] == 1.0 > saturated[1.0] > saturated[3.0] == 0.0
    spread = medians(frame, panel="target", line="standardised")
    assert spread[0.9] == pytest.approx(spread[0.1], abs=1e-3)
    trivial, truth = (
        {
            m: frame.filter(pl.col("panel") == m, pl.col("line") == name)["value"].max()
            for m in ("fvu", "norm loss", "recovered")
        }
        for name in ("[A, −A], any A", "the truth")
    )
    assert trivial["fvu"] < 1e-6 < truth["fvu"]
    assert trivial["norm loss"] < 1e-6 < truth["norm loss"]
    assert (trivial["recovered"], truth["recovered"]) == (0.0, 64.0)


TINY = ["--n-true", 16, "--d", 8, "--m", 24, "--k", 2, "--afa", 0.0, 0.5, "--steps", 12, "--batch", 32, "--seeds", 2]


def test_top_afa_study_and_resume(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, top_afa, *TINY, "--out", tmp_path, "--jobs", 2)
    assert code == 0, said
    folder = only_run(tmp_path)
    assert drawn(folder) == {".png", ".svg"}
    frame = pl.read_parquet(folder / "metrics.parquet")
    start = frame.filter(pl.col("start") == "truth", pl.col("step") == 0, pl.col("metric") == "recovered")["value"]
    assert start.to_list() == [16.0] * 4
    grid = frame.filter(pl.col("variant") == "top_afa", pl.col("start") == "random", pl.col("metric") == "l0")
    assert grid.height == 2 * 2 * 2 * 2  # weights, seeds, starts, normalisations
    records = folder / "records.jsonl"
    kept = [line for line in records.read_text().splitlines() if "top_afa/K2/tied" not in line]
    records.write_text("\n".join(kept))
    code, said = run(monkeypatch, capsys, top_afa, "--resume", folder, "--jobs", 2)
    assert code == 0, said
    order = ["variant", "start", "init", "normalise", "topk", "afa", "seed", "step", "metric"]
    assert pl.read_parquet(folder / "metrics.parquet").sort(order).equals(frame.sort(order))
    code, said = run(monkeypatch, capsys, top_afa, "--resume", folder, "--steps", 99)
    assert code == 2
    assert "--steps must be left alone with --resume; got 99: a run keeps its settings" in " ".join(said.split())


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (afa_bounds, ["--k", 1], "--k must be whole numbers from 2"),
        (afa_bounds, ["--k", 2, 999], "--k must be at most n=256; got 999: lower k or raise n"),
        (afa_bounds, ["--seeds", 0], "--seeds must be at least 1"),
        (top_afa_rule, ["--k", 1], "--k must be whole numbers from 2"),
        (top_afa_rule, ["--samples", 0], "--samples must be at least 1"),
        (zf_plot, ["--variants", "tpk"], "perhaps you meant 'topk'"),
        (zf_plot, ["--saes", "nowhere"], "must be an SAE folder or the run folder"),
        (zf_plot, ["--samples", 1], "--samples must be at least 10"),
        (top_afa, ["--k", 99], "--k must be from 1 to 64; got (99,)"),
        (top_afa, ["--afa", -1.0], "--afa must be weights of at least 0"),
        (top_afa, ["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", [afa_bounds, zf_plot, top_afa, top_afa_rule])
def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path, module):
    code, said = run(monkeypatch, capsys, module, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "seeds" in said
    assert not list(tmp_path.iterdir())
