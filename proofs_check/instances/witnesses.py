"""Small mixtures that break one hypothesis each: the controls of many claims."""

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from proofs_check.instances.draw import numbers
from proofs_check.instances.mixture import Mixture


@st.composite
def _on_axes(draw: st.DrawFn) -> Mixture:
    """V = I in two to five dimensions, and all codes from 1 to 3."""
    d = draw(st.integers(2, 5))
    h = draw(st.lists(st.just(1.0) | numbers(1, 3), min_size=d, max_size=d))
    return Mixture.exact(torch.eye(d), torch.tensor([h], dtype=torch.float64))


def twice_the_identity() -> SearchStrategy[Mixture]:
    """V = 2I and h > 0: all cosines are 0, and |x| = 2|h|."""
    return _on_axes().map(lambda case: Mixture.exact(2 * case.rows, case.h))


def orthonormal_with_rest() -> SearchStrategy[Mixture]:
    """V = I, h > 0 and x = h + (0, ..., 0, t), t in [.1, 2]: coherence 0, and x is not hV."""
    return st.builds(lambda case, t: _moved(case, t * case.rows[-1]), _on_axes(), st.just(0.1) | numbers(0.1, 2))


def orthonormal_with_bias() -> SearchStrategy[Mixture]:
    """V = I, h > 0 and x = h + b, all of b in [.1, 2]."""
    return st.builds(lambda case, t: _moved(case, t * case.rows.sum(0)), _on_axes(), st.just(1.0) | numbers(0.1, 2))


def _moved(case: Mixture, by: Tensor) -> Mixture:
    return Mixture(case.rows, case.h, case.x + by)


def opposite_signs() -> SearchStrategy[Mixture]:
    """Two rows with a product in [.3, .9], h = (1, -1) or (1, -2)."""
    cosine = st.just(0.6) | numbers(0.3, 0.9)
    return st.builds(
        lambda c, t: Mixture.exact([[1.0, 0], [c, (1 - c * c) ** 0.5]], [[1.0, -t]]),
        cosine,
        st.sampled_from([1.0, 2.0]),
    )


def orthonormal_basis() -> SearchStrategy[Mixture]:
    """V = I in two to five dimensions."""
    return _on_axes()


def short_rows() -> SearchStrategy[Mixture]:
    """Two equal rows on a line, of a length in [.05, .5]."""
    return (st.just(0.1) | numbers(0.05, 0.5)).map(lambda t: Mixture.exact([[t], [t]], [[1.0, 1]]))


def one_oblique() -> SearchStrategy[Mixture]:
    """Rows e_1, ..., e_6 and (e_1 + e_2) / sqrt(2), the first and last active: a large cosine among many zeros."""
    rows = torch.eye(7, 6, dtype=torch.float64)
    rows[-1] = (rows[0] + rows[1]) / 2**0.5
    return st.just(Mixture.exact(rows, [[1.0, 0, 0, 0, 0, 0, 1]]))


def silent() -> SearchStrategy[Mixture]:
    """V = I with h = 0."""
    return _on_axes().map(lambda case: Mixture.exact(case.rows, 0 * case.h))
