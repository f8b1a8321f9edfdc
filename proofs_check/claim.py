"""A claim as code: what is drawn, what must hold of it, what attains it, what breaks it, what proves it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, get_args

import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from synthetic.base.errors import must

TOLERANCE = 1e-9
"""relative rounding error allowed in float64 comparisons"""

ROUNDING = 1e-14
"""below this share of its unit a float64 figure is 0"""

Kind = Literal["identity", "bound", "tight", "rate", "refuted", "vacuous", "trained"]


Grade = Literal["exact", "equivalent", "special case", "ours"]
"""how a statement stands to that of its source"""


class Verdict(StrEnum):
    """What the ledger says of a claim."""

    PROVED = "PROVED"
    """every part of the conclusion by a machine, in the scope stated; sampling found no violation"""
    PROVED_IN_PART = "PROVED in part"
    """some parts by a machine, the others sampled"""
    SUPPORTED = "SUPPORTED"
    """sampled only"""
    REFUTED = "REFUTED"
    """there is a witness, against a statement or a figure of a paper, or against the claim itself"""
    FAILS = "A READING FAILS"
    """there is a witness, against what readers make of a paper, or report of it"""
    VACUOUS = "VACUOUS"
    """proved never to bind; the witness says where it comes nearest"""
    UNKNOWN = "UNKNOWN"
    """a check was left undecided"""


@dataclass(frozen=True)
class Relation:
    """`measured <= bound` or `measured == bound`, elementwise over samples."""

    measured: Tensor
    bound: Tensor
    unit: Tensor
    """size against which rounding is judged, and in which both sides are reported"""
    equality: bool = False
    least: float = 1.0
    """sizes below this share of the unit are judged as this"""
    sees: float = 0.0
    """of a mean: the smallest error that would have been seen, in shares of its size"""

    @property
    def silent(self) -> str:
        """Why it says nothing of any sample; empty where it says something of one."""
        if not self.measured.numel():
            return "it is of no sample"
        unbounded = (self.bound == math.inf) & ~self.measured.isnan()
        return "its bound is infinite" if not self.equality and bool(unbounded.all()) else ""

    @property
    def margin(self) -> Tensor:
        """(bound - measured) / unit, or minus the distance of the two for an equality; NaN counts as -inf."""
        gap = (self.bound - self.measured) / self.unit
        gap = torch.where(self.bound == self.measured, 0.0, gap)  # inf against inf
        return (-gap.abs() if self.equality else gap).nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)

    @property
    def holds(self) -> Tensor:
        """Where it holds, up to rounding."""
        size = torch.maximum(self.measured.abs(), self.bound.abs()) / self.unit
        size = torch.where(size.isfinite(), size, 0.0).clamp_min(self.least)
        return self.margin >= -TOLERANCE * size

    @property
    def tightness(self) -> Tensor:
        """measured / bound: 1 where they are equal, or both nothing but rounding."""
        nothing = torch.maximum(self.measured.abs(), self.bound.abs()) <= ROUNDING * self.unit
        return torch.where((self.bound == self.measured) | nothing, 1.0, self.measured / self.bound)


@dataclass(frozen=True)
class Void:
    """A part of a conclusion that says nothing of an instance, and why."""

    reason: str


Part = Relation | Void
Conclusion = Part | Mapping[str, Part]


def at_most(measured: Any, bound: Any, *, unit: Any = None) -> Relation:
    """The relation measured <= bound; numbers or arrays that broadcast.

    `unit` is their natural size: without it rounding is judged by the larger of the two, and what is below 1e-12 is 0.
    """
    return _relation(measured, bound, unit, equality=False)


def equal(measured: Any, bound: Any, *, unit: Any = None) -> Relation:
    """The relation measured == bound, up to rounding; `unit` as in `at_most`."""
    return _relation(measured, bound, unit, equality=True)


def _relation(measured: Any, bound: Any, unit: Any, *, equality: bool) -> Relation:
    least = 1e-3 if unit is None else 1.0
    unit = 1.0 if unit is None else unit
    sides = [torch.as_tensor(side, dtype=torch.float64).detach() for side in (measured, bound, unit)]
    lengths = {side.numel() for side in sides if side.ndim}
    must(
        len(lengths) < 2, "a relation's sides", "of one length, or single numbers", lengths, "compare sample by sample"
    )
    measured, bound, unit = torch.broadcast_tensors(*(side.flatten() if side.ndim else side[None] for side in sides))
    return Relation(measured, bound, unit, equality, least)


def mean_is(samples: Tensor, value: Any, *, sees: float = 0.01, unit: Any = None) -> "Relation | Void":
    """The mean of independent samples is `value`, to within 7 standard errors: false alarms are below 1e-11.

    Says nothing where an error of the share `sees` of the size might escape it: then more samples are needed. The size
    is `unit`, or else |value|, or the standard deviation where that is 0. An error of 14 standard errors is seen but
    once in 1e11, so 14 of them is what it sees.
    """
    if len(samples) < 2:
        return Void("a mean needs two samples or more")
    error = 7 * samples.std() / len(samples) ** 0.5
    value = torch.as_tensor(value, dtype=torch.float64)
    size = torch.as_tensor(unit, dtype=torch.float64) if unit is not None else value.abs()
    power = float((2 * error / torch.where(size == 0, samples.std(), size)).max().nan_to_num(0.0))
    if power > sees:
        return Void(f"its samples show errors of {power:.2g} of its size, not of {sees:g}: draw more, or give `sees`")
    relation = at_most((samples.mean() - value).abs(), error, unit=torch.where(size == 0, samples.std(), size))
    return replace(relation, sees=power)


def parts(conclusion: Conclusion) -> dict[str, Part]:
    """A conclusion's parts by name; one without names is called "".

    Raises:
        TypeError: it is none of what a conclusion may be.
    """
    found = dict(conclusion) if isinstance(conclusion, Mapping) else {"": conclusion}
    taken = sorted({LOOPS, BESIDE} & found.keys())
    if taken:
        raise TypeError(f"Claim.conclusion must have names of its own; got {taken[0]!r}: rename the part.")
    wrong = [type(part).__name__ for part in found.values() if not isinstance(part, Relation | Void)]
    if wrong or not found:
        got = wrong[0] if wrong else "an empty dict"
        raise TypeError(
            f"Claim.conclusion must be a Relation, a Void or a dict of them; got {got}: return at_most() or equal()."
        )
    return found


def digits(values: Tensor) -> str:
    """Numbers of a small array for a witness, four digits each; a single row without its outer brackets."""
    if values.numel() > 120:
        return f"of shape {tuple(values.shape)}"
    rows = [f"({', '.join(f'{v:.4g}' for v in row)})" for row in torch.atleast_2d(values).tolist()]
    return rows[0] if len(rows) == 1 else f"[{', '.join(rows)}]"


@dataclass(frozen=True)
class Hypothesis:
    """A condition of a claim, as a distance from being met.

    A condition that is met only for want of rounding is not: an instance that violates the conclusion must meet its
    hypotheses also where its numbers change by 1e-12 of themselves, or it is no witness.
    """

    name: str
    deviation: Callable[[Any], Any]
    """instance -> number, or one a sample; 0 where the hypothesis holds"""

    def met(self, instance: Any, tolerance: float = TOLERANCE) -> Tensor:
        """Where it holds."""
        return torch.as_tensor(self.deviation(instance), dtype=torch.float64).flatten() <= tolerance


@dataclass(frozen=True)
class Control:
    """Instances that drop one hypothesis and keep the others; some must violate the conclusion."""

    drops: str
    """name of the hypothesis"""
    instances: SearchStrategy[Any]
    note: str = ""
    """what the instances are, or how to repair the statement"""


@dataclass(frozen=True)
class Mutant:
    """A near miss of a formula: put in its place, some check of the claim must fail."""

    name: str
    of: Callable[..., Any]
    """the module-level function it replaces; claims must call it through its module"""
    by: Callable[..., Any]
    shown_on: SearchStrategy[Any] | None = None
    """instances that tell the two apart, where the claim's own rarely would"""


