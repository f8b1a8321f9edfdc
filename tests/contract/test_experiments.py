"""What every file of experiments/ refuses, and when: before a folder is made, a model loaded or a large world built."""

import dataclasses
import importlib
import io
import json
import math
import re
import typing
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from toys import run

import experiments
from synthetic.base.console import Console
from synthetic.worlds import worlds
from workbench import TrainConfig
from workbench.study import flags
from workbench.study.run import revived
from workbench.study.study import carry_out

pytest.importorskip("transformers", reason="two experiments need it: pip install 'sae-workbench[lm]'")

MODULES = {name: importlib.import_module(module) for name, module in experiments.MODULES.items()}
STUDIES = {name: module.STUDY for name, module in MODULES.items() if hasattr(module, "STUDY")}
KINDS = {
    name: STUDIES[name].settings
    if name in STUDIES
    else next(
        v
        for v in vars(module).values()
        if getattr(v, "__module__", "") in (module.__name__, f"{module.__package__}.settings") and hasattr(v, "check")
    )
    for name, module in MODULES.items()
}
RESUMED = [name for name, kind in KINDS.items() if "resume" in kind.__dataclass_fields__]
NONE_ALLOWED = {
    *("attention.l1", "bias_phase.gamma", "factors.cores", "factors.world", "gpt2.layers", "gpt2.skip", "gpt2.z_k"),
    *("gpt2.audit_samples", "hierarchy.tol", "resonance.gamma", "top_afa.aux"),
    *("transfer.toy_steps", "synthsaebench.threads", "benchmark.threads"),
}
"""settings that may be 0"""
EMPTY_ALLOWED = {"bias_phase.row", "gpt2.layers", "gpt2.afa", "recovery.axis", "zf_plot.saes", "benchmark.against"}


def config_of(name):
    return json.loads(json.dumps(asdict(KINDS[name]()), default=str))


def folder_of(tmp_path, config, experiment=None):
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if experiment is not None:
        (folder / "env.json").write_text(json.dumps({"experiment": experiment}))
    return folder


def opened(settings, name):
    return flags.opened(settings, name)[:2]


def resumed(name, folder, **more):
    return opened(replace(KINDS[name](), resume=folder, **more), name)


def begin(name, settings):
    """Start an experiment that is not to come far."""
    if name in STUDIES:
        return carry_out(STUDIES[name], settings)
    return MODULES[name].experiment(settings, Console(file=io.StringIO()))


@pytest.mark.parametrize("name", RESUMED)
def test_a_run_of_another_experiment_is_refused(name, tmp_path):
    others = [other for other in RESUMED if other != name]
    for other in others:  # where nothing names the experiment, its settings tell
        with pytest.raises(ValueError, match=r"config\.json.* must be .*: (resume it with the exp|start a new run)"):
            revived(KINDS[name](), config_of(other), "config.json")
    folder = folder_of(tmp_path, config_of(others[0]))
    with pytest.raises(ValueError, match=r"config\.json.* must be .*: (resume it with the exp|start a new run)"):
        resumed(name, folder)
    folder = folder_of(tmp_path, config_of(name), others[0])
    with pytest.raises(ValueError, match=rf"run folder must be one of {name}; got .*, one of '{others[0]}': choose"):
        resumed(name, folder)


def test_the_command_line_refuses_it_in_one_line(tmp_path, monkeypatch, capsys):
    folder = folder_of(tmp_path, config_of("recovery"))
    for name in RESUMED:
        if name == "recovery":
            continue
        code, said = run(monkeypatch, capsys, MODULES[name], "--resume", folder, "--dry-run")
        assert code == 2
        assert said.startswith("error: ")
        assert said.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["config.json"]


@pytest.mark.parametrize("name", RESUMED)
def test_settings_of_a_run(name, tmp_path):
    """They come back; one that an older run lacks is the present default; one of a wrong kind is refused."""
    config, default = config_of(name), KINDS[name]()
    again, held = resumed(name, folder_of(tmp_path, config, name))
    assert replace(again, resume=None) == default
    assert held.folder == tmp_path / "run"
    for field in config:
        older = {key: value for key, value in config.items() if key != field}
        assert revived(default, older, "config.json") == default
        with pytest.raises(ValueError, match=rf"config\.json: {field}.* must be .*; got .*: "):
            revived(default, config | {field: {"no": "such kind"}}, "config.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"' + "x" * 300 + '"', "[" * 100_000, "{}\0"])
def test_a_config_that_is_none_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match=r"config\.json must be .*; got .{0,200}$"):
        resumed("recovery", folder_of(tmp_path, text, "recovery"))


@pytest.mark.parametrize("m", [10**30, 10**11])
def test_a_size_in_a_config_is_no_larger_than_one_on_the_command_line(m, tmp_path):
    with pytest.raises(ValueError, match=rf"config\.json: .*m must be .*; got {m}: "):
        resumed("recovery", folder_of(tmp_path, config_of("recovery") | {"m": m}, "recovery"))


def test_a_setting_out_of_range_in_a_config_is_refused(tmp_path):
    folder = folder_of(tmp_path, config_of("gba") | {"seeds": 1}, "gba")
    with pytest.raises(ValueError, match=r"config\.json: --seeds must be at least 2; got 1: a paired"):
        resumed("gba", folder)


def leaves(settings, path=()):
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, (*path, field.name))
        else:
            yield (*path, field.name), typing.get_type_hints(type(settings))[field.name], value


