"""The experiments on concepts and interventions, at toy size: shapes of results, and refusals."""

import numpy as np
import polars as pl
import pytest
from toys import checked, run

from experiments.actions import study as interventions
from experiments.concepts import saes as concept_sae
from experiments.concepts import study as concepts
from workbench.study.selection import nearest_l0, replicates, rows


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


def test_the_bias_without_control_is_the_closed_form(tmp_path_factory):
    _, _, table = checked(tmp_path_factory, interventions.STUDY)

    def values(metric, **where):
        return list(replicates(rows(table, **where), metric).values())

    for reach in (1.0, 3.0):
        at = {"place": "linear", "line": "(r, r)", "x": reach}
        without, control = (np.mean(values("bias", arm=arm, **at)) for arm in ("none", "control"))
        bias = np.mean(values("closed_form_bias", **at))
        assert abs(without - bias) < 0.5 * abs(bias)
        assert abs(control) < 0.5 * abs(bias)
    at = {"place": "learned", "noise": 0.11, "zero": 0.0}
    assert max(values("outside", arm="latents", **at)) < min(values("outside", arm="network", **at))
    off = rows(table, arm="restricted", metric="off", **at)
    assert off.select("a1", "a2").n_unique() * 2 == off.height == 2 * 49


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
        (interventions, ("--train.batch", 4), "AutoencoderConfig.batch must be at least 32"),
    ],
)
def test_bad_settings_are_refused(monkeypatch, capsys, module, words, message):
    code, said = run(monkeypatch, capsys, module, *words)
    assert code == 2
    assert message in said
