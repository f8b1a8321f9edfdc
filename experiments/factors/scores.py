"""What an experiment on groups of neurons asks of rows, whatever found them, and a world with finitely many samples."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.streams import stream
from synthetic.source import Batch, Codes, GroundTruth, World
from workbench.metrics.matching import match
from workbench.parts.semi_nmf import fit, leaf_accuracy


@dataclass(frozen=True)
class Seen:
    """A world that has only some samples of another to give."""

    base: World
    pool: Batch

    @property
    def truth(self) -> GroundTruth:
        """That of the other."""
        return self.base.truth

    @property
    def d(self) -> int:
        """Dimension."""
        return self.base.d

    def sample(self, n: int, rng: torch.Generator) -> Batch:
        """Draw with replacement."""
        rows = torch.randint(len(self.pool.x), (n,), generator=rng)
        h = self.pool.h
        return Batch(self.pool.x[rows], Codes(h.indices[rows], h.values[rows], h.width))


def supports(rows: Float[Tensor, "m d"], features: Float[Tensor, "n d"]) -> float:
    """Share of a feature's neurons among as many largest entries of its matched row; the mean over features."""
    latent, size = match(rows, features).latent_of, (features != 0).sum(1)
    order = rows[latent].abs().argsort(1, descending=True)
    hits = [(feature[top[:n]] != 0).double().mean() for feature, top, n in zip(features, order, size, strict=True)]
    return float(torch.stack(hits).mean())


def families(
    rows: Float[Tensor, "m d"],
    features: Float[Tensor, "n d"],
    sizes: tuple[int, int],
    keep: int,
    rounds: int,
    seed: int,
) -> dict[str, float]:
    """A second level over rows, one row a family: share of leaves under their family's parent, and chance.

    Args:
        rows: first level.
        features: leaves, family by family.
        sizes: families, and leaves of each.
        keep: entries that a parent keeps.
        rounds: of semi-NMF.
        seed: of its start, and of the shuffled families that give chance.
    """
    share = keep / rows.shape[1]
    second = fit(rows, sizes[0], share=share, iterations=rounds, patience=rounds, seed=seed)
    parents = (second.codes * second.rows.norm(dim=1)).argmax(1)[match(rows, features).latent_of]
    family = torch.arange(sizes[0]).repeat_interleave(sizes[1])
    mixed = family[torch.randperm(len(family), generator=stream(seed, "factors/shuffled"))]
    return {"leaves": leaf_accuracy(parents, family), "leaves_null": leaf_accuracy(parents, mixed)}
