"""The experiments of bias adaptation end to end at toy size: the shape of their results, resuming, bad input."""

import polars as pl
import pytest
from toys import run, starter

from experiments.bias import figures as bias_maps
from experiments.bias import gba, resonance
from experiments.bias import phase as bias_phase

TOY = {
    gba: [
        *("--n-true", 24, "--d", 12, 10, "--m", 32, 24, "--k", 2, 4, "--l0", 1.0, "--l1", 1.0, "--steps", 40),
        *("--batch", 32, "--seeds", 2, "--ranges", 1, 1.0, 1.0, 3, 2.0, 0.5),
    ],
    bias_phase: [
        *("--n-true", 32, "--s", 2, "--d", 8, 24, "--row", 12, 40, "--ratios", 1.5, 8.0, "--steps", 500),
        *("--batch", 64, "--gamma", 0.05, "--lr", 6e-3, "--seeds", 2),
    ],
    resonance: [
        *("--n-true", 32, "--d", 24, "--s", 2, "--m", 64, "--steps", 500, "--batch", 64, "--seeds", 2),
        *("--ratios", 1.5, 8.0, "--gamma", 0.05, "--lr", 6e-3),
    ],
}
"""flags that make each experiment a matter of seconds"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Runs an experiment at toy size, once for all tests: its folder and its table."""
    return starter(tmp_path_factory, TOY)


def test_resonance_is_lost_far_above_the_features_rate(toy):
    folder, frame = toy(resonance)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}

    def median(metric, **wanted):
        own = frame.filter(pl.col("metric") == metric, *(pl.col(name) == value for name, value in wanted.items()))
        return own["value"].median()

    at = {"control": "ceiling", "p/f": 1.5}
    assert median("recall@.9", **at) > 0.8
    assert median("recall@.9", control="ceiling", **{"p/f": 8.0}) < 0.2
    assert median("recall@.9", control="unsteered") < 0.2
    assert median("fvu", control="unsteered") < median("fvu", **at) / 5
    pairs = frame.filter(pl.col("latent").is_not_null()).group_by("metric").len()
    assert dict(pairs.iter_rows())["cosine"] == dict(pairs.iter_rows())["log2 rate"] > 0


def test_the_map_rises_with_d_falls_with_the_target_and_states_its_findings(toy):
    folder, frame = toy(bias_phase)
    assert {path.name for path in (folder / "figures").iterdir()} == {"frequency.png", "frequency.svg"}
    own = frame.filter(pl.col("metric") == "recall@.9")
    cell = {(d, r): v for d, r, v in own.filter(pl.col("map") == "frequency").select("d", "ratio", "value").iter_rows()}
    assert cell[24, 1.5] > 0.8 > 0.3 > max(cell[8, 1.5], cell[24, 8.0])
    assert set(own.filter(pl.col("map") == "row").select("n_true", "d").unique().rows()) == {(128, 12), (128, 40)}
    _, found = bias_maps.draw_frequency(frame, "", folder / "again/frequency")
    words = dict(found)
    assert words["cells where the theorem's window and FRR >= .9 disagree"].endswith("% of 4")
    assert "of them in the window" in " ".join(words)
    assert "it grows as n_true to the power, at this length" in words


@pytest.mark.parametrize("name", ["width", "partners", "groups"])
def test_the_other_maps_are_drawn_from_their_tables(name, tmp_path):
    settings = bias_phase.BiasPhase(maps=(name,), seeds=2, ratios=(0.5, 1.41, 2.0))
    cells = bias_phase.plan(settings)
    results = {}
    for cell in cells:  # recovery that ends where co-occurrence passes .4
        value = [float((cell["rho"] or 0.0) < 0.4)] * len(cell["low"])
        results[cell["id"]] = {"recall@.9": value, "recall@.9_null": [0.0] * len(value)}
    frame = pl.DataFrame(list(bias_phase.rows(cells, results)), infer_schema_length=None)
    paths, found = bias_phase.DRAWN[name](frame, bias_phase.caption(settings), tmp_path / name)
    assert all(path.exists() for path in paths)
    words = dict(found)
    if name == "partners":
        places = [float(v) for k, v in words.items() if k.startswith("rho_2")]
        assert len(places) == len(bias_phase.SIZES)
        assert all(0.3 < v < 0.4 for v in places)
        assert words["it goes as n_true to the power"].startswith("0.00")
    if name == "width":
        assert words["least m / n_true with FRR >= .9 at some p"] == "1"
        assert float(words["m / n_true that the theorem asks for at p = 2 f"]) > 1e3
    if name == "groups":
        assert len(words) == len(bias_phase.GROUPS)


def test_every_method_is_scored_and_compared_on_the_same_seeds(toy):
    folder, frame = toy(gba)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    grid = frame.filter(pl.col("part") == "grid", pl.col("metric") == "recall@.9")
    assert grid.height == 2 * 2 * (2 + 2 * 2 + 1 + 1)  # worlds, seeds, settings
    assert set(frame["part"]) == {"grid", "BA-12", "BA-13", "BA-14"}
    assert set(frame.filter(pl.col("metric") == "rare")["world"]) == {"two frequencies"}
    (first, *_), last = gba.tables_of(frame, gba.GBA(seeds=2)), list(gba.tables_of(frame, gba.GBA(seeds=2)))[-1]
    assert first.row_count == 8
    assert last.row_count == 2 * 5  # at the best setting and at the same L0, against five methods


def test_paired_interval_by_hand():
    assert str(gba.interval(pl.Series([0.0, 1.0, 2.0]).to_numpy())) == "+1.000 ± 2.484"  # 4.303 / sqrt(3)


@pytest.mark.parametrize("module", TOY)
def test_resuming_gives_the_same_table(toy, monkeypatch, capsys, module):
    folder, frame = toy(module)
    records = folder / "records.jsonl"
    records.write_text("\n".join(records.read_text().splitlines()[:-3]))
    code, said = run(monkeypatch, capsys, module, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame)
    code, said = run(monkeypatch, capsys, module, "--resume", folder, "--steps", 99)
    assert code == 2
    assert "--steps must be left alone with --resume; got 99: a run keeps its settings" in " ".join(said.split())


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (gba, ["--n-true", 8], "--n-true must be at least 20; got 8: samples hold up to 20 features"),
        (gba, ["--k", 300], "--k must be at most 256; got (300,): lower k or raise --m"),
        (gba, ["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (gba, ["--ranges", 1, 0.5, 0.5], "--ranges must be of one group and of more"),
        (gba, ["--ranges", 3, 0.5, 2.0], "got (3, 0.5, 2.0): rates are at most 1"),
        (gba, ["--lr", 0.0], "--lr must be above 0"),
        (bias_phase, ["--ratios", 50.0], "--ratios must be in (0, n_true/s=42.67]; got (50.0,): a rate is at most 1"),
        (bias_phase, ["--maps", "frequency", "--d", 1], "--d, --row must be dimensions of at least 2"),
        (bias_phase, ["--lr", 0.0], "--lr must be above 0"),
        (bias_phase, ["--seeds", 0], "--seeds must be at least 1"),
        (resonance, ["--s", 200], "--s must be at most n_true=128; got 200: lower it"),
        (resonance, ["--ratios", 50.0], "--ratios must be above 0 and at most 42.6667; got (50.0,)"),
        (resonance, ["--gamma", -1.0], "--gamma must be at least 0"),
        (resonance, ["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", TOY)
def test_dry_run_writes_nothing(monkeypatch, capsys, tmp_path, module):
    code, said = run(monkeypatch, capsys, module, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "samples" in said
    assert not list(tmp_path.iterdir())
