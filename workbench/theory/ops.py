"""What a closed form needs beyond +, -, *, / and whole powers: one table a number system.

A Python float in a formula is the binary number that it holds: .1 is 3602879701896397 / 2^55, num("1/10") a tenth.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Number = Any
"""a float, a tensor (elementwise), a SymPy expression, an Arb ball or a Z3 real"""


@dataclass(frozen=True)
class Ops:
    """The operations of one number system."""

    num: Callable[[str], Number]
    """an exact constant: num("1/10")"""
    sqrt: Callable[[Number], Number]
    exp: Callable[[Number], Number]
    log: Callable[[Number], Number]
    log1p: Callable[[Number], Number]
    """log(1 + a)"""
    sin: Callable[[Number], Number]
    erfc: Callable[[Number], Number]
    pi: Number
    abs: Callable[[Number], Number]
    larger: Callable[[Number, Number], Number]
    """the larger of two"""
    smaller: Callable[[Number, Number], Number]
    """the smaller of two"""
    where: Callable[[Any, Number, Number], Number]
    """where(condition, then, otherwise)"""
    ratio: Callable[[Number, Number], Number]
    """a / b; infinite where b = 0, in the systems that know infinity"""


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.inf


FLOAT = Ops(
    num=lambda text: float(Fraction(text)),
    sqrt=math.sqrt,
    exp=math.exp,
    log=math.log,
    log1p=math.log1p,
    sin=math.sin,
    erfc=math.erfc,
    pi=math.pi,
    abs=abs,
    larger=max,
    smaller=min,
    where=lambda condition, then, otherwise: then if condition else otherwise,
    ratio=_ratio,
)
"""Python's floats, and fractions where no root is taken"""
