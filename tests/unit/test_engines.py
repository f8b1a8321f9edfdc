"""Engines prove what is true, refute what is false with a witness that is one, and leave the rest undecided."""

import math
import sys
import time
from fractions import Fraction

import pytest
import sympy
import torch

from proofs_check.engines import balls, smt, symbolic
from proofs_check.engines.need import Missing, need
from workbench.tensors import TENSOR
from workbench.theory.ops import FLOAT


def smt_finding(problem, seconds=10.0):
    return smt.implies("shows", "scope", problem).run(seconds)


# --- smt -------------------------------------------------------------------------------------------------------------


def test_smt_proves_cauchy_schwarz_and_its_roots():
    def problem(unknowns, ops):
        a, b, c, d = unknowns("a b c d")
        bound = ops.sqrt(a * a + b * b) * ops.sqrt(c * c + d * d)
        return [], [ops.absolute(a * c + b * d) <= bound, ops.larger(a, b) >= a]

    assert smt_finding(problem).status == "proved"


def test_smt_refutes_with_numbers_that_violate():
    def problem(unknowns, ops):
        a, b = unknowns("a b")
        return [a >= 1, b >= 1], [a * b <= a + b]

    found = smt_finding(problem)
    assert found.status == "refuted"
    values = dict(part.split(" = ") for part in found.detail.split(", "))
    a, b = (Fraction(values[name]) for name in ("a", "b"))
    assert a >= 1
    assert b >= 1
    assert a * b > a + b


def test_smt_needs_every_conclusion():
    def problem(unknowns, ops):
        a = unknowns("a")
        return [a >= 0], [a >= -1, a >= 1]

    assert smt_finding(problem).status == "refuted"


def test_a_contradiction_is_no_proof():
    def problem(unknowns, ops):
        a = unknowns("a")
        return [a > 1, a < 0], [a == 5]

    found = smt_finding(problem)
    assert found.status == "refuted"
    assert "contradict" in found.detail


def test_a_root_does_not_narrow_the_domain():
    """Where the hypotheses allow the root of a negative number there is no proof: c = 2 refutes c <= 1."""

    def problem(unknowns, ops):
        c = unknowns("c")
        return [c >= 0], [ops.sqrt(1 - c) >= 0, c <= 1]

    found = smt_finding(problem)
    assert found.status == "undecided"
    assert "root of a negative number at c = " in found.detail
    assert (
        smt_finding(lambda unknowns, ops: ([unknowns("c") <= 1], [ops.sqrt(1 - unknowns("c")) >= 0])).status == "proved"
    )


def test_a_root_under_a_root_is_checked_in_turn():
    def problem(low):
        return lambda unknowns, ops: ([unknowns("a") >= low], [ops.sqrt(ops.sqrt(unknowns("a")) - 1) >= 0])

    assert smt_finding(problem(1)).status == "proved"
    assert smt_finding(problem(0)).status == "undecided"


def test_an_induction_needs_its_start_and_its_step():
    """sum of the first n odd numbers = n²; then with a wrong start, then with a wrong step."""

    def start(first):
        return lambda unknowns, ops: ([unknowns("s") == first], [unknowns("s") == 1])

    def step(more):
        def problem(unknowns, ops):
            s, n = unknowns("s n")
            return [s == n * n], [s + 2 * n + more == (n + 1) * (n + 1)]

        return problem

    assert smt.induction("s", "all n", start(1), step(1)).run(5.0).status == "proved"
    for wrong, where in (
        (smt.induction("s", "all n", start(2), step(1)), "start: "),
        (smt.induction("s", "all n", start(1), step(2)), "step: "),
    ):
        finding = wrong.run(5.0)
        assert finding.status == "refuted"
        assert finding.detail.startswith(where)


def test_smt_gives_up_in_time_and_says_so():
    def problem(unknowns, ops):
        x, y, z = unknowns("x y z")
        return [x > 0, y > 0, z > 0], [x**9 + y**9 + z**9 != 1234567 * x * y * z + ops.num("1/7")]

    found = smt_finding(problem, seconds=0.001)
    assert found.status == "undecided"
    assert "raise --seconds" in found.detail


def test_smt_refuses_what_is_not_algebraic():
    for side in (lambda a, ops: ops.exp(a), lambda a, ops: ops.pi * a, lambda a, ops: ops.pi - a):
        with pytest.raises(ValueError, match="use the balls engine"):
            smt_finding(lambda unknowns, ops, side=side: ([], [side(unknowns("a"), ops) > 0]))


# --- symbolic --------------------------------------------------------------------------------------------------------


def symbolic_finding(sides):
    return symbolic.identity("shows", "scope", sides).run(10.0)


def test_symbolic_proves_rational_and_radical_identities():
    def sides(symbols, ops):
        a, b = symbols("a b", positive=True)
        yield (a**2 - b**2) / (a - b), a + b
        yield ops.sqrt(a**2 * b) / ops.sqrt(b), a

    assert symbolic_finding(sides).status == "proved"


def test_symbolic_refutes_with_numbers():
    found = symbolic_finding(lambda symbols, ops: [((symbols("a") + 1) ** 2, symbols("a") ** 2 + 1)])
    assert found.status == "refuted"
    assert found.detail == "a = 2: 9 against 5"


def test_one_false_pair_among_true_ones_is_found():
    found = symbolic_finding(lambda symbols, ops: [(2, 2), (symbols("a"), symbols("a") + 1), (3, 3)])
    assert found.status == "refuted"


