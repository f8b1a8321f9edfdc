"""Fidelity: losses with replaced activations against hooks and cross-entropies written out one sequence at a time."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from lm import KINDS, language_model, tokenizer, tokens  # noqa: E402

import workbench as W  # noqa: E402
from synthetic.base.streams import stream  # noqa: E402
from workbench.lm.fidelity import Fidelity, measure_fidelity  # noqa: E402
from workbench.lm.hooks import HookPoint, capture, logits, width  # noqa: E402
from workbench.lm.models import LanguageModel  # noqa: E402
from workbench.lm.packing import PAD  # noqa: E402

POINTS = ("resid_pre", "attn_out", "mlp_out", "hook_z", "resid_post")
LAYERS = {"gpt2": "transformer.h", "gpt_neox": "gpt_neox.layers", "llama": "model.layers"}
PARTS = {  # module within a layer, and whether its input counts instead of its output
    "resid_pre": (("", "", ""), True),
    "attn_out": (("attn", "attention", "self_attn"), False),
    "mlp_out": (("mlp", "mlp", "mlp"), False),
    "hook_z": (("attn.c_proj", "attention.dense", "self_attn.o_proj"), True),
    "resid_post": (("", "", ""), False),
}


@functools.cache
@torch.no_grad()
def written_by(kind, n=3, t=12):
    """Sequences that the model itself finds likely, so that most ablations cost something; two end early."""
    lm, ids = language_model(kind), tokens(n, 3)
    while ids.shape[1] < t:
        ids = torch.cat([ids, logits(lm, ids)[:, -1:].argmax(-1)], 1)
    ids[1, 7:] = PAD
    ids[2, 10:] = PAD
    return ids


def log_probabilities(kind, point, ids, change, skip):
    """Next-token log-probabilities (t, v) of one sequence with a change at a hook point, by a hook of our own."""
    model = language_model(kind).model
    names, of_input = PARTS[point.kind]
    module = model.get_submodule(f"{LAYERS[kind]}.{point.layer}.{names[KINDS.index(kind)]}".rstrip("."))

    def changed(value):
        return torch.cat([value[:, :skip], change(value[0, skip:])[None]], 1)

    if of_input:
        handle = module.register_forward_pre_hook(lambda _, args: (changed(args[0]), *args[1:]))
    else:
        handle = module.register_forward_hook(
            lambda _, args, out: (changed(out[0]), *out[1:]) if isinstance(out, tuple) else changed(out)
        )
    try:
        return model(input_ids=ids[None]).logits[0].double().log_softmax(-1)
    finally:
        handle.remove()


@torch.no_grad()
def by_hand(kind, point, sequences, change, skip=1):
    """Loss and KL against the model as it is, nats a token."""
    losses, kls = [], []
    for padded in sequences:
        ids = padded[padded != PAD]
        clean, other = (log_probabilities(kind, point, ids, own, skip)[:-1] for own in (lambda x: x, change))
        losses += F.cross_entropy(other, ids[1:], reduction="none").tolist()
        kls += F.kl_div(other, clean, reduction="none", log_target=True).sum(-1).tolist()
    return sum(losses) / len(losses), sum(kls) / len(kls), len(losses)


def bent(x):
    return 0.5 * x + 0.3 * x.sin()


def mean_at(lm, point):
    return torch.randn(width(lm, point), generator=stream(0, "tests/fidelity"))


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_hooks_written_out(kind, name):
    lm, point, sequences = language_model(kind), HookPoint(1, name), written_by(kind)
    mean = mean_at(lm, point)
    changes = {"bent": bent, "rounded": torch.round, "same": lambda x: x}
    found = measure_fidelity(lm, point, sequences, changes, mean=mean)
    assert list(found) == list(changes)
    ablated = [by_hand(kind, point, sequences, own) for own in (lambda x: x, torch.zeros_like, lambda x: mean + 0 * x)]
    for key, change in changes.items():
        loss, kl, count = by_hand(kind, point, sequences, change)
        own = found[key]
        assert own.tokens == count == 11 + 6 + 9
        assert [own.clean, own.zero, own.mean] == pytest.approx([part[0] for part in ablated], rel=1e-4, abs=1e-5)
        assert (own.replaced, own.kl) == pytest.approx((loss, kl), rel=1e-4, abs=1e-5)
    assert found["bent"].kl > 1e-3
    assert found["bent"].replaced != found["rounded"].replaced


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_ends_of_the_scale(kind, name):
    """All is recovered by activations themselves, nothing by what the ablations put there."""
    lm, point = language_model(kind), HookPoint(1, name)
    mean = mean_at(lm, point)
    changes = {"same": lambda x: x.clone(), "zero": torch.zeros_like, "mean": lambda x: mean.expand_as(x)}
    found = measure_fidelity(lm, point, written_by(kind), changes, mean=mean)
    same, zero, average = found.values()
    assert (same.replaced, zero.replaced, average.replaced) == pytest.approx((same.clean, same.zero, same.mean))
    assert same.kl == pytest.approx(0, abs=1e-6)
    assert min(zero.kl, average.kl) > 1e-3
    costs = same.zero > same.clean, same.mean > same.clean
    assert costs == (True, True) or kind != "llama"
    if costs[0]:
        assert (same.recovered, zero.recovered) == pytest.approx((1, 0), abs=1e-5)
    if costs[1]:
        assert (same.recovered_from_mean, average.recovered_from_mean) == pytest.approx((1, 0), abs=1e-5)


def test_shares_by_hand():
    own = Fidelity(clean=2.0, replaced=2.5, zero=4.0, mean=3.0, kl=0.1, tokens=7)
    assert (own.recovered, own.recovered_from_mean) == (0.75, 0.5)
    worse = Fidelity(clean=2.0, replaced=5.0, zero=4.0, mean=3.0, kl=0.1, tokens=7)
    assert (worse.recovered, worse.recovered_from_mean) == (-0.5, -2.0)
    harmless = Fidelity(clean=2.0, replaced=2.5, zero=2.0, mean=1.5, kl=0.1, tokens=7)
    assert math.isnan(harmless.recovered)
    assert math.isnan(harmless.recovered_from_mean)


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 100])
def test_changes_at_once_do_not_matter(at_once):
    lm, point = language_model("llama"), HookPoint(1, "resid_post")
    changes = {f"{i}": lambda x, i=i: x * (1 - 0.1 * i) for i in range(4)}
    whole, some = (
        measure_fidelity(lm, point, written_by("llama"), changes, mean=mean_at(lm, point), at_once=n)
        for n in (8, at_once)
    )
    assert list(whole) == list(some) == ["0", "1", "2", "3"]
    for key, own in whole.items():
        assert vars(some[key]) == pytest.approx(vars(own), rel=1e-5, abs=1e-6)
    assert len({own.replaced for own in whole.values()}) == 4


def test_one_change_does_not_touch_another():
    """A change that writes into what it is given changes its own loss alone."""
    lm, point = language_model(), HookPoint(1, "mlp_out")

    def careless(x):
        return x.mul_(0.2)

    settings = {"mean": mean_at(lm, point)}
    alone = measure_fidelity(lm, point, written_by("gpt2"), {"b": bent}, **settings)["b"]
    both = measure_fidelity(lm, point, written_by("gpt2"), {"a": careless, "b": bent}, **settings)["b"]
    assert vars(both) == pytest.approx(vars(alone), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("skip", [0, 1, 4])
def test_first_tokens_are_left_alone(skip):
    lm, point, sequences = language_model(), HookPoint(1, "resid_pre"), written_by("gpt2")
    seen = []

    def change(x):
        seen.append(x.clone())
        return bent(x)

    found = measure_fidelity(lm, point, sequences, {"bent": change}, mean=mean_at(lm, point), skip=skip)["bent"]
    for padded, x in zip(sequences, seen, strict=True):
        value = capture(lm, padded.clamp_min(0)[None], [point])[point][0]
        assert x.shape == (12 - skip, 16)
        assert torch.equal(x, value[skip:])
    loss, kl, _ = by_hand("gpt2", point, sequences, bent, skip)
    assert (found.replaced, found.kl) == pytest.approx((loss, kl), rel=1e-4, abs=1e-5)
    zero = by_hand("gpt2", point, sequences, torch.zeros_like, skip)[0]
    assert found.zero == pytest.approx(zero, rel=1e-4)


def test_where_all_is_left_alone_nothing_is_lost():
    lm, point = language_model(), HookPoint(1, "resid_pre")
    own = measure_fidelity(lm, point, written_by("gpt2"), {"bent": bent}, mean=mean_at(lm, point), skip=12)["bent"]
    assert own.clean == own.replaced == own.zero == own.mean
    assert own.kl == pytest.approx(0, abs=1e-7)
    assert math.isnan(own.recovered)


def test_padding_counts_for_nothing():
    """The same text in wider sequences, and beside a sequence of one token."""
    lm, point = language_model("gpt_neox"), HookPoint(1, "hook_z")
    short = written_by("gpt_neox")
    wide = torch.full((4, 20), PAD)
    wide[:3, :12] = short
    wide[3, 0] = 0
    one, other = (
        measure_fidelity(lm, point, ids, {"bent": bent}, mean=mean_at(lm, point))["bent"] for ids in (short, wide)
    )
    assert vars(other) == pytest.approx(vars(one), rel=1e-5, abs=1e-6)


def test_an_sae_is_a_change_and_changes_see_float32():
    lm = language_model()
    half = LanguageModel("half", lm.model.__class__(lm.model.config).to(torch.bfloat16).eval(), tokenizer())
    half.model.load_state_dict(lm.model.state_dict())
    point, ids, kinds = HookPoint(1, "resid_post"), written_by("gpt2"), set()
    sae = W.create("topk", 16, 24, k=3)

    def change(x):
        kinds.add(x.dtype)
        return sae(x)

    mean = torch.zeros(16)
    full, rough = (measure_fidelity(own, point, ids, {"s": change}, mean=mean)["s"] for own in (lm, half))
    assert kinds == {torch.float32}
    assert rough.clean == pytest.approx(full.clean, abs=0.1)
    assert rough.replaced == pytest.approx(full.replaced, rel=0.1)
    assert full.recovered < 0.9
    assert full.zero == full.mean


def test_text_without_a_token_to_predict_is_refused():
    lm, point = language_model(), HookPoint(0, "mlp_out")
    with pytest.raises(ValueError, match=r"fidelity\.sequences must be at least one; got none: keep more"):
        measure_fidelity(lm, point, torch.zeros(0, 5, dtype=torch.long), {}, mean=torch.zeros(16))
    alone = torch.tensor([[0, PAD, PAD]])
    with pytest.raises(ValueError, match=r"fidelity\.sequences must be longer than one token; got no token to predict"):
        measure_fidelity(lm, point, alone, {}, mean=torch.zeros(16))


def test_a_stack_is_no_change_of_activations():
    stack, point = W.create("topk", 16, 24, k=3, seed=[0, 1]), HookPoint(1, "resid_post")
    with pytest.raises(ValueError, match=r"fidelity\.changes must be .*: pass single SAEs"):
        measure_fidelity(language_model(), point, tokens(), {"s": stack}, mean=torch.zeros(16))
