"""What `workbench` exports of SAEs and sources; `interop` lets `SAE.save` write, `lm` lets names be stores."""

import workbench.lm.sources  # noqa: F401 (which registers an opener)
from synthetic.lookup import find_source
from workbench.interop import load
from workbench.parts.base import Latents, Pass, squared_error
from workbench.parts.objectives import objective
from workbench.sae import SAE, Stack, register, variant
from workbench.training.ceiling import ceiling, oracle
from workbench.training.recipes import recipe
from workbench.training.scored import train
from workbench.variants import create, variant_shelf

__all__ = ["SAE", "Latents", "Pass", "Stack", "ceiling", "create", "find_source", "load", "objective", "oracle"]
__all__ += ["recipe", "register", "squared_error", "train", "variant", "variant_shelf"]
