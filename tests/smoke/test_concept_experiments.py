"""The experiments on concepts and interventions, end to end at toy size: shapes of results, resuming, refusals."""

import numpy as np
import polars as pl
import pytest
from toys import checked, run, starter

from experiments.actions import study as interventions
from experiments.concepts import saes as concept_sae
from experiments.concepts import study as concepts
from workbench.study.figure import numbers
from workbench.study.selection import nearest_l0, replicates, rows

TOY = {interventions: ["--steps", 40, "--samples", 8000, "--seeds", 2, "--noise", 0.11, "--zero", 0, 0.5]}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """From an experiment to the folder and table of its one run."""
    return starter(tmp_path_factory, TOY)


@pytest.mark.parametrize("module", TOY)
def test_figures_are_there_and_resuming_gives_the_same_table(toy, monkeypatch, capsys, module):
    folder, frame = toy(module)
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    records = folder / "records.jsonl"
    records.write_text("\n".join(records.read_text().splitlines()[:-1]))
    code, said = run(monkeypatch, capsys, module, "--resume", folder, "--jobs", 1)
    assert code == 0, said
    assert pl.read_parquet(folder / "metrics.parquet").equals(frame)


def test_sharp_contexts_cost_linearity_and_leaks_too(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, concepts.STUDY)

    def values(place, metric, **where):
        return list(replicates(rows(table, place=place, **where), metric).values())

    def mean(place, metric, **where):
        return np.mean(values(place, metric, **where))

    assert mean("sharpness", "R2_log", x=16) < mean("sharpness", "R2_log", x=1) - 0.1
    assert mean("sharpness", "ambiguity", x=16) < mean("sharpness", "ambiguity", x=1) - 0.1
    assert mean("sharpness", "residual_size", x=16) > mean("sharpness", "residual_size", x=1)
    assert mean("leak", "R2_log", x=1, leak=1e-4) > 0.999 > mean("leak", "R2_log", x=16, leak=0.1)
    assert 50 < (1 - mean("weak", "R2_prob", x=0.3)) / (1 - mean("weak", "R2_prob", x=0.03)) < 200  # eta^2
    assert mean("observed", "typed_R2_marg", x=7, arm="ER-2") == pytest.approx(1, abs=1e-10)
    assert mean("observed", "R2_log", x=7, arm="ER-2") < 0.9
    gaps = [mean("strength", "log_loss_gap", x=2, arm=arm) for arm in ("typed", "revealing")]
    assert gaps[0] < 1e-12 < gaps[1]
    assert min(values("trained", "joint_0", arm="revealing")) > 0.95 > max(values("trained", "joint_0", arm="typed"))
    low, high = (values("trained", "marginal_1", arm=arm) for arm in ("revealing", "typed"))
    assert min(high) > 0.95 > max(low)
    assert max(values("trained", "divergence", arm="generic")) < 1e-4


def test_every_arm_is_scored_below_the_ceiling_and_the_sparse_part_as_an_arm(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, concept_sae.STUDY)
    picked = nearest_l0(table)
    assert set(picked["arm"]) == {*concept_sae.ARMS, concept_sae.SPARSE}
    shown = picked.filter(pl.col("metric").is_in(list(concept_sae.SCORES)), pl.col("kind") == "score")
    assert shown.height == 7 * 3 * 2  # arms, scores, seeds
    assert 0 < shown["value"].min() <= shown["value"].max() <= 1 + 1e-9
    whole, sparse = (rows(picked, arm=arm, metric="whole_l0")["value"] for arm in ("structured", concept_sae.SPARSE))
    assert whole.min() > sparse.max()
    assert sparse.to_list() == rows(picked, arm="structured", metric="l0")["value"].to_list()
    answers = [answer for question in concept_sae.STUDY.questions for answer in question.answers(table)]
    assert len(answers) == 2 * (3 + 2)


def test_the_bias_without_control_is_the_closed_form(toy):
    _, frame = toy(interventions)
    for reach in (1.0, 3.0):
        at = {"part": "linear", "line": "(r, r)", "reach": reach}
        truth, control, none, biased = (
            np.mean(numbers(frame, **at, what=what)) for what in ("truth", "control", "none", "truth + bias")
        )
        assert abs(none - biased) < 0.5 * abs(biased - truth)
        assert abs(control - truth) < 0.5 * abs(biased - truth)
    at = {"part": "learned", "noise": 0.11, "zero": 0.0, "what": "outside"}
    assert max(numbers(frame, **at, method="latents")) < min(numbers(frame, **at, method="y ~ a, network"))


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (concepts, ("--seeds", 1), "--seeds must be at least 2"),
        (concepts, ("--observed", 3), "--observed must be from 7"),
        (concepts, ("--sharpness", 4, 1), "--sharpness must be ascending"),
        (concepts, ("--modles", 3), "--modles"),
        (concept_sae, ("--train.steps", 20), "--train.steps must be at least 30"),
        (concept_sae, ("--contexts", 10), "--contexts must be at least 48"),
        (interventions, ("--base", 0.2), "--base must be one of the noises"),
        (interventions, ("--zero", 0.5), "--zero must be 0 first"),
        (interventions, ("--batch", 4), "AutoencoderConfig.batch must be at least 32"),
    ],
)
def test_bad_settings_are_refused(monkeypatch, capsys, module, words, message):
    code, said = run(monkeypatch, capsys, module, *words)
    assert code == 2
    assert message in said


@pytest.mark.parametrize("module", TOY)
def test_a_dry_run_starts_nothing(monkeypatch, capsys, tmp_path, module):
    code, said = run(monkeypatch, capsys, module, "--dry-run", "--out", tmp_path)
    assert code == 0
    assert "/" in said
    assert not list(tmp_path.iterdir())
