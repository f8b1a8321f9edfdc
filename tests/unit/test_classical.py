"""Dictionary learners: what they find, what decides their bits, and how they stand beside SAEs."""

import importlib.util

import polars as pl
import pytest
import torch
from torch.testing import assert_close

import workbench as W
from experiments import recovery
from synthetic.base.streams import stream
from synthetic.source import training_batch
from tests.toys import run
from workbench.metrics.matching import match
from workbench.study.places import with_seed
from workbench.topics.classical import LEARNERS, fit

N_TRUE, D = 24, 32


def planted(name: str, n: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Random rows, and samples of two of them on average; NMF's rows have coordinates of one sign each."""
    rng = stream(0, "planted")
    rows = torch.randn(N_TRUE, D, generator=rng)
    if name == "nmf":
        rows = rows.abs() * (torch.rand(rows.shape, generator=rng) < 0.2) + 3 * torch.eye(N_TRUE, D)
        rows *= torch.randn(D, generator=rng).sign()
    rows = rows / rows.norm(dim=1, keepdim=True)
    h = (torch.rand(n, N_TRUE, generator=rng) < 2 / N_TRUE) * (torch.rand(n, N_TRUE, generator=rng) + 0.5)
    return rows, h @ rows


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "frozen_random"])
def test_it_finds_planted_rows_and_their_signs(name: str) -> None:
    rows, x = planted(name)
    found, centre = fit(name, x, N_TRUE if name == "nmf" else 2 * N_TRUE, 2)
    assert float(match(found.double(), rows.double()).cosine_of.mean()) > 0.95
    assert_close(centre, x[: LEARNERS[name].most].mean(0) * LEARNERS[name].centred)


@pytest.mark.parametrize("name", ["mod", "k_svd"])
def test_rows_that_no_sample_uses_start_anew(name: str) -> None:
    """Nearly all first rows are of one line."""
    rows, x = planted(name, 800)
    line = torch.tensor([1.0, -1.0]).repeat(2000)[:, None] * rows[0]
    found, _ = fit(name, torch.cat((line, x)), 2 * N_TRUE, 2, seed=1)
    assert float(match(found.double(), rows.double()).cosine_of.mean()) > 0.95


@pytest.mark.parametrize("name", LEARNERS)
def test_rows_are_unit_and_the_seed_decides_their_bits(name: str) -> None:
    _, x = planted(name, 600)
    (one, _), (again, _), (other, _) = (fit(name, x, 30, 2, seed) for seed in (1, 1, 2))
    assert_close(one.norm(dim=1), torch.ones(len(one)))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len(one) == (N_TRUE if name == "fast_ica" else 30)  # x has no more dimensions than that


def test_frozen_random_has_the_rows_that_the_variant_draws() -> None:
    _, x = planted("")
    assert_close(fit("frozen_random", x, 40, 2, 7)[0], W.create("frozen_decoder", D, 40, k=2, seed=7).W_dec.detach())


