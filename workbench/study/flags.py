"""Settings that studies share, and where they come from: the command line, a run to go on with or to take them from."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from synthetic.base.errors import must, pick
from synthetic.base.flags import names_of, read_flags
from synthetic.base.schema import TEXT, checked_fields, shown
from workbench.training.config import TrainConfig

if TYPE_CHECKING:  # the flags are read before torch and polars load
    from workbench.study.run import Run

HOW = ("jobs", "out", "data", "plugin", "resume", "redraw", "config", "paper", "dry_run")
"""settings that say how and where to run, and no result depends on"""
S = TypeVar("S", bound="RunFlags")
P = TypeVar("P", bound="OpenFlags")
T = TypeVar("T")
"""settings of any experiment: a dataclass"""
_MOST: dict[str, int] = {"--seeds": 10_000, "--toy-seeds": 10_000, "--threads": 256}
_MOST |= dict.fromkeys(("--samples", "--tokens"), 2**63 - 1)
"""largest values of whole numbers; 2^31 - 1 of all others"""


@dataclass(frozen=True)
class RunFlags:
    """Settings of every study."""

    seeds: int = 5
    """members of each stack, or repeats, that intervals and bands are over"""
    jobs: int = 0
    """processes; 1 for this one, 0 for as many as the cores can feed"""
    out: Path = Path("runs")
    """where run folders go"""
    resume: Path | None = None
    """run folder to go on with, with its settings; more seeds are added to those it has"""
    redraw: Path | None = None
    """run folder whose figures and tables are made again, without any other work"""
    config: Path | None = None
    """run folder whose settings are the defaults of a new run"""
    paper: bool = False
    """figures for print: sizes and fonts of a column, captions as texts beside them, PDF too"""
    dry_run: bool = False
    """print the settings and the units of work, and stop"""

    adds: ClassVar[tuple[str, ...]] = ("seeds",)
    """settings that only add units: a run that goes on may have them otherwise"""
    least_seeds: ClassVar[int] = 1
    """2 where differences are paired by seed"""
    positive: ClassVar[tuple[str, ...]] = ()
    """settings of at least 1, and lists that hold one or more of those"""
    fixed: ClassVar[Mapping[str, str]] = {}
    """settings such as "train.steps" that stay at their defaults, and why: --help does not list them"""

    def check(self) -> None:
        """Refuse what this study cannot run with, before any work."""

    def resolved(self: S) -> S:
        """With what was left open decided, before a run begins."""
        return self


@dataclass(frozen=True)
class TrainFlags(RunFlags):
    """Settings of a study that trains SAEs at places."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """training"""
    set: tuple[str, ...] = ()
    """settings of variants or of training over those of the study, such as k=8 lr=1e-3,3e-3: several values of one are
    crossed with those of others, and with the seeds"""
    over: Literal["weights", "worlds"] = "weights"
    """what seeds differ in: initial weights, on one world and its samples; or world, samples and weights"""
    tune: bool = False
    """give each arm the best of a third, once and three times its learning rate, by the study's first metric on three
    worlds, samples and weights of their own, which are not judged; at the first place of each world"""


@dataclass(frozen=True)
class OpenFlags(TrainFlags):
    """Settings of a study that trains by rules of its own where the training is left alone."""

    pinned: tuple[str, ...] = ()
    """settings of training that are named though they are at their defaults, so that no rule of the study goes over
    them; those that are not at their defaults need no naming, and those that the command line names get it"""

    @property
    def left_alone(self) -> set[str]:
        """Settings of training that rules of the study may go over."""
        named = self.train.named(self.pinned, plain=type(self)().train)
        return {item.name for item in fields(self.train)} - named

    @property
    def long_as_said(self) -> bool:
        """Whether the number of steps is given, and not to follow from samples."""
        return "steps" not in self.left_alone or "steps" in axes_of(self)

    def check(self) -> None:
        """Refuse what is no setting of training."""
        for name in self.pinned:
            pick(name, [item.name for item in fields(self.train)], "pinned")

    def naming(self: P, names: Iterable[str]) -> P:
        """With these settings of training named."""
        return replace(self, pinned=tuple(sorted({*self.pinned, *(self.left_alone & {*names})})))


def hidden(kind: Any) -> tuple[str, ...]:
    """Fields of a study's settings that --help does not list."""
    return (*getattr(kind, "fixed", ()), *(("pinned",) if issubclass(kind, OpenFlags) else ()))


def parsed(kind: type[S], name: str, about: str, argv: Sequence[str] | None = None, default: S | None = None) -> S:
    """Settings from the command line; those of a run that it names stand behind its flags.

    Args:
        kind: the study's settings.
        name: the study's.
        about: for --help.
        argv: in place of the process's own arguments.
        default: in place of the class's own defaults.
    """
    how: Any = {"description": about, "args": argv, "hidden": hidden(kind)}
    settings = _named(read_flags(kind, **how | ({} if default is None else {"default": default})), argv)
    named = [word for word in ("resume", "redraw", "config") if getattr(settings, word) is not None]
    if not named:
        return settings
    from workbench.study.run import Run

    words = " and ".join(f"--{word}" for word in named)
    must(len(named) == 1, words, "given alone", "several", "name one run")
    before = started(settings, Run(getattr(settings, named[0])), name, f"--{named[0]}")
    return _named(read_flags(kind, **how, default=before), argv)


