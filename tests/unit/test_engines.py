"""Engines prove what is true, refute what is false with a witness that is one, and leave the rest undecided."""

import contextlib
import math
import sys
import time
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch

from proofs_check.engines import balls, smt, symbolic
from proofs_check.engines.need import Missing
from workbench.tensors import TENSOR
from workbench.theory.ops import FLOAT


def smt_finding(problem, seconds=10.0):
    return smt.implies("shows", "scope", problem).run(seconds)


# --- smt -------------------------------------------------------------------------------------------------------------


def test_smt_proves_cauchy_schwarz_and_its_roots():
    def problem(unknowns, ops):
        a, b, c, d = unknowns("a b c d")
        bound = ops.sqrt(a * a + b * b) * ops.sqrt(c * c + d * d)
        return [], [ops.abs(a * c + b * d) <= bound, ops.larger(a, b) >= a]

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


def odd_numbers(first=0, more=1, says=lambda s, n, ops: [s == n * n], **fields):
    """The sum of the first n odd numbers."""

    def problem(unknowns, ops):
        s, n = unknowns("s n")
        after = {"s": s + 2 * n + more, "n": n + 1}
        return smt.Invariant(says(s, n, ops), after, {"s": first}, **fields)

    return smt.induction("s = n²", "all n", problem)


def test_an_induction_makes_its_start_and_its_step_of_one_statement():
    assert odd_numbers().run(5.0).status == "proved"
    for wrong, where in (
        (odd_numbers(first=1), "start: "),
        (odd_numbers(more=2), "step: "),
        (odd_numbers(says=lambda s, n, ops: [s <= n * n, s >= n * n + n]), "step: "),
        (odd_numbers(says=lambda s, n, ops: [s < n * n]), "start: "),
        (odd_numbers(also=[False]), "step: "),
    ):
        finding = wrong.run(5.0)
        assert finding.status != "proved"
        assert finding.detail.startswith(where)


def test_an_induction_says_at_the_start_no_condition_on_its_sums():
    """Which would be one on what they start from: here that a sum of 1 is 0."""

    def problem(unknowns, ops):
        s, x = unknowns("s x")
        return smt.Invariant([s <= 0], {"s": s + x}, {"s": x}, [s == x, x <= 0 * s])

    assert smt.induction("s", "all n", problem).run(5.0).detail.startswith("start: ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"says": lambda s, n, ops: [ops.sqrt(s) == n]}, "say it of the root's square"),
        ({"says": lambda s, n, ops: [n == n], "after": {"s": 1}}, "enter it in given"),
        ({"says": lambda s, n, ops: [True]}, "enter it in given"),
        ({"after": {}}, "say what one more term makes of it"),
        ({"after": {"n": 1}}, "enter it in after as well"),
    ],
)
def test_an_induction_refuses_a_statement_that_does_not_move_on(fields, said):
    def problem(unknowns, ops):
        s, n = unknowns("s n")
        says = fields.get("says", lambda s, n, ops: [s == n])(s, n, ops)
        return smt.Invariant(says, fields.get("after", {"s": s + 1, "n": n + 1}), {"s": 0})

    with pytest.raises((ValueError, TypeError), match=said):
        smt.induction("s", "all n", problem).run(5.0)


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


def test_a_float_is_the_binary_number_it_holds():
    """0.1 is above a tenth."""

    def problem(unknowns, ops):
        return [unknowns("a") == 1], [0.1 * unknowns("a") > ops.num("1/10"), unknowns("a") / 4 == 0.25]

    assert smt_finding(problem).status == "proved"


@pytest.mark.parametrize(
    ("conclusions", "why"),
    [
        (lambda x, ops: [], "no conclusion"),
        (lambda x, ops: [True], "True is a constant"),
        (lambda x, ops: [x >= 0, 1 <= 2], "True is a constant"),
        (lambda x, ops: [ops.num("1") <= ops.num("2")], "1 <= 2 is a constant"),
        (lambda x, ops: [x * (1 / x) <= 1], "a denominator of 0 at x = 0: add what keeps it from that"),
        (lambda x, ops: [x * x**-1 <= 1], "a denominator of 0 at x = 0"),
        (lambda x, ops: [ops.where(x >= 0, 1 / x, 1) >= 0], "a denominator of 0 at x = 0"),
        (lambda x, ops: [1 / ops.sqrt(x) >= 0], "a denominator of 0 at x = 0"),
        (lambda x, ops: [ops.num("0") * x / 0 <= 1], "a denominator of 0 at x = "),
    ],
)
def test_smt_proves_nothing_of_nothing(conclusions, why):
    found = smt_finding(lambda unknowns, ops: ([unknowns("x") >= 0], conclusions(unknowns("x"), ops)))
    assert found.status == "undecided"
    assert why in found.detail


