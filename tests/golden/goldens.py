"""What the workbench computes today, kept, so that a change of its shape changes no result.

    python -m tests.golden.goldens write [KIND ...]     keep what is computed now
    python -m tests.golden.goldens check [KIND ...]     compare with what was kept; exit code 1 where they differ
    python -m tests.golden.goldens reword [ITEM ...]    of experiments whose tables agree, keep today's texts, names of
                                                        files and settings in place of the old; a commit says why

Kinds: variants, worlds, claims, experiments, folders. `--only NAME ...` takes some items of a kind.

An item is a flat table from field to value: a number, a text, a list, or of a tensor its shape, type, hash, sum, norm,
largest entry and up to 32 entries. Fields that are new since are no difference; those that are gone are one.

Where the fingerprint of processor, libraries and threads is the one that wrote the golden, bits must be equal.
Elsewhere numbers may differ by `TOLERANCE` of the largest entry of their tensor, column or list, hashes are not looked
at, and a number within a text by one in its last digit. Fields that rounding decides stand in `LOOSE`, with the reason.

What moves when the code moves stands in five tables: `PLACES`, `WORLDS`, `COMMANDS`, `RENAMED` and `FOLLOWS`.
"""

import argparse
import dataclasses
import difflib
import hashlib
import importlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeGuard

import polars as pl
import torch
from safetensors import safe_open
from torch import Tensor

import proofs_check
import synthetic as S
import workbench as W
from proofs_check.measured import recalled
from workbench.study.table import setting_columns

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
TOLERANCE = 1e-6
LEAST = 0.01
"""tensors whose largest entry is below are judged as if it were this: what is left of sums that cancel is rounding"""
ENTRIES = 32

Fields = dict[str, Any]

# what moves when the code moves --------------------------------------------------------------------------------------

PLACES = {
    "attention": "synthetic.attention",
    "interventions": "synthetic.actions",
    "concepts": "synthetic.concepts.latent",
    "ledger": "proofs_check.shelf",
    "run": "workbench.study.run",
    "store": "workbench.lm.store",
    "model": "workbench.lm.models",
    "tiny language model": "lm",
}
"""where things are found that no package exports"""


def _at(place: str, name: str) -> Any:
    if place == "tiny language model" and str(ROOT / "tests") not in sys.path:
        sys.path.insert(0, str(ROOT / "tests"))
    return getattr(importlib.import_module(PLACES[place]), name)


def _mixture(**settings: Any) -> Any:
    return S.SparseMixture(**{"n_true": 12, "d": 8, **settings})


def _concepts(**settings: Any) -> Any:
    return S.ConceptWorld(concepts=_at("concepts", "LatentConcepts")(**settings))


def _benchmark(name: str, **changes: Any) -> Any:
    """A benchmark's world with fewer trees."""
    whole: Any = S.find_source(name, **changes)
    firing, directions = dataclasses.replace(whole.firing, trees=4), S.Orthogonalised(steps=20, lr=3e-4)
    return dataclasses.replace(whole, firing=firing, directions=directions, n_true=512, d=24)


WORLDS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: S.find_source(name) for name in ("toy", "superposition", "correlated", "hierarchical")},
    **{name: lambda name=name: S.find_source(name) for name in ("noisy", "concept_tree", "bidirectional", "circles")},
    "synthsaebench_16k": lambda: _benchmark("synthsaebench_16k"),
    "synthsaebench_16k independent": lambda: _benchmark("synthsaebench_16k", correlation=False),
    "synthsaebench_16k_historical": lambda: _benchmark("synthsaebench_16k_historical"),
    "structured.concept_tree": lambda: S.worlds.worlds()["concept_tree"](rho=0.2, leak=0.1, child_sd=0.1, d=24, seed=1),
    "structured.crowded_tree": lambda: S.worlds.worlds()["crowded_tree"](),
    "structured.concept_dag": lambda: S.worlds.worlds()["concept_dag"](),
    "structured.concept_dag all": lambda: S.worlds.worlds()["concept_dag"](rule="all", rho=0.1, sd=0.1),
    "structured.signed_sparse": lambda: S.worlds.worlds()["bidirectional"](seed=1),
    "structured.unipolar_sparse": lambda: S.worlds.worlds()["unipolar_sparse"](),
    "structured.mixed_signs": lambda: S.worlds.worlds()["mixed_signs"](q=0.5, p_plus=0.7),
    "structured.exclusive_pairs": lambda: S.worlds.worlds()["exclusive_pairs"](rate=0.8, sd=0.2),
    "structured.circles": lambda: S.worlds.worlds()["circles"](dim=3, sd=0.2),
    "interacting.interacting": lambda: S.worlds.worlds()["interacting"](),
    "interacting.triples": lambda: S.worlds.worlds()["triples"](),
    "interacting.logical and": lambda: S.worlds.worlds()["logical"]("and"),
    "interacting.logical xor": lambda: S.worlds.worlds()["logical"]("xor"),
    "neurons.disjoint_factors": lambda: S.worlds.worlds()["disjoint_factors"](),
    "neurons.core_exclusive": lambda: S.worlds.worlds()["core_exclusive"](),
    "neurons.core_exclusive opposed": lambda: S.worlds.worlds()["core_exclusive"](overlap=2, opposed=True, noise=0.0),
    "neurons.nonlinear": lambda: S.worlds.worlds()["nonlinear"](),
    "views.sparse_map": lambda: S.worlds.worlds()["sparse_map"](dense=0.5),
    "views.two_views": lambda: S.worlds.worlds()["two_views"](weak=0.5),
    "neurons.offset": lambda: S.worlds.worlds()["offset"](),
    "bias.uniform": lambda: S.worlds.worlds()["uniform"](),
    "bias.planted": lambda: S.worlds.worlds()["planted"](),
    "bias.two_frequencies": lambda: S.worlds.worlds()["two_frequencies"](),
    "bias.unbalanced": lambda: S.worlds.worlds()["unbalanced"](),
    "bias.nested": lambda: S.worlds.worlds()["nested"](),
    "attention": lambda: _at("attention", "PlantedAttention")(),
    "attention mixed": lambda: _at("attention", "PlantedAttention")(mixing=100.0, n_true=12, length=4),
    "attention all sources": lambda: _at("attention", "PlantedAttention")(
        sources=8, rate=0.3, uneven=0.0, heads=3, patterns=1
    ),
    "interventions": lambda: _at("interventions", "Interventions")(),
    "interventions leaky": lambda: _at("interventions", "Interventions")(mixing="leaky", zero=0.2, bend=0.5),
    "interventions corners": lambda: _at("interventions", "Interventions")(action="corners", noise_law="uniform"),
    "interventions gaussian": lambda: _at("interventions", "Interventions")(action="gaussian", bend=0.4),
    **{
        f"concepts {form}": lambda form=form: S.ConceptWorld(form=form)
        for form in ("softplus", "logit", "surprisal", "prob", "exact")
    },
    **{
        f"concepts {name}": lambda name=name: _concepts(tokens=getattr(S, name)(), contexts=S.Energy(256))
        for name in ("JointRevealing", "ConceptTyped", "Homonyms", "Weak", "Generic", "Leak")
    },
    **{
        f"concepts {name}": lambda name=name: _concepts(prior=getattr(S, name)())
        for name in ("ErDag", "Potts", "IndependentPrior", "TreePrior")
    },
    **{
        f"concepts {name}": lambda name=name: _concepts(contexts=getattr(S, name)())
        for name in ("Table", "Observations")
    },
    "mixture exactly k, log-normal": lambda: _mixture(firing=S.ExactlyK(3), magnitudes=S.LogNormal()),
    "mixture mixed k, exponential": lambda: _mixture(firing=S.MixedK((2, 5)), magnitudes=S.Exponential()),
    "mixture phi": lambda: _mixture(firing=S.Copula(S.Constant(0.2), S.Phi(0.3, group=4))),
    "mixture shared gain": lambda: _mixture(magnitudes=S.SharedGain(S.Uniform(0.5, 1.5))),
    "mixture coloured noise": lambda: _mixture(noise=S.Coloured(snr_db=10.0), bias_norm=0.5),
    "mixture isotropic noise": lambda: _mixture(noise=S.Isotropic(snr_db=3.0)),
    **{
        f"mixture {name}": lambda name=name: _mixture(directions=getattr(S, name)())
        for name in ("Antipodal", "CommonMean", "Duplicates", "RandomSphere")
    },
    "mixture Cone": lambda: _mixture(d=12, directions=S.Cone()),
    "mixture Orthonormal": lambda: _mixture(d=12, directions=S.Orthonormal()),
    "mixture Simplex": lambda: _mixture(d=16, directions=S.Simplex()),
    "mixture TightFrame": lambda: _mixture(directions=S.TightFrame()),
    "unit norm": lambda: S.UnitNorm(_mixture(bias_norm=0.3)),
    "standardised": lambda: S.Standardised(_mixture(bias_norm=0.3)),
}
"""every named world, and the parts that none of them uses"""

