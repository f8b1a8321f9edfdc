"""A causal language model by hub name, folder or GGUF file, through one path."""

import hashlib
import importlib
import io
import json
import sys
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text
from torch import nn

from synthetic.base.errors import must

_PLACES = {
    "transformer.h": ("attn", "c_proj"),
    "gpt_neox.layers": ("attention", "dense"),
    "model.layers": ("self_attn", "o_proj"),
}
"""where the blocks are -> names of a block's attention and of its output projection; the MLP is always `mlp`"""
_IDLE = (
    *("transformers_version", "architectures", "dtype", "torch_dtype", "use_cache"),
    *("name_or_path", "_name_or_path", "is_local", "model_max_length"),
)
"""fields of a model's or tokenizer's settings that say where it comes from, not what it computes"""


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

    @property
    def vocabulary(self) -> int:
        """Number of tokens that it has embeddings of."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def fingerprint(self) -> str:
        """Hash of every parameter and buffer as they are now, wherever the model was loaded from; a second a GB."""
        digest = hashlib.blake2b(digest_size=8)
        for name, weight in chain(self.model.named_parameters(), self.model.named_buffers()):
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)} ".encode())
            digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """What activations on a text follow from: a hash of the weights, settings that act, a hash of the tokenizer."""
        return {"weights": self.fingerprint, "config": self._config, "tokenizer": self._tokenizer_hash}

    @property
    def _config(self) -> dict[str, Any]:
        fields = json.loads(json.dumps(self.model.config.to_diff_dict(), default=str))
        return {name: own for name, own in fields.items() if name not in _IDLE and not name.endswith("_token_id")}

    @property
    def _tokenizer_hash(self) -> str:
        """Of its own serialised form; truncation and padding are set by each call."""
        special = f"{self.bos} {getattr(self.tokenizer, 'split_special_tokens', False)} "
        digest = hashlib.blake2b(special.encode(), digest_size=8)
        if hasattr(self.tokenizer, "backend_tokenizer"):
            parts = json.loads(self.tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
            digest.update(json.dumps(parts, sort_keys=True).encode())
            return digest.hexdigest()
        with tempfile.TemporaryDirectory() as place:  # one that is written in Python
            for path in sorted(map(Path, self.tokenizer.save_pretrained(place))):
                content = path.read_bytes()
                if path.name == "tokenizer_config.json":
                    acts = {name: own for name, own in json.loads(content).items() if own and name not in _IDLE}
                    content = json.dumps(acts, sort_keys=True).encode()
                digest.update(f"{path.name} ".encode() + content)
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
    path = Path(source)
    where: dict[str, Any] = {"pretrained_model_name_or_path": str(source)}
    if path.suffix == ".gguf":
        must(path.is_file(), "load_model.source", "an existing GGUF file", source, "check the path")
        where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    _must_be_there(device)
    try:
        model, tokenizer, lacking = _loaded(where, dtype)
    except ImportError:  # of a package of theirs, which it names
        raise
    except Exception as error:  # damaged files raise whatever their readers do
        own = "trust_remote_code" not in str(error)
        must(own, "load_model.source", "a model that needs no code of its own", source, "code of its folder is not run")
        known = "a hub name, a folder that save_pretrained wrote, or a .gguf file"
        raise ValueError(f"load_model.source must be {known}; got {source}: {in_a_line(error)}") from error
    whole = "with every weight of its architecture"
    must(not lacking, "load_model.source", whole, f"{source} without {', '.join(lacking[:3])}", "copy it whole")
    loaded = LanguageModel(str(source), model.to(device).eval().requires_grad_(False), tokenizer)
    must(loaded.layers >= 1, "model.layers", "at least 1", loaded.layers, "choose another model")
    return loaded


def _loaded(where: dict[str, Any], dtype: torch.dtype) -> tuple[Any, Any, list[str]]:
    """The model, its tokenizer, and names of weights that its files lack; code that lies beside them is not run."""
    transformers = needed("transformers")
    name = where.get("gguf_file", Path(where["pretrained_model_name_or_path"]).name)
    safe = where | {"trust_remote_code": False}
    console = Console(file=sys.stderr)
    with console.status(Text(f"loading {name}")), redirect_stderr(io.StringIO()):  # bars of other libraries
        config = transformers.AutoConfig.from_pretrained(**safe)
        config._attn_implementation = None  # ours to choose: it may name code on the hub
        tokenizer = transformers.AutoTokenizer.from_pretrained(**safe)
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            **safe, config=config, dtype=dtype, weights_only=True, output_loading_info=True
        )
    return model, tokenizer, sorted(report["missing_keys"])


def _must_be_there(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        rule = "one that torch finds here"
        raise ValueError(f"load_model.device must be {rule}; got {device!r}: {in_a_line(error)}") from None


def in_a_line(error: Exception) -> str:
    """What another library's error says first: its first line, with the next where that ends in a colon."""
    said = ""
    for line in str(error).split("\n"):
        said = f"{said} {line.strip()}".strip()
        if said and not said.endswith(":"):
            break
    return said or type(error).__name__


def needed(package: str) -> Any:
    """An optional package, or an error that says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{package} is needed for language models: pip install 'sae-workbench[lm]'") from error
