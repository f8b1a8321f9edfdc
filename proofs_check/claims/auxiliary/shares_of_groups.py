"""AUX-1: GroupMax keeps in the mean 1 - (1 - 1/k)^k of k features whose groups are drawn, towards 1 - 1/e."""

import itertools
import math
from dataclasses import dataclass

from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.engines import balls, smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import auxiliary as theory


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
        "more of distinct latents": at_most(mean, sum(sets) / len(sets) / n),
    }


def _one_more(symbols, ops):
    """A new feature is kept where its group is empty: the expected number rises by the expected share of those."""
    k, n = symbols("k n", positive=True)
    yield theory.kept_share(k, 1), 1
    before = n * theory.kept_share(k, n)
    yield (n + 1) * theory.kept_share(k, n + 1), before + 1 - before / k


def _slopes(symbols, ops):
    """With t = 1/k: -t - log(1 - t) and log(1 - t) + t/(1 - t) are 0 at 0; their slopes; the second is d/dk log q."""
    k = symbols("k", positive=True)
    q = 1 - theory.kept_share(k, k)
    yield q.diff(k) / q, ops.log(1 - 1 / k) + 1 / (k - 1)
    t = symbols("t")
    for value, slope in ((-t - ops.log(1 - t), t / (1 - t)), (ops.log(1 - t) + t / (1 - t), t / (1 - t) ** 2)):
        yield value.subs(t, 0), 0
        yield value.diff(t), slope


def _rising(unknowns, ops):
    t = unknowns("t")
    return [t >= 0, t < 1], [t / (1 - t) >= 0, t / (1 - t) ** 2 >= 0]


def _slower(unknowns, ops):
    """A draw without replacement misses a group no more often than one with it."""
    k, g, i = unknowns("k g i")
    return [k >= 1, g > 0, i >= 0, i < k * g], [((k - 1) * g - i) / (k * g - i) <= (k - 1) / k]


def _one_draw(symbols, ops):
    """`kept_of_slots` of one feature is 1, and each more multiplies the chance of an empty group by that ratio."""
    k, g = symbols("k g", positive=True)
    yield theory.kept_of_slots(k, g, 1), 1
    for n in (1, 2, 3, 4):
        empty, then = (1 - r * theory.kept_of_slots(k, g, r) / k for r in (n, n + 1))
        yield then, empty * ((k - 1) * g - n) / (k * g - n)


def _largest(unknowns, ops):
    """Of a group exactly one latent is kept, the largest."""
    pre = [*unknowns("a b c")]
    after = theory.group_max(pre, 1, ops=ops)
    best = ops.larger(ops.larger(pre[0], pre[1]), pre[2])
    return [value > 0 for value in pre], [sum(after[1:], after[0]) == best]


COUNT = Hypothesis("as many features as groups", lambda case: abs(len(case.sizes) - len(case.law)))
EVEN = Hypothesis("groups equally likely", lambda case: max(case.law) - min(case.law))
CLEAN = Hypothesis("no other latent above the features", lambda case: max(0.0, case.others - min(case.sizes)))


@st.composite
def _groups(draw, k=(2, 4), more=0, skew=0.0, others=(-1.0, 0.0)):
    count = draw(st.integers(*k))
    sizes = draw(st.lists(numbers(0.1, 3), min_size=count + more, max_size=count + more))
    first = (1 + skew) / count
    law = (first, *[(1 - first) / (count - 1)] * (count - 1)) if skew else (1 / count,) * count
    return Groups(tuple(sizes), law, draw(st.integers(2 if more else 1, 3)), draw(st.sampled_from(others)))


CLAIM = Claim(
    id="AUX-1",
    statement=(
        "k features, each in one of GroupMax's k groups drawn independently and evenly: it keeps in the mean a share "
        "1 − (1 − 1/k)^k of them, between 1 − 1/e = .632 and 1 − (1 − 1/k)/e, falling with k; all of them with "
        "probability k!/k^k. In distinct latents drawn without replacement: 1 − Π_{i<k} ((k − 1)g − i)/(kg − i), "
        "more."
    ),
    tex=r"1-\tfrac1e\leq1-\left(1-\tfrac1k\right)^k\leq1-\tfrac1e\left(1-\tfrac1k\right)",
    source="ours: occupancy of k cells by k balls; the activation: sparsify (EleutherAI), `fused_encoder`",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(COUNT, EVEN, CLEAN),
    instances=_groups(),
    conclusion=_conclusion,
    controls=(
        Control(COUNT.name, _groups(k=(2, 3), more=2), "more features than groups"),
        Control(EVEN.name, _groups(k=(2, 3), skew=0.5), "one group half as likely again"),
        Control(CLEAN.name, _groups(k=(2, 3), others=(4.0,)), "the largest of a group is no feature's"),
    ),
    proofs={
        "share": (
            symbolic.identity("one more feature is kept where its group is empty", "all k, n: induction", _one_more),
            smt.implies("a group keeps one latent, the largest", "three latents a group", _largest),
        ),
        ("above 1 − 1/e", "falls with k"): (
            symbolic.identity("−t ≥ log(1 − t) ≥ −t/(1 − t): values and slopes", "all k > 1, t = 1/k", _slopes),
            smt.implies("the slopes are not below 0", "all k > 1, t = 1/k", _rising),
        ),
        "above 1 − 1/e": balls.positive(
            "the shipped share is above 1 − 1/e",
            "real k in [2, 1000]",
            {"k": ("2", "1000")},
            lambda k, ops: theory.kept_share(k, k) - theory.share_range(k, ops=ops)[0],
        ),
        "at most 1/(ek) above": balls.positive(
            "and at most (1/e)/k above it",
            "real k in [2, 100]",
            {"k": ("2", "100")},
            lambda k, ops: theory.share_range(k, ops=ops)[1] - theory.kept_share(k, k),
        ),
        "distinct latents": symbolic.identity(
            "distinct latents, draw by draw", "up to 5 features, all k, g", _one_draw
        ),
        "more of distinct latents": smt.implies("they miss a group no more often", "all k, g, draws", _slower),
    },
    mutants=(
        Mutant("k − 1 draws", theory.kept_share, lambda k, n: k * (1 - (1 - 1 / k) ** (n - 1)) / n),
        Mutant("1/e for its powers", theory.share_range, lambda k, *, ops=None: (1 - math.exp(-1), 1 - math.exp(-1))),
        Mutant("with replacement", theory.kept_of_slots, lambda k, g, n: theory.kept_share(k, n)),
        Mutant("1/k!", theory.all_kept, lambda k: 1 / math.factorial(k)),
        Mutant("the first of each group", theory.group_max, lambda pre, k, *, ops=None: _first(pre, k)),
    ),
    note=(
        "'k features in random slots' is exact for independent groups alone; features in distinct latents keep more, "
        "and the two agree as groups grow. A trained SAE may place latents of features that fire together in "
        "different groups; then the draw is not even. It speaks of the selection GroupMax."
    ),
)


def _first(pre, k):
    size = len(pre) // k
    return [value if i % size == 0 else 0.0 for i, value in enumerate(pre)]
