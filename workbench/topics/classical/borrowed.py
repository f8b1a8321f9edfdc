"""Learners that scikit-learn has."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.streams import stream
from workbench.ratios import unit_rows
from workbench.topics.classical.alternating import first_rows
from workbench.topics.classical.shelf import learner


def _number(seed: int) -> int:
    """What scikit-learn takes for a seed, which is below 2^32."""
    return int(torch.randint(2**31, (), generator=stream(seed, "classical/sklearn")))


@learner(most=50_000, borrowed=True)
def fast_ica(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "rows d"]:
    """FastICA: the mixing directions of independent components, at most the rank of x, each of positive skewness.

    Source: Hyvarinen (1999).
    """
    from sklearn.decomposition import FastICA

    rank = int(torch.linalg.matrix_rank(x, rtol=1e-5))  # whitening makes noise of what does not vary
    ica = FastICA(min(m, rank), whiten="unit-variance", random_state=_number(seed))
    skewness = torch.from_numpy(ica.fit_transform(x.numpy())).pow(3).mean(0)
    return torch.from_numpy(ica.mixing_).mT * torch.where(skewness < 0, -1.0, 1.0)[:, None]


@learner(most=1_000_000, borrowed=True)
def k_means(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """Centres of m clusters of the directions of samples.

    Source: Coates and Ng (2012). Differs: minibatches (Sculley 2010), and no whitening, which moves directions.
    """
    from sklearn.cluster import MiniBatchKMeans

    how: dict[str, Any] = {"n_init": 1, "random_state": _number(seed)}
    return torch.from_numpy(MiniBatchKMeans(m, **how).fit(unit_rows(x).numpy()).cluster_centers_)


@learner(most=10_000, borrowed=True)
def online_dictionary(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """Online dictionary learning: rows from sufficient statistics of nonnegative lasso codes, one pass over samples.

    Source: Mairal, Bach, Ponce, Sapiro (2009), with their penalty of 1.2 / sqrt(d) for samples of norm about 1.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning

    x = x / x.square().sum(1).mean().sqrt()
    how: dict[str, Any] = {"fit_algorithm": "cd", "positive_code": True}
    how |= {"max_iter": 1, "tol": 0.0, "max_no_improvement": None}  # each sample once
    how |= {"alpha": 1.2 / x.shape[1] ** 0.5, "dict_init": first_rows(x, m, seed).numpy()}
    found = MiniBatchDictionaryLearning(m, random_state=_number(seed), **how).fit(x.numpy())
    return torch.from_numpy(found.components_)


@learner(most=4_000, centred=False, borrowed=True)
def nmf(x: Float[Tensor, "n d"], m: int, k: int, seed: int) -> Float[Tensor, "m d"]:
    """Nonnegative matrix factorisation of [relu(x), relu(-x)]; rows are the first half less the second.

    It finds features whose coordinates do not cancel in sums, as where none has a coordinate below 0.

    Source: Lee and Seung (1999), by coordinate descent; the split is the usual one for data of both signs.
    """
    from sklearn.decomposition import NMF

    both = torch.cat((x.relu(), (-x).relu()), 1)
    how: dict[str, Any] = {"n_components": m, "init": "random", "max_iter": 100, "random_state": _number(seed)}
    positive, negative = torch.from_numpy(NMF(**how).fit(both.numpy()).components_).split(x.shape[1], 1)
    return positive - negative
