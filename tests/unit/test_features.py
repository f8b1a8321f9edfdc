"""The frames of features and latents, on an SAE in which every way to fail is planted by hand."""

import io

import numpy as np
import polars as pl
import pytest
import torch
from matplotlib.figure import Figure
from planted import D, N, placed, planted
from replay import Replay, Table

import synthetic as S
import workbench as W
from synthetic.worlds import superposition as worlds
from workbench.metrics.features import chance_cosine
from workbench.metrics.intervals import newcombe, wilson
from workbench.study.figure import feature_figure


@pytest.fixture(scope="module")
def frame():
    return W.features(*planted(), n=N)


def at(frame, i):
    return frame.row(i, named=True)


def test_statuses(frame):
    words = ["found", "near", "near", "found", "found", "near", "near", "dead", "chance", "found", "chance"]
    assert frame["status"].to_list() == words


def test_every_cause_is_named_with_its_number(frame):
    causes = [row.split("; ") if row else [] for row in frame["causes"]]
    assert causes[0] == ["absorbed by child 1 (silent in 100 % [91, 100] of 40 with it, in 0 % [0, 6] of 60 without)"]
    assert causes[1] == ["mixed with parent 0 (share 0.43)"]
    assert causes[2] == ["hedged with child 3 (share 0.38)", "mixed with child 3 (share 0.38)"]
    assert causes[3] == []
    assert causes[4] == ["split into 2 latents", "crowded by 9 (cos 0.60)"]
    assert causes[5] == ["mixed with feature 6 (share 0.47)"]
    assert causes[6] == ["taken: latent 6 (cos 0.66) stands for 5"]
    assert causes[7] == ["latent 7 never fires"]
    assert causes[8] == ["rare (1 firings, 200 samples)"]
    assert causes[9] == ["crowded by 4 (cos 0.60)"]
    assert causes[10] == ["unseen in 200 samples"]


def test_numbers_of_a_feature(frame):
    parent = at(frame, 0)
    assert (parent["latent"], parent["firings"], parent["absorber"], parent["gap"]) == (0, 100, 1, 1.0)
    assert (parent["with_child"], parent["without_child"], parent["recall"], parent["precision"]) == (40, 60, 0.6, 1.0)
    assert parent["f1"] == pytest.approx(0.75)
    assert parent["gap_low"] < 1.0 <= parent["gap_high"]
    assert parent["chance"] == pytest.approx(chance_cosine(11, D))
    assert at(frame, 2)["hedging"] == pytest.approx(0.5 / 1.3)
    assert at(frame, 1)["parent"] == 0
    assert at(frame, 1)["cosine"] == pytest.approx(0.8)
    assert (at(frame, 4)["neighbour"], at(frame, 4)["latents"]) == (9, 2)
    assert at(frame, 5)["magnitude"] == 1.0
    assert at(frame, 10)["magnitude"] is None


def test_latents():
    frame = W.latents(*planted(), n=N)
    assert at(frame, 1)["mixture"] == "0.80 of 1 + 0.60 of 0"
    assert at(frame, 2)["mixture"] == "0.85 of 2 + 0.53 of 3"
    assert at(frame, 5)["rest"] == pytest.approx(0.436, abs=1e-3)  # along 20, which is no feature
    assert (at(frame, 6)["nearest"], at(frame, 6)["second"], at(frame, 6)["feature"]) == (5, 6, 5)
    assert at(frame, 6)["rate"] == 110 / N
    assert at(frame, 7)["firings"] == 0
    assert at(frame, 5)["feature"] not in (4, 5)


def test_few_trials_are_counts_and_small_gaps_are_none():
    """Fourteen samples with the child: no percentage. A parent as silent without it: no absorption."""
    h = [[1.0, float(sample < 14)] for sample in range(100)]
    for silent, absorbed in ((range(14), True), (range(0, 100, 2), False)):
        latents = [[float(sample not in silent), float(sample < 14)] for sample in range(100)]
        sae = Table([placed({0: 1.0}), placed({1: 1.0})], latents)
        world = Replay(h, [placed({0: 1.0}), placed({1: 1.0})], parents=[-1, 0])
        causes = W.features(sae, world, n=100)["causes"][0]
        assert ("absorbed by child 1 (silent in 14 of 14 with it" in causes) == absorbed


