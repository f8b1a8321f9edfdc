"""Metrics: what was recovered, beside chance and ceiling. One family a file; a new file here is on the shelf."""

import importlib
import pkgutil
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthetic.base.errors import must, pick
from synthetic.base.streams import seed_of, stream, torch_defaults
from synthetic.rows import ArrayRows, IteratorRows, PassRows, as_source
from synthetic.source import Source, targets_of
from workbench.metrics.codings import Coding, Inferred, OwnEncoder, settings_of
from workbench.metrics.evidence import Evidence, collect
from workbench.metrics.scores import Scores
from workbench.metrics.shelf import METRICS, Metric
from workbench.parts.inference import inference
from workbench.sae import SAE, VARIANTS

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "Evidence", "Metric", "Scores", "collect", "evaluate", "null"]


@torch_defaults()
def evaluate(
    sae: SAE | Tensor,
    source: Any,
    n: int = 100_000,
    seed: int = 1,
    *,
    metrics: Collection[str] | None = None,
    encoder: str | None = None,
    bias: Tensor | None = None,
    **budget: Any,
) -> Scores:
    """Every metric of the shelf on n fresh samples (stream "evaluate" of `seed`, never seen in training).

    Without a truth, as on a store, those that need one are left out.

    Args:
        sae: an SAE or a stack; or rows (*s, m, d) of a dictionary, with an `encoder`.
        source: a world or its name, a store, or any other source; or what `workbench.rows` takes: of an array each row
            counts once, of a DataLoader or an iterator the first n do.
        n: samples drawn.
        seed: of the stream.
        metrics: names; the families that hold them are computed, and no others. All where None.
        encoder: in place of an SAE's own one, an inference on its rows and b_dec: "omp" or "nn_omp" (orthogonal
            matching pursuit, with nonnegative codes) with k=, "nn_lasso" with penalty=, "nnls"; they are those of
            `workbench.parts.inference`.
        bias: (*s, d), what codes on given rows are added to; 0 where None. An SAE has its own.
        budget: k or penalty of that inference.

    Returns:
        metric name -> a float, or an array of the stack's shape. Names ending in `_null` are chance levels.

    Raises:
        ValueError: the SAE's width is not the source's, or a parameter is not finite.
    """
    must(n >= 1, "evaluate.n", "at least 1", n, "draw some samples")
    source, seed = _rows_or_source(source, n), seed_of("evaluate.seed", seed)
    coding = _coding(sae, encoder, bias, budget)
    coding.must_fit("evaluate.source", ArrayRows((source,)) if isinstance(source, Tensor) else source)
    kinds = METRICS if metrics is None else _families(metrics)
    members = [
        {k: v for kind in kinds if kind.needs(evidence) for k, v in kind.scores(evidence).items()}
        for evidence in collect(coding, source, n, seed)
    ]
    scores = members[0]
    if coding.shape:
        scores = {name: np.array([m[name] for m in members]).reshape(coding.shape) for name in members[0]}
    return Scores(scores, coding.settings, coding.shape)


def _rows_or_source(x: Any, n: int) -> Source | Tensor:
    """Activations that somebody has already as rows, each of which counts once; any other source."""
    source = as_source(x)
    if isinstance(source, ArrayRows | PassRows | IteratorRows):
        parts = (source if isinstance(source, ArrayRows) else source.first(n)).parts
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    return source


def _coding(sae: SAE | Tensor, encoder: str | None, bias: Tensor | None, budget: dict[str, Any]) -> Coding:
    if isinstance(sae, SAE):
        must(bias is None, "evaluate.bias", "of rows alone", f"one beside {sae.name}", "drop it: an SAE has b_dec")
        for name, parameter in sae.named_parameters():
            good = bool(parameter.isfinite().all())
            must(
                good,
                f"evaluate.sae.{name}",
                "finite",
                "NaN or inf",
                "the training diverged; load an earlier checkpoint",
            )
        if encoder is None:
            must(not budget, "evaluate's settings", "those it has", ", ".join(budget), "name an encoder with them")
            return OwnEncoder(sae)
        advice = "evaluate it with its own encoder"
        must(not sae.decoder.maps, "evaluate.encoder", f"none for {sae.name}, which maps x to y", encoder, advice)
        scale = sae.scale.double()
        return Inferred(
            sae.W_dec.double() / scale, inference(encoder, **budget), sae.b_dec.double() / scale, settings_of(sae)
        )
    must(isinstance(sae, Tensor), "evaluate.sae", "an SAE, or rows of a dictionary", type(sae).__name__, "pass one")
    if encoder is None:
        must(False, "evaluate.encoder", "given for rows without one", "none", 'pass encoder="omp", k=4')
        raise AssertionError
    must(bool(sae.isfinite().all()), "evaluate.rows", "finite", "NaN or inf", "drop them")
    if bias is not None:
        size = (*sae.shape[:-2], sae.shape[-1])
        fits = bias.shape == size and bool(bias.isfinite().all())
        must(fits, "evaluate.bias", f"{size}, finite", tuple(bias.shape), "pass what codes are added to")
    return Inferred(sae, inference(encoder, **budget), bias)


def _families(names: Collection[str]) -> list[Metric]:
    known = {name: kind for kind in METRICS for name in kind.names}
    wanted = {id(known[pick(name, known, "evaluate.metrics")]) for name in names}
    return [kind for kind in METRICS if id(kind) in wanted]


@torch_defaults()
def null(
    sae: SAE,
    source: Any,
    n: int = 20_000,
    seed: int = 1,
    draws: int = 4,
    *,
    metrics: Collection[str] | None = None,
) -> dict[str, tuple[float, float]]:
    """Chance level of every metric: mean and sd over `draws` untrained SAEs of the same variant, shape and settings.

    Weights are fresh, b_dec is E[x], running thresholds see one training batch. A stack's first member is the model.
    `metrics` as in `evaluate`.
    """
    source = as_source(source)
    settings = {name: _first(v) for name, v in sae.settings.items()}
    fresh = VARIANTS[sae.name](sae.d, sae.m, seed=[10_000 + i for i in range(draws)], **settings)
    batch = source.sample(4096, stream(seed, "null/batch"))
    x, y = batch.x, targets_of(batch)
    with torch.no_grad():
        fresh.scale.copy_(sae.scale)
        if sae.decoder.maps:
            fresh.scale_out.copy_(sae.out_scale)
        if "b_dec" not in fresh.frozen:
            fresh.b_dec.copy_((y.mean(0) * fresh.out_scale).expand_as(fresh.b_dec))
        rows = fresh.W_dec.clone()
        fresh.train()
        fresh.finish_step(fresh.trace(fresh.own_units(x)))
        fresh.W_dec.copy_(rows)  # some variants learn in that step
    scores = evaluate(fresh, source, n, seed, metrics=metrics)
    return {name: (float(v.mean()), float(v.std())) for name, v in scores.items()}


def _first(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0]
    return value
