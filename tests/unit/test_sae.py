"""Creating SAEs: shapes, settings, messages, the shelf; the encoder's product; the oracle."""

import copy
import importlib
import importlib.util
import pkgutil
import re
from types import ModuleType

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch.testing import assert_close

import synthetic as S
import workbench as W
from workbench import sae as sae_module
from workbench.parts import (
    Affine,
    BatchTopK,
    NonNegative,
    PlusLowRank,
    Positive,
    ReLU,
    Rows,
    Selection,
    SquaredError,
    Term,
    TwoLooks,
    objectives,
)
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
    with pytest.raises(ValueError, match=r"setting of batch_topk must be one of .* perhaps you meant 'threshold_rate'"):
        W.create("batch_topk", 4, 8, treshold_rate=0.1)


@pytest.mark.parametrize("name", ["topk", "batch_topk", "matryoshka"])
def test_k_beyond_m_is_refused_with_advice(name):
    with pytest.raises(ValueError, match=rf"{name}\.k must be in .*m=8\]; got 9: lower k or raise m"):
        W.create(name, 4, 8, k=9)
    with pytest.raises(ValueError, match=r"got \[4, 9\]: lower k"):
        W.create(name, 4, 8, k=[4, 9])
    with pytest.raises(ValueError, match="lower k"):
        W.create(name, 4, 8, k=0)


@pytest.mark.parametrize(
    ("d", "m", "message"), [(0, 8, "topk.d must be at least 1"), (4, 0, "topk.m must be at least 1")]
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
        ({"bandwidth": 0.0}, r"jumprelu\.bandwidth must be above 0; got 0\.0: raise it"),
        ({"bandwidth": [1.0, -1.0]}, r"jumprelu\.bandwidth must be above 0; got \[1\.0, -1\.0\]"),
        ({"start": -1.0}, r"jumprelu\.start must be at least 0"),
        ({"through": [True, False]}, r"jumprelu\.through must be the same for all members"),
    ],
)
def test_jumprelu_checks_its_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        W.create("jumprelu", 4, 8, **settings)


@pytest.mark.parametrize("prefixes", [(0.5, 0.25, 1.0), (0.5, 0.9), (0.0, 1.0)])
def test_prefixes_must_rise_to_1(prefixes):
    with pytest.raises(ValueError, match=r"matryoshka\.prefixes must be increasing to 1"):
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
        "gain": 0.0,
    }
    assert W.create("matryoshka", 4, 64, prefixes=(1 / 16, 1 / 4, 1.0)).objective["mse"].widths == [4, 16, 64]


@pytest.mark.parametrize(
    ("name", "settings"), [("jumprelu", {"start": 1, "l0": 1}), ("batch_topk", {"k": 2}), ("relu", {"l1": 1})]
)
def test_a_whole_number_is_as_good_as_a_real_one(name, settings):
    whole, real = (W.create(name, 4, 8, **{n: kind(v) for n, v in settings.items()}) for kind in (int, float))
    x = torch.randn(20, 4, generator=S.stream(0, "tests/x"))
    for sae in (whole, real):
        sae.loss(sae.trace(x))["mse"].backward()
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


class Size(Selection):
    """Gain times the size of a pre-activation."""

    def __init__(self, gain):
        super().__init__()
        self.keep(gain=gain)

    def forward(self, pre):
        return self.gain[..., None, None] * pre.abs()


def test_a_plug_in_is_on_the_shelf_and_trains():
    @W.variant("plug_in")
    def plug_in(stack, gain=1.0):
        return stack.sae(Affine(stack, Size(stack.real(gain))), Rows(stack), SquaredError())

    try:
        made = W.variant_shelf()["plug_in"]
        assert (made.name, made.make, made.core, made.defaults) == ("plug_in", plug_in, False, {"gain": 1.0})
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


def test_a_variants_name_is_a_text():
    with pytest.raises(ValueError, match=r"variant\.name must be a text that is not empty; got '': write @variant"):
        W.variant("")


