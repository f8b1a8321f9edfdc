"""The explorer's page: its data say what the frames and scores say, it asks for nothing, and a browser shows it."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from browser import CHROMIUM, Browser
from planted import N, planted
from replay import Replay, Table

import synthetic as S
import workbench as W
from synthetic.worlds import superposition as worlds
from workbench import __main__ as front
from workbench.metrics.evidence import collect
from workbench.metrics.features import family_edges
from workbench.metrics.matching import cosines
from workbench.study.explorer import page as pages
from workbench.study.explorer.folders import explore
from workbench.study.explorer.payload import PAIRS, STATUSES, _neighbours, groups, packed, unpacked
from workbench.study.run import world_of_run

TOL = 1 / 32767
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page():
    return W.explorer(*planted(), N, title=HOSTILE, true_dictionary=False)


@pytest.fixture(scope="module")
def frame():
    return W.features(*planted(), n=N)


@pytest.fixture(scope="module")
def trained():
    """Two seeds, far from trained, and what their decoders were on the way."""
    world = W.find_source("hierarchical")
    sae = W.create("topk", world, 120, k=3, seed=[0, 1])
    shots = W.Snapshots(sae, 30)
    W.train(sae, world, W.TrainConfig(steps=30, batch=64), on_step=shots)
    return sae, world, shots.trace


@pytest.fixture(scope="module")
def of_trained(trained):
    sae, world, trace = trained
    return W.explorer(sae, world, 2500, true_dictionary=False, traces={"": trace}).data


def column(member, kind, name):
    return unpacked(member[kind][name])


def close(packed_column, numbers):
    expected = np.array([np.nan if v is None else v for v in numbers], dtype=float)
    np.testing.assert_allclose(unpacked(packed_column), expected, atol=TOL)


@pytest.mark.parametrize("values", [[0.5, np.nan, -1.0, 1.0], [0.0], []])
def test_shares_come_back(values):
    np.testing.assert_allclose(unpacked(packed(np.array(values), share=True)), values, atol=TOL / 2)


def test_whole_numbers_and_others_come_back():
    for values in ([-1, 3], [70_000], [-40_000], [32767], [32768], []):
        assert unpacked(packed(np.array(values, dtype=int))).tolist() == values
    np.testing.assert_array_equal(unpacked(packed(np.array([1e-7, np.nan]))), np.array([1e-7, np.nan], np.float32))


def test_columns_are_those_of_the_frames(page, frame):
    (member,), latents = page.data["members"], W.latents(*planted(), n=N)
    for name in ("cosine", "nearest_cosine", "f1", "precision", "recall", "recall_low", "recall_high", "gap"):
        close(member["feature"][name], frame[name])
    for name in ("latent", "nearest_latent", "absorber", "with_child", "without_child", "latents"):
        close(member["feature"][name], frame[name].fill_null(-1))
    for name in ("nearest", "second", "feature", "firings"):
        close(member["latent"][name], latents[name].fill_null(-1))
    for name in ("cosine", "second_cosine", "rest"):
        close(member["latent"][name], latents[name])
    close(page.data["world"]["rate"], frame["rate"])
    close(page.data["world"]["firings"], frame["firings"])
    assert member["feature"]["causes"] == frame["causes"].to_list()
    assert [STATUSES[s] for s in column(member, "feature", "status")] == frame["status"].to_list()


def test_planted_failures_stand_there_with_their_numbers(page):
    (member,) = page.data["members"]
    causes, cosine = member["feature"]["causes"], column(member, "feature", "cosine")
    status = [STATUSES[s] for s in column(member, "feature", "status")]
    assert (status[0], causes[0][:22]) == ("found", "absorbed by child 1 (s")
    assert (status[4], causes[4][:21]) == ("found", "split into 2 latents;")  # a duplicate
    assert (status[7], causes[7]) == ("dead", "latent 7 never fires")
    np.testing.assert_allclose(cosine[[0, 1, 4, 7]], [1, 0.8, 1, 1], atol=TOL)
    assert [row["data"] for row in (page.data["world"]["edges"],)] == [packed(np.array([[0, 1], [2, 3]]))["data"]]
    close(member["edges"]["gap"], [1.0, 0.0])


def test_all_pairs_nearer_than_chance_and_no_other(trained, of_trained):
    sae, world, _ = trained
    for rows, member in zip(sae.W_dec, of_trained["members"], strict=True):
        similar = cosines(rows, world.truth.features).numpy()
        latent, feature = column(member, "pairs", "latent"), column(member, "pairs", "feature")
        np.testing.assert_allclose(column(member, "pairs", "cosine"), similar[latent, feature], atol=TOL)
        expected = set(zip(*np.nonzero(abs(similar) > member["chance"]["feature"]), strict=True))
        assert len(expected) > 20
        assert set(zip(latent, feature, strict=True)) == expected
        assert member["pairs"]["left"] == 0


def test_of_very_many_pairs_those_nearest_stay():
    rows = torch.nn.functional.normalize(torch.tensor([[1.0, 0.001 * j] + [0.0] * 30 for j in range(40)]), dim=1)
    sae = Table(rows.tolist(), torch.zeros(1, len(rows)).tolist())
    (member,) = W.explorer(sae, Replay([[1.0]], [[1.0] + [0.0] * 31]), 1, true_dictionary=False).data["members"]
    assert sorted(column(member, "pairs", "latent")) == list(range(PAIRS))
    assert member["pairs"]["left"] == 40 - PAIRS


def test_firing_by_case(page, frame):
    """The parent's latent is silent in all samples with its child and in none without."""
    (member,) = page.data["members"]
    counts = unpacked(member["firing"]).reshape(11, 4, 13)
    assert (counts.sum((1, 2)) == N).all()
    assert counts[0, :, 0].tolist() == [0, 40, 0, 100]
    assert counts[0, 0, 6:8].sum() == 60  # |f| |row| = 1 is the mean magnitude, in the middle of the bins
    assert counts[1, :, 0].tolist() == [0, 0, 60, 100]
    on = counts[:, :2, 1:].sum((1, 2))
    np.testing.assert_allclose(on, frame["recall"] * frame["firings"])