def test_a_denominator_that_hypotheses_or_a_choice_keep_from_0_is_no_obstacle():
    def problem(unknowns, ops):
        x, y = unknowns("x y")
        return [x > 0, 1 / x >= 1], [x <= 1, ops.where(y == 0, 0, y / (y * y)) * y <= 1, x / 2 <= x]

    assert smt_finding(problem).status == "proved"


def test_an_undefined_hypothesis_proves_nothing():
    """1/x >= 1 says nothing at x = 0, where Z3 takes any number for 1/x."""
    found = smt_finding(lambda unknowns, ops: ([1 / unknowns("x") >= 1], [unknowns("x") ** 2 >= 0]))
    assert (found.status, "a denominator of 0 at x = 0" in found.detail) == ("undecided", True)


@pytest.mark.parametrize(
    "side",
    [
        lambda x: 1 if x == 0 else 0,  # Z3 itself compares the form, and takes the other branch for all x
        lambda x: 1 if x != 0 else 0,
        lambda x: min(x, 1),
        lambda x: 1 if x else 0,
        lambda x: 1 if (x > 0) == (x < 1) else 0,
        lambda x: x**0.5,
        lambda x: math.exp(x),
    ],
)
def test_smt_takes_no_branch_and_no_float_of_an_unknown(side):
    with pytest.raises(TypeError):
        smt_finding(lambda unknowns, ops: ([unknowns("x") >= 0], [side(unknowns("x")) <= 0 * unknowns("x")]))


def test_smt_takes_no_number_of_another_library_for_unequal():
    for value in (Decimal("0.5"), np.float32(0.5), torch.tensor(0.5), None):
        with pytest.raises(TypeError, match="a value must be a number; got"):
            smt_finding(lambda unknowns, ops, value=value: ([], [(-1 if unknowns("x") == value else 1) <= 1]))


def test_a_root_has_a_name_of_its_own():
    """Were it the unknown of the same name, x = root!0 would follow."""

    def problem(unknowns, ops):
        x, other = unknowns("x root!0")
        return [x >= 0, other >= 1], [ops.sqrt(x) >= 1]

    assert smt_finding(problem).status == "refuted"


CAUGHT = [
    lambda x: 1 if 0.7310 < x < 0.7311 else 0,
    lambda x: 1 if x == 0.5 else 0,
    lambda x: 1 if x == Decimal("0.5") else 0,
    lambda x: math.exp(x),
    lambda x: float(x),
    lambda x: round(x),
    lambda x: x % 1,
    lambda x: x + Decimal("0.5"),
    lambda x: Decimal("0.5") * x,
    lambda x: np.exp(x),
    lambda x: torch.exp(x),
    lambda x: {x: 1}[x],
    lambda x: Fraction(1, 3) ** x,
]
"""each of them refused of an unknown"""


def despite(step, x):
    """x in every case but where the step can be taken: it can of a float."""
    with contextlib.suppress(Exception):
        return step(x) - 10
    return x


@pytest.mark.parametrize("step", [*CAUGHT, lambda x: x**0.5])
def test_smt_remembers_a_refusal_that_was_caught(step):
    def problem(unknowns, ops):
        x = unknowns("x")
        return [x >= 0, x <= 1], [despite(step, x) >= 0]

    found = smt_finding(problem)
    assert found.status == "undecided"
    assert found.detail.startswith("the problem caught what cannot be decided: ")


def test_smt_remembers_a_function_that_it_does_not_know():
    def problem(unknowns, ops):
        return [unknowns("x") >= 0], [despite(lambda x: 1 if x == ops.pi else ops.exp(x), unknowns("x")) >= 0]

    assert "use the balls engine" in smt_finding(problem).detail


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


def test_symbolic_divides_by_nothing_that_is_0_for_all_values():
    def sides(symbols, ops):
        a = symbols("a")
        nothing = (a + 1) ** 2 - a**2 - 2 * a - 1
        yield a / nothing, a / nothing

    found = symbolic_finding(sides)
    assert found.status == "undecided"
    assert "defined nowhere" in found.detail