def owed(stack, l1):
    """A setting of it has no default."""


def loose(stack, *values):
    """Its settings have no names."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (owed, r"variant\('w'\) must be a function whose settings have defaults; got l1: write"),
        (loose, r"variant\('w'\) must be a function whose settings have defaults; got values: write"),
        (Size, r"variant 'w' must be a function that puts parts together; got a class, as before: write @work"),
    ],
)
def test_what_cannot_be_a_variant_is_told_and_not_put_on_the_shelf(make, message):
    with pytest.raises(ValueError, match=message):
        W.variant("w")(make)
    assert "w" not in W.variant_shelf()


def test_a_class_is_told_which_function_it_has_become():
    """The decorator of before and a subclass both say it, once."""
    message = (
        r"variant 'mine' must be a function .*@workbench\.variant\(\"mine\"\) above def mine\(stack, .*stack\.sae\("
    )
    with pytest.raises(ValueError, match=message):
        W.register("mine")
    with pytest.raises(ValueError, match=message.replace("mine", "Mine")):
        type("Mine", (W.SAE,), {})


@pytest.mark.parametrize("make", [lambda stack: None, lambda stack: stack])
def test_a_variant_has_to_return_an_sae(make):
    try:
        W.variant("w")(make)
        with pytest.raises(ValueError, match=r"w must be a function that returns stack\.sae\(\.\.\.\); got"):
            W.create("w", 4, 8)
    finally:
        del sae_module.VARIANTS["w"]


@pytest.fixture
def _untyped():
    """Types are not looked at, as users' are not."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


def _class(called, **members):
    members = {"forward": lambda self, out: out.x_hat.square().sum(-1).mean(-1)} | members
    return type(called, (Term,), members)


def _bare_init(self, stack, weight: NonNegative = 1.0):
    self.keep(weight=stack.real(weight))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.sae(Affine, Rows(s), SquaredError()), r"w\.encoder .* Encoder; got the class Affine: write Aff"),
        (lambda s: s.sae(Affine(s, ReLU()), Rows, SquaredError()), r"w\.decoder .* Decoder; got the class Rows: write"),
        (
            lambda s: s.sae(Affine(s, BatchTopK), Rows(s), SquaredError()),
            r"w: selection of Affine must be of type Selection; got the class BatchTopK: write BatchTopK\(\.\.\.\)\.",
        ),
        (
            lambda s: s.sae(Affine(s, ReLU()), Rows(s), SquaredError),
            r"w: part must be of type Term or Rule; got the class SquaredError: write SquaredError\(\.\.\.\)\.",
        ),
        (lambda s: s.sae(Affine(s, ReLU()), Rows(s), SquaredError(), ReLU()), r"Term or Rule; got type ReLU: make one"),
        (lambda s: s.sae(Affine(s, ReLU()), Rows(s), [SquaredError()]), r"Term or Rule; got type list: make one"),
        (
            lambda s: s.sae(Affine(s, ReLU()), Rows(s), _class("Bare", name="b", __init__=lambda self: None)()),
            r"w: part must be one whose __init__ calls super\(\)\.__init__\(\) first; got type Bare: call it there",
        ),
        (
            lambda s: s.sae(Affine(s, ReLU()), Rows(s), _class("Dotted", name="a.b")()),
            r"w: part: name must be letters.*; got 'a\.b': write name = \"\.\.\.\" in class Dotted",
        ),
        (lambda s: s.sae(Affine(s, ReLU()), Rows(s), _class("Keys", name="keys")()), r"letters.*; got 'keys': write"),
        (lambda s: s.sae(Affine(s, ReLU()), Rows(s), _class("Nameless")()), r"letters.*; got None: write name ="),
    ],
)
@pytest.mark.usefixtures("_untyped")
def test_what_is_no_part_is_refused_where_the_sae_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make(sae_module.Stack("w", 4, 8))


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (_class("Plain", name="p"), r"objective\('mine'\) must be on a class .*; got one without __init__: write def"),
        (
            _class("Bare", name="b", __init__=_bare_init),
            r"Bare must be one whose __init__ calls super\(\)\.__init__\(\) first; got type Bare: call it there",
        ),
        (lambda stack: SquaredError, r"objective mine must be of type Term; got the class SquaredError: write Squared"),
        (lambda stack: None, r"objective mine must be of type Term; got type NoneType: make one"),
        (lambda stack: _class("Dotted", name="a.b")(), r"objective mine: name must be letters.*; got 'a\.b': write"),
    ],
)
@pytest.mark.usefixtures("_untyped")
def test_what_makes_no_term_is_refused_as_an_objective(maker, message):
    with pytest.raises(ValueError, match=message):
        _ = W.objective("mine")(maker), W.create("relu", 4, 8, objective="mine")


