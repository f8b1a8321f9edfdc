"""AT-7: n signed axes of varying size need 2n nonnegative latents and n signed ones."""

from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.signed.axis_cases import Axes, one_less
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers, unit_rows
from synthetic.laws.directions import overlaps
from workbench.theory import signed as theory


def _conclusion(case: Axes) -> dict[str, Part]:
    """As many of the rows as are said to be needed are exact; with one less an error is left."""
    needed = theory.latents_for_axes(len(case.axes), signed=case.signed)
    enough = replace(case, rows=case.rows[:needed])
    told: dict[str, Part] = {"latents": at_most(needed, len(case.rows)), "exact": equal(enough.error, 0.0)}
    if len(enough.rows) > 1:
        told["none to spare"] = at_most(1e-3, min(fewer.error for fewer in enough.with_fewer()))
    return told


def _parallel(unknowns, ops, d):
    """Two points s v, t v (s != t, v not 0) of b + R w, w not 0: w and b are parallel to v."""
    v, w, b = ([unknowns(f"{name}{i}") for i in range(d)] for name in "vwb")
    s, t, f, g = unknowns("s t f g")
    given = [s != t, ops.where(v[0] == 0, v[1] * v[1], v[0] * v[0]) > 0]
    given += [s * v[i] == b[i] + f * w[i] for i in range(d)] + [t * v[i] == b[i] + g * w[i] for i in range(d)]
    pairs = [(i, j) for i in range(d) for j in range(i)]
    then = [w[i] * v[j] == w[j] * v[i] for i, j in pairs] + [b[i] * v[j] == b[j] * v[i] for i, j in pairs]
    return given, then


def _no_bias(unknowns, ops):
    """On two lines through 0 that are not one: b = 0."""
    v, w, b = (unknowns(f"{name}0 {name}1") for name in "vwb")
    given = [v[0] * w[1] != v[1] * w[0], b[0] * v[1] == b[1] * v[0], b[0] * w[1] == b[1] * w[0]]
    return given, [b[0] == 0, b[1] == 0]


def _one_end(unknowns, ops):
    """A nonnegative latent along v with b = 0 reaches one side of 0 alone."""
    s, t, f, g, w = unknowns("s t f g w")
    return [f >= 0, g >= 0, s == f * w, t == g * w, s > 0], [t >= 0]


@st.composite
def _axes(draw, signed=None):
    n = draw(st.integers(2, 4))
    d = draw(st.integers(2, 4))
    axes = draw(unit_rows(n, d))
    if float(overlaps(axes).max()) > 0.999:
        angles = torch.arange(n, dtype=torch.float64) * torch.pi / n
        axes = torch.stack((angles.cos(), angles.sin()), 1)
    first, by = draw(st.tuples(numbers(0.1, 3), numbers(0.1, 1)))
    values = [max(first, 0.1) + i * max(by, 0.1) for i in range(2 * n + 1)]
    samples = torch.tensor([values + [-v for v in values]] * n, dtype=torch.float64)
    signed = draw(st.booleans()) if signed is None else signed
    rows = axes if signed else torch.cat((axes, -axes))
    return Axes(axes, samples, rows, torch.zeros(axes.shape[1], dtype=torch.float64), signed)


def _sizes(case: Axes) -> int:
    """How many sizes the rarer sign of an axis comes in."""
    return min(int((sign * values > 0).sum()) for values in case.samples for sign in (1, -1))


SAMPLED = Hypothesis("more sizes of each sign than latents", lambda case: max(0, len(case.rows) + 1 - _sizes(case)))
APART = Hypothesis("no two axes parallel", lambda case: _parallel_axes(case.axes))
SEVERAL = Hypothesis("two axes or more", lambda case: float(len(case.axes) < 2))


def _parallel_axes(axes: Tensor) -> float:
    return float(len(axes) > 1 and float(overlaps(axes).max()) > 1 - 1e-9)


def _witness(axes, samples, rows, bias):
    axes, samples, rows, bias = (torch.tensor(t, dtype=torch.float64) for t in (axes, samples, rows, bias))
    return st.just(Axes(axes, samples, rows, bias, False))


UP = [1.0, 2.0, 3.0]
BOTH = [*UP, -1.0, -2.0, -3.0]

CLAIM = Claim(
    id="AT-7",
    statement=(
        "k = 1, n ≥ 2 axes no two parallel, each alone with both signs and more sizes of each than there are latents: "
        "zero error needs 2n latents with nonnegative codes, any b_dec, and n with signed ones; ±v_i and v_i attain it."
    ),
    tex=r"m\geq 2n\;(f\geq 0),\qquad m\geq n\;(f\in\mathbb{R})",
    source="ours; the fragmentation behind Zhu, Khalili, Zhu (2025), arXiv 2510.00404",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SAMPLED, APART, SEVERAL),
    instances=_axes(),
    conclusion=_conclusion,
    extremal={"latents": _axes()},
    controls=(
        Control(SAMPLED.name, _witness([[1.0, 0], [0, 1]], [UP] * 2, [[1.0, 0], [0, 1]], [0.0, 0]), "one sign: n do"),
        Control(APART.name, _witness([[1.0, 0]] * 2, [BOTH] * 2, [[1.0, 0], [-1, 0]], [0.0, 0]), "one axis, twice"),
        Control(SEVERAL.name, _witness([[1.0]], [BOTH], [[1.0]], [-4.0]), "b_dec = −4v turns the axis into one ray"),
    ),
    proofs={
        ("latents", "none to spare"): (
            *(
                smt.implies("a latent exact on two sizes is parallel to the axis", f"d = {d}", _parallel, d=d)
                for d in (2, 3)
            ),
            smt.implies("b_dec is 0", "two axes, in the plane they span", _no_bias),
            smt.implies("opposite ends need two nonnegative latents", "all axes", _one_end),
        ),
        "none to spare": (
            *(
                smt.implies(
                    "one latent less is not exact",
                    f"n = {n}, {'signed' if signed else 'nonnegative'}",
                    one_less,
                    n=n,
                    signed=signed,
                )
                for n in (2, 3)
                for signed in (False, True)
            ),
        ),
    },
    mutants=(
        Mutant("n for both", theory.latents_for_axes, lambda axes, *, signed: axes),
        Mutant("2n for both", theory.latents_for_axes, lambda axes, *, signed: 2 * axes),
    ),
    note=(
        "With more sizes than latents some latent holds two of each end, and is parallel to it. Sampled, the rows left "
        "and b_dec are fitted by alternating least squares, perhaps to no optimum; the proofs rest on no fit. A "
        "two-valued axis that is always on needs one nonnegative latent: b_dec takes up the other value. Trained: "
        "AT-14."
    ),
)
