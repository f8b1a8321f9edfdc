"""`python -m workbench list | check | train | eval | identify`."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import json
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from rich.text import Text

from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must, must_be_whole, pick
from synthetic.base.flags import read_flags
from workbench.training.config import Diverged, TrainConfig

_SEEDS = 2**63 - 1
_THREADS = 256


@dataclass(frozen=True)
class List:
    """Show the shelves: variants and their settings, recipes, worlds, metrics."""

    json: bool = False
    """print one JSON object"""


@dataclass(frozen=True)
class Check:
    """Test a variant's file against the contract, law by law; exit 1 if one fails."""

    file: tyro.conf.Positional[Path]
    """Python file that registers a variant, or the name of one on the shelf"""


@dataclass(frozen=True)
class Train:
    """Train one SAE on a world and save it as a SAELens folder; the same command again continues a stopped run."""

    variant: tyro.conf.Positional[str]
    """name on the shelf"""
    out: tyro.conf.Positional[Path]
    """folder to write, without an SAE in it"""
    world: str = "superposition"
    """preset name, folder of a saved world, or folder of an activation store, with :hook where it has several"""
    m: int = 128
    """latents"""
    set: tuple[str, ...] = ()
    """settings of the variant, such as k=4 l1=2.0"""
    seed: int = 0
    """of weights and data"""
    plugin: Path | None = None
    """a Python file that registers the variant"""
    threads: int = 1
    """torch threads; more pay for wide SAEs on an idle machine, and change the last bits of results"""
    config: TrainConfig = field(default_factory=TrainConfig)
    """training"""

    def __post_init__(self) -> None:
        must(self.out != Path(), "out", "a folder of its own", "the current one", "name one to be made")
        must_be_whole("--m", self.m, 1)
        must_be_whole("--seed", self.seed, 0, _SEEDS)
        must_be_whole("--threads", self.threads, 1, _THREADS)


@dataclass(frozen=True)
class Eval:
    """Print every metric of a saved SAE on a world, beside chance."""

    sae: tyro.conf.Positional[Path]
    """folder written by `train`, `SAE.save` or SAELens"""
    world: str = "superposition"
    """preset name, or the folder of a saved world"""
    n: int = 100_000
    """samples"""
    seed: int = 1
    """of the evaluation stream"""
    json: bool = False
    """print one JSON object"""
    plugin: Path | None = None
    """a Python file that registers the variant"""

    def __post_init__(self) -> None:
        must_be_whole("--n", self.n, 1)
        must_be_whole("--seed", self.seed, 0, _SEEDS)


@dataclass(frozen=True)
class Identify:
    """Say what activations know of the concepts of a model given as JSON; refuses what its tables cannot say."""

    file: tyro.conf.Positional[Path]
    """JSON with sizes, prior, contexts, tokens, as in docs/concepts.json; see `workbench.topics.concepts.model_file`"""
    json: bool = False
    """print one JSON object"""


def _list(command: List, console: Console) -> int:
    from synthetic.worlds.presets import PRESETS
    from workbench.metrics import METRICS
    from workbench.training.recipes import RECIPES
    from workbench.variants import variant_shelf

    shelf = {name: cls.__dataclass_fields__ for name, cls in ((n, c.Settings) for n, c in variant_shelf().items())}
    shelves = {
        "variants": {
            name: {"core": variant_shelf()[name].core, "settings": {k: f.default for k, f in fields.items()}}
            for name, fields in shelf.items()
        },
        "recipes": {name: f"{made.variant}: {made.note}" for name, made in RECIPES.items()},
        "worlds": {name: _first_line(make) for name, make in PRESETS.items()},
        "metrics": {name: kind.definition.splitlines()[0] for kind in METRICS for name in kind.names},
    }
    if command.json:
        print(json_text(shelves))
        return 0
    table = Table("variant", "settings and defaults", "", title="variants")
    for name, about in shelves["variants"].items():
        said = ", ".join(f"{k} = {v}" for k, v in about["settings"].items())
        table.add_row(name, said, "core" if about["core"] else "")
    console.print(table)
    for kind in ("recipe", "world"):
        table = Table(kind, "", title=f"{kind}s")
        for name, said in shelves[f"{kind}s"].items():
            table.add_row(name, said)
        console.print(table)
    table = Table("metric", "definition", title="metrics", show_lines=True)
    for kind in METRICS:
        table.add_row("\n".join(kind.names), " ".join(kind.definition.split()))
    console.print(table)
    return 0


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def _check(command: Check, console: Console) -> int:
    from workbench.check import check_variant
    from workbench.plugins import load_plugin
    from workbench.variants import variant_shelf

    name = str(command.file)
    names = [name] if name in variant_shelf() else load_plugin(command.file)
    failures = 0
    for name in names:
        console.print(name, style="bold")
        for outcome in check_variant(variant_shelf()[name]):
            mark = ("ok  ", "green") if outcome.passed else ("FAIL", "red")
            console.print(Text.assemble("  ", mark, f" {outcome.law}"))
            if outcome.said:
                console.print(f"       {outcome.said}", style="dim", highlight=False)
            failures += not outcome.passed
    return 1 if failures else 0


