"""AUX-1: GroupMax keeps in the mean 1 - (1 - 1/k)^k of k features whose groups are drawn, towards 1 - 1/e."""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

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
    Part,
    Verdict,
    at_most,
    equal,
)
from proofs_check.claims.auxiliary.cases import EXP_RISES
from proofs_check.engines import balls, smt, symbolic
from proofs_check.instances.draw import mostly, numbers
from proofs_check.instances.loops import evaluated
from workbench.theory import auxiliary as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True)
class Groups:
    """n features of given sizes, k groups with probabilities, latents a group, pre-activation of all other latents."""

    sizes: tuple[float, ...]
    law: tuple[float, ...]
    size: int
    others: float = 0.0

    def __str__(self) -> str:
        law = f"groups with {tuple(round(p, 4) for p in self.law)}, {self.size} latents each"
        return f"features {tuple(round(v, 4) for v in self.sizes)}, {law}, other latents {self.others:.4g}"

    def kept(self, slots: tuple[tuple[int, int], ...], size: int) -> int:
        """How many features GroupMax keeps, each in a group at a place."""
        pre = [self.others] * (len(self.law) * size)
        at = [group * size + place for group, place in slots]
        for i, value in zip(at, self.sizes, strict=True):
            pre[i] = value
        after = theory.group_max(pre, len(self.law))
        return sum(after[i] > 0 for i in at)

    @property
    def independent(self) -> list[tuple[float, int]]:
        """Probability and features kept of every way to give each feature a group; it has a place of its own there."""
        n, k = len(self.sizes), len(self.law)
        ways = itertools.product(range(k), repeat=n)
        return [
            (math.prod(self.law[g] for g in way), self.kept(tuple(zip(way, range(n), strict=True)), n)) for way in ways
        ]

    @property
    def distinct(self) -> list[int]:
        """Features kept of every set of as many latents."""
        latents = itertools.product(range(len(self.law)), range(self.size))
        return [self.kept(slots, self.size) for slots in itertools.combinations(list(latents), len(self.sizes))]


def _conclusion(case: Groups) -> dict[str, Part]:
    n, k = len(case.sizes), len(case.law)
    ways, sets = case.independent, case.distinct
    mean = sum(p * kept for p, kept in ways) / n
    low, high = theory.share_range(k)
    return {
        "share": equal(mean, theory.kept_share(k, n)),
        "above 1 − 1/e": at_most(low, mean),
        "at most 1/(ek) above": at_most(mean, high),
        "falls with k": at_most(theory.kept_share(k + 1, k + 1), mean),
        "all kept": equal(sum(p for p, kept in ways if kept == n), theory.all_kept(k)),
        "distinct latents": equal(sum(sets) / len(sets) / n, theory.kept_of_slots(k, case.size, n)),
        "at least as much of distinct latents": at_most(theory.kept_share(k, n), theory.kept_of_slots(k, case.size, n)),
    }


def _group(unknowns, ops):
    """Over the groups that a new feature may get: it adds 1 to what is kept where the group is empty."""
    total, groups, empty, filled, kept, free = unknowns("total groups empty filled kept free")
    says = [total == groups * kept + empty, empty + filled == groups]
    after = {"total": total + kept + free, "groups": groups + 1, "empty": empty + free, "filled": filled + (1 - free)}
    return smt.Invariant(says, after, given=[free * (free - 1) == 0])


def _way(unknowns, ops):
    """Over the ways of earlier features: f filled groups keep one each, those of a new feature k f + (k - f)."""
    after, kept, ways, k, filled, empty, total = unknowns("after kept ways k filled empty total")
    moved = {"after": after + total, "kept": kept + filled, "ways": ways + 1}
    given = [total == k * filled + empty, empty + filled == k]
    return smt.Invariant([after == k * kept + k * ways - kept], moved, given=given)


def _all_kept(unknowns, ops):
    """Over ways: one that keeps all n features has n filled groups, and a new feature k - n empty ones."""
    after, kept, k, n, whole, filled, empty = unknowns("after kept k n whole filled empty")
    given = [whole * (whole - 1) == 0, empty + filled == k, whole * (filled - n) == 0]
    moved = {"after": after + whole * empty, "kept": kept + whole}
    return smt.Invariant([after == (k - n) * kept], moved, given=given)


