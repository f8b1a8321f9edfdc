"""Proximal maps against brute force: all supports of a row, fine grids of an entry."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from proofs_check.claims.signed.proximal_cases import PROXIMAL, group_l1
from synthetic.source import Codes
from workbench import kernels
from workbench.parts.sparsifiers import abs_top_k, group_soft_threshold, hard_threshold, soft_threshold

WEIGHTS = [name for name, proximal in PROXIMAL.items() if not proximal.counts]
COUNTS = [name for name, proximal in PROXIMAL.items() if proximal.counts]


def normal(*shape, dtype=torch.float64, name="tests/proximal"):
    return torch.randn(*shape, generator=S.stream(0, name), dtype=dtype)


@pytest.mark.parametrize("name", [n for n in WEIGHTS if n != "group_l1"])
@pytest.mark.parametrize("lam", [0.05, 0.5, 2.0])
def test_no_point_of_a_grid_is_better(name, lam):
    """Each entry is minimised alone: no value on a grid, nor 0, nor u beats the map's."""
    proximal, u = PROXIMAL[name], 2 * normal(40, 1)
    z = proximal.prox(u, lam)
    found = proximal.objective(z, u, lam)
    assert bool(found.isfinite().all())
    for candidate in [torch.zeros(()).double(), *torch.linspace(-6, 6, 2401, dtype=torch.float64), *u.flatten()]:
        assert bool((found <= proximal.objective(candidate.expand_as(u), u, lam) + 1e-12).all())
    assert len(set(map(bool, (z == 0).flatten().tolist()))) == 2 or lam != 0.5  # both branches are visited


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(("m", "k"), [(1, 1), (4, 2), (7, 1), (7, 3), (7, 7)])
def test_no_support_is_better(name, m, k):
    """On each of the 2^m supports the best row is u there, or its positive part."""
    proximal, u = PROXIMAL[name], normal(30, m)
    found = proximal.objective(proximal.prox(u, k), u, k)
    best = torch.full_like(found, torch.inf)
    for support in product((0.0, 1.0), repeat=m):
        z = (u.relu() if name.startswith("nonnegative") else u) * torch.tensor(support, dtype=torch.float64)
        best = torch.minimum(best, proximal.objective(z, u, k))
    assert_close(found, best)


def test_rectifying_before_the_choice_by_magnitude_differs():
    u = torch.tensor([[3.0, -5.0, 1.0]])
    assert PROXIMAL["count"].prox(u, 1).tolist() == [[0.0, -5.0, 0.0]]
    assert PROXIMAL["count"].prox(u.relu(), 1).tolist() == [[3.0, 0.0, 0.0]]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("lam", [1.0, 1.5])
def test_groups_shrink_as_a_whole(size, lam):
    """No direction from the minimum descends, and u - prox(u) is the projection on the ball of radius lam."""
    proximal, u = group_l1(size), normal(25, 6)
    z = proximal.prox(u, lam)
    found = proximal.objective(z, u, lam)
    for length in (1e-3, 0.1, 1.0):
        for i in range(20):
            other = z + length * normal(25, 6, name=f"tests/proximal/{i}")
            assert bool((proximal.objective(other, u, lam) >= found).all())
    group = u.unflatten(-1, (-1, size))
    ball = group * (lam / group.norm(dim=-1, keepdim=True)).clamp_max(1.0)
    assert_close(u - z, ball.flatten(-2))
    silent = (z.unflatten(-1, (-1, size)) == 0).sum(-1)
    assert set(silent.flatten().tolist()) == {0, size}
    if size == 1:
        assert_close(z, soft_threshold(u, lam))


def test_a_silent_group_has_finite_gradients():
    u = torch.zeros(1, 4).requires_grad_()
    group_soft_threshold(u, 0.5, 2).sum().backward()
    assert torch.equal(u.grad, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="pad or regroup"):
        group_soft_threshold(torch.zeros(1, 5), 0.5, 2)


@pytest.mark.parametrize("name", PROXIMAL)
def test_convex_ones_and_no_others_are_nonexpansive(name):
    proximal = PROXIMAL[name]
    u = normal(4000, 6)
    v = u + 0.05 * normal(4000, 6, name="tests/proximal/shift")
    grown = (proximal.prox(u, 1) - proximal.prox(v, 1)).norm(dim=-1) / (u - v).norm(dim=-1)
    assert bool((grown <= 1 + 1e-9).all()) is proximal.convex
    assert proximal.after(2, 0.25) == (2 if proximal.counts else 0.5)


def test_thresholds_by_hand():
    u = torch.tensor([-3.0, -1.0, 0.5, 1.0, 2.0])
    assert soft_threshold(u, 1.0).tolist() == [-2.0, 0.0, 0.0, 0.0, 1.0]
    assert soft_threshold(u, 1.0, nonnegative=True).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert hard_threshold(u, 1.0).tolist() == [-3.0, 0.0, 0.0, 0.0, 2.0]
    assert hard_threshold(u, torch.tensor([4.0, 0.5, 0.4, 0.4, 3.0]), nonnegative=True).tolist() == [0, 0, 0.5, 1, 0]
    assert group_soft_threshold(torch.tensor([3.0, 4.0, 0.3, 0.4]), 1.0, 2).tolist() == pytest.approx([2.4, 3.2, 0, 0])


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("m", [6, 300])  # dense and sparse results
def test_magnitude_top_k_equals_a_full_sort_with_its_gradient(stack, m):
    pre = normal(*stack, 9, m).requires_grad_()
    k = torch.tensor([2, 4] if stack else 3)
    codes = abs_top_k(pre, k)
    assert isinstance(codes, Codes) is kernels.sparse_pays(m)
    found = codes.dense() if isinstance(codes, Codes) else codes
    size = pre.detach().abs()
    cut = size.sort(-1, descending=True).values.gather(-1, (k[..., None, None] - 1).expand(*stack, 9, 1))
    assert torch.equal(found, torch.where(size >= cut, pre, 0.0))
    assert bool((found < 0).any())
    weight = normal(*stack, 9, m, name="tests/proximal/weight")
    (found * weight).sum().backward()
    assert_close(pre.grad, torch.where(size >= cut, weight, 0.0))


@pytest.mark.parametrize("m", [6, 300])
def test_magnitudes_that_tie_or_vanish_never_raise_the_count(m):
    pre = torch.zeros(3, m)
    pre[1, :5], pre[2, 0] = torch.tensor([1.0, -1.0, 1.0, -1.0, 2.0]), -3.0
    codes = abs_top_k(pre, torch.tensor(3))
    found = codes.dense() if isinstance(codes, Codes) else codes
    assert found.count_nonzero(-1).tolist() == [0, 3, 1]
    assert found.abs().sum(-1).tolist() == [0.0, 4.0, 3.0]
