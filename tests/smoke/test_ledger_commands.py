"""The ledger, the claim checker and the auditor from the command line: what they print, their exit codes, bad input."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import synthetic as S
import workbench as W
from proofs_check import page
from proofs_check.__main__ import main as ledger
from proofs_check.ledger import judge
from proofs_check.shelf import claims
from workbench.__main__ import main as command_line

ROOT = Path(__file__).parents[2]
WRONG = """
from proofs_check import EXACT, UNIT_ROWS, Claim, Control, at_most, mixtures, twice_the_identity

CLAIM = Claim(
    id="MINE-1",
    statement="|x|² ≤ (1 + μ(k − {less})) |h|²",
    source="ours",
    hypotheses=(UNIT_ROWS, EXACT),
    instances=mixtures(),
    conclusion=lambda case: at_most(case.x2, (1 + case.coherence * (case.k - {less})) * case.h2, unit=case.unit),
    controls=(Control("unit rows", twice_the_identity()),),
)
"""


def say(monkeypatch, capsys, main, *words):
    """Exit code and output of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    try:
        code = main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, "".join(capsys.readouterr())


# --- python -m proofs_check ------------------------------------------------------------------------------------------


def test_the_ledger_prints_a_row_a_claim_and_writes_a_page(tmp_path):
    words = ["--area", "afa", "--id", "AFA-1", "AFA-5", "--examples", "20", "--jobs", "2", "--json"]
    command = [sys.executable, "-m", "proofs_check", *words, "--html", str(tmp_path / "page.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(row["id"], row["verdict"], row["ok"]) for row in told] == [
        ("AFA-1", "PROVED", True),
        ("AFA-5", "VACUOUS", True),
    ]
    assert done.stderr == ""  # quiet when not a terminal
    text = (tmp_path / "page.html").read_text()
    assert text.count("<section") == 2
    assert not re.findall(r'(?:src|href)="(?!#)', text)  # nothing is fetched
    assert "regular simplex" in text
    assert len(re.findall("<svg", text)) >= 3  # two formulas, a tightness plot


def test_detail_shows_proofs_controls_and_mutants(monkeypatch, capsys):
    code, said = say(monkeypatch, capsys, ledger, "--id", "AFA-4", "--examples", "20")
    assert code == 0
    for word in ("PROVED", "signed", "induction over rows", "ends exchanged", "hypotheses:", "nonnegative"):
        assert word in said


def test_the_table_says_what_is_not_as_promised(monkeypatch, capsys):
    broken = dict(claims())
    broken["AFA-4"] = replace(broken["AFA-4"], promised="REFUTED")
    monkeypatch.setattr("proofs_check.judging.claims", lambda: broken)
    code, said = say(monkeypatch, capsys, ledger, "--examples", "10", "--jobs", "1", "--area", "afa", "--id", "AFA-4")
    assert code == 1
    assert "AFA-4" in said


AREAS = ["afa", "attention", "bias_adaptation", "concepts", "factorisation", "interactions", "interventions"]
AREAS += ["proximal", "pursuit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--id", "AFA-99"], "--id must be one of"),
        (["--id", "AF-20"], "perhaps you meant 'AFA-20'"),
        (["--area", "aaf"], f"--area must be one of {AREAS}; got 'aaf': perhaps you meant 'afa'"),
        (["--examples", "0"], "--examples must be a whole number in [1, 2147483647]; got 0"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--exmples", "9"], "--exmples"),
    ],
)
def test_bad_usage_ends_with_2(monkeypatch, capsys, words, message):
    code, said = say(monkeypatch, capsys, ledger, *words)
    assert code == 2
    assert message in " ".join(said.split())


def test_help_answers_without_loading_torch():
    lines = "import sys; sys.argv = ['x', '--help']\nimport proofs_check.__main__ as m\n"
    script = lines + "try: m.main()\nexcept SystemExit: print('torch' in sys.modules, 'sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("False False")


def test_a_page_escapes_what_it_shows(tmp_path):
    entry = judge(claims()["AFA-4"], examples=5)
    entry.statement = "a < b & <script>alert(1)</script>"
    text = page.write_page([entry], tmp_path / "page.html").read_text()
    assert "<script>" not in text
    assert "a &lt; b &amp;" in text


# --- check-claim -----------------------------------------------------------------------------------------------------


