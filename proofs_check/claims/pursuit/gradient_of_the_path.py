"""MP-8: the gradient of the error in the rows picked, through the increments."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch

from proofs_check.claim import LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.claims.pursuit.cases import Greedy, pursued
from proofs_check.claims.pursuit.loops import SIX_STEPS, exact, quartered
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import Draw, Pairs
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
        """Of |r_T|², with increments held fixed or not."""
        return self._differentiated(self.detached)

    @property
    def off(self) -> float:
        """How far it is from that of the shipped residual, increments and all."""
        return float((self.gradient - self._differentiated(False)).abs().max() / self.size.max())

    def _differentiated(self, detached: bool) -> torch.Tensor:
        """By automatic differentiation of the shipped pursuit."""
        rows = self.rows.clone().requires_grad_()
        path = pursuit.matching_pursuit(self.x, rows, self.steps, select=self.select)
        residual = path.residual
        if detached:
            residual = self.x - (path.values.detach()[..., None] * rows[path.indices]).sum(1)
        if not residual.requires_grad:  # no row was taken
            return torch.zeros_like(rows)
        return torch.autograd.grad(residual.square().sum(), rows, allow_unused=True, materialize_grads=True)[0]


THROUGH = Hypothesis("codes are differentiated too", lambda case: case.off)


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


def _moved(symbols, ops):
    """How r - <w, r> w moves with r + t p, w + t v, at t = 0 and coordinate by coordinate; b is how <w, r> does."""
    r, w, p, v, a, b, t = symbols("r w p v a b t")
    after: Any = r + t * p - (a + t * b) * (w + t * v)
    yield after.diff(t).subs(t, 0), p - b * w - a * v


def _back(unknowns, ops):
    """So far sum_s <dL/dw_s, v_s> = <g_{t-1}, p>, p how r_{t-1} moves; then with step t it is <g_t, how r_t does>.

    Inner products of g = g_t, r = r_{t-1}, w = w_t, p and v = v_t.
    """
    total, moved, a, gp, gw, gv, vr, wp = unknowns("total moved a gp gw gv vr wp")
    after = {"total": total - a * gv - gw * vr, "moved": gp - (vr + wp) * gw - a * gv}
    return smt.Invariant([total == moved], after, given=[moved == gp - gw * wp])


def _many_steps(draw: Draw) -> Pairs:
    """n picks: <gradient, v> is how |r_T|² moves with rows w_t + v_t; the gradient of the shipped pursuit is that."""
    x, picks, ways = draw.vector(draw.d, 9), draw.rows(draw.n, draw.d, 9), draw.rows(draw.n, draw.d, 9)
    r, moved = list(x), [0] * draw.d
    for w, v in zip(picks, ways, strict=True):
        a = sum(p * q for p, q in zip(r, w, strict=True))
        b = sum(p * q for p, q in zip(moved, w, strict=True)) + sum(p * q for p, q in zip(r, v, strict=True))
        moved = [p - b * q - a * s for p, q, s in zip(moved, w, v, strict=True)]
        r = [p - a * q for p, q in zip(r, w, strict=True)]
    found = theory.loss_gradient(x, picks)
    along = sum(g * s for row, v in zip(found, ways, strict=True) for g, s in zip(row, v, strict=True))
    yield along, 2 * sum(p * q for p, q in zip(r, moved, strict=True))

    rows, samples = quartered(draw, draw.n)
    case = Differentiated(rows, samples, draw.n)
    taken = case.path.indices[0].tolist()
    total = [[Fraction(0)] * rows.shape[1] for _ in rows]
    for j, own in zip(taken, theory.loss_gradient(exact(samples[0]), [exact(rows[j]) for j in taken]), strict=True):
        total[j] = [p + q for p, q in zip(total[j], own, strict=True)]
    yield len(taken), draw.n
    yield from ((exact(row), wanted) for row, wanted in zip(case.gradient, total, strict=True))


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
    controls=(Control(THROUGH.name, _drawn().map(lambda case: replace(case, detached=True)), "increments held fixed"),),
    proofs={
        "": (
            symbolic.identity("how a step moves with rows", "all T, d: coordinate by coordinate", _moved),
            smt.induction("|r_T|² moves by Σ ⟨∂L/∂w_t, v_t⟩", "all T, d: induction over steps", _back),
        ),
        LOOPS: (
            symbolic.identity("the shipped recursion = derivatives", "T = 1, 2, 3 in d = 3, 2, 1", _by_parts),
            evaluated("the shipped recursion and the shipped pursuit's gradient", _many_steps),
        ),
    },
    mutants=(Mutant("of detached codes", theory.loss_gradient, _detached), SIX_STEPS),
    note="The choice of the row has no gradient: where two rows tie the loss has a kink.",
)
