"""The public benchmark at toy size: what a run shows, a stopped training that goes on, what stands beside, refusals."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from toys import checked, run

import workbench as W
from experiments import synthsaebench
from experiments.settings import SynthSAEBench
from experiments.synthsaebench import STUDY, Published, new_world, published, scores
from synthetic.mixture import SparseMixture
from workbench.study.figure import Figure
from workbench.study.flags import config_of, parsed
from workbench.study.panels import Lines
from workbench.study.places import fresh
from workbench.study.run import Run
from workbench.study.table import differences, tidy
from workbench.study.units import Report, unpacked

TINY = ["--n-true", 160, "--d", 24, "--m", 40, "--train.batch", 64, "--samples", 6400, "--train.lr", 0.003]
TINY += ["--l0", 1, 2, "--seeds", 2, "--threads", 1]


def test_a_run_comes_near_the_l0s_asked_for_and_learns(tmp_path_factory):
    _, folder, table = checked(tmp_path_factory, STUDY)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    last = table.filter(pl.col("step") == 100, pl.col("kind") == "score").sort("x", "seed")
    values = {name: last.filter(pl.col("metric") == name)["value"].to_list() for name in ("l0", "mcc")}
    assert values["l0"] == pytest.approx([1, 1, 2, 2], rel=0.3)
    assert len(set(values["mcc"])) == 4
    curve = table.filter(pl.col("metric") == "saelens_f1").group_by("step").agg(pl.col("value").mean()).sort("step")
    assert curve["step"].to_list() == [1, 100]
    assert curve["value"][1] > curve["value"][0]
    one = replace(STUDY.toy, l0=(2.0,))
    (figure,) = synthsaebench.figures(one)
    line = figure.draw(table.filter(pl.col("x").is_null() | (pl.col("x") == 2)), one).axes[0].lines[0]
    assert line.get_xdata().tolist() == [64, 6400]
    assert W.load(folder / "saes" / "synthsaebench_16k_historical-matryoshka").shape == (2, 2)


@pytest.mark.parametrize("name", W.RECIPES)
def test_a_stack_and_its_training_are_those_of_the_recipe(name):
    settings = replace(STUDY.toy, recipes=(name,))
    (unit,) = STUDY.units(settings)
    sae, config = W.recipe(name, 24, 40, l0=[1.0, 2.0], samples=6400, batch=64, seeds=[0, 1])
    ours, theirs = fresh(unit, unit.source()).state_dict(), sae.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)
    often = {name: getattr(settings.train, name) for name in ("evaluations", "evaluation_samples", "checkpoint_every")}
    assert unit.train == replace(config, lr=3e-3, **often)


def test_what_is_given_goes_over_the_recipe_and_the_sweep_over_both():
    def decays(**changes):
        settings = replace(STUDY.toy, recipes=("ista_matryoshka",), **changes)
        return [(unit.train.decay, unit.train.steps) for unit in STUDY.units(settings)]

    train = STUDY.toy.train
    assert decays() == [(1 / 3, 100)]
    assert decays(train=replace(train, decay=0.5)) == [(0.5, 100)]
    assert decays(train=replace(train, decay=0.5), set=("decay=0.0",)) == [(0.0, 100)]
    assert decays(set=("batch=64,128",)) == [(1 / 3, 100), (1 / 3, 50)]
    assert decays(pinned=("decay",)) == [(0.0, 100)]
    assert SynthSAEBench().steps == 195_312


def test_what_the_command_line_names_counts_even_at_its_default():
    def named(*flags):
        settings = parsed(SynthSAEBench, "synthsaebench", "", [*map(str, TINY), "--recipes", "ista_matryoshka", *flags])
        (unit,) = STUDY.units(settings)
        return unit.train.decay, unit.train.aux_weight, settings.pinned

    assert named() == (1 / 3, 1 / 4, ())
    assert named("--train.decay", "0.0") == (0.0, 1 / 4, ("decay",))
    assert named("--train.decay=0.0", "--train.aux_weight", "1.0") == (0.0, 1.0, ("aux_weight", "decay"))
    assert named("--train.decay", "0.5", "--train.no-bf16") == (0.5, 1 / 4, ("bf16",))


def test_a_run_keeps_which_settings_were_named(tmp_path, monkeypatch, capsys):
    settings = replace(STUDY.toy, out=tmp_path, pinned=("decay",))
    folder = Run.start(tmp_path, "synthsaebench", config_of(settings)).folder
    for flag in ("--resume", "--config"):
        assert parsed(SynthSAEBench, "synthsaebench", "", [flag, str(folder)]).pinned == ("decay",)
    for words, code in ((("--train.decay", 0.0), 0), (("--train.warm-up", 0.0), 2)):
        ended, said = run(monkeypatch, capsys, synthsaebench, "--resume", folder, "--dry-run", *words)
        assert ended == code, said
    assert "--train.warm-up must be left alone with --resume; got 0.0: the run left it to the study" in said


def test_a_stopped_training_goes_on_from_its_checkpoint(tmp_path):
    train = replace(STUDY.toy.train, checkpoint_every=8, evaluation_samples=200)
    settings = replace(STUDY.toy, recipes=("ista_matryoshka",), l0=(2.0,), seeds=1, samples=1280, final_samples=300)
    (unit,) = STUDY.units(replace(settings, train=train))
    results, seen = [], []
    for name in ("whole", "broken"):

        def show(samples, _, name=name):
            seen.append(samples // 64)
            if name == "broken" and len(seen) == 32:
                raise KeyboardInterrupt

        report = Report(show, tmp_path / name)
        if name == "broken":
            with pytest.raises(KeyboardInterrupt):
                STUDY.work_on(unit)(unit, report)
        results.append(tidy(unpacked(STUDY.work_on(unit)(unit, report)), "synthsaebench"))
    assert seen == [*range(1, 21), *range(1, 13), *range(9, 21)]
    assert results[0].height > 50
    assert not differences(*results)


def test_small_worlds_are_of_the_benchmarks_kind():
    world = new_world(SynthSAEBench(n_true=512, d=64, parent_scaling=False, correlation=False))
    assert (world.firing.trees, world.firing.scale_by_parent, world.n_true) == (4, False, 512)
    assert int((world.truth.parents >= 0).sum()) == 4 * 84


def test_published_figures_stand_beside_their_own_shape_only(tmp_path_factory):
    whole = SynthSAEBench()
    assert published(whole, "matryoshka", 25.0) == {"saelens_f1": 0.879, "saelens_mcc": 0.793, "mcc": 0.793}
    assert not published(whole, "topk", 25.0)
    assert not published(whole, "matryoshka", 26.0)
    assert not published(replace(whole, m=1024), "matryoshka", 25.0)
    assert all(np.shape(pair) == (2, 7) for pair in synthsaebench.PUBLISHED.values())
    table = checked(tmp_path_factory, STUDY)[2].with_columns(x=pl.col("x").replace({1.0: 20.0, 2.0: 25.0}))
    shown = scores(replace(whole, seeds=2, l0=(20.0, 25.0)), synthsaebench.SAELENS, "", table)
    recipes, f1 = (list(shown.columns[i].cells) for i in (0, 2))
    assert [value for name, value in zip(map(str, recipes), f1, strict=True) if "published" in name] == [
        "0.861",
        "0.879",
    ]
    figure, drawn = Figure("", [Lines(y="saelens_f1", marks=(Published("saelens_f1"),))]), []
    for l0 in ((20.0, 25.0), (25.0,)):
        (axes,) = figure.draw(table.filter(pl.col("x").is_in(l0)), replace(whole, l0=l0)).axes
        drawn.append([[float(y) for y in line.get_ydata()] for line in axes.lines if line.get_linestyle() == ":"])
    assert drawn == [[[0.861, 0.879], []], [[0.879, 0.879], []]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipes", "ista"], "--recipes must be one of"),
        (["--l0", 99], "--l0 must be in (0, m=40]; got (99.0,): lower it or raise --m"),
        (["--l0", 2, 2], "--l0 must be numbers that differ; got (2.0, 2.0)"),
        (["--samples", 1], "--samples must be at least the batch of 64"),
        (["--train.steps", 9], "--samples and --train.steps must be given one at a time"),
        (["--train.steps", 195_312], "--samples and --train.steps must be given one at a time"),
        (["--set", "steps=9"], "--samples and --train.steps must be given one at a time"),
        (["--n-true", 10], "--n-true must be at least 128"),
        (["--set", "k=3"], "--set must be of what has no flag of its own here; got k: use --l0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, synthsaebench, *TINY, *flags, "--out", tmp_path)
    assert code == 2
    assert message in said
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_which_world_and_which_stacks_and_draws_none(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(SparseMixture, "tensors", property(lambda world: 1 / 0))
    code, said = run(
        monkeypatch, capsys, synthsaebench, *TINY, "--dry-run", "--d", 25, "--recipes", "all", "--set", "lr=1e-3,3e-4",
        "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    words = " ".join(said.split())
    assert "parent scaling on" in words
    assert "6,400 samples, batch 64, lr 0.0003 or 0.001" in words
    for name in W.RECIPES:
        assert f"synthsaebench_16k/{name}/lr=0.001 6,400 samples x 2 seeds" in words
    assert not list(tmp_path.iterdir())