def _named(settings: S, argv: Sequence[str] | None) -> S:
    """The settings, with those of training pinned that the command line names."""
    return settings.naming(names_of(argv, "train")) if isinstance(settings, OpenFlags) else settings


def started(settings: T, run: "Run", name: str, flag: str) -> T:
    """The settings of a run, with what says how and where to run as given.

    Raises:
        ValueError: no run of this study, or one whose plug-in is not named.
    """
    must(run.folder.is_dir(), flag, "a run folder", run.folder, "check the path")
    where = str(run.folder / "config.json")
    must(Path(where).is_file(), "run folder", "one with a config.json", run.folder, f"choose a run of {name}")
    same = run.experiment in (name, "")
    got = f"{run.folder}, one of {shown(run.experiment)}"
    must(same, "run folder", f"one of {name}", got, "choose the folder of a run of this experiment")
    return of_config(settings, run.config, where, flag)


def of_config(settings: T, config: dict[str, Any], where: str, flag: str = "--resume") -> T:
    """The settings of a run's config, with what says how and where to run as given; `flag` named the run."""
    from workbench.study.run import revived

    config = dict(checked_fields(config, where, {}, "start a new run"))
    if flag != "--config":  # of a new run, which may have another plug-in
        _check_plugin(getattr(settings, "plugin", None), config.get("plugin"), where, flag)
    stored = {name: value for name, value in config.items() if not (name in HOW and hasattr(settings, name))}
    return revived(anew(settings), stored, where)


def opened(settings: S, name: str) -> tuple[S, "Run | None", list[S]]:
    """Settings that were checked, the run to go on with where --resume names one, and the stages it went through.

    The stages are the settings that a run was started with and those that it grew by, the present ones last. Nothing is
    made or run yet.

    Raises:
        ValueError: settings out of range, a folder that is not one of this study's runs, or a setting that a resumed
            run has otherwise and that adds no units.
        FileNotFoundError: no such folder.
    """
    settings = with_rates(settings)
    if settings.resume is None:
        check_settings(settings)
        return settings, None, [settings]
    from workbench.study.run import Run

    run = Run.open(settings.resume, name)
    where = str(run.folder / "config.json")
    before = of_config(settings, run.config, where)  # checks a plug-in's content before it is run
    check_settings(anew(settings))
    try:
        check_settings(before)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    check_kept(settings, before, "--resume")
    rule = f"at least {before.seeds} with --resume"
    must(settings.seeds >= before.seeds, "--seeds", rule, settings.seeds, "a run keeps its seeds; start a new one")
    check_settings(settings)
    older = [of_config(settings, stage, str(run.folder / "grown.json")) for stage in run.stages]
    return settings, run, [*older, before, *([settings] if settings != before else [])]


def check_kept(settings: Any, before: Any, why: str) -> None:
    """Refuse flags that a run has otherwise and that add no units to it."""
    had, values = dict(leaves(before)), dict(leaves(settings))
    for name in sorted({*getattr(settings, "pinned", ())} - {*getattr(before, "pinned", ())}):
        flag, advice = f"--train.{name.replace('_', '-')}", "the run left it to the study; start a new one"
        must(False, flag, f"left alone with {why}", values[flag], advice)
    for flag, value in values.items():
        if flag[2:].split(".")[0].replace("-", "_") not in getattr(settings, "adds", ()):
            advice = f"a run keeps its settings, here {had[flag]}; start a new one"
            must(value == had[flag], flag, f"left alone with {why}", value, advice)


def anew(settings: T) -> T:
    """The present defaults, with what says how and where to run as given."""
    values: Any = settings
    return replace(type(values)(), **{f.name: getattr(values, f.name) for f in fields(values) if f.name in HOW})


def _check_plugin(given: Path | None, before: Any, where: str, flag: str) -> None:
    """Refuse another plug-in than a run was started with; one that only its folder names is neither run nor read."""
    if before is None:
        must(given is None, "--plugin", f"left alone with {flag}", given, "this run was started without one")
        return
    about = {"path": before} if isinstance(before, str) else before  # as older versions kept it
    checked_fields(about, f"{where}: plugin", {"path": TEXT}, "start a new run")
    code = about.get("blake2b")
    named = shown(about["path"]) + (f", blake2b {shown(code)}" if code else "")
    rule = f"the file that this run was started with, {named}"
    must(given is not None, "--plugin", rule, "none", "add --plugin PATH, and it is run")
    same = given is None or code is None or _blake2b(given) == code
    must(same, "--plugin", rule, f"{given}, another content", "undo its changes, or start a new run")


