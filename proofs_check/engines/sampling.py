"""Hypothesis: draw instances, hunt for the worst one, shrink a violation to something a person can read."""

import math
import pickle
import time
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning, Unsatisfiable
from hypothesis.internal.conjecture import providers
from hypothesis.strategies import SearchStrategy

from proofs_check.claim import ROUNDING, Claim, Hypothesis, Part, Relation, parts


@dataclass
class Attack:
    """What drawing instances came to."""

    instances: int = 0
    judged: int = 0
    """instances of which some part said something"""
    seen: set[Any] = field(default_factory=set)
    """prints of the instances, each once"""
    good: set[Any] = field(default_factory=set)
    """prints of the instances of which every part holds"""
    telling: dict[Any, bool | None] = field(default_factory=dict)
    """prints of the instances of which some part said something -> whether they are more than trivial"""
    parts: dict[str, None] = field(default_factory=dict)
    """names of the conclusion's parts"""
    cut: bool = False
    """time ran out before all examples were judged, or all there are where they are few"""
    margin: float = math.inf
    """smallest (bound - measured) / unit over all parts and samples"""
    tightness: dict[str, float] = field(default_factory=dict)
    """part -> largest measured / bound found, for bounds above 0"""
    ratios: dict[str, list[float]] = field(default_factory=dict)
    """part -> measured / bound of each instance's tightest sample"""
    sides: dict[str, tuple[set[float], set[float]]] = field(default_factory=dict)
    """part -> what stood on its two sides, where that were single numbers"""
    void: dict[str, str] = field(default_factory=dict)
    """parts that said nothing of any instance -> why"""
    sees: dict[str, float] = field(default_factory=dict)
    """part that is a mean -> the smallest error that would have been seen on every instance, in shares of its size"""
    fragile: int = 0
    """instances that violate the conclusion, but meet the hypotheses by rounding alone"""
    infinite: dict[str, int] = field(default_factory=dict)
    """part -> instances on which its bound was infinite"""
    misses: dict[str, str] = field(default_factory=dict)
    """part -> the first member in which it does not hold, as text"""
    held: dict[str, list[int]] = field(default_factory=dict)
    """of a claim on trained stacks: part -> members in which it holds, and members judged"""
    witness: str = ""
    """the smallest violation found, as text"""
    problem: str = ""
    """an instance that breaks a hypothesis it was drawn to meet, or on which the conclusion raises an error"""

    @property
    def unbounded(self) -> list[str]:
        """Parts whose bound was infinite on half of the instances or more."""
        return [name for name, count in self.infinite.items() if 2 * count >= self.instances]

    @property
    def nontrivial(self) -> float | None:
        """Share of the distinct instances judged that are more than trivial; None where nobody says which are."""
        told = [said for said in self.telling.values() if said is not None]
        return sum(told) / len(told) if told else None

    @property
    def fewest(self) -> int:
        """Of how many members of trained stacks each part says something at least."""
        return min((judged for _, judged in self.held.values()), default=LEAST)

    @property
    def thresholds(self) -> dict[str, float]:
        """Part -> the side that was the same for all instances, where the other was not."""
        pairs = ((name, min(pair, key=len), max(pair, key=len)) for name, pair in self.sides.items())
        return {name: next(iter(fixed)) for name, fixed, moving in pairs if len(fixed) == 1 < len(moving)}


LEAST, ENOUGH = 10, 0.9
"""members of trained stacks of which each part must say something, and the share of them in which it must hold"""


Only = set[Any] | None
"""prints of instances to which an attack keeps"""


class _Found(Exception):  # noqa: N818
    """Ends a run of Hypothesis at a violation, which it then shrinks."""


class _OutOfTime(BaseException):
    """Ends a run of Hypothesis at once; not an Exception, which it would shrink."""


def attack(
    claim: Claim, examples: int, seed: int = 0, seconds: float = math.inf, *, quick: bool = False, only: Only = None
) -> Attack:
    """Try a claim on drawn instances, steering towards large measured / bound; with `only` on those of these prints.

    Returns what was found; a violation is shrunk first. An instance that breaks a hypothesis of the claim, or on which
    its conclusion raises an error, ends the attack; `quick` passes over errors and does not steer.
    """
    result, spoken, met = Attack(), set(), set()
    counts = claim.kind == "trained" and not quick

    def probe(instance: Any) -> None:
        mark = str(instance) if claim.kind == "trained" else _print(instance)  # a member's figures come with time
        if (counts and mark in met) or (only is not None and mark not in only):
            return
        result.instances += 1
        result.seen.add(mark)
        conclusion = _judged(claim, instance, result, quick)
        result.parts |= dict.fromkeys(conclusion)
        silent = {name: _silent(part) for name, part in conclusion.items()}
        for name, part in conclusion.items():
            if isinstance(part, Relation) and not silent[name]:
                spoken.add(name)
                _note(result, name, part)
                if counts:
                    _count(result, instance, name, part)
                elif not bool(part.holds.all()):
                    if not quick and not _robust(claim, instance):
                        result.fragile += 1
                        return
                    result.witness = describe(instance, name, part)
                    raise _Found
            else:
                _hush(result, name, part, silent[name])
        met.add(mark)
        said = [part for name, part in conclusion.items() if isinstance(part, Relation) and not silent[name]]
        result.good |= {mark} if counts and all(bool(part.holds.all()) for part in said) else set()
        result.judged += bool(said)
        if said and not quick:
            result.telling[mark] = claim.tells(instance)

    result.cut = search(claim.instances, probe, examples, seed, seconds, steer=not quick)
    return _ended(result, spoken)


