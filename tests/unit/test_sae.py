"""Creating SAEs: shapes, settings, messages, the shelf; the encoder's product; the oracle."""

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import sae as sae_module

# --- messages --------------------------------------------------------------------------------------------------------


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=r"variant must be one of \[.*'topk'.*\]; got 'top_k': perhaps you meant 'topk'"
    ):
        W.create("top_k", 4, 8)
    with pytest.raises(ValueError, match="got 'xyz': choose one of these"):
        W.create("xyz", 4, 8)


def test_unknown_setting_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"setting of BatchTopK must be one of .* perhaps you meant 'threshold_rate'"):
        W.create("batch_topk", 4, 8, treshold_rate=0.1)


@pytest.mark.parametrize(
    ("name", "owner"), [("topk", "TopK"), ("batch_topk", "BatchTopK"), ("matryoshka", "Matryoshka")]
)
def test_k_beyond_m_is_refused_with_advice(name, owner):
    with pytest.raises(ValueError, match=rf"{owner}\.k must be in .*m=8\]; got 9: lower k or raise m"):
        W.create(name, 4, 8, k=9)
    with pytest.raises(ValueError, match=r"got \[4, 9\]: lower k"):
        W.create(name, 4, 8, k=[4, 9])
    with pytest.raises(ValueError, match="lower k"):
        W.create(name, 4, 8, k=0)


@pytest.mark.parametrize(
    ("d", "m", "message"), [(0, 8, "TopK.d must be at least 1"), (4, 0, "TopK.m must be at least 1")]
)
def test_empty_shapes_are_refused(d, m, message):
    with pytest.raises(ValueError, match=message):
        W.create("topk", d, m, k=1)


def test_lists_that_do_not_broadcast_are_refused():
    message = r"lists must be of shapes that broadcast; got \[\[0, 1\], \[1, 2, 3\]\]: make them equally long or nest"
    with pytest.raises(ValueError, match=message):
        W.create("topk", 4, 8, seed=[0, 1], k=[1, 2, 3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bandwidth": 0.0}, r"JumpReLU\.bandwidth must be above 0; got 0\.0: raise it"),
        ({"bandwidth": [1.0, -1.0]}, r"JumpReLU\.bandwidth must be above 0; got \[1\.0, -1\.0\]"),
        ({"start": -1.0}, r"JumpReLU\.start must be at least 0"),
        ({"through": [True, False]}, r"JumpReLU\.through must be the same for all members"),
    ],
)
def test_jumprelu_checks_its_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        W.create("jumprelu", 4, 8, **settings)


@pytest.mark.parametrize("prefixes", [(0.5, 0.25, 1.0), (0.5, 0.9), (0.0, 1.0)])
def test_prefixes_must_rise_to_1(prefixes):
    with pytest.raises(ValueError, match=r"Matryoshka\.prefixes must be increasing to 1"):
        W.create("matryoshka", 4, 8, prefixes=prefixes)


# --- shapes and settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(W.variant_shelf()))
def test_lists_broadcast_to_two_axes(name):
    settings = {n: [[v], [v], [v]] for n, v in W.create(name, 4, 64).settings.items() if isinstance(v, int | float)}
    settings = {n: v for n, v in settings.items() if not isinstance(v[0][0], bool)}
    sae = W.create(name, 4, 64, seed=[0, 5], **settings)
    assert sae.shape == (3, 2)
    for n in settings:
        assert getattr(sae, n).shape == (3, 2)
    for n, p in sae.named_parameters():
        assert p.shape[:2] == (3, 2), n
    x = torch.ones(5, 4)
    assert sae(x).shape == (3, 2, 5, 4)
    for column, seed in enumerate([0, 5]):  # the seed alone decides the weights
        alone = W.create(name, 4, 64, seed=seed)
        for row in range(3):
            assert torch.equal(sae.W_dec[row, column], alone.W_dec)
            assert torch.equal(sae.W_enc[row, column], alone.W_enc)
    assert not torch.equal(sae.W_dec[0, 0], sae.W_dec[0, 1])


