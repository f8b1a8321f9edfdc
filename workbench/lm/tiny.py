"""A tiny language model and texts for it: whatever works on them works on gpt2, and nothing is downloaded."""

from collections.abc import Iterator
from typing import Any

import torch

from synthetic.base.errors import must
from synthetic.base.streams import stream
from workbench.lm.models import LanguageModel
from workbench.lm.text import Document

_WORDS = 64


@torch.no_grad()
def tiny_model(layers: int = 3, d: int = 16, seed: int = 0) -> LanguageModel:
    """A model of GPT-2's layout with four heads and random weights, whose tokens are the words w2 ... w63.

    Args:
        layers: of it.
        d: width of its residual stream, a multiple of 4.
        seed: of its weights.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    must(d >= 4 and d % 4 == 0, "tiny_model.d", "a multiple of 4", d, "there are four heads")
    words = {word: i for i, word in enumerate(["<|end|>", "<unk>", *(f"w{i}" for i in range(2, _WORDS))])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", unk_token="<unk>")
    sizes: dict[str, Any] = {
        "n_positions": 256,
        "n_embd": d,
        "n_layer": layers,
        "n_head": 4,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    with torch.random.fork_rng(devices=[]):  # its own initial values are overwritten
        model = GPT2LMHeadModel(GPT2Config(vocab_size=_WORDS, **sizes))
    for i, (name, weight) in enumerate(model.named_parameters()):
        drawn = torch.randn(weight.shape, generator=stream(seed, "tiny model", i))
        weight.copy_(1 + 0.2 * drawn if ".ln_" in name else 0.3 * drawn)
    return LanguageModel("tiny", model.eval().requires_grad_(False), tokenizer)


def tiny_texts(n: int = 200, words: int = 120, seed: int = 0) -> Iterator[Document]:
    """So many documents of so many words that a tiny model knows, drawn evenly."""
    for i in range(n):
        ids = torch.randint(2, _WORDS, (words,), generator=stream(seed, "tiny texts", i))
        yield Document(f"text-{i}", " ".join(f"w{j}" for j in ids.tolist()))
