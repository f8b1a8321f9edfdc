"""Numbers of the theory of pursuit worked by hand, and what the rules of released code do on known instances."""

import pytest
import torch

import synthetic as S
from proofs_check.claims.pursuit.cases import Greedy, from_gram, identity_and_hadamard, outside
from proofs_check.instances.mixture import Mixture
from workbench.parts import pursuit
from workbench.theory import pursuit as theory


def test_the_stall_at_sixty_degrees():
    assert theory.stalled_residual(1.0, 0.5) == pytest.approx(0.433, abs=5e-4)
    assert theory.stalled_code(1.0, 0.5) == (1.5, 0.75)
    x = torch.tensor([[1.5, 0.75**0.5]], dtype=torch.float64)  # w_1 + w_2
    rows = torch.tensor([[1.0, 0], [0.5, 0.75**0.5]], dtype=torch.float64)
    left = {s: float(pursuit.matching_pursuit(x, rows, 60, select=s).residual.norm()) for s in ("abs", "relu", "max")}
    assert left["relu"] == left["max"] == pytest.approx(0.75**0.5 / 2)
    assert left["abs"] < 1e-9


def test_relu_below_the_bound_stays_wrong():
    products = torch.tensor([[1, 0.2, -0.2], [0.2, 1, 0.2], [-0.2, 0.2, 1]], dtype=torch.float64)
    case = Mixture.exact(from_gram(products), [[1.0, 0.3, 0]])
    path = pursuit.matching_pursuit(case.x, case.rows, 3, select="relu")
    assert path.indices.tolist() == [[0, 1, 2]]
    torch.testing.assert_close(path.values, torch.tensor([[1.06, 0.288, 0.01440]]).double(), atol=5e-5, rtol=0)
    assert float(path.residual.norm()) == pytest.approx(0.057, abs=5e-4)
    by_size = pursuit.matching_pursuit(case.x, case.rows, 40)
    assert set(by_size.indices.flatten().tolist()) == {0, 1}
    assert float(by_size.residual.norm()) < 1e-9


def test_the_bound_of_a_coherence():
    assert theory.largest_support(1 / 8) == 4.5  # (2k - 1) mu = 7/8 at k = 4, 9/8 at k = 5
    assert theory.largest_support(0.0) == float("inf")
    assert theory.outside_share(3 / 8, 4 / 8) == pytest.approx(0.8)
    assert theory.coherent_rate(4, 1 / 8) == pytest.approx(1 - 0.625 / 4)
    products = [[1, 0.1, -0.4, 0.3], [0.1, 1, 0.2, 0], [-0.4, 0.2, 1, 0.1], [0.3, 0, 0.1, 1]]
    sums = [theory.cumulative_coherence(products, r) for r in range(4)]
    assert sums == pytest.approx([0, 0.4, 0.7, 0.8])


def test_identity_and_hadamard_rows_below_their_bound():
    """500 samples of 4 nonnegative codes, mu = 1/8: |c| never leaves the support, relu does in most samples."""
    rows, rng = identity_and_hadamard(64), S.stream(0, "hadamard")
    where = torch.rand(500, 128, generator=rng).topk(4).indices
    values = 0.5 + torch.rand(500, 4, generator=rng, dtype=torch.float64)
    case = Mixture.exact(rows, torch.zeros(500, 128, dtype=torch.float64).scatter(1, where, values))
    assert case.coherence == pytest.approx(1 / 8)
    wrong = {s: int((outside(case, pursuit.matching_pursuit(case.x, rows, 16, select=s)) > 0).sum()) for s in RULES}
    assert wrong["abs"] == 0
    assert 370 < wrong["relu"] < 430


RULES = ("abs", "relu")


def test_a_path_that_ends_early_keeps_its_last_residual():
    case = Greedy(torch.eye(2).double(), torch.tensor([[1.0, 0]]).double(), 5)
    assert case.path.values.shape[1] < 5
    assert case.energies.tolist() == [[1, 0, 0, 0, 0, 0]]
