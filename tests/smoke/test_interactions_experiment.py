"""The experiment on interactions end to end at toy size: its results, resuming, bad input, verdicts."""

import polars as pl
import pytest
import torch
import toys

from experiments.interactions import study as interactions
from experiments.interactions.compounds import acting, measure, planted
from experiments.interactions.findings import FULL, LINEAR, MORE, OFTEN, OWN, PURE, TITLES, R, at, placed
from synthetic.base.streams import stream
from synthetic.laws.magnitudes import ConstantMagnitude
from synthetic.worlds.structured import interacting, logical
from workbench import create
from workbench.study.selection import present, rows

TOY = [
    *("--pairs", 1, "--free", 3, "--d", 12, "--ranks", 2, 4, "--k-start", 4, "--steps", 60, "--batch", 64),
    *("--seeds", 2, "--samples", 400, "--lr", 0.02),
]


def run(monkeypatch, capsys, *flags):
    """Exit code and output of the experiment, in one line."""
    code, said = toys.run(monkeypatch, capsys, interactions, *flags)
    return code, " ".join(said.split())


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Its folder and its table."""
    return toys.starter(tmp_path_factory, {interactions: TOY})(interactions)


def test_every_arm_is_scored_before_and_after_on_the_same_seeds(toy):
    folder, frame = toy
    drawn = {"arms.png", "arms.svg", "sweeps.png", "sweeps.svg"}
    assert {path.name for path in (folder / "figures").iterdir()} == drawn
    own = frame.filter(pl.col("part") == "arms", pl.col("metric") == "fvu")
    assert own.height == 11 * 2 * 2  # arms, seeds, before and after
    sizes = dict(own.select("arm", "m").unique().iter_rows())
    assert (sizes[LINEAR], sizes[MORE], sizes[FULL]) == (9, 11, 9)
    assert sizes["linear, equal size"] == 14  # of 25 m + 12 numbers, against 9 x 12 + 21 encoding and 237 decoding
    table = placed(frame)

    def get(*names, **where):
        return list(at(*names, **where).read(table).values())

    assert max(get(FULL, "fvu")) < min(get(FULL, "fvu", step=0))
    assert set(get("self terms only", f"|B|: {OFTEN}")) == {0}
    assert min(get(PURE, f"|B|: {OFTEN}")) > 0
    assert rows(table, place="training")["step"].n_unique() == 8  # before, seven while training
    assert len(get(PURE, R, "training", step=0)) == 2
    assert present(rows(table, place="codes given"), "x") == [2, 4]
    assert set(frame["world"]) == {"varying", "constant", "inside", "and", "xor"}


def test_the_published_statement_is_asked_in_parts_and_as_a_whole(toy):
    table = placed(toy[1])
    settings = interactions.InteractionRun(pairs=1)
    answers = {title: [a for q in asked(settings) for a in q.answers(table)] for title, asked in TITLES.items()}
    assert [len(found) for found in answers.values()] == [26, 13, 7, 18, 5]
    *parts, whole = answers["published, equal m and k"]
    assert len(whole.intervals) == len(parts) == 4
    assert whole.verdict in ("REFUTED", "UNDECIDED") or {part.verdict for part in parts} == {"CONFIRMED"}
    exact = answers["columns a product"][1]
    assert (exact.verdict, exact.over) == ("CONFIRMED", "nothing drawn")


def test_two_columns_a_product_and_one_where_self_terms_are_linear_or_left_out():
    varying, constant = interacting(d=64), interacting(d=64, magnitudes=ConstantMagnitude(1.25))
    assert planted(varying, 16, "full", 2000) < 1e-12 < 1e-4 < planted(varying, 8, "full", 2000)
    assert planted(varying, 8, "pure", 2000) < 1e-12 < 1e-3 < planted(varying, 7, "pure", 2000)
    assert planted(constant, 8, "full", 2000) < 1e-12 < 1e-3 < planted(constant, 7, "full", 2000)
    assert planted(varying, 0, "full", 2000) == planted(varying, 0, "pure", 2000) > 0.01


def test_a_planted_compound_has_a_latent_of_its_own_and_planted_parts_have_none():
    world, k = interacting(1, 1, 1, 3, 16, each=0.4), 3
    roles = {OFTEN: [(0, 1)], "frequent only": [(2, 3)]}
    V, b = world.truth.features, world.tensors["targets"]

    def scores(rows, encoder, k):
        sae = create("topk", 16, len(rows), k=k, seed=[0])
        with torch.no_grad():
            sae.W_dec.copy_(rows)
            sae.W_enc.copy_(encoder.mT)
        return measure(sae, world, roles, "frequent only", 2000)

    parts = scores(V, V, k)
    assert parts["mcc of activations"][0] > 0.999
    assert parts[OWN + OFTEN] == [0.0] == parts[OWN + "frequent only"]
    assert parts[f"parts: {OFTEN}"] == [1.0]
    tilted = (
        V.clone()
    )  # a part's latent that fires harder with the other, r = .957 with the product, is still the part's
    tilted[0] += 0.3 * b[0]
    assert scores(V, tilted, k)[OWN + OFTEN] == [0.0]
    more = scores(torch.cat((V, b[:1])), torch.cat((V, b[:1] / 1.5)), k + 1)
    assert more[OWN + OFTEN] == [1.0]
    assert more[OWN + "frequent only"] == [0.0]


def test_what_a_compound_of_xor_shows():
    world = logical("xor", pairs=1, free=1, d=8)
    h = world.sample(50, stream(0, "test")).h.dense()
    one = ((h[:, 0] != 0) ^ (h[:, 1] != 0)).double()
    torch.testing.assert_close(acting(world, h, torch.tensor([(0, 1)]))[:, 0], one)


def test_resuming_gives_the_same_table(toy, monkeypatch, capsys):
    folder, frame = toy
    records = folder / "records.jsonl"
    records.write_text("\n".join(records.read_text().splitlines()[:-2]))
    code, said = run(monkeypatch, capsys, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame, null_equal=True)
    code, said = run(monkeypatch, capsys, "--resume", folder, "--steps", 99)
    assert code == 2
    assert "--steps must be left alone with --resume; got 99: a run keeps its settings" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--d", 32], "--d must be at least 40, features and products; got 32: raise it or lower --pairs"),
        (["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (["--k", 1], "--k must be in [2, free + 2 = 10]; got 1"),
        (["--each", 0.2], "--each must be above 0, at most 0.125; got 0.2"),
        (["--ranks", 2, 16], "--ranks must be with [8, 16], 1 and 2 columns a product; got (2, 16)"),
        (["--ranks", 8, 16, 64], "--ranks must be in [1, 32]; got (8, 16, 64)"),
        (["--k-start", 2.0], "--k-start must be in (k, 32]; got 2.0"),
        (["--lr", 0.0], "--lr must be above 0"),
        (["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, *flags, "--out", tmp_path)
    assert code == 2
    assert message in said
    assert not list(tmp_path.iterdir())


def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path):
    code, said = run(monkeypatch, capsys, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "samples" in said
    assert not list(tmp_path.iterdir())
