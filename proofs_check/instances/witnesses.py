"""Small mixtures that break one hypothesis each: the controls of many claims."""

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proofs_check.instances.mixture import Mixture


def twice_the_identity() -> SearchStrategy[Mixture]:
    """V = 2I and h = (1, 1): all cosines are 0, and |x| = 2|h|."""
    return st.just(Mixture.exact([[2.0, 0], [0, 2]], [[1.0, 1]]))


def orthonormal_with_rest() -> SearchStrategy[Mixture]:
    """V = I, h = (1, 1) and x = h + (0, .1): coherence 0, and x is not hV."""
    return st.just(_moved([0.0, 0.1]))


def orthonormal_with_bias() -> SearchStrategy[Mixture]:
    """V = I, h = (1, 1) and x = h + b with b = (1, 1)."""
    return st.just(_moved([1.0, 1.0]))


def _moved(by: list[float]) -> Mixture:
    exact = Mixture.exact([[1.0, 0], [0, 1]], [[1.0, 1]])
    return Mixture(exact.rows, exact.h, exact.x + exact.x.new_tensor([by]))


def opposite_signs() -> SearchStrategy[Mixture]:
    """Rows (1, 0) and (.6, .8) with h = (1, -1)."""
    return st.just(Mixture.exact([[1.0, 0], [0.6, 0.8]], [[1.0, -1]]))


def orthonormal_basis() -> SearchStrategy[Mixture]:
    """V = I in two dimensions."""
    return st.just(Mixture.exact([[1.0, 0], [0, 1]], [[1.0, 1]]))


def short_rows() -> SearchStrategy[Mixture]:
    """Two equal rows of length 1/10 on a line."""
    return st.just(Mixture.exact([[0.1], [0.1]], [[1.0, 1]]))


def one_oblique() -> SearchStrategy[Mixture]:
    """Rows e_1, ..., e_6 and (e_1 + e_2) / sqrt(2), the first and last active: a large cosine among many zeros."""
    rows = torch.eye(7, 6, dtype=torch.float64)
    rows[-1] = (rows[0] + rows[1]) / 2**0.5
    return st.just(Mixture.exact(rows, [[1.0, 0, 0, 0, 0, 0, 1]]))


def silent() -> SearchStrategy[Mixture]:
    """V = I with h = 0."""
    return st.just(Mixture.exact([[1.0, 0], [0, 1]], [[0.0, 0]]))
