"""Worlds: activations whose causes are known."""

from synthetic.base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
