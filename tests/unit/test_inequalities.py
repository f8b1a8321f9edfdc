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
    "log, a hair too low": (
        {"x": ("1/4", "4")},
        lambda x, ops: ops.log(x),
        lambda x, ops: ops.num("999999/1000000") * (x - 1),
    ),
    "√(ab), less than the mean where they are near": (
        {"a": ("0", "10"), "b": ("0", "10")},
        lambda a, b: (a + b) / 2,
        lambda a, b, ops: ops.sqrt(a * b) + (a - b) ** 2 / 100,
    ),
    "sine, crosses at an end": ({"x": ("0", "3")}, lambda x, ops: ops.num("1001/1000") * ops.sin(x), lambda x: x),
    "cosine hyperbolic, fourth order": (
        {"x": ("-2", "2")},
        lambda x, ops: 1 + x * x / 2 + ops.num("43/1000") * x**4,
        lambda x, ops: (ops.exp(x) + ops.exp(-x)) / 2,
    ),
    "x log x, shifted": (
        {"x": ("1/10", "3")},
        lambda x, ops: x - 1 + ops.num("1/10") ** 9,
        lambda x, ops: x * ops.log(x),
    ),
    "log1p, touches at 0 from the wrong side": (
        {"x": ("-1/2", "5")},
        lambda x, ops: x - x * x / 3,
        lambda x, ops: ops.log1p(x),
    ),
    "touches at 1/3 only, of two zeros": (
        X,
        lambda x: 0 * x,
        lambda x, ops: (x - ops.num("1/3")) ** 2 * (x - ops.num("2/3")) * (x - ops.num("66666/100000")),
    ),
    "a cubic that touches and crosses": (
        {"x": ("-2", "2")},
        lambda x: 3 * x - 2,
        lambda x: x**3 - (x - 1) ** 2 / 10**4,
    ),
    "Bernoulli beyond its range": ({"x": ("-4", "3")}, lambda x: 1 + 3 * x, lambda x: (1 + x) ** 3),
    "entropy, base forgotten": (
        {"p": ("1/10", "9/10")},
        lambda p, ops: -p * ops.log(p) - (1 - p) * ops.log(1 - p),
        lambda p, ops: ops.log(ops.num("2")) - (p - ops.num("1/2")) ** 2 * ops.num("201/100"),
    ),
    "Pinsker, twice": (
        {"p": ("1/10", "9/10"), "q": ("1/10", "9/10")},
        lambda p, q, ops: ops.num("21/10") * (p - q) ** 2,
        lambda p, q, ops: p * ops.log(p / q) + (1 - p) * ops.log((1 - p) / (1 - q)),
    ),
    "a soft threshold, its dead zone": (
        NEAR,
        lambda x, ops: ops.larger(abs(x) - ops.num("1/2"), 0),
        lambda x: x * x - 1 / 1024,
    ),
    "ReLU by where, edge on the wrong side": (
        NEAR,
        lambda x, ops: ops.where(x >= 0, 1, 0),
        lambda x, ops: ops.where(x > 0, 1, 0) + 0 * x,
    ),
    "nested where": (
        X,
        lambda x, ops: ops.where(x > ops.num("1/7"), ops.where(x < ops.num("1429/10000"), 1, 0), 0),
        lambda x: 0 * x,
    ),
    "min of three": (
        X,
        lambda x, ops: ops.smaller(x, ops.smaller(1 - x, ops.num("1/3"))),
        lambda x, ops: ops.num("3333333/10000000") + 0 * x,
    ),
    "min and max of Python": (NEAR, lambda x: max(min(x, 0.5), -0.5), lambda x: x + 0.4999),
    "if and sine of Python": (X, lambda x: math.sin(x) if x > 0.25 else 0.0, lambda x: x - 0.0102),
    "whole numbers, from one on": ({"k": ("0", None)}, lambda k: 3 * k, lambda k: 2**k + 1),
    "the whole line": ({"x": (None, None)}, lambda x, ops: 1 + x + ops.num("1/100") * x * x, lambda x, ops: ops.exp(x)),
    "a product of two far out": (
        {"x": ("0", None), "y": ("0", None)},
        lambda x, y: x * y,
        lambda x, y: x * x + y * y / 5,
    ),
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
    "1 + x ≤ e^x, everywhere": ({"x": (None, None)}, lambda x: 1 + x, lambda x, ops: ops.exp(x)),
    "√(ab) ≤ (a + b)/2": (
        {"a": ("0", None), "b": ("0", None)},
        lambda a, b, ops: ops.sqrt(a * b),
        lambda a, b: (a + b) / 2,
    ),
    "x/(1 + x) ≤ ln(1 + x)": ({"x": ("-1/2", "5")}, lambda x: x / (1 + x), lambda x, ops: ops.log1p(x)),
    "sin x ≤ x": ({"x": ("0", "3")}, lambda x, ops: ops.sin(x), lambda x: x),
    "1 + x²/2 ≤ cosh x": (
        {"x": ("-2", "2")},
        lambda x: 1 + x * x / 2,
        lambda x, ops: (ops.exp(x) + ops.exp(-x)) / 2,
    ),
    "x − 1 ≤ x ln x": ({"x": ("1/10", "3")}, lambda x: x - 1, lambda x, ops: x * ops.log(x)),
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
