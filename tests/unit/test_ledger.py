"""A claim that is wrong, vacuous, unguarded or badly drawn does not pass; each defect is named."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
from hypothesis import strategies as st

from proofs_check.claim import (
    BESIDE,
    LOOPS,
    Check,
    Claim,
    Control,
    Finding,
    Hypothesis,
    Mutant,
    Relation,
    Sentence,
    Verdict,
    Void,
    at_most,
    equal,
    mean_is,
)
from proofs_check.engines import sampling, smt
from proofs_check.engines.need import Missing
from proofs_check.engines.sampling import attack, search
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.ledger import KERNEL, exit_code, judge
from proofs_check.report.terminal import against as against_line
from workbench.theory import coherence

POSITIVE = Hypothesis("positive", lambda x: float(x <= 0))


def square(x):
    """The formula under test."""
    return x * x


def claim(**changes):
    """x <= x² for whole x >= 1, attained at 1."""
    base = {
        "id": "TEST-1",
        "statement": "x ≤ x²",
        "source": "ours",
        "instances": st.integers(1, 50),
        "hypotheses": (POSITIVE,),
        "conclusion": lambda x: at_most(float(x), square(float(x))),
        "extremal": {"": st.just(1)},
        "controls": (),
        "mutants": (Mutant("half", square, lambda x: x * x / 2),),
        "proofs": (),
    }
    return Claim(**base | changes)


def proved(scope="all x"):
    """A check of the formula, which notices the mutant."""
    return Check("smt", "shows", scope, lambda seconds: Finding("proved" if square(2) == 4 else "refuted", "at 2"))


def quick(made, **options):
    return judge(made, **{"examples": 60, "seconds": 5.0, **options})


# --- instances -------------------------------------------------------------------------------------------------------


def test_the_share_of_instances_that_are_more_than_trivial_is_of_distinct_ones_judged():
    few = st.sampled_from([1, 1, 2, 3, 4])
    assert quick(claim(instances=few, nontrivial=lambda x: x > 1)).nontrivial == 0.75
    silent = claim(
        instances=few,
        nontrivial=lambda x: x > 1,
        conclusion=lambda x: at_most(float(x), square(float(x))) if x > 2 else Void("small"),
        extremal={},
    )
    assert quick(silent).nontrivial == 1.0
    assert quick(claim(instances=few)).nontrivial is None


def test_the_class_of_instances_says_which_are_more_than_trivial_where_a_claim_does_not():
    @dataclass(frozen=True)
    class Drawn:
        x: int

        @property
        def nontrivial(self):
            return self.x > 1

    some = claim(
        instances=st.sampled_from([Drawn(1), Drawn(2)]),
        hypotheses=(),
        conclusion=lambda case: at_most(float(case.x), square(float(case.x))),
        extremal={},
    )
    assert quick(some).nontrivial == 0.5
    assert quick(replace(some, nontrivial=lambda case: True)).nontrivial == 1.0


def test_a_measure_of_trivial_instances_that_is_no_function_is_refused():
    with pytest.raises(ValueError, match=r"claim TEST-1.nontrivial must be a function .* got True: return a bool"):
        claim(nontrivial=True)


# --- relations -------------------------------------------------------------------------------------------------------


def test_a_relation_holds_up_to_rounding_in_its_unit():
    assert bool(at_most(1 + 1e-10, 1.0).holds)
    assert not bool(at_most(1 + 1e-8, 1.0).holds)
    assert bool(at_most(1e6 + 1e-4, 1e6).holds)
    assert not bool(at_most(1e-6 + 1e-8, 1e-6, unit=1e-6).holds)
    assert equal([1.0, 2.0], [1.0, 2.1]).holds.tolist() == [True, False]
    assert equal([1.0, 2.0], [1.0, 2.1]).margin.tolist() == pytest.approx([0.0, -0.1])


def test_nan_violates_and_infinite_bounds_hold():
    assert not bool(at_most(math.nan, 1.0).holds)
    assert not bool(at_most(1.0, math.nan).holds)
    assert not bool(at_most(math.inf, 1.0).holds)
    assert bool(at_most(1.0, math.inf).holds)
    assert bool(equal(math.inf, math.inf).holds)
    assert not bool(equal(math.inf, 1.0).holds)


def test_tightness_is_1_where_attained():
    relation = at_most([1.0, 3.0, 0.0, 0.0], [2.0, 3.0, 0.0, 1e-12])
    assert relation.tightness.tolist() == [0.5, 1.0, 1.0, 0.0]


def test_sides_of_different_length_are_refused():
    assert at_most(torch.ones(3), 2.0).measured.tolist() == [1.0] * 3
    assert at_most(torch.ones(3), torch.tensor(2.0)).bound.tolist() == [2.0] * 3
    with pytest.raises(
        ValueError, match=r"sides must be of one length, or single numbers; got .*compare sample by sample"
    ):
        at_most(torch.ones(1), torch.ones(5))


def test_a_mean_is_judged_by_its_standard_error():
    values = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert bool(mean_is(values, 0.0, sees=0.25).holds)
    assert not bool(mean_is(values, 0.2, sees=1.2).holds)
    assert 0.2 < mean_is(values, 0.0, sees=0.25).sees < 0.25  # 14 standard errors


def test_a_mean_of_few_samples_says_nothing():
    assert mean_is(torch.tensor([0.0, 1.0] * 100), 0.5).reason == (
        "its samples show errors of 0.99 of its size, not of 0.01: draw more, or give `sees`"
    )


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_a_sampled_claim_is_supported_only():
    entry = quick(claim())
    assert entry.verdict == Verdict.SUPPORTED
    assert entry.ok
    assert entry.scope == []
    assert entry.instances == 50  # all there are
    assert entry.tightness[""] == pytest.approx(1.0)
    assert entry.attained[""] == pytest.approx(1.0)


def test_a_proof_states_its_scope_and_sampling_goes_on():
    entry = quick(claim(proofs=(proved("k = 2..4"), proved("k = 2..4"), proved("d = 1"))))
    assert entry.verdict == Verdict.PROVED
    assert entry.scope == ["k = 2..4", "d = 1"]
    assert entry.instances == 50


def two_parts(x):
    return {"square": at_most(float(x), square(float(x))), "cube": at_most(float(x), float(x) ** 3)}


def parted(**changes):
    return quick(claim(**{"conclusion": two_parts, "extremal": {}, "proofs": {"square": proved()}, **changes}))


def test_a_claim_is_proved_in_the_parts_that_proofs_name():
    entry = parted()
    assert (entry.said, entry.sampled) == ("PROVED in part (1 of 2)", ["cube"])
    assert (entry.sizes, entry.bases) == ("for all sizes", ["Z3"])
    both = parted(proofs={("square", "cube"): proved("k = 2"), LOOPS: proved("d = 1"), BESIDE: proved()})
    assert (both.said, both.sizes) == ("PROVED", "sizes up to k = 2")
    assert parted(proofs={("square", "cube"): proved(), LOOPS: proved("d = 1")}).sizes == (
        "for all sizes; shipped loops: d = 1"
    )
    assert parted(proofs={BESIDE: proved()}).verdict == Verdict.SUPPORTED


def test_a_part_that_says_nothing_is_not_shown():
    silent = parted(conclusion=lambda x: two_parts(x) | {"cube": Void("never")}, proofs={("square", "cube"): proved()})
    assert silent.said == "PROVED in part (1 of 2)"


def test_what_notices_a_mutant_is_of_a_part_and_of_what_the_conclusion_calls():
    """A proof that stands beside the conclusion, or is of a function that the conclusion never calls, ties nothing."""

    def about(problem):
        return smt.implies("s", "all x", problem)

    def of_square(unknowns, ops):
        return [unknowns("x") >= 1], [unknowns("x") <= square(unknowns("x"))]

    blind = about(lambda unknowns, ops: ([], [unknowns("x") ** 2 >= 0]))
    tied = parted(proofs={("square", "cube"): about(of_square)})
    assert (tied.verdict, tied.mutants[0]["proof"]) == (Verdict.PROVED, "smt")
    beside = parted(proofs={("square", "cube"): blind, BESIDE: about(of_square)})
    assert (beside.verdict, beside.mutants[0]["proof"]) == (Verdict.SUPPORTED, "")
    elsewhere = parted(conclusion=lambda x: {"square": at_most(x, x * x)}, proofs={"square": about(of_square)})
    assert (elsewhere.verdict, elsewhere.mutants[0]["caught by"]) == (Verdict.SUPPORTED, "smt")


def test_a_theorem_is_tied_by_what_the_conclusion_calls_and_shows_no_silent_part():
    def of_length(x):
        return {"square": at_most(x, coherence.square_norm([float(x)])), "cube": at_most(x, x**3)}

    half = Mutant("half", coherence.square_norm, lambda h: h[0] * h[0] / 2)
    known = {"proofs": (), "kernel": {"square": "coherence.interference_identity"}, "mutants": (half,)}
    tied = parted(conclusion=of_length, **known)
    assert (tied.said, tied.mutants[0]["proof"]) == ("PROVED in part (1 of 2)", KERNEL)
    elsewhere = parted(**known)
    assert (elsewhere.verdict, elsewhere.mutants[0]["proof"]) == (Verdict.SUPPORTED, "")
    silent = parted(conclusion=lambda x: of_length(x) | {"square": Void("never")}, **known)
    assert (silent.verdict, silent.parts) == (Verdict.SUPPORTED, {"square": [], "cube": []})


def test_names_of_keys_are_no_parts_and_draws_show_none():
    with pytest.raises(ValueError, match="enter it under LOOPS"):
        claim(proofs={"": evaluated("s", lambda draw: iter([(draw.n, draw.n)]))})
    taken = quick(claim(conclusion=lambda x: {BESIDE: at_most(x, x * x)}, extremal={}, mutants=()))
    assert "must have names of its own" in taken.problems[0]
    with pytest.raises(ValueError, match=r"implies\.scope must be of the sizes given"):
        smt.implies("s", "all k", lambda unknowns, ops, k: ([], [unknowns("x") ** 2 >= 0]), k=4)


def test_proofs_of_no_part_are_a_problem():
    for proofs in (proved(),), {"sqare": proved()}:
        assert only_problem(parted(proofs=proofs)).endswith("no parts of the conclusion: ['square', 'cube']")


def test_a_proof_that_notices_no_mutant_proves_nothing():
    blind = Check("smt", "1 = 1", "all x", lambda seconds: Finding("proved"))
    entry = quick(claim(proofs=(blind,)))
    assert (entry.verdict, [mutant["proof"] for mutant in entry.mutants]) == (Verdict.SUPPORTED, [""])
    entry = quick(claim(proofs=(blind,), mutants=()))
    assert (entry.verdict, entry.witness) == (
        Verdict.UNKNOWN,
        "nothing ties its proofs to its conclusion: give it a mutant that they notice",
    )


def test_a_violation_at_the_border_of_a_hypothesis_is_no_witness():
    below = Hypothesis("x < 1", lambda x: float(x >= 1))
    made = claim(instances=st.just(1 - 1e-16), hypotheses=(below,), conclusion=lambda x: at_most(x, 0.5), mutants=())
    entry = quick(replace(made, extremal={}))
    assert entry.verdict == Verdict.UNKNOWN
    assert "by rounding alone" in entry.fragile
    clear = replace(made, extremal={}, instances=st.just(0.9))
    assert quick(clear).verdict == Verdict.REFUTED


def test_sizes_are_judged_by_themselves():
    assert not bool(at_most(1e-10, 0.0).holds)
    assert bool(at_most(1e-10, 0.0, unit=1).holds)
    assert not bool(equal(1e-6, 1.001e-6).holds)


def test_a_violation_beats_a_proof_and_is_shrunk():
    entry = quick(
        claim(instances=st.integers(1, 10**6), conclusion=lambda x: at_most(float(x), 99.0), proofs=(proved(),))
    )
    assert entry.verdict == Verdict.REFUTED
    assert not entry.ok
    assert entry.witness == "100: 100 <= 99 fails"


def test_undecided_is_never_a_pass():
    entry = quick(claim(proofs=(proved(), Check("smt", "s", "c", lambda seconds: Finding("undecided", "too hard")))))
    assert entry.verdict == Verdict.UNKNOWN
    assert not entry.ok
    assert "too hard" in entry.witness


def test_a_missing_solver_leaves_a_claim_unknown():
    def run(seconds):
        raise Missing("z3-solver must be installed")

    entry = quick(claim(proofs=(Check("smt", "s", "c", run),)))
    assert entry.verdict == Verdict.UNKNOWN
    assert "must be installed" in entry.checks[0]["detail"]


def test_a_promise_that_is_not_kept_fails():
    assert not quick(claim(promised=Verdict.PROVED)).ok
    assert quick(claim(promised=Verdict.SUPPORTED)).ok


@pytest.mark.parametrize(
    ("against", "verdict"), [("statement", "REFUTED"), ("figure", "REFUTED"), ("reading", "A READING FAILS")]
)
def test_a_witness_refutes_a_statement_or_a_figure_and_fails_a_reading(against, verdict):
    told = Sentence(words="x ≤ 3", version="v2, read whole", against=against)
    above = {"conclusion": lambda x: at_most(float(x), 3.0), "extremal": {}, "mutants": ()}
    made = claim(kind="refuted", promised=verdict, refutes=told, **above)
    entry = quick(made, examples=200)
    assert (entry.verdict, entry.ok, entry.refutes["words"]) == (verdict, True, "x ≤ 3")
    assert f"against a {against}: x ≤ 3 (v2, read whole)" in against_line(entry)


@pytest.mark.parametrize(
    ("promised", "against"),
    [
        ("REFUTED", None),
        ("A READING FAILS", None),
        ("REFUTED", "reading"),
        ("A READING FAILS", "figure"),
        (None, "figure"),
    ],
)
def test_what_nobody_said_is_not_refuted_and_a_reading_never(promised, against):
    told = Sentence(words="x ≤ 3", version="v2", against=against) if against else None
    with pytest.raises(
        ValueError, match=r"claim TEST-1\.promised must be .* make it a control of the claim that holds"
    ):
        claim(promised=promised, refutes=told)


def test_vacuous_takes_a_proof_and_a_witness():
    made = claim(kind="vacuous", witness="the least one", proofs=(proved(),))
    entry = quick(made)
    assert (entry.verdict, entry.witness) == (Verdict.VACUOUS, "the least one; 1")
    assert quick(claim(kind="vacuous", witness="x = 1")).verdict == Verdict.SUPPORTED
    with pytest.raises(
        ValueError, match=r"claim TEST-1\.witness must be given with extremal instances for a vacuous claim"
    ):
        claim(kind="vacuous")
    with pytest.raises(ValueError, match=r"claim TEST-1\.witness must be given with extremal instances"):
        claim(kind="vacuous", witness="x = 1", extremal={})


# --- defects ---------------------------------------------------------------------------------------------------------


def only_problem(entry):
    assert not entry.ok
    (problem,) = entry.problems
    return problem


def test_an_uncaught_mutant_is_a_problem():
    entry = quick(claim(mutants=(Mutant("larger", square, lambda x: x * x + x),), extremal={}))
    assert only_problem(entry) == "mutant 'larger' is caught by no check"
    assert quick(claim(mutants=(Mutant("larger", square, lambda x: x * x + x),))).ok  # the extremal instance sees it


def test_a_mutant_is_caught_by_a_proof_on_the_shipped_function():
    def problem(unknowns, ops):
        x = unknowns("x")
        return [x >= 1], [x <= square(x)]

    made = claim(conclusion=lambda x: at_most(0.0, 1.0), extremal={}, proofs=(smt.implies("s", "c", problem),))
    entry = quick(made)
    assert entry.ok
    assert entry.mutants[0]["caught by"] == "smt"
    assert 1 <= Fraction(entry.mutants[0]["witness"].removeprefix("x = ")) < 2  # where x <= x² / 2 fails
    assert square(3.0) == 9.0  # the formula is back in its place


def test_the_formula_comes_back_after_an_error():
    made = claim(mutants=(Mutant("broken", square, lambda x: 1 / 0),))
    assert only_problem(quick(made)) == "mutant 'broken' is caught by no check"
    assert square(3.0) == 9.0


def test_a_control_must_be_violated():
    entry = quick(claim(controls=(Control("positive", st.just(-5)),)))
    assert only_problem(entry) == "control 'positive': nothing violates the conclusion"
    half = claim(controls=(Control("positive", st.just(0)),), conclusion=lambda x: at_most(1.0, square(float(x))))
    assert quick(half).ok
    assert quick(half).controls[0]["violation"] == "0: 1 <= 0 fails"


def test_0_over_0_is_no_violation_of_a_control():
    nan = lambda x: at_most(1.0, math.nan if x == 0 else 2.0)  # noqa: E731
    made = claim(controls=(Control("positive", st.just(0)),), conclusion=nan, mutants=(), extremal={})
    assert only_problem(quick(made)) == "control 'positive': nothing violates the conclusion"


def test_a_control_breaks_the_hypothesis_it_names_and_no_other():
    small = Hypothesis("small", lambda x: float(x > 50))
    wrong = lambda x: at_most(float(x), 50.0)  # noqa: E731
    made = claim(
        hypotheses=(POSITIVE, small), conclusion=wrong, controls=(Control("positive", st.just(99)),), mutants=()
    )
    entry = quick(made)
    assert "breaks ['small'], not 'positive' alone" in "".join(entry.problems)


def test_a_control_names_a_hypothesis():
    with pytest.raises(ValueError, match=r"controls must be named after a hypothesis in \['positive'\]; got posotive"):
        claim(controls=(Control("posotive", st.just(0)),))


def test_instances_must_meet_the_hypotheses():
    entry = quick(claim(instances=st.sampled_from([3, 0]), mutants=(), extremal={}, proofs=(proved(),)))
    assert only_problem(entry) == "an instance does not meet positive: 0"
    assert entry.verdict == Verdict.UNKNOWN


def test_an_error_in_a_conclusion_is_reported_with_its_instance():
    def conclusion(x):
        return at_most(float(x), 1 / (7 - x)) if x >= 7 else at_most(0.0, 1.0)

    problem = only_problem(quick(claim(conclusion=conclusion, mutants=(), extremal={})))
    assert problem == "an instance raises ZeroDivisionError: division by zero: 7"


def test_an_extremal_instance_must_attain():
    problem = only_problem(quick(claim(extremal={"": st.just(2)})))
    assert problem == "an extremal instance does not attain its bound: 2: measured reaches 0.5 of its bound"
    with pytest.raises(ValueError, match=r"extremal must be given for a tight claim"):
        claim(kind="tight", extremal={})


def test_a_proof_that_raises_is_a_problem():
    def run(seconds):
        raise TypeError("unsupported operand")

    entry = quick(claim(proofs=(Check("smt", "the step", "c", run),)))
    assert entry.verdict == Verdict.UNKNOWN
    assert only_problem(entry) == "proof 'the step' raises TypeError: unsupported operand"


@pytest.mark.parametrize("nothing", [lambda x: Void("never"), lambda x: {"a": Void("never"), "b": Void("never")}])
def test_a_claim_that_never_speaks_is_not_supported(nothing):
    entry = quick(claim(conclusion=nothing, mutants=(), extremal={}))
    assert entry.verdict == Verdict.UNKNOWN
    assert not entry.ok


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"conclusion": lambda x: x > 0}, "raises TypeError: Claim.conclusion must be a Relation, a Void or a dict"),
        ({"conclusion": lambda x: {}}, "got an empty dict: return at_most() or equal()"),
        ({"conclusion": lambda x: 1 / 0}, "an instance raises ZeroDivisionError: division by zero: 1"),
        ({"instances": st.integers().map(lambda x: 1 / 0)}, "drawing instances raises ZeroDivisionError"),
        ({"instances": st.integers().filter(lambda x: False)}, "the strategy rejects nearly all it draws"),
        (
            {"hypotheses": (Hypothesis("bad", lambda x: x.no),)},
            "raises AttributeError: 'int' object has no attribute 'no'",
        ),
        ({"controls": (Control("positive", st.just("a")),)}, "control 'positive' raises ValueError"),
        ({"extremal": {"": st.just("a")}}, "an extremal instance raises ValueError"),
    ],
)
def test_a_strangers_mistake_is_a_problem_not_a_crash(changes, problem):
    entry = quick(claim(**{"mutants": (), "extremal": {}} | changes))
    assert not entry.ok
    assert problem in " ".join(entry.problems)
    if "instances" in changes or "conclusion" in changes:
        assert entry.verdict == Verdict.UNKNOWN


def test_a_part_that_never_speaks_is_shown():
    made = claim(
        conclusion=lambda x: {"one": at_most(float(x), square(float(x))), "two": Void("x is too small")}, extremal={}
    )
    assert quick(made).void == {"two": "x is too small"}


# --- sampling --------------------------------------------------------------------------------------------------------


def test_the_search_steers_towards_the_worst_case():
    """The ratio peaks at a single corner of a cube; undirected draws end lower."""
    cube = st.lists(numbers(0, 1), min_size=6, max_size=6)
    made = claim(
        instances=cube,
        hypotheses=(),
        conclusion=lambda x: at_most(math.prod(0.2 + 0.8 * v for v in x), 1.0),
        extremal={},
        mutants=(),
    )
    directed, drawn = ([attack(made, 300, seed, quick=q).tightness[""] for seed in range(4)] for q in (False, True))
    assert min(directed) > 0.9
    assert sum(directed) > sum(drawn) + 0.2


@pytest.mark.parametrize("form", ["plain", "difference", "below 0"])
def test_the_search_steers_whatever_the_form(form):
    """One statement, product <= .9, written three ways: the violation is found in each."""

    def conclusion(x):
        f = math.prod(0.2 + 0.8 * v for v in x)
        sides = {"plain": (f, 0.9), "difference": (f - 0.9, 0.0), "below 0": (f - 1, -0.1)}
        return at_most(*sides[form])

    cube = st.lists(numbers(0, 1), min_size=4, max_size=4)
    made = claim(instances=cube, hypotheses=(), conclusion=conclusion, extremal={}, mutants=())
    assert attack(made, 300).witness


def test_the_same_seed_draws_the_same():
    seen = ([], [], [])
    for own, seed in zip(seen, (0, 0, 1), strict=True):
        search(st.integers(0, 10**9), own.append, 30, seed)
    assert seen[0] == seen[1] != seen[2]


def test_draws_do_not_depend_on_what_is_imported(tmp_path, monkeypatch):
    """Hypothesis would mix a new module's literals into what it draws."""

    def draw():
        seen = []
        search(st.integers(0, 10**9), seen.append, 300, 0)
        return seen

    before = draw()
    (tmp_path / "full_of_literals.py").write_text(f"NUMBERS = {list(range(10**6, 10**6 + 5000, 7))}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("full_of_literals")
    assert draw() == before


def test_a_slow_strategy_is_cut_short_and_says_so(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(sampling, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def slow(x):
        clock[0] += 0.02
        return x

    made = claim(instances=st.integers(1, 10**9).map(slow), mutants=(), extremal={})
    entry = quick(made, examples=10**5, seconds=0.5)
    assert entry.cut
    assert 5 < entry.instances < 100
    assert entry.verdict == Verdict.UNKNOWN
    assert entry.witness.endswith("instances, before all were judged: raise --seconds")
    assert not entry.ok
    assert quick(replace(made, proofs=(proved(),)), examples=10**5).verdict == Verdict.UNKNOWN
    assert (entry.late, exit_code([entry]), exit_code([entry, quick(claim(promised="VACUOUS"))])) == (True, 3, 1)


@dataclass(frozen=True)
class Member:
    """One of a few stacks that take long to train."""

    seed: int


def trained(monkeypatch, seconds):
    """A claim on four members, which take ten seconds each where they are first judged; and the members judged."""
    done: set[int] = set()
    monkeypatch.setattr(sampling, "time", SimpleNamespace(monotonic=lambda: 10.0 * len(done)))

    def conclusion(member):
        done.add(member.seed)
        return at_most(0.1, 0.9)

    members = st.integers(0, 10**9).map(lambda number: Member(number % 4))
    made = claim(kind="bound", hypotheses=(), instances=members, conclusion=conclusion, mutants=(), extremal={})
    return judge(made, examples=300, seconds=seconds), done


def test_members_left_unjudged_leave_a_claim_open(monkeypatch):
    entry, done = trained(monkeypatch, 15.0)
    assert len(done) == 2
    assert (entry.verdict, entry.cut, entry.ok) == (Verdict.UNKNOWN, True, False)
    assert "cut short after" in entry.witness


def test_a_claim_is_not_cut_short_once_all_its_members_are_judged(monkeypatch):
    """Time is up while members are drawn again."""
    entry, done = trained(monkeypatch, 35.0)
    assert len(done) == 4
    assert entry.instances > 100
    assert (entry.verdict, entry.cut, entry.ok) == (Verdict.SUPPORTED, False, True)


@pytest.mark.parametrize("empty", [st.nothing(), st.integers(1, 50).filter(lambda x: x > 99)])
@pytest.mark.parametrize("seconds", [5.0, 1e-9])
def test_a_strategy_without_instances_says_so(empty, seconds):
    entry = quick(claim(instances=empty, mutants=(), extremal={}), seconds=seconds)
    assert entry.verdict == Verdict.UNKNOWN
    assert "drawing instances: the strategy rejects nearly all it draws, or has nothing to draw" in entry.problems[0]
    short = quick(claim(extremal={"": empty}, mutants=()), seconds=seconds)
    assert "an extremal instance: the strategy rejects nearly all it draws" in "".join(short.problems)
    broken = quick(claim(controls=(Control("positive", empty),), mutants=(), extremal={}), seconds=seconds)
    assert "control 'positive': the strategy rejects nearly all it draws" in "".join(broken.problems)
    nowhere = Mutant("half", square, lambda x: x * x / 2, shown_on=empty)
    assert only_problem(quick(claim(mutants=(nowhere,), extremal={}))) == "mutant 'half' is caught by no check"


def test_an_infinite_bound_says_nothing():
    entry = quick(claim(conclusion=lambda x: at_most(float(x), math.inf), mutants=(), extremal={}))
    assert entry.verdict == Verdict.UNKNOWN
    assert only_problem(entry) == "the conclusion says nothing of any of 50 instances: its bound is infinite"
    assert entry.void == {"": "its bound is infinite"}
    some = quick(claim(conclusion=lambda x: at_most(float(x), math.inf if x < 40 else 99.0), mutants=(), extremal={}))
    assert (some.verdict, only_problem(some)) == (
        Verdict.UNKNOWN,
        "an infinite bound says nothing: return Void where the conclusion has one",
    )
    proof = quick(claim(conclusion=lambda x: at_most(float(x), math.inf), proofs=(proved(),), mutants=(), extremal={}))
    assert proof.verdict == Verdict.UNKNOWN
    none = quick(claim(conclusion=lambda x: at_most(torch.empty(0), 1.0), mutants=(), extremal={}))
    assert "says nothing of any of 50 instances: it is of no sample" in only_problem(none)
    nan = quick(claim(conclusion=lambda x: at_most(math.nan, math.inf), mutants=(), extremal={}))
    assert nan.verdict == Verdict.REFUTED


def test_a_claim_that_leaves_the_program_is_a_problem():
    def leaves(*_):
        raise SystemExit(0)

    made = claim(conclusion=leaves, mutants=(), extremal={}, proofs=(Check("smt", "s", "c", leaves),))
    entry = quick(made)
    assert entry.verdict == Verdict.UNKNOWN
    assert len(entry.problems) == 2
    assert "raises SystemExit" in " ".join(entry.problems)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hypotheses": ("x real",)}, r"hypotheses must be of Hypothesis objects; got 'x real': write Hypothesis\("),
        ({"hypotheses": "x real"}, r"hypotheses must be a tuple; got 'x real': write Hypothesis\("),
        ({"controls": (st.just(1),)}, r"controls must be of Control objects; got just\(1\): write Control\("),
        ({"proofs": (lambda seconds: Finding("proved"),)}, "proofs must be of Check objects.*make it by an engine"),
        ({"mutants": ("half",)}, r"mutants must be of Mutant objects; got 'half': write Mutant\(name, of, by\)"),
        ({"instances": [1, 2]}, r"instances must be a Hypothesis strategy; got \[1, 2\]: such as st\.floats"),
        ({"extremal": {"": 1}}, r"extremal\[''\] must be a Hypothesis strategy; got 1"),
        ({"extremal": st.just(1)}, "extremal must be a dict.*name the part that each"),
        ({"controls": (Control("positive", 3),)}, r"controls\['positive'\]\.instances must be a Hypothesis strategy"),
        ({"conclusion": 3}, r"conclusion must be a function; got 3: return at_most\(\)"),
        ({"promised": "TRUE"}, "promised must be one of .*; got 'TRUE': choose one"),
        ({"kind": "sharp"}, "kind must be one of .*; got 'sharp': choose one"),
        ({"statement": None}, "statement must be a text; got None: put it into quotes"),
        ({"id": 7}, "id must be a name; got 7"),
    ],
)
def test_a_claims_fields_are_of_their_kinds(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_json_is_plain():
    entry = quick(claim(proofs=(proved(),)))
    plain = entry.to_json()
    assert plain["ok"] is True
    assert plain["verdict"] == "PROVED"
    assert "ratios" not in plain
    infinite = quick(claim(conclusion=lambda x: at_most(math.inf, 1.0), mutants=(), extremal={})).to_json()
    assert infinite["margin"] == "-inf"


def test_relations_broadcast():
    relation = at_most(torch.ones(3), 2.0, unit=4.0)
    assert isinstance(relation, Relation)
    assert relation.margin.tolist() == [0.25] * 3
