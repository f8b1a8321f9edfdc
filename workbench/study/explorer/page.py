"""The explorer as one self-contained page; its frame with style and script is `explorer.html` beside this file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.storage import write_text
from workbench.metrics.evidence import collect, known_world
from workbench.metrics.features import feature_f1
from workbench.sae import SAE
from workbench.study.explorer.payload import Arm, payload
from workbench.study.explorer.policy import policy
from workbench.training.ceiling import has_ceiling, trained_oracle
from workbench.training.snapshots import Trace
from workbench.variants import variant_shelf

_FRAME = Path(__file__).with_name("explorer.html")
_DATA = "<!-- data -->"


@dataclass(frozen=True)
class Explorer:
    """A page on which features of a world and latents of SAEs can be looked at; notebooks show it as it is."""

    data: dict[str, Any]
    """what the page draws, see `workbench.study.explorer.payload`"""

    @property
    def html(self) -> str:
        """The page: data, style and script in one, under a policy that forbids every request."""
        frame = _FRAME.read_text("utf-8").replace("<!-- policy -->", policy(_FRAME.read_text("utf-8")))
        told = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        return frame.replace(_DATA, f'<script type="application/json" id="data">{told}</script>')

    def save(self, path: str | Path) -> Path:
        """Write the page; an earlier one is replaced whole."""
        write_text(Path(path), self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        style = "width:100%;height:900px;border:1px solid #888"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{escape(self.html)}"></iframe>'


def explorer(
    sae: SAE | Mapping[str, SAE],
    world: Any,
    n: int = 50_000,
    seed: int = 1,
    *,
    title: str | None = None,
    true_dictionary: bool = True,
    traces: Mapping[str, Trace] | None = None,
) -> Explorer:
    """A page of which features of a world were found, and why the others were not: `explorer(sae, world).save(path)`.

    Args:
        sae: an SAE or a stack, or several by name.
        world: with a truth, or its name or folder.
        n: samples.
        seed: of the stream "evaluate".
        title: what the page calls the world.
        true_dictionary: whether to train each variant's encoder on the true dictionary, to stand beside it.
        traces: decoders on the way of training, as `Snapshots` keeps them, by the name of the SAE ("" of a single one).
    """
    saes = dict(sae) if isinstance(sae, Mapping) else {"": sae}
    must(n >= 1, "explorer.n", "at least 1", n, "draw some samples")
    must(saes, "explorer.sae", "at least one SAE", "none", "pass one")
    for name, each in saes.items():
        must(isinstance(each, SAE), "explorer.sae", "SAEs", f"{name}: {type(each).__name__}", "load them first")
    title = title or (world if isinstance(world, str) else type(world).__name__)
    for each in saes.values():
        world = known_world("explorer.world", world, each)
    traces = dict(traces or {})
    for name, trace in traces.items():
        must(name in saes, "explorer.traces", "of SAEs on the page", repr(name), f"use the names {sorted(saes)}")
        shape = tuple(saes[name].W_dec.shape)
        got = tuple(trace.rows.shape[1:])
        must(got == shape, "explorer.traces", f"of decoders of shape {shape}", got, "pass that of this SAE")
    truths = {name: _truth_f1(each, world, n, seed) if true_dictionary else None for name, each in saes.items()}
    arms = {name: Arm(each, truths[name], traces.get(name)) for name, each in saes.items()}
    return Explorer(payload(arms, world, title, n, seed))


def _truth_f1(sae: SAE, world: Any, n: int, seed: int) -> Float[Tensor, " n_true"] | None:
    """F1 of each feature in the variant's true dictionary; None where there is none, or members differ in settings."""
    settings = sae.settings_now()
    alike = not any(isinstance(value, list) for value in settings.values())
    if sae.name not in variant_shelf() or not alike or not has_ceiling(sae):
        return None
    try:
        oracle = trained_oracle(sae.name, world, **settings)
    except ValueError:  # a variant that cannot have as many latents as there are features
        return None
    return feature_f1(collect(oracle, world, n, seed)[0])