@pytest.mark.parametrize(
    "setting", ["d", "name", "W_dec", "targets", "rules", "encoder", "decoder", "objective", "scale", "scale_out"]
)
def test_a_setting_has_a_name_of_its_own(setting):
    made = sae_module.Stack("w", 4, 8, held={setting: torch.ones(())})
    with pytest.raises(ValueError, match=rf"w\.{setting} must be a new name; got one that SAEs have: rename it"):
        made.sae(Affine(made, ReLU()), Rows(made), SquaredError())


def test_two_parts_have_tensors_of_different_names():
    stack = sae_module.Stack("w", 4, 8)
    first, second = BatchTopK(stack, 2.0), BatchTopK(stack, 2.0)
    with pytest.raises(
        ValueError, match=r"w must be made of parts .* different names; got \['threshold'\]: set `names`"
    ):
        stack.sae(TwoLooks(stack, first, second, 0.3), Rows(stack), SquaredError())


def test_two_terms_have_different_names():
    stack = sae_module.Stack("w", 4, 8)
    with pytest.raises(
        ValueError, match=r"w must be made of terms of different names; got \['mse'\]: set `name` of one"
    ):
        stack.sae(Affine(stack, ReLU()), Rows(stack), SquaredError(), SquaredError())


def test_a_setting_is_one_tensor_wherever_it_is_used():
    """Moved, cast or copied, what is changed on the SAE is changed in its parts."""
    sae = copy.deepcopy(W.create("batch_topk", 4, 8, k=2.0).double())
    sae.k.fill_(3.0)
    assert sae.encoder.selection.k is sae.k
    assert sae.k.dtype == torch.float64


@pytest.mark.parametrize("name", sorted(W.variant_shelf()))
def test_numbers_out_of_a_settings_range_are_refused(name):
    """What the annotations say, tried out."""
    for setting, of in W.variant_shelf()[name].settings.items():
        for value in of.within.outside(8) if of.within is not None else ():
            value = int(value) if isinstance(of.default, int) else float(value)
            rule = re.escape(of.within.rule(8))
            with pytest.raises(ValueError, match=rf"{name}\.{setting} must be {rule}; got {re.escape(str(value))}: "):
                W.create(name, 4, 8, **{setting: value})


def test_core_variants():
    assert [name for name, made in W.variant_shelf().items() if made.core] == ["batch_topk", "jumprelu", "relu", "topk"]


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
    first = ours.encoder.product(x, ours.decoder)
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


def test_an_oracle_says_why_it_has_so_many_latents():
    message = (
        r"oracle\.world must be of as many features as subspace can have .*; got 12, so that m=12: .*size must be a"
    )
    with pytest.raises(ValueError, match=message):
        W.ceiling("subspace", WORLD, size=5)


def test_an_unknown_oracle_suggests_the_nearest():
    with pytest.raises(ValueError, match="perhaps you meant 'topk'"):
        W.oracle("top_k", WORLD)


