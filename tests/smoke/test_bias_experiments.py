"""The experiments of bias adaptation end to end at toy size: the shape of their results, resuming, bad input."""

import sys

import polars as pl
import pytest

from experiments import gba, resonance

TOY = {
    gba: [
        *("--n-true", 24, "--d", 12, 10, "--m", 32, 24, "--k", 2, 4, "--l0", 1.0, "--l1", 1.0, "--steps", 40),
        *("--batch", 32, "--seeds", 2, "--ranges", 1, 1.0, 1.0, 3, 2.0, 0.5),
    ],
    resonance: [
        *("--n-true", 32, "--d", 24, "--s", 2, "--m", 64, "--steps", 500, "--batch", 64, "--seeds", 2),
        *("--ratios", 1.5, 8.0, "--gamma", 0.05, "--lr", 6e-3),
    ],
}
"""flags that make each experiment a matter of seconds"""


def run(monkeypatch, capsys, module, *flags):
    """Exit code and output of an experiment in this process."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, flags)])
    try:
        code = module.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Runs an experiment at toy size, once for all tests: its folder and its table."""
    done = {}

    def start(module):
        if module not in done:
            out = tmp_path_factory.mktemp("toy")
            with pytest.MonkeyPatch.context() as patch:
                flags = [*TOY[module], "--out", out, "--jobs", 1]
                patch.setattr(sys, "argv", [module.__name__, *map(str, flags)])
                assert module.main() == 0
            (folder,) = next(path for path in out.iterdir() if path.is_dir()).iterdir()
            done[module] = folder, pl.read_parquet(folder / "metrics.parquet")
        return done[module]

    return start


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
    assert gba.paired(pl.Series([0.0, 1.0, 2.0]).to_numpy()) == "+1.000 ± 2.484"  # 4.303 / sqrt(3)


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
    assert "seeds" in said
    assert not list(tmp_path.iterdir())
