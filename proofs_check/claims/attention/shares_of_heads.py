"""ATTN-3: decoder shares of heads sum to 1 and see neither scale nor rotations in a head; those across heads, all."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, digits, equal, mean_is
from proofs_check.claims.attention.cases import SHARED
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import DRAWS, SEEDS, numbers
from synthetic.laws.directions import unit
from workbench.metrics import attribution
from workbench.theory import attention as theory


@dataclass(frozen=True, eq=False)
class Rows:
    """Decoder rows by head, and what is done to them."""

    blocks: Float[Tensor, "m heads d_head"]
    factors: Float[Tensor, "m heads"]
    turn: Float[Tensor, "d d"]
    """orthogonal"""
    seed: int = 0

    def __str__(self) -> str:
        return f"blocks {digits(self.blocks.flatten(1))}, {self.blocks.shape[1]} heads, factors {digits(self.factors)}"

    @property
    def changed(self) -> Float[Tensor, "m d"]:
        """Scaled and turned."""
        return (self.blocks * self.factors[..., None]).flatten(1) @ self.turn

    @property
    def leak(self) -> float:
        """Largest entry of the rotation from one head's block into another's."""
        heads, width = self.blocks.shape[1:]
        inside = torch.block_diag(*[torch.ones(width, width)] * heads) > 0
        return float(self.turn.masked_fill(inside, 0.0).abs().max())


ONE_FACTOR = Hypothesis(
    "one factor a latent", lambda case: (case.factors / case.factors[:, :1] - 1).abs().amax(1).max()
)
WITHIN = Hypothesis("rotations within heads", lambda case: case.leak)


def _conclusion(case: Rows) -> dict[str, Part]:
    rows, (m, heads, width) = case.blocks.flatten(1), case.blocks.shape
    share = attribution.head_share(rows, heads)
    alone = torch.zeros(heads, heads, width, dtype=torch.float64)
    alone[range(heads), range(heads)] = case.blocks[0]
    rng = S.stream(case.seed, "rotation")
    turned = torch.randn(DRAWS, heads * width, generator=rng, dtype=torch.float64)  # one row, rotated at random
    by_hand = [theory.head_share(blocks) for blocks in case.blocks.tolist()]
    return {
        "sum": equal(share.sum(1), torch.ones(m)),
        "after the change": equal(attribution.head_share(case.changed, heads).flatten(), share.flatten()),
        "by hand": equal(share.flatten(), torch.tensor(by_hand, dtype=torch.float64).flatten()),
        "one writer": equal(attribution.head_share(alone.flatten(1), heads).flatten(), torch.eye(heads).flatten()),
        "rotated: mean": mean_is(attribution.head_share(turned, heads)[:, 0], 1 / heads, sees=0.5),
    }


def _sum_and_scale(symbols, ops):
    """Square roots of sums with a common square, which SymPy takes out once they are factored."""
    root = replace(ops, sqrt=lambda square: ops.sqrt(square.factor()))
    c = symbols("c", positive=True)
    for heads, width in ((2, 1), (2, 2), (3, 2)):
        blocks = [symbols(f"a{h}_:{width}", positive=True) for h in range(heads)]
        share = theory.head_share(blocks, ops=ops)
        yield sum(share), 1
        yield from zip(theory.head_share([[c * a for a in b] for b in blocks], ops=root), share, strict=True)


def _turned(symbols, ops):
    """The first of two blocks of width 2 turned by a rotation or a reflection, (u, v) on the circle by its tangent."""
    a, b, c, t = symbols("a b c t", positive=True)
    u, v = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
    root = replace(ops, sqrt=lambda square: ops.sqrt(square.factor()))
    for sign in (1, -1):
        turned = [u * a - sign * v * b, v * a + sign * u * b]
        yield from zip(
            theory.head_share([turned, [c]], ops=root), theory.head_share([[a, b], [c]], ops=root), strict=True
        )


def _by_norms(symbols, ops):
    """A head's share is that of its block's norm beside the sum of the others' norms."""
    for heads, width in ((2, 1), (2, 2), (3, 2)):
        blocks = [symbols(f"a{h}_:{width}", positive=True) for h in range(heads)]
        norms = [ops.sqrt(sum(a**2 for a in block)) for block in blocks]
        for h, share in enumerate(theory.head_share(blocks, ops=ops)):
            rest = sum(norm for i, norm in enumerate(norms) if i != h)
            yield share, theory.head_share([[norms[h]], [rest]], ops=ops)[0]


def _shares(norm, rest, ops):
    return theory.head_share([[norm], [rest]], ops=ops)


def _head(unknowns, ops):
    """Shares of the heads so far, their norms, and the sum of all norms."""
    shares, norms, total, norm = unknowns("shares norms total norm")
    after = {"shares": shares + _shares(norm, total - norm, ops)[0], "norms": norms + norm}
    return smt.Invariant([shares * total == norms], after, given=[norm >= 0, norm <= total, total > 0])


def _all_heads(unknowns, ops):
    shares, norms, total = unknowns("shares norms total")
    return [shares * total == norms, norms == total, total > 0], [shares == 1]