# --- sizes, seeds, labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [[0, -1], [0.2, 0.7], [0, 2**63], [[0, 1], [True, 2]], [None], ["0"]])
def test_lists_of_what_are_no_seeds_are_refused(seed):
    with pytest.raises(
        ValueError, match=r"topk\.seed must be an integer in \[0, 2\^63\); got .*: other numbers would be"
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
            r"topk's size must be such that its weights fit into memory; got d=4 x m=1000000000000 x 1 members",
        ),
        ((10**9, 10**9), r"fit into memory; got .*GB: lower d, m or the number of members"),
        ((4, True), r"topk\.m must be a whole number of at least 1; got True: give the number of latents"),
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
    with pytest.raises(ValueError, match=r"topk's lists must be of (at least one entry|shapes that broadcast); got"):
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
    assert W.create("relu", 8, 12).members() == [{"seed": 0, "l1": 2.0, "target_l0": 0.0, "gain": 0.0}]


# --- what is set by hand is saved ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["matching_pursuit", "omp"])
@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_what_a_part_has_is_not_set_beside_it(name, seed):
    sae = W.create(name, 8, 12, seed=seed)
    with pytest.raises(
        ValueError, match=rf"{name}\.steps must be set on the part that has it; .*write sae\.encoder\.steps ="
    ):
        sae.steps = 5
    with pytest.raises(ValueError, match=rf"{name}\.W_dec must be changed in place; .*write sae\.W_dec\.copy_\("):
        sae.W_dec = torch.nn.Parameter(torch.zeros(12, 8))


@pytest.mark.parametrize(("name", "setting"), [("topk", "k"), ("batch_topk", "k"), ("relu", "l1")])
def test_a_setting_is_changed_in_place(name, setting):
    """Another tensor would reach one owner alone, and the folder would say what is not in force."""
    sae = W.create(name, 8, 16)
    parts = [part for part in sae.parts if getattr(part, setting, None) is getattr(sae, setting)]
    for owner in (sae, *parts):
        with pytest.raises(
            ValueError, match=rf"\.{setting} must be changed in place; got .*write \.{setting}\.copy_\("
        ):
            setattr(owner, setting, torch.tensor(8))
    if name == "topk":
        sae.k += 4
        assert sae.encoder.selection.k is sae.k
        assert int((sae.encode(torch.randn(64, 8, generator=S.stream(0, "tests/x"))) != 0).sum(-1).max()) > 4


@pytest.mark.parametrize("name", ["matching_pursuit", "omp"])
@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_steps_of_inference_are_saved(tmp_path, name, seed):
    sae, x = W.create(name, 8, 12, k=2, seed=seed).eval(), torch.ones(3, 8)
    two = sae.encode(x)
    sae.encoder.steps = 5
    again = W.load(sae.save(tmp_path))
    assert again.encoder.steps == 5
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
    assert W.load(relu.save(tmp_path / "relu")).settings["l1"] == 0.3


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
    ("part", "returned", "message"),
    [
        (
            "encoder.selection",
            lambda pre: pre[..., :3],
            r"relu\.encoder must be one that gives latents of shape \(64, 12\)",
        ),
        (
            "encoder.selection",
            lambda pre: pre.double(),
            r"relu\.encoder must be one that gives torch\.float32; got .*64",
        ),
        ("encoder", lambda x, decoder: x, r"relu\.encoder must be a function that returns Coded; got"),
        (
            "objective.mse",
            lambda out: 5,
            r"relu: loss term 'mse' must be a tensor of shape \(\), .*; got int: return its",
        ),
        ("objective.mse", lambda out: out.x, r"relu: loss term 'mse' must be .*; got \(64, 10\)"),
        ("decoder", lambda latents: latents, r"relu\.decoder must be one that gives \(64, 10\); got \(64, 12\)"),
    ],
)
def test_what_a_part_returns_is_checked(monkeypatch, part, returned, message):
    sae = W.create("relu", 10, 12)
    monkeypatch.setattr(sae.get_submodule(part), "forward", returned)
    with pytest.raises(ValueError, match=message):
        W.train(sae, WORLD, W.TrainConfig(steps=1, batch=64))


