"""The course of a study: axes of a sweep, seeds that draw worlds, runs that grow, what is refused."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.recovery import STUDY as RECOVERY
from experiments.recovery import caption
from experiments.settings import Recovery
from synthetic.base.console import Console
from synthetic.mixture import SparseMixture
from synthetic.worlds.superposition import toy
from workbench.metrics import METRICS, evaluate
from workbench.study.figure import captioned
from workbench.study.flags import TrainFlags, parsed
from workbench.study.places import Arm, Place
from workbench.study.study import Study, carry_out
from workbench.study.table import COLUMNS, LOW_IS_BETTER, SCHEMA, best_settings, differences, score_table, speeds, tidy
from workbench.study.units import Unit, packed, unpacked
from workbench.training.config import TrainConfig


@dataclass(frozen=True)
class Small(TrainFlags):
    """Settings."""

    length: int = 3
    train: TrainConfig = TrainConfig(steps=3, batch=16)  # noqa: RUF009
    seeds: int = 2
    jobs: int = 1
    adds = ("seeds", "length", "set")


@dataclass(frozen=True)
class Pluggable(Small):
    """Settings."""

    plugin: Path | None = None


@dataclass(frozen=True)
class Sized(Small):
    """Settings."""

    m: int = 4


def places(settings):
    return [Place("toy", toy(), 1.0)]


def arms(settings, place):
    train = {"steps": settings.length}
    penalties = [{"l1": 0.1}, {"l1": 0.2}]
    return [
        Arm("topk", "topk", 8, {"k": 2}, train=train),
        Arm("relu", "relu", 8, grid=penalties, train=train),
    ]


def measure(sae, place, settings):
    """A number of the weights, and how often a place was sampled first."""
    return {"norm": sae.W_dec.detach().double().pow(3).sum((-1, -2)).numpy(), "norm_null": 0.5, "norm_ceiling": 1.0}


STUDY = Study("small", "?", Small, places, arms, measure)


def carried(tmp_path, **changes):
    return carry_out(STUDY, replace(Small(out=tmp_path), **changes))


def norms(table, **where):
    rows = table.filter(pl.col("metric") == "norm", pl.col("kind") == "score", **where)
    return rows.sort("setting", "seed", nulls_last=True)


def test_rows_say_what_they_are_of(tmp_path):
    table = carried(tmp_path).table
    assert table.columns == list(COLUMNS)
    (row,) = norms(table, arm="relu", setting="l1=0.2", seed=1).to_dicts()
    about = {
        "study": "small",
        "place": "toy",
        "x": 1.0,
        "world": "SparseMixture",
        "world_seed": 0,
        "n_true": 16,
        "d": 16,
    }
    assert row | about | {"m": 8, "k": None, "lr": 3e-3, "step": 3, "kind": "score"} == row
    assert norms(table, arm="topk")["k"].to_list() == [2.0, 2.0]
    once = table.filter(kind="ceiling").select("arm", "seed", "value").rows()
    assert once == [("topk", None, 1.0), ("relu", None, 1.0)]
    assert table.filter(kind="null", arm="topk").height == 1


def test_lists_are_axes_crossed_with_seeds(tmp_path):
    rates = carried(tmp_path, train=TrainConfig(steps=3, batch=16, lr=(1e-3, 1e-1)), set=("k=1,4",)).table
    found = norms(rates, arm="topk")
    wanted = [f"lr={lr} k={k}" for k in (1, 4) for lr in ("0.001", "0.1") for _ in range(2)]
    assert sorted(found["setting"]) == sorted(wanted)
    assert set(found.select("k", "lr").rows()) == {(1.0, 1e-3), (1.0, 0.1), (4.0, 1e-3), (4.0, 0.1)}
    assert set(norms(rates, arm="relu")["setting"]) == {f"lr={lr} l1={l1}" for lr in (0.001, 0.1) for l1 in (0.1, 0.2)}
    one = carried(tmp_path / "one", set=("lr=1e-3", "k=4")).table
    assert (
        norms(one, arm="topk")["value"].to_list() == norms(rates, arm="topk", setting="lr=0.001 k=4")["value"].to_list()
    )


def test_steps_follow_from_samples_and_each_batch_of_a_sweep():
    """An arm that makes steps of samples sees the batch that --set gives."""
    settings = Recovery(world=("toy",), variants=("topk",), axis=("samples",), samples=12_800, set=("batch=64,128",))
    found = {stack.train.batch: stack.train for stack in RECOVERY.units(replace(settings, ceilings=False))}
    assert {batch: train.steps for batch, train in found.items()} == {64: 200, 128: 100}
    assert found[64].checkpoint_every == 20
    large = SparseMixture(n_true=2048, d=8)
    assert Recovery(samples=10_240).training(large) == {"steps": 10, "batch": 1024, "lr": 3e-4, "checkpoint_every": 1}
    assert Recovery(samples=10_240, set=("batch=128",)).training(large)["steps"] == 80
    assert Recovery(set=("steps=4000",)).training(large)["checkpoint_every"] == 400


def test_a_k_of_a_sweep_is_the_target_of_arms_that_are_steered():
    plain = Recovery(world=("toy",), variants=("topk", "relu"), axis=("samples",), samples=1280, ceilings=False)
    units = RECOVERY.units(replace(plain, set=("k=2,3",)))
    aims = [(unit.arm.name, unit.setting, unit.arm.settings) for unit in units]
    assert aims == [
        ("topk", "k=2", {"k": 2}),
        ("topk", "k=3", {"k": 3}),
        ("relu", "k=2", {"target_l0": 2}),
        ("relu", "k=3", {"target_l0": 3}),
    ]
    apart = RECOVERY.units(replace(plain, set=("k=2,3", "target_l0=1.5")))
    assert [unit.setting for unit in apart] == ["k=2", "k=3", "target_l0=1.5"]  # which names it is not aimed by k too


def test_a_caption_lists_what_the_sweep_varies():
    train, texts = TrainConfig(steps=3, batch=16, lr=3e-3), ("lr=0.001,0.01", "m=8,16", "k=2,4")
    settings = Small(train=train, set=texts)
    about = "batch {train[batch]}, Adam {train[lr]:g}, {seeds} seeds"
    empty = pl.DataFrame(schema=SCHEMA)
    assert captioned(about, empty, settings) == "batch 16, Adam 0.001 or 0.01, 2 seeds"
    assert captioned(about, empty, replace(settings, set=())) == "batch 16, Adam 0.003, 2 seeds"
    assert captioned("m = {m}, {seeds} seeds", empty, Sized(set=texts)) == "m = 8 or 16, 2 seeds"
    swept = Recovery(world=("toy",), variants=("topk", "relu"), axis=("samples",), samples=1280, set=("batch=64,128",))
    assert "; m = 32, 1,280 samples, batch 64 or 128, lr 0.003; each arm at its setting of the best" in caption(swept)
    assert "each arm" not in caption(replace(swept, set=()))


def test_every_setting_of_an_arm_has_its_own_speed():
    stacks = [("topk", "lr=0.1", [0, 1], 2.0), ("topk", "lr=0.2", [0, 1], 4.0), ("topk", "lr=0.2", [2], 1.0)]
    stacks += [("relu", None, [0, 1], 5.0)]
    rows = []
    for arm, setting, seeds, seconds in stacks:
        about = {"place": "toy", "arm": arm, "step": 10}
        rows.append(about | {"setting": setting, "metric": "seconds", "value": seconds})
        for grid in ("l1=1", "l1=2") if arm == "relu" else (setting,):
            rows += [about | {"setting": grid, "seed": s, "metric": "samples", "value": 100.0} for s in seeds]
    wanted = {("topk", "lr=0.1"): "50 x 2", ("topk", "lr=0.2"): "40 x 1.5", ("relu", None): "20 x 4"}
    assert speeds(tidy(rows, "small")) == wanted


def test_no_heading_or_figure_is_cut_in_a_terminal_of_80_columns():
    metrics = ("recall@.9", "mcc", "f1", "fvu", "l0", "dead")
    arm = {"place": "base", "arm": "batch_topk_crosscoder", "setting": "k=8 lr=0.001", "step": 1}
    rows = [arm | {"seed": 0, "metric": name, "value": 57.5} for name in metrics]
    rows += [arm | {"seed": 0, "metric": "samples", "value": 2e5}, arm | {"metric": "seconds", "value": 1.0}]
    console = Console(width=80, record=True)
    console.print(score_table(tidy(rows, "small"), metrics, "toy"))
    lines = console.export_text().splitlines()
    assert lines[1].split() == ["arm", *metrics, "samples/s"]
    assert lines[3].split()[1:] == ["57.500"] * 6 + ["200,000", "x", "1"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("kk=4",), "--set must be one of .*; got 'kk': perhaps you meant 'k'"),
        (("k",), "--set must be name=value or name=value,value; got 'k': write --set k=4,8"),
        (("k=1", "k=2"), "--set k must be given once; got two lists: join them by a comma"),
        (("m=abc",), "--set m must be a whole number, at least 1; got abc: write --set m=32,64"),
        (("k=nan",), "--set k must be a finite number or a word; got nan: change it"),
    ],
)
def test_a_wrong_axis_is_refused(texts, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        carried(tmp_path, set=texts)
    assert not list(tmp_path.iterdir())


def test_seeds_may_draw_worlds(tmp_path):
    weights, worlds = (carried(tmp_path / over, over=over).table for over in ("weights", "worlds"))
    assert set(norms(weights)["world_seed"]) == {0}
    assert norms(worlds).select("seed", "world_seed").unique().sort("seed").rows() == [(0, 0), (1, 1)]
    first = [norms(table, arm="relu", seed=0)["value"].to_list() for table in (weights, worlds)]
    assert first[0] == pytest.approx(first[1], rel=1e-5)  # seed 0 draws the same world either way
    assert norms(weights, seed=1)["value"].to_list() != norms(worlds, seed=1)["value"].to_list()


def twos(sae, place, settings):
    return {"mcc": np.full(sae.W_dec.shape[:-2], 2.0)}


def test_evaluations_in_training_are_rows_beside_what_is_measured(tmp_path):
    study = replace(STUDY, measure=twos, arms=lambda settings, place: arms(settings, place)[:1])
    config = TrainConfig(batch=16, evaluations=2, evaluation_samples=64)
    tables = {}
    for over in ("weights", "worlds"):
        tables[over] = carry_out(study, Small(out=tmp_path / over, jobs=1, train=config, length=2, over=over)).table
        at = [pl.col("metric") == "mcc", pl.col("kind") == "score"]
        found = tables[over].filter(*at).sort("step", "seed")
        assert found.select("step", "seed").rows() == [(1, 0), (1, 1), (2, 0), (2, 1)]
        assert set(found.filter(step=2)["value"]) == {2.0} != set(found.filter(step=1)["value"])
    names = [set(table["metric"]) for table in tables.values()]
    assert names[0] - names[1] == {"consistency", "mcs@.9"}  # which are of several members


def test_a_run_grows_by_seeds_and_by_what_adds_units(tmp_path):
    begun = carried(tmp_path)
    records = (begun.run.folder / "records.jsonl").read_text()
    more = carried(tmp_path, resume=begun.run.folder, seeds=3)
    assert (more.run.folder / "records.jsonl").read_text().startswith(records)
    assert norms(begun.table).join(norms(more.table), on=list(COLUMNS), how="anti", nulls_equal=True).is_empty()
    fresh = carried(tmp_path / "fresh", seeds=3).table
    assert norms(more.table)["seed"].to_list() == norms(fresh)["seed"].to_list()
    assert norms(more.table)["value"].to_list() == pytest.approx(norms(fresh)["value"].to_list(), rel=1e-5)
    longer = carried(tmp_path, resume=begun.run.folder, length=5, seeds=3).table
    assert set(norms(longer, arm="topk").select("step", "setting").rows()) == {(3, "length=3"), (5, None)}
    assert norms(longer, arm="topk", step=3)["value"].to_list() == norms(more.table, arm="topk")["value"].to_list()
    again = carry_out(STUDY, replace(more.settings, length=5, resume=begun.run.folder))
    assert not differences(again.table, longer)


def test_a_run_grows_by_a_single_setting(tmp_path):
    begun = carried(tmp_path, set=("k=1",))
    grown = carried(tmp_path, set=("k=4",), resume=begun.run.folder).table
    assert set(norms(grown, arm="topk").select("setting", "k").rows()) == {("k=1", 1.0), ("k=4", 4.0)}


def test_a_seed_that_is_trained_alone_is_told_what_it_has_not(tmp_path, capsys):
    begun = carried(tmp_path)
    for seeds, said in ((3, True), (4, False)):
        settings = replace(begun.settings, resume=begun.run.folder, seeds=seeds, dry_run=True)
        carry_out(STUDY, settings, Console())
        assert ("seed 2 is trained alone: scores between seeds" in capsys.readouterr().out) == said
    evaluated = replace(STUDY, measure=lambda sae, place, settings: evaluate(sae, place.source, n=100))
    grown = carry_out(evaluated, Small(out=tmp_path / "scored"))
    grown = carry_out(evaluated, replace(grown.settings, resume=grown.run.folder, seeds=3)).table
    assert set(grown.filter(metric="mcc", kind="score")["seed"]) == {0, 1, 2}
    assert set(grown.filter(metric="consistency", kind="score")["seed"]) == {0, 1}


def test_what_a_result_depends_on_stays(tmp_path):
    begun = carried(tmp_path)
    for changes, said in (
        (
            {"over": "worlds"},
            "--over must be left alone with --resume; got worlds: a run keeps its settings",
        ),
        ({"train": TrainConfig(steps=3, batch=32)}, "--train.batch must be left alone with --resume; got 32"),
        ({"seeds": 1}, "--seeds must be at least 2 with --resume; got 1: a run keeps its seeds"),
    ):
        with pytest.raises(ValueError, match=said):
            carried(tmp_path, resume=begun.run.folder, **changes)
    path = begun.run.folder / "records.jsonl"
    path.write_text(path.read_text().replace('"unit": "', '"unit": "0'))
    with pytest.raises(ValueError, match=r"record of toy/1/topk must be of the settings in .*; got another's"):
        carried(tmp_path, resume=begun.run.folder)


def fail(sae, place, settings):
    raise TypeError("no")


def test_where_all_fails_there_is_no_table(tmp_path):
    outcome = carry_out(replace(STUDY, measure=fail), Small(out=tmp_path))
    assert set(outcome.failed.values()) == {"TypeError: no"}
    assert outcome.table.is_empty()
    assert not (outcome.run.folder / "metrics.parquet").exists()


def test_a_run_is_drawn_again_with_what_adds_to_it(tmp_path, capsys):
    folder = carried(tmp_path).run.folder
    study = replace(STUDY, tables=lambda settings: [lambda table: f"length {settings.length}"])
    flags = ["--redraw", str(folder)]
    assert study.main([*flags, "--length", "7"]) == 0
    assert "length 7" in capsys.readouterr().out
    for more in (["--over", "worlds"], ["--seeds", "9"]):
        assert study.main([*flags, *more]) == 2
        assert f"{more[0]} must be left alone with --redraw" in capsys.readouterr().err


def test_a_new_run_with_the_settings_of_another_may_have_a_plug_in(tmp_path):
    folder, plugin = carried(tmp_path, length=2).run.folder, tmp_path / "mine.py"
    plugin.touch()
    argv = ["--plugin", str(plugin), "--config", str(folder)]
    assert parsed(Pluggable, "small", "?", argv).length == 2
    argv[2] = "--redraw"
    with pytest.raises(ValueError, match="--plugin must be left alone with --redraw"):
        parsed(Pluggable, "small", "?", argv)


def test_a_units_digest_is_of_its_content():
    @dataclass(frozen=True, kw_only=True)
    class Point(Unit):
        part: str
        at: float

    one = Point(settings=Small(), seeds=(0, 1), part="a", at=0.5)
    assert one.id == "a/0.5"
    assert replace(one, seeds=(2,)).id == "a/0.5, seed 2"
    assert replace(one, seeds=(2, 3)).key == one.key
    assert replace(one, seeds=(2, 3)).digest != one.digest
    same = [replace(one, settings=Small(seeds=9, length=7, jobs=3, out=Path("elsewhere")))]
    other = [replace(one, settings=Small(train=TrainConfig(steps=4))), replace(one, at=0.6)]
    assert {unit.digest for unit in same} == {one.digest}
    assert one.digest not in {unit.digest for unit in other}

    @dataclass(frozen=True, kw_only=True)
    class Around(Unit):
        inner: Point

    around = Around(settings=Small(), inner=one)
    assert replace(around, inner=same[0]).digest == around.digest
    assert replace(around, inner=other[0]).digest != around.digest


def test_rows_come_back_from_records():
    rows = [{"metric": "a", "value": 1.0, "seed": 0}, {"metric": "b", "value": 2.0, "x": 3.0}]
    assert unpacked(packed(rows)) == [{"seed": None, "x": None} | row for row in rows]
    assert unpacked(packed([])) == []


def test_best_settings_are_those_of_the_best_median():
    def row(setting, metric, seed, value):
        return {"place": "p", "arm": "a", "setting": setting, "metric": metric, "seed": seed, "value": value}

    medians = {("k=1", "mcc"): 0.5, ("k=2", "mcc"): 0.7, ("k=1", "fvu"): 0.1, ("k=2", "fvu"): 0.2}

    rows = [row(*at, seed, value + seed / 10) for at, value in medians.items() for seed in (0, 1)]
    best = best_settings(tidy(rows, "small"), ("mcc", "fvu"))
    assert best.select("metric", "setting").rows() == [("mcc", "k=2"), ("fvu", "k=1")]
    assert best["median"].to_list() == pytest.approx([0.75, 0.15])
    assert best["n"].to_list() == [2, 2]


def test_metrics_that_are_best_at_0_are_known_to_be():
    zero = {name for kind in METRICS for name, value in kind.best.items() if value == 0}
    assert zero <= set(LOW_IS_BETTER)


def test_recovery_keeps_units_of_a_world_when_another_joins():
    one = Recovery(world=("toy",), variants=("topk",), axis=("samples",))
    two = replace(one, world=("toy", "superposition"), jobs=3, resume=Path("elsewhere"))
    digests = [{unit.id: unit.digest for unit in RECOVERY.units(settings)} for settings in (one, two)]
    assert set(digests[0]) == {"base/topk", "base/topk/ceiling"}
    assert digests[0].items() <= digests[1].items()
    measured = RECOVERY.units(replace(one, metrics=("hedging",)))
    assert {unit.id for unit in measured if unit.digest == digests[0][unit.id]} == {"base/topk"}
