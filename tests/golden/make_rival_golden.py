"""Write `rival_folders/`: small SAEs as other libraries keep them, with the latents and reconstructions of a few rows.

`python tests/golden/make_rival_golden.py`. Those of dictionary_learning 0.1 and sparsify 1.3 are made and run by the
libraries' own classes (`pip install '.[rivals]'`); the others stand in their documented layout, and what they give is
computed here in float64 by the formula that `workbench.interop` cites. The tests that read the files need neither.

Beside each folder's files lies `expected.safetensors`: x, the latents, x_hat, and the norm of each row of the decoder
in units of x (what one unit of a latent adds to x_hat).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

FOLDERS = Path(__file__).parent / "rival_folders"
D, M, K, ROWS = 8, 16, 3, 24
Array = NDArray[np.float64]


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([65413, *name.encode()])


def _expect(folder: Path, x: Array, latents: Any, x_hat: Any, norms: Any) -> None:
    kept = {"x": x, "latents": latents, "x_hat": x_hat, "row_norms": norms}
    save_file(
        {name: torch.as_tensor(v).detach().float().clone().contiguous() for name, v in kept.items()},
        folder / "expected.safetensors",
    )


def _text(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


# --- dictionary_learning

# name -> class, whether its rows are of norm 1
DICTIONARY_LEARNING = {
    "auto_encoder": ("AutoEncoder", False),
    "auto_encoder_new": ("AutoEncoderNew", False),
    "auto_encoder_topk": ("AutoEncoderTopK", True),
    "auto_encoder_topk_any_rows": ("AutoEncoderTopK", False),
    "batch_topk": ("BatchTopKSAE", True),
    "batch_topk_any_rows": ("BatchTopKSAE", False),
    "gated": ("GatedAutoEncoder", False),
    "jump_relu": ("JumpReluAutoEncoder", False),
    "matryoshka": ("MatryoshkaBatchTopKSAE", True),
}


def _their_class(name: str) -> Any:
    from dictionary_learning import dictionary
    from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k

    home: Any = {
        "AutoEncoderTopK": top_k,
        "BatchTopKSAE": batch_top_k,
        "MatryoshkaBatchTopKSAE": matryoshka_batch_top_k,
    }.get(name, dictionary)
    cls = getattr(home, name)
    more: dict[str, Any] = {} if home is dictionary else {"k": K}
    return cls(D, M, **more, **({"group_sizes": [4, 12]} if name.startswith("Matryoshka") else {}))


def dictionary_learning(name: str) -> None:
    """A folder of dictionary_learning's, with what its class gives."""
    kind, unit = DICTIONARY_LEARNING[name]
    folder, rng = FOLDERS / f"dictionary_learning_{name}", _rng(name)
    folder.mkdir(parents=True, exist_ok=True)
    theirs = _their_class(kind)
    with torch.no_grad():
        for key, parameter in sorted(theirs.named_parameters()):
            drawn = torch.from_numpy(rng.standard_normal(parameter.shape)).float()
            parameter.copy_(0.4 + 0.2 * drawn.abs() if key == "threshold" else 0.5 * drawn)
        rows = theirs.W_dec if hasattr(theirs, "W_dec") else theirs.decoder.weight.T
        if unit:
            rows.div_(rows.norm(dim=1, keepdim=True))
        if "BatchTopK" in kind:
            theirs.threshold.fill_(0.6)
        x = torch.from_numpy(rng.standard_normal((ROWS, D))).float()
        torch.save(theirs.state_dict(), folder / "ae.pt")
        latents = theirs.encode(x)
        _expect(folder, x.double().numpy(), latents, theirs.decode(latents), rows.norm(dim=1))
    trainer = {"dict_class": kind, "activation_dim": D, "dict_size": M, "layer": 2, "lm_name": "EleutherAI/pythia-70m"}
    trainer |= {"submodule_name": "resid_post_layer_2", "seed": 0} | (
        {"k": K, "threshold_beta": 0.999} if "TopK" in kind else {}
    )
    _text(folder / "config.json", {"trainer": trainer, "buffer": {"d_submodule": D, "ctx_len": 128}})


# --- sparsify


