"""Goodfire's SAEs of Llama 3: a torch file with `encoder_linear` and `decoder_linear`, on inputs as they are.

f = relu(x W_enc + b_enc), x_hat = f W_dec + b_dec.

Source: SAELens 6.54, `get_goodfire_huggingface_loader`, and the model's card on the hub.
"""

import re
from pathlib import Path

from workbench.interop.assembly import assembled, content_of, floats
from workbench.sae import SAE

KEYS = frozenset({"encoder_linear.weight", "decoder_linear.weight"})
_NAMES = {
    "W_enc": "encoder_linear.weight",
    "b_enc": "encoder_linear.bias",
    "W_dec": "decoder_linear.weight",
    "b_dec": "decoder_linear.bias",
}


def load(file: Path) -> SAE:
    """The ReLU SAE with their latents, up to the norms of decoder rows; its file is named after model and layer."""
    found = re.fullmatch(r"(Llama-.+)-SAE-l(\d+)", file.stem)
    about = (
        {
            "model_name": f"meta-llama/{found[1]}",
            "hook_name": f"blocks.{found[2]}.hook_resid_post",
            "dataset_path": "lmsys/lmsys-chat-1m",
        }
        if found
        else {}
    )
    return assembled("relu", floats(content_of(file), _NAMES, file.name), file.name, applied=False, metadata=about)
