"""False inequalities are never proved, by whatever a user may write them; true ones that touch are."""

import math

import pytest

from proofs_check import inequality, judge

X = {"x": ("0", "1")}
NEAR = {"x": ("-1", "1")}


def _branch(x):
    return 0.0 if 0.41421 < x < 0.41422 else 1.0


FALSE = {
    "a bump between drawn points": (X, lambda x: 0.5, _branch),
    "a slit by where": (
        X,
        lambda x, ops: ops.where((x > ops.num("41421/100000")) & (x < ops.num("41422/100000")), 1, 0),
        lambda x: 0 * x + 0.5,
    ),
    "a slit by smaller": (X, lambda x: 0 * x, lambda x, ops: ops.smaller(1, 10**6 * abs(x - ops.num("1/7")) - 1)),
    "a slit by min": (X, lambda x: 0.0, lambda x: min(1.0, 1e6 * abs(x - 1 / 7) - 1)),
    "max, one side too low": (X, lambda x, ops: ops.larger(x, ops.num("1/3")), lambda x: x + 0.33),
    "max of Python": (X, lambda x: max(x, 0.3), lambda x: x + 0.2999999),
    "if of Python": (X, lambda x: x if x < 0.7 else 2 * x, lambda x: x + 0.6999999),
    "sine of math": (X, lambda x: math.sin(x), lambda x: x - 1e-9),
    "exp of math": (X, lambda x: math.exp(x), lambda x: 1 + 1.718 * x),
    "rounded": (X, lambda x: float(x), lambda x: round(x, 3)),
    "touches at 0, crosses left of it": (NEAR, lambda x: 1 + x + x * x / 2, lambda x, ops: ops.exp(x)),
    "touches at 0, one part in a million": (
        NEAR,
        lambda x, ops: 1 + x + ops.num("500001/1000000") * x * x,
        lambda x, ops: ops.exp(x),
    ),
    "touches at 1": (
        {"x": ("1/2", "2")},
        lambda x, ops: ops.log(x),
        lambda x, ops: x - 1 - ops.num("51/100") * (x - 1) ** 2,
    ),
    "touches at an end": (X, lambda x, ops: ops.num("1001/1000") * x - x * x, lambda x, ops: ops.sin(x)),
    "touches in a corner": (NEAR, lambda x: abs(x), lambda x, ops: ops.exp(x) - 1 + ops.larger(0, -x)),
    "square too small": (X, lambda x, ops: 0 * x, lambda x, ops: (x - ops.num("1/3")) ** 2 - ops.num("1/10") ** 20),
    "root": (X, lambda x, ops: ops.sqrt(1 + x), lambda x, ops: 1 + x / 2 - ops.num("1/7") * x * x),
    "open end": ({"x": ("2", None)}, lambda x, ops: ops.log(x), lambda x: x / 10 + 1),
    "open end, far out": ({"x": ("1", None)}, lambda x: x / 1000, lambda x, ops: 5 * ops.log(x) + 1),
    "open below": ({"x": (None, "0")}, lambda x: 1 + x + x * x / 2, lambda x, ops: ops.exp(x)),
    "product, two unknowns": ({"x": ("0", "1"), "y": ("0", "1")}, lambda x, y: x * y, lambda x, y: (x + y) / 2 - 0.001),
    "where, wrong branch": (NEAR, lambda x, ops: ops.where(x >= 0, x, -x / 2), lambda x: x * x),
    "divided by 0": (NEAR, lambda x: x * (1 / x), lambda x: 1 + 0 * x),
    "whole numbers": ({"k": ("0", "20")}, lambda k: k * k * k, lambda k: 2**k + 30),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_inequality_is_not_proved(name):
    box, left, right = FALSE[name]
    claim = inequality("FALSE", name, box=box, left=left, right=right, whole=("k",) if "k" in box else ())
    for check in claim.checks:
        assert check.run(2.0).status != "proved"
    assert judge(claim, examples=40, seconds=2.0).verdict in ("REFUTED", "UNKNOWN")


TRUE = {
    "1 + x ≤ e^x": (NEAR, lambda x: 1 + x, lambda x, ops: ops.exp(x)),
    "1 + x ≤ e^x, from below": ({"x": (None, "0")}, lambda x: 1 + x, lambda x, ops: ops.exp(x)),
    "1 + x ≤ e^x, on and on": ({"x": ("0", None)}, lambda x: 1 + x, lambda x, ops: ops.exp(x)),
    "ln x ≤ x − 1": ({"x": ("1/4", "4")}, lambda x, ops: ops.log(x), lambda x: x - 1),
    "ln x ≤ x − 1, on and on": ({"x": ("2", None)}, lambda x, ops: ops.log(x), lambda x: x - 1),
    "x − x³/6 ≤ sin x": (X, lambda x: x - x**3 / 6, lambda x, ops: ops.sin(x)),
    "√(1 + x) ≤ 1 + x/2": (X, lambda x, ops: ops.sqrt(1 + x), lambda x: 1 + x / 2),
    "k + 1 ≤ 2^k": ({"k": ("0", None)}, lambda k: k + 1, lambda k: 2**k),
    "k ≤ k²": ({"k": (None, None)}, lambda k: k, lambda k: k * k),
}


@pytest.mark.parametrize("name", TRUE)
def test_an_inequality_that_touches_is_proved(name):
    box, left, right = TRUE[name]
    claim = inequality("TRUE", name, box=box, left=left, right=right, whole=("k",) if "k" in box else ())
    assert judge(claim, examples=40, seconds=20.0).verdict == "PROVED"


def _same(x, ops):
    return ops.sqrt(x * x + 1)


def test_sixty_digits_decide_what_floats_cannot():
    claim = inequality(
        "SAME", "(√(x² + 1))² ≤ x² + 1", box=X, left=lambda x, ops: _same(x, ops) ** 2, right=lambda x: x * x + 1
    )
    assert judge(claim, examples=40, seconds=5.0).verdict == "PROVED"
