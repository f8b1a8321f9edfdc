"""Toy worlds against a tiny model: what a run keeps and says, how orders are compared, what is refused."""

import math
import re
from dataclasses import replace

import polars as pl
import pytest
import torch
from toys import checked, run, stopping

pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

import lm as tiny

from experiments.transfer import study as transfer
from experiments.transfer.calibration import miss
from experiments.transfer.comparison import ALL, MIDDLE, REAL, TOY, Compared, compared, comparisons, controls, scores_of
from experiments.transfer.figures import answer
from experiments.transfer.ranks import Agreement
from experiments.transfer.settings import KNOBS, MODEL
from proofs_check.auditor.targets import members_of
from workbench.lm.activations import Activations
from workbench.lm.models import load_model
from workbench.lm.store import StoreConfig, open_store, write_store
from workbench.metrics.matching import match
from workbench.study.table import differences, tidy
from workbench.study.units import Report, setting_text, unpacked

STORED = ["--worlds", "toy", "--variants", "topk", "abs_topk", "relu", "--k", 3, "--jobs", 1]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Flags that name a store of a saved model's activations."""
    folder = tmp_path_factory.mktemp("store")
    model = load_model(tiny.saved("gpt2", folder / "model"))
    config = StoreConfig(("resid_post.1", "hook_z.1"), 3000, 32, shard=16)
    write_store(folder / "store", model, tiny.texts(*[60] * 60), config)
    return ["--store", folder / "store"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of one run, and its table."""
    _, folder, table = checked(tmp_path_factory, transfer.STUDY)
    return folder, table


def values(table, **wanted):
    return table.filter(*(pl.col(n) == v for n, v in wanted.items()))["value"].to_list()


def test_every_score_is_compared_and_stands_in_a_figure(whole):
    folder, table = whole
    names = {path.name for path in (folder / "figures").glob("*.png")}
    assert names == {"transfer-mcc.png", "transfer-f1.png", "transfer-fvu.png"}
    scores = table.filter(pl.col("against").is_null())
    assert set(scores.filter(pl.col("place") == MODEL)["metric"]) == {*REAL, "l0", "setting", "kl", "l0_tried"}
    assert set(scores.filter(pl.col("place") == "toy")["metric"]) == {*TOY, "l0", "dead", "setting", "l0_tried"}
    assert len(values(table, metric="tau")) == 3 * len(TOY) * len(REAL) + 3 * len(REAL)
    assert len(comparisons(table)) == len(values(table, metric="tau"))


def test_variants_meet_one_l0(whole):
    _, table = whole
    for (place, variant), own in table.filter(pl.col("arm").is_not_null()).group_by("place", "arm"):
        (k,), (m,) = own["k"].unique(), own["m"].unique()
        assert k == {"model": 3, "toy": 2, "superposition": 4}[place]
        assert m == 2 * (32 if place == "superposition" else 16)
        (setting,) = own.filter(pl.col("metric") == "setting")["value"].unique()
        tried = own.filter(pl.col("metric") == "l0_tried")
        if variant in KNOBS:
            best = min(tried.iter_rows(named=True), key=lambda row: miss((0, row["value"]), k))
            assert best["setting"] == f"{KNOBS[variant][0]}={setting_text(setting)}"
            assert tried.height == 3 or miss((0, tried["value"][-1]), k) <= 0.05
        else:
            assert (setting, tried.height) == (k, 0)
            assert max(values(own, metric="l0")) <= k


def test_scores_are_those_of_the_saes_that_are_there(whole):
    folder, table = whole
    toy = transfer.STUDY.toy
    assert toy is not None
    a, b = members_of(folder / "saes" / "topk")
    topk = {"place": MODEL, "arm": "topk"}
    assert values(table, **topk, metric="consistency") == [match(a.W_dec, b.W_dec).mean_matched] * 2
    seen, test = (transfer.rows_of(toy, folder, part) for part in ("train", "test"))
    assert seen.n + test.n == Activations(test.store, test.hook, skip=2).n  # no row is in both
    assert seen.n > 2 * test.n
    x = test.rows(torch.arange(test.n)[:: max(1, test.n // 400)])
    fvu = float((a(x).detach() - x).square().sum() / (x - x.mean(0)).square().sum())
    assert values(table, **topk, metric="fvu", seed=0)[0] == pytest.approx(fvu)


def planted(toy, model):
    """A table of one world and the model: scores of variants by number, two seeds that agree."""
    rows = []
    for place, scores in (("world", toy), (MODEL, model)):
        for metric, values in scores.items():
            for i, value in enumerate(values):
                for seed in (0, 1):
                    where = {"place": place, "arm": f"v{i}", "metric": metric}
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
    order = Agreement(tau=0.51, low=0.4, high=0.6, least=0.02, most=0.9, rho=0.64, p=0.0213)
    said = answer(Compared(ALL, "mcc given fvu", "recovered", order), 8)
    assert said.verdict == "CONFIRMED"
    assert said.question == "order by MCC given fvu on all worlds predicts that by loss recovered on the model"
    assert said.measured == (
        "tau +0.51, other seeds [+0.40, +0.60], other variants and seeds [+0.02, +0.90]; "
        "Spearman +0.64; by chance 0.021"
    )
    assert said.basis == "variants and seeds, n = 8"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--variants", "topk", "relu", "top_afa"], "--variants must be with a k, or of"),
        (["--variants", "topk", "relu", "topk"], "--variants must be at least 3"),
        (["--variants", "topk", "relu", "tpk"], "perhaps you meant 'topk'"),
        (["--worlds", "superpositon"], "perhaps you meant 'superposition'"),
        (["--train.aux-k", 4], "--train.aux-k must be 0; got 4: some variants have no AuxK"),
        (["--train.evaluations", 3], "--train.evaluations must be 0; got 3: scores come at the end"),
        (["--worlds", "toy", "toy"], "--worlds must be without repeats; got ('toy', 'toy')"),
        (["--store", "nowhere"], "--store must be a folder"),
        (["--train.lr", 1e-3, 1e-2], "--train.lr must be one rate"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, text = run(monkeypatch, capsys, transfer, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(text.split())
    assert not list(tmp_path.iterdir())


def test_checkpoints_are_as_often_as_is_said():
    toy = transfer.STUDY.toy
    often = replace(toy, train=replace(toy.train, checkpoint_every=7))
    assert {unit.training.checkpoint_every for unit in transfer.STUDY.units(often)} == {7}
    assert {unit.training.checkpoint_every for unit in transfer.STUDY.units(toy)} == {10}


def test_a_stopped_training_goes_on_from_its_checkpoint(whole, tmp_path):
    _, table = whole
    toy = transfer.STUDY.toy
    unit = next(unit for unit in transfer.STUDY.units(toy) if unit.label == "toy/topk")
    seen = []
    report = Report(stopping(seen, unit.each, after=25), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        transfer.STUDY.work_on(unit)(unit, report)
    after = tidy(unpacked(transfer.STUDY.work_on(unit)(unit, report)), "transfer")
    assert seen == [*range(1, 26), *range(21, 41)]
    kept = table.filter(pl.col("against").is_null(), pl.col("place") == "toy", pl.col("arm") == "topk")
    assert not differences(after, kept.select(after.columns))


def test_a_store_serves_its_own_model_and_hook_points(monkeypatch, capsys, tmp_path, store):
    out = tmp_path / "out"
    code, text = run(monkeypatch, capsys, transfer, *store, *STORED, "--hook", "resid_pre.1", "--out", out)
    assert (code, "--hook must be one of" in text) == (2, True)
    other = tiny.saved("gpt2", tmp_path / "other", seed=1)
    code, text = run(monkeypatch, capsys, transfer, *store, *STORED, "--model", other, "--out", out)
    assert (code, "--model must be the one whose activations the store holds" in " ".join(text.split())) == (2, True)
    assert not out.exists()
    settings = transfer.Transfer(store=store[1], k=3).resolved()
    assert settings.hook == "resid_post.1"
    assert settings.model_of(open_store(store[1])) == str(store[1].parent / "model")
    with pytest.raises(ValueError, match="--k must be at most 64, the latents; got 65"):
        transfer.Transfer(store=store[1], k=65).resolved()


def test_seeds_of_a_run_stay(monkeypatch, capsys, whole):
    folder, _ = whole
    code, text = run(monkeypatch, capsys, transfer, "--resume", folder, "--seeds", 3)
    assert (code, "--seeds must be left alone with --resume" in text) == (2, True)


def test_steps_on_toy_worlds_may_be_others(monkeypatch, capsys, tmp_path):
    code, text = run(monkeypatch, capsys, transfer, "--dry-run", "--toy-steps", 90, "--out", tmp_path)
    assert code == 0
    sizes = dict(re.findall(r"^(\w+/topk) +([\d,]+) samples", text, re.MULTILINE))
    assert (sizes["model/topk"], sizes["noisy/topk"]) == (f"{250 * 256 * 3 * 50:,}", f"{90 * 256 * 5:,}")
