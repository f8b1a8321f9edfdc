"""ATTN-6: from which cosine with a planted direction on a decoder row's shares must rank its writers first."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits
from proofs_check.claims.attention.cases import SHARED
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, mostly
from proofs_check.instances.inductions import PRODUCTS
from synthetic.laws.directions import unit
from workbench.metrics import attribution
from workbench.theory import attention as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Planted:
    """A planted direction, the first heads its writers, and a decoder row, by head."""

    direction: Float[Tensor, "heads d_head"]
    writers: int
    row: Float[Tensor, "heads d_head"]

    def __str__(self) -> str:
        return f"direction {digits(self.direction)}, {self.writers} writers, row {digits(self.row)}"

    @property
    def shares(self) -> Float[Tensor, " heads"]:
        """Of the row."""
        return attribution.head_share(self.row.flatten()[None], len(self.row))[0]

    @property
    def cosine(self) -> float:
        """Of row and direction."""
        return float((self.row * self.direction).sum() / (self.row.norm() * self.direction.norm()))


OUTRANKED = Hypothesis(
    "another head's share is at least a writer's",
    lambda case: (case.shares[: case.writers].min() - case.shares[case.writers :].max()).clamp_min(0),
)


def _conclusion(case: Planted) -> Part:
    least = case.direction[: case.writers].norm(dim=1).min() / case.direction.norm()
    return at_most(case.cosine, theory.ranking_cosine(float(least)))


def _products(unknowns, ops):
    """The cosine is at most a p + b q, for blocks of norms a, b in V and p, q in the row: by Cauchy-Schwarz."""
    s, t, a, b, p, q = unknowns("s t a b p q")
    given = [a >= 0, b >= 0, p >= 0, q >= 0, s * s <= (a * a) * (p * p), t * t <= (b * b) * (q * q)]
    return given, [s <= a * p, t <= b * q]


def _outranked(unknowns, ops):
    """Shares are norms over their sum, so that shares and norms have one order."""
    p, r, rest = unknowns("p r rest")
    ahead, writer, _ = theory.head_share([[r], [p], [rest]], ops=ops)
    return [p >= 0, r >= 0, rest >= 0, p + r + rest > 0, writer <= ahead], [p <= r]


def _bound(unknowns, ops):
    """The outranked writer's block of V has norm a, the others b; the row has p, q there, r in the head ahead."""
    a, b, p, q, r = unknowns("a b p q r")
    given = [a > 0, b >= 0, a * a + b * b == 1, p >= 0, q >= 0, p * p + q * q + r * r <= 1, p <= r]
    return given, [a * p + b * q <= theory.ranking_cosine(a, ops=ops)]


def _least(unknowns, ops):
    a, least = unknowns("a least")
    cosine = theory.ranking_cosine(least, ops=ops)
    return [least > 0, least <= a, a <= 1], [theory.ranking_cosine(a, ops=ops) <= cosine]


def _attained(symbols, ops):
    a = symbols("a", positive=True)
    c = theory.ranking_cosine(a, ops=ops)
    p, square = a / (2 * c), 1 - a**2
    yield 2 * p**2 + square / c**2, 1  # q = b / c
    yield a * p + square / c, c


def _extreme(direction: Tensor, writers: int) -> Tensor:
    """The row at the bound: the least writer's block halved, and as much in the first other head."""
    least = int(direction[:writers].norm(dim=1).argmin())
    row = direction.clone()
    row[least] /= 2
    row[writers, 0] = row[least].norm()
    return row


@st.composite
def _planted(draw, row="any"):
    heads, width = draw(st.integers(2, 4)), draw(mostly(st.integers(2, 3), st.integers(1, 3)))
    writers = draw(st.integers(1, heads - 1))
    rng = S.stream(draw(SEEDS), "planted")
    normal = torch.randn(2, heads, width, generator=rng, dtype=torch.float64)
    direction = normal[0].clone()
    direction[writers:] = 0
    direction = unit(direction.flatten()).view_as(direction)
    if row == "itself":
        return Planted(direction, writers, direction + 0.01 * normal[1] * direction.norm(dim=1)[:writers].min())
    if row == "extreme":
        return Planted(direction, writers, _extreme(direction, writers))
    other = direction + draw(st.sampled_from([0.3, 1.0, 3.0])) * normal[1]
    least = other[:writers].norm(dim=1).min()
    if other[writers:].norm(dim=1).max() < least:  # raise another head to the writer's size
        other[writers] *= least / other[writers].norm()
    return Planted(direction, writers, other)


CLAIM = Claim(
    id="ATTN-6",
    statement=(
        "A decoder row with cosine above √(1 − a²/2) to a planted direction, a the least norm of a writer's block, has "
        "larger shares for all writers than for any other head: AUC 1. Tight: .71 for a single writer, .87 and .91 for "
        "two and three equal ones."
    ),
    tex=r"\cos(w,V)>\sqrt{1-a^2/2}\;\Rightarrow\;\min_{h\in S}\rho_h>\max_{h\notin S}\rho_h",
    source="ours, Cauchy-Schwarz",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(OUTRANKED,),
    instances=_planted(),
    nontrivial=lambda case: case.writers > 1 or case.row.shape[1] > 1,
    conclusion=_conclusion,
    extremal={"": _planted(row="extreme")},
    controls=(Control(OUTRANKED.name, _planted(row="itself"), "the direction itself, nearly: writers rank first"),),
    proofs={
        LOOPS: SHARED,
        "": (
            PRODUCTS,
            smt.implies("a head ahead has the larger norm", "all H, d_head: the other heads by norm", _outranked),
            smt.implies("the cosine by norms of blocks", "all H, d_head and S", _products),
            smt.implies("no more than the bound", "all H, d_head and S, by norms of blocks", _bound),
            smt.implies("nor than that of the least writer", "all a", _least),
        ),
        BESIDE: symbolic.identity("attained", "all a", _attained),
    },
    mutants=(
        Mutant("1 − a²", theory.ranking_cosine, lambda a, *, ops=FLOAT: ops.sqrt(1 - a * a)),
        Mutant(
            "1 − a²/3", theory.ranking_cosine, lambda a, *, ops=FLOAT: ops.sqrt(1 - a * a / 3), _planted(row="extreme")
        ),
    ),
    note="The statement is drawn the other way round: where another head outranks a writer, the cosine is no larger.",
    shown_by="experiments/attention/study.py",
)
