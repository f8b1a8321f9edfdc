"""The auditor on SAEs whose truth is planted: what it states holds, what fails is named, what is wrong shows."""

import io
import json
import re
import time
from pathlib import Path

import pytest
import torch

import synthetic as S
import workbench as W
from proofs_check.__main__ import main as command_line
from proofs_check.auditor.audit import TOLERANCE, Audit, Row, audit, views
from proofs_check.auditor.report import audit_summary, merged, print_audit
from proofs_check.auditor.sentences import MEANINGS, sentences
from proofs_check.auditor.targets import members_of, sae_folders, world_of
from proofs_check.instances.mixture import Mixture
from proofs_check.shelf import claims
from synthetic.base.console import Console
from workbench.theory import coherence

ORTHONORMAL = S.SparseMixture(n_true=8, d=12, directions=S.Orthonormal(), firing=S.ExactlyK(3))
CROWDED = S.SparseMixture(n_true=20, d=12, firing=S.ExactlyK(3), bias_norm=0.5)


def planted(world, m=None, k=3, name="topk", **settings):
    """The true dictionary with a tied encoder."""
    truth = world.truth
    own = {"k": k} if name == "topk" else {}
    sae = W.create(name, world.d, m or world.n_true, **own, **settings)
    with torch.no_grad():
        sae.W_dec[: world.n_true] = truth.features
        sae.W_enc[:, : world.n_true] = truth.features.T
        sae.b_dec.copy_(truth.bias)
    return sae.eval()


def find(found, view, claim, part=""):
    (row,) = [r for r in found.rows if (r.view, r.claim, r.part) == (view, claim, part)]
    return row


def test_a_perfect_sae_meets_every_hypothesis():
    found = audit(planted(ORTHONORMAL), ORTHONORMAL, n=200)
    for met in found.hypotheses:
        assert met.samples == met.of == 200 or met.hypothesis.startswith("superposition")
    gap = find(found, "activation", "AFA-1")
    assert gap.status == "holds"
    assert gap.measured == pytest.approx(0.0, abs=1e-6)
    upper = find(found, "activation", "AFA-2", "upper side")  # c = 0: it applies, and is tight
    assert upper.status == "holds"
    assert upper.tightest == pytest.approx(1.0, abs=1e-5)
    superposed = find(found, "world", "AFA-5")
    assert superposed.status == "refused"
    assert superposed.why == "superposition: more rows than dimensions"


def test_superposition_voids_the_papers_upper_side():
    found = audit(planted(CROWDED), CROWDED, n=100)
    upper = find(found, "reconstruction", "AFA-2", "upper side")
    assert upper.status == "void"
    assert "see AFA-5" in upper.why
    assert upper.measured is None
    c = find(found, "reconstruction", "AFA-5", "c ≥ 1")
    assert c.status == "holds"
    assert c.bound > 1


def test_a_residual_refuses_the_bounds_on_x_and_names_the_hypothesis():
    found = audit(planted(CROWDED), CROWDED, n=100)
    for claim in ("AFA-1", "AFA-2", "AFA-3", "AFA-4", "AFA-10"):
        row = find(found, "activation", claim)
        assert row.status == "refused"
        assert row.why == "exact: x = hV"
        assert row.samples == 0
    (met,) = [m for m in found.hypotheses if (m.view, m.hypothesis) == ("activation", "exact: x = hV")]
    assert (met.samples, met.of) == (0, 100)
    assert 0.1 < met.worst < 1.0
    corrected = find(found, "activation", "AFA-11", "corrected bound")
    assert corrected.status == "holds"
    assert corrected.measured <= corrected.bound
    assert find(found, "reconstruction", "AFA-3", "μ(k − 1)N").status == "holds"


