"""R-10: sparse noise breaks the guarantee, though its characteristic function has no zeros."""

from dataclasses import replace

import sympy
import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.actions import atom_cases as intervention_atoms
from proofs_check.claims.actions.atom_cases import Atom
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory
from workbench.theory.ops import FLOAT


def _conclusion(case: Atom) -> dict[str, Part]:
    a = case.reach * torch.linspace(-1, 1, 21, dtype=torch.float64)
    h = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    edge = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)
    waves = [theory.atom_gain(w, case.atom, case.deviation) for w in (0.5, 1.0, 2.0, 4.0, 8.0)]
    return {
        "E[κ | a] = a": equal(case.size * case.conditional(a), 0.0, unit=1e-3),
        "κ increases": at_most(0.0, (h + case.size * case.delta(h)).diff().min()),
        "continuous": at_most(float(case.delta(edge).diff().abs()), 1e-11),
        "not affine": at_most(1e-3, case.unexplained),
        "no zeros": at_most(case.atom, min(waves)),
    }


def _square(symbols, ops):
    """The normal density of a - b is an inner product of narrower ones around a and b: <f, K f> is a square, >= 0."""
    a, b, t = symbols("a b t")
    s = symbols("s", positive=True)

    def bell(gap, variance):
        return ops.exp(-(gap**2) / (2 * variance)) / ops.sqrt(2 * ops.pi * variance)

    product = sympy.expand(-((a - t) ** 2) / s**2 - (b - t) ** 2 / s**2)
    found = sympy.integrate(ops.exp(product), (t, -sympy.oo, sympy.oo)) / (ops.pi * s**2)
    yield bell(a - t, s**2 / 2) * bell(b - t, s**2 / 2), ops.exp(product) / (ops.pi * s**2)
    yield found, bell(a - b, s**2)


def _operator(unknowns, ops):
    """<f, (p + (1 - p) K) f> >= p |f|², and p |f| <= |(p + (1 - p) K) f|: it takes only 0 to 0."""
    p, square, form, image = unknowns("p square form image")
    total = p * square + (1 - p) * form
    given = [p > 0, p < 1, square >= 0, form >= 0, image >= 0, total * total <= square * image]
    return given, [total >= p * square, image >= p * p * square]


def _gain(symbols, ops):
    w, p, t = symbols("w p t")
    s = symbols("s", positive=True)
    density = ops.exp(-(t**2) / (2 * s**2)) / ops.sqrt(2 * ops.pi) / s
    normal = sympy.integrate(sympy.cos(w * t) * density, (t, -sympy.oo, sympy.oo))
    yield theory.atom_gain(w, p, s, ops=ops), p + (1 - p) * normal


def _floor(unknowns, ops):
    """An exponential is above 0."""
    w, p, s, exponential = unknowns("w p s exponential")
    given = [p > 0, p < 1, exponential > 0]
    return given, [theory.atom_gain(w, p, s, ops=replace(ops, exp=lambda _: exponential)) >= p]


SPARSE = Hypothesis("ν is 0 with chance p", lambda case: abs(case.present - case.atom))
BOUNDED = Hypothesis("a within [−1, 1]", lambda case: max(0.0, case.reach - 1))
SMALL = Hypothesis("e below its limit", lambda case: max(0.0, case.share - 0.999))


@st.composite
def _atoms(draw, **changes):
    p = draw(st.sampled_from([0.5, 0.25]) | numbers(0.1, 0.9))
    return Atom(p, draw(st.just(1.0) | numbers(0.5, 1.5)), **{"share": draw(numbers(0.5, 0.95)), **changes})


def _first_order(case, nodes, weights):
    """The normal part of nu left out inside."""
    return -(1 - case.atom) / case.atom * case._from_outside(nodes)


CLAIM = Claim(
    id="R-10",
    statement=(
        "ν = 0 with chance p ∈ (0, 1), else N(0, s²); h = a + ν, a within [−1, 1]. An odd, "
        "increasing, continuous κ = h + eδ, solved for on [−1, 1], has E[κ | a] = a to rounding and is not affine: "
        "sparse latents are outside of the guarantee, though E e^{iwν} ≥ p."
    ),
    tex=r"p\,\delta(a)+(1-p)\,E\,\delta(a+s\,\xi)=0\;\;(|a|\leq1),\qquad\kappa=h+e\,\delta",
    source="ours; against theorem 6 of Saengkyongam et al. (2024), arXiv 2310.04295, without its density",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SPARSE, BOUNDED, SMALL),
    instances=_atoms(),
    nontrivial=lambda case: 0 < case.atom < 1,
    conclusion=_conclusion,
    controls=(
        Control(SPARSE.name, _atoms(drawn=0.0), "the same κ under normal noise"),
        Control(BOUNDED.name, _atoms(reach=2.0), "actions in [−2, 2]: on all of R no bounded δ is left"),
        Control(SMALL.name, _atoms(share=2.0), "a larger e: κ falls somewhere"),
    ),
    proofs={
        BESIDE: (
            symbolic.identity("K, normal smoothing on [−1, 1], is ≥ 0", "all s", _square),
            smt.implies("p + (1 − p)K takes only 0 to 0", "all p in (0, 1)", _operator),
        ),
        "no zeros": (
            symbolic.identity("the characteristic function", "all p, s, w", _gain),
            smt.implies("at least p", "all p, s, w", _floor),
        ),
    },
    mutants=(
        Mutant("first order", intervention_atoms.solved, _first_order),
        Mutant("no atom", theory.atom_gain, lambda w, p, s, *, ops=FLOAT: (1 - p) * ops.exp(-w * w * s * s / 2)),
    ),
    note=(
        "The equation for δ on [−1, 1] has the operator p + (1 − p)K: engines show K ≥ 0 and that only 0 goes to 0. "
        "That there is a solution for each tail (K is compact) is Fredholm's alternative, shown by no engine."
    ),
)
