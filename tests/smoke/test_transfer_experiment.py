"""Toy worlds against a tiny model: what a run keeps and says, that it resumes, how it refuses."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from toys import run

pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

import lm as tiny

from experiments.transfer import study as transfer
from experiments.transfer.calibration import miss, nearest
from experiments.transfer.comparison import ALL, MIDDLE, MODEL, REAL, TOY, Compared, compared, controls, scores_of
from experiments.transfer.figures import said
from experiments.transfer.ranks import Agreement
from proofs_check.auditor.targets import members_of
from workbench.lm.activations import Activations
from workbench.lm.store import StoreConfig, write_store
from workbench.metrics.matching import match
from workbench.study.run import Run

SMALL = ["--worlds", "toy", "superposition", "--variants", "topk", "abs_topk", "relu", "jumprelu", "--k", 3]
SMALL += ["--expansion", 2, "--seeds", 2, "--toy-seeds", 2, "--train.steps", 40, "--train.batch", 64, "--trials", 3]
SMALL += ["--samples", 400, "--fidelity-tokens", 64, "--draws", 200, "--held-out", 0.2, "--jobs", 1]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Flags that name a tiny model and a store of its activations."""
    folder = tmp_path_factory.mktemp("store")
    model = transfer.load_model(tiny.saved("gpt2", folder / "model"))
    config = StoreConfig(("resid_post.1", "hook_z.1"), 3000, 32, shard=16)
    write_store(folder / "store", model, tiny.texts(*[60] * 60), config)
    return ["--store", folder / "store"]


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """The folder of one run that was stopped before losses were measured, and then resumed."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "judged", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr("sys.argv", ["transfer.py", *map(str, [*store, *SMALL, "--out", out])])
        assert transfer.main() == 130
    (folder,) = (out / "transfer").iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["transfer.py", "--resume", str(folder)])
        patch.setattr(transfer, "work", lambda cell, report: 1 / 0)  # every stack was trained before the stop
        assert transfer.main() == 0
    return folder


def table(folder, **wanted):
    return pl.read_parquet(folder / "metrics.parquet").filter(*(pl.col(n) == v for n, v in wanted.items()))


def test_the_run_folder_is_complete(whole):
    ids = [record["id"] for record in Run(whole).records()]
    places, variants = ("model", "toy", "superposition"), ("topk", "abs_topk", "relu", "jumprelu")
    assert sorted(ids) == sorted([*(f"{p}/{v}" for p in places for v in variants), "losses"])
    assert not list((whole / "checkpoints").iterdir())
    assert {path.name for path in (whole / "figures").iterdir()} == {"transfer.png", "transfer.svg"}
    scores = table(whole, kind="score")
    assert set(scores.filter(pl.col("place") == MODEL)["metric"]) == {*REAL, "l0", "setting", "kl"}
    assert set(scores.filter(pl.col("place") == "toy")["metric"]) == {*TOY, "l0", "dead", "setting"}
    assert len(table(whole, kind="tau")) == 3 * len(TOY) * len(REAL) + 3 * len(REAL)


def test_variants_meet_one_l0(whole):
    for record in Run(whole).records():
        if record["id"] != "losses":
            result = record["result"]
            assert result["k"] == (3 if record["id"].startswith("model") else 2 if "toy" in record["id"] else 4)
            assert result["m"] == 2 * (32 if "superposition" in record["id"] else 16)
            if result["tried"]:
                tried = [(value, l0) for value, l0 in result["tried"]]
                assert result["setting"] == nearest(tried, result["k"])[0]
                assert len(tried) == 3 or miss(tried[-1], result["k"]) <= 0.05
            else:
                assert max(result["scores"]["l0"]) <= result["k"]


def test_scores_are_those_of_the_saes_kept(whole):
    a, b = members_of(whole / "saes" / "topk")
    own = {"kind": "score", "place": MODEL, "variant": "topk"}
    both = table(whole, **own, metric="consistency")["value"].to_list()
    assert both == [match(a.W_dec, b.W_dec).mean_matched] * 2
    cell = {"held_out": 0.2, "store": Run(whole).config["store"], "hook": "resid_post.1"}
    seen, test = (transfer.rows_of(cell, part) for part in ("train", "test"))
    assert seen.n + test.n == Activations(test.store, test.hook, skip=2).n  # no row is in both
    assert seen.n > 2 * test.n
    x = test.rows(torch.arange(test.n)[:: max(1, test.n // 400)])
    fvu = float((a(x).detach() - x).square().sum() / (x - x.mean(0)).square().sum())
    assert table(whole, **own, metric="fvu", seed=0)["value"][0] == pytest.approx(fvu)


def planted(toy, model):
    """A table of one world and the model: scores of variants by number, two seeds that agree."""
    rows = []
    for place, scores in (("world", toy), (MODEL, model)):
        for metric, values in scores.items():
            for i, value in enumerate(values):
                for seed in (0, 1):
                    where = {"kind": "score", "place": place, "variant": f"v{i}", "metric": metric}
                    rows.append(where | {"seed": seed, "value": float(value)})
    return pl.DataFrame(rows)


def test_better_by_the_one_is_better_by_the_other():
    up, down = range(8), range(8, 0, -1)
    toy = {"mcc": up, "f1": up, "matched_recall@.9": [0] * 8, "consistency": down, "fvu": down}
    frame = planted(toy, {"fvu": down, "recovered": up, "consistency": up, "dead": up, "l0": up})
    found = {(one.place, one.metric, one.against): one for one in compared(frame, ["world"], 500)}
    for metric in ("mcc", "fvu"):  # a small error is good on either side
        assert found[ALL, metric, "fvu"].agreement.tau == found["world", metric, "recovered"].agreement.tau == 1.0
        assert found[ALL, metric, "fvu"].agreement.verdict == "CONFIRMED"
        assert found[ALL, metric, "dead"].agreement.verdict == "REFUTED"
    assert math.isnan(found[ALL, "matched_recall@.9", "fvu"].family)
    assert found[ALL, "mcc", "fvu"].family >= found[ALL, "mcc", "fvu"].agreement.p
    more = {(one.place, one.metric, one.against): one.agreement.tau for one in controls(frame, ["world"], 50)}
    assert more[MODEL, "l0", "fvu"] == 1.0
    assert math.isnan(more[ALL, "mcc given fvu", "fvu"])  # the same order adds nothing
    assert scores_of(frame, ["world"], "fvu")[0][0].tolist() == [-8.0, -8.0]


def test_the_two_last_on_the_model_may_make_an_order_alone():
    toy = [5, 1, 4, 2, 3, 0, -1]  # of the first five no order, the last two last
    model = dict.fromkeys(("fvu", "dead"), range(7)) | dict.fromkeys(
        ("recovered", "consistency", "l0"), range(7, 0, -1)
    )
    frame = planted(dict.fromkeys(TOY, toy), model)
    more = {(one.place, one.metric, one.against): one.agreement.tau for one in controls(frame, ["world"], 50)}
    assert more[MIDDLE, "mcc", "fvu"] == pytest.approx(0.2)  # 6 of 10 pairs
    found = {(one.place, one.metric, one.against): one.agreement.tau for one in compared(frame, ["world"], 50)}
    assert found[ALL, "mcc", "fvu"] == pytest.approx(13 / 21)  # 17 of 21 pairs


def test_a_comparison_in_words():
    own = Agreement(tau=0.51, low=0.4, high=0.6, least=0.02, most=0.9, rho=0.64, p=0.0213)
    text = said(Compared(ALL, "mcc given fvu", "recovered", own, np.nan))
    assert text.startswith("CONFIRMED: the order by MCC given fvu on all worlds predicts that by loss recovered on the")
    assert text.endswith(
        "tau +0.51, other seeds [+0.40, +0.60], other variants and seeds [+0.02, +0.90]; Spearman "
        "+0.64; by chance 0.021"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--variants", "topk", "relu", "top_afa"], "--variants must be with a k, or of"),
        (["--variants", "topk", "relu", "topk"], "--variants must be at least 3"),
        (["--variants", "topk", "relu", "tpk"], "perhaps you meant 'topk'"),
        (["--worlds", "superpositon"], "perhaps you meant 'superposition'"),
        (["--seeds", 1], "--seeds must be at least 2; got 1"),
        (["--train.aux-k", 4], "--train must be without evaluations and AuxK"),
        (["--store", "nowhere"], "--store must be a folder"),
        (["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, text = run(monkeypatch, capsys, transfer, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(text.split())
    assert not list(tmp_path.iterdir())


def test_a_hook_point_or_a_model_that_the_store_lacks(monkeypatch, capsys, tmp_path, store):
    out = tmp_path / "out"
    code, text = run(monkeypatch, capsys, transfer, *store, *SMALL, "--hook", "resid_pre.1", "--out", out)
    assert (code, "--hook must be one of" in text) == (2, True)
    other = tiny.saved("gpt2", tmp_path / "other", seed=1)
    code, text = run(monkeypatch, capsys, transfer, *store, *SMALL, "--model", other, "--out", out)
    assert (code, "--model must be the one whose activations the store holds" in " ".join(text.split())) == (2, True)
    assert not out.exists()


def test_dry_run_says_what_it_would_do(monkeypatch, capsys, tmp_path):
    code, text = run(monkeypatch, capsys, transfer, "--dry-run", "--toy-steps", 90, "--out", tmp_path)
    assert code == 0
    assert "model/matching_pursuit" in text
    assert text.count(" 90 steps x 5 seeds") == 40
    assert not list(tmp_path.iterdir())
