"""From a language model to its table: what a run of the tiny model says and keeps, its presets, how it refuses."""

import io
import json
import re
from dataclasses import replace

import polars as pl
import pytest
from toys import checked, run, stopping

from synthetic.base.console import Console

pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from experiments import gpt2
from experiments.lm.figures import figures
from experiments.lm.settings import PAPER
from workbench import load
from workbench.lm import packaged
from workbench.public import find_source
from workbench.study.study import carry_out
from workbench.study.table import tidy
from workbench.study.units import Report, unpacked

PARTS = ("interference", "residual", "shrinkage", "mismatch")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of one run, and its table."""
    _, folder, table = checked(tmp_path_factory, gpt2.STUDY)
    return folder, table


def at(table, **wanted):
    wanted = {"kind": "score"} | wanted
    return table.filter(*(pl.col(name) == value for name, value in wanted.items()))["value"].to_list()


def test_the_sign_split_wins_every_figure_and_knows_nothing(whole):
    _, table = whole
    own = {"place": "resid_pre.1", "arm": "sign split"}
    assert at(table, **own, metric="fvu")[0] < 1e-6
    assert at(table, **own, metric="kl")[0] == pytest.approx(0, abs=1e-6)
    assert at(table, **own, metric="replaced") == pytest.approx(at(table, **own, metric="clean"), abs=1e-5)
    assert at(table, **own, metric="median eps_LBO")[0] < 1e-6
    assert at(table, **own, metric="l0/d")[0] == pytest.approx(1, abs=0.01)


def test_more_latents_explain_more(whole):
    _, table = whole
    for metric, order in (("fvu", 1), ("l0", -1)):
        own = {"place": "resid_pre.1", "arm": "topk", "metric": metric}
        sparse, dense = (at(table, **own, setting=f"k={k}") for k in (2, 6))
        assert len(sparse) == 2
        assert min(order * v for v in sparse) > max(order * v for v in dense)
    ratio = at(table, arm="batch_topk", metric="against TopK")
    assert ratio
    assert all(0.3 < r < 3 for r in ratio)
    own = {"place": "resid_pre.1", "arm": "topk", "setting": "k=6", "seed": 0}
    parts = {name: at(table, **own, metric=name)[0] for name in PARTS}
    assert sum(parts.values()) == pytest.approx(2 * parts["mismatch"], abs=1e-6)


def test_attributions_add_up_and_heads_share(whole):
    _, table = whole
    own = {"place": "hook_z.1", "arm": "topk"}
    assert max(at(table, **own, metric="attribution_missed")) < 1e-4
    chance = at(table, **own, metric="largest_head", kind="null")
    assert chance == [0.25, 0.25]
    assert all(0.25 < share < 1 for share in at(table, **own, metric="largest_head"))


def test_a_run_says_what_the_ledger_says(whole, monkeypatch, capsys):
    folder, table = whole
    code, said = run(monkeypatch, capsys, gpt2, "--redraw", folder)
    assert code == 0, said
    assert "AFA-1 " in said
    drawn = {path.name for path in (folder / "figures").glob("*.png")}
    assert drawn == {"sparsity.png", "positions.png", "zf-resid_pre-1.png", "zf-hook_z-1.png"}
    many = replace(PAPER, layers=(3, 6, 7, 8), z_k=32)  # 12 hook points' panels, 14 settings
    assert [figure.name for figure in figures(many)][:3] == ["sparsity", "sparsity-2", "positions"]
    wide = replace(PAPER, layers=(3,), k=tuple(range(1, 34)), z_k=0)  # 7 panels of settings of TopK, one of top-AFA
    split = [figure for figure in figures(wide) if figure.name.startswith("positions")]
    assert [(figure.name, len(figure.panels)) for figure in split] == [("positions", 6), ("positions-2", 2)]
    assert "30 steps of 64" in figures(gpt2.STUDY.toy)[0].draw(table).caption


def test_its_store_and_saes_serve_elsewhere(whole):
    folder, _ = whole
    rows = find_source(f"{folder / 'store'}:resid_pre.1")
    sae = load(folder / "saes" / "resid_pre.1-topk-k=6" / "member-000")
    assert (sae.d, sae.metadata["hook_name"]) == (rows.d, "blocks.1.hook_resid_pre")
    heads = load(folder / "saes" / "hook_z.1-topk-k=3" / "member-000")
    assert heads.metadata["reshape_activations"] == "hook_z"
    with pytest.raises(ValueError, match=r"--world must be a store and hook point, FOLDER:HOOK"):
        find_source(str(folder / "store"))


def test_a_stop_while_activations_are_kept_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(gpt2, "write_store", stopped)
    code, said = run(monkeypatch, capsys, gpt2, "--model", "tiny", "--text", "tiny", "--out", tmp_path)
    assert code == 130
    (folder,) = (tmp_path / "gpt2").iterdir()
    assert f"go on with: python -m experiments gpt2 --resume {folder}" in said
    assert json.loads((folder / "config.json").read_text())["layers"] == [1]  # the middle one of three


def test_checkpoints_are_as_often_as_is_said():
    toy = gpt2.STUDY.toy
    often = replace(toy, train=replace(toy.train, checkpoint_every=7))
    assert {unit.training.checkpoint_every for unit in gpt2.STUDY.units(often)} == {7}
    assert {unit.training.checkpoint_every for unit in gpt2.STUDY.units(toy)} == {3}


def test_a_stopped_training_goes_on_from_its_checkpoint(whole, tmp_path):
    folder, table = whole
    unit = next(unit for unit in gpt2.STUDY.units(gpt2.STUDY.toy) if unit.label == "resid_pre.1/topk k=6")
    (tmp_path / "store").symlink_to(folder / "store")
    seen = []
    report = Report(stopping(seen, 64 * len(unit.seeds), after=20), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        gpt2.STUDY.work_on(unit)(unit, report)
    after = tidy(unpacked(gpt2.STUDY.work_on(unit)(unit, report)), "gpt2").filter(pl.col("metric") == "fvu")
    assert seen == [*range(1, 21), *range(19, 31)]
    own = {"place": "resid_pre.1", "arm": "topk", "setting": "k=6", "metric": "fvu"}
    assert after["value"].to_list() == at(table, **own)


def test_a_preset_beside_the_settings_of_a_run_is_refused(whole, monkeypatch, capsys):
    for flags in (["--config", whole[0], "--preset", "paper"], ["--preset=paper", f"--config={whole[0]}"]):
        code, said = run(monkeypatch, capsys, gpt2, *flags, "--dry-run")
        assert code == 2
        assert said.startswith("error: --preset must be left out with --config; got paper: a run's settings stand")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layers", 7], "hook point must be in a layer below 3; got resid_pre.7"),
        (["--hook", "resid_mid"], "--hook must be one of"),
        (["--m", 40, "--k", 41], "--k must be from 1 to m=40"),
        (["--text", "nowhere.txt"], "text must be a file, a folder or hub:<data set>; got nowhere.txt"),
        (["--dtype", "float8"], "StoreConfig.dtype must be one of"),
        (["--skip", 128], "--skip must be from 0 to context - 1 = 127"),
        (["--k", 2, 2], "--k must be without repeats"),
        (["--train.lr", 1e-3, 1e-2], "--train.lr must be one rate"),
        (["--train.evaluations", 3], "--train.evaluations must be 0; got 3: the truth is not known"),
    ],
)
def test_bad_input_ends_with_one_line(monkeypatch, capsys, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, gpt2, "--model", "tiny", "--text", "tiny", *flags, "--out", tmp_path)
    assert code == 2
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_of_the_paper_says_what_it_would_do_and_loads_no_model(monkeypatch, capsys, tmp_path):
    for loads in ("load_model", "tiny_model", "documents"):
        monkeypatch.setattr(packaged, loads, lambda *_, **__: 1 / 0)
    own = ["--skip", 2, "--dtype", "float32", "--train.lr", 0.002]  # the laptop's, and yet what is given wins
    code, said = run(monkeypatch, capsys, gpt2, "--preset", "paper", *own, "--dry-run", "--out", tmp_path)
    assert code == 0
    plain = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert (plain["m"], plain["train"]["steps"], plain["train"]["batch"]) == (12288, 20001, 4096)
    assert (plain["skip"], plain["dtype"], plain["train"]["lr"], plain["train"]["clip"]) == (2, "float32", 0.002, None)
    assert plain["train"]["steps"] * plain["train"]["batch"] <= plain["tokens"]
    assert plain["layers"] == [6, 7, 8]
    assert said.count(" samples") == 3 * (2 * len(plain["k"]) + len(plain["afa"]) + 1)
    code, said = run(monkeypatch, capsys, gpt2, "--dry-run", "--out", tmp_path)
    assert (code, "hook_z.middle/topk k=32" in said) == (0, True)
    assert not list(tmp_path.iterdir())


def test_every_arm_of_the_paper_trains(tmp_path):
    """Two layers, standardised, its own training; small."""
    small = replace(PAPER.train, steps=2, batch=16)
    names = {"model": "tiny", "text": "tiny", "tokens": 2000, "context": 32, "held_out": 0.3, "m": 40}
    few = {"k": (2, 6), "seeds": 2, "layers": (1, 2), "fidelity_tokens": 32, "samples": 64, "audit_samples": 0}
    settings = replace(PAPER, **names, **few, train=small, jobs=1, out=tmp_path)
    outcome = carry_out(gpt2.STUDY, settings, Console(file=io.StringIO()))
    assert not outcome.failed
    arms = set(outcome.table.select("place", "arm", "setting").iter_rows())
    assert len(arms) == 2 * (2 * 2 + 5 + 1)
    assert at(outcome.table, place="resid_pre.2", arm="sign split", metric="kl")[0] == pytest.approx(0, abs=1e-5)
    sae = load(outcome.run.folder / "saes" / "resid_pre.2-topk-k=2" / "member-001")
    assert sae.metadata["normalize_activations"] == "layer_norm"
    again = load(sae.save(tmp_path / "again"))
    assert again.metadata == sae.metadata
