"""The ledger of claims: theorems drawn, attacked, proved by a machine, or refuted with a witness."""

from synthetic.base.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
