"""Stacks of claims: every setting written down, trained once for the mutants at work, noted in the ledger."""

from dataclasses import dataclass, fields, replace

import pytest
from hypothesis import strategies as st

from proofs_check import measured
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Verdict, Void, at_most, edited
from proofs_check.claims.bias.runs import recovered
from proofs_check.instances import stack as stacks
from proofs_check.instances.stack import Stack, Trained, training
from proofs_check.ledger import judge
from proofs_check.measured import fingerprint, measure, recalled
from proofs_check.trainings import in_place, noted
from synthetic.worlds import worlds
from workbench import TrainConfig
from workbench.metrics import evidence, products
from workbench.parts import bias_control

SETTINGS = {"groups": 1, "low": 0.2, "high": 0.2, "down": 0.1, "up": 0.1, "period": 2, "output": "jump"}
SMALL = Stack(
    world="uniform",
    knobs=(("n_true", 8), ("d", 6), ("s", 2)),
    variant="group_bias_adaptation",
    m=8,
    settings=(*SETTINGS.items(), ("control", "ceiling")),
    train=training(6, 32, 1e-2),
    seeds=(0, 1),
    samples=64,
)


LATER = {"data_start": False}
"""fields that trained claims leave at their default: to write them down would void the record of what was measured"""


def test_every_field_of_training_is_written_down():
    assert {*stacks._TRAINING, *LATER} | {"steps", "batch", "lr"} == {f.name for f in fields(TrainConfig)}
    assert {name: getattr(TrainConfig(), name) for name in LATER} == LATER


def test_a_setting_left_to_its_default_is_refused():
    with pytest.raises(ValueError, match=r"Stack.settings must be all of group_bias_adaptation's; got none for period"):
        replace(SMALL, settings=tuple(pair for pair in SMALL.settings if pair[0] != "period")).sae  # noqa: B018


def test_a_knob_of_a_world_left_to_its_default_is_refused():
    with pytest.raises(ValueError, match=r"Stack.knobs must be all of uniform's; got none for s: name them"):
        replace(SMALL, knobs=(("n_true", 8), ("d", 6))).sae  # noqa: B018


def test_a_later_default_of_a_world_moves_no_claim(monkeypatch):
    made = worlds()["bidirectional"]
    later = {**worlds(), "bidirectional": lambda n_true=48, d=8, k=1, sd=0.0, seed=9: made(n_true, d, k, sd, seed)}
    monkeypatch.setattr(stacks, "worlds", lambda: later)
    assert Trained().stack.place == made(24, 32, 3, 0.25, 0)


def test_a_stack_is_trained_once_and_anew_for_a_mutant_of_what_it_runs():
    with noted() as trainings:
        sae = SMALL.sae
        assert SMALL.sae is sae
    assert trainings == [SMALL.record] * 2
    assert (trainings[0]["seeds"], trainings[0]["steps"], trainings[0]["world seed"]) == ([0, 1], 6, 0)
    with in_place(Mutant("never falls", bias_control.adapted, lambda b, *rest: b)):
        assert not SMALL.sae.b_enc.any()
    with in_place(Mutant("nothing", products.auroc, lambda a, b: 0.0)):
        assert SMALL.sae is sae
    assert sae.b_enc.any()


def test_what_a_mutant_of_metrics_measured_is_not_kept():
    stack = replace(SMALL, seeds=(4,))
    members = evidence._members
    twice = edited("twice the samples", members, lambda f: lambda coding, truth, sums, n: f(coding, truth, sums, 2 * n))
    with in_place(twice):
        (wrong,), sae = stack.evidence, stack.sae
    (right,) = stack.evidence
    assert (wrong.n, right.n) == (128, 64)
    assert stack.sae is sae
    with in_place(Mutant("of a claim", recovered, lambda cosines, level=0.5: 0.0)):
        assert stack.evidence[0] is right


def test_trainings_within_others_are_noted_by_both():
    with noted() as outer:
        with noted() as inner:
            pass
        SMALL.sae  # noqa: B018
    assert (len(outer), inner) == (1, [])


def claim(**changes):
    def conclusion(case):
        return {"fvu": at_most(case.fvu, 2.0), "relative": at_most(case.fvu, case.fvu + case.seed)}

    steps = Hypothesis("trained", lambda case: float(case.steps != 2))
    cases = st.sampled_from([Trained(seed=seed, steps=2, m=6) for seed in (0, 1)])
    said = {"id": "X-1", "statement": "s", "source": "ours", "instances": cases, "conclusion": conclusion}
    return Claim(**{**said, "kind": "trained", "calibrated_on": (5,), "hypotheses": (steps,), **changes})


