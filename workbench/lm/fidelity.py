"""What a language model loses when activations are replaced by an SAE's reconstructions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.progress import track
from workbench.lm.hooks import HookPoint, logits
from workbench.lm.models import LanguageModel
from workbench.lm.packing import PAD

Change = Callable[[Float[Tensor, "n w"]], Float[Tensor, "n w"]]
"""activations in the place of activations, row by row"""


@dataclass(frozen=True)
class Fidelity:
    """Next-token losses in nats a token, and what follows from them. The first tokens, left as they are, count too."""

    clean: float
    """of the model as it is"""
    replaced: float
    """with the replaced activations"""
    zero: float
    """with 0 in their place"""
    mean: float
    """with their mean in their place"""
    kl: float
    """KL(clean || replaced) of next-token distributions, nats, mean over tokens"""
    tokens: int
    """predicted tokens behind these means"""

    @property
    def recovered(self) -> float:
        """Loss recovered against zero ablation, (zero - replaced) / (zero - clean): 1 for a perfect SAE."""
        return _share(self.zero, self.replaced, self.clean)

    @property
    def recovered_from_mean(self) -> float:
        """Loss recovered against mean ablation, the stricter figure: 0 for an SAE that always says the mean."""
        return _share(self.mean, self.replaced, self.clean)


def _share(ablated: float, replaced: float, clean: float) -> float:
    return (ablated - replaced) / (ablated - clean) if ablated > clean else math.nan


@torch.no_grad()
def measure_fidelity(
    lm: LanguageModel,
    point: HookPoint,
    sequences: Int[Tensor, "b t"],
    changes: Mapping[str, Change],
    *,
    mean: Float[Tensor, " w"],
    skip: int = 1,
    at_once: int = 8,
) -> dict[str, Fidelity]:
    """Losses of a model with its activations at a hook point replaced, by name of the change.

    The changes of one sequence go through the layers above the hook point as one batch; those below are shared.

    Args:
        lm: the model.
        point: where activations are replaced.
        sequences: token ids of text that was not trained on, PAD after the end.
        changes: SAEs, or whatever else maps activations to activations.
        mean: E[x] at the hook point, for mean ablation.
        skip: tokens at the beginning of each sequence that are left as they are, as in training.
        at_once: changes in a batch.
    """
    must(len(sequences), "fidelity.sequences", "at least one", "none", "keep more held-out tokens")
    todo: dict[str, Change] = {"": lambda x: x, "zero": torch.zeros_like, "mean": lambda x: x * 0 + mean.to(x)}
    todo |= {f"change {name}": change for name, change in changes.items()}
    names, tokens = list(todo), 0
    loss, kl = (dict.fromkeys(names, 0.0) for _ in range(2))
    for padded in track(sequences, f"losses at {point}"):
        used = padded != PAD
        ids, goal, used = padded.clamp_min(0)[None], padded[1:][used[1:]].to(lm.device), used[1:].to(lm.device)
        tokens += len(goal)
        clean = None
        for start in range(0, len(names), at_once):
            some = names[start : start + at_once]
            own = logits(lm, ids, point, _replaced([todo[name] for name in some], skip))[:, :-1]
            for name, log_p in zip(some, own.float().log_softmax(-1)[:, used], strict=True):
                clean = log_p if clean is None else clean  # the first is the model as it is
                loss[name] += float(F.nll_loss(log_p, goal, reduction="sum"))
                kl[name] += float((clean.exp() * (clean - log_p)).sum())
    must(tokens, "fidelity.sequences", "longer than one token", "no token to predict", "keep more held-out tokens")
    each = {name: total / tokens for name, total in loss.items()}
    return {
        name: Fidelity(each[""], each[own], each["zero"], each["mean"], kl[own] / tokens, tokens)
        for name, own in ((name, f"change {name}") for name in changes)
    }


def _replaced(changes: list[Change], skip: int) -> Callable[[Tensor], Tensor]:
    """The changes of one sequence's activations (1, t, w), as a batch."""

    def apply(value: Tensor) -> Tensor:
        new = value.repeat(len(changes), 1, 1)
        for own, change in zip(new, changes, strict=True):
            made, shape = change(own[skip:].float()), tuple(own[skip:].shape)
            must(
                made.shape == shape, "fidelity.changes", f"of one result {shape}", tuple(made.shape), "pass single SAEs"
            )
            own[skip:] = made.to(value.dtype)
        return new

    return apply
