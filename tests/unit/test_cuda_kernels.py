"""Triton kernels against float64 products: on a GPU where there is one, else under Triton's interpreter."""

import importlib
import importlib.util
import os
import sys

import pytest
import torch
from torch.testing import assert_close

import synthetic as S

GPU = torch.cuda.is_available()
if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)
if not GPU:
    if "triton" in sys.modules and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("triton was imported before TRITON_INTERPRET=1 could be set", allow_module_level=True)
    os.environ["TRITON_INTERPRET"] = "1"

from workbench import create, kernels  # noqa: E402
from workbench.kernels import cuda  # noqa: E402
from workbench.parts.objectives import aux_k_loss  # noqa: E402

DEVICE = torch.device("cuda" if GPU else "cpu")
FLOATS = [torch.float32, torch.bfloat16, torch.float64]
SIZES = [(5, 19, 37, 3), (3, 300, 12, 11), (1, 1, 1, 1)]
"""n, d, M, k: neither divides a tile; several tiles of d and of slots; the least"""


@pytest.fixture
def rng():
    return S.stream(0, "tests/cuda_kernels")


@pytest.fixture(autouse=True)
def _dot_of_bfloat16(monkeypatch):
    """Triton's interpreter multiplies bfloat16 tiles as if their bits were integers: widen them, which is exact."""
    if not GPU:
        interpreter = importlib.import_module("triton.runtime.interpreter")
        plain = interpreter.InterpreterBuilder.create_dot

        def widened(self, a, b, *rest):
            return plain(self, self.cast_impl(a, cuda.tl.float32), self.cast_impl(b, cuda.tl.float32), *rest)

        monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", widened)


def normal(rng, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=rng).to(DEVICE, dtype)


def strided(t):
    """The same entries laid out by columns."""
    return t.mT.contiguous().mT


def codes(rng, n, M, k, dtype=torch.float32):
    """Indices with repeats in each row where k > 1, and values some of which are 0."""
    indices = torch.randint(M, (n, k), generator=rng)
    indices[:, -1] = indices[:, 0]
    values = torch.randn(n, k, generator=rng)
    values[0, 1:] = 0
    return indices.to(DEVICE), values.to(DEVICE, dtype)


def dense(indices, values, M):
    return values.new_zeros(len(values), M, dtype=torch.float64).scatter_add(1, indices, values.double())


def close(found, expected, dtype):
    """Equal up to float32 sums and one last rounding to `dtype`, which the interpreter does towards 0."""
    assert found.dtype == dtype
    rtol, atol = {
        torch.bfloat16: (2**-8 if GPU else 2**-7, 1e-5),
        torch.float32: (1e-5, 1e-5),
        torch.float64: (1e-13, 1e-13),
    }[dtype]
    assert_close(found.double(), expected, rtol=rtol, atol=atol)


# --- sparse products -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "d", "M", "k"), SIZES)
def test_sparse_products_equal_dense_ones(rng, n, d, M, k, dtype):
    indices, values = codes(rng, n, M, k, dtype)
    rows, g = normal(rng, M, d, dtype=dtype), normal(rng, n, d, dtype=dtype)
    f = dense(indices, values, M)
    close(cuda.gather_sum(indices, values, rows), f @ rows.double(), dtype)
    close(cuda.gather_dot(indices, g, rows), (g.double() @ rows.double().mT).gather(1, indices), dtype)
    close(cuda.scatter_rows(indices, values, g, M), f.mT @ g.double(), dtype)


def test_bfloat16_sums_are_float32(rng):
    """256 + 40 ones: bfloat16 sums would stay at 256. Values may have another dtype than rows."""
    indices, ones = torch.arange(41, device=DEVICE)[None], torch.ones(1, 41, device=DEVICE)
    rows = torch.ones(41, 3, dtype=torch.bfloat16, device=DEVICE)
    rows[0] = 256
    total = torch.full((1, 3), 296.0, dtype=torch.bfloat16, device=DEVICE)
    assert torch.equal(cuda.gather_sum(indices, ones, rows), total)
    assert torch.equal(cuda.gather_dot(indices[:, :1], rows[:, 0][None], ones.bfloat16()), total[:, :1])
    same_row = torch.zeros(41, 1, dtype=torch.long, device=DEVICE)
    assert torch.equal(cuda.scatter_rows(same_row, ones.mT, rows, 1), total)


def test_inputs_may_have_any_strides(rng):
    n, d, m, k = 4, 5, 6, 2
    indices, values = codes(rng, n, m, k)
    g, rows, f = strided(normal(rng, n, d)), strided(normal(rng, m, d)), dense(indices, values, m)
    indices, values = strided(indices), strided(values)
    close(cuda.scatter_rows(indices, values, g, m), f.mT @ g.double(), torch.float32)
    close(cuda.gather_sum(indices, values, rows), f @ rows.double(), torch.float32)
    close(cuda.gather_dot(indices, g, rows), (g.double() @ rows.double().mT).gather(1, indices), torch.float32)