_LEDGER = {"examples": 40, "seconds": 120.0}
_SAMPLED = {"examples": 40, "seconds": 120.0}

_GPT2 = "--tokens 3000 --context 32 --m 40 --k 2 6 20 --afa 0.03125 --z-k 3 --seeds 2 --train.steps 30 --train.batch 64"
_TRANSFER = "--worlds toy superposition --variants topk abs_topk relu jumprelu --k 3 --expansion 2 --seeds 2"
FLAGS: dict[str, str] = {
    "afa_bounds": "--d 16 --n 32 --k 2 8 --samples 60 --steps 60 --dims 8 32 --seeds 2",
    "attention": "--n-true 24 32 --base 24 --condition 1 1000 --split 0 1 --owned 4 12 16 --heads 6 --d-head 6 "
    "--train.steps 40 --train.batch 128 --seeds 2 --train.lr 0.01 --jobs 1",
    "benchmark": "--shapes 8/24/2/16 8/600/2/16x2 --variants topk relu --repeats 1 --threads 1 --json",
    "bias_phase": "--n-true 32 --s 2 --d 8 24 --row 12 40 --ratios 1.5 8.0 --train.steps 60 --train.batch 64 "
    "--gamma 0.05 --train.lr 6e-3 --seeds 2 --jobs 1",
    "bidirectional": "--n-true 8 --d 12 --k 2 --pairs 2 --q 0.0 1.0 --p-plus 0.5 --l1 0.05 0.4 --train.steps 40 "
    "--train.batch 64 --train.lr 0.02 --samples 500 --seeds 2 --jobs 1",
    "concept_sae": "--train.steps 40 --seeds 2 --strength 1 --concepts 3 --contexts 64 --l1 0.1 1 "
    "--forms exact --jobs 1",
    "concepts": "--seeds 2 --sharpness 1 16 --leaks 1e-4 0.1 --weak 0.03 0.3 --observed 7 --strength 0 2 "
    "--contexts 64 --trained 1 --polish 200 --jobs 1",
    "gba": "--n-true 24 --d 12 10 --m 32 24 --k 2 4 --l0 1.0 --l1 1.0 --train.steps 40 --train.batch 32 "
    "--seeds 2 --ranges 1 1.0 1.0 3 2.0 0.5 --jobs 1",
    "factors": "--samples 300 --iterations 40 --train.steps 40 --train.batch 64 --seeds 2 "
    "--ratios 0.5 1.0 --cores 0 12 --jobs 1",
    "gpt2": f"{_GPT2} --fidelity-tokens 64 --audit-samples 20 --held-out 0.2 --layers 1 --jobs 1 "
    "--model model --text text.txt",
    "hierarchy": "--parts tree --rho 0.0 --g 0.0 0.9 --l1 0.1 0.4 --train.steps 40 --train.batch 100 "
    "--train.warm-up 0.2 --samples 500 --seeds 2 --jobs 1",
    "interactions": "--pairs 1 --free 3 --d 12 --ranks 2 4 --train.k-start 4 --train.steps 30 --train.batch 64 "
    "--seeds 2 --samples 400 --train.lr 0.02 --jobs 1",
    "interventions": "--train.steps 40 --samples 4000 --seeds 2 --noise 0.11 --zero 0 0.5 --jobs 1",
    "pursuit": "--inverse 4 8 --k 1 2 4 6 --samples 40 --seeds 2 --ratios 1 4 --steps 4 8 "
    "--train.steps 30 --train.batch 64 --parts phase noise trained --jobs 1",
    "recovery": "--world toy --variants topk relu gated --m 24 --k 2 --seeds 2 --samples 12000 --train.batch 256 "
    "--train.evaluations 3 --train.evaluation-samples 2000 --axis samples --jobs 1",
    "resonance": "--n-true 32 --d 24 --s 2 --m 64 --train.steps 60 --train.batch 64 --seeds 2 --ratios 1.5 8.0 "
    "--gamma 0.05 --train.lr 6e-3 --jobs 1",
    "synthsaebench": "--n-true 160 --d 24 --m 40 --train.batch 64 --samples 2560 --train.lr 0.003 --l0 1 2 --seeds 2 "
    "--train.evaluations 2 --train.evaluation-samples 500 --final-samples 2000 --threads 1 --no-parent-scaling "
    "--recipes matryoshka",
    "top_afa": "--n-true 16 --d 8 --m 24 --k 2 --afa 0.0 0.5 --train.steps 12 --train.batch 32 --seeds 2 --jobs 1",
    "top_afa_rule": "--dims 16 256 --k 2 16 --samples 60 --d 16 --m 64 --seeds 2",
    "transfer": f"{_TRANSFER} --toy-seeds 2 --train.steps 40 --train.batch 64 --trials 3 --samples 400 "
    "--fidelity-tokens 64 --draws 200 --held-out 0.2 --jobs 1 --store store",
    "tuning": "--samples 512 --evaluation-samples 300 --variants topk relu --seeds 2 --jobs 1",
    "zf_plot": "--variants topk top_afa --m 64 --train.steps 60 --seeds 2 --samples 300",
}
"""toy settings of each experiment"""
COMMANDS: dict[str, list[str]] = {name: [sys.executable, "-m", "experiments", name] for name in FLAGS}
"""how each experiment is started; its flags and `--out runs` follow"""
RENAMED: dict[str, dict[str, str]] = {name: {} for name in ("variants", *FLAGS)}
"""names of today's columns (entries of a state) -> names in the golden, applied before the comparison"""
_TOKENS = {"revealing": 0.0, "typed": 1.0, "generic": 2.0}
_WORDS = {"bayes_accuracy": "Bayes accuracy", "log_loss_gap": "log-loss gap", "typed_R2_marg": "typed: R2_marg"}
_WORDS |= {"residual_size": "|h|", "least_log10_posterior": "least", "R2_log_odds": "log-odds ~ log p(c|s)"}
_WORDS |= {"R2_aligned": "x' ~ x", **{f"{form}_{i}": f"{form} {i}" for form in ("joint", "marginal") for i in (0, 1)}}
_ROLES = {"interacting_frequent": "interacting, frequent", "frequent_only": "frequent only"}
_ROLES |= {"interacting_rare": "interacting, rare", "neither": "neither"}
_COMPOUNDS = {
    f"{new}{role}": f"{old}{words}"
    for new, old in (("own_latent_", "own latent: "), ("parts_", "parts: "), ("size_", "|B|: "))
    for role, words in _ROLES.items()
}
_COMPOUNDS |= {"mcc_activations": "mcc of activations", "crossed_auroc": "crossed auroc"}
_COMPOUNDS |= {"cofiring_r": "r of |B| and co-firing"}


