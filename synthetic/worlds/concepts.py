"""Worlds of latent concepts behind contexts and next tokens."""

from typing import Any

from synthetic.concepts.latent import LatentConcepts
from synthetic.concepts.world import ConceptWorld, Form
from synthetic.source import world


@world
def concept_posteriors(form: Form = "softplus", seed: int = 0, **changes: Any) -> ConceptWorld:
    """What 64 contexts say of three binary concepts, -log p(absent | context), in random directions."""
    return ConceptWorld(**{"concepts": LatentConcepts(seed=seed), "form": form, "seed": seed, **changes})


@world
def perfect_predictor(seed: int = 0, **changes: Any) -> ConceptWorld:
    """Activations of a perfect next-token predictor over three binary concepts, linear in their log-posteriors."""
    return ConceptWorld(**{"concepts": LatentConcepts(seed=seed), "form": "exact", **changes})
