"""PO-6: what of a polynomial decoder's parameters no data can tell."""

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, edited, equal
from proofs_check.claims.interactions.gauge_cases import FREE, INSIDE, Gauge, gauges
from proofs_check.engines import symbolic
from workbench.theory import interactions as theory


def _conclusion(case: Gauge) -> dict[str, Part]:
    x_hat, unit = case.case.x_hat, case.case.size
    changed = {"sign": case.flipped, "order": case.swapped, "rotation": case.turned, "scale": case.scaled}
    return {name: equal(new.x_hat, x_hat, unit=4 * unit) for name, new in changed.items()}


def _gauged(symbols, ops):
    """Ranks 3, 1, 1: sign of the first column, exchange and rotation of the last two, scale."""
    f, b, t, k = symbols("f:2"), symbols("b:1"), symbols("t"), symbols("k", positive=True)
    U = [list(symbols(f"u{i}_:3")) for i in range(2)]
    C = [[list(symbols("c:3"))], [list(symbols("d:1"))], [list(symbols("e:1"))]]
    scales = [1, *symbols("l2 l3")]
    plain = theory.decode(f, U, C, scales, b)[0]

    def changed(U, C, scales=scales):
        return theory.decode(f, U, C, scales, b)[0], plain

    def first(row):
        return [-row[0], *row[1:]]

    def last(row):
        return [row[0], row[2], row[1]]

    def turned(row):
        c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        return [row[0], c * row[1] - s * row[2], s * row[1] + c * row[2]]

    yield changed([first(row) for row in U], [[first(C[0][0])], C[1], [first(C[2][0])]])
    yield changed([last(row) for row in U], [[last(C[0][0])], *C[1:]])
    yield changed([turned(row) for row in U], [[turned(C[0][0])], *C[1:]])
    yield changed(U, [C[0], [[v / k for v in C[1][0]]], [[v / k for v in C[2][0]]]], [1, k * scales[1], k * scales[2]])


def _inner(symbols, ops):
    """Ranks 2, 2, 2: exchange inside the first block."""
    f, b = symbols("f:2"), symbols("b:1")
    U = [list(symbols(f"u{i}_:2")) for i in range(2)]
    C = [[list(symbols(f"{name}:2"))] for name in "cde"]
    scales = [1, *symbols("l2 l3")]
    swapped = [[row[::-1] for row in matrix] for matrix in C]
    yield theory.decode(f, [row[::-1] for row in U], swapped, scales, b)[0], theory.decode(f, U, C, scales, b)[0]


CLAIM = Claim(
    id="PO-6",
    statement=(
        "x̂ stays under: u_r → −u_r with c¹_r, c³_r negated; exchange of columns inside [1..R3], (R3..R2], (R2..R1]; "
        "any rotation of columns beyond R2 together with C1; (λ, C) → (tλ, C/t). UᵀU = I is kept by all of them."
    ),
    tex=r"\hat x(UQ,\,C_1Q,\,C_2,\,C_3)=\hat x(U,C_1,C_2,C_3)\quad(Q\text{ beyond }R_2)",
    source="ours, of the decoder of Koromilas et al. (2026), arXiv 2602.01322",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(FREE, INSIDE),
    instances=gauges(),
    conclusion=_conclusion,
    controls=(
        Control(FREE.name, gauges(inner=True), "a column whose square is in use"),
        Control(INSIDE.name, gauges(across=True), "the square stays behind"),
    ),
    proofs={
        ("sign", "order", "rotation", "scale"): symbolic.identity(
            "sign, exchange, rotation, scale of decode", "m = 2, ranks 3, 1, 1; all angles but π", _gauged
        ),
        "order": symbolic.identity("exchange inside the first block", "m = 2, ranks 2, 2, 2", _inner),
    },
    mutants=(
        edited("sizes of projections", theory.projections, lambda true: lambda f, U: [abs(a) for a in true(f, U)]),
        Mutant("no linear part", theory.decode, lambda f, U, C, s, b: theory.degree_part(f, U, C[1], 3, s[1])),
    ),
    note="So signs and sizes of λ2, λ3 mean nothing, nor do columns beyond R2 one by one, though UᵀU = I (PO-7).",
)