def changed(settings, path, value):
    name, *rest = path
    return replace(settings, **{name: changed(getattr(settings, name), rest, value) if rest else value})


def out_of_range(name, path, hint, default):
    """Values of a setting's type that no experiment can run with."""
    field, kinds = f"{name}.{path[0]}", typing.get_args(hint)
    one = [kind for kind in (hint, *kinds) if kind in (int, float)]
    bad = [-1] if int in one else [-1.0, math.nan, math.inf] if float in one else []
    if int in one and field not in NONE_ALLOWED and path[-1] != "jobs":
        bad.append(0)
    if isinstance(default, tuple):
        bad = [(value,) * max(1, len(default)) for value in bad]
        bad += (
            [()]
            if field not in EMPTY_ALLOWED and path[0] not in ("set", "metrics", "pinned") and Ellipsis in kinds
            else []
        )
        bad += [("no-such-name",)] if str in kinds else []
    return bad


@pytest.mark.parametrize("name", KINDS)
def test_settings_out_of_range_are_refused_before_anything(name, tmp_path, monkeypatch):
    module = MODULES[name]

    def accepted(*_, **__):
        raise AssertionError("accepted")

    for work in ("model_and_text", "new_world", "measure", "feasible", "worlds", "train", "prepared"):
        if hasattr(module, work):
            monkeypatch.setattr(module, work, accepted)
    default = replace(KINDS[name](), out=tmp_path / "out")
    default = replace(default, dry_run=True) if hasattr(default, "dry_run") else default
    count = 0
    for path, hint, value in leaves(default):
        if path[0] == "train" or path[-1] == "dry_run":  # TrainConfig's own tests hold its values
            continue
        for bad in out_of_range(name, path, hint, value):
            with pytest.raises(ValueError, match=r"^\S.* must be .*; got .*: .*\.$"):
                begin(name, changed(default, path, bad))
            count += 1
    assert count >= 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", [n for n in STUDIES if {"train", "set"} & {*KINDS[n].__dataclass_fields__} == {"train"}]
)
def test_learning_rates_are_no_seeds(name, tmp_path):
    settings = replace(KINDS[name](), train=TrainConfig(lr=(1e-4, 1e-3, 1e-2)), out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"--train\.lr must be one rate; got .*: make a run for each rate"):
        opened(settings, name)


def test_where_runs_go_is_a_folder(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"--out must be a folder, or one that can be made; got .*: .* is a file"):
            opened(replace(KINDS["gba"](), out=out), "gba")


@pytest.mark.parametrize(
    "flags",
    [
        *(("--m", 0), ("--k", 0), ("--m", -5), ("--m", 16, "--k", 17), ("--variants",)),
        *(("--m", 10**11, "--k", 2), ("--m", 2**31 - 1, "--k", 2), ("--threads", 100_000, "--dry-run")),
        ("--train.evaluation-samples", 10**14, "--dry-run"),
    ],
)
def test_recovery_refuses_sizes_that_it_cannot_train(flags, tmp_path, monkeypatch, capsys):
    base = ("--world", "toy", "--axis", "samples", "--out", tmp_path / "out")
    code, said = run(monkeypatch, capsys, MODULES["recovery"], *base, *flags)
    assert code == 2
    assert " must be " in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "flag"), [(name, flag) for name, kind in KINDS.items() for flag in getattr(kind, "fixed", ())]
)
def test_a_setting_that_stays_as_it_is_is_refused_wherever_it_comes_from(name, flag, tmp_path, monkeypatch, capsys):
    default, path = KINDS[name](), flag.split(".")
    value = next(value for where, _, value in leaves(default) if where == tuple(path))
    other = "worlds" if flag == "over" else not value if isinstance(value, bool) else value + 1
    settings = changed(default, path, other)
    words = f"--{flag.replace('_', '-')} must be {value}; got {other}: {default.fixed[flag]}"
    with pytest.raises(ValueError, match=re.escape(words)):
        opened(settings, name)
    folder = folder_of(tmp_path, json.loads(json.dumps(asdict(settings), default=str)), name)
    for how in ("--config", "--resume"):
        code, said = run(monkeypatch, capsys, MODULES[name], how, folder, "--dry-run", "--out", tmp_path / "new")
        assert (code, said.count("\n")) == (2, 1)
        assert words in said