def sparsify() -> None:
    """A run of sparsify's with one hook point, with what its class gives; and one of old whose latents are signed."""
    os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")  # else decoding fails where triton is installed without a GPU
    from sparsify import SparseCoder, SparseCoderConfig

    rng, run = _rng("sparsify"), FOLDERS / "sparsify"
    theirs: Any = SparseCoder(D, SparseCoderConfig(num_latents=M, k=K))
    x = torch.from_numpy(rng.standard_normal((ROWS, D))).float()
    with torch.no_grad():
        for _, parameter in sorted(theirs.named_parameters()):
            parameter.copy_(torch.from_numpy(0.5 * rng.standard_normal(parameter.shape)))
        theirs.set_decoder_norm_to_unit_norm()
        theirs.save_to_disk(run / "layers.3.mlp")
        values, index, _ = theirs.encode(x)
        latents = torch.zeros(ROWS, M).scatter(1, index, values)
        norms = theirs.W_dec.norm(dim=1)
        _expect(run / "layers.3.mlp", x.double().numpy(), latents, theirs.decode(values, index), norms)
    _text(run / "config.json", {"model": "EleutherAI/pythia-70m", "dataset": "EleutherAI/SmolLM2", "ctx_len": 2048})
    _signed(run / "layers.1")


def _signed(folder: Path) -> None:
    W_enc, b_enc, W_dec, b_dec, x = _drawn("sparsify signed")
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    pre = (x - b_dec) @ W_enc + b_enc
    latents = np.where(np.abs(pre) >= np.sort(np.abs(pre), axis=1)[:, [-K]], pre, 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    state = {"encoder.weight": W_enc.T, "encoder.bias": b_enc, "W_dec": W_dec, "b_dec": b_dec}
    save_file(_tensors(state), folder / "sae.safetensors")
    _text(folder / "cfg.json", {"expansion_factor": M // D, "num_latents": 0, "k": K, "signed": True, "d_in": D})
    _expect(folder, x, latents, latents @ W_dec + b_dec, np.ones(M))


# --- by the documented layout


def _drawn(name: str) -> tuple[Array, Array, Array, Array, Array]:
    """W_enc, b_enc, W_dec, b_dec and rows x, all of which float32 holds exactly."""
    rng = _rng(name)
    shapes = (D, M), (M,), (M, D), (D,), (ROWS, D)
    spreads = (0.5, 0.3, 0.5, 0.5, 1.0)
    drawn = [spread * rng.standard_normal(shape) for spread, shape in zip(spreads, shapes, strict=True)]
    W_enc, b_enc, W_dec, b_dec, x = (v.astype(np.float32).astype(np.float64) for v in drawn)
    return W_enc, b_enc, W_dec, b_dec, x


def _tensors(arrays: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(v, np.float32)) for name, v in arrays.items()}


def _k_largest(score: Array) -> NDArray[np.bool_]:
    return score >= np.sort(score, axis=1)[:, [-K]]


def gemma_scope(folder: Path) -> None:
    """f = z 1[z > threshold] with z = relu(x W_enc + b_enc)."""
    W_enc, b_enc, W_dec, b_dec, x = _drawn(folder.name)
    threshold = np.full(M, 0.5) + np.arange(M) / 64
    z = np.maximum(x @ W_enc + b_enc, 0.0)
    latents = z * (z > threshold)
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec, "threshold": threshold}
    np.savez(folder / "params.npz", **{name: value.astype(np.float32) for name, value in kept.items()})
    _expect(folder, x, latents, latents @ W_dec + b_dec, np.linalg.norm(W_dec, axis=1))


def llama_scope(folder: Path, act_fn: str) -> None:
    """z = s x W_enc + b_enc with s = sqrt(d) / average norm; selected by z |row| / s; x_hat = (f W_dec + b_dec) / s."""
    W_enc, b_enc, W_dec, b_dec, x = _drawn(folder.name)
    norm, threshold, rows = 2.0, 0.75, np.linalg.norm(W_dec, axis=1)
    s = D**0.5 / norm
    z = s * x @ W_enc + b_enc
    kept = z * rows / s > threshold if act_fn == "jumprelu" else _k_largest(z * rows) & (z > 0)
    latents = z * kept
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    state = {"encoder.weight": W_enc.T, "encoder.bias": b_enc, "decoder.weight": W_dec.T, "decoder.bias": b_dec}
    save_file(_tensors(state), folder / "checkpoints" / "final.safetensors")
    config = {"d_model": D, "d_sae": M, "act_fn": act_fn, "jump_relu_threshold": threshold, "top_k": K}
    config |= {"norm_activation": "dataset-wise", "dataset_average_activation_norm": {"in": norm, "out": norm}}
    config |= {"use_decoder_bias": True, "apply_decoder_bias_to_pre_encoder": False, "use_glu_encoder": False}
    config |= {"sparsity_include_decoder_norm": True, **dict.fromkeys(("hook_point_in", "hook_point_out"), HOOK)}
    _text(folder / "hyperparams.json", config)
    _expect(folder, x, latents, (latents @ W_dec + b_dec) / s, rows / s)


HOOK = "blocks.8.hook_resid_post"


def openai(file: Path, activation: str) -> None:
    """z = (LN(x) - pre_bias) W_enc + latent_bias; f = relu of z, or of its k largest; x_hat is brought back."""
    W_enc, b_enc, W_dec, b_dec, x = _drawn(f"openai {activation}")
    if activation == "TopK":
        W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    mu, std = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True)
    rows = (x - mu) / (std + 1e-5) if activation == "TopK" else x
    z = (rows - b_dec) @ W_enc + b_enc
    latents = np.maximum(z, 0.0) * (_k_largest(z) if activation == "TopK" else 1.0)
    x_hat = latents @ W_dec + b_dec
    x_hat = x_hat * std + mu if activation == "TopK" else x_hat
    file.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {
        **_tensors({"pre_bias": b_dec, "latent_bias": b_enc, "encoder.weight": W_enc.T, "decoder.weight": W_dec.T}),
        "stats_last_nonzero": torch.zeros(M, dtype=torch.long),
        "latents_activation_frequency": torch.ones(M),
        "latents_mean_square": torch.zeros(M),
        "activation": activation,
        "activation_state_dict": {"k": K, "postact_fn": "ReLU"} if activation == "TopK" else {},
    }
    torch.save(state, file)
    _expect(file.parent, x, latents, x_hat, np.linalg.norm(W_dec, axis=1))