def _products_of_shares(_: float) -> Finding:
    """Where k is a power of 2 floats hold the shares (k - n)/k and their product."""
    for k in (1, 2, 4, 8, 16):
        wanted = math.prod(Fraction(k - n, k) for n in range(k))
        if Fraction(theory.all_kept(k)) != wanted:
            return Finding("refuted", f"k = {k}: {theory.all_kept(k)} for {wanted}")
    return Finding("proved")


def _slot(unknowns, ops):
    """Over groups of g latents, u of them used: a new feature finds g - u free ones, and adds 1 where none is used.

    `empty` counts the free latents of empty groups, g each.
    """
    total, slots, empty, used, groups, filled, g, u = unknowns("total slots empty used groups filled g u")
    more = ops.where(u == 0, filled + 1, filled)
    fresh = ops.where(u == 0, g, ops.num("0"))
    says = [total == filled * slots + empty, slots + used == groups]
    after = {"total": total + more * (g - u), "slots": slots + g - u, "empty": empty + fresh}
    return smt.Invariant(says, {**after, "used": used + u, "groups": groups + g}, given=[u >= 0, u <= g, g >= 1])


def _sequence(unknowns, ops):
    """Over draws of n distinct latents: k g - n are free, g (k - f) of them in groups that are empty."""
    after, kept, count, k, g, n, filled, total = unknowns("after kept count k g n filled total")
    moved = {"after": after + total, "kept": kept + filled, "count": count + 1}
    given = [total == filled * (k * g - n) + g * (k - filled)]
    return smt.Invariant([after == (k * g - n) * kept + g * (k * count - kept)], moved, given=given)


def _recursion(symbols, ops):
    """Means over draws: k (1 - missed) with one more draw, missed times ((k - 1) g - n)/(k g - n)."""
    k, g, n, missed = symbols("k g n missed", positive=True)
    kept, then = k * (1 - missed), k * (1 - missed * ((k - 1) * g - n) / (k * g - n))
    yield ((k * g - n) * kept + g * (k - kept)) / (k * g - n), then


def _one_more(symbols, ops):
    """Over k^n ways n features keep k^n n share in all; one more, k^(n+1) ways: the same recursion as of the counts."""
    k, n = symbols("k n", positive=True)
    yield theory.kept_share(k, 1), 1
    before = n * theory.kept_share(k, n)
    yield (n + 1) * theory.kept_share(k, n + 1), before + 1 - before / k
    ways = symbols("ways", positive=True)
    yield k * ways * (before + 1 - before / k), k * (ways * before) + k * ways - ways * before


def _powers(symbols, ops):
    """Shares as exponentials, k = 2 + j; quotients of what is left, and logarithms of factors."""
    j = symbols("j", nonnegative=True)
    k = 2 + j
    low, high = theory.share_range(k, ops=ops)
    yield 1 - theory.kept_share(k, k), ops.exp(k * ops.log(1 - 1 / k))
    yield 1 - theory.kept_share(k + 1, k + 1), ops.exp((k + 1) * ops.log(1 - 1 / (k + 1)))
    yield 1 - low, ops.exp(ops.num("-1"))
    yield 1 - high, (1 - 1 / k) * ops.exp(ops.num("-1"))
    a, after = ops.log(1 - 1 / k), ops.log(1 - 1 / (k + 1))
    yield ops.exp(-a), 1 + 1 / (k - 1)
    yield ops.exp(-after), 1 + 1 / k
    yield ops.exp(a - after), 1 - 1 / k**2


def _exponents(unknowns, ops):
    """From log(1 - t) <= -t at 1/k and 1/k², log(1 + u) <= u at 1/(k - 1) and 1/k: what the exponents come to.

    a = log(1 - 1/k) is -log(1 + 1/(k - 1)); after = log(1 - 1/(k + 1)) is -log(1 + 1/k), a - after = log(1 - 1/k²).
    """
    k, a, after = unknowns("k a after")
    given = [k >= 2, a <= -1 / k, -a <= 1 / (k - 1), a - after <= -1 / (k * k), -after <= 1 / k]
    return given, [k * a <= -1, (k - 1) * a >= -1, k * a <= (k + 1) * after]


def _less(t, ops):
    return -t - ops.log(1 - t)


