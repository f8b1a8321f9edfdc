"""From a tiny model's folder to a report: what it says, that it resumes, how it refuses."""

import io
import json
import re
from dataclasses import replace

import polars as pl
import pytest
from toys import run

from synthetic.base.console import Console

pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

import lm as tiny

from experiments import gpt2
from workbench import load
from workbench.public import find_source
from workbench.study.run import Run

SMALL = ["--tokens", 3000, "--context", 32, "--m", 40, "--k", 2, 6, 20, "--afa", 0.03125, "--z-k", 3, "--seeds", 2]
SMALL += ["--train.steps", 30, "--train.batch", 64, "--fidelity-tokens", 64, "--audit-samples", 20, "--jobs", 1]
SMALL += ["--held-out", 0.2]

PARTS = ("interference", "residual", "shrinkage", "mismatch")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Flags that name a tiny model and a text of many documents."""
    folder = tmp_path_factory.mktemp("source")
    tiny.saved("gpt2", folder / "model")
    text = "\n\n".join(document.text for document in tiny.texts(*[60] * 60))
    (folder / "text.txt").write_text(text)
    return ["--model", folder / "model", "--text", folder / "text.txt"]


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The folder of one run that was stopped before it judged, and then resumed; and what was said."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpt2, "losses", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr("sys.argv", ["gpt2.py", *map(str, [*source, *SMALL, "--layers", 1, "--out", out])])
        assert gpt2.main() == 130
    (folder,) = (out / "gpt2").iterdir()
    before = {record["id"] for record in Run(folder).records()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["gpt2.py", "--resume", str(folder)])
        patch.setattr(gpt2, "work", lambda cell, report: 1 / 0)  # every stack was trained before the stop
        assert gpt2.main() == 0
    return folder, before


def at(folder, **wanted):
    frame = pl.read_parquet(folder / "metrics.parquet")
    return frame.filter(*(pl.col(name) == value for name, value in wanted.items()))["value"].to_list()


def test_a_stopped_run_keeps_its_stacks(whole):
    folder, before = whole
    assert {"resid_pre.1/topk k=6", "resid_pre.1/top_afa afa=0.03125", "hook_z.1/topk k=3"} <= before
    ids = [record["id"] for record in Run(folder).records()]
    assert len(ids) == len(set(ids))
    assert not list((folder / "checkpoints").iterdir())


def test_the_sign_split_wins_every_figure_and_knows_nothing(whole):
    folder, _ = whole
    own = {"hook": "resid_pre.1", "arm": "sign split"}
    assert at(folder, **own, metric="fvu")[0] < 1e-6
    assert at(folder, **own, metric="kl")[0] == pytest.approx(0, abs=1e-6)
    assert at(folder, **own, metric="replaced") == pytest.approx(at(folder, **own, metric="clean"), abs=1e-5)
    assert at(folder, **own, metric="median eps_LBO")[0] < 1e-6
    assert at(folder, **own, metric="l0/d")[0] == pytest.approx(1, abs=0.01)


def test_more_latents_explain_more(whole):
    folder, _ = whole
    for metric, order in (("fvu", 1), ("l0", -1)):
        sparse, dense = (at(folder, hook="resid_pre.1", arm=f"topk k={k}", metric=metric) for k in (2, 6))
        assert len(sparse) == 2
        assert min(order * v for v in sparse) > max(order * v for v in dense)
    ratio = at(folder, variant="batch_topk", metric="against TopK")
    assert ratio
    assert all(0.3 < r < 3 for r in ratio)
    own = {name: at(folder, hook="resid_pre.1", arm="topk k=6", metric=name)[0] for name in PARTS}
    assert sum(own.values()) == pytest.approx(2 * own["mismatch"], abs=1e-6)


def test_the_report_says_what_was_printed(whole):
    folder, _ = whole
    said = " ".join((folder / "report.txt").read_text().split())
    assert "sum to the pre-activation but for" in said
    assert "AFA-1 " in said
    assert "30 steps of 64" in said
    assert {p.name for p in (folder / "figures").glob("*.png")} == {
        "sparsity.png",
        "positions.png",
        "zf-resid_pre-1.png",
        "zf-hook_z-1.png",
    }


def test_its_store_and_saes_serve_elsewhere(whole):
    folder, _ = whole
    rows = find_source(f"{folder / 'store'}:resid_pre.1")
    sae = load(folder / "saes" / "resid_pre.1-topk-k=6" / "member-000")
    assert (sae.d, sae.metadata["hook_name"]) == (rows.d, "blocks.1.hook_resid_pre")
    heads = load(folder / "saes" / "hook_z.1-topk-k=3" / "member-000")
    assert heads.metadata["reshape_activations"] == "hook_z"
    with pytest.raises(ValueError, match=r"--world must be a store and hook point, FOLDER:HOOK"):
        find_source(str(folder / "store"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layers", 7], "hook point must be in a layer below 3; got resid_pre.7"),
        (["--hook", "resid_mid"], "--hook must be one of"),
        (["--k", 41], "--k must be from 1 to m=40"),
        (["--held-out", 1.5], r"--held-out must be a share in \(0, 1\)"),
        (["--text", "nowhere.txt"], "text must be a file, a folder or hub:<data set>; got nowhere.txt"),
        (["--dtype", "float8"], "StoreConfig.dtype must be one of"),
        (["--skip", 32], "--skip must be from 0 to context - 1 = 31"),
        (["--k", 2, 2], "--k must be without repeats"),
        (["--resume", "nowhere"], "--resume must be a run folder"),
    ],
)
def test_bad_input_ends_with_one_line(monkeypatch, capsys, source, tmp_path, flags, message):
    code, said = run(monkeypatch, capsys, gpt2, *source, *SMALL, *flags, "--out", tmp_path)
    assert code == 2
    (line,) = [line for line in said.splitlines() if line.startswith("error:")]
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_of_the_paper_says_what_it_would_do(monkeypatch, capsys, source, tmp_path):
    own = ["--skip", 2, "--dtype", "float32", "--train.lr", 0.002]  # the laptop's, and yet what is given wins
    flags = ["--preset", "paper", *source, "--layers", 1, *own, "--dry-run", "--out", tmp_path]
    code, said = run(monkeypatch, capsys, gpt2, *flags)
    assert code == 0
    plain = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert (plain["m"], plain["train"]["steps"], plain["train"]["batch"]) == (12288, 20001, 4096)
    assert (plain["skip"], plain["dtype"], plain["train"]["lr"], plain["train"]["clip"]) == (2, "float32", 0.002, None)
    assert plain["train"]["steps"] * plain["train"]["batch"] <= plain["tokens"]
    assert plain["layers"] == [1]
    assert said.count("samples") >= 2 * len(plain["k"]) + len(plain["afa"])
    assert not list(tmp_path.iterdir())


def test_every_arm_of_the_paper_trains(source, tmp_path):
    """Two layers, standardised, its own training; small."""
    small = replace(gpt2.PAPER.train, steps=2, batch=16)
    names = {"model": str(source[1]), "text": str(source[3]), "tokens": 2000, "context": 32, "held_out": 0.3, "m": 40}
    few = {"k": (2, 6), "seeds": 2, "layers": (1, 2), "fidelity_tokens": 32, "samples": 64, "audit_samples": 0}
    settings = replace(gpt2.PAPER, **names, **few, train=small, jobs=1, out=tmp_path)
    assert gpt2.experiment(settings, Console(file=io.StringIO())) == 0
    (folder,) = (tmp_path / "gpt2").iterdir()
    arms = set(pl.read_parquet(folder / "metrics.parquet").select("hook", "arm").iter_rows())
    assert len(arms) == 2 * (2 * 2 + 5 + 1)
    assert at(folder, hook="resid_pre.2", arm="sign split", metric="kl")[0] == pytest.approx(0, abs=1e-5)
    sae = load(folder / "saes" / "resid_pre.2-topk-k=2" / "member-001")
    assert sae.metadata["normalize_activations"] == "layer_norm"
    again = load(sae.save(tmp_path / "again"))
    assert again.metadata == sae.metadata
