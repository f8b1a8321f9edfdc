"""PO-6: what of a polynomial decoder's parameters no data can tell."""

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.interactions.cases import off_orthonormal
from proofs_check.claims.interactions.gauge_cases import FREE, INSIDE, Gauge, gauges
from proofs_check.engines import smt
from proofs_check.instances.loops import evaluated
from workbench.theory import interactions as theory


def _conclusion(case: Gauge) -> dict[str, Part]:
    x_hat, unit = case.case.x_hat, case.case.size
    changed = {"sign": case.flipped, "order": case.swapped, "rotation": case.turned, "scale": case.scaled}
    told: dict[str, Part] = {name: equal(new.x_hat, x_hat, unit=4 * unit) for name, new in changed.items()}
    worst = torch.tensor([off_orthonormal(new.U) for new in changed.values()])
    return told | {"UᵀU = I": at_most(worst, 0.0)}


def _share(*numbers):
    """What a column with projection a gives, by the shipped decoder."""
    a, c, e, g, l2, l3 = numbers
    return theory.decode([a], [[1]], [[[c]], [[e]], [[g]]], [1, l2, l3], [0])[0]


def _latent(unknowns, ops):
    """Projections on a column negated, and on two turned."""
    a, b, flipped, one, two, f, u, v, c, s = unknowns("a b flipped one two f u v c s")
    says = [flipped == -a, one == c * a + s * b, two == c * b - s * a]
    more = theory.projections([f], [[-u, c * u + s * v, c * v - s * u]])
    plain = theory.projections([f], [[u, v]])
    after = {"a": a + plain[0], "b": b + plain[1], "flipped": flipped + more[0]}
    return smt.Invariant(says, {**after, "one": one + more[1], "two": two + more[2]}, given=[c * c + s * s == 1])


def _sign(unknowns, ops):
    a, c, e, g, l2, l3 = unknowns("a c e g l2 l3")
    return [], [_share(-a, -c, e, -g, l2, l3) == _share(a, c, e, g, l2, l3)]


def _rotation(unknowns, ops):
    """Columns beyond R2 are in C1 alone."""
    a, b, x, y, c, s = unknowns("a b x y c s")
    turned = _share(c * a + s * b, c * x + s * y, 0, 0, 0, 0) + _share(c * b - s * a, c * y - s * x, 0, 0, 0, 0)
    return [c * c + s * s == 1], [turned == _share(a, x, 0, 0, 0, 0) + _share(b, y, 0, 0, 0, 0)]


def _order(unknowns, ops):
    """Two columns in all degrees, up to R2, beyond."""
    a, b, x, y, l2, l3 = unknowns("a b x y l2 l3")
    C = [[(unknowns(f"{name}0"), unknowns(f"{name}1"))] for name in "ceg"]
    swapped = [[row[::-1] for row in matrix] for matrix in C]

    def made(U, C):
        return theory.decode([1], [U], C, [1, l2, l3][: len(C)], [x + y])[0]

    return [], [made([a, b], C[:q]) == made([b, a], swapped[:q]) for q in (1, 2, 3)]


def _scale(unknowns, ops):
    a, c, e, g, l2, l3, t = unknowns("a c e g l2 l3 t")
    return [t != 0], [_share(a, c, e / t, g / t, t * l2, t * l3) == _share(a, c, e, g, l2, l3)]


def _row(unknowns, ops):
    """Products of columns turned, and of one negated with a third, a row of U more."""
    u, v, w, c, s = unknowns("u v w c s")
    products, turned = ("uu", "vv", "uv", "uw", "vw"), ("a", "b", "d", "e", "g", "h")
    old, new = unknowns(" ".join(products)), unknowns(" ".join(turned))
    one, two = c * u + s * v, c * v - s * u
    more = dict(zip(turned, [one * one, two * two, one * two, one * w, two * w, -u * w], strict=True))
    more |= dict(zip(products, [u * u, v * v, u * v, u * w, v * w], strict=True))
    after = {name: unknowns(name) + value for name, value in more.items()}
    says = [a == b for a, b in zip(new, _turned(old, c, s), strict=True)]
    return smt.Invariant(says, after, given=[c * c + s * s == 1])


def _turned(products, c, s):
    uu, vv, uv, uw, vw = products
    pair = c * c * uu + 2 * c * s * uv + s * s * vv, c * c * vv - 2 * c * s * uv + s * s * uu
    return [*pair, c * s * (vv - uu) + (c * c - s * s) * uv, c * uw + s * vw, c * vw - s * uw, -uw]