def _train(command: Train, console: Console) -> int:
    import torch

    from synthetic.base.lock import locked
    from workbench.interop.forms import must_take_ours
    from workbench.lm.sources import find_source
    from workbench.variants import create

    torch.set_num_threads(command.threads)
    settings = _settings(command.variant, command.set)
    _must_be_free(command.out)
    must_take_ours(command.out)
    world = find_source(command.world)
    sae = create(command.variant, world.d, command.m, seed=command.seed, **settings)
    with locked(command.out, f"training {command.variant}"):
        return _trained(command, sae, world, console)


def _trained(command: Train, sae: Any, world: Any, console: Console) -> int:
    """Train, save, drop the checkpoint: wherever this was stopped before, it goes on."""
    from synthetic.base.progress import counted
    from synthetic.base.storage import finish
    from workbench.training.loop import train

    finish(command.out)
    _must_be_free(command.out, command.config.steps)
    config, checkpoint = command.config, command.out / _CHECKPOINT
    config = replace(config, checkpoint_every=config.checkpoint_every or max(1, config.steps // 10))
    with counted("training", "steps") as count:
        train(
            sae,
            world,
            config,
            seed=command.seed,
            checkpoint=checkpoint,
            resume=True,
            on_step=lambda progress: count(progress.step, progress.steps),
        )
    if any((command.out / name).exists() for name in _SAVED):
        with tempfile.TemporaryDirectory() as beside:  # saved before, and stopped before the checkpoint was dropped?
            again = sae.save(Path(beside) / "sae")
            same = [_bytes(again / name) == _bytes(command.out / name) for name in _SAVED]
        must(all(same), "out", "a folder without an SAE", f"{command.out}, with another one", "choose another name")
    else:
        sae.save(command.out)
    console.print(f"saved {command.out}", markup=False, highlight=False, soft_wrap=True)
    checkpoint.unlink()
    return 0


_CHECKPOINT, _SAVED = "checkpoint.safetensors", ("workbench.json", "stack.json", "cfg.json")


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _must_be_free(out: Path, steps: int | None = None) -> None:
    """Refuse a folder with an SAE, unless a finished run's checkpoint is there too: it may be this SAE's."""
    taken, checkpoint = any((out / name).exists() for name in _SAVED), out / _CHECKPOINT
    if taken and steps is not None:
        from workbench.training.checkpoint import finished

        free = finished(checkpoint, steps)
    else:
        free = not taken or checkpoint.exists()
    must(free, "out", "a folder without an SAE", out, "choose another name")


def _settings(variant: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a variant, from name=value."""
    from workbench.variants import variant_shelf

    shelf = variant_shelf()
    known = shelf[pick(variant, shelf, "variant")].Settings.__dataclass_fields__
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        must(equals, "--set", "name=value", repr(text), "write --set k=4")
        pick(name, known, f"--set: setting of {variant}")
        must(name not in values, f"--set {name}", "given once", "two values", "drop one")
        values[name] = _value(name, value)
    return values


def _value(name: str, text: str) -> Any:
    from synthetic.base.schema import shown

    value, good = None, False
    try:
        value = json.loads(text)
        good = "[]" not in json.dumps(value, allow_nan=False)
    except json.JSONDecodeError:
        return text
    except (RecursionError, ValueError):
        pass
    must(good, f"--set {name}", "a finite number, a word or a list of these", shown(text), "write --set k=4")
    return value


def _eval(command: Eval, console: Console) -> int:
    from synthetic.folder import find_world
    from workbench.interop import load
    from workbench.metrics import evaluate
    from workbench.settings import plain

    scores = evaluate(load(command.sae), find_world(command.world), command.n, command.seed)
    shown = {name: plain(value) for name, value in scores.items()}
    if command.json:
        print(json_text(shown))
        return 0
    table = Table("metric", "value", "chance")
    for name, value in shown.items():
        if not name.endswith(("_null", "_null_sd")):
            chance = shown.get(f"{name}_null")
            table.add_row(name, _text(value), "" if chance is None else _text(chance))
    console.print(table)
    return 0


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else f"{value:.4f}"


def _identify(command: Identify, console: Console) -> int:
    from workbench.topics.concepts.model_file import identify

    return identify(command.file, console, as_json=command.json)


_Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Identify, tyro.conf.subcommand("identify")]
)


def main() -> int:
    """Run one command; bad input ends with one line and exit code 2."""
    prog = "workbench" if Path(sys.argv[0]).stem == "workbench" else "python -m workbench"
    command = read_flags(_Command, prog=prog, description=__doc__)
    doers: dict[type, Any] = {List: _list, Check: _check, Train: _train, Eval: _eval, Identify: _identify}

    def body() -> int:
        plugin: Path | None = getattr(command, "plugin", None)
        if plugin is not None:
            from workbench.plugins import load_plugin

            load_plugin(plugin)
        return doers[type(command)](command, Console())

    def stopped() -> str:
        kept = isinstance(command, Train) and (command.out / _CHECKPOINT).exists()
        return f"stopped{'; the same command goes on from the last checkpoint' if kept else ''}"

    sizes = "--m, --config.batch, --n or the world's sizes"
    return guarded(body, also=(Diverged,), stopped=stopped, sizes=sizes)


if __name__ == "__main__":
    sys.exit(main())