def test_settings_are_attributes_of_the_stacks_shape():
    sae = W.create("topk", 4, 8, seed=[0, 1, 2], k=[[1], [3]])
    assert sae.k.tolist() == [[1, 1, 1], [3, 3, 3]]
    assert sae.k.dtype == torch.int64
    assert sae.settings == {"k": [[1], [3]]}
    alone = W.create("jumprelu", 4, 8, through=True, l0=2, bandwidth=0.25, start=0.125)
    assert alone.l0.shape == ()
    assert alone.through is True
    assert alone.settings == {
        "l0": 2,
        "bandwidth": 0.25,
        "start": 0.125,
        "through": True,
        "target_l0": 0.0,
        "gain": 3e-4,
    }
    assert W.create("matryoshka", 4, 64, prefixes=(1 / 16, 1 / 4, 1.0)).widths == [4, 16, 64]


@pytest.mark.parametrize(
    ("name", "settings"), [("jumprelu", {"start": 1, "l0": 1}), ("batch_topk", {"k": 2}), ("relu", {"l1": 1})]
)
def test_a_whole_number_is_as_good_as_a_real_one(name, settings):
    whole, real = (W.create(name, 4, 8, **{n: kind(v) for n, v in settings.items()}) for kind in (int, float))
    x = torch.randn(20, 4, generator=S.stream(0, "tests/x"))
    for sae in (whole, real):
        sae.loss(x, sae.trace(x))["mse"].backward()
    for n in settings:
        assert getattr(whole, n).dtype == torch.float32
    assert torch.equal(whole.W_enc.grad, real.W_enc.grad)


def test_members_share_no_weights_at_the_start():
    sae = W.create("relu", 6, 20, seed=7)
    assert_close(sae.W_dec.norm(dim=1), torch.ones(20))
    assert torch.equal(sae.W_enc, sae.W_dec.mT)
    assert sae.W_enc.data_ptr() != sae.W_dec.data_ptr()
    assert not sae.b_enc.any()
    assert not sae.b_dec.any()


# --- the shelf -------------------------------------------------------------------------------------------------------


def test_a_plug_in_is_on_the_shelf_and_trains():
    @W.register("plug_in")
    class PlugIn(W.SAE):
        @dataclass(frozen=True)
        class Settings:
            gain: float = 1.0

        def activate(self, pre):
            return self.gain[..., None, None] * pre.abs()

    try:
        assert W.variant_shelf()["plug_in"] is PlugIn
        assert PlugIn.name == "plug_in"
        assert not PlugIn.core
        sae = W.create("plug_in", 4, 8, gain=[1.0, 2.0])
        f = sae.encode(torch.ones(3, 4))
        assert_close(f[1], 2 * f[0] + 0 * f[1])
        world = S.SparseMixture(n_true=8, d=4)
        records = W.train(sae, world, W.TrainConfig(steps=3, batch=16))
        assert len(records[-1]["loss/mse"]) == 2
        with pytest.raises(ValueError, match="perhaps you meant 'plug_in'"):
            W.create("plugin", 4, 8)
    finally:
        del sae_module._VARIANTS["plug_in"]


def test_core_variants():
    assert [name for name, cls in W.variant_shelf().items() if cls.core] == ["batch_topk", "jumprelu", "relu", "topk"]


def test_public_names_survive_the_import_of_submodules():
    """A submodule of the same name would take a public name's place once something imports it."""
    for module in pkgutil.walk_packages(W.__path__, "workbench."):
        missing = module.name.endswith("kernels.cuda") and importlib.util.find_spec("triton") is None
        if not missing and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert {"create", "load", "train", "evaluate", "null", "ceiling", "oracle"} <= set(dir(W))
    for name in dir(W):
        assert not isinstance(getattr(W, name), ModuleType), name


