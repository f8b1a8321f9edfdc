"""Every study keeps the contract, and a study that breaks a law of it is told which."""

import dataclasses
import importlib
import re

import magnitudes
import pytest
from toys import checked

import experiments
from synthetic.base.errors import must
from workbench.check import _smallest, check_study
from workbench.training.config import TrainConfig

MODULES = {name: importlib.import_module(module) for name, module in experiments.MODULES.items()}
STUDIES = {name: module.STUDY for name, module in MODULES.items() if hasattr(module, "STUDY")}
STUDIES["magnitudes"] = magnitudes.STUDY


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_keeps_every_law(name, tmp_path_factory):
    if name in ("gpt2", "transfer"):
        pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")
    study = STUDIES[name]
    assert study.name == name
    outcomes, _, _ = checked(tmp_path_factory, study)
    assert not [(outcome.law, outcome.said) for outcome in outcomes if not outcome.passed]


def test_a_unit_that_trains_is_done_again_beside_a_smaller_one_that_does_not():
    for name, ids in (("gpt2", 2), ("transfer", 2), ("recovery", 1)):
        study = STUDIES[name]
        again = _smallest(study.units(study.toy))
        assert len(again) == ids
        assert again[-1].size > 1
        assert again[0].size == min(unit.size for unit in study.units(study.toy))


def drawn_from_time(sae, place, settings):
    """Scores that no seed decides."""
    drawn_from_time.calls += 1
    return {"mcc": float(drawn_from_time.calls), "mcc_null": 0.0}


drawn_from_time.calls = 0


def fails(sae, place, settings):
    """No scores."""
    raise RuntimeError("no scores")


def none(sae, place, settings):
    """A score that is always 0."""
    return {"mcc": 0.0}


def forgets(table, settings):
    """The table, without scores once there are several places."""
    return table.filter(metric="seconds") if len(settings.spread) > 1 else table


def at_its_own_rate(settings, place):
    """Arms that go over the rate of the settings."""
    return [dataclasses.replace(arm, train={"lr": 1e-3}) for arm in magnitudes.arms(settings, place)]


class Stern(magnitudes.Magnitudes):
    """Settings that refuse what --help lists."""

    def check(self):
        must(self.train.batch in (8, 512), "--train.batch", "8 or 512", self.train.batch, "leave it")


def of_one_seed(settings):
    """Places whose rows name a seed of the world that is not theirs."""
    return [dataclasses.replace(place, columns={"world_seed": 7}) for place in magnitudes.STUDY.places(settings)]


STERN = Stern(seeds=2, spread=(0.9,), train=TrainConfig(steps=2, batch=8))


@pytest.mark.parametrize(
    ("change", "law", "said"),
    [
        ({"measure": drawn_from_time}, "S3", "done again: .* rows, such as .*'metric': 'mcc'"),
        ({"measure": fails}, "S2", "units fail: .*RuntimeError: no scores"),
        ({"places": lambda settings: []}, "S1", "there are no units"),
        ({"derive": lambda table, settings: table.drop("lr")}, "S2", "columns ..lr.. are not of the schema"),
        ({"figures": (), "tables": (lambda table: 1 / 0,)}, "S4", "--redraw ends with 70"),
        ({"measure": none, "derive": forgets}, "S6", r"rows are lost by spread = \(0\.1, 0\.9\), such as"),
        ({"arms": at_its_own_rate}, "S9", "--train.lr cannot be given otherwise, as .*: no stack is trained with it"),
        (
            {"settings": Stern, "toy": STERN},
            "S9",
            "--train.batch cannot be given otherwise, as .* must be 8 or 512; got 1",
        ),
        ({"places": of_one_seed}, "S8", "world_seed is not the seed that drew the world"),
    ],
)
def test_a_broken_study_is_told_what_it_breaks(change, law, said):
    toy = magnitudes.Magnitudes(seeds=2, spread=(0.9,), train=TrainConfig(steps=2, batch=8))
    quick = {"questions": (), "measure": None, "toy": toy, "figures": ()}
    study = dataclasses.replace(magnitudes.STUDY, **(quick | change))
    broken = next(outcome for outcome in check_study(study) if not outcome.passed)
    assert broken.law.startswith(law)
    assert re.search(said, broken.said, re.DOTALL)
