"""Judging a claim: prove it, attack it, break its hypotheses, mutate its formulas; one row of the ledger."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

from proofs_check.claim import (
    BESIDE,
    LOOPS,
    TOLERANCE,
    Check,
    Claim,
    Conclusion,
    Control,
    Finding,
    Mutant,
    Relation,
    Verdict,
    parts,
)
from proofs_check.engines import kernel
from proofs_check.engines.need import Missing
from proofs_check.engines.sampling import LEAST, Attack, attack, search, violation
from proofs_check.engines.statements import interval
from proofs_check.shelf import area_of, title_of
from proofs_check.trainings import Member, Training, in_place, noted, watched

DRAWS = 1000
"""from the members of trained stacks: enough for all of them"""
KERNEL = "Coq kernel"
"""what shows a part for all sizes, and what one then trusts"""


@dataclass
class Entry:
    """One row of the ledger."""

    id: str
    area: str
    title: str
    """its file's name in words"""
    statement: str
    tex: str
    source: str
    kind: str
    hypotheses: list[str]
    promised: str | None
    grade: str = ""
    """how the statement stands to that of its source"""
    verdict: str = ""
    parts: dict[str, list[str]] = field(default_factory=dict)
    """part of the conclusion -> scopes of the proofs that show it; none where it is sampled only"""
    scope: list[str] = field(default_factory=list)
    """what the proofs cover"""
    sizes: str = ""
    """whether the proofs cover all sizes"""
    bases: list[str] = field(default_factory=list)
    """what one trusts who believes the proofs"""
    checks: list[dict[str, Any]] = field(default_factory=list)
    """engine, shows, scope, status, detail, late, of the parts, seconds"""
    kernel: list[dict[str, str]] = field(default_factory=list)
    """theorems of Coq's kernel behind parts of it: name, part, in words and formal, base, tie to shipped functions"""
    instances: int = 0
    judged: int = 0
    """instances of which some part said something"""
    distinct: int = 0
    """different ones among the instances"""
    nontrivial: float | None = None
    """share of the different ones judged that are more than trivial cases; None where nobody says which are"""
    cut: bool = False
    """time ran out before all instances were judged"""
    margin: float | None = None
    """smallest (bound - measured) / unit found"""
    tightness: dict[str, float] = field(default_factory=dict)
    """part -> bound over the worst case found; 1 is attained"""
    attained: dict[str, float] = field(default_factory=dict)
    """part -> bound over the worst of the extremal instances; must be 1"""
    trainings: list[Training] = field(default_factory=list)
    """those its instances ask for: world, world seed, seeds, steps ..."""
    refutes: dict[str, str] = field(default_factory=dict)
    """words, version, against: the sentence that a refuted claim speaks against"""
    calibrated_on: list[int] = field(default_factory=list)
    """seeds whose figures set the thresholds"""
    held: dict[str, list[float]] = field(default_factory=dict)
    """of a claim on trained stacks: part -> members in which it holds, members judged, and the interval of the rate"""
    members: dict[str, list[Member]] = field(default_factory=dict)
    """of a claim on trained stacks: part -> what it came to of each member"""
    thresholds: dict[str, float] = field(default_factory=dict)
    """part -> the side of its comparison that is the same for all instances"""
    ratios: dict[str, list[float]] = field(default_factory=dict)
    """part -> measured over bound of each instance"""
    void: dict[str, str] = field(default_factory=dict)
    """parts that said nothing of any instance -> why"""
    sees: dict[str, float] = field(default_factory=dict)
    """part that is a mean -> the smallest error that would have been seen, in shares of its size"""
    fragile: str = ""
    """what is said of violations at the border of a strict hypothesis"""
    witness: str = ""
    controls: list[dict[str, str]] = field(default_factory=list)
    """drops, note, violation"""
    mutants: list[dict[str, str]] = field(default_factory=list)
    """name, what caught it first, its witness; the engine whose proof notices it"""
    problems: list[str] = field(default_factory=list)
    note: str = ""
    shown_by: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """The verdict is the promised one (or good, where none is), and nothing is wrong with the claim itself."""
        bad = (Verdict.REFUTED, Verdict.FAILS, Verdict.UNKNOWN)
        return not self.problems and (self.verdict == self.promised if self.promised else self.verdict not in bad)

    @property
    def late(self) -> bool:
        """It was left open for want of seconds."""
        late = self.cut or any(check["late"] for check in self.checks)
        return self.verdict == Verdict.UNKNOWN and late and not self.problems

    @property
    def said(self) -> str:
        """The verdict, with a count of the parts where only some are proved."""
        shown = sum(map(bool, self.parts.values()))
        partly = self.verdict in (Verdict.PROVED_IN_PART, Verdict.VACUOUS) and self.sampled
        return self.verdict + (f" ({shown} of {len(self.parts)})" if partly else "")

    @property
    def sampled(self) -> list[str]:
        """Parts that no proof shows."""
        return [name for name, scopes in self.parts.items() if not scopes]

    def to_json(self) -> dict[str, Any]:
        """Plain values; ratios of each instance and sides of each member are left out, infinities are text."""
        plain = asdict(self) | {"ok": self.ok, "said": self.said}
        del plain["ratios"], plain["members"]
        plain["margin"] = str(self.margin) if self.margin is not None and math.isinf(self.margin) else self.margin
        return plain


