"""Best inference on given rows: against brute force and scipy, by certificates, and what makes a certificate fail."""

from itertools import combinations

import numpy as np
import pytest
import scipy.optimize
import torch
from torch.testing import assert_close

import synthetic as S
from workbench.parts.inference import inference, nn_lasso, nn_omp, nnls, violation
from workbench.ratios import unit_rows


def rows(m, d, seed=0):
    return unit_rows(torch.randn(m, d, generator=S.stream(seed, "tests/rows"), dtype=torch.float64))


def planted(n, m, d, k, seed=0):
    """Rows, codes with k nonzeros in [.5, 1.5], and activations."""
    rng, atoms = S.stream(seed, "tests/codes"), rows(m, d, seed)
    support = torch.rand(n, m, generator=rng).topk(k).indices
    values = torch.rand(n, k, generator=rng, dtype=torch.float64) + 0.5
    h = torch.zeros(n, m, dtype=torch.float64).scatter(1, support, values)
    return atoms, h, h @ atoms


@pytest.mark.parametrize(("m", "d"), [(6, 10), (20, 8), (48, 32), (100, 32)])
def test_least_squares_and_lasso_are_optimal(m, d):
    atoms, x = rows(m, d), torch.randn(80, d, generator=S.stream(1, "tests/x"), dtype=torch.float64)
    f = nnls(x, atoms)
    assert bool((f >= 0).all())
    assert float(violation(x, atoms, f).max()) < 1e-10
    theirs = [scipy.optimize.nnls(atoms.T.numpy(), row.numpy())[1] for row in x]
    np.testing.assert_allclose((x - f @ atoms).norm(dim=1), theirs, atol=1e-6)
    f = nn_lasso(x, atoms, 0.1, debias=False)
    assert float(violation(x, atoms, f, 0.1).max()) < 1e-10
    again = nn_lasso(x, atoms, 0.1)
    assert_close(again > 0, (f > 0) & (again > 0))  # refitted on the support
    assert float(violation(x, atoms, again, allowed=f > 0).max()) < 1e-10


def test_the_certificate_tells_five_steps_from_the_optimum():
    atoms, _, x = planted(50, 40, 20, 3)
    early = nn_lasso(x, atoms, 0.05, steps=5, exact=False, debias=False)
    assert float(violation(x, atoms, early, 0.05).median()) > 1e-3


def test_pursuit_is_as_good_as_all_supports_where_rows_are_apart():
    atoms, h, x = planted(60, 12, 64, 3)
    assert_close(nn_omp(x, atoms, 3).dense(), h, atol=1e-9, rtol=0)


def test_pursuit_against_every_support():
    atoms, _, x = planted(40, 10, 6, 2, seed=3)
    f = nn_omp(x, atoms, 2).dense()
    left = (x - f @ atoms).square().sum(1)
    best = torch.full((40,), torch.inf, dtype=torch.float64)
    for pair in combinations(range(10), 2):
        allowed = torch.zeros(40, 10, dtype=torch.bool)
        allowed[:, list(pair)] = True
        best = torch.minimum(best, (x - nnls(x, atoms, allowed) @ atoms).square().sum(1))
    assert bool((left >= best - 1e-10).all())
    assert float(((left - best) < 1e-10).double().mean()) > 0.5
    assert bool((f >= 0).all())
    assert int((f > 0).sum(1).max()) <= 2
    assert float(violation(x, atoms, f, allowed=f > 0).max()) < 1e-10


def test_each_sample_may_have_its_own_number_of_picks_and_stops_when_nothing_is_left():
    atoms, h, x = planted(30, 12, 64, 3)
    k = torch.arange(30) % 3 + 1
    f = nn_omp(x, atoms, k).dense()
    assert_close((f > 0).sum(1), k)
    assert_close(nn_omp(x, atoms, 12).dense(), h, atol=1e-9, rtol=0)  # three picks reach the end
    assert int((nn_omp(x, atoms, 12, tol=1.0).dense() > 0).sum()) < int((h > 0).sum())
    assert float(nn_omp(-atoms[:1], atoms[:1], 1).dense().sum()) == 0  # nothing points there


def test_rows_of_zeros_and_dependent_rows():
    twice = torch.cat((rows(4, 6), rows(4, 6), torch.zeros(1, 6, dtype=torch.float64)))
    x = torch.randn(20, 6, generator=S.stream(2, "tests/x"), dtype=torch.float64)
    for f in (nnls(x, twice), nn_omp(x, twice, 5).dense(), nn_lasso(x, twice, 0.1)):
        assert bool(f.isfinite().all())
    assert float(violation(x, twice, nnls(x, twice)).max()) < 1e-10
    assert float(nnls(torch.zeros(2, 6, dtype=torch.float64), twice).abs().sum()) == 0


def test_an_inference_says_what_it_takes():
    with pytest.raises(ValueError, match=r"encoder must be one of .*perhaps you meant 'nn_omp'"):
        inference("nnomp", k=3)
    with pytest.raises(ValueError, match=r"encoder 'omp' must be given k"):
        inference("omp")
    with pytest.raises(ValueError, match=r"setting of encoder 'nnls' must be one of"):
        inference("nnls", k=3)
    with pytest.raises(ValueError, match=r"encoder\.k must be at least 1"):
        inference("omp", k=0)
    with pytest.raises(ValueError, match=r"nn_lasso\.penalty must be above 0"):
        inference("nn_lasso", penalty=0.0)(torch.ones(1, 2), torch.eye(2))
