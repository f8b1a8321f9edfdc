"""Laws of the sparsifiers on drawn arrays of small integers, where ties and sign changes are common."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from synthetic.source import Codes
from workbench import kernels
from workbench.parts import sparsifiers
from workbench.parts.sparsifiers import batch_top_k, masked, top_k

SHAPES = st.sampled_from([(), (1,), (2,), (2, 2)])


@st.composite
def arrays(draw, shape):
    """Tensors of integers in [-3, 4]: ties are the rule."""
    count = torch.Size(shape).numel()
    entries = draw(st.lists(st.integers(-3, 4), min_size=count, max_size=count))
    return torch.tensor(entries, dtype=torch.float32).view(shape)


@st.composite
def rows_with_k(draw):
    stack, n, m = draw(SHAPES), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    members = torch.Size(stack).numel()
    k = torch.tensor(draw(st.lists(st.integers(1, m), min_size=members, max_size=members))).view(stack)
    return draw(arrays((*stack, n, m))), k


def dense(codes):
    return codes.dense() if isinstance(codes, Codes) else codes


@pytest.mark.parametrize("dense_below", [256, 0])
@given(problem=rows_with_k())
def test_top_k_keeps_what_a_sort_puts_first(dense_below, problem):
    """The kept values are the k largest positive ones with multiplicity, each at its own place."""
    pre, k = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "DENSE_BELOW", dense_below)
        found = dense(top_k(pre, k))
    assert bool(((found == 0) | (found == pre)).all())
    rank = torch.arange(pre.shape[-1])
    first = pre.relu().sort(-1, descending=True).values * (rank < k[..., None, None])
    assert torch.equal(found.sort(-1, descending=True).values, first)


@given(problem=rows_with_k())
def test_top_k_maximises_the_inner_product(problem):
    """sum of the k best positive entries = max over masks of at most k entries, enumerated."""
    pre, k = problem
    found = (dense(top_k(pre, k)) * pre).sum(-1)
    m = pre.shape[-1]
    masks = torch.tensor([[i >> j & 1 for j in range(m)] for i in range(2**m)], dtype=torch.float32)
    value = (pre.relu() * pre) @ masks.T
    allowed = masks.sum(1) <= k[..., None, None]
    assert_close(found, torch.where(allowed, value, -torch.inf).amax(-1))


@given(problem=rows_with_k(), share=st.floats(0.05, 1.0))
def test_batch_top_k_keeps_everything_above_the_cut(problem, share):
    pre, k = problem
    k = k * share
    found = dense(batch_top_k(pre, k))
    n, m = pre.shape[-2:]
    for rows, own, kept in zip(pre.reshape(-1, n * m), k.flatten().tolist(), found.reshape(-1, n * m), strict=True):
        count = min(max(round(own * n), 1), n * m)
        cut = sorted(rows.tolist(), reverse=True)[count - 1]
        assert kept.tolist() == [v if v >= max(cut, 1.0) else 0.0 for v in rows.tolist()]


@given(
    row=st.lists(st.integers(-5, 5), min_size=1, max_size=60),
    k=st.integers(1, 60),
)
def test_kth_largest_equals_a_sort(row, k):
    k = min(k, len(row))
    assert sparsifiers._kth_largest(torch.tensor(row).float(), k).item() == sorted(row, reverse=True)[k - 1]


@given(data=st.data())
def test_masked_is_a_product(data):
    stack, n = data.draw(SHAPES), data.draw(st.integers(1, 3))
    pre = torch.zeros(*stack, n, 520)
    pre[..., :4] = data.draw(arrays((*stack, n, 4)))
    mask = torch.zeros_like(pre, dtype=torch.bool)
    mask[..., :4] = data.draw(arrays((*stack, n, 4))) > 0
    assert torch.equal(dense(masked(pre, mask)), pre * mask)


@given(data=st.data())
def test_decode_is_the_dense_product(data):
    """Values and both gradients, for any indices (repeated too) and values (0 too)."""
    stack, n, k, m, d = data.draw(SHAPES), *(data.draw(st.integers(1, 3)) for _ in range(3)), 2
    count = torch.Size((*stack, n, k)).numel()
    drawn = data.draw(st.lists(st.integers(0, m - 1), min_size=count, max_size=count))
    indices = torch.tensor(drawn).view(*stack, n, k)
    values, rows = data.draw(arrays((*stack, n, k))).double(), data.draw(arrays((*stack, m, d))).double()
    upstream = data.draw(arrays((*stack, n, d))).double()
    results = []
    for limit in (0, 512):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "DENSE_BELOW", limit)
            v, w = values.clone().requires_grad_(), rows.clone().requires_grad_()
            out = kernels.decode(Codes(indices, v, m), w)
            out.backward(upstream)
            results.append((out.detach(), v.grad, w.grad))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs)