def exit_code(entries: list[Entry]) -> int:
    """0 where every verdict is good; 3 where all that is not was left open for want of seconds; else 1."""
    bad = [entry for entry in entries if not entry.ok]
    return 0 if not bad else 3 if all(entry.late for entry in bad) else 1


def judge(
    claim: Claim,
    *,
    examples: int = 300,
    seconds: float = 30.0,
    seed: int = 0,
    conclusion: Callable[[Any], Conclusion] | None = None,
) -> Entry:
    """Prove, attack, break and mutate one claim.

    A claim on trained stacks stands where each part holds in nine of ten members or more; nothing of it is cut short.

    Args:
        claim: what to judge.
        examples: instances drawn against it; controls and mutants get fewer.
        seconds: time allowed to each proof of a solver.
        seed: of what is drawn.
        conclusion: the claim's, which may remember what it came to.
    """
    start, limit = time.perf_counter(), math.inf if claim.kind == "trained" else seconds
    entry = opened(claim)
    proofs = {check: _prove(entry, check, claim, seconds) for check in claim.checks}
    backing = _back(entry, claim)
    found, few = Attack(), max(examples // 4, 10)
    used: set[Any] = set()
    with _reported(entry, "drawing instances"), noted() as trainings, watched(claim.mutants) as calls:
        drawn = max(examples, DRAWS) if claim.kind == "trained" else examples
        found = attack(replace(claim, conclusion=conclusion or claim.conclusion), drawn, seed, limit)
        used = calls
    _record(entry, claim, found, trainings)
    _reach(entry, claim, few, seed, limit)
    for control in claim.controls:
        _break(entry, claim, control, found, few, seed, limit)
    for mutant in claim.mutants:
        checks = [check for check, (_, called) in proofs.items() if mutant.of in called]
        only = found.good if claim.kind == "trained" and mutant.shown_on is None else None
        _mutate(entry, claim, mutant, checks, mutant.of in backing, mutant.of in used, only, examples, limit, seed)
    _tie(entry, claim, found)
    entry.verdict = _verdict(entry, claim, found)
    _sum_up(entry, claim, seed)
    entry.seconds = time.perf_counter() - start
    return entry


def _reach(entry: Entry, claim: Claim, examples: int, seed: int, seconds: float) -> None:
    """Note what extremal instances reach of their bounds, which is all of them."""
    with _reported(entry, "an extremal instance"):
        worst, short = _attained(claim, examples, seed, seconds)
        entry.attained = {name: _inverse(ratio) for name, ratio in worst.items()}
        if short:
            entry.problems.append(f"an extremal instance does not attain its bound: {short}")


def _sum_up(entry: Entry, claim: Claim, seed: int) -> None:
    """Say what a verdict rests on."""
    if claim.kernel and not entry.kernel and claim.promised and entry.verdict != claim.promised:
        entry.problems.append("the kernel's record is of other sources, so its theorems are left out: make kernel")
    if entry.verdict == Verdict.VACUOUS:
        entry.witness = f"{claim.witness}; {_first(next(iter(claim.extremal.values())), seed)}"
    if entry.verdict in (Verdict.PROVED, Verdict.PROVED_IN_PART, Verdict.VACUOUS):
        entry.scope = [
            *dict.fromkeys(check.scope for check in _of_parts(claim)),
            *kernel.covered(row for row in entry.kernel if row["part"] != BESIDE),
        ]
    else:
        entry.sizes, entry.bases = "", []


def opened(claim: Claim) -> Entry:
    """A row of the ledger with what the claim itself says."""
    return Entry(
        id=claim.id,
        area=area_of(claim),
        title=title_of(claim),
        statement=claim.statement,
        tex=claim.tex,
        source=claim.source,
        grade=claim.grade,
        kind=claim.kind,
        hypotheses=[h.name for h in claim.hypotheses],
        promised=claim.promised,
        note=claim.note,
        shown_by=claim.shown_by,
        refutes=asdict(claim.refutes) if claim.refutes else {},
        calibrated_on=list(claim.calibrated_on),
    )


def _mutate(
    entry: Entry,
    claim: Claim,
    mutant: Mutant,
    checks: list[Check],
    backing: bool,
    used: bool,
    only: set[Any] | None,
    examples: int,
    seconds: float,
    seed: int,
) -> None:
    """Some check of the claim must fail with the mutant in its formula's place; note which, and which proof does.

    A proof is tied to the claim by a mutant of what the conclusion calls too, and not by what stands beside it.
    """
    limit = seconds if claim.kind == "trained" else min(seconds, 10.0)
    by, witness = _catch(claim, mutant, only, max(examples // 3, 10), limit, seed)
    ties = [check for check in _of_parts(claim) if used and check in checks]
    proof, shown = _notice(mutant, ties, seconds)
    if not proof and used and backing:
        proof, shown = _differs(mutant, claim)
    if not by:
        by, witness = (proof, shown) if proof else _notice(mutant, checks, seconds)
    entry.mutants.append({"name": mutant.name, "caught by": by, "witness": witness, "proof": proof})
    if not by:
        entry.problems.append(f"mutant {mutant.name!r} is caught by no check")


def _of_parts(claim: Claim) -> list[Check]:
    """Its proofs but those of what stands beside the conclusion."""
    return [check for check, names in claim.checks.items() if {*names} - {BESIDE}]


def _tie(entry: Entry, claim: Claim, found: Attack) -> None:
    """Note which parts of the conclusion the proofs show, and over which sizes.

    Theorems of the kernel that are tied to shipped functions show their part for all sizes, beside the other proofs.
    Of a part that says nothing of any instance nothing is shown.
    """
    needs: dict[str, list[Check]] = {name: [] for name in found.parts}
    loops: list[Check] = []
    for check, names in claim.checks.items():
        for name in names:
            (loops if name == LOOPS else needs.get(name, [])).append(check)
    loose = {row["part"] for row in entry.kernel if row["problem"] or not row["tie"].startswith("exact")}
    theorems = {row["part"] for row in entry.kernel} - loose - found.void.keys()
    scopes = {name: [check.scope for check in needed] * (name not in found.void) for name, needed in needs.items()}
    entry.parts = {name: [*dict.fromkeys(scopes[name]), *[KERNEL] * (name in theorems)] for name in needs}
    named = {name for names in claim.checks.values() for name in names} | set(claim.kernel)
    unknown = named - {*found.parts, LOOPS, BESIDE}
    if unknown and found.parts and not found.witness:
        entry.problems.append(f"proofs of {sorted(unknown)}, which are no parts of the conclusion: {[*found.parts]}")
    shown = [name for name in needs if entry.parts[name]]
    checks = dict.fromkeys(check for needed in (*(needs[name] for name in shown), loops) for check in needed)
    entry.bases = [*dict.fromkeys(check.base for check in checks), *[KERNEL] * bool(theorems & needs.keys())]
    whole = [name for name in shown if name in theorems or all(check.for_all_sizes for check in needs[name])]
    entry.sizes = "for all sizes" if len(whole) == len(shown) else f"for all sizes {len(whole)} of {len(shown)}"
    finite = dict.fromkeys(check.scope for name in shown for check in needs[name] if not check.for_all_sizes)
    entry.sizes = "" if not shown else f"sizes up to {'; '.join(finite)}" if not whole else entry.sizes
    if {*whole} - theorems and not all(check.for_all_sizes for check in loops):
        entry.sizes += f"; shipped loops: {'; '.join(dict.fromkeys(check.scope for check in loops))}"


def refuted_as(claim: Claim) -> Verdict:
    """The verdict where there is a witness."""
    reading = claim.refutes is not None and claim.refutes.against == "reading"
    return Verdict.FAILS if reading else Verdict.REFUTED


def _verdict(entry: Entry, claim: Claim, found: Attack) -> Verdict:
    """Worst first: a witness, then whatever leaves the claim open, then how much of it is known, and how.

    A claim is open where the sample asked for was cut short: how much of it a machine judges in time is no verdict. So
    is one whose proofs nothing ties to its conclusion: they might be of anything.
    """
    status = {check["status"] for check in entry.checks}
    if "refuted" in status or found.witness:
        return refuted_as(claim)
    open_ended = found.cut or found.unbounded or found.fewest < LEAST
    if "undecided" in status or found.problem or not found.judged or open_ended:
        return Verdict.UNKNOWN
    own = any(check.decides is claim.conclusion for check in _of_parts(claim))
    if claim.checks and not own and not claim.mutants:
        entry.witness = "nothing ties its proofs to its conclusion: give it a mutant that they notice"
        return Verdict.UNKNOWN
    if not (own or any(mutant["proof"] for mutant in entry.mutants)):
        return Verdict.SUPPORTED
    if not any(entry.parts.values()):
        return Verdict.SUPPORTED
    if claim.kind == "vacuous":
        return Verdict.VACUOUS
    return Verdict.PROVED_IN_PART if entry.sampled else Verdict.PROVED


@contextmanager
def _reported(entry: Entry, what: str) -> Iterator[None]:
    """Any error of a stranger's code in the block is a problem of the claim, not of the ledger."""
    try:
        yield
    except Unsatisfiable:
        said = "the strategy rejects nearly all it draws, or has nothing to draw; draw what fits instead of filtering"
        entry.problems.append(f"{what}: {said}")
    except (Exception, SystemExit) as error:
        entry.problems.append(
            f"{what} raises {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )


def _break(
    entry: Entry, claim: Claim, control: Control, found: Attack, examples: int, seed: int, seconds: float
) -> None:
    """A control must violate the conclusion by breaking the hypothesis it names, and that one alone."""
    row = {"drops": control.drops, "note": control.note, "violation": ""}
    entry.controls.append(row)
    what = f"control {control.drops!r}"
    with _reported(entry, what):
        given = (claim.conclusion, control.instances, claim.hypotheses, control.drops, found.parts)
        row["violation"], wrong = violation(*given, examples, seed, seconds)
        if not row["violation"] or wrong:
            entry.problems.append(f"{what}: {wrong or 'nothing violates the conclusion'}")


def _first(strategy: SearchStrategy[Any], seed: int) -> str:
    """The simplest instance of a strategy, as text."""
    drawn: list[str] = []
    search(strategy, lambda instance: drawn.append(str(instance)), 1, seed)
    return drawn[0] if drawn else ""


def _prove(entry: Entry, check: Check, claim: Claim, seconds: float) -> tuple[Finding, set[Any]]:
    """A check's finding, and which of the functions that mutants replace it called."""
    start, called = time.perf_counter(), set()
    try:
        with watched(claim.mutants) as called:
            finding = check.run(seconds)
    except Missing as missing:
        finding = Finding("undecided", str(missing))
    except (Exception, SystemExit) as error:  # any error of a stranger's code is the finding
        finding = Finding("undecided", f"{type(error).__name__}: {error}")
        entry.problems.append(f"proof {check.shows!r} raises {finding.detail}")
    row = {"engine": check.engine, "shows": check.shows, "scope": check.scope, **asdict(finding)}
    row["of"] = [name for name in claim.checks[check] if name]
    entry.checks.append(row | {"seconds": time.perf_counter() - start})
    if finding.status != "proved":
        entry.witness = entry.witness or f"{check.engine}: {check.shows}: {finding.detail}"
    return finding, called


def _back(entry: Entry, claim: Claim) -> set[Any]:
    """Note the kernel's theorems behind a claim; a shipped function that computes something else is a problem.

    Returns which of the functions that mutants replace the exact evaluations called.
    """
    called: set[Any] = set()
    with _reported(entry, "a theorem of the kernel"), watched(claim.mutants) as calls:
        entry.kernel = kernel.rows(claim.kernel)
        called = calls
    entry.problems += [f"kernel: {row['theorem']}: {row['problem']}" for row in entry.kernel if row["problem"]]
    return called


def _differs(mutant: Mutant, claim: Claim) -> tuple[str, str]:
    """Whether a mutant computes something else than the theorems of the kernel speak of, and what."""
    with in_place(mutant):
        named = {part: names for part, names in claim.kernel.items() if part != BESIDE}
        problem = next((row["problem"] for row in kernel.rows(named) if row["problem"]), "")
    return (KERNEL if problem else ""), problem


def _record(entry: Entry, claim: Claim, found: Attack, trainings: list[Training]) -> None:
    entry.instances, entry.judged, entry.distinct = found.instances, found.judged, len(found.seen)
    entry.cut, entry.nontrivial = found.cut, found.nontrivial
    entry.margin = found.margin if found.margin < math.inf else None
    entry.tightness = {name: _inverse(score) for name, score in found.tightness.items()}
    entry.ratios, entry.void, entry.sees = found.ratios, found.void, found.sees
    if found.fragile and not found.witness:
        said = "violate the conclusion and meet the hypotheses by rounding alone"
        entry.fragile = f"{found.fragile} instances {said}: keep strict hypotheses off their border"
    infinite = [name or "the conclusion" for name in found.unbounded]
    if infinite and found.judged:
        entry.problems.append(f"an infinite bound says nothing: return Void where {', '.join(infinite)} has one")
    entry.trainings = [made for i, made in enumerate(trainings) if made not in trainings[:i]]
    if claim.kind == "trained":
        entry.thresholds = found.thresholds
        seeds = {seed for made in trainings for seed in made["seeds"]} & {*claim.calibrated_on}
        if seeds:
            entry.problems.append(f"it is judged on seeds that set its thresholds: {sorted(seeds)}")
        if found.fewest < LEAST:
            entry.problems.append(f"a part says something of {found.fewest} members alone: draw ten or more")
        entry.held = {name: [*count, *interval(*count)] for name, count in found.held.items()}
    if bool(entry.trainings) != (claim.kind == "trained"):
        said = "something is" if entry.trainings else "nothing is"
        entry.problems.append(f"its kind is {claim.kind!r}, and {said} trained for its instances")
    entry.witness = found.witness or entry.witness
    if found.problem:
        entry.problems.append(f"an instance {found.problem}")
    elif found.instances and not found.judged and not found.witness:
        why = "; ".join(dict.fromkeys(found.void.values()))
        entry.problems.append(f"the conclusion says nothing of any of {found.instances} instances: {why}")
    if found.cut:
        cut = f"cut short after {found.instances} instance{'s' * (found.instances > 1)}, before all were judged"
        entry.witness = entry.witness or f"{cut}: raise --seconds"


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio > 0 else math.inf


def _attained(claim: Claim, examples: int, seed: int, seconds: float) -> tuple[dict[str, float], str]:
    """Part -> least measured / bound over its extremal instances; and one that falls short of its bound, as text."""
    worst = dict.fromkeys(claim.extremal, math.inf)
    short = ""
    for name, strategy in claim.extremal.items():

        def probe(instance: Any, name: str = name) -> None:
            nonlocal short
            part = parts(claim.conclusion(instance)).get(name)
            ratio = float(part.tightness.min()) if isinstance(part, Relation) else math.nan
            worst[name] = min(worst[name], ratio)
            if not abs(ratio - 1) < TOLERANCE:
                short = short or f"{instance}: {name or 'measured'} reaches {ratio:.6g} of its bound"

        search(strategy, probe, examples, seed, seconds)
    return worst, short


def _catch(
    claim: Claim, mutant: Mutant, only: set[Any] | None, examples: int, seconds: float, seed: int
) -> tuple[str, str]:
    """What refutes the claim with the mutant in the formula's place; drawn instances first, since they read best."""
    with in_place(mutant):
        shown = claim if mutant.shown_on is None else replace(claim, instances=mutant.shown_on)
        with suppress(Exception, SystemExit):
            found = attack(shown, examples, seed, seconds, quick=True, only=only)
            if found.witness:
                return "sampling", found.witness
        with suppress(Exception, SystemExit):  # a broken formula is no witness, and need not know every number system
            _, short = _attained(claim, 10, seed, seconds)
            if short:
                return "extremal", short
    return "", ""


def _notice(mutant: Mutant, checks: list[Check], seconds: float) -> tuple[str, str]:
    """The engine of a proof that refutes what the mutant makes of it, and its witness."""
    with in_place(mutant):
        for check in checks:
            with suppress(Exception, SystemExit):  # a broken formula need not know every number system
                finding = check.run(seconds)
                if finding.status == "refuted":
                    return check.engine, finding.detail
    return "", ""
