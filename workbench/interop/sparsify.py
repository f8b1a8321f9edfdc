"""sparsify folders: `cfg.json` and `sae.safetensors`, a TopK SAE, one folder a hook point.

Source: sparsify 1.3 (EleutherAI), `sparse_coder` and `fused_encoder`; `signed` as its versions before 1.0 knew it.
Differs from SAELens's reader, which takes b_dec off the inputs only where rows were not normalised: the library itself
always does.
"""

import re
from pathlib import Path
from typing import Any

from synthetic.base.errors import must
from synthetic.base.schema import SWITCH, TEXT, optional, read_json, whole
from workbench.interop.assembly import assembled, content_of, floats, must_agree, shape_of
from workbench.sae import SAE

WEIGHTS, CONFIG = "sae.safetensors", "cfg.json"
_FIELDS = {
    "d_in": whole(1),
    "k": whole(1),
    "num_latents": optional(whole()),
    "expansion_factor": optional(whole(1)),
    "activation": optional(TEXT),
    **dict.fromkeys(("signed", "transcode", "skip_connection", "normalize_decoder"), optional(SWITCH)),
}
_RUN = {"model": "model_name", "dataset": "dataset_path", "ctx_len": "context_size"}
"""what `config.json` of the run, beside the folders, says -> SAELens's names"""


def load(folder: Path) -> SAE:
    """The TopK SAE with the latents of theirs; AbsTopK where latents are signed."""
    content = content_of(folder / WEIGHTS)
    config = read_json(folder / CONFIG, "sparsify folder", _FIELDS, "copy the folder whole")
    advice = "SAEs are read, which reconstruct what they encode; a transcoder predicts another place's activations"
    must(not config.get("transcode"), f"{CONFIG}: transcode", "false", True, advice)
    skip = config.get("skip_connection") or "W_skip" in content
    must(not skip, f"{CONFIG}: skip_connection", "false", True, advice)
    kind = config.get("activation") or "topk"
    must(kind == "topk", f"{CONFIG}: activation", "topk", kind, "no variant of ours selects so; use sparsify itself")
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    state = floats(content, names, WEIGHTS)
    m, d = shape_of(state["W_dec"], f"{WEIGHTS}: W_dec")
    stated = config.get("num_latents") or config["d_in"] * (config.get("expansion_factor") or 0)
    must_agree(CONFIG, {"d_in": config["d_in"], "num_latents": stated or None}, d, m)
    variant = "abs_topk" if config.get("signed") else "topk"
    return assembled(variant, state, WEIGHTS, settings={"k": config["k"]}, metadata=_metadata(folder))


def _metadata(folder: Path) -> dict[str, Any]:
    """The hook point, which the folder is named after, and what the run's own configuration says."""
    about = {}
    run = folder.resolve().parent / "config.json"
    if run.is_file():
        try:
            kept = read_json(run, "sparsify run", {})
        except ValueError:  # another tool's file of that name
            kept = {}
        about = {ours: kept[name] for name, ours in _RUN.items() if isinstance(kept.get(name), str | int)}
    found = re.fullmatch(r"(?:h|layers)[._](\d+)(\.mlp|\.attn|\.self_attn|)", folder.resolve().name)
    if found:
        kind = {"": "resid_post", ".mlp": "mlp_out"}.get(found[2], "attn_out")
        about["hook_name"] = f"blocks.{found[1]}.hook_{kind}"
    elif folder.resolve().name == "embed_tokens":
        about["hook_name"] = "hook_embed"
    return about
