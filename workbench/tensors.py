"""The operations of `workbench.theory` on torch tensors, elementwise."""

import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from workbench.theory.ops import Ops


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


TENSOR = Ops(
    num=lambda text: float(Fraction(text)),
    sqrt=lambda a: _tensor(a).sqrt(),
    exp=lambda a: _tensor(a).exp(),
    log=lambda a: _tensor(a).log(),
    log1p=lambda a: _tensor(a).log1p(),
    sin=lambda a: _tensor(a).sin(),
    erfc=lambda a: torch.special.erfc(_tensor(a)),
    pi=math.pi,
    abs=abs,
    larger=lambda a, b: torch.maximum(_tensor(a), _tensor(b)),
    smaller=lambda a, b: torch.minimum(_tensor(a), _tensor(b)),
    where=lambda condition, then, otherwise: torch.where(condition, then, otherwise),
    ratio=lambda a, b: torch.where(b == 0, math.inf, a / b),
)
"""tensors, and Python's numbers among them"""
