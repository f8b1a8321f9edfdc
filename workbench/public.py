"""What `workbench` exports of SAEs; the import of `interop` lets `SAE.save` write."""

from workbench.interop import load
from workbench.sae import SAE, Latents, Pass, register, squared_error
from workbench.variants import create, variant_shelf

__all__ = ["SAE", "Latents", "Pass", "create", "load", "register", "squared_error", "variant_shelf"]
