"""MP-8: the gradient of the error in the rows picked, through the increments."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.claims.pursuit.cases import Greedy, pursued
from proofs_check.engines import symbolic
from workbench.parts import pursuit
from workbench.theory import coherence
from workbench.theory import pursuit as theory


@dataclass(frozen=True, eq=False)
class Differentiated(Greedy):
    """A pursuit whose error is differentiated in the rows."""

    detached: bool = False
    """hold the increments fixed"""

    def __str__(self) -> str:
        return f"{super().__str__()}{', codes detached' * self.detached}"

    @property
    def gradient(self) -> torch.Tensor:
        """Of |r_T|², by automatic differentiation of the shipped pursuit."""
        rows = self.rows.clone().requires_grad_()
        path = pursuit.matching_pursuit(self.x, rows, self.steps, select=self.select)
        residual = path.residual
        if self.detached:
            residual = self.x - (path.values.detach()[..., None] * rows[path.indices]).sum(1)
        if not residual.requires_grad:  # no row was taken
            return torch.zeros_like(rows)
        return torch.autograd.grad(residual.square().sum(), rows, allow_unused=True, materialize_grads=True)[0]


THROUGH = Hypothesis("codes are differentiated too", lambda case: float(case.detached))


def _conclusion(case: Differentiated) -> Part:
    path = case.path
    taken = path.indices[0, path.values[0] != 0]
    own = theory.loss_gradient(case.x[0].tolist(), case.rows[taken].tolist())
    total = torch.zeros_like(case.rows)
    if own:
        total.index_add_(0, taken, torch.tensor(own, dtype=torch.float64))
    return equal(case.gradient.flatten(), total.flatten(), unit=float(case.size))


def _by_parts(symbols, ops):
    """The shipped recursion against derivatives of the residual's square: one to three picks."""
    for steps, d in ((1, 3), (2, 2), (3, 1)):
        x = symbols(f"x:{d}")
        picks = [symbols(f"w{t}_:{d}") for t in range(steps)]
        residual = list(x)
        for w in picks:
            a = sum(p * q for p, q in zip(residual, w, strict=True))
            residual = [p - a * q for p, q in zip(residual, w, strict=True)]
        loss: Any = coherence.square_norm(residual)
        for w, gradient in zip(picks, theory.loss_gradient(x, picks), strict=True):
            yield from ((loss.diff(p), g) for p, g in zip(w, gradient, strict=True))


def _chain(symbols, ops):
    """One step back, for any g: derivatives of <g, r - <w, r> w> in w and in r."""
    for d in (1, 2, 3):
        g, r, w = symbols(f"g:{d}"), symbols(f"r:{d}"), symbols(f"w:{d}")
        a, along = (sum(p * q for p, q in zip(w, v, strict=True)) for v in (r, g))
        value: Any = sum(p * (q - a * s) for p, q, s in zip(g, r, w, strict=True))
        for i in range(d):
            yield value.diff(w[i]), -a * g[i] - along * r[i]
            yield value.diff(r[i]), g[i] - along * w[i]


def _drawn():
    def make(case: Greedy) -> Differentiated:
        return Differentiated(case.rows, case.x, case.steps, case.select)

    return pursued(norms=(0.2, 1.2), steps=(1, 5)).map(make)


def _detached(x, picks):
    residual, increments = list(x), []
    for w in picks:
        increments.append(sum(p * q for p, q in zip(residual, w, strict=True)))
        residual = [p - increments[-1] * q for p, q in zip(residual, w, strict=True)]
    return [[-2 * a * p for p in residual] for a in increments]


ONE = st.just(Differentiated(torch.tensor([[1.0, 0], [0.6, 0.8]]).double(), torch.tensor([[1.0, 1]]).double(), 2))

CLAIM = Claim(
    id="MP-8",
    statement=(
        "With picks held fixed r_T = (I − w_Tw_Tᵀ)⋯(I − w_1w_1ᵀ)x, and the gradient of L = |r_T|² runs backwards: "
        "g_T = 2r_T, ∂L/∂w_t = −a_t g_t − ⟨g_t, w_t⟩ r_{t−1}, g_{t−1} = g_t − ⟨g_t, w_t⟩ w_t. That of detached codes, "
        "−2fᵀr, is another."
    ),
    tex=r"\frac{\partial L}{\partial w_t}=-a_tg_t-\langle g_t,w_t\rangle r_{t-1}",
    source="ours, chain rule",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(THROUGH,),
    instances=_drawn(),
    conclusion=_conclusion,
    controls=(Control(THROUGH.name, ONE.map(lambda case: replace(case, detached=True)), "increments held fixed"),),
    proofs=(
        symbolic.identity("the shipped recursion = derivatives", "T = 1, 2, 3 in d = 3, 2, 1", _by_parts),
        symbolic.identity("one step back", "d = 1..3", _chain),
    ),
    mutants=(Mutant("of detached codes", theory.loss_gradient, _detached),),
    note=(
        "The choice of the row has no gradient: where two rows tie the loss has a kink. For more steps the chain rule "
        "repeats the one step back."
    ),
)
