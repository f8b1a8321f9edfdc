"""Language models: loading through one path, hook points against each layer written out by hand, attention."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from lm import BOS, HEADS, KINDS, LAYERS, VOCABULARY, language_model, random_model, saved, tokenizer, tokens  # noqa: E402

import workbench.lm.hooks as hooks_module  # noqa: E402
from workbench.lm.attention import attention_parts  # noqa: E402
from workbench.lm.hooks import HookPoint, capture, check_hook_points, known_points, logits, width  # noqa: E402
from workbench.lm.models import LanguageModel, load_model, needed  # noqa: E402

POINTS = ("resid_pre", "attn_out", "mlp_out", "hook_z", "resid_post")


def fresh(kind):
    """A model of one's own, to break."""
    return LanguageModel("mine", random_model(kind), tokenizer())


# --- every layer written out -----------------------------------------------------------------------------------------


def turned(x, n):
    """Rotary positions on the first n numbers of each head of x (b, h, t, e)."""
    angle = torch.arange(x.shape[2])[:, None] * 10000.0 ** (-torch.arange(0, n, 2) / n)
    a, b, rest = x[..., : n // 2], x[..., n // 2 : n], x[..., n:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest], -1)


def attended(q, k, v):
    """Outputs of heads side by side, and their pattern, one position at a time."""
    pattern = torch.zeros(*q.shape[:3], q.shape[2])
    for t in range(q.shape[2]):
        scores = (k[:, :, : t + 1] @ q[:, :, t, :, None])[..., 0] / math.sqrt(q.shape[-1])
        pattern[:, :, t, : t + 1] = scores.softmax(-1)
    return (pattern @ v).transpose(1, 2).flatten(2), pattern


def heads_of(x, n=HEADS):
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def gpt2_layer(block, x):
    q, k, v = (
        heads_of(part) for part in (block.ln_1(x) @ block.attn.c_attn.weight + block.attn.c_attn.bias).chunk(3, -1)
    )
    z, pattern = attended(q, k, v)
    attn = z @ block.attn.c_proj.weight + block.attn.c_proj.bias
    inner = F.gelu(block.ln_2(x + attn) @ block.mlp.c_fc.weight + block.mlp.c_fc.bias, approximate="tanh")
    return z, attn, inner @ block.mlp.c_proj.weight + block.mlp.c_proj.bias, pattern, v


def gpt_neox_layer(block, x):
    q, k, v = heads_of(block.attention.query_key_value(block.input_layernorm(x))).chunk(3, -1)
    z, pattern = attended(turned(q, 2), turned(k, 2), v)
    inner = F.gelu(block.mlp.dense_h_to_4h(block.post_attention_layernorm(x)))  # beside attention, not after it
    return z, block.attention.dense(z), block.mlp.dense_4h_to_h(inner), pattern, v


def llama_layer(block, x):
    own, normed = block.self_attn, block.input_layernorm(x)
    k, v = (heads_of(part(normed), 2)[:, [0, 0, 1, 1]] for part in (own.k_proj, own.v_proj))
    z, pattern = attended(turned(heads_of(own.q_proj(normed)), 6), turned(k, 6), v)
    attn = z @ own.o_proj.weight.T
    after = block.post_attention_layernorm(x + attn)
    mlp = block.mlp.down_proj(F.silu(block.mlp.gate_proj(after)) * block.mlp.up_proj(after))
    return z, attn, mlp, pattern, v


WRITTEN = {"gpt2": gpt2_layer, "gpt_neox": gpt_neox_layer, "llama": llama_layer}


def written_out(kind, ids):
    """Values at every hook point, patterns and values of heads, and logits."""
    model = language_model(kind).model
    base = model.base_model
    x = model.get_input_embeddings()(ids)
    if kind == "gpt2":
        x = x + base.wpe.weight[: ids.shape[1]]
    found, attention = {}, []
    for layer, block in enumerate(language_model(kind).blocks):
        z, attn, mlp, pattern, v = WRITTEN[kind](block.whole, x)
        for name, value in zip(POINTS, (x, attn, mlp, z, x + attn + mlp), strict=True):
            found[HookPoint(layer, name)] = value
        attention.append((pattern, v))
        x = x + attn + mlp
    norm = {"gpt2": "ln_f", "gpt_neox": "final_layer_norm", "llama": "norm"}[kind]
    return found, attention, getattr(base, norm)(x) @ model.get_output_embeddings().weight.T


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_point_is_what_the_layer_says(kind):
    lm, ids = language_model(kind), tokens()
    expected, _, last = written_out(kind, ids)
    got = capture(lm, ids, list(expected))
    assert list(got) == list(expected)
    for point, value in expected.items():
        assert_close(got[point], value, atol=2e-5, rtol=2e-5, msg=lambda m, p=point: f"{p}: {m}")
        assert got[point].shape == (*ids.shape, width(lm, point))
        assert_close(capture(lm, ids, [point])[point], got[point])
    assert width(lm, HookPoint(0, "hook_z")) == (24 if kind == "llama" else 16)
    assert_close(logits(lm, ids), last, atol=5e-5, rtol=5e-5)
    assert check_hook_points(lm, ids) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_hook_points_are_the_models_own_hidden_states(kind):
    lm, ids = language_model(kind), tokens()
    hidden = lm.model(input_ids=ids, output_hidden_states=True).hidden_states
    got = capture(lm, ids, [HookPoint(i, name) for i in range(LAYERS) for name in ("resid_pre", "resid_post")])
    for i in range(LAYERS):
        assert torch.equal(got[HookPoint(i, "resid_pre")], hidden[i])
        if i + 1 < LAYERS:  # the model gives the last one after its final norm
            assert torch.equal(got[HookPoint(i, "resid_post")], hidden[i + 1])


@pytest.mark.parametrize(
    ("points", "blocks", "mlps"),
    [
        (["resid_pre.0"], 0, 0),
        (["resid_pre.1"], 1, 1),
        (["resid_post.0"], 1, 1),
        (["hook_z.1"], 2, 1),
        (["attn_out.1", "mlp_out.0"], 2, 1),
        (["mlp_out.1", "resid_pre.0"], 2, 2),
        (["resid_post.2"], 3, 3),
    ],
)
def test_a_pass_ends_after_its_deepest_hook_point(points, blocks, mlps):
    """Counted by what begins: blocks and MLPs; and the hooks are gone afterwards."""
    lm, begun = language_model(), {"block": 0, "mlp": 0, "end": 0}

    def count(what):
        return lambda *_: begun.__setitem__(what, begun[what] + 1)

    handles = [block.whole.register_forward_pre_hook(count("block")) for block in lm.blocks]
    handles += [block.mlp.register_forward_pre_hook(count("mlp")) for block in lm.blocks]
    handles.append(lm.model.lm_head.register_forward_pre_hook(count("end")))
    try:
        capture(lm, tokens(), known_points(lm, points))
    finally:
        for handle in handles:
            handle.remove()
    # a pre-hook of ours came before the count where the pass ends at a block's input
    assert begun == {"block": blocks + ("resid_pre" in points[0]), "mlp": mlps, "end": 0}
    assert not hooked(lm)


def hooked(lm):
    """Hooks of ours; transformers leaves its own for hidden states."""
    own = [h for m in lm.model.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]
    return [hook for hook in own if hook.__module__.startswith("workbench")]


def test_hooks_of_ours_are_told_from_others():
    lm, seen = language_model(), []
    logits(lm, tokens(), HookPoint(1, "hook_z"), lambda value: seen.append(len(hooked(lm))) or value)
    assert seen == [1]


def test_padding_on_the_right_changes_nothing_before_it():
    for kind in KINDS:
        lm, ids = language_model(kind), tokens(2, 9)
        point = HookPoint(2, "mlp_out")
        longer = torch.cat([ids, torch.zeros(2, 4, dtype=torch.long)], 1)
        assert_close(capture(lm, longer, [point])[point][:, :9], capture(lm, ids, [point])[point])


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 11])
@pytest.mark.parametrize(
    ("kind", "long"),
    [
        ("resid_pre", "blocks.{}.hook_resid_pre"),
        ("resid_post", "blocks.{}.hook_resid_post"),
        ("mlp_out", "blocks.{}.hook_mlp_out"),
        ("attn_out", "blocks.{}.hook_attn_out"),
        ("hook_z", "blocks.{}.attn.hook_z"),
    ],
)
def test_short_and_long_names(kind, layer, long):
    point = HookPoint(layer, kind)
    assert str(point) == f"{kind}.{layer}"
    assert point.long_name == long.format(layer)
    assert HookPoint.of(str(point)) == HookPoint.of(point.long_name) == point