def test_symbolic_takes_no_floats_and_no_empty_list():
    found = symbolic_finding(lambda symbols, ops: [(0.1 * symbols("a"), symbols("a") / 10)])
    assert found.status == "undecided"
    assert "ops.num" in found.detail
    assert symbolic_finding(lambda symbols, ops: []).status == "undecided"


def test_what_neither_cancels_nor_differs_in_numbers_is_undecided():
    f, g = sympy.Function("f"), sympy.Function("g")
    found = symbolic_finding(lambda symbols, ops: [(f(symbols("a")), g(symbols("a")))])
    assert found.status == "undecided"
    assert "does not simplify" in found.detail


def test_symbolic_stops_in_time():
    def endless(symbols, ops):
        yield symbols("a"), symbols("a")
        while True:
            yield (
                sympy.expand((symbols("a") + symbols("b") + 1) ** 20),
                sympy.expand((symbols("a") + symbols("b") + 1) ** 20),
            )

    start = time.perf_counter()
    finding = symbolic.identity("shows", "scope", endless).run(0.3)
    assert time.perf_counter() - start < 3
    assert finding.status == "undecided"
    assert "raise --seconds" in finding.detail


# --- balls -----------------------------------------------------------------------------------------------------------


def mills_upper(x, ops):
    """phi(x) / x - Q(x)."""
    return ops.exp(-x * x / 2) / (ops.sqrt(2 * ops.pi) * x) - ops.erfc(x / ops.sqrt(ops.num("2"))) / 2


def mills_lower(x, ops):
    """Q(x) - phi(x) x / (1 + x²)."""
    return ops.erfc(x / ops.sqrt(ops.num("2"))) / 2 - ops.exp(-x * x / 2) / ops.sqrt(2 * ops.pi) * x / (1 + x * x)


@pytest.mark.parametrize("value", [mills_upper, mills_lower])
def test_balls_prove_mills_ratio_bounds(value):
    assert balls.positive("shows", "scope", {"x": ("1/2", "8")}, value).run(30.0).status == "proved"


def test_balls_refute_at_a_point_of_the_box():
    found = balls.positive(
        "shows", "scope", {"x": ("0", "1"), "y": ("0", "1")}, lambda x, y, ops: x * y - ops.num("1/8")
    )
    finding = found.run(10.0)
    assert finding.status == "refuted"
    point = dict(part.split(" = ") for part in finding.detail.split(":")[0].split(", "))
    assert Fraction(point["x"]) * Fraction(point["y"]) < Fraction(1, 8)


def test_touching_zero_is_undecided_not_proved():
    touching = balls.positive("shows", "scope", {"x": ("-1", "2")}, lambda x, ops: x * x - 2 * x + 1)
    finding = touching.run(0.2)
    assert finding.status == "undecided"
    assert "near" in finding.detail or "pieces" in finding.detail


def test_a_ball_around_zero_refutes_nothing():
    """0 everywhere, but for rounding."""
    zero = balls.positive("shows", "scope", {"x": ("2", "3")}, lambda x, ops: ops.sqrt(x) * ops.sqrt(x) - x)
    assert zero.run(0.2).status == "undecided"


def test_a_narrow_dip_below_zero_is_not_missed():
    """0 outside [.3, .301], -1e-6 at its centre: grids miss it, balls do not call it proved."""
    dip = lambda x, ops: (x - ops.num("3/10")) * (x - ops.num("301/1000"))  # noqa: E731
    assert balls.positive("shows", "scope", {"x": ("0", "1")}, dip).run(20.0).status == "refuted"


# --- number systems --------------------------------------------------------------------------------------------------


def formula(a, b, ops):
    """Uses every operation."""
    c = ops.larger(ops.absolute(a - b), ops.num("1/3")) + ops.sqrt(a) + ops.exp(-b) + ops.log(a + 1) + ops.erfc(b)
    return ops.where(a > b, c, 2 * c) * ops.pi + ops.ratio(a, b)


@pytest.mark.parametrize(("a", "b"), [(0.5, 2.0), (3.0, 0.25), (1.25, 1.0)])
def test_all_number_systems_agree(a, b):
    expected = formula(a, b, FLOAT)
    tensor = formula(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64), TENSOR)
    assert float(tensor) == pytest.approx(expected, rel=1e-14)
    exact = formula(sympy.Rational(a), sympy.Rational(b), symbolic.SYMPY)
    assert float(exact) == pytest.approx(expected, rel=1e-14)
    flint = need("flint", "python-flint")
    ball = formula(flint.arb(a), flint.arb(b), balls.arb_ops())
    assert abs(float(ball.mid()) - expected) <= float(ball.rad()) + 1e-12  # it holds both cases of a choice
    assert a < b or float(ball.rad()) < 1e-12


def test_a_ball_that_holds_both_cases_of_a_choice_covers_both():
    flint, ops = need("flint", "python-flint"), balls.arb_ops()
    x = flint.arb(0, 1)  # [-1, 1]
    assert ops.larger(x, flint.arb(0)).contains(flint.arb(1))
    chosen = ops.where(x > 0, flint.arb(5), flint.arb(-5))
    assert chosen.contains(flint.arb(5))
    assert chosen.contains(flint.arb(-5))


def test_float_ratio_knows_infinity():
    assert FLOAT.ratio(1.0, 0.0) == math.inf
    assert float(TENSOR.ratio(torch.tensor(1.0), torch.tensor(0.0))) == math.inf


def test_a_missing_solver_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(Missing, match=r"z3-solver must be installed .* pip install 'sae-workbench\[proofs\]'"):
        smt_finding(lambda unknowns, ops: ([], [unknowns("a") == unknowns("a")]))
