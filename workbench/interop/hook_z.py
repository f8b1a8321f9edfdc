"""SAEs of attention heads' outputs by Kissane and others: a torch file and, beside it, its `_cfg.json`.

f = relu((x - b_dec) W_enc + b_enc), x_hat = f W_dec + b_dec; x are a layer's heads side by side.

Source: Kissane et al. (2024), arXiv 2406.17759; SAELens 6.54, `connor_rob_hook_z_huggingface_loader`.
"""

from pathlib import Path

from synthetic.base.schema import TEXT, optional, read_json, whole
from workbench.interop.assembly import assembled, content_of, floats, must_agree, shape_of
from workbench.sae import SAE

KEYS = frozenset({"W_enc", "W_dec", "b_enc", "b_dec"})
_FIELDS = {**dict.fromkeys(("act_size", "dict_size"), optional(whole(1))), "act_name": TEXT}


def load(file: Path) -> SAE:
    """The ReLU SAE with their latents, up to the norms of decoder rows."""
    content = content_of(file)
    config = read_json(file.with_name(f"{file.stem}_cfg.json"), "folder of a hook_z SAE", _FIELDS)
    state = floats(content, {name: name for name in sorted(KEYS)}, file.name)
    m, d = shape_of(state["W_dec"], f"{file.name}: W_dec")
    must_agree(f"{file.stem}_cfg.json", {name: config.get(name) for name in ("act_size", "dict_size")}, d, m)
    about = {"hook_name": config["act_name"]}
    if "hook_z" in config["act_name"]:
        about |= {"model_name": "gpt2-small", "dataset_path": "Skylion007/openwebtext", "reshape_activations": "hook_z"}
    return assembled("relu", state, file.name, metadata=about)
