"""PO-14: powers of a projection without self terms, by Newton's identities, from sums of powers alone."""

from dataclasses import dataclass
from itertools import combinations
from math import prod

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from workbench.parts import polynomial
from workbench.theory import interactions as theory


@dataclass(frozen=True)
class Projected:
    """A code and a column of U; `halfway`: powers of the code, and not of the column, enter the sums."""

    f: tuple[float, ...]
    u: tuple[float, ...]
    halfway: bool = False

    def __str__(self) -> str:
        return f"f {self.f}, u {self.u}{', u not raised' if self.halfway else ''}"

    @property
    def off(self) -> float:
        """How far sums in which the code alone is raised are from those of f u."""
        pairs = list(zip(self.f, self.u, strict=True))
        return max(abs(sum(f**q * u - (f * u) ** q for f, u in pairs)) for q in (2, 3)) if self.halfway else 0.0

    def power(self, q: int) -> float:
        """p_q."""
        if self.halfway:
            return sum(f**q * u for f, u in zip(self.f, self.u, strict=True))
        return theory.power_sum(self.f, self.u, q)


def _conclusion(case: Projected) -> dict[str, Part]:
    terms = [f * u for f, u in zip(case.f, case.u, strict=True)]
    unit = 1 + sum(abs(v) for v in terms) ** 3
    p1, p2, p3 = (case.power(q) for q in (1, 2, 3))
    square, cube = theory.pure_square(p1, p2), theory.pure_cube(p1, p2, p3)
    f, U = (torch.tensor(v, dtype=torch.float64) for v in (case.f, case.u))
    told: dict[str, Part] = {
        "2 e2": equal(2 * sum(a * b for a, b in combinations(terms, 2)), square, unit=unit),
        "6 e3": equal(6 * sum(prod(three) for three in combinations(terms, 3)), cube, unit=unit),
    }
    kinds = {"pure": (square, cube), "self": (p2, p3), "full": (p1**2, p1**3)}
    for kind, wanted in kinds.items():
        for q, value in zip((2, 3), wanted, strict=True):
            shipped = polynomial.power_terms(f[None], U[:, None], q, kind)  # pyright: ignore[reportArgumentType]
            told[f"shipped, {kind}, {q}"] = equal(shipped[0, 0], value, unit=unit)
    return told


def _latent(unknowns, ops):
    """E2 gains a e1, e3 gains a e2, for a = f u; e1 = p1."""
    p1, p2, p3, e2, e3, f, u = unknowns("p1 p2 p3 e2 e3 f u")
    says = [2 * e2 == theory.pure_square(p1, p2), 6 * e3 == theory.pure_cube(p1, p2, p3)]
    q1, q2, q3 = (p + theory.power_sum([f], [u], q) for q, p in enumerate((p1, p2, p3), 1))
    return smt.Invariant(says, {"p1": q1, "p2": q2, "p3": q3, "e2": e2 + f * u * p1, "e3": e3 + f * u * e2})


def _newton(draw):
    """Power sums add up latents; pairs and triples as they are counted."""
    n = min(draw.n, 33)
    f, u = draw.vector(n, 999), draw.vector(n, 999)
    terms, sums = [a * b for a, b in zip(f, u, strict=True)], [theory.power_sum(f, u, q) for q in (1, 2, 3)]
    yield sums, [sum(theory.power_sum([a], [b], q) for a, b in zip(f, u, strict=True)) for q in (1, 2, 3)]
    e1 = e2 = e3 = 0
    for a in terms:
        e1, e2, e3 = e1 + a, e2 + a * e1, e3 + a * e2
    yield e2, sum(a * b for a, b in combinations(terms, 2))
    yield e3, sum(prod(three) for three in combinations(terms, 3))
    yield theory.pure_cube(*sums), 6 * e3


def _one_active(symbols, ops):
    """With one latent active nothing is left."""
    f, u = symbols("f:1"), symbols("u:1")
    p1, p2, p3 = (theory.power_sum(f, u, q) for q in (1, 2, 3))
    yield theory.pure_square(p1, p2), 0
    yield theory.pure_cube(p1, p2, p3), 0


RAISED = Hypothesis("powers of f_i u_i, both raised", lambda case: case.off)


@st.composite
def _projected(draw, halfway=False):
    m = draw(st.integers(1, 6))
    value = st.integers(-2, 2).map(float) | numbers(-2, 2)
    f, u = (tuple(draw(st.lists(value, min_size=m, max_size=m))) for _ in range(2))
    return Projected(f, u, halfway)


CLAIM = Claim(
    id="PO-14",
    statement=(
        "With p_q = Σ_i (f_i U_ir)^q: p1² − p2 = 2e2 and p1³ − 3p1p2 + 2p3 = 6e3 hold products of different latents "
        "alone, p2 and p3 powers of single ones alone. Put for a² and a³ they give a decoder without self terms, and "
        "the self-only control, from sums over latents alone."
    ),
    tex=r"p_1^2-p_2=2e_2,\quad p_1^3-3p_1p_2+2p_3=6e_3",
    source="ours; Newton's identities",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(RAISED,),
    instances=_projected(),
    nontrivial=lambda case: sum(f * u != 0 for f, u in zip(case.f, case.u, strict=True)) > 1,
    conclusion=_conclusion,
    controls=(Control(RAISED.name, _projected(halfway=True), "f^q U in place of f^q U^q"),),
    proofs={
        LOOPS: evaluated("power sums, pairs and triples, latent by latent", _newton),
        ("2 e2", "6 e3"): smt.induction("Newton's identities", "all m: induction over latents", _latent),
        BESIDE: symbolic.identity("one active latent gives 0", "m = 1", _one_active),
    },
    kernel={"2 e2": "factors.pure_square"},
    mutants=(
        Mutant("plain square", theory.pure_square, lambda p1, p2: p1 * p1),
        Mutant("plain cube", theory.pure_cube, lambda p1, p2, p3: p1**3),
        Mutant("3 p3 for 2 p3", theory.pure_cube, lambda p1, p2, p3: p1**3 - 3 * p1 * p2 + 3 * p3),
        Mutant("q sums of f u", theory.power_sum, lambda f, u, q: q * sum(a * b for a, b in zip(f, u, strict=True))),
    ),
)