def test_the_ledger_says_what_was_trained():
    entry = judge(claim(), examples=5)
    assert (entry.verdict, entry.problems) == (
        "UNKNOWN",
        ["a part says something of 2 members alone: draw ten or more"],
    )
    assert [t["seeds"] for t in entry.trainings] == [[0, 1, 2]]
    assert entry.trainings[0]["world"] == "bidirectional"
    assert entry.thresholds == {"fvu": 2.0}
    assert entry.calibrated_on == [5]
    told = judge(claim(calibrated_on=(1,)), examples=5).problems
    assert "it is judged on seeds that set its thresholds: [1]" in told


def test_a_kind_that_does_not_fit_is_a_problem():
    assert "something is trained" in judge(claim(kind="bound"), examples=5).problems[0]
    silent = claim(conclusion=lambda case: at_most(0.0, 1.0), controls=(Control("trained", st.just(Trained(steps=1))),))
    assert "nothing is trained" in " ".join(judge(silent, examples=5).problems)
    with pytest.raises(ValueError, match="calibrated_on must be given"):
        claim(calibrated_on=())


@dataclass(frozen=True)
class Coin(Trained):
    """A member whose figure is its seed's; its hypothesis asks for two steps."""

    steps: int = 2
    m: int = 6


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """A claim that holds of nine members in ten, the members it judges, and a record of its own."""
    judged = []
    monkeypatch.setattr(measured, "RECORD", tmp_path)

    def conclusion(case):
        judged.append(case.seed)
        return {"fvu": at_most(case.fvu, 2.0), "small": at_most(case.seed, 108.5)}

    return claim(instances=Coin.fresh(), conclusion=conclusion), judged


def test_nine_members_of_ten_are_enough_and_eight_are_not(counted):
    made, _ = counted
    entry = judge(made, examples=300)
    assert entry.verdict == Verdict.SUPPORTED
    assert entry.held["fvu"] == pytest.approx([10, 10, 0.6915, 1.0], abs=1e-4)  # .025^(1/10)
    assert entry.held["small"] == pytest.approx([9, 10, 0.5550, 0.9975], abs=1e-4)
    assert sorted(seed for t in entry.trainings for seed in t["seeds"]) == list(range(100, 110))
    assert {t["world seed"] for t in entry.trainings} == set(range(100, 110))
    entry = judge(replace(made, conclusion=lambda case: at_most(case.seed + 0 * case.fvu, 107.5)), examples=300)
    assert entry.verdict == Verdict.REFUTED
    assert entry.witness.startswith("it holds in 8 of 10; ")
    nine = replace(made, conclusion=lambda case: at_most(case.fvu, 2.0) if case.seed < 109 else Void("silent"))
    assert judge(nine, examples=300).verdict == Verdict.UNKNOWN


def test_a_measurement_goes_on_where_it_stopped_and_is_recalled(counted):
    made, judged = counted
    assert recalled(made).witness.startswith("measured of 0 members as its code stands")

    def stops(case):
        if len(judged) == 4:
            raise KeyboardInterrupt
        return made.conclusion(case)

    stops.__module__ = made.conclusion.__module__
    with pytest.raises(KeyboardInterrupt):
        measure(replace(made, conclusion=stops), examples=300, seed=0)
    assert recalled(made).witness.startswith("measured of 4 members")
    first = list(judged)
    entry = measure(made, examples=300, seed=0)
    assert len(judged) == len(set(judged)) == 10
    assert judged[:4] == first
    again = recalled(made)
    assert (again.verdict, again.held, again.trainings) == (entry.verdict, entry.held, entry.trainings)
    assert again.members == entry.members
    assert [len(members) for members in entry.members.values()] == [10, 10]
    assert measure(made, examples=300, seed=0).held == entry.held
    assert len(judged) == 10


def test_a_record_is_of_the_code_and_not_of_its_prose(counted, monkeypatch, tmp_path):
    made, _ = counted
    file = tmp_path / "a_claim.py"
    monkeypatch.setattr(measured.inspect, "getfile", lambda _: str(file))
    marks = []
    for bound, note in ((2.0, "a"), (2.0, "b"), (3.0, "b")):
        file.write_text(
            f'"""{note}"""\nCLAIM = Claim(id="X", note="{note}", conclusion=lambda c: at_most(c, {bound}))\n'
        )
        marks.append(fingerprint(made))
    assert marks[0] == marks[1] != marks[2]
    monkeypatch.setattr(stacks, "__file__", str(tmp_path / "stack.py"))
    for shared in ("stack.py", "runs.py"):
        (tmp_path / shared).write_text("STEPS = 6\n")
        marks.append(fingerprint(made))
    assert len({*marks}) == 4
