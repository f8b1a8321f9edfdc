"""ATTN-5: reading the ten latents of largest share calls a head of one role polysemantic at a rate known in advance."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import prod

import torch
from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.engines import symbolic
from proofs_check.instances.draw import SEEDS, usually
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.metrics import attribution
from workbench.theory import attention as theory


@dataclass(frozen=True)
class Head:
    """Latents of one head that compete for its first places, by role, and others that are below them all."""

    sizes: tuple[int, ...]
    """latents of each role"""
    count: int = 2
    """latents read"""
    sure: int = 0
    """more latents of the first role, above all of these"""
    below: int = 0
    lead: bool = False
    """those of the first role have the largest shares"""
    tied: bool = False
    """all shares equal"""
    seed: int = 0

    @property
    def roles(self) -> torch.Tensor:
        """Of all latents, those below in turn."""
        compete = [role for role, size in enumerate(self.sizes) for _ in range(size)]
        return torch.tensor([0] * self.sure + compete + [i % (len(self.sizes) + 1) for i in range(self.below)])

    def shares(self, first: tuple[int, ...]) -> torch.Tensor:
        """Shares of this head and the rest, (m, 2), with these latents on top."""
        own = torch.full((len(self.roles),), 0.4, dtype=torch.float64)
        if not self.tied:
            own = own - 0.2 * torch.arange(len(own)) / len(own)
            own[: self.sure] += 0.5
            own[[self.sure + i for i in first]] += 0.25
            own[self.sure + sum(self.sizes) :] -= 0.2
        return torch.stack((own, 1 - own), 1)

    @property
    def firsts(self) -> list[tuple[int, ...]]:
        """The sets that may take the places left, all alike."""
        left = max(self.count - self.sure, 0)
        return [tuple(range(left))] if self.lead else list(combinations(range(sum(self.sizes)), left))

    @property
    def uneven(self) -> float:
        """By how much the chance of a place differs most between two latents."""
        taken = torch.zeros(sum(self.sizes), dtype=torch.float64)
        for first in self.firsts:
            taken[list(first)] += 1 / len(self.firsts)
        return float(taken.max() - taken.min())

    @property
    def ties(self) -> float:
        """How many shares of the head are equal to another's."""
        own = self.shares(self.firsts[0])[:, 0]
        return float(len(own) - len(own.unique()))

    def verdict(self, first: tuple[int, ...], order: torch.Tensor | None = None) -> float:
        """What the shipped rule says of this head, latents in their order or another."""
        share, roles = self.shares(first), self.roles
        order = torch.arange(len(roles)) if order is None else order
        return float(attribution.has_one_role(share[order], roles[order], self.count)[0])


RANDOM = Hypothesis("roles do not bear on the order of shares", lambda case: case.uneven)
NO_TIES = Hypothesis("no two shares equal", lambda case: case.ties)


def _conclusion(case: Head) -> dict[str, Part]:
    firsts = case.firsts
    said = [case.verdict(first) for first in firsts]
    orders = [torch.randperm(len(case.roles), generator=S.stream(case.seed, "order", i)) for i in range(6)]
    again = [case.verdict(firsts[0], order) for order in orders]
    return {
        "chance": equal(sum(said) / len(said), theory.one_role_chance(case.sizes, case.count, sure=case.sure)),
        "in any order of latents": equal(again, torch.full((6,), said[0])),
    }


def _by_counting(symbols, ops):
    """All sets of first latents, for all sizes of up to three roles."""
    for sizes in ((n, q, p) for n in range(1, 5) for q in range(3) for p in range(2)):
        roles = [role for role, size in enumerate(sizes) for _ in range(size)]
        for count in range(1, min(4, len(roles)) + 1):
            sets = list(combinations(roles, count))
            pure = sum(len(set(roles)) == 1 for roles in sets)
            yield theory.one_role_chance(sizes, count, ops=ops), ops.num(f"{pure}/{len(sets)}")
            own = sum(not any(roles) for roles in sets)  # with one more of the first role ahead
            yield theory.one_role_chance(sizes, count + 1, sure=1, ops=ops), ops.num(f"{own}/{len(sets)}")


def _one_by_one(symbols, ops):
    """One role of n and q strangers: the next of largest share is one of the n - c that are left, of n + q - c."""
    for n in (2, 5, 10, 11, 20, 40):
        for q in (1, 2, 5):
            for count in range(2, min(n, 10)):
                before, after = (theory.one_role_chance([n] + [1] * q, c, ops=ops) for c in (count, count + 1))
                yield after, before * (n - count) / (n + q - count)