def _AT(place: str) -> pl.Expr:  # noqa: N802
    return pl.col("place") == place


_LAST = pl.col("step") == pl.col("step").max()
FOLLOWS: dict[str, dict[str, pl.Expr]] = {
    "bias_phase": {"map": pl.col("place"), "ratio": pl.col("x"), "high": pl.col("x") * pl.col("s") / pl.col("n_true")},
    "gba": {
        "part": pl.when(pl.col("place").is_in(["unbalanced", "uniform"])).then(pl.lit("grid")).otherwise("place"),
        "method": pl.col("arm"),
        "setting": pl.col("setting").str.replace_all(" ", ", ").str.replace_all("=", " = "),
    },
    "bidirectional": {"part": pl.col("place")},
    "gpt2": {
        "hook": pl.col("place"),
        "variant": pl.col("arm"),
        "arm": pl.concat_str("arm", "setting", separator=" ", ignore_nulls=True),
    },
    "hierarchy": {"part": pl.col("place")},
    "top_afa": {
        "variant": pl.when(pl.col("arm").str.starts_with("TopK")).then(pl.lit("topk")).otherwise(pl.lit("top_afa")),
        "k": pl.col("x"),
        "topk": pl.when(pl.col("arm").str.starts_with("TopK")).then("k"),
        "init": pl.when(pl.col("arm").str.contains("tied")).then(pl.lit("tied")).otherwise(pl.lit("kaiming")),
        "normalise": pl.when(pl.col("place").str.starts_with("st")).then(pl.lit("sample")).otherwise(pl.lit("world")),
        "start": pl.when(pl.col("place") == "from the truth").then(pl.lit("truth")).otherwise(pl.lit("random")),
        "metric": pl.col("metric").replace("recovered_null", "chance"),
    },
    "top_afa_rule": {
        "panel": pl.when(pl.col("place") == "optima").then("metric").otherwise("place"),
        "line": pl.col("arm"),
    },
    "concepts": {
        "part": pl.col("place"),
        "seed": pl.col("world_seed"),
        "x": pl.coalesce(
            "leak", pl.when(_AT("trained")).then(pl.col("arm").replace_strict(_TOKENS, default=None)).otherwise("x")
        ),
        "y": pl.when(_AT("leak"))
        .then("x")
        .when(_AT("observed"))
        .then(pl.col("arm").str.strip_prefix("ER-").cast(pl.Float64, strict=False))
        .otherwise(0.0),
        "metric": pl.when(_AT("strength") & pl.col("arm").is_not_null())
        .then(pl.format("{}: {}", "arm", pl.col("metric").replace(_WORDS)))
        .otherwise(pl.col("metric").replace(_WORDS)),
    },
    "concept_sae": {"part": pl.col("place"), "seed": pl.col("world_seed"), "l1": pl.col("l1").fill_null(0.0)},
    "factors": {
        "world": pl.when(pl.col("place") == "D1 shares")
        .then(pl.when(pl.col("ratio") != 1.0).then(pl.lit("D1")))
        .when(pl.col("place") == "D2 cores")
        .then(pl.when(pl.col("core") != 12).then(pl.lit("D2")))
        .otherwise("place"),
        "method": pl.col("arm"),
        "metric": pl.col("metric").replace(
            {"mcc": "cosine", "mcc_null": "chance", "error_share": "J / |X|²", "over_floor": "J / floor"}
        ),
    },
    "interactions": {
        "part": pl.col("place"),
        "rank2": pl.col("x"),
        "step": pl.when(_AT("planted")).then(0).otherwise("step"),
        "seed": pl.when(_AT("planted")).then(0).otherwise("seed"),
        "metric": pl.col("metric").replace(_COMPOUNDS),
    },
    "pursuit": {
        "part": pl.col("place").str.split(" ").list.first(),
        "family": pl.when(pl.col("place").str.starts_with("phase")).then(pl.col("place").str.strip_prefix("phase ")),
        "inverse": pl.when(pl.col("place").str.starts_with("phase")).then((1 / pl.col("x")).round()),
        "ratio": pl.when(_AT("noise") | _AT("trained")).then("x"),
        "m": pl.when(_AT("timing")).then("m"),
        "rule": pl.col("arm"),
    },
    "resonance": {"control": pl.col("arm"), "p/f": pl.col("x")},
    "synthsaebench": {
        "recipe": pl.col("arm"),
        "l0": pl.col("x"),
        "samples": pl.col("step") * 64,
        "final": _LAST,
        "metric": pl.when(~_LAST | (pl.col("metric") != "loss/mse")).then("metric"),  # a loss of the end is new
    },
    "zf_plot": {"group": pl.col("arm")},
}
"""columns of goldens that follow from today's, of which those that `setting` names are some"""
JSON_ROWS = ("benchmark",)
"""experiments that print rows as JSON, and whose numbers are times: names and texts are compared"""
TIMES = {"metric": ("seconds", "ms")}
"""rows of tables that are times: column -> values"""