@pytest.mark.parametrize(
    "name", ["resid_pre", "6", "", "resid_pre.-1", "resid_pre.x", "blocks.6.hook_resid_pre.5", "Resid_Pre.6"]
)
def test_a_name_without_kind_or_layer_is_refused(name):
    with pytest.raises(ValueError, match=r"hook point must be such as resid_pre\.6 or blocks\.6\.hook_resid_pre; got "):
        HookPoint.of(name)


def test_an_unknown_kind_is_refused_with_the_nearest_one():
    for name in ("resid_pree.6", "blocks.6.hook_resid_pree"):
        with pytest.raises(ValueError, match=r"hook point must be one of .*: perhaps you meant 'resid_pre'"):
            HookPoint.of(name)
    for make in (lambda: HookPoint.of("blocks.6"), lambda: HookPoint(6, "blocks")):
        with pytest.raises(ValueError, match=r"hook point must be one of .*; got 'blocks': choose one of these"):
            make()


def test_points_come_in_order_of_depth_without_repeats():
    lm = language_model()
    names = ["resid_post.1", "blocks.1.attn.hook_z", "mlp_out.0", "resid_pre.1", "resid_pre.1", "hook_z.1"]
    assert [str(p) for p in known_points(lm, names)] == ["mlp_out.0", "resid_pre.1", "resid_post.1", "hook_z.1"]
    with pytest.raises(ValueError, match=r"hook point must be in a layer below 3; got resid_pre\.3: count from 0"):
        known_points(lm, ["resid_pre.0", "resid_pre.3"])


