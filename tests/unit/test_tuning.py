"""Learning rates chosen by --tune, and the warning of a training that was too short."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from synthetic.base.console import Console
from synthetic.worlds.superposition import toy
from workbench.study import tuning
from workbench.study.figure import Figure, captioned
from workbench.study.flags import TrainFlags
from workbench.study.panels import Lines
from workbench.study.places import Arm, Place, Stack, seed_of_world, trained
from workbench.study.questions import interval
from workbench.study.study import Study, carry_out, run_study
from workbench.study.table import differences, tidy
from workbench.study.units import Report
from workbench.training.config import Diverged, TrainConfig

SETTINGS = TrainFlags(seeds=2, jobs=1, train=TrainConfig(steps=8, batch=16, evaluation_samples=400), tune=True)
QUIET = Report(lambda samples, words: None, Path())
TOPK = Arm("topk", "topk", 8, {"k": 2})
STUDY = Study(
    "small",
    "?",
    TrainFlags,
    lambda settings: [Place("toy", toy(), 1.0), Place("toy", toy(bias_norm=0.5), 2.0)],
    lambda settings, place: [TOPK, Arm("relu", "relu", 8, grid=[{"l1": 0.1}, {"l1": 0.2}])],
    headline="mcc",
)


def carried(tmp_path, study=STUDY, **changes):
    return done(study, replace(SETTINGS, out=tmp_path, **changes))


def done(study, settings):
    outcome = carry_out(study, settings)
    assert outcome is not None
    return outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return carried(tmp_path_factory.mktemp("runs"))


def scores(table, **where):
    found = table.filter(pl.col("metric") == "mcc", pl.col("kind") == "score", **where)
    return found.sort("x", "setting", "seed", nulls_last=True)["value"].to_list()


def test_the_rate_of_the_best_mean_on_other_worlds_is_trained_with(whole, tmp_path):
    choices: dict[str, Any] = {choice.arm: choice for choice in tuning.kept(whole.run.folder)}
    assert list(choices) == ["topk", "relu"]
    for arm, choice in choices.items():
        assert choice.rates == (0.001, 0.003, 0.009)
        assert choice.chosen == choice.rates[int(np.argmax(choice.means))]
        assert set(whole.table.filter(pl.col("arm") == arm)["lr"]) == {choice.chosen}
    alone = replace(STUDY, arms=lambda settings, place: [TOPK])
    config = replace(SETTINGS.train, lr=choices["topk"].chosen)
    by_hand = carried(tmp_path, alone, tune=False, train=config).table
    assert scores(whole.table, arm="topk") == scores(by_hand)
    made = [record["id"] for record in whole.run.records() if "tuning" in record["id"]]
    assert made == [f"toy/1/{arm}/tuning, seed {seed}" for arm in choices for seed in (1_000_000, 1_000_001, 1_000_002)]


def test_rates_are_tried_on_nothing_that_is_judged(monkeypatch):
    """World, samples and weights of a trial are those of its seed, and its rates are judged on that world."""
    seen = []

    def spy(name):
        real = getattr(tuning, name)

        def watched(sae, source, *args, **named):
            seen.append((name, seed_of_world(source), named["seed"], sae.seed))
            return real(sae, source, *args, **named)

        return watched

    for name in ("train", "evaluate"):
        monkeypatch.setattr(tuning, name, spy(name))
    (first, *_), _ = tuning.trials(STUDY.units(SETTINGS), "mcc").values()
    rows = list(tuning.tried(first, QUIET))
    assert [row["lr"] for row in rows] == [0.001, 0.003, 0.009]
    assert [(name, *seeds) for name, *seeds, _ in seen] == [(n, 10**6, 10**6) for n in ("train", "evaluate")]
    assert np.ravel(seen[0][-1]).tolist() == [10**6] * 3
    same = replace(first.stack, place=Place("toy", toy(seed=10**6)))
    ((other, *_),) = tuning.trials([same], "mcc").values()
    assert other.seed == 10**6 + 1


def test_a_stopped_run_goes_on_to_the_same_bits(whole, tmp_path):
    folder = Path(shutil.copytree(whole.run.folder, tmp_path / whole.run.folder.name))
    lines = (folder / "records.jsonl").read_text().splitlines(keepends=True)
    (folder / "records.jsonl").write_text("".join(lines[:3]))  # in the midst of tuning
    (folder / tuning.FILE).unlink()
    went_on = done(STUDY, replace(whole.settings, resume=folder))
    assert not differences(whole.table, went_on.table)
    assert tuning.kept(folder) == tuning.kept(whole.run.folder)
    tried = [record for record in went_on.run.records() if "tuning" in record["id"]]
    grown = done(STUDY, replace(whole.settings, resume=folder, seeds=3))
    assert [record for record in grown.run.records() if "tuning" in record["id"]] == tried
    assert tuning.kept(folder) == tuning.kept(whole.run.folder)
    assert set(grown.table["setting"]) == set(whole.table["setting"])


def test_what_was_chosen_is_said_whenever_it_is_shown(whole, capsys):
    run_study(STUDY, replace(whole.settings, redraw=whole.run.folder), Console(width=300))
    said = capsys.readouterr().out
    for choice in tuning.kept(whole.run.folder):
        assert f"tuned {choice.arm} on toy: lr {choice.chosen:g} (mcc " in said
        assert ("WARNING: at the edge" in str(choice)) == (choice.chosen != 0.003)


def test_a_best_rate_at_the_edge_is_warned_of():
    about = {"arm": "topk", "world": "toy", "setting": "", "metric": "mcc", "rates": (0.1, 0.3, 0.9)}
    middle = tuning.Choice(**about, means=(0.5, 0.6, None), chosen=0.3)
    assert str(middle) == "tuned topk on toy: lr 0.3 (mcc 0.500 at 0.1, 0.600 at 0.3, diverged at 0.9)"
    edge = str(replace(middle, chosen=0.1))
    assert edge.endswith("; WARNING: at the edge of the grid, so that one beyond may be better")


def test_a_rate_that_diverges_loses_and_takes_none_with_it(monkeypatch):
    real = tuning.train

    def breaking(sae, source, config, **named):
        if 0.009 in config.lr:
            error = Diverged("train.loss must be finite")
            error.members = torch.tensor([rate == 0.009 for rate in config.lr]).expand(sae.shape)
            raise error
        return real(sae, source, config, **named)

    trial = tuning.trials(STUDY.units(SETTINGS), "mcc").popitem()[1][0]  # of ReLU, two rows
    whole = [row["value"] for row in tuning.tried(trial, QUIET)]
    monkeypatch.setattr(tuning, "train", breaking)
    *left, broken = [row["value"] for row in tuning.tried(trial, QUIET)]
    assert left == pytest.approx(whole[:2])
    assert broken is None


def choices_of(values, metric="mcc"):
    stack = Stack(settings=SETTINGS, place=Place("toy", toy()), arm=TOPK, train=SETTINGS.train)
    found = tuning.trials([stack], metric)
    rows = {"rows": 3, "same": {"metric": metric}, "each": {"lr": [0.001, 0.003, 0.009], "value": values}}
    return tuning.chosen(found, {trial.id: rows for trials in found.values() for trial in trials})


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("mcc", [0.5, 0.6, 0.7], 0.009),
        ("mcc", [0.6, 0.6, 0.6], 0.003),
        ("mcc", [None, None, 0.1], 0.009),
        ("fvu", [0.5, 0.6, 0.7], 0.001),
    ],
)
def test_the_best_wins_and_the_own_rate_among_equals(metric, values, best):
    ((_, choice),) = choices_of(values, metric).items()
    assert choice.chosen == best


def test_an_arm_that_diverges_at_all_rates_is_refused():
    with pytest.raises(ValueError, match=r"--tune: topk must be trained at some rate without diverging; got"):
        choices_of([None] * 3)


class Rows:
    d = 16

    def sample(self, n, rng):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("study", "changes", "said"),
    [
        (replace(STUDY, headline=""), {}, "--tune must be left out; got given: small has no metric to choose by"),
        (STUDY, {"set": ("lr=1e-3,1e-2",)}, "--tune must be given without rates of --set"),
        (
            replace(STUDY, places=lambda settings: [Place("rows", Rows())]),
            {},
            "--tune must be used on worlds of known truth that are drawn from a seed; got Rows: drop it",
        ),
    ],
)
def test_where_there_is_nothing_to_tune_it_is_refused(study, changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        carried(tmp_path, study, **changes)
    assert not list(tmp_path.iterdir())


def test_captions_say_the_rates(whole):
    choices = tuning.kept(whole.run.folder)
    figure = tuning.said_below(Figure("f", [Lines(y="mcc", over="samples")], "lr {train[lr]:g} of {world}."), choices)
    said = captioned(figure.caption, whole.table, SETTINGS)
    rates = sorted({choice.chosen for choice in choices})
    assert f"lr {' or '.join(f'{rate:g}' for rate in rates)} of SparseMixture; learning rates by mcc on 3 other" in said
    for choice in choices:
        assert f"{choice.arm} {choice.chosen:g}" in said
    assert tuning.said_below(figure, []) is figure


# --- length ----------------------------------------------------------------------------------------------------------


def course(steps):
    """A table of TopK on the toy world, evaluated on the way."""
    train = TrainConfig(steps=steps, batch=64, lr=1e-2, evaluations=5, evaluation_samples=500)
    unit = Stack(settings=SETTINGS, seeds=(0, 1, 2), place=Place("toy", toy()), arm=replace(TOPK, m=32), train=train)
    return tidy(list(trained(None, False, unit, QUIET)), "small")


def test_few_steps_are_too_few_and_many_are_not():
    (line,) = tuning.still_rising(course(60), "mcc")
    assert line.startswith("topk at toy: WARNING: trained too short, mcc still rises by 0.")
    assert not list(tuning.still_rising(course(700), "mcc"))


def curve(values, metric="mcc", steps=(10, 40)):
    rows = [
        {"place": "toy", "arm": "topk", "metric": metric, "seed": seed, "step": step, "value": value}
        for seed, pair in enumerate(values)
        for step, value in zip(steps, pair, strict=True)
    ]
    return tidy(rows, "small")


def test_a_rise_counts_by_doubling_and_against_its_interval():
    mean = interval([0.05, 0.06, 0.055])  # in two doublings .10, .12, .11
    (line,) = tuning.still_rising(curve([(0.5, 0.6), (0.5, 0.62), (0.5, 0.61)]), "mcc")
    assert f"mcc still rises by {mean.mean:.3f} ± {mean.half:.3f} with every doubling" in line
    assert not list(tuning.still_rising(curve([(0.5, 0.7), (0.5, 0.5), (0.5, 0.6)]), "mcc"))  # noise as large
    assert not list(tuning.still_rising(curve([(0.5, 0.51), (0.5, 0.511), (0.5, 0.512)]), "mcc"))  # less than .01
    assert len(list(tuning.still_rising(curve([(0.5, 0.6)]), "mcc"))) == 1  # no interval of one seed
    assert not list(tuning.still_rising(curve([(0.5, 0.4)] * 2), "mcc"))
    assert len(list(tuning.still_rising(curve([(0.5, 0.4)] * 2, "fvu"), "fvu"))) == 1  # which is to fall


def test_choices_of_another_kind_are_refused(tmp_path):
    (tmp_path / tuning.FILE).write_text(json.dumps({"choices": [{"arm": 3}]}))
    with pytest.raises(ValueError, match="choices: arm must be a text; got 3: go on with --resume"):
        tuning.kept(tmp_path)