def goodfire(folder: Path) -> None:
    """f = relu(x W_enc + b_enc)."""
    W_enc, b_enc, W_dec, b_dec, x = _drawn("goodfire")
    latents = np.maximum(x @ W_enc + b_enc, 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"encoder_linear.weight": W_enc.T, "decoder_linear.weight": W_dec.T}
    state = weights | {"encoder_linear.bias": b_enc, "decoder_linear.bias": b_dec}
    torch.save(_tensors(state), folder / "Llama-3.1-8B-Instruct-SAE-l19.pth")
    _expect(folder, x, latents, latents @ W_dec + b_dec, np.linalg.norm(W_dec, axis=1))


def hook_z(folder: Path) -> None:
    """f = relu((x - b_dec) W_enc + b_enc)."""
    W_enc, b_enc, W_dec, b_dec, x = _drawn("hook_z")
    latents = np.maximum((x - b_dec) @ W_enc + b_enc, 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    state = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}
    torch.save(_tensors(state), folder / "gpt2-small_L5_Hcat_z.pt")
    about = {"act_size": D, "dict_size": M, "act_name": "blocks.5.attn.hook_z", "l1_coeff": 1.2}
    _text(folder / "gpt2-small_L5_Hcat_z_cfg.json", about)
    _expect(folder, x, latents, latents @ W_dec + b_dec, np.linalg.norm(W_dec, axis=1))


DOCUMENTED: dict[str, Callable[[], None]] = {
    "gemma-scope-2b-pt-res/layer_12": lambda: gemma_scope(FOLDERS / "gemma-scope-2b-pt-res" / "layer_12"),
    "llama_scope_jumprelu": lambda: llama_scope(FOLDERS / "llama_scope_jumprelu", "jumprelu"),
    "llama_scope_topk": lambda: llama_scope(FOLDERS / "llama_scope_topk", "topk"),
    "resid_post_mlp_v5_32k/autoencoders": lambda: openai(
        FOLDERS / "resid_post_mlp_v5_32k" / "autoencoders" / "6.pt", "TopK"
    ),
    "mlp_post_act/autoencoders": lambda: openai(FOLDERS / "mlp_post_act" / "autoencoders" / "0.pt", "ReLU"),
    "goodfire": lambda: goodfire(FOLDERS / "goodfire"),
    "hook_z": lambda: hook_z(FOLDERS / "hook_z"),
}
NAMES = (
    *(f"dictionary_learning_{name}" for name in DICTIONARY_LEARNING),
    *("sparsify/layers.3.mlp", "sparsify/layers.1"),
    *DOCUMENTED,
)


def main() -> None:
    """Write everything."""
    for name in DICTIONARY_LEARNING:
        dictionary_learning(name)
    sparsify()
    for make in DOCUMENTED.values():
        make()


if __name__ == "__main__":
    main()
