"""Every claim of the shelf comes to the verdict its file promises, on a small budget; every formula has one."""

import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest

import workbench.theory
from proofs_check.claim import Verdict
from proofs_check.engines.sampling import attack
from proofs_check.ledger import judge
from proofs_check.shelf import area_of, claims, title_of

ROOT = Path(__file__).parents[2]
SHELF = claims()


@pytest.mark.parametrize("id", SHELF)
def test_the_verdict_is_the_promised_one(id):
    sampled = not SHELF[id].proofs or SHELF[id].promised == Verdict.REFUTED  # of few instances, or ended by a witness
    entry = judge(SHELF[id], examples=40, seconds=120.0 if sampled else 20.0)
    assert not entry.problems
    assert entry.verdict == entry.promised
    assert entry.instances >= (3 if sampled else 40)
    assert all(control["violation"] for control in entry.controls)
    assert all(mutant["caught by"] for mutant in entry.mutants)
    assert all(abs(ratio - 1) < 1e-9 for ratio in entry.attained.values())
    if entry.verdict in (Verdict.PROVED, Verdict.VACUOUS):
        assert entry.scope
        assert all(entry.scope)


def test_the_afa_chapter_is_whole():
    afa = {id: claim for id, claim in SHELF.items() if area_of(claim) == "afa"}
    assert list(afa) == [f"AFA-{i}" for i in (*range(1, 18), 20)]
    assert sum(claim.promised == Verdict.PROVED for claim in afa.values()) >= 12
    assert afa["AFA-5"].promised == Verdict.VACUOUS
    assert "simplex" in afa["AFA-5"].witness


CHAPTERS = {
    "attention": {Verdict.PROVED: (1, 2, 3, 4, 5, 6)},
    "auxiliary": {Verdict.PROVED: tuple(range(1, 10)), Verdict.REFUTED: (10,)},
    "bias": {
        Verdict.PROVED: (1, 2, 3, 5, 7, 8, 9, 19),
        Verdict.SUPPORTED: (6, 10, 11, 12, 14, 15, 16, 17),
        Verdict.REFUTED: (4, 13),
        Verdict.VACUOUS: (18,),
    },
    "pursuit": {
        Verdict.PROVED: (*range(1, 10), *range(14, 18)),
        Verdict.SUPPORTED: (10, 11),
        Verdict.REFUTED: (12, 13),
    },
    "signed": {
        Verdict.PROVED: (*range(1, 9), 12, 15),
        Verdict.SUPPORTED: (9, 14, 16),
        Verdict.REFUTED: (10, 11, 13),
    },
    "interactions": {
        Verdict.PROVED: (*range(1, 9), 11, 14),
        Verdict.SUPPORTED: (9, 10),
        Verdict.REFUTED: (12, 13),
    },
    "factors": {
        Verdict.PROVED: (*range(1, 10), 13, 14),
        Verdict.SUPPORTED: (10,),
        Verdict.REFUTED: (11, 12),
    },
    "concepts": {
        Verdict.PROVED: (1, 2, 3, 4, 6, 8, 9, 11, 13, 14, 15, 16, 17),
        Verdict.SUPPORTED: (5, 7, 10, 12),
        Verdict.VACUOUS: (18,),
        Verdict.REFUTED: (19, 20, 21),
    },
    "actions": {
        Verdict.PROVED: (*range(1, 8), 10, 12),
        Verdict.SUPPORTED: (8, 9),
        Verdict.REFUTED: (11,),
    },
}
"""numbers of each chapter's claims by verdict"""


@pytest.mark.parametrize("area", CHAPTERS)
def test_a_chapter_is_whole(area):
    promised: dict[Verdict, tuple[int, ...]] = {}
    for id, claim in SHELF.items():
        if area_of(claim) == area and claim.promised:
            promised[claim.promised] = (*promised.get(claim.promised, ()), int(id.split("-")[1]))
    assert promised == CHAPTERS[area]


REFUTED = [id for id, claim in SHELF.items() if claim.promised == Verdict.REFUTED]


@pytest.mark.parametrize("id", REFUTED)
def test_mutants_of_a_refuted_claim_are_shown_where_it_holds(id):
    for mutant in SHELF[id].mutants:
        assert mutant.shown_on is not None
        assert not attack(replace(SHELF[id], instances=mutant.shown_on), 3).witness


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


def test_every_formula_is_mutated_by_some_claim():
    mutated = {mutant.of for claim in SHELF.values() for mutant in claim.mutants}
    assert not [formula.__qualname__ for formula in public_formulas() if formula not in mutated]


@pytest.mark.parametrize("formula", list(public_formulas()), ids=lambda f: f.__name__)
def test_every_formula_has_its_source(formula):
    assert "Source:" in (formula.__doc__ or "")


def test_ids_stand_in_natural_order():
    numbers = [int(id.split("-")[1]) for id in SHELF if id.startswith("AFA-")]
    assert numbers == sorted(numbers)
