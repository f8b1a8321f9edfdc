"""Tiny random language models of each layout, with a tokenizer of whole words; nothing is downloaded."""

import functools

import pytest
import torch

from synthetic.base.streams import stream
from workbench.lm.models import LanguageModel
from workbench.lm.text import Document

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

KINDS = ("gpt2", "gpt_neox", "llama")
"""layouts; Llama's has grouped-query attention and heads of width 6, so that hook_z is wider than d"""
D, LAYERS, HEADS, VOCABULARY = 16, 3, 4, 40
BOS, UNKNOWN = 0, 1
WORDS = ["<|end|>", "<unk>", *(f"w{i}" for i in range(2, VOCABULARY))]


def tokenizer():
    """One token a word, whose number is its id; BOS has none of its own, as in GPT-2."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", unk_token="<unk>")


def configuration(kind, **more):
    own = {"vocab_size": VOCABULARY, "bos_token_id": BOS, "eos_token_id": BOS}
    if kind == "gpt2":
        own |= {"n_positions": 64, "n_embd": D, "n_layer": LAYERS, "n_head": HEADS}
        return transformers.GPT2Config(**own | more)
    own |= {"hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 24}
    own |= {"max_position_embeddings": 64}
    if kind == "gpt_neox":
        return transformers.GPTNeoXConfig(**own | {"rotary_pct": 0.5} | more)
    return transformers.LlamaConfig(**own | {"num_key_value_heads": 2, "head_dim": 6} | more)


@torch.no_grad()
def random_model(kind, seed=0, **more):
    """A model whose weights are large enough for every part to matter."""
    with torch.random.fork_rng(devices=[]):  # its own initial values are overwritten
        model = transformers.AutoModelForCausalLM.from_config(configuration(kind, **more))
    for i, (name, weight) in enumerate(model.named_parameters()):
        drawn = torch.randn(weight.shape, generator=stream(seed, f"tests/lm/{kind}", i))
        weight.copy_(1 + 0.2 * drawn if "norm" in name or ".ln_" in name else 0.3 * drawn)
    return model.eval().requires_grad_(False)


@functools.cache
def language_model(kind="gpt2", seed=0):
    return LanguageModel(f"tiny {kind}", random_model(kind, seed), tokenizer())


def saved(kind, folder, seed=0):
    """A folder as `save_pretrained` writes it."""
    lm = language_model(kind, seed)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def tokens(n=2, t=9, seed=0):
    """Token ids (n, t), each row begun by BOS."""
    ids = torch.randint(2, VOCABULARY, (n, t), generator=stream(seed, "tests/lm/ids"))
    ids[:, 0] = BOS
    return ids


def texts(*lengths, seed=0):
    """Documents of so many random words."""
    words = torch.randint(2, VOCABULARY, (sum(lengths),), generator=stream(seed, "tests/lm/words")).split(lengths)
    return [Document(f"text-{i}", " ".join(f"w{j}" for j in own)) for i, own in enumerate(words)]
