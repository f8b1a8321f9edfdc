"""Gemma Scope: `params.npz` with W_enc, W_dec, b_enc, b_dec and threshold, a JumpReLU SAE on inputs as they are.

f = z 1[z > threshold], z = relu(x W_enc + b_enc); x_hat = f W_dec + b_dec. SAEs of the embedding take it times sqrt(d).
Gemma Scope 2 keeps the same tensors in `params.safetensors` under names in small letters.

Source: Lieberum et al. (2024), arXiv 2408.05147, and their tutorial; SAELens 6.54, `gemma_2_sae_huggingface_loader`,
`gemma_3_sae_huggingface_loader`, from which the hook points' names are.
"""

import re
from pathlib import Path
from typing import Any

from synthetic.base.errors import must
from workbench.interop.assembly import assembled, content_of, floats, shape_of
from workbench.sae import SAE

WEIGHTS = ("params.npz", "params.safetensors")
_PLACES = {"res": "blocks.{}.hook_resid_post", "mlp": "blocks.{}.hook_mlp_out", "att": "blocks.{}.attn.hook_z"}


def load(folder: Path) -> SAE:
    """The JumpReLU SAE with their latents, up to the norms of decoder rows."""
    file = next((name for name in WEIGHTS if (folder / name).exists()), WEIGHTS[0])
    content = content_of(folder / file)
    content = {re.sub("^w_", "W_", name): value for name, value in content.items()}
    advice = "SAEs are read, which reconstruct what they encode"
    must("affine_skip_connection" not in content, file, "an SAE's", "a transcoder's", advice)
    names = {name: name for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}
    state, path = floats(content, names, file), folder.resolve()
    named = re.search(r"gemma-scope-[\w-]+-transcoders", path.as_posix())
    must(not named, file, "an SAE's", "a transcoder's, as its repository's name says", advice)
    embedding = "embedding" in path.parts[-3:]  # embedding/width_4k/average_l0_6
    if embedding:
        d = shape_of(state["W_dec"], f"{file}: W_dec")[1]
        state |= {"W_enc": state["W_enc"] / d**0.5, "W_dec": state["W_dec"] * d**0.5}
    return assembled("jumprelu", state, file, applied=False, metadata=_metadata(path.as_posix(), embedding))


def _metadata(path: str, embedding: bool) -> dict[str, Any]:
    """Model and hook point, as far as the folder's path has the names of the published repositories."""
    about = {}
    found = re.search(r"gemma-scope-(2b|9b|27b)-(pt|it)-(res|mlp|att)", path)
    layer = re.search(r"layer_(\d+)", path)
    if found:
        about["model_name"] = f"gemma-2-{found[1]}" + ("-it" if found[2] == "it" else "")
        about["dataset_path"] = "monology/pile-uncopyrighted"
    if found and embedding:
        about["hook_name"] = "hook_embed"
    elif found and layer:
        about["hook_name"] = _PLACES[found[3]].format(layer[1])
    return about | ({"reshape_activations": "hook_z"} if "hook_z" in about.get("hook_name", "") else {})
