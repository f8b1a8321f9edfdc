"""What trained polynomial decoders say of pairs of features, by what the pairs do in the world."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from proofs_check.instances.stack import Settings, Trained
from synthetic.worlds.interactions import pair_roles
from workbench.metrics import products

STEPS = 1000


@dataclass(frozen=True)
class Decoder(Trained):
    """One member of a stack on the world in which interaction is crossed with co-occurrence: 32 features in d = 64."""

    world: str = "interacting"
    variant: str = "polysae"
    m: int = 32
    settings: Settings = (("rank2", 16),)
    steps: int = STEPS
    lr: float = 3e-3

    @cached_property
    def strengths(self) -> dict[str, Tensor]:
        """Sizes |B_ij| on matched latents of the pairs of each role."""
        read = self.evidence.products
        if read is None:
            return {role: torch.zeros(len(pairs)) for role, pairs in pair_roles().items()}
        return {role: read(torch.tensor(pairs)).norm(dim=1) for role, pairs in pair_roles().items()}

    @property
    def interacting(self) -> Tensor:
        """|B_ij| of the pairs that interact, come they often or not."""
        return torch.cat([self.strengths["interacting, frequent"], self.strengths["interacting, rare"]])

    @property
    def crossed(self) -> float:
        """P(|B| of a pair that interacts > |B| of one that only comes together), ties half."""
        return products.auroc(self.interacting, self.strengths["frequent only"])


def terms(name: str, rank2: int = 16) -> Settings:
    """Settings of PolySAE that keep these monomials."""
    return (("rank2", rank2), ("terms", name))


def pair_strengths(U: Tensor, C2: Tensor) -> Tensor:
    """|B_ij| = 2 |sum_r U_ir U_jr c_r| of all pairs i < j, from U (m, R2) and C2 (d, R2)."""
    gram, pairs = C2.T @ C2, torch.triu_indices(len(U), len(U), 1).split(50_000, dim=1)
    parts = (U[i] * U[j] for i, j in pairs)
    return torch.cat([2 * ((both @ gram) * both).sum(1).clamp_min(0).sqrt() for both in parts])