# --- objectives by name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "objective", "terms"),
    [
        ("gated", "nested=1/16,1/4,1", ["mse", "l1", "gate"]),
        ("matching_pursuit", "nested=1/4,1 l1=0.1", ["mse", "l1"]),
        ("jumprelu", "auxk=4,1/32,after:2 norm_gap=0.1", ["mse", "l0", "aux", "afa"]),
        ("topk", "nuclear=0.5 power=0.1,20,10", ["mse", "norm", "power"]),
        ("lista", "l0=0.1", ["mse", "l1", "l0"]),
    ],
)
def test_an_objective_goes_with_every_encoder(tmp_path, name, objective, terms):
    sae = W.create(name, 10, 64, seed=[0, 1], objective=objective)
    assert list(sae.loss_terms) == terms
    before, plain = sae.W_dec.detach().clone(), W.create(name, 10, 64, seed=[0, 1])
    config = W.TrainConfig(steps=6, batch=64, penalty_warm_up=0.0, dead_after=2)
    records = W.train(sae, WORLD, config)
    W.train(plain, WORLD, config)
    assert set(records[-1]) >= {f"loss/{term}" for term in terms if term != "aux"}
    assert not torch.equal(before, sae.W_dec)
    assert not torch.equal(sae.W_dec, plain.W_dec)
    again = W.load(sae.save(tmp_path / "sae"))
    assert (again.settings["objective"], list(again.loss_terms)) == (objective, terms)
    for key, value in sae.state_dict().items():
        assert_close(again.state_dict()[key], value)
    assert_close(again.loss(again.trace(torch.ones(3, 10)))["mse"], sae.loss(sae.trace(torch.ones(3, 10)))["mse"])
    assert f"objective={objective}" in repr(again)


def test_prefixes_of_a_gated_sae_are_those_of_its_latents():
    """x_hat of the first half alone, by hand."""
    sae, x = W.create("gated", 4, 8, objective="nested=1/2,1"), torch.randn(5, 4, generator=S.stream(0, "tests/x"))
    with torch.no_grad():
        sae.tensor("b_gate").fill_(0.1)
        out = sae.trace(x)
        f = out.dense()
        errors = [((f[:, :w] @ sae.W_dec[:w] - x) ** 2).sum(1).mean() for w in (4, 8)]
    assert_close(sae.loss(out)["mse"].detach(), (errors[0] + errors[1]) / 2)


@pytest.mark.parametrize("detach", ["none", "all"])
@pytest.mark.parametrize(
    ("name", "settings"), [("structured", {"reading": "residual"}), ("transcoder", {"skip": True})]
)
def test_every_prefix_has_what_joins_beside_latents(name, settings, detach):
    sae, x = W.create(name, 4, 8, **settings), torch.randn(5, 4, generator=S.stream(0, "tests/x"))
    with torch.no_grad():
        sae.tensor("W_skip" if "skip" in settings else "Q").fill_(0.7)
        out = sae.trace(x)
        f, beside = out.dense(), sae.beside(x)
        assert float(beside.abs().max()) > 0.1
        errors = [((f[:, :w] @ sae.W_dec[:w] + beside - x) ** 2).sum(1).mean() for w in (4, 8)]
        term = objectives.Nested(sae_module.Stack("w", 4, 8), (0.5, 1.0), detach)
        assert_close(term(out), (errors[0] + errors[1]) / 2)


def test_a_threshold_beside_a_low_rank_part_follows_what_it_selects():
    stack = sae_module.Stack("w", 4, 8)
    encoder = PlusLowRank(stack, BatchTopK(stack, 2.0), 1, "latents")
    sae = stack.sae(encoder, Rows(stack), SquaredError()).train()
    with torch.no_grad():
        out = sae.trace(torch.randn(16, 4, generator=S.stream(0, "tests/x")))
        sae.finish_step(out)
    kept = out.coded.penalised()
    assert_close(sae.tensor("threshold"), kept[kept > 0].min())


