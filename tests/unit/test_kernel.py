"""The kernel engine: the record is of the sources as they stand, every theorem is tied, cut loops are seen."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from proofs_check.engines import kernel
from proofs_check.kernel.evaluations import LINES
from proofs_check.ledger import judge
from proofs_check.report.terminal import entry_detail
from proofs_check.shelf import claims
from synthetic.base.console import Console
from workbench.theory import coherence

LOOSE = {"coherence.cauchy_schwarz", "coherence.isometry_codes"}
"""theorems whose formula no shipped function computes; nothing is to join them"""


def test_the_record_is_of_the_sources_as_they_stand():
    record = json.loads(kernel.RECORD.read_text("utf-8"))
    assert record["sources"] == kernel.hashes(), "make kernel renews it"
    assert list(record["theorems"]) == list(kernel.theorems())
    assert not [name for name, each in record["theorems"].items() if each["axioms"]]
    assert kernel.checked() == set(kernel.theorems())
    assert len(kernel.checked()) >= 30


def test_every_source_is_listed_and_takes_nothing_for_granted():
    assert {str(path.relative_to(kernel.FOLDER)) for path in kernel.FOLDER.rglob("*.v")} == set(kernel.SOURCES)
    for name in kernel.SOURCES:
        text = (kernel.FOLDER / name).read_text("utf-8")
        assert not kernel.refused(text)
        if name.startswith("statements/"):
            sentences = re.sub(r"\(\*.*?\*\)", "", text, flags=re.S).split(".\n")
            starts = {sentence.split()[0] for sentence in sentences if sentence.split()}
            assert starts <= {"From", "Set", "Import", "Local", "Definition"}
            assert len(re.findall("^Definition ", text, flags=re.M)) == len(
                [each for each in kernel.theorems() if each.startswith(f"{Path(name).stem}.")]
            )
    assert kernel.refused("Lemma a : False.\nAdmitted.") == ["Admitted"]


def test_every_theorem_backs_a_claim_and_is_tied_to_shipped_functions():
    backed = {name for claim in claims().values() for row in kernel.rows(claim.kernel) for name in [row["theorem"]]}
    spoken = {name for name in kernel.theorems() if not name.startswith("controls.")}
    assert spoken - backed <= {"coherence.cauchy_schwarz", "coherence.gram_expansion"}
    assert set(LINES) == spoken - LOOSE


def test_shipped_functions_are_what_the_theorems_speak_of():
    lines = {line.of: line for each in LINES.values() for line in each}
    assert not [said for line in lines.values() for said in line.differences(seed=1)]


def test_a_loop_cut_at_eight_terms_is_seen(monkeypatch):
    claim, whole = claims()["AFA-1"], coherence.square_norm
    monkeypatch.setattr(coherence, "square_norm", lambda h: whole(h[:8]))
    (row,) = [row for row in kernel.rows({"": "coherence.interference_identity"}) if row["problem"]]
    assert "coherence.interference, square_norm at n, d = 9, 11" in row["problem"]
    assert [each for each in judge(claim, examples=10).problems if each.startswith("kernel: ")]


def test_a_claim_prints_the_formal_statement_beside_the_human_one():
    entry = judge(claims()["AT-3"], examples=10)
    assert entry.ok
    with (console := Console(width=200)).capture() as shown:
        console.print(entry_detail(entry))
    text = " ".join(shown.get().split())
    assert "for all sizes, Coq kernel, no axioms (order)" in text
    assert "AbsTopK leaves no more of x than any code" in text
    assert "selection.orthonormal_best := forall (R : realFieldType)" in text


def test_a_theorem_without_a_line_is_of_the_formula():
    (row,) = kernel.rows({"": "coherence.isometry_codes"})
    assert row["tie"].startswith("PROVED of the formula")
    assert kernel.covered([row]) == ["for all sizes by the Coq kernel, of the formula alone: the conclusion"]


def test_changed_sources_leave_the_scope_of_the_other_engines(monkeypatch):
    monkeypatch.setattr(kernel, "hashes", dict)
    kernel.checked.cache_clear()
    try:
        entry = judge(claims()["AFA-1"], examples=10)
    finally:
        kernel.checked.cache_clear()
    assert entry.ok
    assert not entry.kernel


def test_a_theorem_that_is_not_there_is_named():
    claim = replace(claims()["AFA-1"], kernel={"": "coherence.gram_expansoin"})
    assert any("Claim.kernel must be" in problem for problem in judge(claim, examples=10).problems)


@pytest.mark.skipif(shutil.which("coqc") is None, reason="Coq is not installed; the record stands for it")
def test_the_kernel_answers_as_recorded(tmp_path):
    kernel.compiled(tmp_path, ("vocabulary.v", "proofs/basics.v", "statements/coherence.v", "proofs/coherence.v"))
    name = "coherence.welch"
    assert kernel.asked(tmp_path, [name])[name] == json.loads(kernel.RECORD.read_text("utf-8"))["theorems"][name]