LOOSE: dict[str, tuple[float, str]] = {
    r"^variants/": (2e-5, "Adam divides a gradient by its size: where that is small, rounding shows; measured: 2e-6"),
    r"^variants/.*m=320.*state.b_enc": (1e-2, "latents that fire in few rows have gradients that nearly cancel"),
    r"^variants/lista.*state.log_theta": (5e-3, "the gradients of thresholds nearly cancel; measured: 4e-4"),
    r"^claims/.*: (margin|tightness of)": (1e-2, "the worst case of a search, and for some claims of trained stacks"),
    r"^experiments/(?!top_afa_rule|afa_bounds).*: table: ": (math.inf, "trained for tens of steps at large rates"),
    r"^experiments/(top_afa_rule|afa_bounds): table: ": (1e-3, "latents are counted, and ties turn; measured: 7e-5"),
    r"^worlds/mixture Simplex: (x|truth.features|truth.mean)$": (math.inf, "a basis of a space is left to LAPACK"),
}
"""patterns of `kind/item: field` -> what is allowed elsewhere in place of TOLERANCE (inf: any numbers), and why"""
HERE_ALONE = r"^experiments/.*: text$"
"""fields that are not compared elsewhere: words that say which of two numbers is larger, in lines that numbers break"""

# values ---------------------------------------------------------------------------------------------------------------


def hashed(content: bytes) -> str:
    """A short hash."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _digits(number: float) -> float:
    return float(f"{number:.9g}")


def described(tensor: Tensor) -> Fields:
    """What is kept of a tensor: its bits as a hash, and some numbers to compare where bits need not agree."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    of = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
    of["hash"] = hashed(flat.view(torch.uint8).numpy().tobytes() if len(flat) else b"")
    if not len(flat):
        return of
    numbers = flat.double()
    places = torch.linspace(0, len(flat) - 1, min(ENTRIES, len(flat)), dtype=torch.float64).round().long()
    figures = {"sum": numbers.sum(), "norm": numbers.norm(), "largest": numbers.abs().max()}
    of |= {name: _digits(float(value)) for name, value in figures.items()}
    return of | {"entries": [_digits(v) for v in numbers[places].tolist()]}


