"""What a researcher can state, an example each, with one that is false beside it."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import synthetic as S
from proofs_check import (
    Claim,
    Hypothesis,
    Relation,
    Verdict,
    at_most,
    balls,
    certified,
    detectable,
    digits,
    equal,
    exists,
    forall,
    frames,
    isometry_constant,
    judge,
    loewner_at_most,
    matrices,
    mean_is,
    orthogonal,
    probability_at_most,
    psd,
    same_law,
    same_up_to,
    slope_is,
    smt,
    spectral,
    spectral_at_most,
    symbolic,
    trained,
)

FEW = {"max_examples": 30, "deadline": None, "derandomize": True}


def verdict(instances, conclusion, **more):
    claim = Claim(
        id="MINE-1", statement="an example", source="ours", instances=instances, conclusion=conclusion, **more
    )
    return judge(claim, examples=40)


@pytest.mark.parametrize("factor", [1.0, 0.9])
def test_norms_of_products(factor):
    """|AB| <= |A||B|, and not .9 of it."""
    pairs = st.tuples(matrices(3, 2), matrices(2, 4))

    def conclusion(pair):
        a, b = pair
        norms = torch.linalg.matrix_norm(a, 2) * torch.linalg.matrix_norm(b, 2)
        return spectral_at_most(a @ b, factor * norms)

    entry = verdict(pairs, conclusion)
    assert entry.verdict == (Verdict.SUPPORTED if factor == 1.0 else Verdict.REFUTED)


def test_orthogonal_matrices_keep_norms():
    entry = verdict(
        st.tuples(orthogonal(3), matrices(4, 3)),
        lambda pair: equal((pair[1] @ pair[0]).norm(dim=1), pair[1].norm(dim=1)),
    )
    assert entry.verdict == Verdict.SUPPORTED
    assert verdict(matrices(2, 2), lambda a: equal(a.det().abs(), 1.0)).verdict == Verdict.REFUTED


def test_the_loewner_order_of_sums():
    """A <= A + B for B of no eigenvalue below 0; A <= 2B is false."""
    pairs = st.tuples(psd(3), psd(3, rank=1))
    assert verdict(pairs, lambda p: loewner_at_most(p[0], p[0] + p[1])).verdict == Verdict.SUPPORTED
    assert verdict(pairs, lambda p: loewner_at_most(p[0], 2 * p[1])).verdict == Verdict.REFUTED


@settings(**FEW)
@given(frames(5, 3), certified(6, 4, 2, 0.3))
def test_frames_span_and_certified_rows_are_near_isometries(rows, case):
    assert float(torch.linalg.svdvals(rows)[-1]) > 1e-6
    assert float((rows.norm(dim=1) - 1).abs().max()) < 1e-12
    assert 1 <= case.m <= 6
    assert isometry_constant(case.rows, 2) <= 0.3
    assert bool(((case.x2 - case.h2).abs() <= 0.3 * case.h2 + 1e-9).all())


def test_the_isometry_constant_by_hand():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    assert isometry_constant(rows, 2) == pytest.approx(0.8)
    assert isometry_constant(rows, 1) == pytest.approx(0.0)


def test_eigenvalues_are_enclosed_and_semidefiniteness_is_decided_exactly():
    third = Fraction(1, 3)
    (low, high), (low2, high2) = spectral.eigenvalues([[2, "1/3"], [third, 2]])
    assert low <= Fraction(5, 3) <= high
    assert low2 <= Fraction(7, 3) <= high2
    assert max(high - low, high2 - low2) < 1e-12
    assert spectral.definite([[1, 1], [1, 1]])  # 0 is an eigenvalue
    assert not spectral.definite([[1, 1], [1, Fraction(10**30 - 1, 10**30)]])
    with pytest.raises(ValueError, match="square and symmetric"):
        spectral.eigenvalues([[1, 2], [3, 4]])


def test_loewner_inequalities_are_proved_or_refuted():
    """J <= nI for the matrix J of ones, where equality holds; J <= (n - 1)I is false."""

    def pairs(scale):
        for n in (2, 3, 5):
            eye = [[scale(n) * (i == j) for j in range(n)] for i in range(n)]
            yield [[1] * n] * n, eye

    assert spectral.loewner("J ≤ nI", "n = 2, 3, 5", lambda: pairs(lambda n: n)).run(5).status == "proved"
    found = spectral.loewner("J ≤ (n − 1)I", "n = 2, 3, 5", lambda: pairs(lambda n: n - 1)).run(5)
    assert (found.status, found.detail[:6]) == ("refuted", "pair 1")
    assert spectral.loewner("nothing", "none", list).run(5).status == "undecided"


@pytest.mark.parametrize(("end", "status"), [("49/100", "proved"), ("3/4", "refuted")])
def test_a_matrix_of_functions_is_semidefinite_on_a_box(end, status):
    """Three rows with products -c: the Gram matrix has the eigenvalue 1 - 2c."""

    def gram(c, ops):
        return [[ops.num("1") if i == j else -c for j in range(3)] for i in range(3)]

    assert spectral.semidefinite("Gram ≥ 0", f"c in [0, {end}]", {"c": ("0", end)}, gram).run(10).status == status


def test_forall_and_exists():
    """Of three signs, two agree; and all pairs of orthonormal rows are orthogonal."""
    signs = st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3)
    pairs = list(itertools.combinations(range(3), 2))
    agree = verdict(signs, lambda s: exists(pairs, lambda p: equal(s[p[0]], s[p[1]])))
    assert agree.verdict == Verdict.SUPPORTED
    assert verdict(signs, lambda s: forall(pairs, lambda p: equal(s[p[0]], s[p[1]]))).verdict == Verdict.REFUTED
    flat = verdict(orthogonal(3), lambda q: forall(pairs, lambda p: equal(q[p[0]] @ q[p[1]], 0.0)))
    assert flat.verdict == Verdict.SUPPORTED
    with pytest.raises(ValueError, match="give one at least"):
        forall([], lambda p: equal(0, 0))


def test_probabilities_have_a_power_that_is_said():
    """P(u > .9) = .1: a bound of .1 stands, one of .05 falls; what would fall is told."""
    u = torch.rand(4000, generator=S.stream(0, "test"))
    assert bool(probability_at_most(u > 0.9, 0.1).holds)
    assert not bool(probability_at_most(u > 0.9, 0.05).holds)
    seen = detectable(4000, 0.1)
    assert 0.12 < seen < 0.14
    events = torch.arange(4000) < seen * 4000
    assert not bool(probability_at_most(events, 0.1).holds)
    events[0] = False  # one event fewer
    assert bool(probability_at_most(events, 0.1).holds)


def test_rates_are_slopes_over_four_sizes():
    """Standard errors of a mean go as n^(-1/2)."""
    sizes = (10, 40, 160, 640)
    errors = [float(torch.randn(2000, n, generator=S.stream(n, "test")).mean(1).std()) for n in sizes]
    assert bool(slope_is(sizes, errors, -1 / 2, within=0.05).holds)
    assert not bool(slope_is(sizes, errors, -1, within=0.05).holds)
    with pytest.raises(ValueError, match="four or more"):
        slope_is(sizes[:3], errors[:3], -1 / 2, within=0.05)


def test_laws_are_compared_and_means():
    rng = S.stream(0, "test")
    x, y = (torch.randn(3000, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    turned = torch.linalg.qr(y[:3]).Q
    assert bool(same_law(x, y @ turned).holds.all())
    assert not bool(same_law(x, y * torch.tensor([1.0, 1.0, 2.0])).holds.all())
    assert bool(mean_is(x[:, 0], 0.0, sees=0.3).holds)
    assert not bool(mean_is(x[:, 0], 0.3, sees=0.9).holds)


def test_rows_are_the_same_up_to_symmetries():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]], dtype=torch.float64)
    moved = rows[[2, 0, 1]] * torch.tensor([[-1.0], [3.0], [1.0]])
    every = ("permutation", "sign", "scale")
    assert bool(same_up_to(rows, moved, *every).holds.all())
    for missing in every:
        assert not bool(same_up_to(rows, moved, *(name for name in every if name != missing)).holds.all())
    with pytest.raises(ValueError, match="choose of these"):
        same_up_to(rows, moved, "rotation")


def test_trained_saes_are_instances_of_fresh_seeds():
    runs = trained("topk", "bidirectional", 16, steps=5, samples=200, k=3)
    seen = []

    def conclusion(run):
        seen.append(run)
        return at_most(run.mcc, 1.0)

    entry = verdict(runs, conclusion, kind="trained", calibrated_on=(20,))
    assert entry.verdict == Verdict.SUPPORTED, entry.problems
    assert {made["world seed"] for made in entry.trainings} == set(range(10))
    one, two = (next(run for run in seen if run.seed == seed) for seed in (5, 6))
    assert not torch.equal(one.sae.W_dec, two.sae.W_dec)
    assert str(one) == "seed 5: topk(k=3), m = 16, on bidirectional, 5 steps"


def test_engines_are_at_hand():
    square = smt.implies("x² ≥ 0", "all x", lambda unknowns, ops: ([], [unknowns("x") ** 2 >= 0]))
    cube = symbolic.identity(
        "(a + 1)²", "all a", lambda symbols, ops: [((symbols("a") + 1) ** 2, _expanded(symbols("a")))]
    )
    exp = balls.positive("eˣ ≥ 1/3", "x in [−1, 1]", {"x": ("-1", "1")}, lambda x, ops: ops.exp(x) - ops.num("1/3"))
    assert [check.run(10).status for check in (square, cube, exp)] == ["proved"] * 3
    assert digits(torch.tensor([[1.0, 2.5]])) == "(1, 2.5)"
    assert Hypothesis("small", abs).met(0.0).all()
    assert isinstance(at_most(0, 1), Relation)


def _expanded(a):
    return a**2 + 2 * a + 1
