"""What SAEs are made of: encoders with their selections, decoders, terms of a loss, rules, and the solvers they use."""

from synthetic.base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