# --- replacing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", POINTS)
def test_replacing_by_itself_changes_nothing_and_by_zero_does(kind, name):
    lm, ids = language_model(kind), tokens()
    point, plain = HookPoint(1, name), logits(lm, ids)
    assert torch.equal(logits(lm, ids, point, lambda value: value.clone()), plain)
    changed = logits(lm, ids, point, torch.zeros_like)
    assert not torch.isclose(changed, plain).all(-1).any()
    assert torch.equal(logits(lm, ids), plain)


def test_what_is_replaced_is_what_later_layers_read():
    """Layer 1 without its MLP: the next layer reads what came in and what attention added."""
    for kind in KINDS:
        lm, ids = language_model(kind), tokens()
        seen = []
        before = capture(lm, ids, [HookPoint(1, "resid_pre"), HookPoint(1, "attn_out")])
        handle = lm.blocks[2].whole.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
        logits(lm, ids, HookPoint(1, "mlp_out"), torch.zeros_like)
        handle.remove()
        assert_close(seen[0], sum(before.values()))


@pytest.mark.parametrize("name", POINTS)
def test_hooks_are_gone_after_an_error(name):
    lm, ids = language_model(), tokens()

    def fail(value):
        raise RuntimeError("within the pass")

    with pytest.raises(RuntimeError, match="within the pass"):
        logits(lm, ids, HookPoint(1, name), fail)
    assert not hooked(lm)
    with pytest.raises(
        ValueError, match=r"token ids must be in \[0, 40\), the model's vocabulary; got 40 to .*: use the"
    ):
        capture(lm, ids + VOCABULARY, [HookPoint(1, name)])
    assert not hooked(lm)


# --- layers that are not what they seem ------------------------------------------------------------------------------


