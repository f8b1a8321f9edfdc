"""AT-10: signed codes do not have fewer dead latents, though gradients reach both signs."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.proximal_runs import Trained, each_seed, one
from workbench.sparsifiers import abs_top_k, top_k
from workbench.theory import proximal as theory

U = (-3.0, 2.0, 1.0, -0.5)
"""of which two are kept"""


def _slope(activation) -> list[float]:
    """Of the shipped activation, k = 2."""
    u = torch.tensor([U], dtype=torch.float64, requires_grad=True)
    kept = activation(u, torch.tensor(2))
    (kept if isinstance(kept, torch.Tensor) else kept.dense()).sum().backward()
    return [] if u.grad is None else u.grad[0].tolist()


def _conclusion(case: Trained) -> dict[str, Part]:
    mask = theory.gradient_mask(U, 2)
    positive = theory.gradient_mask([max(v, 0.0) for v in U], 2)
    return {
        "gradient, both signs": equal(_slope(abs_top_k), mask),
        "gradient, TopK": equal(_slope(top_k), positive),
        "no more dead than TopK": at_most(case.dead, replace(case, variant="topk").dead),
    }


WIDE = Hypothesis("m = 2n", lambda case: abs(case.m - 2 * dict(case.knobs).get("n_true", 24)))
ALONE = Hypothesis("no AuxK", lambda case: float(case.aux_k))
NEEDED = Trained(knobs=(("n_true", 6),), k=12, m=12, steps=50)
"""all latents active, so that none is dead"""


CLAIM = Claim(
    id="AT-10",
    statement=(
        "Reading: as a selected latent below 0 learns under AbsTopK and not under TopK, at the same k, m and steps "
        "fewer latents are dead. On signed axes more are: n latents do the work of 2n, and the others never reach the "
        "k largest."
    ),
    tex=r"\mathrm{dead}_{\mathrm{Abs}}(k,m)\leq\mathrm{dead}_{\mathrm{TopK}}(k,m)",
    source="a reading of Zhu, Khalili, Zhu (2025), arXiv 2510.00404, gradients of the two activations",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(WIDE, ALONE),
    instances=each_seed(m=48),
    conclusion=_conclusion,
    controls=(
        Control(WIDE.name, one(m=96), "m = 4n: the same"),
        Control(ALONE.name, one(m=48, aux_k=8), "AuxK does not level them"),
    ),
    mutants=(
        Mutant("the largest values", theory.gradient_mask, lambda u, k, *, ops=None: _largest(u, k), st.just(NEEDED)),
    ),
    note=(
        "Measured: 24 signed axes, k = 3, 800 steps, three seeds. Dead at m = 48: .38-.42 against .06-.15, at m = 96 "
        ".62-.69 against .42-.48, with AuxK .70 against .50. On unipolar features at m = 48 alike (.42-.44 and "
        ".38-.44). A dead latent is no loss here: AbsTopK's FVU is 0. That the gradient's mask has both signs holds."
    ),
)


def _largest(u, k):
    kept = sorted(range(len(u)), key=lambda i: -u[i])[:k]
    return [float(i in kept) for i in range(len(u))]
