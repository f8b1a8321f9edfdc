"""`python -m workbench list | check | train | eval | explore | identify`."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro
from rich.table import Table
from rich.text import Text

from synthetic.base.annotations import converted
from synthetic.base.console import Console, json_text
from synthetic.base.errors import guarded, must, must_be_whole, must_be_writable, pick
from synthetic.base.flags import names_of, read_flags
from workbench.training.config import Diverged, TrainConfig, read_config, read_settings

_SEEDS = 2**63 - 1
_THREADS = 256


@dataclass(frozen=True)
class List:
    """Show the shelves: variants and their settings, recipes, worlds, metrics."""

    json: bool = False
    """print one JSON object"""
    plugin: Path | None = None
    """a Python file with variants, objectives, worlds or metrics"""


@dataclass(frozen=True)
class Check:
    """Hold what a file registers (variants, metrics, worlds) against its contract, law by law; exit 1 if one fails."""

    file: tyro.conf.Positional[Path]
    """Python file, or the name of a variant, objective, metric or world on the shelf"""


@dataclass(frozen=True)
class Train:
    """Train one SAE and save it as a SAELens folder; the same command again continues a stopped run.

    With more --train.steps and all else equal it continues a finished one. The result has the bits of an unbroken run
    where the schedule of the steps done stays the same, as with --train.warm-up 0 --train.decay 0
    --train.penalty-warm-up 0; else the further steps have the rates of the longer run, and the command says so.
    """

    variant: tyro.conf.Positional[str]
    """name on the shelf"""
    out: tyro.conf.Positional[Path]
    """folder to write: a new one, or that of this run"""
    world: str = "superposition"
    """a world's name, folder of a saved world, or folder of an activation store, with :hook where it has several"""
    m: int = 128
    """latents"""
    set: tuple[str, ...] = ()
    """settings of the variant, such as k=4 l1=2.0"""
    objective: tuple[str, ...] = ()
    """terms of the loss, such as nested=1/16,1/4,1 auxk=32: in place of the variant's of that name, or beside them"""
    seed: int = 0
    """of weights and data"""
    plugin: Path | None = None
    """a Python file with variants, objectives, worlds or metrics"""
    threads: int = 1
    """torch threads; more pay for wide SAEs on an idle machine, and change the last bits of results"""
    config: Path | None = None
    """defaults: the folder of a run, or of an SAE that `train` wrote, or a JSON file of training settings"""
    train: TrainConfig = field(default_factory=TrainConfig)
    """training; where no flag or --config names it, what `tuned` has rules for is by them"""

    def __post_init__(self) -> None:
        must(self.out != Path(), "out", "a folder of its own", "the current one", "name one to be made")
        must_be_whole("--m", self.m, 1)
        must_be_whole("--seed", self.seed, 0, _SEEDS)
        must_be_whole("--threads", self.threads, 1, _THREADS)


@dataclass(frozen=True)
class Eval:
    """Print every metric of a saved SAE beside chance, those that matter first; on a store those that need no truth."""

    sae: tyro.conf.Positional[Path]
    """folder written by `train`, `SAE.save` or SAELens"""
    world: str = "superposition"
    """a world's name, folder of a saved world, or folder of an activation store, with :hook where it has several"""
    n: int = 100_000
    """samples"""
    seed: int = 1
    """of the evaluation stream"""
    json: bool = False
    """print one JSON object"""
    plugin: Path | None = None
    """a Python file with variants, objectives, worlds or metrics"""

    def __post_init__(self) -> None:
        must_be_whole("--n", self.n, 1)
        must_be_whole("--seed", self.seed, 0, _SEEDS)