def test_a_term_on_pre_activations_is_refused_where_there_are_none():
    for name, encoder in (("omp", "OrthogonalPursuit"), ("spade", "Prototypes")):
        message = rf"{name}: loss term 'aux' must be left out where .*; got AuxK on {encoder}: use one that selects"
        with pytest.raises(ValueError, match=message):
            W.create(name, 8, 12, objective="auxk=4")


@pytest.mark.parametrize(
    ("objective", "counter"),
    [("auxk=4", "silent"), ("power=.1,20,10", "penalty.step"), ("orthogonal=1", "orthogonal.steps")],
)
def test_counters_count_on_in_short_floats(objective, counter):
    sae = W.create("relu", 8, 12, objective=objective)
    sae.load_state_dict(sae.state_dict() | {counter: torch.full_like(sae.tensor(counter), 256.0)})
    sae = sae.bfloat16()
    with torch.no_grad():
        sae.tensor("b_enc").fill_(-9.0)
        sae.finish_step(sae.trace(torch.zeros(4, 8, dtype=torch.bfloat16)))
    assert bool((sae.tensor(counter) == 257).all())
    assert sae.double().tensor(counter).dtype == torch.float32


def test_rows_are_counted_on_in_short_floats():
    sae = W.create("group_bias_adaptation", 8, 12, period=10_000).bfloat16()
    for _ in range(3):
        with torch.no_grad():
            sae.finish_step(sae.trace(torch.ones(255, 8, dtype=torch.bfloat16)))
    assert sae.tensor("seen").tolist() == [765, 3]


class LogPenalty(Term):
    """sum log(1 + f / eps)."""

    name, warmed, sparse = "log", True, True

    def __init__(self, stack, weight: NonNegative = 0.5, eps: Positive = 0.2):
        super().__init__()
        self.keep(weight=stack.real(weight), eps=stack.real(eps))

    def forward(self, out):
        return self.weight * (1 + out.dense() / self.eps[..., None, None]).log().sum(-1).mean(-1)


@pytest.mark.parametrize("name", ["relu", "topk", "gated"])
def test_a_strangers_objective_goes_with_three_encoders(monkeypatch, name):
    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))
    W.objective("log_penalty")(LogPenalty)
    with pytest.raises(ValueError, match=r"objective\('l1'\) must be a name that is not taken"):
        W.objective("l1")(LogPenalty)
    sae = W.create(name, 10, 12, objective="log_penalty=2,0.5")
    assert "log" in sae.warmed
    out = sae.trace(torch.ones(3, 10))
    assert_close(sae.loss(out)["log"], 2 * (1 + 2 * out.dense()).log().sum(1).mean())
    W.train(sae, WORLD, W.TrainConfig(steps=3, batch=32))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("nestd=1", r"objective must be one of \[.*'nested'.*\]; got 'nestd': perhaps you meant 'nested'"),
        ("nested=1/2", r"objective nested\.prefixes must be increasing to 1; got \(0\.5,\): sort them and end"),
        ("power=1,3", r"objective power\.start must be at least 10; got 3: raise it"),
        ("nested=a", r"objective nested must be given numbers alone; got \('a',\): write"),
        ("l1=-1", r"objective l1\.weight must be at least 0; got -1: raise it"),
        ("l1=a", r"objective l1\.weight must be a number; got a: give one"),
        (
            "l1=1,true,2,0.1,3",
            r"objective l1 must be given at most 4 values, weight, warmed, target_l0, gain; got 5: drop",
        ),
        ("l1=weigth:1", r"setting of objective l1 must be one of .*; got 'weigth': perhaps you meant 'weight'"),
        ("l1=1,,2", r"objective l1 must be given values between its commas"),
        ("l1=1 l1=2", r"objective l1 must be named once for each term of the loss; got 'l1=1 l1=2'"),
        ("", r"objective must be one or more of name=value,value; got ''"),
    ],
)
def test_what_is_no_objective_is_told(objective, message):
    with pytest.raises(ValueError, match=message):
        W.create("relu", 10, 12, objective=objective)