def test_firing_counts_every_sample_once_over_many_batches(of_trained):
    """Also where the last batch is a short one."""
    n_true = of_trained["world"]["n_true"]
    firings = unpacked(of_trained["world"]["firings"])
    for member in of_trained["members"]:
        counts = unpacked(member["firing"]).reshape(n_true, 4, 13)
        assert (counts.sum((1, 2)) == 2500).all()
        assert (counts[:, :2].sum((1, 2)) == firings).all()
        recall = column(member, "feature", "recall")
        np.testing.assert_allclose(counts[:, :2, 1:].sum((1, 2)), recall * firings, atol=0.1)


def test_scores_of_the_columns_are_those_of_an_evaluation(trained, of_trained):
    scores = W.evaluate(*trained[:2], n=2500, seed=1)
    for i, member in enumerate(of_trained["members"]):
        assert np.mean(column(member, "feature", "f1")) == pytest.approx(scores["f1"][i], abs=1e-4)
        assert np.mean(abs(column(member, "feature", "cosine"))) == pytest.approx(scores["mcc"][i], abs=1e-4)
        assert member["l0"] == pytest.approx(scores["l0"][i])
        assert member["fvu"] == pytest.approx(scores["fvu"][i])


def test_each_edge_has_its_gap(trained, of_trained):
    """The largest of a parent is that of the frame; a share of edges is not scored, and none elsewhere."""
    edges = unpacked(of_trained["world"]["edges"]).reshape(-1, 2)
    frame = W.features(*trained[:2], n=2500)
    for i, member in enumerate(of_trained["members"]):
        largest = np.full(of_trained["world"]["n_true"], np.nan)
        np.fmax.at(largest, edges[:, 0], unpacked(member["edges"]["gap"]))
        np.testing.assert_allclose(largest, frame.filter(member=i)["gap"].to_numpy(), atol=TOL)
        assert 0 < np.isfinite(largest).sum() < len(set(edges[:, 0]))