def test_symbolic_chooses_by_no_comparison_of_forms():
    """a == 0 is False of a symbol, whatever its value."""
    with pytest.raises(TypeError, match=r"write sympy\.Eq"):
        symbolic_finding(lambda symbols, ops: [(ops.where(symbols("a") == 0, 1, 0), 0)])
    assert symbolic_finding(lambda symbols, ops: [(ops.where(sympy.Eq(symbols("a"), 0), 1, 0), 0)]).status != "proved"


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


@pytest.mark.parametrize(
    "side",
    [
        lambda x, y: 0 if x == y else 1,
        lambda x, y: 1 if x + 1 != y else 0,
        lambda x, y: 0 if sympy.Rational(1, 2) == x else 1,
        lambda x, y: 0 if sympy.Matrix([x]) == sympy.Matrix([y]) else 1,
        lambda x, y: 0 if x in (y, 2) else 1,
        lambda x, y: 1 if x else 0,
        lambda x, y: 0 if x > y else 1,
        lambda x, y: float(x),
        lambda x, y: math.exp(x),
    ],
)
def test_symbolic_takes_no_branch_by_the_form_of_an_expression(side):
    def sides(symbols, ops):
        x, y = symbols("x y")
        yield side(x, y), 1 + 0 * x

    with pytest.raises(TypeError, match=r"write sympy\.Eq in ops\.where"):
        symbolic_finding(sides)

    def caught(symbols, ops):
        x, y = symbols("x y")
        with contextlib.suppress(Exception):
            side(x, y)
        yield x, x

    assert symbolic_finding(caught).detail.startswith("the sides caught what cannot be decided: ")
    assert sympy.Symbol("x") != sympy.Symbol("y")


def test_symbols_are_real_unless_they_are_said_to_be_complex():
    def sides(symbols, ops):
        yield ops.abs(symbols("a")) ** 2, symbols("a") ** 2
        z = symbols("z", complex=True)
        yield sympy.conjugate(sympy.conjugate(z)), z

    assert symbolic_finding(sides).status == "proved"
    for assumed in ({"complex": True}, {"imaginary": True}):
        z = {"names": "z", **assumed}
        found = symbolic_finding(lambda symbols, ops, z=z: [(sympy.conjugate(symbols(**z)), symbols(**z))])
        assert found.status != "proved"


@pytest.mark.parametrize(
    ("pair", "status"),
    [
        (lambda x, ops: (2 * ops.log(x - 5), ops.log((x - 5) ** 2)), "undecided"),
        (lambda x, ops: (ops.sqrt(x - 5) ** 2, ops.abs(x - 5)), "undecided"),
        (lambda x, ops: (2 * ops.log(x - 5), ops.log((x - 5) ** 3)), "refuted"),
        (lambda x, ops: (ops.sqrt(x + 5) ** 2, ops.abs(x)), "refuted"),
    ],
)
def test_a_witness_lies_in_the_domain(pair, status):
    assert symbolic_finding(lambda symbols, ops: [pair(symbols("x"), ops)]).status == status


def test_a_witness_meets_what_is_assumed():
    def finding(**assumed):
        return symbolic_finding(lambda symbols, ops: [(ops.larger(symbols("x", **assumed) - 1, -1), -1)])

    assert finding(positive=False).status != "refuted"
    assert finding(positive=True).detail == "x = 2: 1 against -1"
    assert finding(integer=True, odd=True).detail == "x = 3: 2 against -1"
    negative = symbolic_finding(lambda symbols, ops: [(symbols("x", negative=True), ops.num("-2"))])
    assert negative.detail == "x = -1/2: -1/2 against -2"


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


def test_touching_zero_is_proved_at_a_number_and_undecided_at_a_root():
    def touching(square):
        return balls.positive("shows", "scope", {"x": ("-1", "2")}, lambda x, ops: (x * x - square) ** 2)

    assert touching(1).run(5.0).status == "proved"
    finding = balls.positive("s", "c", {"x": ("1", "2")}, lambda x, ops: x**4 - 4 * x * x + 4).run(0.2)
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


def test_a_box_of_one_point_is_refused():
    with pytest.raises(ValueError, match="must be from low to high"):
        balls.positive("s", "c", {"x": ("1", "1")}, lambda x, ops: x - 2)


def test_balls_need_an_unknown():
    with pytest.raises(ValueError, match=r'balls.positive.box must be of one unknown at least; got \{\}: write \{"c"'):
        balls.positive("shows", "scope", {}, lambda ops: ops.pi)