def fields_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value as flat fields."""
    if isinstance(value, Tensor):
        yield name, described(value)
    elif isinstance(value, S.Codes if isinstance(S.Codes, type) else ()):
        yield f"{name}.indices", described(value.indices)
        yield f"{name}.values", described(value.values)
        yield f"{name}.width", value.width
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from fields_of(f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield f"{name} (names)", sorted(map(str, value))
        for key in value:
            yield from fields_of(f"{name}[{key}]", value[key])
    elif isinstance(value, tuple | list):
        yield name, [v if v is None or isinstance(v, bool | int | float | str) else str(v) for v in value]
    elif value is None or isinstance(value, bool | int | float | str):
        yield name, value
    else:
        yield name, type(value).__name__


# items ----------------------------------------------------------------------------------------------------------------

_ACTING: dict[str, dict[str, Any]] = {
    "bias_adaptation": {"step": 0.01},
    "group_bias_adaptation": {"period": 4},
    "p_annealing": {"start": 10, "every": 10},
    "structured": {"start": 10, "every": 10},
    "jumprelu": {"target_l0": 3.0, "gain": 3e-4},
    "polysae": {"rank1": 2, "rank3": 2},
    "semi_nmf": {"iterations": 40},
    "top_afa": {"precise": True},
}
"""settings under which what a variant moves by itself moves within 12 steps"""
_MORE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "topk, dead latents": ("topk", {}, {"aux_k": 8, "dead_after": 3, "resample_every": 5}),
    "relu, resampled": ("relu", {}, {"dead_after": 2, "resample_every": 5}),
    "batch_topk, annealed": ("batch_topk", {}, {"k_start": 12.0}),
    "topk, rates": ("topk", {}, {"lr": (1e-3, 3e-4, 1e-4)}),
    "topk, plain": ("topk", {}, {"normalise": False, "centre": False, "clip": None}),
    "matryoshka, detached": ("matryoshka", {"detach": "inner"}, {}),
    "lista, signed": ("lista", {"signed": True}, {}),
    "group_bias_adaptation, untied": ("group_bias_adaptation", {"tied": False, "buffer": 64}, {}),
}
"""item -> variant, settings, training"""
_STEPS = {"steps": 12, "batch": 256, "lr": 1e-3}


_UNSAMPLED = ("interventions leaky",)
"""worlds without directions: what they draw is kept, and no truth"""


def variant_names() -> list[str]:
    """The shelf, and some trainings with more to them."""
    return [*W.variant_shelf(), *_MORE]


def variant(name: str) -> Fields:
    """The state after 12 steps, alone and as a stack, with few latents (dense) and many (sparse)."""
    of, settings, training = _MORE.get(name, (name, _ACTING.get(name, {}), {}))
    world, x = S.find_source("toy"), S.find_source("toy").sample(32, S.stream(5, "golden")).x
    fields: Fields = {}
    for m in (48, 320):
        for shape, seed in (("one", 3), ("stack", [0, 1, 2])):
            if isinstance(training.get("lr"), tuple) and shape == "one":
                continue
            sae = W.create(of, world.d, m, seed=seed, **settings)
            records = W.train(sae, world, W.TrainConfig(**{**_STEPS, **training}), seed=1)
            where = f"m={m}, {shape}"
            losses = {key: value for key, value in records[-1].items() if key.startswith("loss/")}
            with torch.no_grad():
                latents = sae.encode(x)
                dense = latents if isinstance(latents, Tensor) else latents.dense()
                tensors = {"latents": dense, "x_hat": sae(x)} | {f"state.{k}": v for k, v in sae.state_dict().items()}
            for key, value in tensors.items():
                new = key.removeprefix("state.")
                key = f"state.{RENAMED['variants'][new]}" if new in RENAMED["variants"] else key
                fields |= dict(fields_of(f"{where}: {key}", value))
            fields |= {f"{where}: {key}": value for key, value in losses.items()}
    return fields


def world(name: str) -> Fields:
    """64 samples, and every field of the truth."""
    made = WORLDS[name]()
    fields: Fields = {}
    if name not in _UNSAMPLED:
        batch, truth = made.sample(64, S.stream(7, "golden")), made.truth
        fields |= dict(fields_of("x", batch.x)) | dict(fields_of("h", batch.h))
        fields |= {} if getattr(batch, "y", None) is None else dict(fields_of("y", batch.y))
        for field in dataclasses.fields(truth):
            value = getattr(truth, field.name)
            if field.name == "cofiring" and value is not None:
                value = value(torch.arange(min(8, truth.n_true)))
            fields |= dict(fields_of(f"truth.{field.name}", value))
    for method, prefix in (("attend", "attended"), ("draw", "drawn")):
        if name.startswith(("attention", "interventions")) and hasattr(made, method):
            fields |= dict(fields_of(prefix, getattr(made, method)(64, S.stream(8, "golden"))))
    return fields


def _claims() -> dict[str, Any]:
    return _at("ledger", "claims")()  # `proofs_check.claims` is the folder of that name once it is imported


def claim(id: str) -> Fields:
    """What the ledger says of a claim on the tests' budget."""
    of = _claims()[id]
    budget = _LEDGER if of.proofs else _SAMPLED
    said = recalled(of) if of.kind == "trained" else proofs_check.judge(of, **budget)
    return claim_fields(said.to_json())


def claim_fields(said: Mapping[str, Any]) -> Fields:
    """A row of the ledger as fields."""
    fields = {name: said[name] for name in ("verdict", "promised", "ok", "scope", "witness", "instances", "margin")}
    fields |= {"problems": said["problems"], "void": said["void"]}
    fields |= {f"{name} of {part!r}": said[name][part] for name in ("tightness", "attained") for part in said[name]}
    for i, check in enumerate(said["checks"]):
        fields[f"check {i}"] = [check[name] for name in ("engine", "shows", "scope", "status")]
    for i, control in enumerate(said["controls"]):
        fields[f"control {i}"] = [control["drops"], bool(control["violation"])]
        fields[f"control {i}, violation"] = control["violation"]
    for mutant in said["mutants"]:
        fields[f"mutant {mutant['name']}"] = mutant["caught by"]
    return fields


_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}(-\d+)?")
_TIME = re.compile(r"\b\d+(\.\d+)?( ?(ms|µs)\b| (s|min|h|hours?|minutes?|seconds?)\b)|\b\d+:\d\d(:\d\d)?\b")
_RATE = re.compile(r"[\d,]+( samples/s)? x \d+")


def scrubbed(text: str) -> str:
    """A text without paths, dates, times and what a terminal adds."""
    text = _RUN.sub("RUN", text.replace(str(ROOT), "ROOT"))
    text = _RATE.sub("RATE", _TIME.sub("TIME", text))
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


_TABLE = "table: "


def as_kept(frame: pl.DataFrame, item: str, golden: Fields) -> pl.DataFrame:
    """A study's table with the columns that its golden has, and without metrics that are new since."""
    kept = {name.removeprefix(_TABLE): value for name, value in golden.items() if name.startswith(_TABLE)}
    if "kind" in frame.columns and "kind" not in kept:
        end = pl.when(pl.col("kind") == "null").then(pl.lit("_null")).otherwise(pl.lit(""))
        frame = setting_columns(frame).with_columns(metric=pl.col("metric") + end)
    frame = frame.rename({new: old for new, old in RENAMED[item].items() if new in frame.columns})
    frame = frame.with_columns(**FOLLOWS.get(item, {}))
    if "metric" in kept:
        frame = frame.filter(pl.col("metric").is_in({name for name, _ in kept["metric"]}))
    frame = frame.select([name for name in kept if name in frame.columns])
    named = [c for c, runs in kept.items() if isinstance(runs, list) and all(value is not None for value, _ in runs)]
    frame = frame.drop_nulls([c for c in named if c in frame.columns])
    whole = [c for c in frame.columns if isinstance(kept[c], list) and frame[c].dtype.is_float()]
    return frame.with_columns(pl.col(whole).cast(pl.Int64))


