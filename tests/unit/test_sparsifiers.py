"""Sparsifiers and sparse products against full sorts, loops and dense algebra."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from synthetic.source import Codes
from workbench import kernels
from workbench.parts import sparsifiers
from workbench.parts.sparsifiers import batch_top_k, jump, masked, step, top_k, track_smallest

rng = S.stream(0, "tests/sparsifiers")
_START = rng.get_state()


@pytest.fixture(autouse=True)
def _same_draws_whichever_tests_run():
    rng.set_state(_START)


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=rng, dtype=dtype)


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


def k_of(*k):
    return torch.tensor(k if len(k) > 1 else k[0])


# --- top-k -----------------------------------------------------------------------------------------------------------


def test_top_k_by_hand():
    pre = torch.tensor([[3.0, -1.0, 2.0, 5.0], [-1.0, -2.0, -3.0, -4.0], [0.0, 0.5, 0.0, -1.0]])
    assert_close(dense(top_k(pre, k_of(2))), torch.tensor([[3.0, 0, 0, 5], [0, 0, 0, 0], [0, 0.5, 0, 0]]))


@pytest.mark.parametrize("stack", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("m", "largest"), [(1, 1), (5, 5), (40, 16), (40, 17), (256, 4), (257, 4), (900, 30)])
def test_top_k_equals_a_full_sort(stack, m, largest):
    pre = normal(*stack, 7, m)
    k = torch.randint(1, largest + 1, stack, generator=rng)
    k.view(-1)[0] = largest
    found = dense(top_k(pre, k))
    value = pre.sort(-1, descending=True).values
    cut = value.gather(-1, (k[..., None, None] - 1).expand(*stack, 7, 1))
    assert torch.equal(found, torch.where((pre >= cut) & (pre > 0), pre, 0.0))


@pytest.mark.parametrize("m", [12, 300])
def test_ties_never_raise_the_count(m):
    pre = torch.ones(4, m)
    pre[:, 3] = 2.0
    found = dense(top_k(pre, k_of(3)))
    assert found.count_nonzero(-1).tolist() == [3] * 4
    assert found[:, 3].tolist() == [2.0] * 4
    assert found.sum(-1).tolist() == [4.0] * 4


def test_k_beyond_the_positive_entries_keeps_the_positive_ones():
    for m in (6, 300):
        pre = -torch.ones(2, m)
        pre[0, 1], pre[0, 4] = 1.0, 2.0
        assert torch.equal(dense(top_k(pre, k_of(5))), pre.relu())
        assert torch.equal(dense(top_k(pre, k_of(m))), pre.relu())


def test_both_paths_agree_in_values_and_gradients(monkeypatch):
    k, weight = torch.tensor([2, 7]), normal(2, 9, 30)
    pre = normal(2, 9, 30)
    results = []
    for limit in (256, 0):
        monkeypatch.setattr(kernels, "DENSE_BELOW", limit)
        leaf = pre.clone().requires_grad_()
        codes = top_k(leaf, k)
        assert isinstance(codes, Codes) is (limit == 0)
        (dense(codes) * weight).sum().backward()
        results.append((dense(codes), leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert torch.equal(results[0][1], torch.where(results[0][0] != 0, weight, 0.0))


# --- batch top-k -----------------------------------------------------------------------------------------------------


def test_batch_top_k_spends_the_batch_budget_where_it_pays():
    pre = torch.tensor([[9.0, 8.0, 7.0], [1.0, 2.0, -1.0]])
    assert_close(dense(batch_top_k(pre, k_of(2.0))), torch.tensor([[9.0, 8, 7], [0, 2, 0]]))
    assert_close(dense(batch_top_k(pre, k_of(0.5))), torch.tensor([[9.0, 0, 0], [0, 0, 0]]))
    assert_close(dense(batch_top_k(pre, k_of(3.0))), pre.relu())


@pytest.mark.parametrize("m", [20, 700])  # dense and sparse results
@pytest.mark.parametrize("stack", [(), (2,), (2, 2)])
def test_batch_top_k_equals_brute_force(stack, m):
    pre, n = normal(*stack, 11, m), 11
    k = 0.3 + 8 * torch.rand(stack, generator=rng)
    found = dense(batch_top_k(pre, k))
    for rows, own, kept in zip(pre.view(-1, n, m), k.view(-1).tolist(), found.view(-1, n, m), strict=True):
        count = min(round(n * own), int((rows > 0).sum()))
        best = rows.flatten().sort(descending=True).indices[:count]
        expected = torch.zeros(n * m).index_put((best,), rows.flatten()[best])
        assert torch.equal(kept.flatten(), expected)


def test_batch_top_k_passes_gradient_to_what_it_keeps():
    for m in (20, 700):
        pre = normal(6, m).requires_grad_()
        kept = dense(batch_top_k(pre, k_of(2.5)))
        (2 * kept).sum().backward()
        assert torch.equal(pre.grad, 2.0 * (kept != 0))
        assert int((kept != 0).sum()) == 15


@pytest.mark.parametrize("length", [1, 10, 99_999, 100_001, 400_000])
@pytest.mark.parametrize("k", [1, 3, 1000])
def test_kth_largest_is_exact(length, k):
    k = min(k, length)
    row = torch.randperm(length, generator=rng).float()
    assert sparsifiers._kth_largest(row, k).item() == length - k


def test_kth_largest_survives_a_sample_that_misleads():
    """The strided sample sees every large entry (it then bounds too high), or none of them."""
    length, k = 200_000, 40
    stride = length // (16 * 1024) + 1
    for first in (0, 1):
        row = torch.rand(length, generator=rng)
        row[first : first + 60 * stride : stride] += 5.0
        expected = row.sort(descending=True).values
        for own in (k, 60, 61, 500):
            assert sparsifiers._kth_largest(row, own).item() == expected[own - 1].item()


# --- masks and thresholds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", [(), (3,)])
def test_wide_masks_become_sparse_and_say_the_same(stack):
    wide = kernels.DENSE_BELOW + 1
    pre = normal(*stack, 5, wide)
    mask = torch.rand(*stack, 5, wide, generator=rng) < 0.02
    mask[..., 2, :] = False
    codes = masked(pre, mask)
    assert isinstance(codes, Codes)
    assert codes.values.shape[-1] == int(mask.sum(-1).max())
    assert torch.equal(codes.dense(), pre * mask)
    assert isinstance(masked(pre[..., 1:], mask[..., 1:]), torch.Tensor)


def test_an_empty_mask_gives_zeros():
    codes = masked(normal(3, 600), torch.zeros(3, 600, dtype=torch.bool))
    assert torch.equal(dense(codes), torch.zeros(3, 600))


def test_threshold_starts_at_the_first_batch_and_then_follows():
    threshold, rate = torch.zeros(2), torch.tensor([0.1, 0.5])
    f = torch.tensor([[[2.0, 0.0], [4.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]])
    track_smallest(threshold, f, rate)
    assert threshold.tolist() == [2.0, 0.0]  # a silent member waits
    f = torch.tensor([[[3.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [8.0, 0.0]]])
    track_smallest(threshold, f, rate)
    assert_close(threshold, torch.tensor([0.9 * 2 + 0.1 * 3, 8.0]))
    track_smallest(
        threshold, Codes(torch.zeros(2, 1, 2, dtype=torch.long), torch.tensor([[[1.0, 0]], [[4, 0]]]), 9), rate
    )
    assert_close(threshold, torch.tensor([0.9 * 2.1 + 0.1, 6.0]))


# --- jump and step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("kind", [jump, step])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_jump_and_step_by_formula(kind, through, stack):
    """d/dt of x 1[x > t] is -t/b, of 1[x > t] -1/b, where |x - t| < b/2."""
    x, t = normal(*stack, 20, 5, dtype=torch.float64), torch.rand(*stack, 5, generator=rng, dtype=torch.float64)
    b = 0.5 + torch.rand(stack, generator=rng, dtype=torch.float64)
    g = normal(*stack, 20, 5, dtype=torch.float64)
    x.requires_grad_()
    t.requires_grad_()
    out = kind(x, t, b, through=through)
    out.backward(g)
    at = t.detach()[..., None, :].expand_as(x)
    width = b[..., None, None].expand_as(x)
    with torch.no_grad():
        is_open = (x > at).double()
        band = ((x - at).abs() < width / 2).double() / width
        slope = band * at if kind is jump else band
        assert torch.equal(out, x * is_open if kind is jump else is_open)
        assert_close(t.grad, -(slope * g).sum(-2))
        assert_close(x.grad, g * ((is_open if kind is jump else 0 * x) + (slope if through else 0.0)))
        assert int(((x - at).abs() < width / 2).sum()) > 5  # the band is not empty here


def test_jump_by_hand():
    x, t = torch.tensor([[0.9, 1.1, 1.3, 2.0]]).requires_grad_(), torch.ones(4, requires_grad=True)
    jump(x, t, torch.tensor(0.5)).sum().backward()
    assert_close(t.grad, torch.tensor([-2.0, -2.0, 0.0, 0.0]))  # -t/b within .25 of t, on either side
    assert_close(x.grad, torch.tensor([[0.0, 1.0, 1.0, 1.0]]))
    t.grad = None
    step(x, t, torch.tensor(0.25)).sum().backward()
    assert_close(t.grad, torch.tensor([-4.0, -4.0, 0.0, 0.0]))


def test_a_pre_activation_on_the_threshold_is_silent():
    assert jump(torch.tensor([[1.0]]), torch.ones(1), torch.tensor(0.5)).item() == 0.0


# --- sparse products -------------------------------------------------------------------------------------------------


def problem(stack, n, k, m, d):
    """Codes with repeated indices and zeros at any index, and rows to sum."""
    indices = torch.randint(0, m, (*stack, n, k), generator=rng)
    values = normal(*stack, n, k, dtype=torch.float64)
    values *= torch.rand(*stack, n, k, generator=rng) < 0.7
    if k > 1:
        indices[..., 0, 1] = indices[..., 0, 0]
    return indices, values, normal(*stack, m, d, dtype=torch.float64)


def products(decode, indices, values, rows, gradient):
    values, rows = values.clone().requires_grad_(), rows.clone().requires_grad_()
    out = decode(Codes(indices, values, rows.shape[-2]), rows)
    out.backward(gradient.expand_as(out))
    return out.detach(), values.grad, rows.grad


@pytest.mark.parametrize("stack", [(), (3,), (2, 2)])
@pytest.mark.parametrize(("n", "k", "m"), [(9, 4, 520), (1, 1, 513), (30, 8, 600)])
def test_sparse_decode_equals_the_dense_product_and_its_gradients(stack, n, k, m):
    indices, values, rows = problem(stack, n, k, m, 3)
    upstream = normal(*stack, n, 3, dtype=torch.float64)
    for gradient in (upstream, torch.ones((), dtype=torch.float64), upstream.mT.contiguous().mT):
        found = products(kernels.decode, indices, values, rows, gradient)
        expected = products(kernels.decode_reference, indices, values, rows, gradient)
        for ours, theirs in zip(found, expected, strict=True):
            assert_close(ours, theirs)


def test_sparse_decode_passes_gradcheck(monkeypatch):
    monkeypatch.setattr(kernels, "DENSE_BELOW", 0)
    indices, values, rows = problem((2,), 4, 3, 6, 2)
    values[values == 0] = 0.5  # a slot that is 0 sends nothing to its row, and finite differences would move it
    ours = lambda v, w: kernels.decode(Codes(indices, v, 6), w)  # noqa: E731
    assert torch.autograd.gradcheck(ours, (values.requires_grad_(), rows.requires_grad_()))


def test_silent_codes_decode_to_0_with_zero_row_gradient():
    indices, values, rows = problem((), 5, 2, 600, 3)
    out, _, gradient = products(kernels.decode, indices, 0 * values, rows, torch.ones((), dtype=torch.float64))
    assert torch.equal(out, torch.zeros(5, 3, dtype=torch.float64))
    assert torch.equal(gradient, torch.zeros_like(rows))


def test_frozen_rows_need_no_gradient():
    indices, values, rows = problem((2,), 5, 2, 600, 3)
    values.requires_grad_()
    kernels.decode(Codes(indices, values, 600), rows).sum().backward()
    expected = rows.sum(-1)[torch.arange(2)[:, None, None], indices]
    assert_close(values.grad, expected)
    values.grad = None
    with torch.no_grad():
        assert not kernels.decode(Codes(indices, values, 600), rows.requires_grad_()).requires_grad
