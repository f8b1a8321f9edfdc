"""SAE variants, one a file; a new file here is on the shelf without further edits."""

import importlib
import pkgutil
from typing import Any

import numpy as np

from synthetic.base.errors import pick
from synthetic.source import Source, has_targets, target_width
from workbench.sae import SAE, VARIANTS, Seeds, Variant

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def variant_shelf() -> dict[str, Variant]:
    """The shelf: every file of this folder, and what plug-ins added."""
    return dict(sorted(VARIANTS.items()))


def create(
    name: str,
    d: int | np.integer | Source,
    m: int | np.integer,
    *,
    seed: Seeds = 0,
    objective: str | None = None,
    **settings: Any,
) -> SAE:
    """A new SAE, or a stack of them where `seed` or a setting is a list.

    Lists broadcast as numpy arrays do: lists of equal length go together, and nested ones make a grid.
    `k=[2, 4, 8], seed=[0, 1, 2]` is three SAEs, k = 2 with seed 0 and so on; `k=[[2], [4], [8]], seed=[0, 1, 2]` is
    nine, every k with every seed. `SAE.members` says which is which.

    Args:
        name: variant on the shelf (`python -m workbench list`).
        d: width of the activations; or a source of them, which also says the width of their targets if it has some.
        m: number of latents.
        seed: of the initial weights, in [0, 2^63); a list makes a stack.
        objective: terms of the loss by name, "nested=1/16,1/4,1 auxk=32", in place of those of the variant that have
            the same names and beside the others (`workbench.parts.objectives`).
        settings: the variant's own by name; lists broadcast to the stack's shape.

    Raises:
        ValueError: unknown variant, setting or objective (the nearest name is suggested), a setting or seed out of
            range, lists that do not broadcast, or weights larger than memory.
    """
    shelf = variant_shelf()
    of, wide = shelf[pick(name, shelf, "variant")], {}
    if isinstance(d, Source):
        wide = {"d_y": target_width(d)} if has_targets(d) and "d_y" in of.settings else {}
        d = d.d
    return of(d, m, seed=seed, objective=objective, **wide | settings)
