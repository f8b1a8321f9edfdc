"""DC-14: no latent of any SAE says more of a concept than Bayes does."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.concepts.cases import predicted
from proofs_check.claims.concepts.probes_reach_bayes import ABOVE, BINARY, MILD
from workbench.tensors import TENSOR
from workbench.theory import concept_probes as theory
from workbench.topics.concepts import probes


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents by context, or by context and label where the label leaks in."""

    x: Float[Tensor, "n d"]
    f: Float[Tensor, "n m"]
    p: Float[Tensor, " n"]
    """P(c = 1), 0 or 1 where the label is known"""
    weights: Float[Tensor, " n"]
    bound: float
    """H(c|s)"""
    said: str

    def __str__(self) -> str:
        return self.said


def _conclusion(case: Latents) -> dict[str, Part]:
    one = case.f.T[:, :, None]
    said = probes.logits(one, probes.logistic(one, case.p, case.weights, ridge=1e-12))
    lost = theory.log_loss(said.clamp(-700.0, 700.0), case.p, ops=TENSOR) @ case.weights
    return {"H(c|s)": at_most(case.bound, lost.min() + 1e-9)}


@st.composite
def _latents(draw, leaks=False):
    case = draw(
        predicted(st.sampled_from([S.ConceptTyped(), S.Generic(16)]), MILD, priors=[S.Potts(1.0)], sizes=BINARY)
    )
    model, x = case.model, case.x / case.x.std()
    rng = S.stream(case.concepts.seed, "claim/latents")
    f = (x @ torch.randn(x.shape[1], 12, generator=rng, dtype=torch.float64)).relu()
    p, w = model.log_odds[:, 0].sigmoid(), model.weights
    bound = float(w @ theory.entropy(p, ops=TENSOR))
    if leaks:  # every context twice, with its label
        label = torch.cat((torch.ones_like(p), torch.zeros_like(p)))
        x, f = torch.cat((x, x)), torch.cat((torch.cat((f, f)), label[:, None]), 1)
        p, w = label, torch.cat((w * p, w * (1 - p)))
    return Latents(x, f, p, w, bound, str(case))


def _spread(case: Latents) -> float:
    """By how much latents differ between samples of one x."""
    same = (case.x[:, None] == case.x).all(2)
    apart = (case.f[:, None] - case.f).abs().amax(2)
    return float(torch.where(same, apart, 0.0).max())


OF_X = Hypothesis("latents are functions of x", _spread)

CLAIM = Claim(
    id="DC-14",
    statement=(
        "A latent is a function of the context: after any fit of slope and intercept its log-loss on c_k is at least "
        "H(c_k|s). Supervised extractors are a ceiling for scores of SAEs; what is above it has seen a "
        "label."
    ),
    tex=r"\min_{i,a,b}\mathbb E[-\log\sigma_{c_k}(af_i+b)]\geq H(c_k|s)",
    source="ours, of the evaluation of SAEs in Liu et al. (2025), arXiv 2503.08980, as reported by readers",
    promised=Verdict.PROVED,
    hypotheses=(OF_X,),
    instances=_latents(),
    nontrivial=lambda case: case.bound > 1e-3,
    conclusion=_conclusion,
    controls=(Control(OF_X.name, _latents(leaks=True), "a latent that is the label"),),
    proofs={"H(c|s)": ABOVE},
    mutants=(Mutant("in bits and more", theory.entropy, lambda p, *, ops=theory.FLOAT: -3 * p * ops.log(p)),),
    shown_by="experiments/concepts/saes.py",
)