def rows_of(frame: pl.DataFrame) -> Fields:
    """A table as sorted rows: names and whole numbers first, then floats; rows that are times left out."""
    frame = frame.select(sorted(frame.columns))
    for column, times in TIMES.items():
        if column in frame.columns:
            frame = frame.filter(~pl.col(column).is_in(times))
    floats = [c for c in frame.columns if frame[c].dtype.is_float()]
    rest = [c for c in frame.columns if c not in floats]
    near = [pl.col(c).round_sig_figs(4) for c in floats]
    frame = frame.sort([*rest, *near, *floats], nulls_last=True, maintain_order=True)
    fields: Fields = {"rows": frame.height}
    for column in rest:
        fields[f"{_TABLE}{column}"] = _runs(frame[column].to_list())
    for column in floats:
        values = frame[column].to_list()
        exact = hashed(json.dumps(values).encode())
        fields[f"{_TABLE}{column}"] = {
            "hash": exact,
            "numbers": [None if v is None else float(f"{v:.7g}") for v in values],
        }
    return fields


def _runs(values: list[Any]) -> list[Any]:
    """A column of names, short: [value, how often in a row]."""
    short: list[Any] = []
    for value in values:
        if short and short[-1][0] == value:
            short[-1][1] += 1
        else:
            short.append([value, 1])
    return short


def _language_model(folder: str) -> None:
    """A tiny model, a text and a store of its activations in a folder."""
    saved, texts, place = _at("tiny language model", "saved"), _at("tiny language model", "texts"), Path(folder)
    saved("gpt2", place / "model")
    documents = texts(*[60] * 60)
    (place / "text.txt").write_text("\n\n".join(document.text for document in documents))
    of = _at("store", "StoreConfig")(("resid_post.1", "hook_z.1"), 3000, 32, shard=16)
    model = _at("model", "load_model")(place / "model")
    _at("store", "write_store")(place / "store", model, documents, of)


def experiment(name: str, golden: Fields | None = None) -> Fields:
    """The table (as the golden has it) and the text of a run at toy size, its settings and the names of its files."""
    with tempfile.TemporaryDirectory() as folder:
        if name in ("gpt2", "transfer"):
            _language_model(folder)
        out = [] if name in JSON_ROWS else ["--out", "runs"]
        words = [*COMMANDS[name], *FLAGS[name].split(), *out]
        ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=_environment(), check=False)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(words)} ends with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        if name in JSON_ROWS:
            return _timed(json.loads(ended.stdout))
        fields: Fields = {"text": scrubbed(ended.stdout).splitlines()}
        (table,) = Path(folder, "runs").rglob("metrics.parquet")
        frame = pl.read_parquet(table)
        fields |= rows_of(frame if golden is None else as_kept(frame, name, golden))
        paths = sorted(path for path in table.parent.rglob("*") if path.is_file())
        fields["files"] = {str(path.relative_to(table.parent)): True for path in paths}
        fields["config"] = _plain(json.loads((table.parent / "config.json").read_text()))
        return fields


def _environment() -> dict[str, str]:
    """One thread, a plain terminal of 80 columns, the packages of this folder."""
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    return {**os.environ, **own}


def _timed(rows: list[dict[str, Any]]) -> Fields:
    fields: Fields = {"rows": len(rows)}
    for i, row in enumerate(rows):
        fields[f"row {i}: names"] = sorted(row)
        fields |= {f"row {i}: {k}": v for k, v in row.items() if isinstance(v, str) or k in ("d", "m", "k", "stack")}
    return fields


def _plain(value: Any) -> Any:
    """JSON without this checkout's paths and a run's name."""
    return json.loads(_RUN.sub("RUN", json.dumps(value, sort_keys=True).replace(str(ROOT), "ROOT")))


def _sae_folder(place: Path) -> None:
    W.create("topk", 8, 12, k=2, seed=3).save(place)


def _jump_folder(place: Path) -> None:
    W.create("jumprelu", 8, 12, seed=3).save(place)


def _own_form_folder(place: Path) -> None:
    W.create("polysae", 8, 12, k=2, seed=3).save(place)


def _trained_folder(place: Path) -> None:
    world = S.SparseMixture(n_true=8, d=8)
    sae = W.create("matryoshka", 8, 16, k=2, seed=3)
    W.train(sae, world, W.TrainConfig(steps=3, batch=32, lr=1e-4), seed=1)
    sae.metadata["model_name"] = "golden"
    sae.save(place)


def _stack_folder(place: Path) -> None:
    W.create("batch_topk", 8, 12, k=[1, 2], seed=[3, 4]).save(place)


def _world_folder(place: Path) -> None:
    S.save_world(S.UnitNorm(S.SparseMixture(n_true=12, d=8, noise=S.Isotropic(snr_db=10.0), bias_norm=0.3)), place)


def _store_folder(place: Path) -> None:
    model, texts = _at("tiny language model", "language_model")("gpt2"), _at("tiny language model", "texts")
    of = _at("store", "StoreConfig")(("resid_post.1", "hook_z.1"), 96, 16, shard=3)
    _at("store", "write_store")(place, model, texts(*[20] * 8), of)


def _checkpoint(place: Path) -> None:
    world = S.SparseMixture(n_true=8, d=8)
    sae = W.create("topk", 8, 12, k=2, seed=[0, 1])
    W.train(sae, world, W.TrainConfig(steps=3, batch=32, lr=1e-4), seed=1, checkpoint=place / "state.safetensors")


def _run_folder(place: Path) -> None:
    run = _at("run", "Run").start(place, "golden", {"seeds": 2, "train": {"lr": 1e-3}, "world": "toy", "names": ["a"]})
    run.append({"id": "a", "result": {"mcc": [0.25, 0.5]}})
    run.write_table([{"variant": "topk", "seed": 0, "value": 0.25}, {"variant": "relu", "seed": 1, "value": 0.5}])


FOLDERS: dict[str, Callable[[Path], None]] = {
    "sae": _sae_folder,
    "sae jumprelu": _jump_folder,
    "sae polysae": _own_form_folder,
    "sae trained": _trained_folder,
    "stack": _stack_folder,
    "world": _world_folder,
    "store": _store_folder,
    "checkpoint": _checkpoint,
    "run": _run_folder,
}
DATED = ("env.json",)
"""files of dates, versions and commits: their keys are compared"""