def _more(u, ops):
    return u - ops.log(1 + u)


def _slower(unknowns, ops):
    """A draw without replacement misses a group no more often than one with it."""
    k, g, i = unknowns("k g i")
    ratio = ((k - 1) * g - i) / (k * g - i)
    return [k >= 2, g >= 1, i >= 0, i <= k - 1], [ratio <= (k - 1) / k, ratio >= 0]


def _draw(unknowns, ops):
    """The product of the ratios against the power of (k - 1)/k, one more draw."""
    missed, power, ratio, share = unknowns("missed power ratio share")
    after = {"missed": missed * ratio, "power": power * share}
    return smt.Invariant([missed <= power, missed >= 0], after, {"missed": 1, "power": 1}, [ratio >= 0, ratio <= share])


def _kept(unknowns, ops):
    """What is kept of a group: fewer misses, more is kept."""
    k, n, missed, power = unknowns("k n missed power")
    return [k >= 1, n >= 1, missed <= power], [k * (1 - power) / n <= k * (1 - missed) / n]


def _one_draw(symbols, ops):
    """`kept_of_slots` of one feature is 1, and each more multiplies the chance of an empty group by that ratio."""
    k, g = symbols("k g", positive=True)
    yield theory.kept_of_slots(k, g, 1), 1
    for n in (1, 2, 3, 4):
        empty, then = (1 - r * theory.kept_of_slots(k, g, r) / k for r in (n, n + 1))
        yield then, empty * ((k - 1) * g - n) / (k * g - n)


def _long(draw):
    """A group of g latents is missed by n distinct latents of k g in (k g - g over n) of (k g over n) ways."""
    k, g, n = abs(draw.number(9)) + 1, abs(draw.number(9)) + draw.n, draw.n
    missed = Fraction(math.comb((k - 1) * g, n), math.comb(k * g, n))
    yield theory.kept_of_slots(Fraction(k), Fraction(g), n), k * (1 - missed) / n


def _largest(unknowns, ops):
    """Of a group exactly one latent is kept, the largest; it is above 0 where one is."""
    pre = [*unknowns("a b c")]
    after = theory.group_max(pre, 1, ops=ops)
    best = ops.larger(ops.larger(pre[0], pre[1]), pre[2])
    one, zero = ops.num("1"), ops.num("0")
    kept = [ops.where(value > 0, one, zero) for value in after]
    return [], [
        ops.where(best > 0, sum(after[1:], after[0]), best) == best,
        sum(kept[1:], kept[0]) == ops.where(best > 0, one, zero),
    ]