def _judged(claim: Claim, instance: Any, result: Attack, quick: bool) -> dict[str, Part]:
    """The conclusion of an instance; what is wrong with the instance ends the attack, `quick` passes over errors."""
    try:
        broken = [h.name for h in claim.hypotheses if not bool(h.met(instance).all())]
        conclusion = parts(claim.conclusion(instance)) if not broken else {}
    except (Exception, SystemExit) as error:  # a stranger's code, or a formula that a mutant has broken
        if quick:
            return {}
        result.problem = f"raises {type(error).__name__}: {error}: {instance}"
        raise _Found from error
    if broken:
        result.problem = f"does not meet {', '.join(broken)}: {instance}"
        raise _Found
    return conclusion


def _ended(result: Attack, spoken: set[str]) -> Attack:
    """What an attack came to, once all instances were judged; `spoken` are the parts that said something."""
    result.void = {name: why for name, why in result.void.items() if name not in spoken}
    result.witness = result.witness or _too_few(result)
    return result


def _silent(part: Part) -> str:
    """Why a part says nothing of an instance; empty where it says something."""
    return part.silent if isinstance(part, Relation) else part.reason


def _hush(result: Attack, name: str, part: Part, reason: str) -> None:
    """Note a part that says nothing of an instance."""
    if isinstance(part, Relation) and part.measured.numel():
        result.infinite[name] = result.infinite.get(name, 0) + 1
    result.void.setdefault(name, reason)


def _too_few(result: Attack) -> str:
    """Which parts hold in too few members, with a member in which one does not; empty where none do."""
    few = {name: count for name, count in result.held.items() if count[0] < ENOUGH * count[1]}
    said = "; ".join(f"{name or 'it'} holds in {held} of {judged}" for name, (held, judged) in few.items())
    return f"{said}; {result.misses[next(iter(few))]}" if few else ""


def _count(result: Attack, instance: Any, name: str, part: Relation) -> None:
    """Count a member in which a part holds, or keep the first in which it does not."""
    count, holds = result.held.setdefault(name, [0, 0]), bool(part.holds.all())
    count[0] += holds
    count[1] += 1
    if not holds:
        result.misses.setdefault(name, describe(instance, name, part))


def search(
    strategy: SearchStrategy[Any],
    probe: Callable[[Any], None],
    examples: int,
    seed: int,
    seconds: float = math.inf,
    *,
    steer: bool = False,
) -> bool:
    """Call `probe` on drawn instances until it raises `_Found`; then on ever simpler ones, the simplest last.

    With `steer`, part of the budget climbs from the best instances towards what `probe` names as its target.

    Returns:
        Whether it was cut short: after `seconds` an instance was drawn that had not come before. Where few are there to
        draw, as with `sampled_from`, all of them have then been probed unless it was.

    Raises:
        Unsatisfiable: nothing was drawn.
        Exception: what the strategy itself raises.
    """
    phases = (Phase.generate, *((Phase.target,) if steer else ()), Phase.shrink)
    checks = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
    draws = _Draws(strategy, time.monotonic() + seconds)

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=checks,
        report_multiple_bugs=False,
    )
    @given(draws.timed())
    def run(instance: Any) -> None:
        probe(instance)

    with warnings.catch_warnings(), _from_the_seed_alone():
        warnings.simplefilter("ignore", HypothesisWarning)
        try:
            run()
        except _Found:
            pass
        except (Exception, _OutOfTime):  # Hypothesis calls a strategy that was cut short flaky
            if not draws.cut:
                raise
    if not draws.seen:
        raise Unsatisfiable(f"nothing was drawn in {seconds:g} s")
    return draws.cut


class _Draws:
    """Instances of a strategy, until a time."""

    def __init__(self, strategy: SearchStrategy[Any], end: float) -> None:
        self.strategy, self.end = strategy, end
        self.seen: list[Any] = []
        """the first instances, as many as can be compared with later ones"""
        self.cut = False
        """a new instance came too late"""

    def timed(self) -> SearchStrategy[Any]:
        """The strategy, which ends the search once a new instance comes late."""

        @st.composite
        def timed(draw: st.DrawFn) -> Any:
            late = time.monotonic() > self.end
            try:
                instance = draw(self.strategy)
            except KeyboardInterrupt:
                raise
            except BaseException:  # Hypothesis rejects by errors that are no Exception
                if late:
                    self.cut = True
                    raise _OutOfTime from None
                raise
            if late and not any(_same(instance, other) for other in self.seen):
                self.cut = True
                raise _OutOfTime
            self.seen.extend([instance] if len(self.seen) < _FEW else [])
            return instance

        return timed()


