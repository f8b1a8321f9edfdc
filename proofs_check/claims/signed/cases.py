"""Pre-activations, and codes to compare their proximal maps with: what claims on activations are about."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from proofs_check.claim import Hypothesis
from proofs_check.instances.draw import numbers, usually


@dataclass(frozen=True)
class Activation:
    """Pre-activations u, a count k, a weight lam, another code z, a factor c."""

    u: tuple[float, ...]
    z: tuple[float, ...]
    k: int
    lam: float = 1.0
    c: float = -1.0
    rectified: bool = False
    """the activation sees max(u, 0)"""

    def __str__(self) -> str:
        said = f"u = {tuple(round(v, 4) for v in self.u)}, z = {tuple(round(v, 4) for v in self.z)}, k = {self.k}"
        return f"{said}, λ = {self.lam:.4g}, c = {self.c:.4g}{', u rectified first' if self.rectified else ''}"

    @property
    def nontrivial(self) -> bool:
        """Fewer entries are kept than are not 0, and these have both signs."""
        return self.k < sum(v != 0 for v in self.u) and min(self.u) < 0 < max(self.u)

    @property
    def seen(self) -> tuple[float, ...]:
        """What the activation is given."""
        return tuple(max(v, 0.0) for v in self.u) if self.rectified else self.u

    @property
    def square(self) -> float:
        """|u|², or 1 where it is 0."""
        return sum(v * v for v in self.u) or 1.0


AS_IS = Hypothesis(
    "signs are seen: u not rectified first",
    lambda case: max(abs(seen - v) for seen, v in zip(case.seen, case.u, strict=True)),
)
NO_TIES = Hypothesis("no ties in size", lambda case: float(len({abs(v) for v in case.u}) < len(case.u)))


@st.composite
def activations(draw: st.DrawFn, *, ties: bool = True, weight: Any = None, **fixed: Any) -> Activation:
    """Up to 5 pre-activations.

    Args:
        draw: given by Hypothesis.
        ties: allow entries of equal size.
        weight: strategy of lam.
        fixed: fields that are not drawn.
    """
    both = draw(usually())  # signs, and fewer kept than there are
    m = draw(st.integers(2 if both else 1, 5))
    value = st.integers(-3, 3).map(float) | numbers(-4, 4)
    u = draw(st.lists(value, min_size=m, max_size=m))
    u = [abs(u[0]) or 1.0, -abs(u[1]) or -2.0, *(v or 3.0 for v in u[2:])] if both else u
    u = u if ties else [v + (1 if v >= 0 else -1) * 0.01 * (i + 1) / 7**0.5 for i, v in enumerate(u)]
    z = draw(st.lists(st.just(0.0) | value, min_size=m, max_size=m))
    k = draw(st.integers(1, m - both))
    for i in [i for i, v in enumerate(z) if v][k:]:
        z[i] = 0.0
    lam = draw(numbers(0, 4) if weight is None else weight)
    c = draw(st.sampled_from([-1.0, 2.0, -0.5, 3.0]))
    return Activation(**{"u": tuple(u), "z": tuple(z), "k": k, "lam": lam, "c": c, **fixed})


def minimises(unknowns, ops, formula, penalty, objective, signed):
    """The problem: a scalar map's value has the least objective, for all u, z and lam >= 0."""
    u, z, lam = unknowns("u z lam")
    best = formula(u, lam, ops=ops)
    given = [lam >= 0] + ([] if signed else [z >= 0])
    allowed = [] if signed else [best >= 0]
    least = objective(u, best, penalty(best, lam, ops))
    return given, [*allowed, least <= objective(u, z, penalty(z, lam, ops))]
