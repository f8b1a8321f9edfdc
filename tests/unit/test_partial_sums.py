"""HierarchicalTopK's and the ordered SAE's losses: by hand, against their definitions, on other encoders."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench.parts.base import Coded, Pass
from workbench.parts.objectives import Hierarchical, Ordered
from workbench.sae import Stack

X = torch.tensor([[3.0, 4.0, 0.0]])
DENSE = torch.tensor([[2.0, 3.0, 0.0]])
SPARSE = Codes(torch.tensor([[1, 0, 2]]), torch.tensor([[3.0, 2.0, 0.0]]), 3)


def by_hand(latents):
    """The pass of an SAE whose rows are the axes, b_dec = 0."""
    sae = W.create("topk", 3, 3, k=3)
    with torch.no_grad():
        sae.W_dec.copy_(torch.eye(3))
    return Pass(X, Coded(latents, DENSE, X), DENSE, sae.encoder, sae.decoder, X)


@pytest.mark.parametrize("latents", [DENSE, SPARSE])
def test_losses_by_hand(latents):
    # the largest latent alone leaves (3, 1), both leave (1, 1); the first latent alone leaves (1, 4)
    out, stack = by_hand(latents), Stack("by_hand", 3, 3)
    assert_close(Hierarchical(stack, k=3)(out), torch.tensor((10 + 2 + 2) / 3))
    assert_close(Hierarchical(stack, k=1)(out), torch.tensor(2.0))  # the last budget is the whole code
    assert_close(Ordered(stack)(out), torch.tensor((17 + 2 + 2) / 3))
    p = torch.tensor([4.0, 2.0, 1.0]) / 7
    assert_close(Ordered(stack, r=0.125)(out), p @ torch.tensor([17.0, 2.0, 2.0]))


@pytest.mark.parametrize("m", [12, 300])
@pytest.mark.parametrize(
    ("name", "settings"), [("topk", {"k": 4}), ("relu", {}), ("structured", {"reading": "residual"})]
)
def test_losses_are_their_definitions(name, settings, m):
    x = torch.randn(5, 6, generator=S.stream(0, "tests/partial_sums"))
    for objective in ("hierarchical=4", "hierarchical=4,powers", "ordered=.5"):
        sae = W.create(name, 6, m, objective=objective, **settings)
        out = sae.trace(x)
        f, rest = out.dense(), sae.b_dec if out.coded.beside is None else out.coded.beside
        if objective.startswith("ordered"):
            p = 0.5 ** (torch.arange(1, m + 1) / m)
            partial = [f * (torch.arange(m) < j) for j in range(1, m + 1)]
            wanted = sum(
                w * (x - rest - g @ sae.W_dec).square().sum(-1).mean() for w, g in zip(p, partial, strict=True)
            )
            wanted = wanted / p.sum()
        else:
            budgets = [1, 2] if "powers" in objective else [1, 2, 3]
            rank = f.argsort(dim=-1, descending=True, stable=True).argsort(-1)
            partial = [*(f * (rank < j) for j in budgets), f]
            wanted = sum((x - rest - g @ sae.W_dec).square().sum(-1).mean() for g in partial) / len(partial)
        assert_close(sae.loss(out)["mse"], wanted)


@pytest.mark.parametrize("objective", ["ordered", "hierarchical=6"])
def test_thresholds_learn_from_latents_that_are_about_to_fire(objective):
    """Gradients are those of the losses' definitions, entries of 0 inside a JumpReLU's kernel among them."""
    sae = W.create("jumprelu", 6, 12, bandwidth=0.8, start=0.5, objective=objective).double()
    x = torch.randn(40, 6, generator=S.stream(0, "tests/partial_sums"), dtype=torch.float64)
    threshold = sae.tensor("threshold")
    out = sae.trace(x)
    f, near = out.dense(), (out.evidence - threshold).abs() < 0.4
    assert bool(((f == 0) & near).any())
    if objective == "ordered":
        partial = [f * (torch.arange(12) < j) for j in range(1, 13)]
    else:  # those inside the kernel join first among the latents of 0
        rank = (f + 1e-9 * near).argsort(dim=-1, descending=True, stable=True).argsort(-1)
        partial = [*(f * (rank < j) for j in range(1, 6)), f]
    wanted = sum((x - g @ sae.W_dec).square().sum(-1).mean() for g in partial) / len(partial)
    mse = sae.loss(out)["mse"]
    assert_close(mse, wanted)
    for got, right in zip(
        torch.autograd.grad(mse, list(sae.parameters()), retain_graph=True, allow_unused=True),
        torch.autograd.grad(wanted, list(sae.parameters()), retain_graph=True, allow_unused=True),
        strict=True,
    ):
        if right is not None and right.shape == threshold.shape:
            assert_close(got, right)


def test_members_may_have_budgets_of_their_own():
    x = torch.randn(5, 6, generator=S.stream(0, "tests/partial_sums"))
    stack = W.create("hierarchical_topk", 6, 12, k=[1, 3])
    alone = [W.create("hierarchical_topk", 6, 12, k=k) for k in (1, 3)]
    wanted = torch.stack([sae.loss(sae.trace(x))["mse"] for sae in alone])
    assert_close(stack.loss(stack.trace(x))["mse"], wanted)


def test_a_polynomial_has_no_partial_sums():
    sae = W.create("polysae", 6, 12, objective="hierarchical=4")
    with pytest.raises(ValueError, match="use an encoder whose decoder is rows"):
        sae.loss(sae.trace(torch.zeros(2, 6)))