def test_the_package_says_what_it_lacks():
    with pytest.raises(AttributeError, match="module 'workbench' has no attribute 'crate'"):
        W.crate  # noqa: B018


# --- the encoder's product -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", [{}, {"seed": [0, 1]}, {"seed": [[0, 1]], "l1": [[1.0], [2.0]]}])
def test_project_has_the_plain_products_value_and_gradients(stack):
    draw = S.stream(0, "tests/project")
    ours, plain = (W.create("relu", 5, 9, **stack).double() for _ in range(2))
    x = torch.randn(7, 5, generator=draw).double()
    weight = torch.randn(*ours.shape, 7, 9, generator=draw).double()
    with torch.no_grad():
        bias = torch.randn(ours.b_dec.shape, generator=draw).double()
        ours.b_dec.copy_(bias)
        plain.b_dec.copy_(bias)
    first = ours.project(x)
    second = (x - plain.b_dec[..., None, :]) @ plain.W_enc
    (first * weight).sum().backward()
    (second * weight).sum().backward()
    assert_close(first, second)
    assert_close(ours.W_enc.grad, plain.W_enc.grad)
    assert_close(ours.b_dec.grad, plain.b_dec.grad)
    assert bool((ours.b_dec.grad.abs() > 1e-3).all())


def test_forward_takes_and_gives_raw_units():
    """Scaling x by 3 and the SAE's scale by 1/3 changes nothing but the units of latents and output."""
    sae = W.create("relu", 5, 9)
    x = torch.randn(7, 5, generator=S.stream(0, "tests/x"))
    with torch.no_grad():
        sae.b_dec += 0.1
        before, latents = sae(x), sae.encode(x)
        sae.scale /= 3
        assert_close(sae(3 * x), 3 * before)
        assert_close(sae.encode(3 * x), 3 * latents)
        assert_close(sae.decode(3 * latents), 3 * before)


# --- the oracle ------------------------------------------------------------------------------------------------------

WORLD = S.SparseMixture(n_true=12, d=10, firing=S.Independent(S.Constant(0.12)), bias_norm=0.7)


def test_the_oracle_holds_the_true_dictionary():
    sae = W.oracle("topk", WORLD, k=2)
    truth = WORLD.truth
    assert (sae.d, sae.m) == (10, 12)
    assert_close(sae.W_dec.detach(), truth.features)
    assert_close(sae.decode(torch.zeros(1, 12))[0].detach(), truth.bias)
    h = WORLD.sample(4, S.stream(0, "tests/h")).h.dense()
    assert_close(sae.decode(h).detach(), h @ truth.features + truth.bias)


def test_the_ceiling_is_out_of_reach_of_an_untrained_sae():
    found = W.ceiling("topk", WORLD, W.TrainConfig(steps=150, batch=256, normalise=False), n=4000, k=2)
    untrained = W.evaluate(W.create("topk", 10, 12, k=2), WORLD, n=4000)
    assert found["recall@.9"] == 1.0
    assert found["mcc"] == pytest.approx(1.0)
    assert found["f1"] > untrained["f1"] + 0.3


def test_training_the_oracle_leaves_its_dictionary_alone():
    sae = W.oracle("relu", WORLD)
    before = {n: p.detach().clone() for n, p in sae.named_parameters()}
    W.train(sae, WORLD, W.TrainConfig(steps=5, batch=32, normalise=False))
    assert torch.equal(sae.W_dec, before["W_dec"])
    assert torch.equal(sae.b_dec, before["b_dec"])
    assert not torch.equal(sae.W_enc, before["W_enc"])


def test_the_ceiling_refuses_to_rescale_the_oracle():
    with pytest.raises(ValueError, match=r"ceiling\.config\.normalise must be False; got True"):
        W.ceiling("topk", WORLD, W.TrainConfig(steps=1), k=2)


def test_an_unknown_oracle_suggests_the_nearest():
    with pytest.raises(ValueError, match="perhaps you meant 'topk'"):
        W.oracle("top_k", WORLD)