def test_figures_are_those_of_the_samples():
    sae = planted(CROWDED)
    case = dict(views(sae, CROWDED, 100, seed=1))["reconstruction"]
    assert isinstance(case, Mixture)
    assert not case.x2.requires_grad  # a graph would keep every block alive
    row = find(audit(sae, CROWDED, n=100), "reconstruction", "AFA-3", "μ(k − 1)N")
    q = (case.x2 - case.h2).abs() / case.h2
    bound = coherence.norm_gap(1.0, case.support_coherence, case.k)
    assert row.measured == pytest.approx(float(q.median()))
    assert row.bound == pytest.approx(float(bound.median()))
    assert row.slack == pytest.approx(float((bound - q).min()))
    assert row.tightest == pytest.approx(float((q / bound).max()))
    assert row.samples == row.of == 100


def test_a_hypothesis_may_hold_on_some_samples():
    world = S.SparseMixture(n_true=20, d=12, firing=S.Independent(S.Constant(0.08)))
    found = audit(planted(world), world, n=400)
    row = find(found, "world", "AFA-6", "supremum")
    assert 0 < row.samples < row.of == 400
    assert row.status == "holds"
    assert row.why == "a code other than 0"
    met = next(m for m in found.hypotheses if m.view == "world" and m.hypothesis == "a code other than 0")
    assert met.samples == row.samples