def edited(
    name: str, of: Callable[..., Any], change: Callable[[Any], Callable[..., Any]], shown_on: Any = None
) -> Mutant:
    """A mutant that calls what it replaces: `change` is handed the original, as in lambda f: lambda x: 2 * f(x)."""
    return Mutant(name, of, change(of), shown_on)


Status = Literal["proved", "refuted", "undecided"]


@dataclass(frozen=True)
class Finding:
    """What a check came to."""

    status: Status
    detail: str = ""
    """the witness of a refutation, or why nothing was decided"""
    late: bool = False
    """nothing was decided for want of seconds, which another machine might not have needed"""


BASES = {
    "symbolic": "SymPy",
    "smt": "Z3",
    "balls": "Arb",
    "smt or balls": "Z3, Arb or SymPy",
    "exact": "exact integers",
    "draws": "exact draws",
}
"""engine -> what one trusts who believes it"""


@dataclass(frozen=True)
class Check:
    """A proof by one engine."""

    engine: str
    shows: str
    scope: str
    """what the proof covers: "all k: induction over rows" where that is all sizes, else its sizes first, "k = 2..4" """
    run: Callable[[float], Finding]
    """seconds allowed -> finding"""
    decides: Callable[..., Any] | None = None
    """the conclusion, where the proof is made of the very functions that it compares"""

    @property
    def base(self) -> str:
        """What one trusts who believes it."""
        return BASES.get(self.engine, f"{self.engine}, which is no engine here")

    @property
    def for_all_sizes(self) -> bool:
        """Whether it covers all sizes."""
        return self.scope.startswith("all ")