def _first_of_largest(draw):
    """Whole numbers, most of them met more than once: of each group the first of the largest stays, the rest is 0."""
    n = draw.n
    for groups, size in ((3, n // 3), (n // 3, 3), (n, 1), (1, n)):
        for top in (2, 9, 2**31):
            pre = [draw.near(top) for _ in range(groups * size)]
            wanted = []
            for start in range(0, len(pre), size):
                group = pre[start : start + size]
                best = group.index(max(group))
                wanted += [value if i == best else 0 for i, value in enumerate(group)]
            yield theory.group_max(pre, groups), wanted


COUNT = Hypothesis("as many features as groups", lambda case: abs(len(case.sizes) - len(case.law)))
EVEN = Hypothesis("groups equally likely", lambda case: max(case.law) - min(case.law))
CLEAN = Hypothesis("no other latent above the features", lambda case: max(0.0, case.others - min(case.sizes)))


@st.composite
def _groups(draw, k=(2, 4), more=0, skew=0.0, others=(-1.0, 0.0)):
    count = draw(st.integers(*k))
    sizes = draw(st.lists(numbers(0.1, 3), min_size=count + more, max_size=count + more))
    first = (1 + skew) / count
    law = (first, *[(1 - first) / (count - 1)] * (count - 1)) if skew else (1 / count,) * count
    return Groups(
        tuple(sizes),
        law,
        draw(mostly(st.integers(2, 3), st.integers(2 if more else 1, 3))),
        draw(st.sampled_from(others)),
    )


BOUNDS = ("above 1 − 1/e", "at most 1/(ek) above", "falls with k")

CLAIM = Claim(
    id="AUX-1",
    statement=(
        "k features, each in one of GroupMax's k groups drawn independently and evenly: it keeps in the mean a share "
        "1 − (1 − 1/k)^k of them, between 1 − 1/e = .632 and 1 − (1 − 1/k)/e, falling with k; all of them with "
        "probability k!/k^k. In distinct latents drawn without replacement: 1 − Π_{i<k} ((k − 1)g − i)/(kg − i), at "
        "least as much."
    ),
    tex=r"1-\tfrac1e\leq1-\left(1-\tfrac1k\right)^k\leq1-\tfrac1e\left(1-\tfrac1k\right)",
    source="ours: occupancy of k cells by k balls; the activation: sparsify (EleutherAI), `fused_encoder`",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(COUNT, EVEN, CLEAN),
    instances=_groups(),
    nontrivial=lambda case: case.size > 1,
    conclusion=_conclusion,
    controls=(
        Control(COUNT.name, _groups(k=(2, 3), more=2), "more features than groups"),
        Control(EVEN.name, _groups(k=(2, 3), skew=0.5), "one group half as likely again"),
        Control(CLEAN.name, _groups(k=(2, 3), others=(4.0,)), "the largest of a group is no feature's"),
    ),
    proofs={
        BESIDE: (
            smt.induction("k − n groups are left to keep a new one", "all k: over ways", _all_kept),
            Check("exact", "k!/k^k is the product of (k − n)/k", "k = 1, 2, 4, 8, 16", _products_of_shares),
        ),
        "distinct latents": (
            smt.induction("free latents, and those of empty groups", "all k, g: over groups", _slot),
            smt.induction("over draws of n latents", "all k, g, n: over draws", _sequence),
            symbolic.identity("so is the mean", "all k, g, n: induction", _recursion),
        ),
        ("share", *BOUNDS): (
            smt.induction("a new feature adds 1 where its group is empty", "all k: over groups", _group),
            smt.induction("over k^n ways of n features", "all k, n: over ways", _way),
            symbolic.identity("so is the share, of k^n ways", "all k, n: induction", _one_more),
        ),
        BOUNDS: (
            symbolic.identity("shares as exponentials, and what their logarithms add up to", "all k ≥ 2", _powers),
            balls.positive("log(1 − t) ≤ −t", "all k ≥ 2: t in [0, 1/2]", {"t": ("0", "1/2")}, _less),
            balls.positive("log(1 + u) ≤ u", "all k ≥ 2: u in [0, 1]", {"u": ("0", "1")}, _more),
            smt.implies("so of the exponents", "all k ≥ 2", _exponents),
            EXP_RISES,
        ),
        "at least as much of distinct latents": (
            smt.implies("a draw without replacement misses a group no more often", "all k ≥ 2, g, draws", _slower),
            smt.induction("all draws together", "all draws: induction", _draw),
            smt.implies("so it keeps as much at least", "all k, n", _kept),
        ),
        LOOPS: (
            evaluated("of each group the first of the largest stays", _first_of_largest),
            smt.implies("a group keeps one latent, the largest", "three latents a group", _largest),
            symbolic.identity("distinct latents, draw by draw", "up to 5 features, all k, g", _one_draw),
            evaluated("kept_of_slots by binomials", _long),
        ),
    },
    mutants=(
        Mutant("k − 1 draws", theory.kept_share, lambda k, n: k * (1 - (1 - 1 / k) ** (n - 1)) / n),
        Mutant("1/e for its powers", theory.share_range, lambda k, *, ops=FLOAT: (1 - ops.exp(ops.num("-1")),) * 2),
        Mutant("with replacement", theory.kept_of_slots, lambda k, g, n: theory.kept_share(k, n)),
        Mutant("1/k!", theory.all_kept, lambda k: 1 / math.factorial(k)),
        Mutant("the first of each group", theory.group_max, lambda pre, k, *, ops=None: _first(pre, k)),
    ),
    note=(
        "'k features in random slots' is exact for independent groups alone; in distinct latents as much is kept or "
        "more, and the two agree as groups grow. A trained SAE may place latents of features that fire together in "
        "different groups; then the draw is not even. It speaks of the selection GroupMax."
    ),
)


def _first(pre, k):
    size = len(pre) // k
    return [value if i % size == 0 else 0.0 for i, value in enumerate(pre)]