def test_a_wrong_formula_shows_as_a_violation(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(coherence, "norm_gap", lambda h2, mu, k: mu * (k - 2) * h2)
    two = S.SparseMixture(n_true=20, d=12, firing=S.ExactlyK(2))
    sae = planted(two, k=2)
    assert find(audit(sae, two, n=50), "world", "AFA-3", "μ(k − 1)N").status == "VIOLATED"
    S.save_world(two, tmp_path / "world")
    sae.save(tmp_path / "sae")
    argv = ["x", "audit", str(tmp_path / "sae"), "--world", str(tmp_path / "world"), "--n", "50", "--json"]
    monkeypatch.setattr("sys.argv", argv)
    assert command_line() == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert "VIOLATED" in {row["status"] for row in told["rows"]}


def test_large_supports_are_read_in_blocks(monkeypatch):
    sae = planted(CROWDED, name="relu")
    whole = audit(sae, CROWDED, n=60)
    monkeypatch.setattr("proofs_check.auditor.audit._PAIRS", 7 * 21**2)
    monkeypatch.setattr("proofs_check.auditor.audit._ENTRIES", 25 * 21)
    assert len(list(views(sae, CROWDED, 60, seed=1))) > 12
    parts = audit(sae, CROWDED, n=60)
    assert [r.claim for r in whole.rows] == [r.claim for r in parts.rows]
    for one, two in zip(whole.rows, parts.rows, strict=True):
        for name in ("measured", "bound", "slack"):
            a, b = getattr(one, name), getattr(two, name)
            assert a is b is None or a == pytest.approx(b, abs=1e-6)  # roots of eigenvalues near 0


def test_pairs_by_matrices_are_those_taken_one_by_one(monkeypatch):
    """Supports below, at and above the dimension, one of them empty."""
    h = torch.zeros(4, 20, dtype=torch.float64)
    for i, count in enumerate((0, 5, 12, 20)):
        h[i, :count] = torch.linspace(-2.0, 3.0, count)
    one_by_one = Mixture.exact(CROWDED.truth.features, h)
    names = ("interference", "babel", "spectrum")
    listed = [getattr(one_by_one, name) for name in names]
    monkeypatch.setattr("proofs_check.instances.mixture._LISTED", 1)
    torch.testing.assert_close([getattr(Mixture.exact(CROWDED.truth.features, h), name) for name in names], listed)


def test_supports_of_hundreds_are_read_at_once():
    world = S.SparseMixture(n_true=400, d=32, firing=S.ExactlyK(300))
    start = time.perf_counter()
    found = audit(planted(world, k=300), world, n=20)
    assert time.perf_counter() - start < 20
    assert find(found, "reconstruction", "AFA-1").status == "holds"
    assert {row.samples for row in found.rows if row.claim == "AFA-3" and row.view == "world"} == {20}


def test_dead_rows_and_scales_are_taken_out():
    """Rows of any norm, a row of norm 0 and a scale other than 1 leave x̂ = hV over unit rows."""
    sae = planted(CROWDED, m=24, name="relu")
    with torch.no_grad():
        sae.scale.fill_(3.0)
        sae.W_dec *= torch.linspace(0.0, 2.0, 24)[:, None]
    x = CROWDED.sample(50, S.stream(1, "audit")).x
    case = dict(views(sae, CROWDED, 50, seed=1))["reconstruction"]
    assert isinstance(case, Mixture)
    assert case.m == 24  # 23 rows and the bias
    assert float((case.rows.norm(dim=1) - 1).abs().max()) < 1e-12
    assert float((case.x_hat - sae(x).detach()).abs().max()) < 1e-5


def test_top_afa_is_audited_on_its_own_selection():
    sae = W.create("top_afa", 12, 40)
    W.train(sae, CROWDED, W.TrainConfig(steps=30, batch=64))
    found = audit(sae, CROWDED, n=300)
    row = find(found, "selection", "AFA-17", "||f| − |x||")
    assert row.status == "holds"
    assert 0 < row.samples < 300
    assert row.why.startswith("not saturated")
    others = {r.view for r in audit(planted(CROWDED), CROWDED, n=20).rows}
    assert others == {"reconstruction", "activation", "world"}


def test_all_latents_active_under_the_sentinel_is_no_violation():
    world = S.SparseMixture(n_true=4, d=4, directions=S.Orthonormal(), firing=S.ExactlyK(4))
    sae = planted(world, name="top_afa")
    row = next(r for r in audit(sae, world, n=50).rows if r.claim == "AFA-17")
    assert row.status == "refused"
    assert row.why == "no sentinel, or an inactive latent for it to replace"
    free = planted(world, name="top_afa", sentinel=False)
    assert find(audit(free, world, n=50), "selection", "AFA-17", "||f| − |x||").status == "holds"


@pytest.mark.parametrize("option", [{"most": 1}, {"least": 0}, {"rule": "reach"}, {"target": "raw"}])
def test_another_rule_is_not_read_as_the_papers(option):
    sae = W.create("top_afa", 12, 40, **option).eval()
    assert "selection" not in dict(views(sae, CROWDED, 20, seed=1))


def test_members_are_merged_by_the_worst():
    one, two = (audit(planted(CROWDED, k=k), CROWDED, n=40) for k in (2, 3))
    both = merged([one, two])
    a, b, ab = (find(f, "reconstruction", "AFA-3", "μ(k − 1)N") for f in (one, two, both))
    assert ab.samples == ab.of == 80
    assert find(both, "world", "AFA-3", "μ(k − 1)N").of == 40  # the same samples for all members
    assert ab.slack == min(a.slack, b.slack)
    assert ab.tightest == max(a.tightest, b.tightest)
    assert ab.measured == pytest.approx((a.measured + b.measured) / 2)


def test_a_member_of_which_a_part_says_nothing_does_not_count():
    holds = Audit([], [Row("v", "C", "p", "holds", "", 100, 100, 0.2, 0.5, 0.1, 0.9)])
    void = Audit([], [Row("v", "C", "p", "void", "c = 3", 100, 100)])
    for audits in ([holds, void], [void, holds]):
        (row,) = merged(audits).rows
        assert (row.status, row.why, row.samples, row.of) == ("holds", "", 100, 200)
    broken = Audit([], [Row("v", "C", "p", "VIOLATED", "", 100, 100, 0.7, 0.5, -0.2, 1.4)])
    (row,) = merged([holds, broken]).rows
    assert (row.status, row.slack, row.tightest) == ("VIOLATED", -0.2, 1.4)


def test_a_violation_is_told_in_words(capsys):
    print_audit(Console(), Audit([], [Row("world", "C-1", "p", "VIOLATED", "", 9, 9, 0.7, 0.5, -0.2, 1.4)]))
    assert "VIOLATED: C-1 p" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "audit.n must be at least 1"),
        ({"world": ORTHONORMAL.__class__(n_true=4, d=3)}, r"audit\.world must be of dimension 12, the SAE's; got 3"),
        ({"sae": W.create("topk", 12, 20, k=3, seed=[0, 1])}, r"audit\.sae must be a single SAE; got a stack"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"sae": planted(CROWDED), "world": CROWDED, "n": 10} | change
    with pytest.raises(ValueError, match=message):
        audit(given["sae"], given["world"], n=given["n"])