@dataclass(frozen=True)
class Explore:
    """Write a page on which to look at what an SAE made of each feature of a world, and why; no network is needed."""

    sae: tyro.conf.Positional[Path]
    """folder written by `train`, `SAE.save` or SAELens, or the folder of a run"""
    world: str | None = None
    """a world's name or the folder of a saved one; that of the run, or of `train`, where none is named"""
    out: Path = Path("explorer.html")
    """the page; an earlier one is replaced"""
    n: int = 50_000
    """samples; rare features ask for more"""
    seed: int = 1
    """of the evaluation stream"""
    true_dictionary: bool = True
    """whether to train the variant's encoder on the true dictionary, which then stands beside the SAE"""
    plugin: Path | None = None
    """a Python file with variants, objectives, worlds or metrics"""

    def __post_init__(self) -> None:
        must_be_writable("--out", self.out)
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
    from synthetic.worlds import worlds
    from workbench.metrics import METRICS
    from workbench.parts.objectives import OBJECTIVES
    from workbench.training.recipes import RECIPES
    from workbench.variants import variant_shelf

    shelves = {
        "variants": {name: {"core": v.core, "settings": v.defaults} for name, v in variant_shelf().items()},
        "objectives": {name: (make.__doc__ or "").splitlines()[0] for name, make in sorted(OBJECTIVES.items())},
        "recipes": {name: f"{made.variant}: {made.note}" for name, made in RECIPES.items()},
        "worlds": worlds().about,
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
    for kind in ("objective", "recipe", "world"):
        table = Table(kind, "", title=f"{kind}s")
        for name, said in shelves[f"{kind}s"].items():
            table.add_row(name, said)
        console.print(table)
    table = Table("metric", "definition", title="metrics", show_lines=True)
    for kind in METRICS:
        table.add_row("\n".join(kind.names), " ".join(kind.definition.split()))
    console.print(table)
    return 0


def _check(command: Check, console: Console) -> int:
    from workbench.plugins import load_plugin, shelves

    name = str(command.file)
    found = {kind: [name] * (name in shelf) for kind, shelf in shelves().items()}
    found = found if any(found.values()) else load_plugin(command.file)
    failures, things = 0, shelves()
    for kind, names in found.items():
        for name in names:
            console.print(f"{kind.removesuffix('s')} {name}", style="bold")
            for outcome in _outcomes(kind, things[kind][name]):
                mark = ("ok  ", "green") if outcome.passed else ("FAIL", "red")
                console.print(Text.assemble("  ", mark, f" {outcome.law}"))
                if outcome.said:
                    console.print(f"       {outcome.said}", style="dim", highlight=False)
                failures += not outcome.passed
    return 1 if failures else 0


def _outcomes(kind: str, thing: Any) -> Any:
    """How each law of its contract fares on what a shelf holds."""
    from workbench.check import check_metric, check_objective, check_variant, check_world

    contracts: dict[str, Any] = {"variants": check_variant, "objectives": check_objective}
    contracts |= {"metrics": check_metric, "worlds": check_world}
    return contracts[kind](thing)


def _train(command: Train, console: Console) -> int:
    import torch

    from synthetic.base.lock import locked
    from workbench.interop.forms import must_take_ours
    from workbench.public import find_source
    from workbench.training.recipes import tuned
    from workbench.variants import create

    torch.set_num_threads(command.threads)
    settings = _settings(command.variant, command.set)
    _must_be_free(command.out)
    must_take_ours(command.out)
    source = find_source(command.world)
    objective = " ".join(command.objective) if command.objective else None
    sae = create(command.variant, source, command.m, seed=command.seed, objective=objective, **settings)
    content = {} if command.config is None else read_settings(command.config)
    named = command.train.named({*names_of(None, "train"), *content.get("train", content)})
    command = replace(command, train=tuned(sae, **{name: getattr(command.train, name) for name in named}))
    with locked(command.out, f"training {command.variant}"):
        return _trained(command, sae, source, console)


def _trained(command: Train, sae: Any, source: Any, console: Console) -> int:
    """Train and save: wherever this was stopped before, it goes on."""
    from synthetic.base.storage import finish, write_text
    from workbench.training.checkpoint import started
    from workbench.training.scored import train

    out, checkpoint = command.out, command.out / _CHECKPOINT
    finish(out)
    _must_be_free(out)
    config = replace(
        command.train, checkpoint_every=command.train.checkpoint_every or max(1, command.train.steps // 10)
    )
    so_far, done = started(checkpoint) or (config, 0)
    if _is_saved(out) and _about(out).get("files") != _sums(out):  # stopped between saving and noting that, or other
        must(done == so_far.steps, "out", _FREE, f"{out}, with another one", _ANOTHER)
        train(sae, source, so_far, seed=command.seed, checkpoint=checkpoint, resume=True)
        must(_equals(sae, out), "out", _FREE, f"{out}, with another one", _ANOTHER)
    train(sae, source, config, seed=command.seed, checkpoint=checkpoint, resume=True)
    if done and config.lengthens(so_far):
        _say(console, _lengthened(config, so_far, done, sae))
    ended = done == config.steps and _is_saved(out)
    if not ended:
        sae.save(out)
    about = {name: value for name, value in asdict(command).items() if name in ("variant", "train", *_KEPT)}
    write_text(out / _ABOUT, json_text(about | {"files": _sums(out)}) + "\n")
    _say(console, f"{out} has done these {done} steps already" if ended else f"saved {out}")
    return 0


_CHECKPOINT, _ABOUT, _SAVED = "checkpoint.safetensors", "train.json", ("workbench.json", "stack.json", "cfg.json")
_KEPT = ("world", "m", "set", "objective", "seed", "threads")
"""settings beside those of training that a folder gives back to `--config`"""
_FREE, _ANOTHER = "a folder without an SAE, or with this run's", "choose another name"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _lengthened(config: TrainConfig, so_far: TrainConfig, done: int, sae: Any) -> str:
    """What becomes of a run that is given more steps."""
    from workbench.parts.objectives import Steered, pace_of

    paced = [
        t for t in sae.loss_terms.values() if isinstance(t, Steered) and t.control is not None and not t.gain.all()
    ]
    unlike = config.unlike(so_far, done, bool(sae.warmed))
    unlike += ["pace of the target"] * bool(paced and pace_of(config.steps) != pace_of(so_far.steps))
    said = f"went on from step {done} of {so_far.steps} to {config.steps}, "
    if not unlike:
        return said + "with the bits of an unbroken run"
    return said + f"by the schedule of the longer run; an unbroken one had other steps so far ({', '.join(unlike)})"


def _is_saved(out: Path) -> bool:
    return any((out / name).exists() for name in _SAVED)


def _must_be_free(out: Path) -> None:
    """Refuse a folder with an SAE, unless a run's checkpoint is there too: it may be this run's."""
    must(not _is_saved(out) or (out / _CHECKPOINT).exists(), "out", _FREE, out, _ANOTHER)


def _sums(out: Path) -> dict[str, str]:
    """Checksums of the files that say which SAE a folder holds; they have those of the others."""
    from synthetic.base.storage import file_sum

    return {name: file_sum(out / name) for name in _SAVED if (out / name).exists()}


def _about(out: Path) -> dict[str, Any]:
    """What a run of `train` wrote of itself."""
    return read_settings(out / _ABOUT) if (out / _ABOUT).exists() else {}


def _equals(sae: Any, out: Path) -> bool:
    """Whether a folder holds this SAE."""
    with tempfile.TemporaryDirectory() as beside:
        return _sums(sae.save(Path(beside) / "sae")) == _sums(out)


def _settings(variant: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a variant, from name=value."""
    from workbench.variants import variant_shelf

    shelf = variant_shelf()
    known = shelf[pick(variant, shelf, "variant")].settings
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
    from workbench.interop import load
    from workbench.metrics import evaluate
    from workbench.public import find_source
    from workbench.settings import plain

    scores = evaluate(load(command.sae), find_source(command.world), command.n, command.seed)
    shown = {name: plain(value) for name, value in scores.items()}
    if command.json:
        print(json_text(shown))
        return 0
    table = Table("metric", "value", "chance")
    for name in scores.metrics:
        chance = shown.get(f"{name}_null")
        table.add_row(name, _text(shown[name]), "" if chance is None else _text(chance))
    console.print(table)
    return 0


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else f"{value:.4f}"


def _explore(command: Explore, console: Console) -> int:
    from workbench.study.explorer.folders import explore

    page = explore(command.sae, command.world, command.n, command.seed, command.true_dictionary).save(command.out)
    _say(console, f"wrote {page}, {page.stat().st_size / 1e6:.2f} MB")
    return 0


def _identify(command: Identify, console: Console) -> int:
    from workbench.topics.concepts.model_file import identify

    return identify(command.file, console, as_json=command.json)


def _commands(words: list[str]) -> Any:
    """The subcommands; `--config` among the words gives those of `train` other defaults."""
    pairs = [word.partition("=")[::2] for word in words]
    named = [value or "".join(words[i + 1 : i + 2]) for i, (flag, value) in enumerate(pairs) if flag == "--config"]
    default = _defaults(Path(named[-1])) if named and words[0] == "train" else None
    train = tyro.conf.subcommand("train", default=default) if default else tyro.conf.subcommand("train")
    return (
        Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Train, train]
        | Annotated[Eval, tyro.conf.subcommand("eval")]
        | Annotated[Explore, tyro.conf.subcommand("explore")]
        | Annotated[Identify, tyro.conf.subcommand("identify")]
    )


def _defaults(path: Path) -> Train:
    """What a run's folder or a file says of training; of a folder that `train` wrote, its world and sizes too."""
    content, hints = read_settings(path), get_type_hints(Train)
    names = _KEPT if "files" in content else ()
    settings: dict[str, Any] = {
        name: converted(f"{path}: {name}", content[name], hints[name]) for name in names if name in content
    }
    defaults = Train("", Path("out"), config=path, train=read_config(path), **settings)
    for name in ("variant", "out"):
        object.__setattr__(defaults, name, tyro.MISSING)
    return defaults


def main() -> int:
    """Run one command; bad input ends with one line and exit code 2."""
    command: Any = None
    prog = "workbench" if Path(sys.argv[0]).stem == "workbench" else "python -m workbench"
    doers: dict[type, Any] = {
        List: _list,
        Check: _check,
        Train: _train,
        Eval: _eval,
        Explore: _explore,
        Identify: _identify,
    }

    def body() -> int:
        nonlocal command
        command = read_flags(_commands(sys.argv[1:]), prog=prog, description=__doc__)
        plugin: Path | None = getattr(command, "plugin", None)
        if plugin is not None:
            from workbench.plugins import load_plugin

            load_plugin(plugin)
        return doers[type(command)](command, Console())

    def stopped() -> str:
        kept = isinstance(command, Train) and (command.out / _CHECKPOINT).exists()
        return f"stopped{'; the same command goes on from the last checkpoint' if kept else ''}"

    sizes = "--m, --train.batch, --n or the world's sizes"
    return guarded(body, also=(Diverged,), stopped=stopped, sizes=sizes)


if __name__ == "__main__":
    sys.exit(main())
