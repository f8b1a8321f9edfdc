"""Every claim of the shelf comes to the verdict its file promises, on a small budget; every formula has one."""

import inspect
import json
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest

import workbench.theory
from proofs_check.claim import Verdict
from proofs_check.engines.sampling import _print, attack, search
from proofs_check.ledger import judge
from proofs_check.measured import RECORD, recalled
from proofs_check.shelf import claims, title_of
from tests.claims.reading import values_read

ROOT = Path(__file__).parents[2]
SHELF = claims()


TRAINED = [id for id, claim in SHELF.items() if claim.kind == "trained"]
MEMBERS = [pytest.param(id, marks=[pytest.mark.slow] * (id != "BA-10")) for id in TRAINED]


@pytest.mark.parametrize("id", [id for id in SHELF if id not in TRAINED])
def test_the_verdict_is_the_promised_one(id):
    sampled = not SHELF[id].proofs or SHELF[id].refutes  # of few instances, or ended by a witness
    entry = judge(SHELF[id], examples=40, seconds=120.0)
    assert not entry.problems
    assert entry.verdict == entry.promised
    assert entry.instances >= (3 if sampled else 40)
    assert SHELF[id].refutes or (entry.nontrivial or 0.0) >= 0.5  # a refuted one ends at its witness
    assert all(control["violation"] for control in entry.controls)
    assert all(mutant["caught by"] for mutant in entry.mutants)
    assert all(abs(ratio - 1) < 1e-9 for ratio in entry.attained.values())
    if entry.verdict in (Verdict.PROVED, Verdict.PROVED_IN_PART, Verdict.VACUOUS):
        assert entry.scope
        assert all(entry.scope)


@pytest.mark.parametrize("id", TRAINED)
def test_a_claim_on_trained_stacks_stands_by_its_record(id):
    """Which is of its code as it stands, and of ten members a part that drew a world and a stream each."""
    entry = recalled(SHELF[id])
    assert not entry.problems
    assert entry.verdict == entry.promised
    assert min(judged for _, judged, *_ in entry.held.values()) == 10
    assert all(len(training["seeds"]) < 4 for training in entry.trainings)
    assert not {seed for training in entry.trainings for seed in training["seeds"]} & set(entry.calibrated_on)
    assert all(control["violation"] for control in entry.controls)
    assert all(mutant["caught by"] for mutant in entry.mutants)


@pytest.mark.parametrize("id", MEMBERS)
def test_a_member_comes_to_the_figures_of_the_record(id):
    members = []
    search(SHELF[id].instances, members.append, 300, 0)
    member = min(members, key=str)
    kept = json.loads((RECORD / f"{id}.json").read_text())["members"][str(member)]["parts"]
    for name, part in SHELF[id].conclusion(member).items():
        assert part.measured.tolist() == pytest.approx(kept[name]["measured"], abs=0.02)
        assert part.bound.tolist() == pytest.approx(kept[name]["bound"], rel=0.02, abs=0.02)


def test_no_claim_is_lost_and_none_promises_another_verdict():
    files = (ROOT / "tests" / "golden" / "data" / "claims").glob("*.json")
    kept = {id: item["promised"] for file in files for id, item in json.loads(file.read_text())["items"].items()}
    assert {id: claim.promised for id, claim in SHELF.items()} == kept


REFUTED = [id for id, claim in SHELF.items() if claim.refutes]


@pytest.mark.parametrize("id", [pytest.param(id, marks=[pytest.mark.slow] * (id in TRAINED)) for id in REFUTED])
def test_mutants_of_a_refuted_claim_are_shown_where_it_holds(id):
    for mutant in SHELF[id].mutants:
        assert mutant.shown_on is not None
        found = attack(replace(SHELF[id], instances=mutant.shown_on), 3)
        assert found.judged
        assert not found.problem
        assert not found.witness


@pytest.mark.parametrize("id", SHELF)
def test_a_claim_says_what_it_rests_on(id):
    claim = SHELF[id]
    assert claim.promised is not None
    assert claim.statement
    assert claim.tex
    assert claim.source
    assert claim.hypotheses
    assert {control.drops for control in claim.controls} == {h.name for h in claim.hypotheses}
    assert claim.mutants
    assert claim.proofs or claim.note  # a claim without a proof says why
    assert not claim.shown_by or claim.id in (ROOT / claim.shown_by).read_text()
    assert title_of(claim) in claim.conclusion.__module__.replace("_", " ")


def public_formulas():
    for module in pkgutil.iter_modules(workbench.theory.__path__):
        if module.name == "ops":
            continue
        found = __import__(f"workbench.theory.{module.name}", fromlist=["_"])
        for name, value in vars(found).items():
            if inspect.isfunction(value) and value.__module__ == found.__name__ and not name.startswith("_"):
                yield value


UNTRAINED = [id for id in SHELF if id not in TRAINED]
LAWS: dict[str, str] = {}
"""claim -> why a hypothesis of it is a switch that is drawn with the instance, and not measured of it"""


def simplest(strategy):
    instances = []
    search(strategy, instances.append, 1, 0)
    return instances[0]


@pytest.mark.parametrize("id", [id for id in UNTRAINED if id not in LAWS])
def test_no_hypothesis_is_a_switch(id):
    instance = simplest(SHELF[id].instances)
    for hypothesis in SHELF[id].hypotheses:
        read = values_read(hypothesis.deviation, instance)
        assert read, f"{hypothesis.name} asks nothing of the instance but its class"
        assert not all(value is None or isinstance(value, bool | str) for value in read.values()), hypothesis.name


@pytest.mark.parametrize("id", UNTRAINED)
def test_a_control_is_no_single_point(id):
    for control in SHELF[id].controls:
        drawn = set()
        search(control.instances, lambda instance, drawn=drawn: drawn.add(_print(instance)), 10, 0)
        assert len(drawn) > 1, control.drops


def test_every_formula_is_mutated_by_some_claim():
    mutated = {mutant.of for claim in SHELF.values() for mutant in claim.mutants}
    assert not [formula.__qualname__ for formula in public_formulas() if formula not in mutated]


@pytest.mark.parametrize("formula", list(public_formulas()), ids=lambda f: f.__name__)
def test_every_formula_has_its_source(formula):
    assert "Source:" in (formula.__doc__ or "")


def test_ids_stand_in_natural_order():
    numbers = [int(id.split("-")[1]) for id in SHELF if id.startswith("AFA-")]
    assert numbers == sorted(numbers)