def test_targets_find_saes_and_their_worlds(tmp_path):
    run = tmp_path / "run"
    for label in ("base", "noise", "noise-0dB"):
        S.save_world(CROWDED, run / "worlds" / label)
    for name in ("base-topk", "noise-0dB-topk"):
        W.create("topk", 12, 20, k=3, seed=[0, 1]).save(run / "saes" / name)
    assert [f.name for f in sae_folders(run)] == ["base-topk"]
    assert len(members_of(run / "saes" / "base-topk")) == 2
    assert world_of(run / "saes" / "noise-0dB-topk", None).d == 12
    with pytest.raises(ValueError, match="--world must be given for an SAE outside a run folder"):
        world_of(W.create("topk", 12, 20, k=3).save(tmp_path / "lone"), None)
    with pytest.raises(ValueError, match="must be an SAE folder or the run folder"):
        sae_folders(tmp_path / "nothing")
    theirs = Path(__file__).parents[1] / "golden" / "rival_folders" / "dictionary_learning_gated"
    for target in (theirs, theirs / "ae.pt"):
        assert [members_of(folder)[0].name for folder in sae_folders(target)] == ["gated"]


def test_a_sentence_a_claim_comes_first(capsys):
    found = audit(planted(CROWDED), CROWDED, n=50)
    said = {claim: (status, text) for claim, status, text in sentences(found)}
    assert said["AFA-3"][0] == "holds"
    pattern = r"Of its reconstructions the support puts .* within [\d.]+ of .f.²; it is [\d.]+: .*"
    assert re.fullmatch(pattern, said["AFA-3"][1])
    assert said["MP-5"][0] == "refused"
    assert "no sample meets “below the coherence bound" in said["MP-5"][1]
    print_audit(Console(), found)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("  AFA-1  Of its reconstructions")
    broken = Audit([], [Row("world", "AFA-3", "p", "VIOLATED", "", 9, 9, 0.7, 0.5, -0.2, 1.4)])
    assert sentences(broken) == [("AFA-3", "VIOLATED", "A proved bound fails, report this: p of the world's features")]


def test_each_claim_that_is_read_has_its_meaning():
    """Under a name of its conclusion's parts."""
    assert set(MEANINGS) == {claim.id for claim in claims().values() if claim.reads}
    parts = {(row.claim, row.part) for row in audit(planted(ORTHONORMAL), ORTHONORMAL, n=20).rows}
    parts |= {(row.claim, row.part) for row in audit(planted(CROWDED), CROWDED, n=20).rows}
    parts |= {(row.claim, row.part) for row in audit(planted(ORTHONORMAL, name="top_afa"), ORTHONORMAL, n=20).rows}
    assert {(id, meaning.part) for id, meaning in MEANINGS.items()} <= parts


def test_the_tolerance_is_that_of_float32():
    assert 1e-7 < TOLERANCE < 1e-5


def test_a_summary_of_several_says_a_violation_in_words():
    row = {"view": "activation", "claim": "X-1", "title": "a bound", "part": "", "why": "", "tightest": 0.5}
    audits = {"one": [row | {"status": "holds"}], "two": [row | {"status": "refused", "why": "unit rows"}]}

    def said(audits):
        console = Console(width=120, file=io.StringIO())
        console.print(audit_summary(audits, "SAEs"))
        return console.file.getvalue()

    text = said(audits)
    assert "2 SAEs" in text
    (line,) = [line.split() for line in text.splitlines() if "X-1" in line]
    assert line[3:] == ["1", "0.5", "1", "unit", "rows"]
    assert "VIOLATED" not in text
    text = said(audits | {"three": [row | {"status": "holds"}, row | {"status": "VIOLATED"}]})
    assert "VIOLATED" in text
    (line,) = [line.split() for line in text.splitlines() if "X-1" in line]
    assert line[3:] == ["1", "0.5", "1", "1", "unit", "rows"]
