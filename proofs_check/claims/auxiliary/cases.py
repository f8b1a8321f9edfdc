"""What the claims on Adam are about: the gradients of one parameter, and their steps; what is shown of exp."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import Check, Hypothesis
from proofs_check.instances.draw import numbers
from proofs_check.instances.inequalities import inequality
from workbench.theory import auxiliary as theory

BETAS = ((0.9, 0.999), (0.9, 0.99), (0.0, 0.999), (0.5, 0.9))
"""pairs in use"""


@dataclass(frozen=True)
class Descent:
    """Gradients of one parameter under Adam; a step at a rate of 1 moves it by minus the step."""

    gradients: tuple[float, ...]
    betas: tuple[float, float]
    eps: float = 0.0
    moment: float = 0.0
    """the running mean of gradients at the start"""
    lr: float = 0.01

    def __str__(self) -> str:
        said = f"g = {tuple(round(g, 4) for g in self.gradients)}, β = {tuple(round(b, 4) for b in self.betas)}"
        rest = f", ε = {self.eps:g}" * bool(self.eps) + f", m = {self.moment:g} at the start" * bool(self.moment)
        return f"{said}{rest}, lr = {self.lr:g}"

    @property
    def nontrivial(self) -> bool:
        """Gradients of several sizes."""
        return len({abs(g) for g in self.gradients}) > 1

    def steps(self, gradients: Sequence[float] | None = None, eps: float | None = None) -> Tensor:
        """By the formula, of these gradients and this eps or others."""
        eps = self.eps if eps is None else eps
        made = theory.adam_steps(self.gradients if gradients is None else gradients, *self.betas, eps, self.moment)
        return torch.tensor(list(made), dtype=torch.float64)

    @property
    def taken(self) -> Tensor:
        """The steps that torch's Adam takes, over the rate."""
        return torch_steps(self.gradients, self.betas, self.eps, self.lr) / self.lr


def torch_steps(gradients: Sequence[float], betas: tuple[float, float], eps: float, lr: float) -> Tensor:
    """By how much torch's Adam lowers a parameter at each step."""
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([parameter], lr, betas, eps)
    path = [0.0]
    for g in gradients:
        parameter.grad = torch.tensor([g], dtype=torch.float64)
        adam.step()
        path.append(float(parameter.detach()))
    values = torch.tensor(path, dtype=torch.float64)
    return values[:-1] - values[1:]


def _above(shows: str, left: Callable[..., Any], right: Callable[..., Any]) -> Check:
    """left <= right for all z >= 0."""
    (check,) = inequality(shows, shows, box={"z": ("0", None)}, left=left, right=right).checks
    return replace(check, shows=shows, scope="all z ≥ 0", decides=None)


EXP_RISES = _above("e^z ≥ 1", lambda z, ops: ops.num("1"), lambda z, ops: ops.exp(z))
EXP_FALLS = _above("e⁻ᶻ ≥ 1 − z", lambda z: 1 - z, lambda z, ops: theory.log_factor(z, ops=ops)[0])

FRESH = Hypothesis("moments 0 at the start", lambda case: abs(case.moment))


@st.composite
def descents(draw: st.DrawFn, steps: tuple[int, int] = (2, 6), **fixed: Any) -> Descent:
    """Signed gradients, the first other than 0, some of heavy tails; betas in use, and any with b1² < b2."""
    value = st.integers(-3, 3).map(float) | numbers(-2, 2) | numbers(-3, 3).map(lambda e: 10.0**e)
    count = draw(st.integers(*steps))
    gradients = draw(st.lists(value, min_size=count, max_size=count))
    beta1 = draw(numbers(0, 0.95))
    share = draw(numbers(0.1, 0.99))
    betas = draw(st.sampled_from([*BETAS, (beta1, beta1**2 + (1 - beta1**2) * share)]))
    return Descent((gradients[0] or 1.0, *gradients[1:]), betas, lr=draw(numbers(1e-3, 0.1)), **fixed)


@st.composite
def steepest(draw: st.DrawFn, steps: tuple[int, int] = (2, 30)) -> Descent:
    """Gradients that grow by b2 / b1 a step: the last step is the largest there is."""
    beta1, beta2 = draw(st.sampled_from([(0.9, 0.999), (0.9, 0.99), (0.5, 0.9), (0.8, 0.7)]))
    count = draw(st.integers(*steps))
    return Descent(tuple((beta2 / beta1) ** j for j in range(count)), (beta1, beta2))


def restarted(case: Descent) -> Descent:
    """As if its running mean came from gradients that its running mean of squares has not seen."""
    return replace(case, moment=100.0 * max(abs(g) for g in case.gradients))