@pytest.mark.parametrize(
    ("change", "advice"),
    [({"name": "k_sdv"}, "perhaps you meant 'k_svd'"), ({"k": 31}, "lower it"), ({"x": torch.ones(30, D)}, "lower m")],
)
def test_what_cannot_be_fitted_is_refused(change: dict, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        fit(**{"name": "k_svd", "x": torch.ones(99, D), "m": 30, "k": 2} | change)


def test_rows_with_a_bias_score_as_the_sae_that_has_them() -> None:
    world, sae = W.find_source("toy"), W.create("topk", W.find_source("toy"), 30, k=2, seed=[0, 1])
    W.train(sae, world, W.TrainConfig(steps=20, batch=64))
    rows, bias = sae.W_dec.detach() / sae.scale, sae.b_dec.detach() / sae.scale
    how = {"n": 500, "encoder": "nn_omp", "k": 2, "metrics": ["fvu", "f1"]}
    own, without = W.evaluate(sae, world, **how), W.evaluate(rows, world, **how)
    scores = W.evaluate(rows, world, bias=bias, **how)
    assert all((abs(scores[name] - own[name]) < 1e-6).all() for name in ("fvu", "f1"))
    assert (without["fvu"] != own["fvu"]).all()
    for given, wrong in ((sae, bias), (rows, bias[0]), (rows, bias * torch.nan)):
        with pytest.raises(ValueError, match=r"evaluate\.bias must be"):
            W.evaluate(given, world, bias=wrong, **how)


TOY = ("--world", "toy", "--axis", "samples", "--samples", "6400", "--train.evaluation-samples", "200", "--jobs", "1")
TOY += ("--no-ceilings", "--train.evaluations", "3", "--train.batch", "32")


def test_learners_are_arms_of_the_recovery_study(tmp_path, monkeypatch, capsys) -> None:
    flags = (*TOY, "--variants", "topk", "classical", "--seeds", "2", "--out", tmp_path)
    code, said = run(monkeypatch, capsys, recovery, *flags)
    assert code == 0, said
    assert "nmf: fitted on the first 4,000 samples at most" in said
    (folder,) = (tmp_path / "recovery").iterdir()
    table = pl.read_parquet(folder / "metrics.parquet").filter(pl.col("kind") == "score")
    assert set(table["arm"]) == {"topk", *LEARNERS}
    mcc = table.filter(pl.col("metric") == "mcc")
    assert set(mcc.filter(pl.col("arm") == "nmf")["x"]) == {448.0, 4000.0}  # 32 samples are fewer than rows
    assert set(mcc.filter(pl.col("arm") == "k_svd")["x"]) == {448.0, 6400.0}
    assert set(mcc.filter(pl.col("arm") == "topk")["x"]) > {448.0, 6400.0}
    last = mcc.filter(pl.col("x") == 6400).group_by("arm").agg(pl.col("value").min(), pl.len())
    found = dict(last.select("arm", "value").rows())
    assert found["k_svd"] > found["topk"] > found["frozen_random"]  # so few samples are not enough for an SAE
    assert set(last["len"]) == {2}
    assert {"recovery.png", "recovery-b.png"} <= {path.name for path in (folder / "figures").iterdir()}


def test_a_run_grows_by_learners_and_by_their_seeds(tmp_path, monkeypatch, capsys) -> None:
    one = (*TOY, "--variants", "mod", "--set", "k=2,4", "--out", tmp_path)
    assert run(monkeypatch, capsys, recovery, *one, "--seeds", "1")[0] == 0
    (folder,) = (tmp_path / "recovery").iterdir()
    before = pl.read_parquet(folder / "metrics.parquet")
    more = ("--variants", "mod", "k_svd", "--seeds", "2")
    code, said = run(monkeypatch, capsys, recovery, "--resume", folder, *more, "--jobs", "1")
    assert code == 0, said
    mcc = pl.read_parquet(folder / "metrics.parquet").filter(pl.col("metric") == "mcc", pl.col("kind") == "score")
    spots = {(arm, k, seed) for arm in ("mod", "k_svd") for k in (2, 4) for seed in (0, 1)}
    assert set(mcc.select("arm", "k", "seed").rows()) == spots
    same = mcc.filter(pl.col("arm") == "mod", pl.col("seed") == 0)["value"].to_list()
    assert same == before.filter(pl.col("metric") == "mcc", pl.col("kind") == "score")["value"].to_list()


def test_over_worlds_each_seed_has_the_samples_that_an_sae_of_it_is_trained_on(tmp_path, monkeypatch, capsys) -> None:
    flags = (*TOY, "--variants", "frozen_random", "--over", "worlds", "--seeds", "2", "--out", tmp_path)
    code, said = run(monkeypatch, capsys, recovery, *flags)
    assert code == 0, said
    (folder,) = (tmp_path / "recovery").iterdir()
    table = pl.read_parquet(folder / "metrics.parquet").filter(pl.col("metric") == "fvu", pl.col("x") == 6400)
    values = {
        (world_seed, seed): value for world_seed, seed, value in table.select("world_seed", "seed", "value").rows()
    }
    assert values.keys() == {(0, 0), (1, 1)}
    world, m, k = with_seed(W.find_source("toy"), 1), table["m"][0], int(table["k"][0])
    x = torch.cat([training_batch(world, 32, 1, step, torch.device("cpu"))[0] for step in range(200)])
    rows = W.create("frozen_decoder", world.d, m, k=k, seed=1).W_dec.detach()
    how = {"n": 200, "seed": 1, "encoder": "nn_omp", "k": k, "metrics": ["fvu"]}
    assert values[1, 1] == pytest.approx(W.evaluate(rows, world, bias=x.mean(0), **how)["fvu"], rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (("--world", "toy", "--variants", "k_svdd"), "perhaps you meant 'k_svd'"),
        (("--world", "toy", "--variants", "nmf", "--m", "4000"), "below the 4,000 samples that nmf is fitted on"),
        (("--world", "toy", "--variants", "nmf", "--set", "kk=3"), "perhaps you meant 'k'"),
    ],
)
def test_bad_input_gets_one_clear_line(flags: tuple[str, ...], advice: str, monkeypatch, capsys) -> None:
    code, said = run(monkeypatch, capsys, recovery, *flags, "--axis", "samples", "--dry-run")
    assert code == 2
    assert advice in said.replace("\n", " ")


LARGE = """
from synthetic import SparseMixture, world


@world
def crowd(n_true: int = 2048, d: int = 8, **changes):
    \"\"\"As many features as make a world large.\"\"\"
    return SparseMixture(**{"n_true": n_true, "d": d} | changes)
"""


def test_large_worlds_are_for_saes_alone(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "mine.py").write_text(LARGE)
    flags = ("--plugin", tmp_path / "mine.py", "--world", "toy", "crowd", "--dry-run")
    code, said = run(monkeypatch, capsys, recovery, *flags, "--variants", "topk", "mod")
    assert code == 0
    assert "crowd: without mod" in said
    assert [line.split()[0] for line in said.splitlines() if "samples x" in line and "ceiling" not in line] == [
        *("base/topk", "crowd-base/topk", "base/mod")
    ]
    code, said = run(monkeypatch, capsys, recovery, *flags[:2], "--world", "crowd", "--variants", "mod")
    assert code == 2
    assert "name some, or another world" in said


def test_what_is_not_installed_is_said_before_any_work(tmp_path, monkeypatch, capsys) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else find(name, *a))
    code, said = run(monkeypatch, capsys, recovery, *TOY, "--variants", "k_svd", "nmf", "--out", tmp_path)
    assert code == 2
    assert "pip install 'sae-workbench[classical]'" in said
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="which needs scikit-learn"):
        fit("nmf", torch.ones(99, D), 30, 2)