def folder(name: str) -> Fields:
    """The files of a saved folder: hash of each, and what is in it."""
    fields: Fields = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary, "saved")
        FOLDERS[name](place)
        paths = sorted((_RUN.sub("RUN", str(p.relative_to(place))), p) for p in place.rglob("*") if p.is_file())
        fields["files"] = [short for short, _ in paths]
        for short, path in paths:
            if path.name in DATED:
                fields[f"{short}: names"] = sorted(json.loads(path.read_text()))
                continue
            fields |= _file_fields(short, path)
    return fields


def _file_fields(short: str, path: Path) -> Fields:
    content = path.read_bytes()
    fields: Fields = {}
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as stored:
            tensors = {key: stored.get_tensor(key) for key in sorted(stored.keys())}
            about = dict(sorted((stored.metadata() or {}).items()))
        texts = {key: bytes(tensors.pop(key).tolist()).decode() for key in _TEXTS if key in tensors}
        fields |= {f"{short}: {key}": described(tensor) for key, tensor in tensors.items()}
        if texts:  # they say how long a training took
            sums = {name: value for name, value in json.loads(about["checksums"]).items() if name not in _TEXTS}
            about |= {"checksums": json.dumps(sums)} | texts
            return fields | {f"{short}: about {key}": _told(value) for key, value in about.items()}
        fields |= {f"{short}: about {key}": _told(value) for key, value in about.items()}
        content = _canonical(content)
    elif path.suffix == ".json":
        fields[f"{short}: content"] = _told(content.decode())
    elif path.suffix == ".parquet":
        fields |= {f"{short}: {key}": value for key, value in rows_of(pl.read_parquet(path)).items()}
    return fields | {f"{short}: bytes": {"hash": hashed(content)}}


def _canonical(content: bytes) -> bytes:
    """The bytes of a safetensors file with its header in order: the format's writer leaves that to chance."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.dumps(json.loads(content[8:end]), sort_keys=True).encode() + content[end:]


_TEXTS = ("about", "progress")
"""entries of a checkpoint that are JSON in bytes"""
_SECONDS = re.compile(r'"seconds": [\d.e+-]+')
_HEX = re.compile(r"\b[0-9a-f]{16,}\b")


def _told(text: str) -> str:
    return _SECONDS.sub('"seconds": TIME', _RUN.sub("RUN", text.replace(str(ROOT), "ROOT")))


KINDS: dict[str, tuple[Callable[[], Iterable[str]], Callable[[str], Fields]]] = {
    "variants": (variant_names, variant),
    "worlds": (lambda: WORLDS, world),
    "claims": (lambda: _claims(), claim),
    "experiments": (lambda: FLAGS, experiment),
    "folders": (lambda: FOLDERS, folder),
}

# files and comparison -------------------------------------------------------------------------------------------------


@cache
def fingerprint() -> str:
    """A hash of all that bits depend on beside the code: processor, libraries, threads."""
    processor = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = "|".join(sorted({line for line in lines if line.startswith(("model name", "model\t", "flags"))}))
    versions = [f"{name} {_version(name)}" for name in ("torch", "numpy", "scipy", "hypothesis", "polars", "sympy")]
    versions += [f"{name} {_version(name)}" for name in ("z3-solver", "python-flint", "transformers", "safetensors")]
    about = [processor or platform.processor(), platform.machine(), platform.python_version(), *versions]
    about += [torch.backends.cpu.get_cpu_capability(), f"{torch.get_num_threads()} threads"]
    about += [f"{name}={os.environ.get(name, '')}" for name in ("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")]
    return hashed("\n".join(about).encode())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def path_of(kind: str, item: str) -> Path:
    """Where an item is kept; the claims of one chapter share a file."""
    stem = item.rsplit("-", 1)[0] if kind == "claims" else re.sub(r"[^\w.]+", "_", item)
    return DATA / kind / f"{stem}.json"


@cache
def _kept(path: Path) -> Fields:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(kind: str, items: Mapping[str, Fields]) -> None:
    """Write items to their files, a line a field."""
    files: dict[Path, dict[str, Fields]] = {}
    for item, fields in items.items():
        path = path_of(kind, item)
        files.setdefault(path, dict(_kept(path).get("items", {})))[item] = fields
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = [f'{{"machine": {json.dumps(fingerprint())}, "items": {{']
        for i, (item, fields) in enumerate(content.items()):
            lines = [f"  {_json(name)}: {_json(value)}" for name, value in fields.items()]
            text.append(f" {_json(item)}: {{\n" + ",\n".join(lines) + "\n }" + ("," if i + 1 < len(content) else ""))
        path.write_text("\n".join([*text, "}}", ""]), encoding="utf-8")
        _kept.cache_clear()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def compare(kind: str, item: str, now: Fields | None = None) -> list[str]:
    """Differences of an item from its golden, one a line."""
    stored = _kept(path_of(kind, item))
    if item not in stored.get("items", {}):
        return [f"{kind}/{item}: no golden; write one"]
    golden, same = stored["items"][item], stored["machine"] == fingerprint()
    if now is None and kind == "experiments":  # rows are sorted by the columns that the golden has
        now = experiment(item, golden)
    found: Fields = json.loads(_json(KINDS[kind][1](item) if now is None else now))
    wrong = []
    for name, value in golden.items():
        where = f"{kind}/{item}: {name}"
        if not same and re.search(HERE_ALONE, where):
            continue
        if name not in found:
            wrong.append(f"{where}: is gone")
        else:
            wrong += [f"{where}: {said}" for said in _differences(value, found[name], same, _allowed(where))]
    return wrong


WORDS = ("text", "files", "config")
"""fields of an experiment that hold no result"""


def reword(item: str) -> list[str]:
    """Keep today's words of an experiment in place of the old, unless its table differs: then say how."""
    golden = _kept(path_of("experiments", item))["items"][item]
    now: Fields = json.loads(_json(experiment(item, golden)))
    wrong = compare("experiments", item, {**now, **{name: golden[name] for name in WORDS}})
    if not wrong:
        keep("experiments", {item: {name: now[name] if name in WORDS else value for name, value in golden.items()}})
    return wrong


def _allowed(where: str) -> float:
    return max((allowed for pattern, (allowed, _) in LOOSE.items() if re.search(pattern, where)), default=TOLERANCE)