class Doubled(torch.nn.Module):
    """A part whose output is multiplied before it is added, as by a norm after it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **named):
        out = self.inner(*args, **named)
        return (2 * out[0], *out[1:]) if isinstance(out, tuple) else 2 * out


def altered(lm, where):
    """A model whose layer 1 does more than its parts say."""
    block = lm.blocks[1]
    if where == "block":
        block.whole.register_forward_hook(lambda _, args, out: out + 1)
    elif where == "after the MLP":
        block.whole.mlp = Doubled(block.mlp)
    elif where == "after attention":
        name = next(name for name, part in block.whole.named_children() if part is block.attention)
        setattr(block.whole, name, Doubled(block.attention))
    else:
        block.attention.register_forward_hook(lambda _, args, out: (2 * out[0], *out[1:]))
    return lm


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("block", "attn_out and mlp_out"),
        ("after the MLP", "attn_out and mlp_out"),
        ("after attention", "attn_out and mlp_out"),
        ("within attention", "hook_z"),
    ],
)
def test_an_altered_layer_is_refused(kind, where, what):
    lm = altered(fresh(kind), where)
    with pytest.raises(ValueError, match=rf"{what} of layer 1 must be the model's own to 0\.0001; got .* off"):
        check_hook_points(lm, tokens())


@pytest.mark.parametrize("lie", [("resid_pre", "resid_post"), ("resid_post", "mlp_out"), ("attn_out", "resid_post")])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_wrong_residual_stream_is_found(monkeypatch, lie, layer):
    """Two points are off by the same, so that the parts of the layer still add up."""
    honest = hooks_module.capture

    def lying(lm, ids, points):
        off = torch.arange(16) / 1e3
        return {p: v + off if p.layer == layer and p.kind in lie else v for p, v in honest(lm, ids, points).items()}

    monkeypatch.setattr(hooks_module, "capture", lying)
    name = "resid_pre" if "resid_pre" in lie else "resid_post"
    with pytest.raises(ValueError, match=rf"{name} of layer {layer} must be the model's own to 0\.0001; got"):
        check_hook_points(language_model(), tokens())


# --- attention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [0, 2])
def test_pattern_and_values_make_hook_z(kind, layer):
    lm, ids = language_model(kind), tokens(3, 11)
    own = lm.model.config._attn_implementation
    pattern, values = attention_parts(lm, ids, layer)
    expected = written_out(kind, ids)[1][layer]
    assert_close(pattern, expected[0], atol=1e-5, rtol=1e-4)
    assert_close(values, expected[1], atol=1e-5, rtol=1e-4)
    assert_close(pattern.sum(-1), torch.ones(3, HEADS, 11))
    assert not pattern.triu(1).any()
    point = HookPoint(layer, "hook_z")
    built = torch.einsum("bhts,bhse->bthe", pattern, values).flatten(2)
    assert_close(built, capture(lm, ids, [point])[point], atol=1e-5, rtol=1e-4)
    assert lm.model.config._attn_implementation == own != "eager"
    assert not hooked(lm)


def test_attention_is_restored_after_an_error():
    lm = language_model("llama")
    own = lm.model.config._attn_implementation
    with pytest.raises(ValueError, match="token ids must be in"):
        attention_parts(lm, tokens() + VOCABULARY, 1)
    assert lm.model.config._attn_implementation == own
    assert not hooked(lm)


def test_attention_that_does_more_is_refused():
    """Heads' outputs are scaled before W_O, so that pattern and values do not make up hook_z."""
    lm = fresh("llama")
    lm.blocks[1].projection.register_forward_pre_hook(lambda _, args: (args[0] * 1.01,))
    with pytest.raises(ValueError, match=r"pattern times values must be hook_z to 1e-4; got .* off: this attention"):
        attention_parts(lm, tokens(), 1)


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_comes_back(tmp_path, kind):
    own = language_model(kind)
    lm = load_model(saved(kind, tmp_path))
    assert lm.name == str(tmp_path)
    assert (lm.layers, lm.d, lm.heads, lm.bos) == (LAYERS, 16, HEADS, BOS)
    assert torch.equal(logits(lm, tokens()), logits(own, tokens()))
    assert not lm.model.training
    assert not any(p.requires_grad for p in lm.model.parameters())
    assert lm.fingerprint == own.fingerprint
    assert lm.tokenizer("w3 w5 elephant")["input_ids"] == [3, 5, 1]
    half = load_model(tmp_path, dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16


def test_fingerprints_tell_models_apart():
    assert len({language_model(kind, seed).fingerprint for kind in KINDS for seed in (0, 1)}) == 6
    lm = fresh("gpt2")
    before = lm.fingerprint
    lm.model.transformer.wte.weight.data[17, 5] += 1e-3  # past autograd's eyes
    assert fresh("gpt2").fingerprint == before != lm.fingerprint
    lm = fresh("llama")
    before = lm.fingerprint
    lm.model.model.rotary_emb.inv_freq[1] *= 1.001  # a buffer that no file holds
    assert fresh("llama").fingerprint == before != lm.fingerprint


def test_an_identity_is_of_what_acts(tmp_path):
    """Where files lie, what tokens are for, and how a tokenizer pads, do not act."""
    own = language_model()
    lm = load_model(saved("gpt2", tmp_path))
    lm.model.config.pad_token_id = 7
    lm.tokenizer.pad_token = lm.tokenizer.eos_token
    lm.tokenizer(["w2", "w3 w4"], padding=True, truncation=True, max_length=1)
    assert lm.identity == own.identity
    assert json.loads(json.dumps(own.identity)) == own.identity
    lm.model.config.activation_function = "relu"
    assert lm.identity["config"] == own.identity["config"] | {"activation_function": "relu"}
    lm.tokenizer.add_tokens("w40")
    assert lm.identity["tokenizer"] != own.identity["tokenizer"]


def test_a_tokenizer_written_in_python_has_an_identity_too(tmp_path):
    def identity(own):
        return LanguageModel("x", language_model().model, own).identity["tokenizer"]

    plain = transformers.ByT5Tokenizer(extra_ids=2)
    plain.save_pretrained(tmp_path)
    assert identity(plain) == identity(transformers.AutoTokenizer.from_pretrained(tmp_path))
    assert identity(plain) != identity(transformers.ByT5Tokenizer(extra_ids=3))


def test_bos_is_the_tokenizers_own_or_its_end_of_text():
    lm = LanguageModel("x", language_model().model, tokenizer())
    assert lm.bos == BOS
    lm.tokenizer.bos_token = "w7"
    assert lm.bos == 7
    lm.tokenizer.bos_token = lm.tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"tokenizer\.bos_token_id must be set; got None: set tokenizer\.bos_token"):
        assert lm.bos


