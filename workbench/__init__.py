"""Sparse autoencoders on worlds with known ground truth: create, train, evaluate, save, load."""

from synthetic.base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