def _blake2b(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def config_of(settings: Any) -> dict[str, Any]:
    """Settings as a run's config keeps them: JSON values, a plug-in with the hash of its file."""
    config = json.loads(json.dumps(asdict(settings), default=str))
    for name in ("redraw", "config", "paper"):
        config.pop(name, None)
    if getattr(settings, "plugin", None) is not None:
        config["plugin"] = {"path": str(settings.plugin), "blake2b": _blake2b(settings.plugin)}
    return config


def leaves(settings: Any, prefix: str = "--") -> Iterator[tuple[str, Any]]:
    """Flags and values, those of dataclasses in dataclasses too."""
    for item in fields(settings):
        value, flag = getattr(settings, item.name), prefix + item.name.replace("_", "-")
        if is_dataclass(value):
            yield from leaves(value, f"{flag}.")
        else:
            yield flag, value


def check_settings(settings: RunFlags) -> None:
    """Refuse what no study can run with, then what this one cannot."""
    check_common(settings)
    least = settings.least_seeds
    advice = "5 or more give a band" if least == 1 else "a paired interval needs two differences"
    must(settings.seeds >= least, "--seeds", f"at least {least}", settings.seeds, advice)
    if isinstance(settings, TrainFlags):
        axes_of(settings)
    values, plain = dict(leaves(settings)), dict(leaves(type(settings)()))
    for name, why in settings.fixed.items():
        flag = f"--{name.replace('_', '-')}"
        must(values[flag] == plain[flag], flag, str(plain[flag]), values[flag], why)
    rates, start = (getattr(getattr(settings, "train", None), name, None) for name in ("lr", "k_start"))
    must(not isinstance(rates, tuple), "--train.lr", "one rate", rates, "make a run for each rate")
    must(not isinstance(start, tuple), "--train.k-start", "one number", start, "make a run for each")
    for name in settings.positive:
        value = getattr(settings, name)
        each = value if isinstance(value, tuple) else (value,)
        must(each and min(each) >= 1, f"--{name.replace('_', '-')}", "at least 1", value, "raise it, or name some")
    settings.check()


def check_common(settings: Any) -> None:
    """Refuse what no settings with `out`, and maybe `jobs`, `threads`, `plugin`, `device`, can run with."""
    for flag, value in leaves(settings):
        for each in value if isinstance(value, tuple) else (value,):
            finite = not isinstance(each, float) or math.isfinite(each)
            must(finite, flag, "a finite number", value, "change it")
            most = _MOST[flag] if flag in _MOST else 2**31 - 1
            fits = not isinstance(each, int) or each <= most
            must(fits, flag, f"at most {most:,}", shown(value), "lower it")
    for name in ("jobs", "threads"):
        value = getattr(settings, name, 1)
        must(value >= 0, f"--{name}", "at least 0", value, "0 takes all cores")
    plugin = getattr(settings, "plugin", None)
    must(plugin is None or plugin.is_file(), "--plugin", "a Python file", plugin, "check the path")
    above = next(path for path in (settings.out, *settings.out.absolute().parents) if path.exists())
    must(above.is_dir(), "--out", "a folder, or one that can be made", settings.out, f"{above} is a file")
    must(os.access(above, os.W_OK), "--out", "a folder that you may write in", settings.out, "choose another")
    _check_device(str(getattr(settings, "device", "cpu")))


def _check_device(device: str) -> None:
    if device not in ("auto", "cpu"):
        import torch

        usable = device.split(":")[0] == "cuda" and torch.cuda.is_available()
        must(usable, "--device", "cpu, or cuda where there is one", device, "choose one that is here")


def with_rates(settings: S) -> S:
    """Settings whose list of rates under --train.lr is an axis of --set."""
    if not isinstance(settings, TrainFlags) or not isinstance(settings.train.lr, tuple):
        return settings
    rates = settings.train.lr
    axis = f"lr={','.join(map(repr, rates))}"
    return replace(settings, train=replace(settings.train, lr=rates[0]), set=(axis, *settings.set))


def axes_of(settings: TrainFlags) -> dict[str, tuple[Any, ...]]:
    """What --set gives, name -> values."""
    axes: dict[str, tuple[Any, ...]] = {}
    for text in settings.set:
        name, equals, values = text.partition("=")
        must(equals and name and values, "--set", "name=value or name=value,value", repr(text), "write --set k=4,8")
        must(name not in axes, f"--set {name}", "given once", "two lists", "join them by a comma")
        axes[name] = tuple(_value(name, value) for value in values.split(","))
    return axes


def _value(name: str, text: str) -> Any:
    known = {"true": True, "false": False}
    if text.lower() in known:
        return known[text.lower()]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        must(math.isfinite(value), f"--set {name}", "a finite number or a word", text, "change it")
        return value
    must(text.replace("_", "").isalnum(), f"--set {name}", "a finite number or a word", repr(text), "write --set k=4,8")
    return text
