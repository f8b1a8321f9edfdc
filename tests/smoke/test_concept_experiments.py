"""The experiments on concepts and interventions, end to end at toy size: shapes of results, resuming, refusals."""

import numpy as np
import polars as pl
import pytest
from toys import run, starter

from experiments.actions import study as interventions
from experiments.concepts import saes as concept_sae
from experiments.concepts import study as concepts
from experiments.concepts.figures import values
from workbench.study.figure import numbers
from workbench.study.selection import nearest_l0

TOY = {
    concepts: [
        *("--models", 2, "--sharpness", 1, 16, "--leaks", 1e-4, 0.1, "--weak", 0.03, 0.3),
        *("--observed", 7, "--strength", 0, 2, "--contexts", 64, "--trained", 1, "--polish", 200),
    ],
    concept_sae: [
        "--steps",
        40,
        "--seeds",
        2,
        "--strength",
        1,
        "--concepts",
        3,
        "--contexts",
        64,
        "--l1",
        0.1,
        1,
        "--forms",
        "exact",
    ],
    interventions: ["--steps", 40, "--samples", 8000, "--seeds", 2, "--noise", 0.11, "--zero", 0, 0.5],
}


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


def test_sharp_contexts_cost_linearity_and_leaks_too(toy):
    _, frame = toy(concepts)

    def mean(part, metric, x, y=None):
        return np.mean(values(frame, part, metric, float(x), None if y is None else float(y)))

    assert mean("sharpness", "R2_log", 16) < mean("sharpness", "R2_log", 1) - 0.1
    assert mean("sharpness", "ambiguity", 16) < mean("sharpness", "ambiguity", 1) - 0.1
    assert mean("sharpness", "|h|", 16) > mean("sharpness", "|h|", 1)
    assert mean("leak", "R2_log", 1e-4, 1) > 0.999 > mean("leak", "R2_log", 0.1, 16)
    assert 50 < (1 - mean("weak", "R2_prob", 0.3)) / (1 - mean("weak", "R2_prob", 0.03)) < 200  # eta^2
    assert mean("observed", "typed: R2_marg", 7, 2) == pytest.approx(1, abs=1e-10)
    assert mean("observed", "R2_log", 7, 2) < 0.9
    assert mean("strength", "typed: log-loss gap", 2) < 1e-12 < mean("strength", "revealing: log-loss gap", 2)
    assert min(values(frame, "trained", "joint 0", 0.0)) > 0.95 > max(values(frame, "trained", "joint 0", 1.0))
    assert min(values(frame, "trained", "marginal 1", 1.0)) > 0.95 > max(values(frame, "trained", "marginal 1", 0.0))
    assert max(values(frame, "trained", "divergence", 2.0)) < 1e-4


def test_every_arm_is_scored_below_the_ceiling(toy):
    _, frame = toy(concept_sae)
    table = concept_sae.placed(frame)
    scores = nearest_l0(table).filter(pl.col("metric").is_in(list(concept_sae.SCORES)), pl.col("kind") == "score")
    assert set(scores["arm"]) == set(concept_sae.ARMS)
    assert 0 < scores["value"].min() <= scores["value"].max() <= 1 + 1e-9
    (medians,) = concept_sae.TABLES
    assert medians.of(table).row_count == len(concept_sae.ARMS) + 1  # chance
    answers = [a for asked in concept_sae.questions(concept_sae.ConceptSae(seeds=2)) for a in asked.answers(table)]
    assert len(answers) == 2 * (2 * len(concept_sae.SCORES) - 1)
    assert {len(answer.intervals) for answer in answers} == {1, len(concept_sae.RIVALS)}
    assert {answer.basis for answer in answers} == {"worlds and weights, n = 2"}


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
        (concepts, ("--models", 1), "--models must be at least 2"),
        (concepts, ("--observed", 3), "--observed must be from 7"),
        (concepts, ("--sharpness", 4, 1), "--sharpness must be ascending"),
        (concepts, ("--modles", 3), "--modles"),
        (concept_sae, ("--steps", 20), "--steps must be at least 30"),
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
