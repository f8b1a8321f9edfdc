"""Does the ranking of SAE variants on toy worlds predict their ranking on a language model?

Each variant is trained on worlds of known truth and on a model's activations, for as many steps, with as many latents a
dimension, and brought to one L0 a place; top-AFA, whose L0 is its own affair, is left out. Orders are compared by
Kendall's tau, beside chance. Run `python -m experiments transfer`; results go to `runs/transfer/...`; `--resume FOLDER`
goes on; `--store FOLDER` takes activations that `python -m experiments gpt2` has kept; `--help` lists the flags.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from experiments.transfer.calibration import calibrated, mean_l0, nearest
from experiments.transfer.comparison import TOY, on_model, with_comparisons
from experiments.transfer.figures import Orders, figures, printed
from experiments.transfer.settings import KNOBS, MODEL, Transfer, toy_world
from proofs_check.auditor.targets import members_of
from synthetic.base.progress import counted
from synthetic.base.streams import stream
from workbench import SAE, TrainConfig, create, evaluate, train, variant_shelf
from workbench.lm.activations import Activations
from workbench.lm.packaged import model_and_text, model_named
from workbench.lm.scores import losses
from workbench.lm.store import StoreConfig, open_store, write_store
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, setting_text

L0_SAMPLES = 4096
"""behind the L0 of a calibration"""
DEARER = 50
"""times that a sample of the model takes, in those of a toy world"""


@dataclass(frozen=True, kw_only=True)
class Stack(Unit):
    """A variant at a place, a member a seed, brought to the L0 wanted there; without a variant the losses of all."""

    settings: Transfer
    place: str
    variant: str = ""

    @property
    def label(self) -> str:
        """Place and variant."""
        return f"{self.place}/{self.variant or 'losses'}"

    @property
    def size(self) -> int:
        """Samples that its members see, those of the model counted as what they cost."""
        return self.training.steps * self.each if self.variant else 1

    @property
    def alone(self) -> bool:
        """Losses come last, in the process that holds the model."""
        return not self.variant

    @property
    def training(self) -> TrainConfig:
        """That of the study, which may be longer or shorter on toy worlds."""
        train = self.settings.train
        steps = (self.settings.toy_steps if self.place != MODEL else 0) or train.steps
        return replace(train, steps=steps, checkpoint_every=train.checkpoint_every or max(1, steps // 4))

    @property
    def each(self) -> int:
        """The size of a step."""
        return self.settings.train.batch * len(self.seeds) * (DEARER if self.place == MODEL else 1)

    def source(self, run: Path) -> Any:
        """What it is trained on."""
        return rows_of(self.settings, run, "train") if self.place == MODEL else toy_world(self.place)

    def target(self, source: Any) -> float:
        """The L0 wanted: on a world that of the most frequent features, as many as there are latents."""
        if self.place == MODEL:
            return float(self.settings.k)
        rates = source.truth.rates.sort(descending=True).values[: self.settings.expansion * source.d]
        return float(max(1, round(float(rates.sum()))))

    def columns(self, source: Any) -> Row:
        """What all its rows say."""
        n_true = None if self.place == MODEL else source.truth.n_true
        about = {"place": self.place, "arm": self.variant, "world": self.place, "n_true": n_true, "d": source.d}
        about |= {"m": self.settings.expansion * source.d, "k": self.target(source)}
        return about | {"lr": self.settings.train.lr, "step": self.training.steps}


def stacks(settings: Transfer, place: str) -> Iterator[Stack]:
    """Every variant at a place."""
    seeds = tuple(range(settings.seeds if place == MODEL else settings.toy_seeds))
    for variant in dict.fromkeys(settings.variants):
        yield Stack(settings=settings, seeds=seeds, place=place, variant=variant)


def plan(settings: Transfer) -> Iterator[Stack]:
    """Every variant at every place, then the losses of the model."""
    for place in (MODEL, *settings.worlds):
        yield from stacks(settings, place)
    yield Stack(settings=settings, place=MODEL)


def rows_of(settings: Transfer, run: Path, part: Literal["train", "test"]) -> Activations:
    """Activations to train on, or those of the documents held out."""
    share = (0.0, 1 - settings.held_out) if part == "train" else (1 - settings.held_out, 1.0)
    return Activations(open_store(settings.store or run / "store"), settings.hook, share, skip=2)


def keep_activations(settings: Transfer, folder: Path) -> None:
    """Write the store, or what of it a stop has left out, where none is named."""
    if settings.store is None:
        lm, texts = model_and_text(settings.model, settings.text, settings.data)
        with counted("activations", "shards") as count:
            config = StoreConfig((settings.hook,), settings.tokens)
            write_store(folder / "store", lm, texts, config, text=settings.text, on_shard=count)


def work(unit: Stack, report: Report) -> Iterator[Row]:
    """Train and score a stack, or measure the losses of the model."""
    return trained(unit, report) if unit.variant else judged(unit, report)


def trained(unit: Stack, report: Report) -> Iterator[Row]:
    """Bring a variant to the L0 wanted, train and score a stack of seeds."""
    settings, source = unit.settings, unit.source(report.folder)
    about, target = unit.columns(source), unit.target(source)
    knob, first, _ = KNOBS.get(unit.variant, ("k", target, {}))
    place = report.folder / "checkpoints" / unit.label.replace("/", "-")
    tried, value = [], target
    if knob != "k":  # training samples: the held-out ones are for judging
        report(0, "calibrating")
        x = source.sample(L0_SAMPLES, stream(0, "calibrate")).x
        l0_at = partial(_l0_at, unit, source, x)
        tried = calibrated(l0_at, target, first, trials=settings.trials, path=place.with_suffix(".json"))
        value, _ = nearest(tried, target)
    how = {"checkpoint": place.with_suffix(".safetensors"), "on_step": lambda now: report(now.step * unit.each)}
    sae = trained_with(unit, source, value, list(unit.seeds), **how)
    scores = scores_of(unit, sae, source, report.folder) | {"setting": [value] * len(unit.seeds)}
    for metric, values in scores.items():
        for seed, number in zip(unit.seeds, values, strict=True):
            yield about | {"metric": metric, "seed": seed, "value": float(number)}
    for value, l0 in tried:
        yield about | {"metric": "l0_tried", "setting": f"{knob}={setting_text(value)}", "value": l0}
    for ending in (".safetensors", ".json"):
        place.with_suffix(ending).unlink(missing_ok=True)


def _l0_at(unit: Stack, source: Any, x: Tensor, value: float) -> float:
    return mean_l0(trained_with(unit, source, value, 0), x)


def trained_with(unit: Stack, source: Any, value: float, seeds: int | list[int], **how: Any) -> SAE:
    """SAEs with a value of the variant's knob."""
    config, (knob, _, choice) = unit.training, KNOBS.get(unit.variant, ("k", 0.0, {}))
    if "every" in variant_shelf()[unit.variant].settings:
        choice = {"start": config.steps // 4, "every": max(1, config.steps // 20)}
    kind = type(variant_shelf()[unit.variant].defaults[knob])
    m = unit.settings.expansion * source.d
    sae = create(unit.variant, source.d, m, seed=seeds, **choice, **{knob: kind(value)})
    train(sae, source, config, resume=True, **how)
    return sae


def scores_of(unit: Stack, sae: SAE, source: Any, run: Path) -> dict[str, Any]:
    """Scores of a stack by metric, a number a seed; SAEs of the model are kept."""
    if unit.place != MODEL:
        scores = evaluate(sae, source, unit.settings.samples)
        return {metric: scores[metric] for metric in ("l0", "dead", *TOY)}
    members = members_of(sae.save(run / "saes" / unit.variant))
    return on_model(members, rows_of(unit.settings, run, "test"), unit.settings.samples)


def judged(unit: Stack, report: Report) -> Iterator[Row]:
    """Next-token losses with the activations replaced."""
    settings, test = unit.settings, rows_of(unit.settings, report.folder, "test")
    known = {
        f"{stack.variant} {seed}": (sae, stack.columns(test) | {"seed": seed})
        for stack in stacks(settings, MODEL)
        for seed, sae in zip(stack.seeds, members_of(report.folder / "saes" / stack.variant), strict=True)
    }
    lm = model_named(settings.model_of(test.store), settings.data)
    measured = losses(lm, test, {name: sae for name, (sae, _) in known.items()}, settings.fidelity_tokens)
    for name, (_, about) in known.items():
        for metric, key in (("recovered", "recovered from mean"), ("kl", "kl")):
            yield about | {"metric": metric, "value": measured[name][key]}


STUDY = Study(
    name="transfer",
    question=__doc__,
    settings=Transfer,
    plan=plan,
    work=work,
    derive=with_comparisons,
    begin=keep_activations,
    figures=figures,
    tables=(printed,),
    questions=(Orders(),),
    also=(ImportError,),
    toy=Transfer(
        worlds=("toy", "superposition"), variants=("topk", "abs_topk", "relu", "jumprelu"), model="tiny", text="tiny",
        hook="resid_pre.1", tokens=10_000, k=3, expansion=2, seeds=2, toy_seeds=2, trials=3, samples=400,
        train=TrainConfig(steps=40, batch=64, lr=2e-3), fidelity_tokens=64, draws=200, held_out=0.2,
    ),
)  # fmt: skip
main = STUDY.main
