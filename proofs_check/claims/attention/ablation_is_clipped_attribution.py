"""ATTN-2: taking a head away changes an active latent by the head's part, or by all of it, whichever is less."""

import torch
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.attention.cases import ABLATED, Layer, layers
from proofs_check.engines import smt
from proofs_check.instances.draw import numbers
from workbench.metrics import attribution
from workbench.theory import attention as theory

SAME_SET = Hypothesis("TopK keeps the same latents", lambda case: case.swapped)


def _conclusion(case: Layer) -> dict[str, Part]:
    effects, parts = case.effects, case.parts.transpose(0, 1)
    f, pre = (t.expand_as(parts) for t in (case.latents(case.pre), case.pre))
    on, unit = f > 0, 1 + float(parts.abs().max() + pre.abs().max())
    judged = on if case.k else torch.ones_like(on)  # of latents that TopK leaves out nothing is said
    wanted = [
        theory.ablation_effect(p, a) for p, a in zip(pre.flatten().tolist(), parts.flatten().tolist(), strict=True)
    ]

    def where(mask: Tensor, values: Tensor) -> Tensor:
        return torch.where(mask, values, 0.0).flatten()

    effect = where(on, effects)
    return {
        "by formula": equal(
            where(judged, effects), where(judged, torch.tensor(wanted, dtype=torch.float64).view_as(parts)), unit=unit
        ),
        "active: min(part, f)": equal(effect, where(on, torch.minimum(parts, f)), unit=unit),
        "short by": equal(where(on, parts - effects), where(on, (parts - f).clamp_min(0)), unit=unit),
        "at most f": at_most(effect, where(on, f), unit=unit),
    }


def _stays(unknowns, ops):
    pre, part = unknowns("pre part")
    effect = theory.ablation_effect(pre, part, ops=ops)
    return [pre > 0, part <= pre], [effect == part, effect == ops.smaller(part, pre)]


def _falls(unknowns, ops):
    pre, part = unknowns("pre part")
    effect = theory.ablation_effect(pre, part, ops=ops)
    return [pre > 0, part > pre], [effect == pre, effect < part, effect == ops.smaller(part, pre)]


def _short(unknowns, ops):
    pre, part = unknowns("pre part")
    return [pre > 0], [part - theory.ablation_effect(pre, part, ops=ops) == ops.larger(part - pre, ops.num("0"))]


def _wakes(unknowns, ops):
    """A latent that is off can only be switched on, by a head that held it down."""
    pre, part = unknowns("pre part")
    effect = theory.ablation_effect(pre, part, ops=ops)
    return [pre <= 0], [effect <= 0, effect == -ops.larger(pre - part, ops.num("0"))]


def _swap(other: float) -> Layer:
    """Two heads of width 1 and two latents, k = 1: without head 0 the other latent wins though the first is above 0."""
    one = torch.ones(2, 1, 1, dtype=torch.float64)
    W = torch.tensor([[2.0, 0.0], [1.0, other]], dtype=torch.float64)
    nothing = torch.zeros(2, dtype=torch.float64)
    return Layer(one, one, W, nothing, nothing, k=1, selects_again=True)


CLAIM = Claim(
    id="ATTN-2",
    statement=(
        "Setting z_h to 0 lowers a latent f > 0 by min(DFA_h, f), for ReLU and for TopK whose set of latents stays: by "
        "exactly DFA_h as long as DFA_h ≤ f, else by f. A latent that is off changes by −(pre − DFA_h)₊, not by DFA_h."
    ),
    tex=r"f-f_{\setminus h}=\min(\mathrm{DFA}_h,f)\quad\text{for }f>0",
    source="ours; the attribution is that of Kissane et al. (2024), arXiv 2406.17759",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SAME_SET,),
    instances=layers(topk=True),
    conclusion=_conclusion,
    controls=(
        Control(SAME_SET.name, numbers(1.1, 2.9).map(_swap), "k = 1: without head 0 the other latent is larger"),
    ),
    proofs={
        LOOPS: ABLATED,
        ("active: min(part, f)", "at most f"): (
            smt.implies("DFA_h ≤ f: by DFA_h", "all reals", _stays),
            smt.implies("DFA_h > f: by f, which is less", "all reals", _falls),
        ),
        "short by": smt.implies("DFA_h − effect is (DFA_h − f)₊", "all reals", _short),
        BESIDE: smt.implies("off: −(pre − DFA_h)₊", "all reals", _wakes),
    },
    mutants=(
        Mutant("the part itself", theory.ablation_effect, lambda pre, part, *, ops=None: part),
        Mutant("half of it", theory.ablation_effect, lambda pre, part, *, ops=None: part / 2),
        edited(
            "heads in reverse", attribution.by_head, lambda f: lambda z, W, heads, scale=1.0: f(z, W, heads, -scale)
        ),
    ),
    note=(
        "The proofs are of the formula; that the shipped SAEs fall by it is tried at a few draws up to 64 heads, and "
        "sampled. Where TopK selects again, a latent that drops out loses all of f however small the head's part was."
    ),
    shown_by="experiments/attention/study.py",
)