def test_gaps_of_the_true_rows_are_shares_where_children_have_several_parents():
    """A child fires without its first parent too: that is no case of the two on the edge."""
    world = W.find_source("concept_dag")
    rows = W.create("relu", world.d, world.n_true)
    with torch.no_grad():
        for name, value in (("W_dec", world.truth.features), ("W_enc", world.truth.features.mT)):
            getattr(rows, name).copy_(value)
    (member,) = W.explorer(rows, world, 2000, true_dictionary=False).data["members"]
    assert "gap" in member["edges"]
    edges = W.evaluate(rows, world, n=2000, metrics=["absorption"])
    assert abs(float(edges["absorption"])) <= 1
    evidence = collect(rows, world, 2000, 1)[0]
    family = family_edges(evidence)
    assert len(family.child)
    assert (family.silent_with <= family.with_child).all()
    assert (family.silent_without <= family.without_child).all()
    assert min(family.silent_with.min(), family.silent_without.min()) >= 0


def test_no_direction_is_its_own_neighbour():
    _, which = _neighbours(torch.eye(11, 64))
    assert not (which == np.arange(11)[:, None]).any()


def test_seeds_that_were_added_later_stand_beside_the_first():
    def member(arm):
        return {"arm": arm, "setting": "", "feature": {"status": packed(np.zeros(2, dtype=int))}}

    assert [g["members"] for g in groups([member("topk"), member("topk-seeds-5-9"), member("topk-seed-3")])] == [
        [0, 1, 2]
    ]


def test_a_run_of_several_worlds_asks_for_one(tmp_path):
    for folder in ("worlds/base", "saes/base-topk"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config.json").write_text('{"over": "worlds"}')
    with pytest.raises(ValueError, match=r"--world must be given for an SAE of a run whose seeds drew worlds"):
        world_of_run(tmp_path / "saes/base-topk")


def test_groups_say_how_many_found_each():
    def member(arm, statuses):
        return {"arm": arm, "setting": "", "feature": {"status": packed(np.array(statuses))}}

    told = groups([member("a", [0, 0, 1, 3]), member("b", [0, 0, 0, 0]), member("a", [0, 0, 0, 0])])
    assert [group["members"] for group in told] == [[0, 2], [1]]
    assert (told[0]["found_by"], told[0]["independent"]) == ([0, 2, 2], [0.0, 2.0, 2.0])
    (halves,) = groups([member("a", [0, 1, 0, 1])] * 2)
    assert (halves["found_by"], halves["independent"]) == ([2, 0, 2], [1.0, 2.0, 1.0])


def test_training_ends_at_the_decoder_that_was_trained(trained, of_trained):
    steps = trained[2].steps.tolist()
    for member in of_trained["members"]:
        assert member["training"]["steps"] == steps
        nearest = unpacked(member["training"]["nearest"]).reshape(len(steps), -1)
        matched = unpacked(member["training"]["matched"]).reshape(len(steps), -1)
        np.testing.assert_allclose(nearest[-1], abs(column(member, "feature", "nearest_cosine")), atol=2e-3)
        np.testing.assert_allclose(matched[-1], abs(column(member, "feature", "cosine")), atol=2e-3)
        assert (matched <= nearest + TOL).all()
        assert abs(nearest[0] - nearest[-1]).max() > 0.05


def test_the_true_dictionary_stands_beside(monkeypatch):
    monkeypatch.setattr(pages, "trained_oracle", W.oracle)  # as it begins
    world = worlds.toy()
    told = W.explorer(W.create("topk", world, 20, k=2), world, 500).data["members"][0]["feature"]["true_f1"]
    close(told, W.features(W.oracle("topk", world, k=2), world, 500)["f1"])
    varied = W.explorer(W.create("topk", world, 20, k=[1, 2]), world, 500).data["members"]
    assert np.isnan(column(varied[0], "feature", "true_f1")).all()


def test_the_page_is_one_file_that_asks_for_nothing(page, tmp_path):
    text = page.save(tmp_path / "page.html").read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", re.sub(r'id="data">.*?</script>', "", text, flags=re.S))
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)|<link|<img", text)
    assert text.count("<script") == text.count("</script>") == 2
    told = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert told["world"]["name"] == HOSTILE
    assert "sandbox" in page._repr_html_()