def test_a_strangers_claim_is_refuted_with_a_witness(monkeypatch, capsys, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG.format(less=2))
    code, said = say(monkeypatch, capsys, command_line, "check-claim", tmp_path / "mine.py")
    assert code == 1
    assert "REFUTED" in said
    assert re.search(
        r"witness: rows \[\(-?1\), \(-?1\)\], h \(1, -?1\), x \(-?2\): 4 <= 2 fails", " ".join(said.split())
    )


def test_a_strangers_true_claim_is_supported(monkeypatch, capsys, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG.format(less=1))
    code, said = say(
        monkeypatch, capsys, command_line, "check-claim", tmp_path / "mine.py", "--json", "--examples", "60"
    )
    assert code == 0
    (told,) = json.loads(said)
    assert told["verdict"] == "SUPPORTED"
    assert told["title"] == "mine"
    assert told["controls"][0]["violation"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "claim file must be a Python file"),
        ("x = 1", "claim file must be one that makes a Claim"),
        ("import nothing_like_it", "claim file must run; got ModuleNotFoundError"),
        (WRONG.format(less=1).replace('"unit rows"', '"unit row"'), "must be named after a hypothesis in"),
    ],
)
def test_a_bad_claim_file_ends_with_2(monkeypatch, capsys, tmp_path, text, message):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    code, said = say(monkeypatch, capsys, command_line, "check-claim", path)
    assert code == 2
    assert message in " ".join(said.split())


def readme_file(name):
    """A file that the README shows, by the comment of its first line."""
    text = (ROOT / "README.md").read_text()
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if block.startswith(f"# {name}"))


def test_the_readmes_claim_file_comes_to_the_verdicts_it_tells(monkeypatch, capsys, tmp_path):
    (tmp_path / "my_claim.py").write_text(readme_file("my_claim.py"))
    code, said = say(monkeypatch, capsys, command_line, "check-claim", tmp_path / "my_claim.py", "--json")
    assert code == 1
    verdicts = {row["id"]: row["verdict"] for row in json.loads(said)}
    assert verdicts == {"MINE-1": "REFUTED", "MINE-2": "PROVED"}


# --- audit -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder as the main experiment leaves it, two SAEs in a stack."""
    folder = tmp_path_factory.mktemp("run")
    world = S.SparseMixture(n_true=16, d=8)
    S.save_world(world, folder / "worlds" / "base")
    sae = W.create("topk", 8, 24, k=2, seed=[0, 1])
    W.train(sae, world, W.TrainConfig(steps=40, batch=64))
    sae.save(folder / "saes" / "base-topk")
    return folder


def test_a_run_is_audited_and_told(monkeypatch, capsys, run):
    code, said = say(monkeypatch, capsys, command_line, "audit", run, "--n", "100")
    assert code == 0
    words = " ".join(said.split())
    assert "2 members" in words
    assert re.search(r"refused: AFA-1, AFA-2, AFA-3, AFA-4, AFA-6, AFA-10, AFA-14[^:]*: exact: x = hV fails", words)
    assert "void: AFA-2 upper side, AFA-2 norms: c = ε(n − 1)" in words
    assert re.search(r"μ\(k − 1\)N [\d.]+ [\d.]+ [\d.]+ [\d.e-]+ 200", words)
    assert "AFA-3 refined chain" in words


def test_an_audit_in_json_is_plain(monkeypatch, capsys, run):
    code, said = say(monkeypatch, capsys, command_line, "audit", run / "saes" / "base-topk", "--n", "50", "--json")
    assert code == 0
    (told,) = json.loads(said)
    assert told["members"] == 2
    assert {row["status"] for row in told["rows"]} == {"holds", "refused", "void"}
    assert {met["view"] for met in told["hypotheses"]} == {"reconstruction", "activation", "world"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "audit.target must be an SAE folder or the run folder of an experiment"),
        (["{run}", "--n", "0"], "--n must be a whole number in [1, 2147483647]; got 0: give one in that range"),
        (["{run}", "--world", "toyy"], "perhaps you meant 'toy'"),
        (["{run}", "--world", "toy"], "audit.world must be of dimension 8, the SAE's; got 16"),
    ],
)
def test_a_bad_audit_ends_with_2(monkeypatch, capsys, run, words, message):
    code, said = say(monkeypatch, capsys, command_line, "audit", *(word.format(run=run) for word in words))
    assert code == 2
    assert message in " ".join(said.split())