def test_what_is_no_model_is_named(tmp_path, monkeypatch):
    """Nothing there, an empty folder, a folder without weights, damaged files, a name that no hub has or can say."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = r"load_model\.source must be a hub name, a folder that save_pretrained wrote, or a \.gguf file; got "
    empty, bare, damaged, garbled = (tmp_path / name for name in ("empty", "bare", "damaged", "garbled"))
    empty.mkdir()
    for folder in (bare, damaged, garbled):
        saved("gpt2", folder)
    (bare / "model.safetensors").unlink()
    (damaged / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    (garbled / "config.json").write_text('{"model_type": "gp')
    for source in (tmp_path / "nowhere", empty, bare, damaged, garbled, "no such name!", "none/such"):
        with pytest.raises(ValueError, match=message + str(source)) as caught:
            load_model(source)
        assert "\n" not in str(caught.value)


CODE = """
open({ran!r}, "w")
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast
class Config(GPT2Config): model_type = "own"
class Model(GPT2LMHeadModel): config_class = Config
class Tokenizer(GPT2TokenizerFast): pass
"""


@pytest.mark.parametrize("kind", ["own", "gpt2", "tokenizer"])
def test_code_beside_a_model_is_not_run_and_nobody_is_asked(tmp_path, monkeypatch, kind):
    """A type of its own is refused; types that transformers knows load as what they are."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("was asked"))
    saved("gpt2", tmp_path)
    (tmp_path / "code.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    name = "tokenizer_config.json" if kind == "tokenizer" else "config.json"
    own = {"auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}}
    if kind == "tokenizer":
        own = {"auto_map": {"AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"]}, "tokenizer_class": "Tokenizer"}
    elif kind == "own":
        own["model_type"] = kind
    (tmp_path / name).write_text(json.dumps(json.loads((tmp_path / name).read_text()) | own))
    if kind != "own":
        assert torch.equal(logits(load_model(tmp_path), tokens()), logits(language_model(), tokens()))
    else:
        message = r"load_model\.source must be a model that needs no code of its own; got .*: code of its folder is not"
        with pytest.raises(ValueError, match=message) as caught:
            load_model(tmp_path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_the_kernel_that_a_models_folder_asks_for_is_not_fetched(tmp_path):
    """It may be code on the hub."""
    path = Path(saved("llama", tmp_path)) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attn_implementation": "some/kernel"}))
    assert load_model(tmp_path).model.config._attn_implementation == "sdpa"


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_weights_run_nothing(tmp_path):
    saved("gpt2", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    assert torch.equal(logits(load_model(tmp_path), tokens()), logits(language_model(), tokens()))
    torch.save(weights | {"more": Payload(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"load_model\.source must be a hub name"):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_are_named(tmp_path):
    """They would be drawn at random."""
    path = Path(saved("llama", tmp_path)) / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    path.unlink()
    save_file(weights, path, {"format": "pt"})
    message = (
        r"must be with every weight of its architecture; got .* without model\.layers\.1\.mlp\.up_proj\.weight: copy"
    )
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_named(tmp_path, device):
    with pytest.raises(
        ValueError, match=rf"load_model\.device must be one that torch finds here; got '{device}': "
    ) as caught:
        load_model(saved("gpt2", tmp_path), device=device)
    assert "\n" not in str(caught.value)


def test_a_bad_gguf_file_is_named(tmp_path):
    pytest.importorskip("gguf", reason="GGUF files need it: pip install gguf")
    with pytest.raises(ValueError, match=r"load_model\.source must be an existing GGUF file; got .*gone\.gguf: check"):
        load_model(tmp_path / "gone.gguf")
    for content in (b"", b"GGUF", b"not a model at all" * 99, b"GGUF\x03\x00\x00\x00" + b"\xff" * 40):
        (tmp_path / "bad.gguf").write_bytes(content)
        with pytest.raises(ValueError, match=r"load_model\.source must be .* or a \.gguf file; got .*bad\.gguf: "):
            load_model(tmp_path / "bad.gguf")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t5", r"load_model\.source must be a hub name.*Unrecognized configuration class"),
        ("gptj", "model must be laid out as GPT-2, GPT-NeoX or Llama; got 'gptj': choose another model"),
        ("bloom", "model must be laid out as GPT-2, GPT-NeoX or Llama; got 'bloom': choose another model"),
    ],
)
def test_other_layouts_are_refused(tmp_path, name, message):
    own = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        if name == "t5":
            small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
            model = transformers.T5ForConditionalGeneration(transformers.T5Config(**own, **small))
        elif name == "gptj":
            config = transformers.GPTJConfig(**own, n_embd=8, n_layer=1, n_head=2, rotary_dim=4, n_positions=16)
            model = transformers.GPTJForCausalLM(config)
        else:
            model = transformers.BloomForCausalLM(transformers.BloomConfig(**own, hidden_size=8, n_layer=1, n_head=2))
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path)


def test_a_model_without_layers_is_refused(tmp_path):
    model = random_model("gpt2", n_layer=0)
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"model\.layers must be at least 1; got 0"):
        load_model(tmp_path)


def test_a_package_that_lacks_is_named():
    with pytest.raises(ImportError, match=r"no_such_package is needed for language models: pip install 'sae-workbench"):
        needed("no_such_package")


def write_gguf(path, model):
    """A Llama as GGUF: float32 weights, queries and keys in that format's order of dimensions, BPE of single bytes."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<|end|>", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJK", "Ġ", "ab"])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    inner = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    inner |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    inner |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for i in range(config.num_hidden_layers):
        names |= {f"model.layers.{i}.{own}": f"blk.{i}.{theirs}" for own, theirs in inner.items()}
    for name, weight in model.named_parameters():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:  # rotary pairs lie side by side there
            weight = weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(weight.shape)
        writer.add_tensor(f"{names[name.removesuffix('.weight')]}.weight", weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_the_same_model(tmp_path):
    pytest.importorskip("gguf", reason="GGUF files need it: pip install gguf")
    own = LanguageModel("x", random_model("llama", head_dim=4), tokenizer())
    write_gguf(tmp_path / "tiny.gguf", own.model)
    lm = load_model(tmp_path / "tiny.gguf")
    assert_close(logits(lm, tokens()), logits(own, tokens()))
    assert lm.fingerprint == own.fingerprint
    assert lm.tokenizer("cab d", add_special_tokens=False)["input_ids"] == [3, 39, 38, 4]
    assert lm.bos == 0
    assert lm.model.config.num_key_value_heads == 2
