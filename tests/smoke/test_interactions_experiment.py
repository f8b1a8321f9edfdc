"""The study on interactions at toy size: its results, bad input, verdicts."""

import polars as pl
import pytest
import torch
import toys

from experiments.interactions import study as interactions
from experiments.interactions.compounds import acting, measure, planted
from experiments.interactions.findings import FULL, LINEAR, MORE, OFTEN, ONLY, OWN, PARTS, PURE, SIZE, R, at, questions
from synthetic.base.streams import stream
from synthetic.laws.magnitudes import ConstantMagnitude
from synthetic.worlds.interactions import interacting, logical
from workbench import create
from workbench.study.selection import present, rows


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The folder of its toy run, and its table of the seeds that it started with."""
    _, folder, table = toys.checked(tmp_path_factory, interactions.STUDY)
    return folder, table.filter(pl.col("seed").is_null() | (pl.col("seed") < 2))


def test_every_arm_is_scored_before_and_after_on_the_same_seeds(toy):
    folder, table = toy
    assert {path.stem for path in (folder / "figures").iterdir()} == {"arms", "sweeps"}
    own = rows(table, place="arms", metric="fvu")
    assert own.height == 11 * 2 * 2  # arms, seeds, before and after
    sizes = dict(own.select("arm", "m").unique().iter_rows())
    assert (sizes[LINEAR], sizes[MORE], sizes[FULL]) == (9, 11, 9)
    assert sizes["linear, equal size"] == 14  # of 25 m + 12 numbers, against 9 x 12 + 21 encoding and 237 decoding

    def get(*names, **where):
        return list(at(*names, **where).read(table).values())

    assert max(get(FULL, "fvu")) < min(get(FULL, "fvu", step=0))
    assert set(get("self terms only", f"{SIZE}{OFTEN}")) == {0}
    assert min(get(PURE, f"{SIZE}{OFTEN}")) > 0
    assert rows(table, place="training")["step"].n_unique() == 8  # before, seven while training
    assert len(get(PURE, R, "training", step=0)) == 2
    assert present(rows(table, place="codes given"), "x") == [2, 4]
    assert set(table["world"]) == {"varying", "constant", "inside", "and", "xor"}


def test_the_published_statement_is_asked_in_parts_and_as_a_whole(toy):
    answers = [answer for question in questions(interactions.STUDY.toy) for answer in question.answers(toy[1])]
    assert len(answers) == 26 + 13 + 7 + 18 + 5
    *parts, whole = answers[-5:]
    assert len(whole.intervals) == len(parts) == 4
    assert whole.verdict in ("REFUTED", "UNDECIDED") or {part.verdict for part in parts} == {"CONFIRMED"}
    exact = answers[26 + 13 + 1]
    assert (exact.verdict, exact.over) == ("CONFIRMED", "nothing drawn")


def test_two_columns_a_product_and_one_where_self_terms_are_linear_or_left_out():
    varying, constant = interacting(d=64), interacting(d=64, magnitudes=ConstantMagnitude(1.25))
    assert planted(varying, 16, "full", 2000) < 1e-12 < 1e-4 < planted(varying, 8, "full", 2000)
    assert planted(varying, 8, "pure", 2000) < 1e-12 < 1e-3 < planted(varying, 7, "pure", 2000)
    assert planted(constant, 8, "full", 2000) < 1e-12 < 1e-3 < planted(constant, 7, "full", 2000)
    assert planted(varying, 0, "full", 2000) == planted(varying, 0, "pure", 2000) > 0.01


def test_a_planted_compound_has_a_latent_of_its_own_and_planted_parts_have_none():
    world, k = interacting(1, 1, 1, 3, 16, each=0.4), 3
    roles = {OFTEN: [(0, 1)], ONLY: [(2, 3)]}
    V, b = world.truth.features, world.tensors["targets"]

    def scores(rows, encoder, k):
        sae = create("topk", 16, len(rows), k=k, seed=[0])
        with torch.no_grad():
            sae.W_dec.copy_(rows)
            sae.W_enc.copy_(encoder.mT)
        return measure(sae, world, roles, ONLY, 2000)

    parts = scores(V, V, k)
    assert parts["mcc_activations"][0] > 0.999
    assert parts[OWN + OFTEN] == [0.0] == parts[OWN + ONLY]
    assert parts[PARTS + OFTEN] == [1.0]
    tilted = (
        V.clone()
    )  # a part's latent that fires harder with the other, r = .957 with the product, is still the part's
    tilted[0] += 0.3 * b[0]
    assert scores(V, tilted, k)[OWN + OFTEN] == [0.0]
    more = scores(torch.cat((V, b[:1])), torch.cat((V, b[:1] / 1.5)), k + 1)
    assert more[OWN + OFTEN] == [1.0]
    assert more[OWN + ONLY] == [0.0]


def test_what_a_compound_of_xor_shows():
    world = logical("xor", pairs=1, free=1, d=8)
    h = world.sample(50, stream(0, "test")).h.dense()
    one = ((h[:, 0] != 0) ^ (h[:, 1] != 0)).double()
    torch.testing.assert_close(acting(world, h, torch.tensor([(0, 1)]))[:, 0], one)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--d", 32], "--d must be at least 40, features and products; got 32: raise it or lower --pairs"),
        (["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (["--k", 1], "--k must be in [2, free + 2 = 10]; got 1"),
        (["--each", 0.2], "--each must be above 0, at most 0.125; got 0.2"),
        (["--ranks", 2, 16], "--ranks must be with [8, 16], 1 and 2 columns a product; got (2, 16)"),
        (["--ranks", 8, 16, 64], "--ranks must be in [1, 32]; got (8, 16, 64)"),
        (["--train.k-start", 2.0], "--train.k-start must be in (k, 32]; got 2.0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = toys.run(monkeypatch, capsys, interactions, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())
