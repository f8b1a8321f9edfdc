"""What an SAE takes: any precision, numpy arrays, any leading axes, no rows; NaN; torch.func; the caller's modes."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import workbench as W
from synthetic import stream
from workbench import kernels
from workbench.variants import variant_shelf

D = 8
EACH = pytest.mark.parametrize("name", sorted(variant_shelf()))
WIDTHS = {"narrow": 24, "wide": 320}
"""latents are dense in the one, sparse in the other"""
SETTINGS = {"semi_nmf": {"iterations": 20}, "bias_adaptation": {"rate": 0.4, "a": 1.0}}
NO_GRADIENT = {"omp", "semi_nmf"}


def x_of(*shape, scale=1.0):
    return scale * torch.randn(*shape, D, generator=stream(1, "x"))


@torch.no_grad()
def made(name, m=24, seed=0):
    sae = W.create(name, D, m, seed=seed, **SETTINGS.get(name, {})).eval()
    sae.scale.fill_(0.5)
    for threshold in ("threshold", "guess_threshold"):
        if threshold in sae.state_dict():
            sae.tensor(threshold).fill_(0.1)
    return sae


@EACH
def test_precision_is_brought_to_the_saes_own(name):
    """A massive activation, well inside float16, is not scaled in it; float64 and numpy are taken."""
    sae, x = made(name), x_of(5)
    sae.scale.fill_(40.0)
    x[0, 3] = 3000.0
    half = x.half()
    assert_close(sae.encode(half), sae.encode(half.float()), rtol=0, atol=0)
    assert bool(sae.encode(half).isfinite().all())
    for given in (x.double(), x.numpy(), x.double().numpy(), x[:, ::2].repeat_interleave(2, 1).mT.contiguous().mT):
        wanted = sae.encode(torch.as_tensor(given).float().contiguous())
        assert_close(sae.encode(given), wanted, rtol=1e-6, atol=1e-6)
        assert sae(given).dtype == sae.encode(given).dtype == torch.float32
    assert_close(sae.decode(sae.encode(x).double()), sae.decode(sae.encode(x)))


@EACH
@pytest.mark.parametrize("m", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "stack"])
def test_leading_axes_come_back(name, m, seed):
    sae, x = made(name, m, seed), x_of(3, 2)
    flat, flat_hat = sae.encode(x.reshape(-1, D)), sae(x.reshape(-1, D))
    stack = tuple(sae.shape)
    assert_close(sae.encode(x), flat.view(*stack, 3, 2, m), rtol=1e-5, atol=1e-6)
    assert_close(sae(x), flat_hat.view(*stack, 3, 2, D), rtol=1e-5, atol=1e-6)
    assert_close(sae.encode(x[0, 0]), flat.view(*stack, 6, m)[..., 0, :], rtol=1e-5, atol=1e-6)
    for lead in ((0,), (3, 0), (0, 3)):
        none = torch.zeros(*lead, D)
        assert sae.encode(none).shape == (*stack, *lead, m)
        assert sae(none).shape == (*stack, *lead, D)
    if stack:  # rows for each member
        each = torch.stack([x[0], x[1]])
        assert_close(sae.encode(each)[1], sae.encode(x[1])[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("lead", "expected"), [((1, 5), (3, 1, 5)), ((2, 5), (3, 2, 5)), ((3, 5), (3, 5))])
def test_only_rows_for_each_member_go_to_one_member_each(lead, expected):
    """A batch of one sequence keeps its axis; (*s, n, d) are rows for each member of the stack."""
    sae = W.create("topk", 8, 20, seed=[0, 1, 2])
    assert sae.encode(torch.ones(*lead, 8)).shape == (*expected, 20)
    assert sae(torch.ones(*lead, 8)).shape == (*expected, 8)


@EACH
@pytest.mark.parametrize(("m", "seed", "sparse"), [(24, [0, 1], False), (24, 0, True), (320, [0, 1], True)])
def test_a_row_that_is_not_finite_shows(name, m, seed, sparse):
    sae, x = made(name, m, seed), x_of(4)
    right, right_hat = sae.encode(x), sae(x)
    with kernels.using(sparse=sparse):
        for bad in (torch.nan, torch.inf):
            broken = x.clone()
            broken[1, 2] = bad
            for mode in (False, True):
                f, x_hat = sae.train(mode).encode(broken), sae(broken)
                assert bool(f[..., 1, :].isnan().all())
                assert bool(x_hat[..., 1, :].isnan().all())
            with torch.no_grad():
                f, x_hat = sae.eval().encode(broken), sae(broken)
            others = [0, 2, 3]
            assert_close(f[..., others, :], right[..., others, :], rtol=1e-5, atol=1e-5)
            assert_close(x_hat[..., others, :], right_hat[..., others, :], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            torch.ones(3, D, dtype=torch.long),
            r"topk\.x must be a tensor or array of floating-point numbers; got one of",
        ),
        (torch.ones(3, D, dtype=torch.complex64), r"got one of torch\.complex64: convert it"),
        (np.ones((3, D), dtype=np.int32), r"got one of int32: convert it"),
        (torch.ones(3, D + 1), r"topk\.x must be of width 8 on its last axis; got \(3, 9\): transpose it"),
        (torch.ones(()), r"of width 8 on its last axis; got \(\)"),
        (torch.ones(3, D, device="meta"), r"topk\.x must be on cpu, as the SAE is; got meta: move one to the other"),
    ],
)
def test_other_inputs_are_refused(x, message):
    for call in (made("topk").encode, made("topk"), made("topk").own_units):
        with pytest.raises(ValueError, match=message):
            call(x)
    with pytest.raises(ValueError, match=r"topk\.latents must be of width 24"):
        made("topk").decode(torch.ones(3, D))


@EACH
@pytest.mark.parametrize("m", WIDTHS.values(), ids=WIDTHS)
def test_transforms_of_torch_func(name, m):
    sae, x = made(name, m), x_of(3)
    if name in NO_GRADIENT:
        message = r"(OrthogonalPursuit|LeastSquares) must be called outside torch\.func; got a transform of codes"
        with pytest.raises(ValueError, match=message):
            torch.func.jacrev(sae.encode)(x[0])
        return
    row = int(sae.encode(x).detach().square().sum(-1).argmax())
    for encode in (sae.encode, sae):
        slow = torch.autograd.functional.jacobian(encode, x[row])
        assert_close(torch.func.vmap(torch.func.jacrev(encode))(x)[row], slow, rtol=1e-4, atol=1e-5)
        assert bool(slow.any())
    assert_close(torch.func.vmap(sae.encode)(x), sae.encode(x), rtol=1e-5, atol=1e-5)


@EACH
def test_the_callers_defaults_change_nothing(name):
    """Weights and training have the same bits under another default dtype, default device and gradient mode."""

    class Rows:
        d = D
        x = x_of(400)

        def sample(self, n, rng):
            return type("Batch", (), {"x": self.x[torch.arange(n, device="cpu") % 400]})()

    def trained():
        sae = W.create(name, D, 320, seed=[0, 1], **SETTINGS.get(name, {}))
        config = W.TrainConfig(steps=4, batch=16, dead_after=2, resample_every=3, aux_k=4 * sae.has_evidence)
        W.train(sae, Rows(), config)
        return sae.state_dict() | {"x_hat": sae(Rows.x[:9]).detach()}

    right = trained()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        again = trained()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_grad_enabled(True)
    with torch.inference_mode():
        third = trained()
    for key, value in right.items():
        assert torch.equal(again[key], value), key
        assert torch.equal(third[key], value), key
        assert (again[key].dtype, again[key].device) == (value.dtype, value.device)
