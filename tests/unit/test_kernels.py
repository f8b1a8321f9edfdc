"""Every implementation makes the products of the reference, and an SAE's step has the dense step's gradients."""

import pytest
import torch
from torch.testing import assert_close

from synthetic.base.streams import stream
from synthetic.source import Codes
from workbench import create, kernels, variant_shelf
from workbench.kernels import cpu, reference
from workbench.parts.objectives import aux_k_loss

SELECTING = [name for name, variant in variant_shelf().items() if variant(8, 8).encoder.keeps_entries]


@pytest.fixture
def rng():
    return stream(0, "tests/kernels")


def normal(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=dtype)


# --- products --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "k", "size", "d"), [(9, 4, 50, 3), (1, 1, 1, 1), (30, 8, 70_000, 2)])
def test_bags_equal_dense_products(rng, n, k, size, d, dtype, full):
    indices = torch.randint(size, (n, k), generator=rng)
    indices[:, -1] = indices[:, 0]
    values, rows, g = (normal(rng, *s, dtype=dtype) for s in ((n, k), (size, d), (n, d)))
    if not full:
        values[:, -1] = 0
    assert_close(cpu.gather_sum(indices, values, rows), reference.gather_sum(indices, values, rows))
    assert_close(cpu.gather_dot(indices, g, rows), reference.gather_dot(indices, g, rows))
    assert_close(cpu.scatter_rows(indices, values, g, size), reference.scatter_rows(indices, values, g, size))


def test_products_by_hand():
    indices, values = torch.tensor([[2, 0], [2, 2]]), torch.tensor([[3.0, 0.0], [1.0, 4.0]])
    g, rows = torch.eye(2), torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    for made in (reference, cpu):
        assert_close(made.scatter_rows(indices, values, g, 4), torch.tensor([[0.0, 0], [0, 0], [3, 5], [0, 0]]))
        assert_close(made.gather_sum(indices, values, rows), torch.tensor([[15.0, 18], [25, 30]]))
        assert_close(made.gather_dot(indices, g, rows), torch.tensor([[5.0, 1], [6, 6]]))


# --- selection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "k"), [(2048, 16), (4096, 25), (640, 10), (640, 11), (641, 3), (512, 1), (20, 20)])
def test_top_k_by_groups_equals_a_full_sort(rng, m, k):
    pre = normal(rng, 33, m, dtype=torch.float32)
    values, indices = cpu.top_k(pre, k)
    assert_close(values.sort(-1, descending=True).values, pre.sort(-1, descending=True).values[:, :k], rtol=0, atol=0)
    assert torch.equal(values, pre.gather(1, indices))
    assert all(len(set(row)) == k for row in indices.tolist())


def test_the_largest_may_share_a_group_or_tie(rng):
    m, k = 2048, 8  # columns j, j + 128, ... are a group
    same = normal(rng, 3, m, dtype=torch.float32)
    same[:, 5 :: m // 16] += 100
    tied = torch.randint(4, (7, m), generator=rng).float()
    for pre in (same, tied, torch.zeros(2, m)):
        values, indices = cpu.top_k(pre, k)
        assert torch.equal(values.sort(-1, descending=True).values, pre.sort(-1, descending=True).values[:, :k])
        assert all(len(set(row)) == k for row in indices.tolist())


def test_members_keep_different_numbers_of_a_wide_row(rng):
    sae = create("topk", 4, 600, k=[1, 5, 3], seed=0)
    x = normal(rng, 6, 4, dtype=torch.float32)
    alone = [create("topk", 4, 600, k=k, seed=0).trace(x).dense() for k in (1, 5, 3)]
    assert_close(sae.trace(x).dense(), torch.stack(alone))


# --- a training step -------------------------------------------------------------------------------------------------


def step(name, x, dead, stack, sparse):
    """Loss terms with AuxK, and all gradients, in float64."""
    few = {n: v for n, v in {"k": 3, "views": 1}.items() if n in variant_shelf()[name].defaults}
    sae = create(name, x.shape[-1], 24, seed=[0, 1] if stack else 0, **few).double()
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=stream(1, "move")).double()
    out = sae.trace(x)
    assert isinstance(out.codes, Codes) is sparse
    loss = sae.loss(out)["mse"] + aux_k_loss(out, dead.expand(*sae.shape, -1), 5)
    loss.sum().backward()
    return [loss.detach(), *(p.grad for p in sae.parameters())]


@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize("name", SELECTING)
def test_the_sparse_step_has_the_gradients_of_the_dense_one(rng, name, stack, monkeypatch):
    x, dead = normal(rng, 7, 5), torch.arange(24) % 3 == 0
    expected = step(name, x, dead, stack, sparse=False)
    monkeypatch.setattr(kernels, "DENSE_BELOW", 0)
    for implementation in ("cpu", "reference"):
        with kernels.using(implementation):
            found = step(name, x, dead, stack, sparse=True)
        for ours, theirs in zip(found, expected, strict=True):
            assert_close(ours, theirs)


def test_inputs_get_their_gradient_too(rng, monkeypatch):
    gradients = []
    for limit in (512, 0):
        monkeypatch.setattr(kernels, "DENSE_BELOW", limit)
        x = normal(stream(0, "x"), 7, 5).requires_grad_()
        create("topk", 5, 24, k=3).double().trace(x).x_hat.square().sum().backward()
        gradients.append(x.grad)
    assert_close(gradients[1], gradients[0])


def test_autocast_rounds_the_product_and_nothing_else(rng):
    x, W = normal(rng, 5, 8, dtype=torch.float32), normal(rng, 8, 40, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        pre, codes = kernels.encode_top_k(x, W, torch.zeros(40), 3)
    assert codes.values.dtype == torch.float32
    assert_close(pre, x @ W, rtol=0.05, atol=0.05)
    assert not torch.equal(pre, x @ W)


def test_an_implementation_is_named():
    wrong = pytest.raises(ValueError, match=r"kernels.using must be one of .*'reference'.* perhaps you meant 'cpu'")
    with wrong, kernels.using("cpus"):
        pass
    with kernels.using("reference"):
        assert kernels.chosen(torch.zeros(1)) is reference
    assert kernels.chosen(torch.zeros(1)) is cpu
    assert kernels.chosen(torch.zeros(1, dtype=torch.bfloat16)) is reference
