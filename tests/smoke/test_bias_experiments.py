"""The studies of bias adaptation: what their toy runs show, and what they refuse."""

import numpy as np
import polars as pl
import pytest
from toys import checked, run

from experiments.bias import comparison, gba, phase, resonance
from experiments.bias.figures import findings
from workbench.study.places import member_rows
from workbench.study.selection import rows
from workbench.study.table import tidy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The table of the toy run of a study."""
    return lambda module: checked(tmp_path_factory, module.STUDY)[2]


def words_of(table):
    """First column of a table to print -> second."""
    return dict(zip(*(map(str, column.cells) for column in table.columns), strict=True))


def test_resonance_is_lost_far_above_the_features_rate(toy):
    table = toy(resonance)

    def median(metric, arm, x=None):
        return rows(table, metric=metric, arm=arm, x=x, kind="score")["value"].median()

    assert median("recall@.9", "ceiling", 1.5) > 0.8
    assert median("recall@.9", "ceiling", 8.0) < 0.2
    assert median("recall@.9", "unsteered") < 0.2
    assert median("fvu", "unsteered") < median("fvu", "ceiling", 1.5) / 5
    pairs = dict(table.filter(pl.col("latent").is_not_null()).group_by("metric").len().iter_rows())
    assert pairs["cosine"] == pairs["log2 rate"] > 0
    assert table["value"].is_not_nan().all()  # latents that never fire have no row


def test_the_map_rises_with_d_falls_with_the_target_and_states_its_findings(toy):
    table = toy(phase)
    own = rows(table, metric="recall@.9", kind="score")
    map_of = {(d, x): v for d, x, v in rows(own, place="frequency").select("d", "x", "value").iter_rows()}
    assert map_of[24, 1.5] > 0.8 > 0.3 > max(map_of[8, 1.5], map_of[24, 8.0])
    assert set(rows(own, place="row").select("n_true", "d").unique().rows()) == {(128, 12), (128, 40)}
    assert own.select((pl.col("world_seed") == pl.col("seed")).all()).item()  # seeds draw worlds
    words = words_of(findings(table))
    assert words["cells where the theorem's window and FRR >= .9 disagree"].endswith("% of 4")
    assert "of them in the window" in " ".join(words)
    assert "it grows as n_true to the power, at this length" in words


@pytest.mark.parametrize("name", ["width", "partners", "groups"])
def test_the_other_maps_are_drawn_from_their_tables(name):
    settings = phase.BiasPhase(maps=(name,), seeds=2, ratios=(0.5, 1.41, 2.0))
    found = []
    for stack in phase.STUDY.units(settings):  # recovery that ends where co-occurrence passes .4
        shape = (len(stack.arm.grid), 1)
        value = np.full(shape, float((stack.place.columns["rho"] or 0.0) < 0.4))
        found += member_rows(stack, {"recall@.9": value, "recall@.9_null": np.zeros(shape)}, step=1)
    table = phase.with_axes(tidy(found, "bias_phase"), settings)
    (figure,) = phase.figures(settings)
    assert figure.name == name
    assert figure.draw(table, settings).axes
    words = words_of(findings(table))
    if name == "partners":
        places = [float(v) for k, v in words.items() if k.startswith("rho_2")]
        assert len(places) == len(phase.SIZES)
        assert all(0.3 < v < 0.4 for v in places)
        assert words["it goes as n_true to the power"].startswith("0.00")
    if name == "width":
        assert words["least m / n_true with FRR >= .9 at some p"] == "1"
        assert float(words["m / n_true that the theorem asks for at p = 2 f"]) > 1e3
    if name == "groups":
        assert len(words) == len(phase.GROUPS)


def test_every_method_is_scored_and_compared_on_the_same_seeds(toy):
    table = toy(gba)
    grid = rows(table, place=tuple(comparison.WORLDS), metric="recall@.9", kind="score")
    assert grid.height == 2 * 2 * (2 + 2 * 2 + 1 + 1)  # worlds, seeds, settings
    assert set(table["place"]) == {"unbalanced", "uniform", "BA-12", "BA-13", "BA-14"}
    assert set(rows(table, metric="rare")["world"]) == {"two frequencies"}
    answers = [answer for question in comparison.QUESTIONS for answer in question.answers(table)]
    assert len(answers) == 2 * 2 * 4  # worlds, settings that count, metrics
    assert all(len(answer.intervals) == 5 for answer in answers)


def test_the_settings_that_count_by_hand():
    values = {"a": (0.5, 0.2, 3.0), "b": (0.5, 0.1, 9.0), "c": (0.4, 0.0, 5.0)}
    found = [
        {
            "place": "uniform",
            "arm": arm,
            "setting": setting,
            "seed": 0,
            "metric": metric,
            "value": value + (arm == "TopK"),
        }
        for arm in ("GBA", "TopK")
        for setting, numbers in values.items()
        for metric, value in zip(("recall@.9", "fvu", "l0"), numbers, strict=True)
    ]
    table = tidy(found, "gba")
    best, near = (
        dict(pick(table).select("arm", "setting").unique().iter_rows())
        for pick in (comparison.at_best, comparison.near_gba)
    )
    assert best == {"GBA": "b", "TopK": "b"}  # equal recall, less error
    assert near == {"GBA": "b", "TopK": "b"}
    last = pl.col("arm").eq("TopK") & pl.col("metric").eq("l0")
    moved = table.with_columns(value=pl.when(last).then(19 - pl.col("value")).otherwise("value"))  # 15, 9, 13
    assert dict(comparison.near_gba(moved).select("arm", "setting").unique().iter_rows())["TopK"] == "b"
    moved = table.with_columns(value=pl.when(last).then(14 - pl.col("value")).otherwise("value"))  # 10, 4, 8
    assert dict(comparison.near_gba(moved).select("arm", "setting").unique().iter_rows())["TopK"] == "a"


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        (gba, ["--n-true", 8], "--n-true must be at least 20; got 8: samples hold up to 20 features"),
        (gba, ["--k", 300], "--k must be at most 256; got (300,): lower k or raise --m"),
        (gba, ["--seeds", 1], "--seeds must be at least 2; got 1: a paired interval needs two differences"),
        (gba, ["--ranges", 1, 0.5, 0.5], "--ranges must be of one group and of more"),
        (gba, ["--ranges", 3, 0.5, 2.0], "got (3, 0.5, 2.0): rates are at most 1"),
        (gba, ["--over", "worlds"], "--over must be weights; got worlds: survival is across weights on one world"),
        (phase, ["--ratios", 50.0], "--ratios must be in (0, n_true/s=42.67]; got (50.0,): a rate is at most 1"),
        (phase, ["--maps", "frequency", "--d", 1], "--d, --row must be dimensions of at least 2"),
        (resonance, ["--s", 200], "--s must be at most n_true=128; got 200: lower it"),
        (resonance, ["--ratios", 50.0], "--ratios must be above 0 and at most 42.6667; got (50.0,)"),
        (resonance, ["--gamma", -1.0], "--gamma must be at least 0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, module, flags, message):
    code, said = run(monkeypatch, capsys, module, *flags, "--out", tmp_path)
    assert code == 2
    assert message in " ".join(said.split())
    assert not list(tmp_path.iterdir())