def _examples(symbols, ops):
    """Twenty latents of a role beside two of strangers: wrong in 5/7 of cases, 71 %."""
    yield 1 - theory.one_role_chance([20, 1, 1], 10, ops=ops), ops.num("5/7")


def _too_few(symbols, ops):
    """Fewer latents of each role than are read: never one role."""
    for count in (2, 5, 10):
        yield theory.one_role_chance([count - 1] * 3, count, ops=ops), 0


@st.composite
def _heads(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).filter(lambda s: sum(s) <= 7))
    sure, count = draw(st.integers(0, 3)), draw(st.integers(1, min(4, sum(sizes))))
    if draw(usually()):  # several roles compete for two places or more, and one may take them all
        sizes = [max(sizes[0], 2), *(sizes[1:] or [2])]
        count = sure + draw(st.integers(2, max(sizes)))
    return Head(tuple(sizes), count, sure, draw(st.integers(0, 3)), seed=draw(SEEDS))


def _with_replacement(sizes, count=10, *, sure=0, ops=None):
    """As if latents were drawn again and again."""
    total = sum(Fraction(n, sum(sizes)) ** count for n in sizes)
    return float(total) if ops is None else ops.num(str(total))


def _none_sure(sizes, count=10, *, sure=0, ops=None):
    return _chance(sizes, count, **({"ops": ops} if ops else {}))


def _drawn(draw):
    """Each latent after the first is of the same role: (n_r - i) of the n - i left."""
    sizes = [abs(v) for v in draw.vector(draw.n, 99)]
    n, first = sum(sizes), sizes[0]
    chances = [prod(Fraction(size - i, n - i) for i in range(3)) for size in sizes]
    yield theory.one_role_chance(sizes, 3, ops=EXACT), sum(chances)
    yield theory.one_role_chance(sizes, 3, sure=1, ops=EXACT), Fraction(first * (first - 1), n * (n - 1))


def _first_only(share, roles, count=10):
    return _rule(share, roles, 1)


CLAIM = Claim(
    id="ATTN-5",
    statement=(
        "Let latents of n_r of each role compete for a head's first places, shares in random order: the top-c rule "
        "finds one role with chance Σ C(n_r, c) / C(Σn_r, c), in whatever order latents stand. So a head of one role, "
        "n latents, beside q split ones of strangers, is called polysemantic with 1 − C(n, c)/C(n + q, c): surely if "
        "n < c; for c = 10 at n = 20, q = 2 in 71 % of cases. Latents sure to be ahead leave c − s places."
    ),
    tex=r"P(\text{one role})=\sum_r\binom{n_r}{c}\Big/\binom{\sum_rn_r}{c}",
    source="ours; the rule of the top ten is that of Kissane et al. (2024), arXiv 2406.17759",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RANDOM, NO_TIES),
    instances=_heads(),
    nontrivial=lambda case: len(case.sizes) > 1 and 1 < case.count - case.sure <= max(case.sizes),
    conclusion=_conclusion,
    controls=(
        Control(
            RANDOM.name,
            st.builds(lambda n, q: Head((n, q), 2, lead=True), st.integers(2, 4), st.integers(1, 3)),
            "own latents lead: never wrong while n ≥ c",
        ),
        Control(
            NO_TIES.name,
            st.builds(lambda n, q: Head((n, q), 2, tied=True), st.integers(2, 3), st.integers(2, 3)),
            "latents of one writer each, all shares 1",
        ),
    ),
    proofs={
        "chance": symbolic.identity("by counting", "n_r ≤ 4, 2, 1; c ≤ 4; s ≤ 1", _by_counting),
        LOOPS: evaluated("drawn one after the other", _drawn),
        BESIDE: (
            symbolic.identity("one by one", "n ≤ 40, q ≤ 5, c ≤ 10", _one_by_one),
            symbolic.identity("never, if n_r < c for all r", "three roles, c = 2, 5, 10", _too_few),
            symbolic.identity("71 % of cases", "n = 20, q = 2, c = 10", _examples),
        ),
    },
    kernel={"chance": "selection.of_one_role"},
    mutants=(
        Mutant("with replacement", theory.one_role_chance, _with_replacement),
        Mutant("none ahead", theory.one_role_chance, _none_sure),
        Mutant("one latent", attribution.has_one_role, _first_only),
    ),
    note=(
        "Ties are the rule for planted features of one writer, all of share 1: what a trained dictionary adds to them "
        "decides then. A head of two roles passes for one role with the same formula."
    ),
    shown_by="experiments/attention/study.py",
)
_chance, _rule = theory.one_role_chance, attribution.has_one_role