def test_a_latent_that_fires_elsewhere_and_one_that_misses():
    h = [[float(sample < 40)] for sample in range(100)]
    for fires, said in ((range(100), "right in 40 % [31, 50] of 100"), (range(5), "fires in 12 % [5, 26] of 40")):
        sae = Table([placed({0: 1.0})], [[float(sample in fires)] for sample in range(100)])
        assert said in W.features(sae, Replay(h, [placed({0: 1.0})]), n=100)["causes"][0]


def test_members_settings_and_files():
    world = worlds.toy()
    sae = W.create("topk", world.d, 20, k=[[1], [2]], seed=[3, 4])
    frame = W.features(sae, world, n=500)
    assert len(frame) == 4 * world.truth.n_true
    labels = frame.select("member", "setting", "seed").unique(maintain_order=True).rows()
    assert labels == [(0, "k=1", 3), (1, "k=1", 4), (2, "k=2", 3), (3, "k=2", 4)]
    file = io.BytesIO()
    frame.write_csv(file)
    again = pl.read_csv(io.BytesIO(file.getvalue()))
    assert again["causes"].fill_null("").to_list() == frame["causes"].to_list()
    alone = W.features(W.create("topk", world.d, 20, k=2, seed=3), world, n=500)
    np.testing.assert_allclose(alone["cosine"], frame.filter(pl.col("member") == 2)["cosine"], atol=1e-6)
    assert len(W.latents(sae, world, n=500)) == 4 * 20


def test_the_true_dictionary_beside_it():
    sae, world = planted()
    frame = W.features(sae, world, n=N, true_dictionary=sae)
    assert frame["true_f1"].to_list() == frame["f1"].to_list()
    worse = Table(sae.W_dec.tolist(), torch.zeros_like(sae.encoder.latents).tolist())
    causes = W.features(sae, world, n=N, true_dictionary=worse)["causes"]
    assert "over the true dictionary (F1 0.75, 0.00 there)" in causes[0]


def test_activations_of_unknown_causes_are_refused():
    class Unknown:
        d = 8

        def sample(self, n, rng):
            return S.Batch(torch.zeros(n, 8), None)

    for frame in (W.features, W.latents):
        with pytest.raises(ValueError, match=r"world must be a world whose features are known"):
            frame(W.create("topk", 8, 12), Unknown())


def test_chance_is_that_of_random_rows():
    rng, d, m = S.stream(0, "tests/chance"), 24, 30
    rows = torch.randn(4000, m, d, generator=rng)
    largest = (rows[..., 0] / rows.norm(dim=-1)).abs().amax(1)
    assert float((largest <= chance_cosine(m, d)).double().mean()) == pytest.approx(0.95, abs=0.012)  # 3.5 sd
    assert chance_cosine(3, 1) == 1.0


def test_intervals_against_published_values():
    """Newcombe (1998), tables I and II: 81 of 263, 0 of 20; 56 of 70 less 48 of 80, 10 of 10 less 0 of 20."""
    low, high = wilson(torch.tensor([81.0, 0.0, 0.0]).double(), torch.tensor([263.0, 20.0, 0.0]).double())
    np.testing.assert_allclose(low, [0.2553, 0, 0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611, 1], atol=5e-5)
    counts = ([56.0, 10.0], [70.0, 10.0], [48.0, 0.0], [80.0, 20.0])
    low, high = newcombe(*(torch.tensor(c).double() for c in counts))
    np.testing.assert_allclose(low, [0.0524, 0.6791], atol=5e-5)
    np.testing.assert_allclose(high, [0.3339, 1.0], atol=5e-5)


@pytest.mark.parametrize("y", ["cosine", "f1"])
def test_the_figure_shows_each_status_by_shape_and_colour(frame, y):
    figure = feature_figure(frame, y)
    assert isinstance(figure, Figure)
    lines = {line.get_label().split()[0]: line for line in figure.axes[0].get_lines()}
    shown = [lines[status] for status in ("found", "near", "chance", "dead")]
    assert [len(line.get_xdata()) for line in shown] == [4, 4, 2, 1]
    assert len({line.get_marker() for line in shown}) == len({line.get_color() for line in shown}) == 4
    height = frame.filter(pl.col("status") == "found")[y].abs()
    np.testing.assert_allclose(lines["found"].get_ydata(), height)
