"""Actions, noise and outcomes as small equal-weight designs with exact moments, and what is predicted from them."""

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Hypothesis
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory
from workbench.topics.actions.control_function import ControlFunction

LEVELS = {
    "normal": [-(3**0.5), 0.0, 0.0, 0.0, 0.0, 3**0.5],
    "skewed": [-0.5, -0.5, -0.5, -0.5, 2.0],
    "even": [-1.0, -1 / 3, 1 / 3, 1.0],
}
"""of mean 0: as N(0, 1) up to the fifth moment; with a third moment; a grid"""

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Design:
    """h = M a + nu, y = h^T Q h + <q, h> + <beta, nu> + curved nu_1², seen through phi = H kappa(h) + c.

    Every pair of an action and a noise occurs equally often. kappa adds `bent` h_1² to the last latent.
    """

    effect: Matrix
    """M, n x q"""
    noise: Matrix
    """root of the covariance of nu"""
    actions: Matrix
    """root of that of a"""
    quadratic: Matrix
    linear: tuple[float, ...]
    beta: tuple[float, ...]
    turn: Matrix
    """H"""
    shift: tuple[float, ...]
    """c"""
    target: tuple[float, ...]
    """a*"""
    law: str = "even"
    """of a"""
    curved: float = 0.0
    bent: float = 0.0
    controlled: bool = True
    """V_phi is in the regression"""

    @property
    def nontrivial(self) -> bool:
        """Two latents."""
        return len(self.effect) > 1

    @property
    def levels(self) -> list[float]:
        """Equally likely values of each action's part."""
        return LEVELS[self.law]

    @cached_property
    def data(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a, nu, h, y."""
        n, q = len(self.effect), len(self.effect[0])
        levels = [LEVELS["normal"]] * n + [self.levels] * q
        grid = torch.tensor(list(itertools.product(*levels)), dtype=torch.float64)
        nu, a = grid[:, :n] @ _matrix(self.noise).T, grid[:, n:] @ _matrix(self.actions).T
        h = a @ _matrix(self.effect).T + nu
        return a, nu, h, self.outcome(h, nu)

    def outcome(self, h: Tensor, nu: Tensor) -> Tensor:
        """y."""
        told = ((h @ _matrix(self.quadratic)) * h).sum(1) + h @ _matrix(self.linear)
        return told + nu @ _matrix(self.beta) + self.curved * nu[:, 0] ** 2

    def codes(self, h: Tensor) -> Tensor:
        """phi."""
        kappa = torch.cat((h[:, :-1], h[:, -1:] + self.bent * h[:, :1] ** 2), 1)
        return kappa @ _matrix(self.turn).T + _matrix(self.shift)

    @property
    def covariance(self) -> list[list[float]]:
        """Of nu."""
        root = _matrix(self.noise)
        return (root @ root.T).tolist()

    @property
    def truth(self) -> float:
        """E[y | do(a*)] by the closed form."""
        moved = (_matrix(self.effect) @ _matrix(self.target)).tolist()
        told = theory.mean_outcome(self.quadratic, self.linear, moved, self.covariance)
        return told + self.curved * self.covariance[0][0]

    @property
    def done(self) -> float:
        """The same by acting on the design."""
        _, nu, _, _ = self.data
        return float(self.outcome(nu + _matrix(self.effect) @ _matrix(self.target), nu).mean())

    @property
    def bias(self) -> float:
        """The closed form of what leaving out V_phi adds, for a of this covariance."""
        root = _matrix(self.actions)
        scale = float(_matrix(self.levels).square().mean())
        return theory.naive_bias(self.beta, self.covariance, self.effect, (scale * root @ root.T).tolist(), self.target)

    @cached_property
    def predicted(self) -> float:
        """At a* from phi, and V_phi where it is controlled for."""
        a, _, h, y = self.data
        return predicted(self.codes(h), a, y, _matrix(self.target), self.controlled)

    @property
    def off_controlled(self) -> float:
        """How far that is from what the regression with V_phi predicts, over the size of outcomes."""
        a, _, h, y = self.data
        return abs(self.predicted - predicted(self.codes(h), a, y, _matrix(self.target))) / self.size

    @property
    def size(self) -> float:
        """Of the outcomes compared."""
        return 1 + float(self.data[3].abs().max()) + abs(self.truth)


def _matrix(rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def predicted(codes: Tensor, actions: Tensor, y: Tensor, target: Tensor, controlled: bool = True) -> float:
    """At one action, by the shipped control function of degree 2."""
    return float(ControlFunction.fit(codes, actions, y, control=controlled).predict(target[None])[0])


DEFAULT = Design(
    effect=((1.0, 0.5), (-0.3, 0.8)),
    noise=((0.6**0.5, 0.0), (0.2 / 0.6**0.5, (0.5 - 0.04 / 0.6) ** 0.5)),
    actions=((0.33**0.5, 0.0), (0.0, 0.33**0.5)),
    quadratic=((0.5, 0.2), (0.2, -0.4)),
    linear=(1.0, -2.0),
    beta=(1.5, -0.7),
    turn=((1.0, 0.0), (0.0, 1.0)),
    shift=(0.0, 0.0),
    target=(3.0, 3.0),
)
"""two latents, two actions"""


@st.composite
def designs(draw, law: str = "even", **changes: Any):
    """The one above, or n = q = 1, 2, invertible M and H well away from singular."""
    if draw(st.booleans()):
        where = draw(st.sampled_from([(0.5, 0.5), (3.0, 3.0), (-4.0, 2.0)]))
        turned = {"turn": draw(_invertible(2)), "shift": (1.0, -2.0)}
        return replace(DEFAULT, target=where, law=law, **{**turned, **changes})
    n = draw(st.integers(1, 2))
    two = st.tuples(*[numbers(-2, 2)] * n)
    pair = draw(numbers(-1, 1))
    given = {
        "effect": draw(_invertible(n) | _lacking(n)),
        "noise": draw(_invertible(n)),
        "actions": draw(_invertible(n)),
        "quadratic": ((draw(numbers(-1, 1)),),) if n == 1 else ((1.0, pair), (pair, draw(numbers(-1, 1)))),
        "linear": draw(two),
        "beta": draw(two),
        "turn": draw(_invertible(n)),
        "shift": draw(two),
        "target": tuple(2 * v for v in draw(two)),
        "curved": draw(st.sampled_from([0.0, 0.5])) if law == "even" else 0.0,
    }
    return Design(**{**given, "law": law, **changes})


@st.composite
def _invertible(draw, n: int) -> Any:
    """Rows of a matrix with a determinant of at least about 1/2."""
    first, second = draw(st.sampled_from([1.0, -1.0]) | numbers(0.7, 1.5)), draw(st.just(1.0) | numbers(0.7, 1.5))
    if n == 1:
        return ((first,),)
    return ((first, draw(numbers(-0.5, 0.5))), (draw(numbers(-0.5, 0.5)), second))


@st.composite
def _lacking(draw, n: int) -> Any:
    """M of rank below n: 0, or two rows that are parallel."""
    pair = (draw(numbers(-1, 1)), 1.0)
    return ((0.0,),) if n == 1 else (pair, tuple(2 * v for v in pair))


AFFINE = Hypothesis("an affine encoder", lambda case: abs(case.bent))
INVERTIBLE = Hypothesis("H invertible", lambda case: max(0.0, 0.1 - abs(float(torch.det(_matrix(case.turn))))))
CONTROLLED = Hypothesis("V in the regression", lambda case: case.off_controlled)


def _rank_lost(case: Design) -> int:
    """How many of 1, a_i and a_i a_j depend on the others over the actions seen."""
    a = case.data[0]
    i, j = torch.triu_indices(a.shape[1], a.shape[1])
    terms = torch.cat((torch.ones(len(a), 1, dtype=a.dtype), a, a[:, i] * a[:, j]), 1)
    return terms.shape[1] - int(torch.linalg.matrix_rank(terms))


DISTINCT = Hypothesis("quadratics of a told apart", _rank_lost)
LINEAR = Hypothesis("u linear in ν", lambda case: abs(case.curved))


def _off_normal(case: Design) -> float:
    """Distance of the levels' third and fourth moments from those of a normal law, beyond round-off."""
    levels = _matrix(case.levels)
    mean, square, cube, fourth = (float((levels**k).mean()) for k in (1, 2, 3, 4))
    return max(abs(mean), abs(cube), abs(fourth - 3 * square**2)) - 1e-12


NORMAL = Hypothesis("normal a and ν, zero mean", lambda case: max(0.0, _off_normal(case)))
