"""A causal language model by hub name, folder or GGUF file, through one path."""

import hashlib
import importlib
import io
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from synthetic.errors import must

_PLACES = {
    "transformer.h": ("attn", "c_proj"),
    "gpt_neox.layers": ("attention", "dense"),
    "model.layers": ("self_attn", "o_proj"),
}
"""where the blocks are -> names of a block's attention and of its output projection; the MLP is always `mlp`"""


@dataclass(frozen=True)
class Block:
    """The modules of one layer whose inputs and outputs are hook points."""

    whole: nn.Module
    attention: nn.Module
    projection: nn.Module
    """W_O: takes the heads' outputs side by side"""
    mlp: nn.Module


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model in eval mode, its tokenizer, and where its layers are."""

    name: str
    """hub name, folder or GGUF file it was loaded from"""
    model: Any
    """transformers' own object"""
    tokenizer: Any

    @cached_property
    def blocks(self) -> list[Block]:
        """Its layers, in order.

        Raises:
            ValueError: an architecture other than GPT-2's, GPT-NeoX's or Llama's layout.
        """
        for place, (attention, projection) in _PLACES.items():
            try:
                blocks: Any = self.model.get_submodule(place)
                heads = [block.get_submodule(attention) for block in blocks]
                outputs = [head.get_submodule(projection) for head in heads]
                return [Block(*parts) for parts in zip(blocks, heads, outputs, (b.mlp for b in blocks), strict=True)]
            except AttributeError:
                continue
        kind = self.model.config.model_type
        raise ValueError(f"model must be laid out as GPT-2, GPT-NeoX or Llama; got {kind!r}: choose another model.")

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.blocks)

    @property
    def d(self) -> int:
        """Width of the residual stream."""
        return int(self.model.config.hidden_size)

    @property
    def heads(self) -> int:
        """Attention heads a layer."""
        return int(self.model.config.num_attention_heads)

    @property
    def context(self) -> int:
        """Most tokens a sequence."""
        return int(getattr(self.model.config, "max_position_embeddings", 2**31))

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.model.device

    @property
    def bos(self) -> int:
        """Token that begins a document: the tokenizer's BOS, or its end-of-text where it has none, as GPT-2."""
        own = self.tokenizer.bos_token_id
        own = self.tokenizer.eos_token_id if own is None else own
        must(own is not None, "tokenizer.bos_token_id", "set", None, "set tokenizer.bos_token")
        return int(own)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the architecture and of a few entries of every weight, wherever the model was loaded from."""
        digest = hashlib.blake2b(type(self.model).__name__.encode(), digest_size=8)
        for name, weight in self.model.named_parameters():
            some = weight.detach().flatten()[:: max(1, weight.numel() // 16)][:16]
            digest.update(f"{name} {tuple(weight.shape)} {some.float().tolist()}".encode())
        return digest.hexdigest()


def load_model(source: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A causal language model and its tokenizer.

    Args:
        source: name on the Hugging Face hub such as "gpt2", a folder that `save_pretrained` wrote, or a .gguf file.
        device: where to run it.
        dtype: of its weights; a GGUF file's are dequantised to it.

    Raises:
        ValueError: no such file, folder or model, or an architecture whose hook points are not known.
        ImportError: transformers is not installed (`pip install 'sae-workbench[lm]'`).
    """
    transformers = needed("transformers")
    path = Path(source)
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(source)}
    if path.suffix == ".gguf":
        must(path.is_file(), "load_model.source", "an existing GGUF file", source, "check the path")
        where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    console = Console(file=sys.stderr)
    try:
        with console.status(f"loading {path.name}"), redirect_stderr(io.StringIO()):  # bars of other libraries
            tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
            model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=dtype)
    except ImportError:  # of a package of theirs, which it names
        raise
    except Exception as error:  # damaged files raise whatever their readers do
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        known = "a hub name, a folder that save_pretrained wrote, or a .gguf file"
        raise ValueError(f"load_model.source must be {known}; got {source}: {first}") from error
    loaded = LanguageModel(str(source), model.to(device).eval().requires_grad_(False), tokenizer)
    must(loaded.layers >= 1, "model.layers", "at least 1", loaded.layers, "choose another model")
    return loaded


def needed(package: str) -> Any:
    """An optional package, or an error that says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{package} is needed for language models: pip install 'sae-workbench[lm]'") from error