_FEW = 100
"""a strategy of at most so many instances can be judged whole, however late"""


def _same(instance: Any, other: Any) -> bool:
    """Whether two instances are equal; those that cannot be compared are not."""
    try:
        return bool(instance == other)
    except Exception:
        return False


def _robust(claim: Claim, instance: Any) -> bool:
    """Whether an instance meets the hypotheses also where its numbers change by 1e-12 of themselves."""
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        try:
            moved = _moved(instance, generator)
            if not all(bool(h.met(moved).all()) for h in claim.hypotheses):
                return False
        except Exception:  # of an instance that cannot be built anew
            return True
    return True


def _moved(value: Any, generator: torch.Generator) -> Any:
    """A copy with every real number changed by 1e-12 of itself."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value * (1 + 1e-12 * torch.randn(value.shape, generator=generator, dtype=value.dtype))
    if isinstance(value, float):
        return value * (1 + 1e-12 * float(torch.randn((), generator=generator)))
    if isinstance(value, dict):
        return type(value)({key: _moved(item, generator) for key, item in value.items()})
    if type(value) in (tuple, list):
        return type(value)(_moved(item, generator) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _moved(getattr(value, f.name), generator) for f in fields(value) if f.init})
    return value


def _print(instance: Any) -> Any:
    """What equal instances share."""
    try:
        return pickle.dumps(instance)
    except Exception:  # of a stranger's class
        return str(instance)


@contextmanager
def _from_the_seed_alone() -> Iterator[None]:
    """Keep literals of loaded modules, which Hypothesis mixes into draws, out of them; no effect if it stops to."""
    provider = getattr(providers, "HypothesisProvider", None)
    original = vars(provider).get("_local_constants") if provider is not None else None
    if provider is None or original is None:
        yield
        return
    provider._local_constants = type(providers._local_constants)()
    try:
        yield
    finally:
        provider._local_constants = original


def _note(result: Attack, name: str, part: Relation) -> None:
    """Keep the figures of a part, and steer: by measured / bound where the bound is above 0, else by -margin."""
    if part.sees:
        result.sees[name] = max(result.sees.get(name, 0.0), part.sees)
    margin = float(part.margin.min())
    result.margin = min(result.margin, margin)
    if part.measured.numel() == 1:
        for seen, side in zip(result.sides.setdefault(name, (set(), set())), (part.measured, part.bound), strict=True):
            seen.add(float(side))
    finite = (part.bound > ROUNDING * part.unit) & part.bound.isfinite() & part.measured.isfinite()
    if part.equality or not bool(finite.all()):
        if math.isfinite(margin):
            target(-margin, label=f"{name}: margin")
        return
    ratio = float(part.tightness.max())
    result.tightness[name] = max(result.tightness.get(name, -math.inf), ratio)
    result.ratios.setdefault(name, []).append(ratio)
    target(ratio, label=f"{name}: ratio")


def violation(
    conclusion: Callable[[Any], Any],
    strategy: SearchStrategy[Any],
    hypotheses: tuple[Hypothesis, ...],
    dropped: str,
    judged: Container[str],
    examples: int,
    seed: int = 0,
    seconds: float = math.inf,
) -> tuple[str, str]:
    """Look among instances that drop one hypothesis for a violation of parts that are judged where it holds.

    Returns:
        The simplest violation as text, empty if none was found; and what is wrong with the instances as a control,
        empty if they break just the hypothesis they name.
    """
    witness = wrong = ""

    def probe(instance: Any) -> None:
        nonlocal witness, wrong
        for name, part in parts(conclusion(instance)).items():
            if not isinstance(part, Relation) or name not in judged:
                continue
            shown = part.measured.isfinite() & part.bound.isfinite()  # 0/0 violates nothing
            if bool((part.holds | ~shown).all()):
                continue
            broken = {h.name for h in hypotheses if not bool(h.met(instance).all())}
            witness = describe(instance, name, part)
            wrong = "" if broken == {dropped} else f"breaks {sorted(broken)}, not {dropped!r} alone"
            raise _Found

    search(strategy, probe, examples, seed, seconds)
    return witness, wrong


def describe(instance: Any, name: str, part: Relation) -> str:
    """A violation in one line: the instance, and both sides at the worst sample."""
    worst = int(part.margin.argmin())
    sign = "=" if part.equality else "<="
    sides = f"{float(part.measured[worst]):.6g} {sign} {float(part.bound[worst]):.6g} fails"
    return f"{instance}: {f'{name}: ' if name else ''}{sides}"