def test_a_default_that_the_command_line_names_is_no_default_of_recovery():
    def training(*words):
        settings = flags.parsed(KINDS["recovery"], "recovery", "", words)
        large = typing.cast(typing.Any, SimpleNamespace(truth=SimpleNamespace(n_true=16_384)))
        return settings.training(large)

    assert training() == {"steps": 976, "batch": 1024, "checkpoint_every": 97, "lr": 3e-4}
    assert training("--train.batch", "128", "--train.checkpoint-every", "5") == {
        "steps": 7812, "batch": 128, "checkpoint_every": 5, "lr": 3e-4,
    }  # fmt: skip
    assert training("--train.steps=4000", "--train.lr", "3e-3")["steps"] == 4000
    assert "lr" not in training("--train.lr", "3e-3")
    with pytest.raises(ValueError, match=r"--samples and --train\.steps must be given one at a time"):
        flags.parsed(KINDS["recovery"], "recovery", "", ["--samples", "9", "--train.steps", "4000"]).check()


def test_a_setting_given_with_resume_is_refused_even_where_it_is_the_default(tmp_path, monkeypatch, capsys):
    folder = folder_of(tmp_path, config_of("recovery") | {"world": ["toy"], "threads": 3, "seeds": 3}, "recovery")
    said = "must be left alone with --resume; got 1: a run keeps its settings, here 3; start a new one"
    for words, code, text in (
        (("--threads", 1), 2, f"--threads {said}"),
        (("--threads", 3), 0, ""),
        (("--jobs", 2), 0, ""),
        (("--seeds", 5), 0, "seeds 3-4"),
        (("--seeds", 2), 2, "--seeds must be at least 3 with --resume; got 2: a run keeps its seeds"),
    ):
        ended, printed = run(monkeypatch, capsys, MODULES["recovery"], "--resume", folder, "--dry-run", *words)
        assert ended == code, printed
        assert text in printed


class TestPlugins:
    """A plug-in runs only when the command line names it."""

    @pytest.fixture
    def plugin(self, tmp_path, monkeypatch):
        monkeypatch.setattr(worlds(), "_things", dict(worlds()))
        path, brings = tmp_path / "mine.py", "import workbench\n@workbench.world\ndef my_own():\n    'A world.'\n"
        path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{brings}")
        return path

    def started(self, tmp_path, plugin):
        return folder_of(tmp_path, config_of("recovery") | {"plugin": plugin}, "recovery")

    @pytest.mark.parametrize("kind", ["path", "hash", "none"])
    def test_that_of_a_strangers_folder_is_neither_run_nor_read(self, kind, tmp_path, plugin, monkeypatch, capsys):
        about = {"path": str(plugin), "blake2b": "0" * 32}
        folder = self.started(tmp_path, about if kind == "hash" else str(plugin))
        if kind == "none":
            plugin.unlink()
        code, said = run(monkeypatch, capsys, MODULES["recovery"], "--resume", folder, "--dry-run")
        assert code == 2
        assert "--plugin must be the file that this run was started with, '" in said
        assert "; got none: add --plugin PATH" in said
        assert ("0" * 32 in said) == (kind == "hash")
        assert not (tmp_path / "ran").exists()

    def test_another_file_is_refused(self, tmp_path, plugin):
        folder = self.started(tmp_path, {"path": "mine.py", "blake2b": "0" * 32})
        with pytest.raises(ValueError, match=r"--plugin must be .*; got .*mine\.py, another content: undo its changes"):
            resumed("recovery", folder, plugin=plugin)
        folder = self.started(tmp_path, None)
        with pytest.raises(ValueError, match=r"--plugin must be left alone with --resume; .* started without one"):
            resumed("recovery", folder, plugin=plugin)
        assert not (tmp_path / "ran").exists()

    def test_the_same_file_serves_wherever_it_lies_now(self, tmp_path, plugin):
        settings = replace(KINDS["recovery"](), plugin=plugin)
        folder = folder_of(tmp_path, flags.config_of(settings), "recovery")
        moved = plugin.rename(tmp_path / "moved.py")
        assert resumed("recovery", folder, plugin=moved)[0].plugin == moved
