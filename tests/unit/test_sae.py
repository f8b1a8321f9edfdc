"""Creating SAEs: shapes, settings, messages, the shelf; the encoder's product; the oracle."""

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import sae as sae_module
from workbench.settings import memory_for
from workbench.training.ceiling import trained_oracle

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
        del sae_module.VARIANTS["plug_in"]


class Unfinished(W.SAE):
    """It lacks `activate`."""


class Bare(W.SAE):
    """Its settings are no dataclass."""

    class Settings:
        l1 = 1.0

    def activate(self, pre):
        return pre


class Owed(W.SAE):
    """A setting of it has no default."""

    activate = Bare.activate

    @dataclass(frozen=True)
    class Settings:
        l1: float


@pytest.mark.parametrize("name", [3, "", Bare])
def test_a_variants_name_is_a_text(name):
    with pytest.raises(ValueError, match=r"register\.name must be a text that is not empty; got .*: decorate a"):
        sae_module._must_be_name(name)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (len, r"w must be on a subclass of SAE; got <built-in function len>: decorate"),
        (dict, r"w must be on a subclass of SAE; got <class 'dict'>: decorate"),
        (Unfinished, r"w must be on a class with activate; got Unfinished: write what it lacks"),
        (
            Bare,
            r"w must be on a class whose Settings are a dataclass, .*; got Bare\.Settings = <class .*>: put",
        ),
        (Owed, r"each field with a default; got Owed, with none for l1: put @dataclass"),
    ],
)
def test_what_cannot_be_a_variant_is_told(cls, message):
    with pytest.raises(ValueError, match=message):
        sae_module._must_be_variant(cls, "w")


@pytest.mark.parametrize("cls", [Unfinished, Bare])
def test_what_cannot_be_a_variant_is_not_put_on_the_shelf(cls):
    with pytest.raises(ValueError, match=r"register\('w'\) must be on a class"):
        W.register("w")(cls)
    assert "w" not in W.variant_shelf()


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


def test_ceiling_oracle_and_features_take_a_worlds_name():
    short, toy = W.TrainConfig(steps=5, batch=32, normalise=False), W.find_source("toy")
    by_name, by_world = (W.ceiling("topk", world, short, n=200, k=2) for world in ("toy", toy))
    assert by_name == by_world
    assert torch.equal(trained_oracle("topk", "toy", short).W_enc, trained_oracle("topk", toy, short).W_enc)
    sae = W.create("topk", toy.d, 24)
    assert W.features(sae, "toy", 200).equals(W.features(sae, toy, 200))
    for makes in (lambda x: W.ceiling("topk", x), lambda x: trained_oracle("topk", x)):
        with pytest.raises(
            ValueError, match=r"(ceiling|trained_oracle)\.world must be a world whose features are known"
        ):
            makes(torch.randn(8, 3))


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


# --- sizes, seeds, labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [[0, -1], [0.2, 0.7], [0, 2**63], [[0, 1], [True, 2]], [None], ["0"]])
def test_lists_of_what_are_no_seeds_are_refused(seed):
    with pytest.raises(
        ValueError, match=r"TopK\.seed must be an integer in \[0, 2\^63\); got .*: other numbers would be"
    ):
        W.create("topk", 4, 8, seed=seed)


def test_the_largest_seeds_differ():
    sae = W.create("topk", 4, 8, seed=[2**63 - 1, 2**63 - 2])
    assert not torch.equal(sae.W_dec[0], sae.W_dec[1])


def test_seeds_of_training_and_evaluation_are_checked():
    sae = W.create("topk", 8, 12)
    with pytest.raises(ValueError, match=r"train\.seed must be an integer in \[0, 2\^63\); got -1"):
        W.train(sae, WORLD, W.TrainConfig(steps=1), seed=-1)
    with pytest.raises(ValueError, match=r"evaluate\.seed must be an integer in \[0, 2\^63\); got -1"):
        W.evaluate(sae, WORLD, n=10, seed=-1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            (4, 10**12),
            r"TopK's size must be such that its weights fit into memory; got d=4 x m=1000000000000 x 1 members",
        ),
        ((10**9, 10**9), r"fit into memory; got .*GB: lower d, m or the number of members"),
        ((4, True), r"TopK\.m must be a whole number of at least 1; got True: give the number of latents"),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_they_are_allocated(sizes, message):
    with pytest.raises(ValueError, match=message):
        W.create("topk", *sizes)


def test_memory_that_runs_out_is_told_in_our_words():
    def draw(rng):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory")

    message = r"a's size must be such that .*; got d=4 x m=8 x 6 members, and no memory was left"
    with pytest.raises(ValueError, match=message), memory_for("a", 4, 8, (2, 3)):
        draw(None)


@pytest.mark.parametrize("settings", [{"seed": []}, {"k": [[1, 2], [3]]}, {"k": [[1, 2], [3]], "seed": [0, 1]}])
def test_empty_and_ragged_lists_are_refused(settings):
    with pytest.raises(ValueError, match=r"TopK's lists must be of (at least one entry|shapes that broadcast); got"):
        W.create("topk", 4, 8, **settings)


