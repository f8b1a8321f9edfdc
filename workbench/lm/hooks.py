"""Hook points by the field's names: read or replace what passes there; the forward pass ends after the deepest."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synthetic.base.errors import must, pick
from workbench.lm.models import LanguageModel
from workbench.ratios import difference

_LONG = {
    "resid_pre": "blocks.{}.hook_resid_pre",
    "resid_post": "blocks.{}.hook_resid_post",
    "mlp_out": "blocks.{}.hook_mlp_out",
    "attn_out": "blocks.{}.hook_attn_out",
    "hook_z": "blocks.{}.attn.hook_z",
}
"""kind -> TransformerLens' name, with the layer"""


@dataclass(frozen=True)
class HookPoint:
    """A place in a layer.

    resid_pre and resid_post are the residual stream before and after the layer, attn_out and mlp_out what attention
    and MLP add to it, hook_z the heads' outputs side by side before W_O.
    """

    layer: int
    """counted from 0"""
    kind: str

    def __post_init__(self) -> None:
        pick(self.kind, _LONG, "hook point")

    @classmethod
    def of(cls, name: str) -> "HookPoint":
        """From `resid_pre.6`, or TransformerLens' `blocks.6.hook_resid_pre`."""
        found = re.fullmatch(r"(?:blocks\.(\d{1,6})\.(?:attn\.)?)?([a-z_]+?)(?:\.(\d{1,6}))?", name)
        before, kind, after = found.groups() if found else (None, "", None)
        layer = before or after
        once = layer and not (before and after)
        must(once, "hook point", "such as resid_pre.6 or blocks.6.hook_resid_pre", repr(name), "name kind and layer")
        return cls(int(layer or 0), kind if kind in _LONG else kind.removeprefix("hook_"))

    def __str__(self) -> str:
        return f"{self.kind}.{self.layer}"

    @property
    def long_name(self) -> str:
        """TransformerLens' name, which SAELens writes into its folders."""
        return _LONG[self.kind].format(self.layer)


def is_point(name: str) -> bool:
    """Whether a hook point has this name."""
    try:
        HookPoint.of(name)
    except ValueError:
        return False
    return True


class _Reached(Exception):  # noqa: N818
    """Ends a forward pass after its deepest hook point."""


def known_points(lm: LanguageModel, names: Sequence[str]) -> list[HookPoint]:
    """Hook points by name, in order of depth.

    Raises:
        ValueError: a name that is none, or a layer that the model lacks.
    """
    points = sorted({HookPoint.of(name) for name in names}, key=lambda p: (p.layer, list(_LONG).index(p.kind)))
    for point in points:
        must(point.layer < lm.layers, "hook point", f"in a layer below {lm.layers}", str(point), "count from 0")
    return points


def width(lm: LanguageModel, point: HookPoint) -> int:
    """Numbers a token at a hook point: d, or heads times their width for hook_z."""
    weight: Any = lm.blocks[point.layer].projection.weight
    return weight.numel() // lm.d if point.kind == "hook_z" else lm.d


@torch.no_grad()
def capture(lm: LanguageModel, ids: Int[Tensor, "b t"], points: Sequence[HookPoint]) -> dict[HookPoint, Tensor]:
    """Activations (b, t, width) at hook points for token ids; layers after the deepest are not computed.

    Sequences padded on the right need no mask: attention is causal.
    """
    found: dict[HookPoint, Tensor] = {}

    def keeper(point: HookPoint) -> Callable[[Tensor], None]:
        def keep(value: Tensor) -> None:
            found[point] = value
            if len(found) == len(points):
                raise _Reached

        return keep

    with ExitStack() as hooked:
        for point in points:
            hooked.enter_context(_hooked(lm, point, keeper(point)))
        with suppress(_Reached):
            lm.model(input_ids=_known_tokens(lm, ids), use_cache=False)
    return {point: found[point] for point in points}


@torch.no_grad()
def logits(
    lm: LanguageModel,
    ids: Int[Tensor, "b t"],
    point: HookPoint | None = None,
    change: Callable[[Float[Tensor, "b t w"]], Float[Tensor, "n t w"]] | None = None,
) -> Float[Tensor, "n t v"]:
    """Logits of the model, or of the model with the activations at a hook point replaced by `change` of them.

    For a single sequence (b = 1) there may be n replacements, which go through the layers above as one batch.
    """
    with ExitStack() as hooked:
        if point is not None and change is not None:
            hooked.enter_context(_hooked(lm, point, change))
        return lm.model(input_ids=_known_tokens(lm, ids), use_cache=False).logits


def _known_tokens(lm: LanguageModel, ids: Int[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """Token ids on the model's device; an id that it has no embedding of would end in an error of the device."""
    low, high = (int(end) for end in ids.aminmax())
    rule = f"in [0, {lm.vocabulary}), the model's vocabulary"
    known = low >= 0 and high < lm.vocabulary
    must(known, "token ids", rule, f"{low} to {high}", "use the tokenizer that the model was trained with")
    return ids.to(lm.device)


@contextmanager
def _hooked(lm: LanguageModel, point: HookPoint, see: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Within the block, `see` gets what passes at a hook point; where it returns a tensor, that goes on instead."""
    block = lm.blocks[point.layer]
    module = {"attn_out": block.attention, "mlp_out": block.mlp, "hook_z": block.projection}.get(
        point.kind, block.whole
    )

    def before(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        value = args[0] if args else named["hidden_states"]
        new = see(value)
        if new is None:
            return args, named
        return ((new, *args[1:]), named) if args else (args, named | {"hidden_states": new})

    def after(_: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        new = see(out[0] if isinstance(out, tuple) else out)
        return out if new is None else (new, *out[1:]) if isinstance(out, tuple) else new

    if point.kind in ("resid_pre", "hook_z"):
        handle = module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def check_hook_points(lm: LanguageModel, ids: Int[Tensor, "b t"], tol: float = 1e-4) -> float:
    """Compare every hook point with the model's own hidden states; the largest relative difference.

    resid_pre of layer l is hidden state l and resid_post hidden state l + 1 (the last one after the final norm, so it
    is passed on to the logits instead); attention and MLP make up resid_post - resid_pre; W_O of hook_z is attn_out.

    Raises:
        ValueError: one of them differs by more than `tol`: an architecture whose layers are not what they seem.
    """
    hidden = lm.model(input_ids=_known_tokens(lm, ids), use_cache=False, output_hidden_states=True)
    worst = 0.0
    for layer, block in enumerate(lm.blocks):
        points = {kind: HookPoint(layer, kind) for kind in _LONG}
        got = {point.kind: value for point, value in capture(lm, ids, list(points.values())).items()}
        pairs = {"resid_pre": (got["resid_pre"], hidden.hidden_states[layer])}
        if layer + 1 < lm.layers:
            pairs["resid_post"] = got["resid_post"], hidden.hidden_states[layer + 1]
        else:
            wanted = got["resid_post"]
            own = logits(lm, ids, points["resid_post"], lambda value, wanted=wanted: wanted)
            pairs["resid_post"] = own, hidden.logits
        pairs["attn_out and mlp_out"] = got["resid_pre"] + got["attn_out"] + got["mlp_out"], got["resid_post"]
        pairs["hook_z"] = block.projection(got["hook_z"]), got["attn_out"]
        for name, (value, expected) in pairs.items():
            off = difference(value, expected)
            what = f"{name} of layer {layer}"
            must(
                off <= tol, what, f"the model's own to {tol:g}", f"{off:.1e} off", "this architecture is not supported"
            )
            worst = max(worst, off)
    return worst