def _lone(unknowns, ops):
    norm = unknowns("norm")
    share, other = _shares(norm, 0 * norm, ops)
    return [norm > 0], [share == 1, other == 0]


def _entry(unknowns, ops):
    """Of a row r of coefficients: |r Q|², |r|², and the product of r Q with the next row of Q.

    One more row q of Q, of norm 1, at right angles to those before and after it.
    """
    turned, square, product, a, q2, with_next = unknowns("turned square product a q2 with_next")
    after = {"turned": turned + 2 * a * product + a * a * q2, "square": square + a * a}
    after["product"] = product + a * with_next
    return smt.Invariant([turned == square, product == 0], after, given=[q2 == 1, with_next == 0])


def _scaled(unknowns, ops):
    scaled, square, factor, a = unknowns("scaled square factor a")
    after = {"scaled": scaled + (factor * a) ** 2, "square": square + a * a}
    return smt.Invariant([scaled == factor * factor * square], after)


def _one_factor(unknowns, ops):
    norm, rest, factor = unknowns("norm rest factor")
    given = [norm >= 0, rest >= 0, norm + rest > 0, factor > 0]
    return given, [_shares(factor * norm, factor * rest, ops)[0] == _shares(norm, rest, ops)[0]]


@st.composite
def _rows(draw, *, a_head=False, mixed=False):
    m, heads, narrow = draw(st.integers(1, 3)), draw(st.integers(2, 4)), st.integers(1, 3)
    width = draw(narrow if a_head or mixed else narrow | st.just(12))
    rng = S.stream(draw(SEEDS), "rows")

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    turns = [torch.linalg.qr(normal(width, width)).Q for _ in range(heads)]
    turn = torch.linalg.qr(normal(heads * width, heads * width)).Q if mixed else torch.block_diag(*turns)
    factors = torch.tensor(draw(st.lists(numbers(0.1, 9), min_size=m, max_size=m)), dtype=torch.float64)[:, None]
    factors = factors * (1 + torch.arange(heads) if a_head else torch.ones(heads))
    return Rows(unit(normal(m, heads, width)) * (0.1 + normal(m, heads, 1).abs()), factors, turn, draw(SEEDS))


def _squared(W, heads):
    squares = W.unflatten(-1, (heads, -1)).square().sum(-1)
    return squares / squares.sum(-1, keepdim=True)


def _absolute(W, heads):
    sizes = W.unflatten(-1, (heads, -1)).abs().sum(-1)
    return sizes / sizes.sum(-1, keepdim=True)


CLAIM = Claim(
    id="ATTN-3",
    statement=(
        "The shares ρ_h of a decoder row sum to 1, are 1 for the only head that writes, and stay as they are if the "
        "row is scaled or turned within heads' blocks. A rotation across heads leaves nothing of them: at random, each "
        "is 1/H on average."
    ),
    tex=r"\rho_h=\frac{\|W_{\mathrm{dec}}[i,h]\|}{\sum_{h'}\|W_{\mathrm{dec}}[i,h']\|},\quad\sum_h\rho_h=1",
    source="Kissane et al. (2024), arXiv 2406.17759, weight-based head attribution; the invariances are ours",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(ONE_FACTOR, WITHIN),
    instances=_rows(),
    nontrivial=lambda case: case.blocks.shape[2] > 1,
    conclusion=_conclusion,
    controls=(
        Control(ONE_FACTOR.name, _rows(a_head=True), "a factor a head, as if the heads of z were standardised"),
        Control(WITHIN.name, _rows(mixed=True), "the heads turned into each other"),
    ),
    proofs={
        LOOPS: (symbolic.identity("shares by norms", "H, d_head = (2, 1), (2, 2), (3, 2)", _by_norms), SHARED),
        BESIDE: (
            symbolic.identity("the sum; one factor", "H, d_head = (2, 1), (2, 2), (3, 2)", _sum_and_scale),
            symbolic.identity("a turn within a head", "d_head = 2, all rotations and reflections but by π", _turned),
        ),
        "sum": (
            smt.induction("shares times all norms are norms", "all H: induction over heads", _head),
            smt.implies("so they sum to 1", "all H", _all_heads),
        ),
        "after the change": (
            smt.induction("|aQ| = |a| for Q with orthonormal rows", "all d_head: induction", _entry),
            smt.induction("|c a|² = c²|a|²", "all d_head: induction", _scaled),
            smt.implies("one factor of all norms", "all H", _one_factor),
        ),
        "one writer": smt.implies("1 of the only writer, 0 of the others", "all H", _lone),
    },
    mutants=(
        Mutant("squared norms", attribution.head_share, _squared),
        Mutant("sums of sizes", attribution.head_share, _absolute),
        Mutant(
            "not divided",
            theory.head_share,
            lambda blocks, *, ops=None: (
                [ops.sqrt(sum(a * a for a in b)) for b in blocks] if ops else [1.0] * len(blocks)
            ),
        ),
    ),
    note=(
        "The proofs are of the shares by hand; that the vectorised ones equal them is tried at a few draws up to "
        "H = 64, and sampled. So is E ρ_h = 1/H under a random rotation, which follows as its blocks are exchangeable."
    ),
    shown_by="experiments/attention/study.py",
)