def test_numpys_numbers_are_pythons(tmp_path):
    sae = W.create("topk", np.int64(4), np.int32(8), seed=[np.int64(0), np.uint8(1)], k=[np.int64(2), 3])
    sae.metadata["layer"] = {"n": np.int64(3), "share": [np.float32(0.5)]}
    assert (type(sae.d), type(sae.m), sae.seed, sae.settings["k"]) == (int, int, [0, 1], [2, 3])
    again = W.load(sae.save(tmp_path))
    assert again.metadata["layer"] == {"n": 3, "share": [0.5]}
    assert again.members() == sae.members()


def test_a_stack_says_what_its_members_are():
    """Lists of equal length go together; nested ones make a grid."""
    together = W.create("topk", 8, 12, k=[2, 4, 8], seed=[0, 1, 2])
    grid = W.create("topk", 8, 12, k=[[2], [4], [8]], seed=[0, 1, 2])
    assert together.members() == [{"seed": s, "k": k} for s, k in ((0, 2), (1, 4), (2, 8))]
    assert grid.members() == [{"seed": s, "k": k} for k in (2, 4, 8) for s in (0, 1, 2)]
    for member, W_dec in zip(grid.members(), grid.W_dec.view(9, 12, 8), strict=True):
        assert torch.equal(W_dec, W.create("topk", 8, 12, **member).W_dec)
    assert repr(grid) == "topk(d=8, m=12, shape=(3, 3), seed=[0, 1, 2], k=[[2], [4], [8]], fresh)"
    sae = W.create("topk", 8, 12)
    assert repr(sae) == "topk(d=8, m=12, k=4, fresh)"
    sae.fresh = False
    sae.k.fill_(3)
    assert repr(sae) == "topk(d=8, m=12, k=3, trained)"
    assert repr(W.create("relu", 8, 12, l1=0.25)) == "relu(d=8, m=12, l1=0.25, fresh)"
    assert W.create("relu", 8, 12).members() == [{"seed": 0, "l1": 2.0}]


# --- what is set by hand is saved ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["matching_pursuit", "omp"])
@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_steps_of_inference_are_saved(tmp_path, name, seed):
    sae, x = W.create(name, 8, 12, k=2, seed=seed).eval(), torch.ones(3, 8)
    two = sae.encode(x)
    sae.steps = 5
    again = W.load(sae.save(tmp_path))
    assert again.steps == 5
    assert torch.equal(again.encode(x), sae.encode(x))
    assert not torch.equal(again.encode(x), two)


def test_settings_changed_by_hand_are_saved(tmp_path):
    sae, x = W.create("topk", 8, 12, k=2, seed=[0, 1]).eval(), torch.ones(3, 8)
    sae.k.copy_(torch.tensor([3, 5]))
    sae.frozen, sae.rates = ("b_dec",), [1e-3, 2e-3]
    again = W.load(sae.save(tmp_path))
    assert torch.equal(again.encode(x), sae.encode(x))
    assert [member["k"] for member in again.members()] == [3, 5]
    assert (again.frozen, again.rates) == (("b_dec",), [1e-3, 2e-3])
    relu = W.create("relu", 8, 12, l1=0.3)  # .3 is no float32: settings that were not changed stay as they were given
    assert W.load(relu.save(tmp_path / "relu")).settings == {"l1": 0.3}


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ({"fresh": 1}, r"fresh must be true or false; got 1"),
        ({"frozen": ["W"]}, r"frozen must be one of \['W_dec', 'b_dec'\]; got 'W'"),
        ({"steps": 0}, r"steps must be a whole number of at least 1; got 0"),
        ({"rates": "a"}, r"rates must be a list"),
    ],
)
def test_marks_of_another_kind_are_refused(mark, message):
    with pytest.raises(ValueError, match=message):
        W.create("omp", 8, 12).set_marks(mark, "workbench.json")


# --- plug-ins that return something else -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "returned", "message"),
    [
        ("activate", lambda pre: None, r"relu\.activate must be a tensor of latents, or Codes; got NoneType: return"),
        ("activate", lambda pre: pre[..., :3], r"relu\.activate must be latents of shape \(64, 12\); got \(64, 3\)"),
        (
            "activate",
            lambda pre: pre.double(),
            r"relu\.activate must be latents of dtype torch\.float32; got .*float64",
        ),
        (
            "loss",
            lambda x, out: 5,
            r"relu\.loss must be a dictionary of at least one term, each a tensor of shape \(\);",
        ),
        ("loss", lambda x, out: {}, r"relu\.loss must be a dictionary .* got \{\}: return"),
        ("loss", lambda x, out: {"a": x}, r"relu\.loss must be .*; got \(64, 10\) for 'a'"),
        ("combine", lambda codes: codes, r"relu\.combine must be of shape \(64, 10\); got \(64, 12\)"),
    ],
)
def test_what_a_plug_in_returns_is_checked(monkeypatch, method, returned, message):
    sae = W.create("relu", 10, 12)
    monkeypatch.setattr(sae, method, returned)
    with pytest.raises(ValueError, match=message):
        W.train(sae, WORLD, W.TrainConfig(steps=1, batch=64))
