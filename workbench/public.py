"""What `workbench` exports of SAEs and sources; `interop` lets `SAE.save` write, `lm` lets names be stores."""

import workbench.lm.sources  # noqa: F401 (which registers an opener)
from synthetic.lookup import find_source
from workbench.interop import load
from workbench.sae import SAE, Latents, Pass, register, squared_error
from workbench.training.ceiling import ceiling, oracle
from workbench.training.recipes import recipe
from workbench.training.scored import train
from workbench.variants import create, variant_shelf

__all__ = ["SAE", "Latents", "Pass", "ceiling", "create", "find_source", "load", "oracle", "recipe", "register"]
__all__ += ["squared_error", "train", "variant_shelf"]
