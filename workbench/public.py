"""What `workbench` exports of SAEs and sources; `interop` lets `SAE.save` write, `lm` lets names be stores."""

import workbench.lm.sources  # noqa: F401 (which registers an opener)
from synthetic.lookup import find_source
from workbench.interop import load
from workbench.sae import SAE, Latents, Pass, register, squared_error
from workbench.variants import create, variant_shelf

__all__ = ["SAE", "Latents", "Pass", "create", "find_source", "load", "register", "squared_error", "variant_shelf"]
