"""The shelf of dictionary learners, and how one is given its data."""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.streams import seed_of, stream, torch_defaults
from workbench.ratios import unit_rows

Learn = Callable[[Tensor, int, int, int], Tensor]
"""activations (n, d), m, k, seed -> rows (at most m, d), of any norm"""


@dataclass(frozen=True)
class Learner:
    """A method that finds a dictionary."""

    learn: Learn
    most: int
    """samples that it is fitted on at most, as more of them take too long"""
    centred: bool
    """whether it is given x less its mean"""
    borrowed: bool
    """whether scikit-learn does it"""


LEARNERS: dict[str, Learner] = {}


def learner(most: int, *, centred: bool = True, borrowed: bool = False) -> Callable[[Learn], Learn]:
    """Decorator: put a function from x, m, k and a seed to rows on the shelf, under its own name."""

    def put(learn: Learn) -> Learn:
        LEARNERS[learn.__name__] = Learner(learn, most, centred, borrowed)
        return learn

    return put


def must_have(name: str, where: str) -> None:
    """Refuse a learner whose package is not installed."""
    missing = LEARNERS[name].borrowed and importlib.util.find_spec("sklearn") is None
    advice = "pip install 'sae-workbench[classical]', or leave it out"
    must(not missing, where, "one that is installed", f"{name}, which needs scikit-learn", advice)


@torch_defaults()
@torch.no_grad()
def fit(
    name: str, x: Float[Tensor, "n d"], m: int, k: int, seed: int = 0
) -> tuple[Float[Tensor, "rows d"], Float[Tensor, " d"]]:
    """Unit rows of a dictionary of x, and what they are added to: the mean of x, or 0 for a learner of x as it is.

    Args:
        name: of a learner; the first `LEARNERS[name].most` samples are used.
        x: activations.
        m: rows; a learner may find fewer. One that it leaves at 0 is a random direction.
        k: active rows a sample, of learners that code with a number of them.
        seed: of what is random in it; the same bits on the same machine and thread count.

    Raises:
        ValueError: no such learner, scikit-learn is needed and not installed, or m and k do not fit the samples.
    """
    own, seed = LEARNERS[pick(name, LEARNERS, "fit.name")], seed_of("fit.seed", seed)
    must_have(name, "fit.name")
    must(1 <= k <= m, "fit.k", f"in [1, m={m}]", k, "lower it or raise m")
    must(len(x) > m, "fit.x", f"of more than m={m} samples", len(x), "draw more or lower m")
    must(bool(x.isfinite().all()), "fit.x", "finite", "NaN or inf", "repair the data source")
    x = x[: own.most].float()
    must(bool((x != x[0]).any()), "fit.x", "of samples that differ", "one sample again and again", "draw others")
    centre = x.mean(0) if own.centred else torch.zeros(x.shape[1])
    with _quiet() if own.borrowed else nullcontext():
        rows = own.learn(x - centre, m, k, seed)
    lost = rows.norm(dim=1, keepdim=True) == 0
    rows = torch.where(lost, torch.randn(rows.shape, generator=stream(seed, "classical/lost")), rows)
    return unit_rows(rows.float()), centre


@contextmanager
def _quiet() -> Iterator[None]:
    """scikit-learn on torch's number of threads, without a word of what has not converged."""
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(torch.get_num_threads()):
        warnings.simplefilter("ignore")
        yield