def test_what_cannot_be_shown_is_refused(trained, tmp_path):
    class Unknown:
        d = 8

        def sample(self, n, rng):
            return S.Batch(torch.zeros(n, 8), None)

    sae, world, trace = trained
    for wrong, said in (
        ((W.create("topk", 8, 12), Unknown()), r"explorer.world must be a world whose features are known"),
        ((W.create("topk", 8, 12), world), r"explorer.world must .*48"),
        (({}, world), r"explorer.sae must be at least one SAE"),
        ((sae, world, 0), r"explorer.n must be at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=said):
            W.explorer(*wrong)
    with pytest.raises(ValueError, match=r"explorer.traces must be of SAEs on the page; got 'topk'"):
        W.explorer(sae, world, 100, traces={"topk": trace})
    with pytest.raises(ValueError, match=r"explorer.traces must be of decoders of shape \(120, 48\)"):
        W.explorer(W.create("topk", world, 120), world, 100, traces={"": trace})
    with pytest.raises(ValueError, match=r"explore.sae must be the folder of an SAE or of a run"):
        explore(tmp_path, None, 100, 1)


def test_a_run_is_shown_with_its_world_and_its_training(trained, tmp_path):
    sae, world, _ = trained
    W.Snapshots(sae, 30, path=tmp_path / "traces" / "base-topk.safetensors")
    S.save_world(world, tmp_path / "worlds" / "base")
    for name in ("base-topk", "base-relu", "other-topk"):
        sae.save(tmp_path / "saes" / name)
    data = explore(tmp_path, None, 200, 1, true_dictionary=False).data
    assert [(m["arm"], m["seed"]) for m in data["members"]] == [("relu", 0), ("relu", 1), ("topk", 0), ("topk", 1)]
    assert data["world"]["name"] == f"base of {tmp_path.name}"
    assert [m["training"] is None for m in data["members"]] == [True, True, False, False]
    lone = explore(tmp_path / "saes" / "other-topk", "hierarchical", 200, 1, true_dictionary=False).data
    assert [m["arm"] for m in lone["members"]] == ["other-topk"] * 2
    assert lone["world"]["name"] == "hierarchical"


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["workbench", *map(str, words)])
    code = front.main()
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command(monkeypatch, capsys, tmp_path):
    sae, out = tmp_path / "sae", tmp_path / "new" / "page.html"
    W.create("topk", worlds.toy(), 20, k=2).save(sae)
    flags = ["--n", 200, "--no-true-dictionary", "--out", out]
    code, said = run(monkeypatch, capsys, "explore", sae, *flags)
    assert code == 2
    assert "--world must be given for an SAE of unknown training; got none" in said
    (sae / "train.json").write_text('{"world": "toy"}')
    code, said = run(monkeypatch, capsys, "explore", sae, *flags)
    assert (code, said.split(",")[0]) == (0, f"wrote {out}")
    assert '"name":"toy"' in out.read_text("utf-8")
    code, said = run(monkeypatch, capsys, "explore", sae, "--out", tmp_path)
    assert (code, "--out must be a file" in said) == (2, True)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium, to run the page's script")
    browser = Browser(tmp_path_factory.mktemp("user"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, page, tmp_path):
    """Opens the page at an address; at the end nothing was asked for beside it, and nothing complained of."""
    file = page.save(tmp_path / "page.html").as_uri()
    browser.requests.clear()
    browser.complaints.clear()

    def go(at="", **how):
        browser.open(file + at, **how)
        return browser

    yield go
    assert {address.split("#")[0] for address in browser.requests} <= {file, "about:blank"}
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("feature", "title", "cosine", "cause"),
    [
        (0, "Feature 0: found", "cosine 1.00", "absorbed by child 1 (silent in 100 % [91, 100] of 40 with it"),
        (4, "Feature 4: found", "cosine 1.00", "split into 2 latents"),
        (7, "Feature 7: dead", "cosine 1.00", "latent 7 never fires"),
        (1, "Feature 1: near", "cosine 0.80", "mixed with parent 0 (share 0.43)"),
    ],
)
def test_a_browser_tells_what_went_wrong(opened, feature, title, cosine, cause):
    browser = opened(f"#s=0&f={feature}")
    assert browser.text("#title").strip() == title
    assert browser.text("#detail tr") == f"its latentlatent {feature}, {cosine}"
    assert cause in browser.text("#why")
    assert browser.text("#about").startswith(HOSTILE)


def test_points_cells_and_keys_lead_to_the_same_feature(opened):
    browser = opened()
    browser.mouse(*browser.place("#points [data-f='9']"))
    assert (browser.text("#title").strip(), browser.get("location.hash")) == ("Feature 9: found", "#s=0&f=9")
    browser = opened()
    browser.get("document.querySelector('canvas').focus()")
    browser.key("Home", *["ArrowDown"] * 3, "ArrowRight")
    said = browser.text("#cell")
    f, latent = int(browser.get("cell.dataset.f")), int(browser.get("cell.dataset.latent"))
    sae, world = planted()
    cosine = float(cosines(sae.W_dec, world.truth.features)[latent, f])
    assert f"feature {f}, latent {latent}: " in said
    assert (f"cosine {cosine:.2f}" in said) == (abs(cosine) > W.features(*planted(), n=N)["chance"][0])
    browser.key("Enter")
    assert browser.text("#title").strip().startswith(f"Feature {f}: ")
    assert browser.get("document.activeElement.id") == "title"
    browser.get("document.querySelector('canvas').focus()")
    browser.key("Enter", shift=True)
    own = int(browser.get("document.querySelector('#title').textContent.match(/\\d+/)[0]"))
    assert browser.get("document.body.dataset.view") == f"latent {own}"


def test_a_pointer_reads_the_matrix(opened):
    browser = opened("#s=0&f=1")
    x, y = browser.place("canvas")
    box = browser.get("document.querySelector('canvas').getBoundingClientRect().toJSON()")
    g = browser.get("({row: grid.row, column: grid.column, box: grid.box})")
    left, w, h = g["box"]["left"], g["box"]["w"], g["box"]["h"]
    at = (box["x"] + left + (g["column"] + 0.5) * w, box["y"] + (g["row"] + 0.5) * h)
    browser.mouse(x, y, press=False)
    browser.mouse(*at, press=False)
    assert browser.text("#cell") == "feature 1, latent 1: cosine 0.80; it stands for this feature"
    browser.mouse(*at)
    assert browser.text("#title").strip() == "Feature 1: near"


def test_filters_and_the_switch_to_f1(opened):
    browser = opened()
    browser.mouse(*browser.place("[data-only='cause:absorbed']"))
    assert browser.get("[...document.querySelectorAll('#rows tbody a')].map(a => a.dataset.f)") == ["0"]
    assert browser.get("document.querySelectorAll('#points .pointed:not(.faint)').length") == 1
    before = browser.get("document.querySelector('#points [data-f=\"0\"]').getAttribute('d')")
    browser.mouse(*browser.place("[name=y][value=f1]"))
    assert browser.get("document.querySelector('#points [data-f=\"0\"]').getAttribute('d')") != before
    assert browser.text("#points title") == "feature 0: found, 0.75"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_scrolling_sideways(opened, dark):
    browser = opened("#s=0&f=0", width=420, dark=dark)
    assert browser.get("document.documentElement.scrollWidth") == 420
    shown = browser.get("getComputedStyle(document.body).backgroundColor")
    assert (shown == "rgb(255, 255, 255)") != dark


def test_steps_of_training_move_the_points(browser, trained, tmp_path):
    sae, world, trace = trained
    page = W.explorer(sae, world, 300, true_dictionary=False, traces={"": trace})
    browser.open(page.save(tmp_path / "page.html").as_uri())
    place = "document.querySelector('#points [data-f=\"0\"]').getAttribute('d')"
    last = browser.get(place)
    browser.get("(step.value = 0, step.dispatchEvent(new Event('input')))")
    assert browser.text("#at") == "step 0"
    assert browser.get(place) != last
    assert browser.get("document.querySelectorAll('#drawn a').length") == 13  # a tree of 1 + 3 + 9