def _kept(unknowns, ops):
    new, old, c, s = unknowns("a b d e g h"), unknowns("uu vv uv uw vw"), *unknowns("c s")
    given = [c * c + s * s == 1, *(a == b for a, b in zip(old, (1, 1, 0, 0, 0), strict=True))]
    given += [a == b for a, b in zip(new, _turned(old, c, s), strict=True)]
    return given, [a == b for a, b in zip(new, (1, 1, 0, 0, 0, 0), strict=True)]


def _columns(draw):
    """The shipped decoder is b_dec and the sum of its columns' shares, in any order within a block."""
    n, d, ranks, scales = draw.n, 2, (9, 6, 3), [1, draw.number(99), draw.number(99)]
    f, U, b = draw.vector(n, 999), draw.rows(n, ranks[0], 999), draw.vector(d)
    C = [draw.rows(d, r, 999) for r in ranks]
    padded = [[[*line, *[0] * (ranks[0] - len(line))] for line in matrix] for matrix in C]
    a = [sum(theory.projections([v], [[row[r]]])[0] for v, row in zip(f, U, strict=True)) for r in range(ranks[0])]
    order = [2, 0, 1, 5, 3, 4, 8, 6, 7]
    shares = [[_share(a[r], *(matrix[c][r] for matrix in padded), *scales[1:]) for r in order] for c in range(d)]
    made = [b[c] + sum(shares[c]) for c in range(d)]
    yield theory.decode(f, U, C, scales, b), made
    moved = [[[line[r] for r in order if r < len(line)] for line in matrix] for matrix in C]
    yield theory.decode(f, [[row[r] for r in order] for row in U], moved, scales, b), made


def _first_twice(decode):
    return lambda f, U, C, s, b: decode(f, U, [[[2 * row[0], *row[1:]] for row in matrix] for matrix in C], s, b)


PROJECTIONS = smt.induction("projections, negated and turned", "all m: induction over latents", _latent)

CLAIM = Claim(
    id="PO-6",
    statement=(
        "x̂ stays under: u_r → −u_r with c¹_r, c³_r negated; exchange of columns inside [1..R3], (R3..R2], (R2..R1]; "
        "any rotation of columns beyond R2 together with C1; (λ, C) → (tλ, C/t). UᵀU = I is kept by all of them."
    ),
    tex=r"\hat x(UQ,\,C_1Q,\,C_2,\,C_3)=\hat x(U,C_1,C_2,C_3)\quad(Q\text{ beyond }R_2)",
    source="ours, of the decoder of Koromilas et al. (2026), arXiv 2602.01322",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(FREE, INSIDE),
    instances=gauges(),
    nontrivial=lambda case: case.case.nontrivial and case.swap[0] != case.swap[1],
    conclusion=_conclusion,
    controls=(
        Control(FREE.name, gauges(inner=True), "a column whose square is in use"),
        Control(INSIDE.name, gauges(across=True), "the square stays behind"),
    ),
    proofs={
        LOOPS: evaluated("x̂ column by column, in any order", _columns),
        "sign": (
            PROJECTIONS,
            smt.implies("a column's share under a change of sign", "all ranks: column by column", _sign),
        ),
        "order": smt.implies("two columns exchanged in all they have", "all ranks: two columns", _order),
        "rotation": (PROJECTIONS, smt.implies("two columns' shares, turned", "all ranks: two columns", _rotation)),
        "scale": smt.implies("a column's share under (tλ, C/t)", "all ranks: column by column", _scale),
        BESIDE: (
            smt.induction("products of turned and negated columns", "all m: induction over rows", _row),
            smt.implies("these are 1 and 0", "all m, angles", _kept),
        ),
    },
    mutants=(
        edited("sizes of projections", theory.projections, lambda true: lambda f, U: [abs(a) for a in true(f, U)]),
        edited("the first column twice", theory.decode, _first_twice),
        edited(
            "scales squared", theory.decode, lambda true: lambda f, U, C, s, b: true(f, U, C, [v * v for v in s], b)
        ),
        Mutant("no linear part", theory.decode, lambda f, U, C, s, b: theory.degree_part(f, U, C[1], 3, s[1])),
    ),
    note=(
        "That UᵀU = I stays is sampled. So signs and sizes of λ2, λ3 mean nothing, nor do columns beyond R2 one by "
        "one, though UᵀU = I (PO-7)."
    ),
)