def must_be_of_sizes(where: str, scope: str, sizes: Mapping[str, Any]) -> None:
    """Refuse a scope of all sizes where some are given."""
    whole = [name for name, value in sizes.items() if type(value) is int]
    good = not whole or not scope.startswith("all ")
    must(good, f"{where}.scope", "of the sizes given", repr(scope), f"begin with {', '.join(whole)}")


LOOPS = "the shipped loops"
"""key of proofs that the sums of the other proofs are what the shipped code adds up"""
BESIDE = "beside the conclusion"
"""key of proofs of what the statement says beside the parts of its conclusion"""


Group = Check | tuple[Check, ...]
Proofs = Mapping[str, Group] | Mapping[tuple[str, ...], Group] | Mapping[str | tuple[str, ...], Group]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What a refuted claim speaks against. What nobody said belongs into a control of the claim that holds."""

    words: str
    """the sentence, in ours"""
    version: str
    """of the paper, and how it was read: whole, or as reported by whom"""
    against: Literal["statement", "figure", "reading"]
    """a statement of the paper, a figure of it, or what readers make of it"""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One theorem with its corollaries.

    `instances` draws only what meets the hypotheses; `conclusion` judges an instance and calls the shipped formulas
    through their modules, so that a mutant can take their place.
    """

    id: str
    statement: str
    """one or two sentences; unicode mathematics"""
    source: str
    """paper and theorem, or "ours: derivation" """
    instances: SearchStrategy[Any]
    conclusion: Callable[[Any], Conclusion]
    stated: Grade | None = None
    """how the statement stands to that of its source; "ours" where the source begins with it, else not graded"""
    kind: Kind = "bound"
    promised: Verdict | None = None
    """the verdict the ledger must come to; None where any but REFUTED and UNKNOWN will do"""
    tex: str = ""
    """the formula, typeset on the page of the ledger"""
    hypotheses: tuple[Hypothesis, ...] = ()
    extremal: Mapping[str, SearchStrategy[Any]] = field(default_factory=dict)
    """part -> instances that attain its bound"""
    controls: tuple[Control, ...] = ()
    proofs: Proofs | tuple[Check, ...] = ()
    """part, or several, of the conclusion -> what shows it together; of a conclusion without names a tuple will do"""
    kernel: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """part of the conclusion -> theorems of Coq's kernel that show it for all sizes; "" of one without names"""
    mutants: tuple[Mutant, ...] = ()
    witness: str = ""
    """of a vacuous claim: where it comes nearest to binding"""
    refutes: Sentence | None = None
    """of a refuted claim: the sentence that its witness speaks against"""
    calibrated_on: tuple[int, ...] = ()
    """of a claim on trained stacks: seeds whose figures set its thresholds"""
    note: str = ""
    """what is left unproved and why, or what a user should know"""
    nontrivial: Callable[[Any], Any] | None = None
    """whether an instance is more than a trivial case of the claim; None for what its class says by this name"""
    reads: type | None = None
    """class of its instances, where the auditor can make one of a trained SAE"""
    shown_by: str = ""
    """experiment that shows it"""

    def __post_init__(self) -> None:
        must(isinstance(self.id, str) and self.id, "Claim.id", "a name", repr(self.id), "give one, such as MINE-1")
        self._check_kinds()
        names = [h.name for h in self.hypotheses]
        for control in self.controls:
            good = control.drops in names
            must(good, f"claim {self.id}.controls", f"named after a hypothesis in {names}", control.drops, "rename it")
        tight = self.kind != "tight" or self.extremal
        must(tight, f"claim {self.id}.extremal", "given for a tight claim", "none", "draw what attains it")
        vacuous = self.kind != "vacuous" or (self.witness and self.extremal)
        must(
            vacuous,
            f"claim {self.id}.witness",
            "given with extremal instances for a vacuous claim",
            "none",
            "say where",
        )
        trained = self.kind != "trained" or self.calibrated_on
        must(trained, f"claim {self.id}.calibrated_on", "given for a claim on trained stacks", "none", "name the seeds")
        self._check_sentence()

    def _check_sentence(self) -> None:
        """REFUTED is for a statement or a figure; a reading fails, and its authors are not refuted."""
        where, promised, told = f"claim {self.id}", self.promised or "", self.refutes
        must(
            told is None or isinstance(told, Sentence), f"{where}.refutes", "a Sentence", repr(told), "write Sentence()"
        )
        against = told.against if told else "nobody"
        said = {"statement": Verdict.REFUTED, "figure": Verdict.REFUTED, "reading": Verdict.FAILS, "nobody": ""}
        must(against in said, f"{where}.refutes.against", f"one of {[*said][:3]}", repr(against), "choose one")
        refuted = promised if promised in (Verdict.REFUTED, Verdict.FAILS) else ""
        rule = f"{said[against] or 'neither REFUTED nor A READING FAILS'} for a sentence of {against}"
        advice = "give Sentence(words, version, against), or make it a control of the claim that holds"
        must(refuted == said[against], f"{where}.promised", rule, repr(promised), advice)

    @property
    def grade(self) -> str:
        """How the statement stands to that of its source."""
        return self.stated or ("ours" if self.source.startswith("ours") else "not graded")

    def tells(self, instance: Any) -> bool | None:
        """Whether an instance is more than a trivial case of the claim; None where neither claim nor class says so."""
        said = self.nontrivial(instance) if self.nontrivial else getattr(instance, "nontrivial", None)
        return None if said is None else bool(said)

    @property
    def checks(self) -> dict[Check, tuple[str, ...]]:
        """Each proof, and the parts that need it."""
        named = self.proofs if isinstance(self.proofs, Mapping) else {"": tuple(self.proofs)}
        found: dict[Check, tuple[str, ...]] = {}
        for key, group in named.items():
            parts = key if isinstance(key, tuple) else (key,)
            for check in group if isinstance(group, tuple | list) else (group,):
                found[check] = (*found.get(check, ()), *parts)
        return found

    def _check_kinds(self) -> None:
        """Refuse fields of another kind than theirs, before anything is drawn."""
        where = f"claim {self.id}"
        for name in ("statement", "source", "tex", "witness", "note", "shown_by"):
            value = getattr(self, name)
            must(isinstance(value, str), f"{where}.{name}", "a text", repr(value), "put it into quotes")
        must(self.kind in get_args(Kind), f"{where}.kind", f"one of {get_args(Kind)}", repr(self.kind), "choose one")
        stated = self.stated is None or self.stated in get_args(Grade)
        must(stated, f"{where}.stated", f"one of {get_args(Grade)}, or None", repr(self.stated), "choose one")
        verdicts = [verdict.value for verdict in Verdict]
        promised = self.promised is None or self.promised in verdicts
        must(promised, f"{where}.promised", f"one of {verdicts}, or None", repr(self.promised), "choose one")
        must(callable(self.conclusion), f"{where}.conclusion", "a function", repr(self.conclusion), "return at_most()")
        told = self.nontrivial is None or callable(self.nontrivial)
        must(told, f"{where}.nontrivial", "a function of an instance, or None", repr(self.nontrivial), "return a bool")
        for name, kind, advice in (
            ("hypotheses", Hypothesis, "write Hypothesis(name, deviation), or put it into the statement"),
            ("controls", Control, "write Control(hypothesis, instances)"),
            ("mutants", Mutant, "write Mutant(name, of, by)"),
        ):
            values = getattr(self, name)
            must(isinstance(values, tuple | list), f"{where}.{name}", "a tuple", repr(values), advice)
            for value in values:
                must(isinstance(value, kind), f"{where}.{name}", f"of {kind.__name__} objects", repr(value), advice)
        groups = self.proofs.values() if isinstance(self.proofs, Mapping) else (self.proofs,)
        for group in groups:
            for check in group if isinstance(group, tuple | list) else (group,):
                advice = "make it by an engine, such as smt.implies()"
                must(isinstance(check, Check), f"{where}.proofs", "of Check objects", repr(check), advice)
        for check, names in self.checks.items():
            drawn, advice = check.engine == "draws" and {*names} - {LOOPS, BESIDE}, "enter it under LOOPS"
            must(not drawn, f"{where}.proofs", "of more than draws", f"{check.shows!r} for {[*names]}", advice)
        named = isinstance(self.extremal, Mapping)
        must(named, f"{where}.extremal", "a dict", repr(self.extremal), "name the part that each strategy attains")
        drawn = {"instances": self.instances, **{f"extremal[{name!r}]": s for name, s in self.extremal.items()}}
        drawn |= {f"controls[{control.drops!r}].instances": control.instances for control in self.controls}
        for name, strategy in drawn.items():
            good = isinstance(strategy, SearchStrategy)
            must(good, f"{where}.{name}", "a Hypothesis strategy", repr(strategy), "such as st.floats(0, 1)")