def _differences(golden: Any, now: Any, same: bool, tolerance: float) -> Iterator[str]:
    """How a value differs, by the rule of this machine or of any."""
    if golden == now:
        return
    if isinstance(golden, dict) and "hash" in golden:
        yield from _array_differences(golden, now, same, tolerance)
    elif isinstance(golden, dict) and isinstance(now, dict):
        for key in golden:
            for said in _differences(golden[key], now.get(key), same, tolerance):
                yield f"[{key}] {said}"
    elif _texts(golden) and _texts(now) and len(golden) != len(now):
        yield "\n    ".join(["lines differ:", *difflib.unified_diff(golden, now, lineterm="", n=0)][:40])
    elif isinstance(golden, list) and isinstance(now, list) and len(golden) == len(now):
        for i, (old, new) in enumerate(zip(golden, now, strict=True)):
            for said in _differences(old, new, same, tolerance):
                yield f"[{i}] {said}"
    elif isinstance(golden, str) and isinstance(now, str) and not same:
        if not _alike(golden, now, tolerance):
            yield _shown(golden, now)
    elif _number(golden) and _number(now) and _near(golden, now, max(abs(golden), 1.0), same, tolerance):
        return
    else:
        yield _shown(golden, now)


def _shown(golden: Any, now: Any) -> str:
    return f"was {_json(golden)[:300]}, is {_json(now)[:300]}"


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near(old: float | None, new: float | None, size: float, same: bool, tolerance: float) -> bool:
    """Whether two numbers are equal for the purpose; NaN equals NaN."""
    if old is None or new is None:
        return old is new or (not same and math.isinf(tolerance))
    if old == new or (math.isnan(old) and math.isnan(new)):
        return True
    return not same and (math.isinf(tolerance) or abs(old - new) <= tolerance * size)


def _array_differences(golden: Fields, now: Any, same: bool, tolerance: float) -> Iterator[str]:
    if not isinstance(now, dict):
        yield _shown(golden, now)
        return
    for name in ("shape", "dtype"):
        if golden.get(name) != now.get(name):
            yield f"{name} was {golden.get(name)}, is {now.get(name)}"
            return
    old, new = (v.get("entries", v.get("numbers", [])) for v in (golden, now))
    if same and golden["hash"] == now["hash"]:
        return
    if len(old) != len(new):
        yield f"had {len(old)} numbers, has {len(new)}"
        return
    finite = [abs(v) for v in old if v is not None and math.isfinite(v)]
    size = max(golden.get("largest", max(finite, default=0.0)), LEAST)
    whole = "int" in golden.get("dtype", "") or golden.get("dtype") == "bool"
    count = math.prod(golden.get("shape", [1]))
    pairs: list[tuple[Any, Any, float]] = [(a, b, size) for a, b in zip(old, new, strict=True)]
    for name, more in (("sum", count), ("norm", math.sqrt(count)), ("largest", 1.0)):
        if name in golden:
            pairs.append((golden[name], now[name], size * more))
    bad = [(a, b) for a, b, scale in pairs if not _near(a, b, scale, same or whole, tolerance)]
    if bad or same:
        known = [(abs(a - b), a, b) for a, b in bad if a is not None and b is not None and math.isfinite(a - b)]
        gap, a, b = max(known, default=(math.nan, *(bad[0] if bad else (math.nan, math.nan))))
        relative = gap / size if size else math.nan
        what = f"{len(bad)} of {len(pairs)} kept numbers differ, most {a!r} -> {b!r} ({relative:.2g} of the largest)"
        yield what if bad else "bits differ, though none of the kept numbers does"


_FRAME = re.compile(r"[─-╿]+")
_FIGURE = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def _alike(golden: str, now: str, tolerance: float) -> bool:
    """Whether two texts have the same words, and numbers that differ by no more than one in the last digit."""
    golden, now = (_FRAME.sub("|", _HEX.sub("HASH", text)) for text in (golden, now))
    if _FIGURE.sub("#", golden) != _FIGURE.sub("#", now):
        return False
    for old, new in zip(_FIGURE.findall(golden), _FIGURE.findall(now), strict=True):
        a, b = (float(v.replace(",", "").replace("−", "-")) for v in (old, new))
        mantissa, _, power = old.partition("e")
        last = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
        integral = "." not in mantissa and not power
        if a != b and tolerance < math.inf and (integral or abs(a - b) > 1.01 * last + tolerance * abs(a)):
            return False
    return True


# command line ---------------------------------------------------------------------------------------------------------


def chosen(kinds: Iterable[str], only: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Kinds and items asked for: what there is now, and what was kept."""
    for kind in kinds or KINDS:
        kept = [item for path in sorted((DATA / kind).glob("*.json")) for item in _kept(path)["items"]]
        for item in dict.fromkeys([*KINDS[kind][0](), *kept]):
            if not only or item in only:
                yield kind, item


def main(words: list[str] | None = None) -> int:
    """Write or check; 1 where something differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("do", choices=("write", "check", "reword"))
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--only", nargs="+", default=[], metavar="ITEM")
    parser.add_argument("--elsewhere", action="store_true", help="compare as if another machine had written")
    given = parser.parse_args(words)
    if given.do == "reword":
        given.kinds, given.only = ["experiments"], given.kinds
    for kind in given.kinds:
        if kind not in KINDS:
            parser.error(f"KIND must be one of {', '.join(KINDS)}; got {kind!r}")
    torch.set_num_threads(1)
    if given.elsewhere:
        globals()["fingerprint"] = lambda: "elsewhere"
    wrong, count = [], 0
    pairs = list(chosen(given.kinds, given.only))
    for kind, item in pairs:
        count += 1
        try:
            if given.do == "write":
                keep(kind, {item: json.loads(_json(KINDS[kind][1](item)))})
            else:
                said = reword(item) if given.do == "reword" else compare(kind, item)
                wrong += said
                print("\n".join(said), end="\n" if said else "", flush=True)
        except Exception as error:
            wrong.append(f"{kind}/{item}: {type(error).__name__}: {error}")
            print(wrong[-1], flush=True)
    where = {_kept(path_of(*pair)).get("machine") == fingerprint() for pair in pairs}
    rule = "bits" if where == {True} else f"within {TOLERANCE:g}, another machine wrote them"
    print(f"{count} items written" if given.do == "write" else f"{count} items, {len(wrong)} differences ({rule})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