ARRAYS = replace(FLOAT, where=lambda condition, then, otherwise: float(np.where(condition, then, otherwise)))
"""floats, with the conditions of one written by &, | and ~"""


def ball_finding(value, seconds=0.3, **box):
    return balls.positive("shows", "scope", box or {"x": ("0", "1")}, value).run(seconds)


@pytest.mark.parametrize(
    "value",
    [
        lambda x, ops: math.exp(-x) - 0.5,
        lambda x, ops: math.sqrt(x) - 0.6,
        lambda x, ops: float(x) - 0.4,
        lambda x, ops: round(x) + 1,
        lambda x, ops: int(x) + 1,
        lambda x, ops: math.floor(x) + 1,
        lambda x, ops: np.exp(-x) - 0.5,
        lambda x, ops: torch.exp(x) + 1,
        lambda x, ops: x >= 0,
        lambda x, ops: (x >= 0) * x + 1,
        lambda x, ops: None,
        lambda x, ops: {x: 1}[x],
    ],
)
def test_a_side_that_is_no_ball_is_refused_by_name(value):
    found = ball_finding(value)
    assert found.status == "undecided"
    assert found.detail.startswith("a side is not a ball (")
    assert "use ops.where, ops.larger, ops.smaller, ops.abs, ops.sqrt, ops.exp" in found.detail


@pytest.mark.parametrize(
    "value",
    [
        lambda x, ops: min(1, 10 * x) - 0.5,
        lambda x, ops: (0.0 if 0.334 < x < 0.336 else 1.0) - 0.5,
        lambda x, ops: (0.0 if x > 0.334 and not x > 0.336 else 1.0) - 0.5,
        lambda x, ops: 1 - max(x, 2 * x - 0.5),
        lambda x, ops: abs(x - 0.335) - 0.001,
        lambda x, ops: sorted((x, 0.5))[0] - 0.1,
        lambda x, ops: (-1 if x == 0.5 else 1) + 0 * x,
        lambda x, ops: ops.where((x > 0.334) & (x < 0.336), 0.0, 1.0) - 0.5,
        lambda x, ops: ops.where(~((x <= 0.334) | (x >= 0.336)), 0.0, 1.0) - 0.5,
        lambda x, ops: ops.smaller(1, 10 * x) - 0.5,
        lambda x, ops: ops.sin(7 * x),
        lambda x, ops: ops.num("1/2") - ops.log1p(x),
    ],
)
def test_pythons_own_branches_hide_no_violation(value):
    """Each is below 0 somewhere in [0, 1]."""
    found = ball_finding(value, seconds=10.0)
    assert found.status == "refuted"
    at = Fraction(found.detail.split(":")[0].removeprefix("x = "))
    assert value(float(at), FLOAT if "where" not in value.__code__.co_names else ARRAYS) < 0


@pytest.mark.parametrize(
    "value",
    [
        lambda x, ops: max(x - 0.5, 0.5 - x) + 1,  # true, but the border of a branch runs through the box
        lambda x, ops: (1.0 if x < 0.3 else 2.0) - 0.5,
        lambda x, ops: 1 if x == 0.3 else 1 + x,
        lambda x, ops: 1 if (x > 0.3) == (x > 0.2) else 2,
    ],
)
def test_a_border_inside_the_box_is_undecided(value):
    found = ball_finding(value)
    assert found.status == "undecided"
    assert "the border of a branch runs there: use ops.where, ops.larger or ops.smaller" in found.detail


def test_balls_take_a_branch_at_a_point_where_it_is_certain():
    for step in CAUGHT[:2]:
        assert ball_finding(lambda x, ops, step=step: despite(step, x), seconds=5.0).status == "refuted"


@pytest.mark.parametrize("step", CAUGHT[2:])
def test_balls_remember_a_refusal_that_was_caught(step):
    assert ball_finding(lambda x, ops: despite(step, x) + 1).status == "undecided"


@pytest.mark.parametrize("value", [Decimal("0.7265625"), np.float32(0.7265625), torch.tensor(0.5), None])
def test_balls_take_no_number_of_another_library_for_unequal(value):
    for side in (
        lambda x, ops: -1 + 0 * x if x == value else x + 1,
        lambda x, ops: x + 1 if x != value else -1 + 0 * x,
    ):
        found = ball_finding(side)
        assert found.status == "undecided"
        assert "a value must be a number; got " in found.detail


