"""Folders of SAEs, ours and other libraries'."""

from workbench.interop.forms import load, save
from workbench.sae import write_with

write_with(save)

__all__ = ["load", "save"]
