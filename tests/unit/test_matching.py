"""Assignment and extreme cosines against their definitions, computed one by one."""

from itertools import permutations

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize
from torch.testing import assert_close

from synthetic.base.streams import stream
from workbench.metrics.matching import Geometry, match


def dictionary(m, n, d):
    """Features and rows, float64: noisy features of either sign, copies, mixtures, random and zero rows."""
    rng = stream(0, "dictionary", m)
    features = torch.randn(n, d, generator=rng, dtype=torch.float64)
    noise = torch.randn(m, d, generator=rng, dtype=torch.float64)
    rows = features[torch.arange(m) % n] * torch.tensor([1.0, -2.0, 0.5]).repeat(m)[:m, None] + 0.3 * noise
    rows[m // 2 : m // 2 + m // 8] = rows[: m // 8]
    rows[m // 4 : m // 4 + m // 8] += features[: m // 8]
    rows[-m // 8 :] = noise[-m // 8 :]
    rows[-max(1, m // 16) :] = 0
    return rows, features


def by_definition(rows, features):
    """What `match` must return, with the solver asked to maximise |cos| itself."""
    cosine = normalize(rows, dim=1) @ normalize(features, dim=1).T
    size = cosine.abs()
    latent, feature = linear_sum_assignment(size.numpy(), maximize=True)
    latent_of, cosine_of = torch.full((len(features),), -1), torch.zeros(len(features), dtype=torch.float64)
    for j, i in zip(latent, feature, strict=True):
        latent_of[i], cosine_of[i] = int(j), cosine[j, i]
    order = size.argsort(dim=1, descending=True, stable=True)
    return Geometry(
        latent_of=latent_of,
        cosine_of=cosine_of,
        nearest=order[:, 0],
        second=order[:, min(1, len(features) - 1)],
        nearest_cosine=size.max(1).values,
        best_signed=cosine.max(0).values,
        least_signed=cosine.min(0).values,
        best_absolute=size.max(0).values,
    )


@pytest.mark.parametrize(("m", "n"), [(96, 160), (160, 96), (128, 128), (1, 40), (40, 1)])
def test_every_field_is_what_it_says(m, n):
    rows, features = dictionary(m, n, 24)
    found, expected = match(rows, features), by_definition(rows, features)
    for name in ("cosine_of", "nearest_cosine", "best_signed", "least_signed", "best_absolute"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-14, msg=lambda m, n=name: n + m)
    some = rows.norm(dim=1) > 0  # a zero row is as near to one feature as to another
    assert_close(found.nearest[some], expected.nearest[some])
    assert_close(found.second[some], expected.second[some])
    taken = found.latent_of[found.latent_of >= 0]
    assert len(taken) == len(taken.unique()) == min(m, n)


def test_no_assignment_of_small_integers_is_better():
    """Rows and features with many ties: the sum equals the best over all permutations, 40 draws."""
    for draw in range(40):
        rng = stream(draw, "ties")
        rows, features = (torch.randint(-1, 2, (5, 2), generator=rng).double() for _ in range(2))
        size = (normalize(rows, dim=1) @ normalize(features, dim=1).T).abs()
        best = max(float(size[torch.arange(5), list(order)].sum()) for order in permutations(range(5)))
        assert match(rows, features).mean_matched * 5 == pytest.approx(best, abs=1e-12)


def test_arguments_are_left_as_they_were():
    rows, features = dictionary(8, 12, 6)
    rows, features = normalize(rows, dim=1), normalize(features, dim=1)
    kept = rows.clone(), features.clone()
    match(rows, features)
    assert_close((rows, features), kept, rtol=0, atol=0)