def test_a_power_of_a_fraction_is_exact_by_ops_alone():
    """Python makes the float 1/3 of it first, which is below a third."""
    found = ball_finding(lambda x, ops: Fraction(1, 3) ** (x + 1) - ops.exp(-(x + 1) * ops.log(ops.num("3"))) + 1)
    assert "the base of a power must be exact; got the float 0.333" in found.detail
    assert "use ops.num" in found.detail
    assert ball_finding(lambda x, ops: ops.num("1/3") ** x - ops.num("1/4") + 0 * 2**x, seconds=5.0).status == "proved"


def test_choices_of_ops_are_decided_at_their_border():
    def value(x, ops):
        chosen = ops.where((x < 0.3) | ~(x <= 0.6), ops.num("1"), 2)
        return chosen + ops.larger(x - 0.5, 0.5 - x) - ops.smaller(x, 1 - x) + ops.abs(x - 0.5)

    assert ball_finding(value, seconds=10.0).status == "proved"


@pytest.mark.parametrize(
    "value",
    [
        lambda x, ops: math.inf - x,
        lambda x, ops: math.inf,
        lambda x, ops: 1.0,
        lambda x, ops: ops.num("2") - ops.num("1"),
        lambda x, ops: ops.num("4") - ops.pi,
        lambda x, ops: ops.where(ops.pi > 3, ops.sqrt(ops.num("2")), 1) ** 2 / 3,
        lambda x, ops: x / x,
        lambda x, ops: ops.sin(1 / x) + 2,
        lambda x, ops: (1 / x) ** 0,
        lambda x, ops: 1 / (1 / x) + 1,
        lambda x, ops: ops.exp(ops.log(x - 2)) + 1,
        lambda x, ops: ops.ratio(1, (x - 0.5) * (x - 0.5)),
        lambda x, ops: ops.larger(ops.log(x - 2), 1),
    ],
)
def test_what_is_infinite_undefined_or_constant_is_undecided(value):
    assert ball_finding(value, seconds=0.1).status == "undecided"


def test_a_comparison_of_balls_has_three_values():
    one, wide = balls.arb_ops().num("1"), balls.hull(0, 2)
    assert one < 2
    assert not one > 2
    for unsure in (wide > one, ~(wide > one), (wide > one) & (one < 2), (wide > one) | (one > 2)):
        with pytest.raises(balls.Uncertain):
            bool(unsure)
    assert not ((wide > one) & (one > 2))
    assert (wide > one) | (one < 2)
    with pytest.raises(balls.Uncertain):
        bool((wide > one) == (one < 2))


# --- number systems --------------------------------------------------------------------------------------------------


def formula(a, b, ops):
    """Uses every operation."""
    c = ops.larger(ops.abs(a - b), ops.num("1/3")) + ops.sqrt(a) + ops.exp(-b) + ops.log(a + 1) + ops.erfc(b)
    c = c + ops.smaller(a, b) * ops.sin(a) + ops.log1p(b)
    return ops.where(a > b, c, 2 * c) * ops.pi + ops.ratio(a, b)


@pytest.mark.parametrize(("a", "b"), [(0.5, 2.0), (3.0, 0.25), (1.25, 1.0)])
def test_all_number_systems_agree(a, b):
    expected = formula(a, b, FLOAT)
    tensor = formula(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64), TENSOR)
    assert float(tensor) == pytest.approx(expected, rel=1e-14)
    exact = formula(sympy.Rational(a), sympy.Rational(b), symbolic.SYMPY)
    assert float(exact) == pytest.approx(expected, rel=1e-14)
    ball = formula(balls.hull(a, a), balls.hull(b, b), balls.arb_ops()).arb
    assert abs(float(ball.mid()) - expected) < 1e-12
    assert float(ball.rad()) < 1e-12


def test_a_ball_that_holds_both_cases_of_a_choice_covers_both():
    ops, x = balls.arb_ops(), balls.hull(-1, 1)
    assert ops.larger(x, 0).arb.contains(1)
    assert ops.smaller(x, 0).arb.contains(-1)
    chosen = ops.where(x > 0, 5, -5).arb
    assert chosen.contains(5)
    assert chosen.contains(-5)


def test_float_ratio_knows_infinity():
    assert FLOAT.ratio(1.0, 0.0) == math.inf
    assert float(TENSOR.ratio(torch.tensor(1.0), torch.tensor(0.0))) == math.inf


def test_a_missing_solver_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(Missing, match=r"z3-solver must be installed .* pip install 'sae-workbench\[proofs\]'"):
        smt_finding(lambda unknowns, ops: ([], [unknowns("a") == unknowns("a")]))