@pytest.mark.parametrize("stack", [(), (2,)])
def test_a_training_step_has_the_gradients_of_the_reference(rng, stack, monkeypatch):
    """The interface over these kernels: an SAE's loss, AuxK included, to every parameter."""
    monkeypatch.setattr(kernels, "DENSE_BELOW", 0)
    x, dead = normal(rng, 6, 5), torch.zeros(*stack, 16, dtype=torch.bool, device=DEVICE)
    dead[..., 3:9] = True
    gradients = []
    for name in ("reference", "cuda"):
        sae = create("topk", 5, 16, k=3, seed=[0] * stack[0] if stack else 0).to(DEVICE)
        with kernels.using(name):
            out = sae.trace(x)
            (sae.loss(out)["mse"] + aux_k_loss(out, dead, 2)).sum().backward()
        gradients.append([p.grad for p in sae.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_rows_that_nobody_uses_get_zero_and_padding_reads_nothing(rng):
    indices = torch.tensor([[9, 2], [9, 0]], device=DEVICE)
    values = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], device=DEVICE)
    rows, g = normal(rng, 12, 7), normal(rng, 2, 7)
    found = cuda.scatter_rows(indices, values, g, 12)
    assert found.any(-1).nonzero().flatten().tolist() == [9]
    rows[[0, 2]] = torch.nan
    assert_close(cuda.gather_sum(indices, values, rows), rows[9] * values[:, :1])


@pytest.mark.parametrize(("n", "k"), [(0, 2), (3, 0)])
def test_nothing_is_a_batch_too(rng, n, k):
    indices = torch.zeros(n, k, dtype=torch.long, device=DEVICE)
    rows, g, values = normal(rng, 4, 3), normal(rng, n, 3), normal(rng, n, k)
    assert torch.equal(cuda.gather_sum(indices, values, rows), rows.new_zeros(n, 3))
    assert cuda.gather_dot(indices, g, rows).shape == (n, k)
    assert torch.equal(cuda.scatter_rows(indices, values, g, 4), torch.zeros_like(rows))


# --- encoder ---------------------------------------------------------------------------------------------------------


def encoded(x, W, bias, k):
    """What `encode_top_k` returned, after checks against a full sort."""
    pre, values, indices = cuda.encode_top_k(x, W, bias, k)
    close(pre, x.double() @ W.double().mT + bias.double(), torch.float32)
    assert torch.equal(values, pre.relu().sort(-1, descending=True).values[:, :k])
    assert torch.equal(values, pre.gather(1, indices).relu())
    assert all(len(row.unique()) == k for row in indices)
    return pre, values, indices


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("n", "d", "m", "k"),
    [(5, 19, 37, 1), (5, 19, 37, 3), (5, 19, 37, 20), (5, 19, 64, 3), (67, 70, 150, 3), (1, 1, 1, 1)],
)
def test_encoder_equals_a_full_sort(rng, n, d, m, k, dtype):
    x, W = normal(rng, n, d, dtype=dtype), normal(rng, m, d, dtype=dtype)
    encoded(x, W, normal(rng, m, dtype=dtype), k)
    encoded(strided(x), strided(W), normal(rng, m), k)


def test_the_largest_may_share_one_group_or_lie_in_the_last(rng):
    m, k = 300, 4
    W, x = torch.zeros(m, 3, device=DEVICE), torch.ones(2, 3, device=DEVICE)
    for at in ([8, 9, 10, 11], [296, 297, 298, 299], [0, 7, 8, 299]):
        bias = torch.rand(m, generator=rng).to(DEVICE)
        bias[at] += 1
        _, _, indices = encoded(x, W, bias, k)
        assert [sorted(row) for row in indices.tolist()] == [at, at]


def test_equal_entries_and_rows_with_few_positive_ones():
    m, k = 300, 5
    x, W = torch.zeros(3, 2, device=DEVICE), torch.zeros(m, 2, device=DEVICE)
    _, values, _ = encoded(x, W, torch.ones(m, device=DEVICE), k)
    assert (values == 1).all()
    bias = torch.full((m,), -1.0, device=DEVICE)
    bias[[17, 270]] = torch.tensor([2.0, 3.0], device=DEVICE)
    _, values, indices = encoded(x, W, bias, k)
    assert values.tolist() == [[3, 2, 0, 0, 0]] * 3
    assert indices[:, :2].tolist() == [[270, 17]] * 3


def test_latents_at_minus_infinity_leave_indices_in_range():
    m, k = 150, 10  # torch.topk on a CPU then prefers padding
    x, W = torch.zeros(3, 2, device=DEVICE), torch.zeros(m, 2, device=DEVICE)
    _, values, indices = cuda.encode_top_k(x, W, torch.full((m,), -torch.inf, device=DEVICE), k)
    assert not values.any()
    assert int(indices.max()) < m


@pytest.mark.parametrize("k", [2, 60])
def test_nan_is_not_hidden(rng, k):
    W = normal(rng, 300, 4)
    W[290] = torch.nan
    _, values, indices = cuda.encode_top_k(normal(rng, 3, 4), W, normal(rng, 300), k)
    assert values.isnan().sum(-1).tolist() == [1, 1, 1]
    assert (indices == 290).any(-1).all()


def test_float32_is_not_rounded_to_tf32():
    x = torch.full((1, 16), 1 + 2**-20, device=DEVICE)
    pre, _, _ = cuda.encode_top_k(x, torch.eye(16, device=DEVICE), torch.zeros(16, device=DEVICE), 1)
    assert torch.equal(pre, x)


def test_refusals(rng):
    x, W, bias = normal(rng, 3, 4), normal(rng, 5, 4), normal(rng, 5)
    with pytest.raises(ValueError, match=r"encode_top_k.k must be in \[1, m=5\]; got 6: lower k or raise m"):
        cuda.encode_top_k(x, W, bias, 6)
    for left, right in ((x.double(), W.double()), (x, W.bfloat16())):
        with pytest.raises(ValueError, match=r"float32 or bfloat16, and W the same; got .*: convert both"):
            cuda.encode_top_k(left, right, bias, 2)
