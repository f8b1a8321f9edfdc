"""What evaluate takes beside a world, and what it returns."""

import pickle

import numpy as np
import polars as pl
import pytest
import torch

import synthetic as S
import workbench as W
from synthetic.worlds import superposition as worlds
from workbench.metrics import collect

WORLD = worlds.superposition()
X = WORLD.sample(600, S.stream(5, "tests/x")).x


class Rows:
    """Activations whose causes nobody knows."""

    def __init__(self, world):
        self.world = world
        self.d = world.d

    def sample(self, n, rng):
        return self.world.sample(n, rng)


def stack():
    return W.create("topk", WORLD.d, 48, k=[[2], [4]], seed=[0, 1])


def test_without_a_truth_the_same_numbers_where_none_is_needed():
    sae = stack()
    known, unknown = W.evaluate(sae, WORLD, 500), W.evaluate(sae, Rows(WORLD), 500)
    assert {"fvu", "explained_variance", "shrinkage", "l0", "dead", "consistency", "kkt"} <= set(unknown)
    assert not {"mcc", "f1", "recall@.9", "true_l0", "expected_l0"} & set(unknown)
    for name, value in unknown.items():
        np.testing.assert_array_equal(value, known[name])


def test_rows_themselves_count_once_each():
    sae = W.create("topk", WORLD.d, 48, k=3)
    scores = W.evaluate(sae, X)
    with torch.no_grad():
        rest, centred = (X - sae(X)).double(), (X - X.mean(0)).double()
        f = sae.encode(X)
    assert scores["fvu"] == pytest.approx(float(rest.square().sum() / centred.square().sum()), rel=1e-6)
    assert scores["l0"] == float((f != 0).sum(1).double().mean())
    assert scores["dead"] == float((f == 0).all(0).double().mean())


def test_a_training_sae_is_evaluated_in_evaluation_mode_and_left_as_it_was():
    sae = W.create("batch_topk", WORLD.d, 48, k=3).train()
    with torch.no_grad():
        sae.tensor("threshold").fill_(1e9)
    assert W.evaluate(sae, X)["l0"] == 0
    assert sae.training


def test_a_dictionary_under_an_inference():
    truth = WORLD.truth.features
    with torch.no_grad():
        best = W.evaluate(3 * truth, WORLD, 2000, encoder="nn_lasso", penalty=0.05)
    assert best["mcc"] == pytest.approx(1.0)
    assert best["fvu"] < 1e-3
    pursuit = W.evaluate(truth, WORLD, 2000, encoder="nn_omp", k=4)
    assert best["fvu"] < pursuit["fvu"] < 0.2
    assert pursuit["l0"] <= 4
    both = W.evaluate(torch.stack((truth, -truth)), WORLD, 500, encoder="omp", k=4)
    assert both["consistency"].shape == (2,)
    np.testing.assert_allclose(both["fvu"], both["fvu"][::-1])  # signs change nothing for pursuit of both signs


def test_an_saes_rows_under_another_inference_explain_more():
    sae = stack()
    W.train(sae, WORLD, W.TrainConfig(steps=20, batch=64))
    own, best = W.evaluate(sae, WORLD, 500), W.evaluate(sae, WORLD, 500, encoder="omp", k=4)
    assert (best["fvu"] < own["fvu"]).all()
    np.testing.assert_allclose(best["mcc"], own["mcc"])
    np.testing.assert_array_equal(best.settings["k"], own.settings["k"])


def test_scores_know_their_members():
    scores = W.evaluate(stack(), WORLD, 300)
    assert "k" in scores
    assert "seed" in scores
    assert "aux" not in scores
    np.testing.assert_array_equal(scores["k"], [[2, 2], [4, 4]])
    np.testing.assert_array_equal(scores["seed"], [[0, 1], [0, 1]])
    assert "k" not in list(scores)
    assert len(scores) == len(dict(scores))
    with pytest.raises(KeyError):
        scores["kk"]
    frame = scores.frame({"mcc": 0.9})
    assert frame.columns == ["member", "setting", "seed", "metric", "value", "chance", "ceiling"]
    third = frame.filter(pl.col("metric") == "mcc").row(2, named=True)
    assert (third["setting"], third["seed"], third["ceiling"]) == ("k=4", 0, 0.9)
    assert third["value"] == scores["mcc"][1, 0]
    assert third["chance"] == scores["mcc_null"][1, 0]
    assert not frame["metric"].str.ends_with("_null").any()
    again = pickle.loads(pickle.dumps(scores))
    assert again.settings.keys() == scores.settings.keys()
    assert again.frame().equals(scores.frame())


def test_what_matters_stands_first_with_chance_beside_it():
    scores = W.evaluate(stack(), WORLD, 300)
    lines = repr(scores).splitlines()
    assert [line.split()[0] for line in lines[2:8]] == ["mcc", "recall@.9", "f1", "fvu", "l0", "dead"]
    low, high = scores["mcc"].min(), scores["mcc"].max()
    assert f"[{low:.4f}, {high:.4f}]" in lines[2]
    assert f"{np.median(scores['mcc_null']):.4f}" in lines[2]
    assert "<td>mcc</td>" in scores._repr_html_()
    alone = W.evaluate(W.create("topk", WORLD.d, 48), WORLD, 300)
    assert f"{alone['mcc']:.4f}" in repr(alone)
    assert "members" not in repr(alone)


def test_only_the_families_asked_for():
    scores = W.evaluate(stack(), WORLD, 300, metrics=("fvu", "mcc"))
    assert set(scores) == {"fvu", "explained_variance", "shrinkage", "mcc", "mcc_null", "mcc_null_sd", "mcc_corrected"}
    with pytest.raises(ValueError, match=r"evaluate\.metrics must be one of .*perhaps you meant 'mcc'"):
        W.evaluate(stack(), WORLD, 300, metrics=("mc",))


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match=r"evaluate\.encoder must be given for rows without one"):
        W.evaluate(WORLD.truth.features, WORLD)
    with pytest.raises(ValueError, match=r"name an encoder with them"):
        W.evaluate(stack(), WORLD, 10, k=3)
    with pytest.raises(ValueError, match=r"rows must be of shape \(n, d\)"):
        W.evaluate(stack(), X[0])
    member = collect(stack(), X, 1, 0)[0]
    with pytest.raises(ValueError, match=r"evidence\.features must be counted on a world"):
        member.truth  # noqa: B018
